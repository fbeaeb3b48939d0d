/* SPDX-License-Identifier: Apache-2.0 */
/* A first galley.yaml, made from what is known of a model and written as YAML that explains itself:
 * every line has a comment that says what it is and what could stand there. What is only a
 * suggestion is written as a comment. What gal_draft_write gives, gal_manifest_read takes.
 *
 * Life: fill a struct gal_draft (gal_draft_from_model does most of it), then write it. Texts are
 * borrowed from their owners or the arena. Pure; any thread. */
#ifndef GAL_PACKAGE_DRAFT_H
#define GAL_PACKAGE_DRAFT_H

#include "backend/backend.h"
#include "base/buf.h"

/* A feature: one column of what the model takes. */
struct gal_draft_feature {
    struct gal_str name;
    const char *type; /* as galley.yaml spells it: "float", "int", "text", "UINT8" */
    size_t rank;      /* of a row; 0: one value */
    const int64_t *shape;
    bool nullable;
    const struct gal_str *values; /* the only texts that the model knows; NULL: none told */
    size_t value_count;
    bool values_open;       /* the model takes other texts too: `values` is a suggestion */
    bool like_before;       /* explained by the feature before: written without comments */
    const char *note;       /* where it was found; NULL: nothing to say */
    struct gal_str example; /* a literal as YAML takes it; empty: none */
    bool has_outlier;
    double outlier_below, outlier_above;
    const char *outlier_note; /* where the two come from */
};

struct gal_draft_output {
    struct gal_str name;
    struct gal_str unzip;         /* the model's ZipMap output that becomes this one; empty: none */
    const struct gal_str *labels; /* names of its classes; NULL: none */
    size_t label_count;
    const char *note;
};

/* Key and value of `serving:`, `metadata:` or `provenance:`. */
struct gal_draft_pair {
    struct gal_str key, value;
    bool literal; /* the value is written as it is: a number, a list */
    const char *note;
};

#define GAL_DRAFT_PAIRS_MAX 64u
struct gal_draft_pairs {
    struct gal_draft_pair at[GAL_DRAFT_PAIRS_MAX];
    size_t count;
};

struct gal_draft {
    const char *made_from; /* "model.onnx", "the MLflow model fraud" */
    struct gal_str name, version, description;
    struct gal_str model_file;
    const struct gal_str *model_files; /* further files of the model */
    size_t model_file_count;
    const struct gal_draft_feature *features; /* NULL: the model's own inputs */
    size_t feature_count;
    const char *no_features; /* why there are none; NULL: there are */
    const struct gal_draft_output *outputs;
    size_t output_count;
    struct gal_str probabilities; /* the output that decisions may be made from; empty: none */
    bool has_image;               /* an input looks like a picture */
    struct gal_str tokenizer;     /* a file beside a model that takes tokens; empty: none */
    struct gal_str golden_file;   /* empty: none */
    const char *golden_note;      /* where the cases come from */
    double rtol, atol;
    struct gal_draft_pairs serving, metadata, provenance;
    const struct gal_str *files; /* further files of the package */
    size_t file_count;
};

/* Fills features, outputs, description and the model's part of provenance from what the backend
 * tells: datatypes and shapes, metadata `feature_names` and `class_names`, texts that encoders
 * know. `names` says what a vector's elements are called where the metadata does not (name_count 0:
 * nobody knows). The draft is zeroed but for the fields that the caller has set. NO_MEMORY. */
enum gal_status gal_draft_from_model(struct gal_draft *d, const struct gal_model_info *info,
                                     const struct gal_str *names, size_t name_count,
                                     struct gal_arena *arena, struct gal_err *err);
/* Adds a pair; one without a value, of a key that is there, or too many, is left out. */
void gal_draft_pair(struct gal_draft_pairs *pairs, struct gal_str key, struct gal_str value,
                    const char *note);
/* The files that hold an ONNX model's weights beside it, as paths within its directory; in the
 * arena. What is no ONNX file names none: that is for the backend to say. INVALID when one lies
 * outside. */
#define GAL_DRAFT_EXTERNAL_MAX 64u
#define GAL_DRAFT_PATH_BYTES_MAX 512u
enum gal_status gal_draft_external(struct gal_str file, struct gal_arena *arena,
                                   const struct gal_str **names, size_t *count,
                                   struct gal_err *err);
/* A name as a package may have it, from a file's or a foreign model's: small letters, digits, '-',
 * '_', '.'; "model" when nothing is left. */
struct gal_str gal_draft_name(struct gal_str text, struct gal_arena *arena);
/* What a feature of that datatype is called in galley.yaml: "float", "INT8". */
const char *gal_draft_type(enum gal_dtype t);

/* Appends a text as a YAML scalar, in quotes where it needs them. */
void gal_draft_put_scalar(struct gal_buf *out, struct gal_str s);
void gal_draft_write(const struct gal_draft *d, struct gal_buf *out);

#endif
