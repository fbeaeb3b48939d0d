/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/x.h"       /* EXPECT floor */
#include "server/server.h" /* EXPECT floor */
#include "http/message.h"
