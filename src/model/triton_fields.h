/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a message of a config.pbtxt by a table of its fields. Shared by model/triton*.c alone. */
#ifndef GAL_MODEL_TRITON_FIELDS_H
#define GAL_MODEL_TRITON_FIELDS_H

#include "model/triton.h"
#include "text/pbtxt.h"

/* One config.pbtxt being read. */
struct gal_triton {
    const char *path, *dir, *name; /* see gal_triton_read */
    struct gal_model_config *c;
    struct gal_arena *arena;
    struct gal_err *err;
    /* what only the end can judge */
    bool has_dynamic_batching;
    unsigned priority_line; /* of default_priority_level; 0: none */
    size_t preferred_max;   /* the largest preferred_batch_size, and where it stands */
    unsigned preferred_line;
    unsigned workers; /* sum of the instance groups */
    const struct gal_declared **declared_tail;
    const struct gal_config_note **notes_tail;
};

enum gal_triton_kind {
    GAL_TRITON_INT,  /* value.i */
    GAL_TRITON_UINT, /* value.u */
    GAL_TRITON_FLAG, /* value.b */
    GAL_TRITON_TEXT, /* value.text: UTF-8 without NUL, the tree's */
    GAL_TRITON_WORD, /* value.text: an enum's name */
    GAL_TRITON_MESSAGE,
};

/* How often a field stands in its message. MAP is repeated { key value } in the text format and an
 * object in JSON. */
enum gal_triton_times { GAL_TRITON_ONCE, GAL_TRITON_MANY, GAL_TRITON_MAP };

struct gal_triton_value {
    int64_t i;
    uint64_t u;
    bool b;
    struct gal_str text;
};

/* A row. Exactly one of take, no_effect and refused is set; refused FLAGs are taken when false. */
struct gal_triton_field {
    const char *name;
    enum gal_triton_kind kind;
    enum gal_triton_times times;
    /* `to` is what the table's reader was given */
    enum gal_status (*take)(struct gal_triton *t, const struct gal_pbtxt *n,
                            const struct gal_triton_value *v, void *to);
    const char *no_effect; /* why */
    const char *refused;   /* what to do */
};

struct gal_triton_table {
    const char *prefix; /* "dynamic_batching."; "" at the top */
    const struct gal_triton_field *fields;
    size_t count;
};
#define GAL_TRITON_TABLE(prefix, fields)                                                           \
    {                                                                                              \
        prefix, fields, sizeof(fields) / sizeof((fields)[0])                                       \
    }

/* Each field of the message, in its order, by its row. */
enum gal_status gal_triton_read_message(struct gal_triton *t, const struct gal_pbtxt *message,
                                        const struct gal_triton_table *table, void *to);
/* Fills the error: INVALID at the node's line. */
enum gal_status gal_triton_refuse(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const char *format, ...) __attribute__((format(printf, 3, 4)));
enum gal_status gal_triton_no_memory(struct gal_triton *t);
enum gal_status gal_triton_note(struct gal_triton *t, unsigned line, const char *field,
                                const char *reason);
/* How many times a field stands in a message, elements of its lists counted. */
size_t gal_triton_count(const struct gal_pbtxt *message, const char *name);
/* A TYPE_ name; refuses what is none. */
enum gal_status gal_triton_take_type(struct gal_triton *t, const struct gal_pbtxt *n,
                                     struct gal_str word, enum gal_dtype *out);

/* --- the parts, each behind its table --- */
enum gal_status gal_triton_take_batching(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to);
enum gal_status gal_triton_take_warmup(struct gal_triton *t, const struct gal_pbtxt *n,
                                       const struct gal_triton_value *v, void *to);
enum gal_status gal_triton_take_optimization(struct gal_triton *t, const struct gal_pbtxt *n,
                                             const struct gal_triton_value *v, void *to);
enum gal_status gal_triton_take_parameter(struct gal_triton *t, const struct gal_pbtxt *n,
                                          const struct gal_triton_value *v, void *to);

#endif
