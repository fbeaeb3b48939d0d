/* SPDX-License-Identifier: Apache-2.0 */
/* Steps before and after the model: columns in, columns out, whole batches at a time. A list of
 * steps is compiled once against the columns that it gets (names, datatypes, shapes: a wrong one is
 * an error with the manifest's line) and runs without looking a name up.
 *
 * A step reads columns and makes columns; a column made under the name of one that is there takes
 * its place for the steps behind it. Arithmetic is FP64 inside, stored as the column's datatype
 * (FP32 unless told), as scikit-learn's is within 1e-6. The compiled form is immutable: any number
 * of threads run it. */
#ifndef GAL_PACKAGE_STEPS_H
#define GAL_PACKAGE_STEPS_H

#include "tensor/tensor.h"
#include "text/yaml.h"

struct gal_column {
    struct gal_str name;
    enum gal_kind kind; /* TENSOR, or a SEQUENCE of maps (ZipMap) that only `unzip` reads */
    enum gal_dtype dtype;
    size_t rank;          /* of a row; 0: one value a row. Read as [rows] or [rows,1], made as
                             [rows,1]; passed on as it came */
    const int64_t *shape; /* of a row; -1: open */
    bool encoded;         /* BYTES that are an image file */
    bool aside;           /* for steps to read: not among the columns behind the last step */
    const struct gal_str *labels; /* names of the last axis's places or of the classes; NULL */
    size_t label_count;
};

struct gal_steps;

enum gal_steps_place { GAL_STEPS_ANYWHERE, GAL_STEPS_BEFORE, GAL_STEPS_AFTER };

/* What steps need beside the list. */
struct gal_steps_context {
    const char *path;           /* for places of errors: "galley.yaml" */
    enum gal_steps_place place; /* BEFORE or AFTER: a step that has no business there is refused */
    /* Content of a file of the package (vocabularies); NULL: no step may name one. */
    enum gal_status (*file)(struct gal_str name, struct gal_str *out, void *ctx,
                            struct gal_err *err);
    void *ctx;
};

/* list NULL or empty: no steps, columns out as they come in. Memory from the arena, as long as it.
 */
enum gal_status gal_steps_compile(const struct gal_yaml *list, const struct gal_column *in,
                                  size_t in_count, const struct gal_steps_context *context,
                                  struct gal_arena *arena, struct gal_steps **out,
                                  struct gal_err *err);
/* The columns that are there after the last step. */
const struct gal_column *gal_steps_columns(const struct gal_steps *s, size_t *count);
/* Which of the columns that came in the steps read at all: bit by index, for errors about features
 * that nobody uses. */
bool gal_steps_reads(const struct gal_steps *s, size_t in);
/* A row's values depend on its company: it is filled up to the longest of the batch. */
bool gal_steps_pads(const struct gal_steps *s);
/* Fills out (the columns' count) from in; both in the order of their columns. Bytes of out lie in
 * the arena or are in's. INVALID carries what is wrong with a row ("merchant_category[3]"). */
enum gal_status gal_steps_run(const struct gal_steps *s, const struct gal_value *in,
                              struct gal_arena *arena, struct gal_value *out, struct gal_err *err);

/* MurmurHash3 for x86, 32 bits (Austin Appleby, public domain): a number for a text that is the
 * same everywhere and always. sklearn.utils.murmurhash3_32(text, seed, positive=True). Pure. */
uint32_t gal_murmur3_32(struct gal_str s, uint32_t seed);

/* --- the table of steps, for help, schema and documents --- */
struct gal_step_param {
    const char *name, *type; /* "number", "integer", "numbers", "text", "texts", "bool", "feature",
                                "features", "column" (a new one's name), "bands", "type" (a float's
                                datatype or any), "a|b|c". "feature" may be written `output` as
                                well, "features" `feature`, `output`, `outputs`; "numbers" and
                                "texts" of one item without brackets */
    bool required;
    const char *text; /* one line */
};
struct gal_step_kind {
    const char *name, *text;
    const struct gal_step_param *params;
    size_t param_count;
    bool before, after; /* where it may stand */
};
const struct gal_step_kind *gal_step_kinds(size_t *count);

#endif
