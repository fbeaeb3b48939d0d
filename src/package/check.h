/* SPDX-License-Identifier: Apache-2.0 */
/* Is an inference's input what the manifest says? Looks at tensors, whatever protocol brought them,
 * before anything else runs. Finds all that is wrong, not the first. Nothing is allocated but from
 * the arena, and that only for findings and defaults. Any thread. */
#ifndef GAL_PACKAGE_CHECK_H
#define GAL_PACKAGE_CHECK_H

#include "package/manifest.h"

#define GAL_FINDINGS_MAX 64u

/* In the place of a feature: of an answer. */
#define GAL_FINDING_CONFIDENCE SIZE_MAX
#define GAL_FINDING_STABILITY (SIZE_MAX - 1)

struct gal_finding {
    size_t feature;      /* index in the manifest, or GAL_FINDING_... */
    size_t row, element; /* element: within the row, 0 of a scalar */
    const char *type;    /* range, length, value, pattern, null, type, outlier, rule, confidence,
                            stability; static */
    const char *message; /* a sentence that names the feature: "hour_of_day must be at most 23";
                            arena's or the manifest's */
    bool flag;           /* it is flagged, not refused */
};

struct gal_findings {
    size_t count, refused;                   /* refused: how many are no flags */
    size_t flagged;                          /* how many are */
    bool more;                               /* there were more than fit */
    struct gal_finding at[GAL_FINDINGS_MAX]; /* by row, then by feature */
};

/* values: feature_count tensors of whole columns ([rows, ...]) of the features' datatypes, absent
 * ones (kind NONE) are passed over. INVALID when something is refused; err then tells of the first
 * few in one sentence. Also where columns have
 * different numbers of rows or another datatype; nothing is found then. */
enum gal_status gal_check_features(const struct gal_manifest *m, const struct gal_value *values,
                                   struct gal_arena *arena, struct gal_findings *out,
                                   struct gal_err *err);
/* Columns of `rows` rows in the place of absent features that have a default. */
enum gal_status gal_check_fill(const struct gal_manifest *m, size_t rows, struct gal_value *values,
                               struct gal_arena *arena, struct gal_err *err);
/* A feature's value as its column holds it (gal_dtype_size(f->dtype) bytes). */
void gal_check_put(const struct gal_feature *f, const struct gal_literal *v, void *out);

/* Rows whose confidence (manifest.confidence: the largest value of a row of the output) is below
 * its minimum become findings of type confidence behind out's others, flags or refusals as the
 * manifest says. Returns how many rows are. */
size_t gal_check_confidence(const struct gal_manifest *m, const struct gal_tensor *output,
                            struct gal_arena *arena, struct gal_findings *out);
/* The same of rows whose decision changes too often when numbers move a little: shares is the
 * output `stability` of the package's session (package/stability.h). */
size_t gal_check_stability(const struct gal_manifest *m, const struct gal_tensor *shares,
                           struct gal_arena *arena, struct gal_findings *out);
/* What findings refuse, in one sentence ("instance 3: a is ...; ..."), of a request of so many
 * rows. Returns INVALID. */
enum gal_status gal_check_tell(const struct gal_findings *f, size_t rows, struct gal_err *err);
/* The feature or output that a finding is about. */
struct gal_str gal_check_field(const struct gal_manifest *m, const struct gal_finding *f);

/* For the reader of manifests: readies f->check, and holds values, default and example against the
 * feature's own bounds. INVALID without a place; *field says which of the fields is wrong. */
enum gal_status gal_check_prepare(struct gal_feature *f, struct gal_arena *arena,
                                  const char **field, struct gal_err *err);

#endif
