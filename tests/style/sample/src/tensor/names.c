/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

static int local(void)
{
    return 1;
}

int *helper(int n, /* EXPECT name */
            char *text)
{
#ifdef __linux__ /* EXPECT if-in-function */
    return n;
#else
    return local();
#endif
}

int main(void) /* EXPECT name */
{
    return 0;
}
