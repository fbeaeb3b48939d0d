/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to try one after another, as a user writes them: "8", "1,2,4", "8..64" (doubling),
 * "1000:50000:5000" (from, to, step), and lists of those. k and M stand for thousands and millions.
 * Pure. */
#ifndef GAL_LOAD_SWEEP_H
#define GAL_LOAD_SWEEP_H

#include "base/str.h"

#define GAL_SWEEP_MAX 256u /* numbers of one sweep: more is a slip of the keyboard */

struct gal_sweep {
    uint64_t at[GAL_SWEEP_MAX];
    size_t count; /* at least 1 after a parse */
};

/* Each number lies within min..max. INVALID with what is wrong, and examples as hint. */
enum gal_status gal_sweep_parse(struct gal_str text, uint64_t min, uint64_t max,
                                struct gal_sweep *out, struct gal_err *err);

#endif
