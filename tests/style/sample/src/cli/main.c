/* SPDX-License-Identifier: Apache-2.0 */
int main(void)
{
    printf("%ld", time(0));
    exit(1);
}
