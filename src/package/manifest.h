/* SPDX-License-Identifier: Apache-2.0 */
/* galley.yaml, the manifest of a package: what the model takes (features), what happens to it
 * before and after, how it proves itself, how it is served. Read from YAML, every field checked,
 * every error with its line. The fields are a table (package/manifest.def), from which the JSON
 * Schema for editors is made too. Plain data in an arena, immutable. Any thread. */
#ifndef GAL_PACKAGE_MANIFEST_H
#define GAL_PACKAGE_MANIFEST_H

#include "base/buf.h"
#include "package/expression.h"
#include "tensor/tensor.h"
#include "text/yaml.h"

struct gal_feature_check;
struct gal_step_kind;

#define GAL_MANIFEST_FILE "galley.yaml"
#define GAL_FEATURES_MAX 4096u
#define GAL_RULES_MAX 1024u
#define GAL_STABILITY_SAMPLES_MAX 256u
#define GAL_MANIFEST_PAIRS_MAX 1024u /* resources, metadata, provenance: each */

/* What a user writes as `type:`. */
enum gal_feature_type {
    GAL_FEATURE_NUMBER, /* float, double, int, ... or a tensor's datatype (FP32, INT64) */
    GAL_FEATURE_BOOL,
    GAL_FEATURE_TEXT,
    GAL_FEATURE_IMAGE, /* an encoded PNG or JPEG; carried as BYTES, decoded by the `image` step */
};

enum gal_outlier_action { GAL_OUTLIER_NONE, GAL_OUTLIER_REFUSE, GAL_OUTLIER_FLAG };

/* What becomes of an answer that is in doubt (VAL-08). */
enum gal_doubt_action { GAL_DOUBT_FLAG, GAL_DOUBT_REFUSE };

/* A value of a feature: number, text or bool by the feature's type. */
struct gal_literal {
    bool set;
    bool null;           /* of `default` alone, where the feature is nullable: number is NaN, text
                            empty */
    double number;       /* also of a bool, 0 or 1 */
    int64_t integer;     /* exact, of integer features */
    struct gal_str text; /* as written */
};

struct gal_feature {
    struct gal_str name, description, unit;
    enum gal_feature_type type;
    enum gal_dtype dtype;    /* of the column. A nullable integer is carried as FP64, null as NaN; a
                                null text as the empty text */
    enum gal_dtype declared; /* as `type` says: INT64 of a nullable int, whose dtype is FP64 */
    size_t rank;             /* of a row; 0: one value, whose column is [rows,1] */
    const int64_t *shape;    /* of a row; -1: open */
    bool integral;           /* only whole numbers, whatever dtype carries them */
    bool nullable;
    struct gal_literal absent;  /* `default`: stands for a missing feature, in every place of its
                                   shape; unset: it is required */
    struct gal_literal example; /* the same */
    struct gal_literal gt, ge, lt, le; /* bounds of numbers; dates and the like are not numbers */
    uint64_t length_min, length_max;   /* of text, in code points; UINT64_MAX: no bound */
    const struct gal_literal *values;  /* `values`: the only ones allowed; NULL: any */
    size_t value_count;
    const char *pattern; /* POSIX extended regular expression, whole text; NULL */
    const char *message; /* instead of galley's own words when a check fails; NULL */
    enum gal_outlier_action outlier;
    struct gal_literal outlier_below, outlier_above; /* either may be unset */
    const char *outlier_message;                     /* NULL: "NAME value suspicious" */
    const struct gal_feature_check *check;           /* package/check.c's */
    unsigned line;
};

/* Rules over several features: `rules:` (VAL-05): LEFT OP RIGHT. */
enum gal_rule_op { GAL_RULE_LT, GAL_RULE_LE, GAL_RULE_GT, GAL_RULE_GE, GAL_RULE_EQ, GAL_RULE_NE };
struct gal_rule {
    struct gal_expression left, right; /* one feature at least in the two */
    enum gal_rule_op op;
    const char *message;
    struct gal_str field; /* that the error is about; a feature's name */
    unsigned line;
};

