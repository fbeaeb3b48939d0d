/* SPDX-License-Identifier: Apache-2.0 */
/* What is served from an image, as cargo: a package (directory, .galley file), or what galley serve
 * takes without one: a model file, a model's directory, a directory of models. Each big weight file
 * is a layer of its own, as weights change apart from code and from each other; small files come
 * last. One thread. */
#ifndef GAL_SHIP_MODELS_H
#define GAL_SHIP_MODELS_H

#include "package/package.h"
#include "ship/cargo.h"

#define GAL_SHIP_BIG_FILE (32u << 20) /* a weight file of this size has its own layer */
#define GAL_SHIP_BIG_FILES_MAX 64u    /* such layers: runtimes stop at 127 in all */

struct gal_models {
    struct gal_arena arena;
    struct gal_package *package;  /* NULL: a model without one */
    char *packed;                 /* temporary directory that the package lies in; NULL: none */
    const char *name, *version;   /* version NULL: none */
    char digest[GAL_DIGEST_SIZE]; /* the package's; empty: none */
    struct gal_str freeze;        /* the freeze list; empty: none */
    struct gal_cargo *cargo;      /* big weights, weights, files; only those that hold something */
    size_t cargo_count;
};

struct gal_models_options {
    const char *path;
    const char *place;    /* folder in the image: "models" */
    bool under_its_name;  /* place/NAME/..., else straight in place */
    bool without_weights; /* no cargo: name and digest only */
    bool proved;          /* its golden cases were reproduced: what is packed on the way says so */
    int64_t epoch;
};

/* To be released in any case. A directory that nobody has packed is packed on the way (TMPDIR), as
 * what an image holds has digests to be held against. */
enum gal_status gal_models_gather(const struct gal_models_options *options, struct gal_models *out,
                                  struct gal_err *err);
void gal_models_release(struct gal_models *m);

#endif
