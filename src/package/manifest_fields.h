/* SPDX-License-Identifier: Apache-2.0 */
/* The table of galley.yaml's fields (manifest.def) as data, and the reader over it. Of package/
 * alone. Immutable; any thread. */
#ifndef GAL_PACKAGE_MANIFEST_FIELDS_H
#define GAL_PACKAGE_MANIFEST_FIELDS_H

#include "base/limits.h"
#include "package/manifest.h"

/* Mappings of the file. MODEL, GOLDEN, CONFIDENCE and STABILITY fill TOP's struct, OUTLIER fills
 * FEATURE's. */
enum gal_object {
    GAL_OBJECT_NONE,
    GAL_OBJECT_TOP,
    GAL_OBJECT_MODEL,
    GAL_OBJECT_FEATURE,
    GAL_OBJECT_OUTLIER,
    GAL_OBJECT_RULE,
    GAL_OBJECT_OUTPUT,
    GAL_OBJECT_GOLDEN,
    GAL_OBJECT_CONFIDENCE,
    GAL_OBJECT_STABILITY,
    GAL_OBJECT_COUNT
};

/* Storage in parentheses. */
enum gal_field_kind {
    GAL_FIELD_TEXT,     /* (gal_str) min..max characters */
    GAL_FIELD_LINE,     /* (const char *) one line of min..max characters */
    GAL_FIELD_NAME,     /* (gal_str) letters, digits, - _ . */
    GAL_FIELD_COLUMN,   /* (gal_str) any text without control characters, min..max bytes */
    GAL_FIELD_OPERAND,  /* (gal_str) an expression (package/expression.h) of min..max bytes */
    GAL_FIELD_VERSION,  /* (gal_str) */
    GAL_FIELD_PATH,     /* (gal_str) within the package */
    GAL_FIELD_PATHS,    /* (const gal_str *, size_t) at most max */
    GAL_FIELD_TEXTS,    /* (const gal_str *, size_t) min..max of them */
    GAL_FIELD_TERM,     /* (gal_str) one of words */
    GAL_FIELD_WORD,     /* (an enum) min + the place in words */
    GAL_FIELD_FLAG,     /* (bool) true where one of words stands */
    GAL_FIELD_BOOL,     /* (bool) */
    GAL_FIELD_COUNT,    /* (uint64_t) min..max */
    GAL_FIELD_NUMBER,   /* (double) min..max */
    GAL_FIELD_TYPE,     /* (a feature's type, dtype, declared, integral) */
    GAL_FIELD_SHAPE,    /* (const int64_t *, size_t) min..max sizes */
    GAL_FIELD_LITERAL,  /* (gal_literal) by the feature's type; words "null": null too */
    GAL_FIELD_LITERALS, /* (const gal_literal *, size_t) min..max of them */
    GAL_FIELD_STEPS,   /* (const gal_yaml *) a list of at most max steps; words: where they stand */
    GAL_FIELD_MAP,     /* (const gal_yaml *) a mapping that others read */
    GAL_FIELD_PAIRS,   /* (const gal_pair *, size_t) flattened; words: the only keys, whose values
                          are quantities */
    GAL_FIELD_OBJECT,  /* the child, in the same struct; words: its field that a scalar fills */
    GAL_FIELD_OBJECTS, /* (array, size_t) min..max of the child; words as of OBJECT */
    GAL_FIELD_KIND_COUNT
};

#define GAL_FIELD_NEEDED 1u
#define GAL_FIELD_FIRST 2u

struct gal_field {
    enum gal_object object;
    const char *name;
    enum gal_field_kind kind;
    size_t at, count_at; /* of the members in the object's struct */
    double min, max;
    unsigned flags;
    const char *words; /* "a|b", or as the kind says */
    enum gal_object child;
    const char *help;
};
extern const struct gal_field gal_fields[];
extern const size_t gal_field_count;

/* A rule before its features are known. */
struct gal_rule_draft {
    struct gal_str left, right, field;
    enum gal_rule_op op;
    const char *message;
    unsigned line;
};
/* TOP's struct. */
struct gal_manifest_draft {
    struct gal_manifest m;
    const struct gal_rule_draft *rules;
    size_t rule_count;
};

/* One reading of a file. */
struct gal_manifest_reader {
    const char *path;
    struct gal_arena *arena;
    struct gal_err *err;
    char where[256]; /* "features[2].outlier": the mapping or list being read; "": the file */
    size_t where_n;
};

/* A type that a feature may have. */
struct gal_type_name {
    const char *name;
    enum gal_feature_type type;
    enum gal_dtype dtype;
};
extern const struct gal_type_name gal_type_names[];
extern const size_t gal_type_name_count;

/* The message gets the field's path in front; the place is the node's line. Returns INVALID. */
enum gal_status gal_manifest_fail(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__
#define gal_manifest_fail(...) gal_fail_known((gal_manifest_fail)(__VA_ARGS__), GAL_INVALID)
#endif
enum gal_status gal_manifest_no_memory(struct gal_manifest_reader *r);
#ifdef __clang_analyzer__
#define gal_manifest_no_memory(...)                                                                \
    gal_fail_known((gal_manifest_no_memory)(__VA_ARGS__), GAL_NO_MEMORY)
#endif
/* Where errors are: enters "features", "[2]"; gal_manifest_leave takes what enter returned. */
size_t gal_manifest_enter(struct gal_manifest_reader *r, struct gal_str name, size_t index);
#define GAL_NO_INDEX SIZE_MAX
void gal_manifest_leave(struct gal_manifest_reader *r, size_t before);

/* Reads a mapping by the table into base, which has been filled with what is untold. */
enum gal_status gal_manifest_object(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    enum gal_object object, void *base);
/* A field of no child; base: the object's struct. */
enum gal_status gal_manifest_value(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_field *f, char *base);
/* The list that `node` is, as an array of items of `size` bytes (arena's) and its length, both in
 * the object at `base` where f says. read_item fills one, which is all zero, of that object.
 * INVALID when there are too few or too many for f. */
enum gal_status gal_manifest_list(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, char *base, size_t size,
                                  enum gal_status (*read_item)(struct gal_manifest_reader *r,
                                                               const struct gal_yaml *node,
                                                               const struct gal_field *f,
                                                               char *base, char *item));
/* The number of JSON's grammar that a plain scalar is; false when it is none or beyond FP64. */
bool gal_manifest_number(struct gal_str text, double *out);
enum gal_status gal_manifest_literal(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                     const struct gal_feature *f, bool null_is_fine,
                                     struct gal_literal *out);
enum gal_status gal_manifest_pairs(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const char *words, const struct gal_pair **out, size_t *count);
/* What a feature's fields say together; called when it has been read. */
enum gal_status gal_manifest_feature_done(struct gal_manifest_reader *r,
                                          const struct gal_yaml *node, struct gal_feature *f);
/* True when `word` is one of "a|b|c"; *place says which. */
bool gal_word_in(const char *words, struct gal_str word, unsigned *place);
bool gal_manifest_is_null(const struct gal_yaml *node);

#endif
