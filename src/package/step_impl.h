/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of steps. A step of the manifest is made by its kind's maker, which looks at
 * parameters and columns and adds operations; an operation reads slots and fills one or two. A slot
 * is one column as it stands between two operations: it is filled once in a run, so nothing is ever
 * overwritten, and a name is only looked up while compiling. */
#ifndef GAL_PACKAGE_STEP_IMPL_H
#define GAL_PACKAGE_STEP_IMPL_H

#include "base/map.h"
#include "package/steps.h"

#define GAL_STEP_BLOCK 256u         /* values that are worked on as FP64 at a time, on the stack */
#define GAL_STEP_WIDTH_MAX 1048576u /* values of a row that a step makes: of a one_hot, a hash */
#define GAL_STEP_LISTED_MAX 12u     /* names in a message */

struct gal_step_run {
    const struct gal_steps *steps;
    struct gal_value *slots;
    int64_t *shapes;                /* room for the shapes of all slots that are made */
    const struct gal_tensor **keys; /* by slot: classes that the model told; NULL until unzip */
    size_t rows;
    struct gal_arena *arena;
    struct gal_err *err;
};

struct gal_step {
    enum gal_status (*run)(const struct gal_step *s, struct gal_step_run *r);
    size_t in, out, out_more; /* slots; SIZE_MAX: none */
    const void *state;        /* the kind's own; arena's */
};

struct gal_step_slot {
    struct gal_column column;
    size_t shape_at; /* in gal_step_run.shapes: of rows and a row's sizes */
    bool made;
};

struct gal_steps {
    const struct gal_step *steps;
    size_t step_count;
    const struct gal_step_slot *slots;
    size_t slot_count, in_count, shape_count;
    const struct gal_column *columns; /* after the last step */
    const size_t *column_slots;
    size_t column_count;
    const bool *reads; /* in_count */
    bool pads;
};

/* A name that is, or was, a column's. */
struct gal_step_name {
    struct gal_str name;
    size_t slot; /* SIZE_MAX: renamed away */
};

struct gal_step_compiler {
    const struct gal_steps_context *context;
    struct gal_arena *arena;
    struct gal_err *err;
    const struct gal_step_kind *kind;
    const struct gal_yaml *node; /* the parameters of the step that is being made */
    unsigned line;
    bool for_output; /* its column was written as `output` */
    struct gal_step *steps;
    size_t step_count, step_cap;
    struct gal_step_slot *slots;
    size_t slot_count, slot_cap, in_count, shape_count;
    struct gal_step_name *names; /* in the order of the columns */
    size_t name_count, name_cap;
    struct gal_map by_name; /* to names' indexes plus one */
    bool *reads;
    bool pads; /* a step has made rows as long as the longest of the batch */
};

