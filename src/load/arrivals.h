/* SPDX-License-Identifier: Apache-2.0 */
/* When the requests of an open loop are meant to start: a sequence that a seed and a rate fix
 * beforehand, whatever the target does. And the generator of random numbers behind it. Pure. */
#ifndef GAL_LOAD_ARRIVALS_H
#define GAL_LOAD_ARRIVALS_H

#include <stdint.h>

/* xoshiro256** (Blackman, Vigna, 2018), its state spread from the seed by gal_random_split, so that
 * 1 and 2 are no neighbours: fast, and the same everywhere (base/random.h). */
struct gal_random {
    uint64_t s[4];
};

void gal_random_init(struct gal_random *r, uint64_t seed);
uint64_t gal_random_next(struct gal_random *r);
double gal_random_unit(struct gal_random *r); /* in (0, 1] */

enum gal_arrival_kind {
    GAL_ARRIVALS_POISSON, /* independent clients: gaps are exponential, by the C library's log(), so
                             another library may move a start by a nanosecond */
    GAL_ARRIVALS_CONSTANT, /* equal gaps */
};

struct gal_arrivals {
    struct gal_random random;
    enum gal_arrival_kind kind;
    double gap_ns;     /* mean */
    double elapsed_ns; /* since start_ns, of the latest arrival */
    uint64_t start_ns;
};

/* rate: arrivals a second, above 0. */
void gal_arrivals_init(struct gal_arrivals *a, enum gal_arrival_kind kind, double rate,
                       uint64_t seed, uint64_t start_ns);
/* Time of the next one, ns; never goes back. */
uint64_t gal_arrivals_next(struct gal_arrivals *a);

#endif
