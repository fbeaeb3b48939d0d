/* SPDX-License-Identifier: Apache-2.0 */
/* Native REST: rows of JSON become a model's inputs, its outputs become one JSON value a row.
 *
 * A row is an object of named features or an array of values. What the names are depends on the
 * model: with several inputs (or a single one of one element) each input is a feature; with one
 * vector the metadata's feature_names name its elements. Without names a row is an array, flat or
 * nested by the input's shape, or {"INPUT": array}. A model without a batch dimension takes one
 * row a request, which is its whole tensor. Sizes that the model leaves open are those of the
 * first row.
 *
 * Thread: the caller's; memory from the arena, text from the parsed body. */
#ifndef GAL_API_NATIVE_H
#define GAL_API_NATIVE_H

#include "api/infer.h"
#include "package/check.h"
#include "text/json.h"

/* One thing that is wrong with a body, as root[row].key followed by indexes:
 * instances[3].hour_of_day, features[2], model_version. */
struct gal_native_error {
    struct gal_str root; /* empty: the body itself, or a key that stands in it */
    size_t row;          /* SIZE_MAX: none */
    struct gal_str key;  /* p NULL: none */
    const char *indexes; /* "[1][0]"; "" */
    const char *type;    /* missing, unknown, duplicate, type, length, range, value; static */
    const char *message;
};

/* Beyond so many, the rest of the body is not looked at. */
#define GAL_NATIVE_ERRORS_MAX 64

struct gal_native_errors {
    size_t count;
    struct gal_native_error at[GAL_NATIVE_ERRORS_MAX];
};

enum gal_native_form {
    GAL_NATIVE_FEATURES,  /* {"features": row} */
    GAL_NATIVE_FLAT,      /* the body is the row, an object of named features */
    GAL_NATIVE_INSTANCES, /* {"instances": [row, ...]} */
};

struct gal_native {
    enum gal_native_form form;
    yyjson_val *data; /* the row, or the array of rows */
    size_t rows;
    struct gal_str version; /* `model_version`; empty when absent or null */
    /* Of other dialects' requests, empty in a native one. */
    struct gal_str root;           /* where errors say that the rows stand; p NULL: by the form */
    const struct gal_str *columns; /* names of the values of rows that are arrays; NULL: none */
    size_t column_count;           /* of columns */
    struct gal_str columns_root;   /* where errors say that the columns stand */
    struct gal_str unwrap;         /* a row {UNWRAP: row} stands for the row; p NULL: none */
    struct gal_native_errors errors;
};

/* Takes the body apart, before the model is known. `batch`: only instances will do. INVALID when
 * n->errors has something. */
enum gal_status gal_native_envelope(yyjson_val *root, bool batch, struct gal_arena *arena,
                                    struct gal_native *n);
/* Fills inputs (the model's, in its order) from n's rows. INVALID: n->errors has all that is wrong;
 * anything else (NO_MEMORY, UNSUPPORTED, TOO_LARGE) is in err. */
enum gal_status gal_native_decode(const struct gal_model *m, struct gal_native *n,
                                  struct gal_arena *arena, struct gal_value *inputs,
                                  struct gal_err *err);
/* Adds what a package's features have found wrong with rows that were decoded, at n's places.
 * Beyond GAL_NATIVE_ERRORS_MAX, and at places that have an error already, nothing is added. */
void gal_native_find(struct gal_native *n, const struct gal_manifest *m,
                     const struct gal_findings *findings, struct gal_arena *arena);
/* Notes an error of the body's key `root` (empty: of the body). message is copied. */
void gal_native_wrong(struct gal_native *n, struct gal_arena *arena, struct gal_str root,
                      const char *type, const char *message);
/* instances[3].hour_of_day[0], cut to size. Returns out. */
const char *gal_native_error_place(const struct gal_native_error *e, char *out, size_t size);
/* Appends {"detail": [...], "request_id": ...}. */
void gal_native_put_errors(const struct gal_native_errors *errors, const char *request_id,
                           struct gal_buf *out);

/* Appends the answer, a JSON object, to out. INVALID, UNSUPPORTED: an output has no form in JSON.
 */
struct gal_native_answer {
    const char *request_id;
    const struct gal_model *model;
    const struct gal_value *outputs;
    size_t output_count;
    const struct gal_findings *findings; /* of gal_native_encode: flags are told; NULL: none */
    size_t rows;
    bool single;     /* "prediction" beside "predictions" */
    uint64_t now_us; /* monotonic: since start_us is the time that it took */
    uint64_t start_us;
    uint64_t wall_us;
};
enum gal_status gal_native_encode(const struct gal_native_answer *a, struct gal_buf *out,
                                  struct gal_err *err);

/* Appends rows as a JSON array: an object of all outputs a row, or where `bare` the value itself of
 * a single output of one element a row. */
enum gal_status gal_native_put_rows(const struct gal_native_answer *a, bool bare,
                                    struct gal_buf *out, struct gal_err *err);
/* True when every output has a part for each row. */
bool gal_native_all_in_rows(const struct gal_native_answer *a);
/* Appends {"OUTPUT": value, ...}, tensors whole and nested by their shapes. */
enum gal_status gal_native_put_whole(const struct gal_native_answer *a, struct gal_buf *out,
                                     struct gal_err *err);

/* The sizes of `spec` with open ones as v (may be NULL) tells: nested as spec, or flat when one is
 * open. False when v does not tell; they are 1 then. */
bool gal_native_settle(const int64_t *spec, size_t rank, yyjson_val *v, int64_t *out);
/* Lengths of the arrays that v begins with, one a level; returns how many levels. */
size_t gal_native_nesting(yyjson_val *v, size_t lens[GAL_RANK_MAX]);

/* A port's shape for one row: without the batch dimension, where the model has one. */
const int64_t *gal_native_row_shape(const struct gal_model *m, const struct gal_port *port,
                                    size_t *rank);
/* How many of m->feature_names name the elements of its only input: all, or 0 when they do not
 * fit it. */
size_t gal_native_name_count(const struct gal_model *m);
/* True when a row of this port is one bare value. */
bool gal_native_is_bare(const struct gal_model *m, const struct gal_port *port);

#endif