/* --- errors --- */
/* INVALID at a line of the manifest. */
enum gal_status gal_step_refuse(struct gal_step_compiler *c, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum gal_status gal_step_no_memory(struct gal_arena *a, struct gal_err *err);
#ifdef __clang_analyzer__
#define gal_step_no_memory(...) gal_fail_known((gal_step_no_memory)(__VA_ARGS__), GAL_NO_MEMORY)
#endif
/* INVALID about a row of a slot's column: the place is "name[3]", "name[3][1]" of wide ones. `at`
 * is the element in the tensor. */
enum gal_status gal_step_fail_at(const struct gal_step_run *r, size_t slot, size_t at,
                                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "a, b, c and 40 more" into out, cut at its size. */
char *gal_step_list(const struct gal_str *names, size_t count, char *out, size_t size);

/* --- parameters (package/step_param.c). All were held against the kind's table before its maker
 * runs: a getter finds what the table promises, or nothing --- */
enum gal_status gal_step_check_params(struct gal_step_compiler *c);
/* NULL: not written. */
const struct gal_yaml *gal_step_get(const struct gal_step_compiler *c, const char *name);
unsigned gal_step_line(const struct gal_step_compiler *c, const char *name);
bool gal_step_number(const struct gal_step_compiler *c, const char *name, double *out);
bool gal_step_integer(const struct gal_step_compiler *c, const char *name, int64_t *out);
/* Both leave *out as it is where nothing is written. */
void gal_step_bool(const struct gal_step_compiler *c, const char *name, bool *out);
void gal_step_text(const struct gal_step_compiler *c, const char *name, struct gal_str *out);
/* Index in the "a|b|c" of the table; `untold` where it is not written. */
size_t gal_step_choice(const struct gal_step_compiler *c, const char *name, size_t untold);
/* NULL with *count 0: not written. */
enum gal_status gal_step_numbers(struct gal_step_compiler *c, const char *name, double **out,
                                 size_t *count);
enum gal_status gal_step_texts(struct gal_step_compiler *c, const char *name, struct gal_str **out,
                               size_t *count);
/* `type`; untold where it is not written. */
enum gal_dtype gal_step_dtype(const struct gal_step_compiler *c, enum gal_dtype untold);
/* Texts that stand for numbers: "1e-3", ".nan", "-.inf". */
bool gal_step_to_number(struct gal_str text, double *out);

/* --- columns --- */
/* The slot of a column by name, marked as read. */
enum gal_status gal_step_find(struct gal_step_compiler *c, struct gal_str name, unsigned line,
                              size_t *slot);
/* Those that `features` (feature, output, outputs) names; at least one. */
enum gal_status gal_step_sources(struct gal_step_compiler *c, size_t **slots, size_t *count);
enum gal_status gal_step_source(struct gal_step_compiler *c, size_t *slot); /* the only one */
/* Name of what is made from a slot: `to`, or the slot's own. */
struct gal_str gal_step_to(const struct gal_step_compiler *c, size_t slot);
/* A column behind this step; rank, shape and labels are borrowed. */
enum gal_status gal_step_make(struct gal_step_compiler *c, const struct gal_column *column,
                              size_t *slot);
enum gal_status gal_step_rename(struct gal_step_compiler *c, struct gal_str from, struct gal_str to,
                                unsigned line);
enum gal_status gal_step_add(struct gal_step_compiler *c, const struct gal_step *step);
/* What most makers end with: the column that the step makes becomes step->out, and it is added. */
enum gal_status gal_step_finish(struct gal_step_compiler *c, const struct gal_column *column,
                                struct gal_step *step);
static inline const struct gal_column *gal_step_column(const struct gal_step_compiler *c,
                                                       size_t slot)
{
    return &c->slots[slot].column;
}
/* Values of a row; 0: open. */
size_t gal_column_width(const struct gal_column *column);
/* Refuse what a step does not take. */
enum gal_status gal_step_want_numbers(struct gal_step_compiler *c, size_t slot);
enum gal_status gal_step_want_text(struct gal_step_compiler *c, size_t slot);
enum gal_status gal_step_want_single(struct gal_step_compiler *c, size_t slot);
/* FP32, but FP64 stays FP64. */
enum gal_dtype gal_step_real(enum gal_dtype t);

/* --- a run --- */
/* A slot's tensor. */
static inline const struct gal_tensor *gal_step_in(const struct gal_step_run *r, size_t slot)
{
    return &r->slots[slot].tensor;
}
/* Memory for a slot's elements, its tensor set up; sizes that are open are taken from `like`. NULL
 * with err. */
void *gal_step_out(struct gal_step_run *r, size_t slot, const struct gal_tensor *like);
/* What a step returns when gal_step_out gave NULL. */
static inline enum gal_status gal_step_no_out(const struct gal_step_run *r)
{
    return r->err != NULL && r->err->code != GAL_OK ? r->err->code : GAL_NO_MEMORY;
}
/* n values from element `at` on, any numeric datatype and BOOL. */
void gal_step_load(double *to, const struct gal_tensor *t, size_t at, size_t n);
/* The same of as many as there are, GAL_STEP_BLOCK at most; returns how many, 0 at the end. */
static inline size_t gal_step_block(double to[GAL_STEP_BLOCK], const struct gal_tensor *t,
                                    size_t at)
{
    size_t left = t->count - at, n = left < GAL_STEP_BLOCK ? left : GAL_STEP_BLOCK;

    if (n > 0)
        gal_step_load(to, t, at, n);
    return n;
}
/* Floats are rounded once; whole numbers must fit (the caller has looked). */
void gal_step_store(void *data, enum gal_dtype t, size_t at, const double *from, size_t n);
/* Place of a class among those that came with the maps; SIZE_MAX: none. */
size_t gal_step_key(const struct gal_step_run *r, size_t slot, struct gal_str label);
double gal_step_narrow(double v, enum gal_dtype t); /* as a float column would hold it */

/* --- makers, by kind --- */
enum gal_status gal_step_make_kind(const struct gal_step_kind *kind, struct gal_step_compiler *c);
enum gal_status gal_step_make_impute(struct gal_step_compiler *c);
enum gal_status gal_step_make_missing(struct gal_step_compiler *c);
enum gal_status gal_step_make_text(struct gal_step_compiler *c);
enum gal_status gal_step_make_clip(struct gal_step_compiler *c);
enum gal_status gal_step_make_log(struct gal_step_compiler *c);
enum gal_status gal_step_make_exp(struct gal_step_compiler *c);
enum gal_status gal_step_make_power(struct gal_step_compiler *c);
enum gal_status gal_step_make_scale(struct gal_step_compiler *c);
enum gal_status gal_step_make_normalize(struct gal_step_compiler *c);
enum gal_status gal_step_make_bucketize(struct gal_step_compiler *c);
enum gal_status gal_step_make_one_hot(struct gal_step_compiler *c);
enum gal_status gal_step_make_ordinal(struct gal_step_compiler *c);
enum gal_status gal_step_make_hash(struct gal_step_compiler *c);
enum gal_status gal_step_make_image(struct gal_step_compiler *c);
enum gal_status gal_step_make_tokenize(struct gal_step_compiler *c);
enum gal_status gal_step_make_constant(struct gal_step_compiler *c);
enum gal_status gal_step_make_cast(struct gal_step_compiler *c);
enum gal_status gal_step_make_assemble(struct gal_step_compiler *c);
enum gal_status gal_step_make_rename(struct gal_step_compiler *c);
enum gal_status gal_step_make_unzip(struct gal_step_compiler *c);
enum gal_status gal_step_make_pool(struct gal_step_compiler *c);
enum gal_status gal_step_make_softmax(struct gal_step_compiler *c);
enum gal_status gal_step_make_sigmoid(struct gal_step_compiler *c);
enum gal_status gal_step_make_pick(struct gal_step_compiler *c);
enum gal_status gal_step_make_round(struct gal_step_compiler *c);
enum gal_status gal_step_make_threshold(struct gal_step_compiler *c);
enum gal_status gal_step_make_bands(struct gal_step_compiler *c);
enum gal_status gal_step_make_argmax(struct gal_step_compiler *c);
enum gal_status gal_step_make_labels(struct gal_step_compiler *c);
enum gal_status gal_step_make_top_k(struct gal_step_compiler *c);

#endif
