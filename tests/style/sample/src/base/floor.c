/* SPDX-License-Identifier: Apache-2.0 */
#include "base/good.h"
#include "sched/good.h" /* EXPECT floor */
#include "good.h"       /* EXPECT include-path */
#include "../net/x.h"   /* EXPECT include-path */
