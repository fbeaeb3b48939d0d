/* SPDX-License-Identifier: Apache-2.0 */
/* Time is an argument. Parts that must measure take a clock from their creator; the system's is
 * gal_clock_system in net/loop.h, tests bring their own. */
#ifndef GAL_BASE_CLOCK_H
#define GAL_BASE_CLOCK_H

#include <stdint.h>

struct gal_clock {
    uint64_t (*mono_us)(void *ctx); /* monotonic, microseconds since an arbitrary start */
    uint64_t (*wall_us)(void *ctx); /* microseconds since 1970-01-01T00:00:00Z */
    void *ctx;
    uint64_t (*mono_ns)(void *ctx); /* the same instant as mono_us; NULL: mono_us is all there is */
};

static inline uint64_t gal_mono_us(const struct gal_clock *c)
{
    return c->mono_us(c->ctx);
}
/* For spans too short for microseconds. */
static inline uint64_t gal_mono_ns(const struct gal_clock *c)
{
    return c->mono_ns ? c->mono_ns(c->ctx) : c->mono_us(c->ctx) * 1000;
}
static inline uint64_t gal_wall_us(const struct gal_clock *c)
{
    return c->wall_us(c->ctx);
}

/* Writes `2024-01-15T14:23:41.123Z` and a NUL: GAL_TIMESTAMP_SIZE bytes. */
#define GAL_TIMESTAMP_SIZE 25
void gal_timestamp_format(uint64_t wall_us, char out[GAL_TIMESTAMP_SIZE]);

#endif
