/* SPDX-License-Identifier: Apache-2.0 */
/* In what two packages differ, as a list of facts. Any thread. */
#ifndef GAL_PACKAGE_DIFF_H
#define GAL_PACKAGE_DIFF_H

#include "package/package.h"

enum gal_section {
    GAL_SECTION_PACKAGE,     /* name, version, description */
    GAL_SECTION_SCHEMA,      /* features, rules, outputs */
    GAL_SECTION_STEPS,       /* before, after */
    GAL_SECTION_WEIGHTS,     /* files of the model */
    GAL_SECTION_ENVIRONMENT, /* provenance, versions of the freeze list, CUDA, BLAS */
    GAL_SECTION_METRICS,     /* metadata.metrics */
    GAL_SECTION_GOLDEN,      /* golden cases: inputs, outputs, tolerance */
    GAL_SECTION_SERVING,     /* serving, resources, require */
    GAL_SECTION_METADATA,    /* the rest of the manifest */
    GAL_SECTION_FILES,       /* other files */
    GAL_SECTION_COUNT
};
const char *gal_section_name(enum gal_section section); /* "schema" */

struct gal_change {
    enum gal_section section;
    struct gal_str what; /* "features.amount.lt", "numpy", "model.onnx" */
    struct gal_str a, b; /* what stands in each; p NULL: it is not there */
};

struct gal_diff {
    struct gal_change *changes; /* by section, in the order of the manifests */
    size_t count, cap;
};

/* Both with a manifest; digests of directories are computed when they are not yet known. Equal
 * packages have no changes. What is made by packing (lock, SBOM) follows from the rest and is not
 * compared. Everything lies in the arena. */
enum gal_status gal_package_diff(struct gal_package *a, struct gal_package *b,
                                 struct gal_arena *arena, struct gal_diff *out,
                                 struct gal_err *err);

#endif
