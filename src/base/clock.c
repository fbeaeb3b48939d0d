/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

void gal_timestamp_format(uint64_t wall_us, char out[GAL_TIMESTAMP_SIZE])
{
    /* Years have four digits: a clock that is far off must not break the layout. */
    const uint64_t last_second = 253402300799u; /* 9999-12-31T23:59:59Z */
    uint64_t seconds = wall_us / 1000000 < last_second ? wall_us / 1000000 : last_second;
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    size_t n = strftime(out, GAL_TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, GAL_TIMESTAMP_SIZE - n, ".%03uZ", (unsigned)(wall_us / 1000 % 1000));
}
