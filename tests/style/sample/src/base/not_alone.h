/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NOT_ALONE_H
#define NOT_ALONE_H
size_t gal_not_alone(void); /* EXPECT self-contained */
#endif
