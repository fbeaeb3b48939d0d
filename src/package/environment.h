/* SPDX-License-Identifier: Apache-2.0 */
/* The environment that a model was trained in, as a freeze list tells it (what `pip freeze` prints,
 * a requirements file): which versions are pinned, what of it does not agree. Nothing of it is
 * installed or run. Plain data in an arena. Any thread. */
#ifndef GAL_PACKAGE_ENVIRONMENT_H
#define GAL_PACKAGE_ENVIRONMENT_H

#include "base/arena.h"
#include "base/buf.h"

#define GAL_FREEZE_BYTES_MAX (1u << 20)
#define GAL_FREEZE_PACKAGES_MAX 5000u

struct gal_pinned {
    struct gal_str name;    /* as PEP 503 writes it: lower case, runs of - _ . are one - */
    struct gal_str version; /* "2.2.0+cu121"; of one that is not pinned empty */
    struct gal_str written; /* "torch>=2", without comment, options and hashes */
    unsigned line;
    bool pinned; /* name==VERSION, no wildcard */
};

struct gal_environment {
    const struct gal_pinned *packages; /* sorted by name, then line */
    size_t count, unpinned;
    const struct gal_str *options; /* lines that are options: "--extra-index-url https://..." */
    size_t option_count;
    struct gal_str cuda; /* "12.1" or "12", as tags (+cu121) and nvidia-*-cu12 tell; empty: none */
    struct gal_str blas; /* "MKL", "OpenBLAS"; empty: nothing tells */
    const struct gal_str *findings; /* sentences: what is not pinned, which tags do not agree */
    size_t finding_count;
};

/* INVALID: "requirements.txt:7" as place. */
enum gal_status gal_environment_read(struct gal_str text, const char *path, struct gal_arena *arena,
                                     struct gal_environment *out, struct gal_err *err);
/* NULL: not in it. */
const struct gal_pinned *gal_environment_find(const struct gal_environment *e, struct gal_str name);
/* Two CUDA versions go together when the shorter one, in whole numbers, begins the longer one:
 * "12" and "12.1" do, "11.8" and "12.1" do not. Empty goes with all. */
bool gal_cuda_agrees(struct gal_str a, struct gal_str b);

#endif
