/* SPDX-License-Identifier: Apache-2.0 */
int gal_calls(struct x *x)
{
    x->time(1);
    long t = time(0);             /* EXPECT clock */
    clock_gettime(1, &ts);        /* EXPECT clock */
    t += uv_hrtime() + uv_now(l); /* EXPECT clock clock */
    char *p = malloc(3);          /* EXPECT alloc */
    free(p);                      /* EXPECT alloc */
    usleep(10);                   /* EXPECT sleep */
    printf("%d", 1);              /* EXPECT silent */
    snprintf(p, 3, "strcpy(");
    abort();        /* EXPECT exit */
    strcpy(p, "x"); /* EXPECT banned */
    return atoi(p); /* EXPECT banned */
}
