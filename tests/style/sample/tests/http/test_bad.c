/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/http/http1.c" /* EXPECT include-c */

static void it_waits(void)
{
    sleep(1); /* EXPECT sleep */
    free(0);
}
