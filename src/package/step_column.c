/* SPDX-License-Identifier: Apache-2.0 */
/* Columns between steps: by name while compiling, memory and numbers while running. */
#include "package/step_impl.h"

#include "base/limits.h"
#include "base/name.h"

#include <math.h>

#undef gal_step_no_memory /* the analyzer's, see base/status.h */
enum gal_status gal_step_no_memory(struct gal_arena *a, struct gal_err *err)
{
    return gal_arena_fail(a, 1, "steps", err);
}

/* Room for one more in an array of the arena; pieces that grew stay behind, which doubling bounds.
 */
static bool make_room(struct gal_arena *a, void **items, size_t *cap, size_t count, size_t size)
{
    size_t more = *cap == 0 ? 16 : 2 * *cap;
    void *moved;

    if (count < *cap)
        return true;
    moved = gal_arena_array(a, more, size);
    if (moved == NULL)
        return false;
    if (count > 0)
        memcpy(moved, *items, count * size);
    *items = moved;
    *cap = more;
    return true;
}

/* --- names --- */

static struct gal_step_name *name_find(const struct gal_step_compiler *c, struct gal_str name)
{
    size_t at = (size_t)(uintptr_t)gal_map_get(&c->by_name, name);
    struct gal_step_name *found = at > 0 ? &c->names[at - 1] : NULL;

    return found != NULL && found->slot != SIZE_MAX && gal_str_eq(found->name, name) ? found : NULL;
}

static enum gal_status name_set(struct gal_step_compiler *c, struct gal_str name, size_t slot)
{
    struct gal_step_name *there = name_find(c, name);
    void *items = c->names;

    if (there != NULL) {
        there->slot = slot;
        return GAL_OK;
    }
    if (!make_room(c->arena, &items, &c->name_cap, c->name_count, sizeof(*c->names)))
        return gal_step_no_memory(c->arena, c->err);
    c->names = items;
    c->names[c->name_count++] = (struct gal_step_name){name, slot};
    if (gal_map_set(&c->by_name, name, (void *)(uintptr_t)c->name_count) != GAL_OK)
        return gal_fail(c->err, GAL_NO_MEMORY, "no memory for the names of columns");
    return GAL_OK;
}

char *gal_step_list(const struct gal_str *names, size_t count, char *out, size_t size)
{
    size_t shown = count > GAL_STEP_LISTED_MAX ? GAL_STEP_LISTED_MAX : count, n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < shown && n + 24 < size; i++) {
        int wrote = snprintf(out + n, size - n, "%s%.*s", i > 0 ? ", " : "",
                             (int)(names[i].n < 40 ? names[i].n : 40), names[i].p);

        n += wrote < 0 ? 0 : (size_t)wrote < size - n ? (size_t)wrote : size - n - 1;
    }
    if (shown < count && n + 1 < size)
        (void)snprintf(out + n, size - n, " and %zu more", count - shown);
    return out;
}

static enum gal_status refuse_name(struct gal_step_compiler *c, struct gal_str name, unsigned line)
{
    struct gal_str there[GAL_STEP_LISTED_MAX];
    size_t n = 0, all = 0;
    char text[160];
    enum gal_status st;

    for (size_t i = 0; i < c->name_count; i++) {
        if (c->names[i].slot == SIZE_MAX)
            continue;
        if (n < GAL_STEP_LISTED_MAX)
            there[n++] = c->names[i].name;
        all++;
    }
    st = gal_step_refuse(c, line, "%s: there is no column '%.*s' here", c->kind->name,
                         GAL_STR_SHOWN(name));
    gal_step_list(there, n, text, sizeof(text));
    if (c->err == NULL)
        return st;
    if (all > n)
        gal_err_hint(c->err, "there are: %s and %zu more", text, all - n);
    else
        gal_err_hint(c->err, all > 0 ? "there are: %s" : "there is none%s", text);
    return st;
}

