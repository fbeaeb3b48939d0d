/* SPDX-License-Identifier: Apache-2.0 */ /* EXPECT floor spdx */
