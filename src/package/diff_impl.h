/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison under way, for the files of package/diff. */
#ifndef GAL_PACKAGE_DIFF_IMPL_H
#define GAL_PACKAGE_DIFF_IMPL_H

#include "package/diff.h"

struct gal_differ {
    struct gal_package *a, *b;
    struct gal_arena *arena;
    struct gal_diff *out;
    struct gal_err *err;
};

/* Texts are copied. a, b: p NULL is "not there". */
enum gal_status gal_diff_add(const struct gal_differ *d, enum gal_section section,
                             struct gal_str what, struct gal_str a, struct gal_str b);
/* The same unless both are equal. */
enum gal_status gal_diff_text(const struct gal_differ *d, enum gal_section section,
                              struct gal_str what, struct gal_str a, struct gal_str b);
enum gal_status gal_diff_manifests(const struct gal_differ *d);
enum gal_status gal_diff_golden(const struct gal_differ *d);

#endif