enum gal_status gal_step_find(struct gal_step_compiler *c, struct gal_str name, unsigned line,
                              size_t *slot)
{
    const struct gal_step_name *found = name_find(c, name);

    if (found == NULL)
        return refuse_name(c, name, line);
    *slot = found->slot;
    if (found->slot < c->in_count)
        c->reads[found->slot] = true;
    return GAL_OK;
}

enum gal_status gal_step_rename(struct gal_step_compiler *c, struct gal_str from, struct gal_str to,
                                unsigned line)
{
    struct gal_step_name *source = name_find(c, from), *there = name_find(c, to);
    char *copy;

    if (source == NULL)
        return refuse_name(c, from, line);
    if (source == there)
        return GAL_OK;
    copy = gal_arena_strdup(c->arena, to);
    if (copy == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (there != NULL)
        there->slot = SIZE_MAX;
    source->name = (struct gal_str){copy, to.n};
    if (source->slot != SIZE_MAX)
        c->slots[source->slot].column.aside = false;
    if (gal_map_set(&c->by_name, source->name, (void *)(uintptr_t)(source - c->names + 1)) !=
        GAL_OK)
        return gal_fail(c->err, GAL_NO_MEMORY, "no memory for the names of columns");
    return GAL_OK;
}

/* --- slots --- */

static void *copy_of(struct gal_arena *a, const void *p, size_t bytes)
{
    void *copy = gal_arena_small(a, bytes);

    if (copy != NULL && bytes > 0)
        memcpy(copy, p, bytes);
    return copy;
}

enum gal_status gal_step_make(struct gal_step_compiler *c, const struct gal_column *column,
                              size_t *slot)
{
    struct gal_column copy = *column;
    void *items = c->slots;
    size_t bytes = column->rank * sizeof(*column->shape);
    char *name = gal_arena_strdup(c->arena, column->name);
    int64_t *shape = copy_of(c->arena, column->shape, bytes);

    if (column->rank >= GAL_RANK_MAX)
        return gal_step_refuse(c, c->line, "'%.*s' has more than %u dimensions",
                               GAL_STR_SHOWN(column->name), GAL_RANK_MAX);
    if (name == NULL || shape == NULL ||
        !make_room(c->arena, &items, &c->slot_cap, c->slot_count, sizeof(*c->slots)))
        return gal_step_no_memory(c->arena, c->err);
    c->slots = items;
    copy.name = (struct gal_str){name, column->name.n};
    copy.shape = shape;
    copy.aside = false;
    if (column->labels == NULL)
        copy.label_count = 0;
    c->slots[c->slot_count] = (struct gal_step_slot){copy, c->shape_count, true};
    c->shape_count += column->rank + 2; /* a single value's row has the size 1 */
    *slot = c->slot_count++;
    return name_set(c, copy.name, *slot);
}

enum gal_status gal_step_add(struct gal_step_compiler *c, const struct gal_step *step)
{
    void *items = c->steps;

    if (!make_room(c->arena, &items, &c->step_cap, c->step_count, sizeof(*c->steps)))
        return gal_step_no_memory(c->arena, c->err);
    c->steps = items;
    c->steps[c->step_count++] = *step;
    return GAL_OK;
}

enum gal_status gal_step_finish(struct gal_step_compiler *c, const struct gal_column *column,
                                struct gal_step *step)
{
    enum gal_status st = gal_step_make(c, column, &step->out);

    return st == GAL_OK ? gal_step_add(c, step) : st;
}

size_t gal_column_width(const struct gal_column *column)
{
    size_t width = 1;

    for (size_t i = 0; i < column->rank; i++)
        if (column->shape[i] < 0 || __builtin_mul_overflow(width, (size_t)column->shape[i], &width))
            return 0;
    return width;
}

enum gal_dtype gal_step_real(enum gal_dtype t)
{
    return t == GAL_DT_FP64 ? GAL_DT_FP64 : GAL_DT_FP32;
}

static enum gal_status refuse_column(struct gal_step_compiler *c, size_t slot, const char *wanted)
{
    const struct gal_column *column = gal_step_column(c, slot);

    return gal_step_refuse(c, c->line, "%s takes %s, and '%.*s' is %s", c->kind->name, wanted,
                           GAL_STR_SHOWN(column->name),
                           column->kind != GAL_KIND_TENSOR ? "a sequence of maps (see unzip)"
                                                           : gal_dtype_name(column->dtype));
}

enum gal_status gal_step_want_numbers(struct gal_step_compiler *c, size_t slot)
{
    const struct gal_column *column = gal_step_column(c, slot);

    if (column->kind == GAL_KIND_TENSOR && column->dtype != GAL_DT_BYTES &&
        column->dtype != GAL_DT_NONE)
        return GAL_OK;
    return refuse_column(c, slot, "numbers");
}

enum gal_status gal_step_want_text(struct gal_step_compiler *c, size_t slot)
{
    const struct gal_column *column = gal_step_column(c, slot);

    if (column->kind == GAL_KIND_TENSOR && column->dtype == GAL_DT_BYTES && !column->encoded)
        return GAL_OK;
    return refuse_column(c, slot, "texts");
}

enum gal_status gal_step_want_single(struct gal_step_compiler *c, size_t slot)
{
    const struct gal_column *column = gal_step_column(c, slot);
    char text[96];

    if (gal_column_width(column) == 1)
        return GAL_OK;
    return gal_step_refuse(c, c->line, "%s takes one value a row, and a row of '%.*s' is %s",
                           c->kind->name, GAL_STR_SHOWN(column->name),
                           gal_shape_format(column->shape, column->rank, text, sizeof(text)));
}

/* --- a run --- */

enum gal_status gal_step_fail_at(const struct gal_step_run *r, size_t slot, size_t at,
                                 const char *format, ...)
{
    const struct gal_column *c = &r->steps->slots[slot].column;
    size_t width = r->rows > 0 ? r->slots[slot].tensor.count / r->rows : 1;
    char text[sizeof(r->err->message)];
    va_list args;

    if (r->err == NULL)
        return GAL_INVALID;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)gal_fail(r->err, GAL_INVALID, "%s", text);
    if (width <= 1)
        gal_err_place(r->err, "%.*s[%zu]", GAL_STR_SHOWN(c->name), at);
    else
        gal_err_place(r->err, "%.*s[%zu][%zu]", GAL_STR_SHOWN(c->name), at / width, at % width);
    return GAL_INVALID;
}

