/* SPDX-License-Identifier: Apache-2.0 */
#include "load/arrivals.h"

#include "base/random.h"

#include <math.h>

void gal_random_init(struct gal_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = gal_random_split(&seed);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t gal_random_next(struct gal_random *r)
{
    uint64_t *s = r->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double gal_random_unit(struct gal_random *r)
{
    return (double)((gal_random_next(r) >> 11) + 1) * 0x1p-53;
}

void gal_arrivals_init(struct gal_arrivals *a, enum gal_arrival_kind kind, double rate,
                       uint64_t seed, uint64_t start_ns)
{
    gal_random_init(&a->random, seed);
    a->kind = kind;
    a->gap_ns = 1e9 / rate;
    a->elapsed_ns = 0;
    a->start_ns = start_ns;
}

uint64_t gal_arrivals_next(struct gal_arrivals *a)
{
    double gap = a->gap_ns;

    if (a->kind == GAL_ARRIVALS_POISSON)
        gap *= -log(gal_random_unit(&a->random));
    a->elapsed_ns += gap;
    return a->start_ns + (uint64_t)a->elapsed_ns;
}
