/* SPDX-License-Identifier: Apache-2.0 */
/* Is an inference's input what the manifest says? Looks at tensors, whatever protocol brought them,
 * before anything else runs. Finds all that is wrong, not the first. Nothing is allocated but from
 * the arena, and that only for findings. Any thread. */
#ifndef GAL_PACKAGE_CHECK_H
#define GAL_PACKAGE_CHECK_H

#include "package/manifest.h"

#define GAL_FINDINGS_MAX 64u

struct gal_finding {
    size_t feature;      /* index in the manifest */
    size_t row, element; /* element: within the row, 0 of a scalar */
    const char *type;    /* range, length, value, pattern, null, outlier, rule; static */
    const char *message; /* "must be less than 1000000", arena's or static */
    bool flag;           /* an outlier that is flagged, not refused */
};

struct gal_findings {
    size_t count, refused; /* refused: how many are no flags */
    bool more;             /* there were more than fit */
    struct gal_finding at[GAL_FINDINGS_MAX];
};

/* values: feature_count tensors of whole columns ([rows, ...]), absent ones (kind NONE) are passed
 * over. INVALID when something is refused. */
enum gal_status gal_check_features(const struct gal_manifest *m, const struct gal_value *values,
                                   struct gal_arena *arena, struct gal_findings *out);

#endif