void *gal_step_out(struct gal_step_run *r, size_t slot, const struct gal_tensor *like)
{
    const struct gal_step_slot *s = &r->steps->slots[slot];
    struct gal_tensor *t = &r->slots[slot].tensor;
    int64_t *shape = r->shapes + s->shape_at;
    void *data;

    r->slots[slot] = (struct gal_value){.kind = GAL_KIND_TENSOR};
    shape[0] = (int64_t)r->rows;
    shape[1] = 1;
    for (size_t i = 0; i < s->column.rank; i++)
        shape[i + 1] = s->column.shape[i] >= 0 ? s->column.shape[i] : like->shape[i + 1];
    *t = (struct gal_tensor){.name = s->column.name,
                             .dtype = s->column.dtype,
                             .rank = s->column.rank > 0 ? s->column.rank + 1 : 2,
                             .shape = shape};
    if (gal_shape_count(shape, t->rank, t->dtype, &t->count, r->err) != GAL_OK)
        return NULL;
    data = gal_arena_array(r->arena, t->count, gal_dtype_size(t->dtype));
    if (data == NULL)
        (void)gal_arena_fail(r->arena, t->count * gal_dtype_size(t->dtype), "a step's column",
                             r->err);
    t->data = data;
    return data;
}

#define GAL_LOAD(type)                                                                             \
    do {                                                                                           \
        const type *p_ = (const type *)t->data + at;                                               \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = (double)p_[i];                                                                 \
    } while (0)

