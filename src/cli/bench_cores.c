/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench.h"

#include <errno.h>
#include <sched.h>

#define EXAMPLE "cores are numbers from 0, such as 0 or 0,2-3"

static bool take(struct gal_str part, cpu_set_t *set)
{
    struct gal_str first;
    uint64_t from, to;

    (void)gal_str_cut(&part, '-', &first);
    if (gal_str_u64(first, &from) != GAL_OK)
        return false;
    to = from;
    if (part.p && gal_str_u64(part, &to) != GAL_OK)
        return false;
    if (from > to || to >= CPU_SETSIZE)
        return false;
    for (; from <= to; from++)
        CPU_SET(from, set);
    return true;
}

enum gal_status gal_cores_pin(const char *list, struct gal_err *err)
{
    struct gal_str rest = gal_str_of(list), part;
    bool good = rest.n > 0;
    cpu_set_t set;

    CPU_ZERO(&set);
    while (good && rest.n && gal_str_cut(&rest, ',', &part))
        good = take(part, &set);
    if (!good) {
        gal_fail(err, GAL_INVALID, "'%s' is no list of cores", list);
    } else if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        gal_fail(err, GAL_INVALID, "no thread can run on the cores %s here: %s", list,
                 strerror(errno));
    } else {
        return GAL_OK;
    }
    gal_err_hint(err, EXAMPLE);
    return GAL_INVALID;
}