/* An output after the last step, in the order in which it is answered. */
struct gal_output {
    struct gal_str name, description;
    const struct gal_str *labels; /* names of classes; NULL */
    size_t label_count;
    unsigned line;
};

struct gal_pair {
    struct gal_str key, value;
    unsigned line;
};

/* `stability:` (VAL-08): does a decision stand when numbers are a little other? */
struct gal_stability {
    struct gal_str output; /* the decision; empty: nothing is looked at */
    double noise;          /* of a number's size, at most */
    uint64_t samples;      /* moved copies a row */
    double agreement_min;  /* share of the copies that decide as the row does */
    enum gal_doubt_action action;
    const char *message;            /* NULL: galley's own words */
    const struct gal_str *features; /* that move; NULL: all numbers that may */
    size_t feature_count;
};

enum gal_unknown { GAL_UNKNOWN_REFUSE, GAL_UNKNOWN_IGNORE };

struct gal_manifest {
    uint64_t format;                           /* `galley: 1` */
    struct gal_str name, version, description; /* version: MAJOR.MINOR.PATCH */
    struct gal_str model_file, model_format;   /* relative path; "onnx" */
    const struct gal_str *model_files;         /* further files of it (external data) */
    size_t model_file_count;
    const struct gal_feature *features; /* NULL: the model's own inputs are the package's */
    size_t feature_count;
    enum gal_unknown unknown_features;
    const struct gal_rule *rules;
    size_t rule_count;
    const struct gal_yaml *before, *after; /* lists of steps for package/steps.h; NULL: none */
    const struct gal_output *outputs;      /* NULL: all, as they come */
    size_t output_count;
    struct gal_str golden_file;     /* empty: none */
    double rtol, atol;              /* of golden cases that bring none; 1e-5 and 1e-6 untold */
    const struct gal_yaml *serving; /* keys of a model in galley's configuration
                                       (docs/configuration.md), for model/; NULL: none */
    bool require_cuda;
    double confidence_min;        /* VAL-08, REG-11: below it an answer is in doubt; NaN: none */
    struct gal_str confidence_of; /* the output that is looked at */
    enum gal_doubt_action confidence_action;
    const char *confidence_message; /* NULL: galley's own words */
    struct gal_stability stability;
    const struct gal_pair *resources, *metadata, *provenance; /* texts, flattened: "metrics.auc" */
    size_t resource_count, metadata_count, provenance_count;
    struct gal_str freeze_file; /* provenance.freeze: a requirements list in the package; empty */
    struct gal_str owner, licence;
    const struct gal_str *files; /* further files that go into the package (docs, licences) */
    size_t file_count;
    const char *path; /* for places of errors: "galley.yaml" */
};

/* Everything lies in the arena; text is borrowed while the manifest lives. INVALID with
 * "galley.yaml:14" as place and what would be right as hint. */
enum gal_status gal_manifest_read(struct gal_str text, const char *path, struct gal_arena *arena,
                                  struct gal_manifest **out, struct gal_err *err);
/* What others know of the file. */
struct gal_manifest_key {
    const char *name, *help;
    const char *schema; /* of its value, in JSON */
};
struct gal_manifest_parts {
    const struct gal_step_kind *steps; /* package/steps.h */
    size_t step_count;
    const struct gal_manifest_key *serving; /* keys of `serving` */
    size_t serving_count;
};
/* JSON Schema (draft 2020-12) of the file, for editors. */
void gal_manifest_schema(struct gal_buf *out, const struct gal_manifest_parts *parts);
/* All fields as text for people. */
void gal_manifest_describe(struct gal_buf *out, const struct gal_manifest_parts *parts);
/* A number that `stability` may change a little: no list says which values there are. */
bool gal_feature_moves(const struct gal_feature *f);
/* Index of a feature; SIZE_MAX: none. */
size_t gal_manifest_feature(const struct gal_manifest *m, struct gal_str name);

#endif