void gal_step_load(double *to, const struct gal_tensor *t, size_t at, size_t n)
{
    switch (t->dtype) {
    case GAL_DT_FP32:
        GAL_LOAD(float);
        break;
    case GAL_DT_FP64:
        GAL_LOAD(double);
        break;
    case GAL_DT_INT64:
        GAL_LOAD(int64_t);
        break;
    case GAL_DT_INT32:
        GAL_LOAD(int32_t);
        break;
    case GAL_DT_INT16:
        GAL_LOAD(int16_t);
        break;
    case GAL_DT_INT8:
        GAL_LOAD(int8_t);
        break;
    case GAL_DT_UINT64:
        GAL_LOAD(uint64_t);
        break;
    case GAL_DT_UINT32:
        GAL_LOAD(uint32_t);
        break;
    case GAL_DT_UINT16:
        GAL_LOAD(uint16_t);
        break;
    case GAL_DT_UINT8:
    case GAL_DT_BOOL:
        GAL_LOAD(uint8_t);
        break;
    case GAL_DT_FP16:
        for (size_t i = 0; i < n; i++)
            to[i] = (double)gal_fp16_to_fp32(((const uint16_t *)t->data)[at + i]);
        break;
    case GAL_DT_BF16:
        for (size_t i = 0; i < n; i++)
            to[i] = (double)gal_bf16_to_fp32(((const uint16_t *)t->data)[at + i]);
        break;
    case GAL_DT_NONE:
    case GAL_DT_BYTES:
    case GAL_DT_COUNT:
        GAL_ASSERT(gal_dtype_is_int(t->dtype)); /* makers have looked */
    }
}

// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define GAL_STORE(type)                                                                            \
    do {                                                                                           \
        type *p_ = (type *)data + at;                                                              \
        for (size_t i = 0; i < n; i++)                                                             \
            p_[i] = (type)from[i];                                                                 \
    } while (0)
// NOLINTEND(bugprone-macro-parentheses)

void gal_step_store(void *data, enum gal_dtype t, size_t at, const double *from, size_t n)
{
    switch (t) {
    case GAL_DT_FP32:
        GAL_STORE(float);
        break;
    case GAL_DT_FP64:
        GAL_STORE(double);
        break;
    case GAL_DT_INT64:
        GAL_STORE(int64_t);
        break;
    case GAL_DT_INT32:
        GAL_STORE(int32_t);
        break;
    case GAL_DT_INT16:
        GAL_STORE(int16_t);
        break;
    case GAL_DT_INT8:
        GAL_STORE(int8_t);
        break;
    case GAL_DT_UINT64:
        GAL_STORE(uint64_t);
        break;
    case GAL_DT_UINT32:
        GAL_STORE(uint32_t);
        break;
    case GAL_DT_UINT16:
        GAL_STORE(uint16_t);
        break;
    case GAL_DT_UINT8:
    case GAL_DT_BOOL:
        GAL_STORE(uint8_t);
        break;
    case GAL_DT_FP16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)data)[at + i] = gal_fp16_from_fp64(from[i]);
        break;
    case GAL_DT_BF16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)data)[at + i] = gal_bf16_from_fp64(from[i]);
        break;
    case GAL_DT_NONE:
    case GAL_DT_BYTES:
    case GAL_DT_COUNT:
        GAL_ASSERT(gal_dtype_is_int(t)); /* makers have looked */
    }
}

double gal_step_narrow(double v, enum gal_dtype t)
{
    if (t == GAL_DT_FP32)
        return (double)(float)v;
    if (t == GAL_DT_FP16)
        return (double)gal_fp16_to_fp32(gal_fp16_from_fp64(v));
    return t == GAL_DT_BF16 ? (double)gal_bf16_to_fp32(gal_bf16_from_fp64(v)) : v;
}
