/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rows.h"

#include "base/limits.h"

#include <math.h>

#define ROWS 3u
#define RELATIVE 1e-4
#define ABSOLUTE 1e-5
#define ROW_BYTES_MAX (1u << 20)
#define TRIAL_BYTES_MAX (64u << 20)
#define TEN(s) s s s s s s s s s s

struct trial {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model_info *info;
    int64_t open_size; /* of open dimensions behind the first */
    struct gal_arena arena;
    struct gal_value *inputs;            /* of all rows */
    struct gal_value *outputs[ROWS + 1]; /* of each row alone, then of all */
    bool has_run[ROWS + 1];
    uint64_t least; /* of integers: they are this or one more; booleans are true from 1 on */
    bool words;     /* texts of one word, of ten, of a hundred */
};

static bool is_plain_input(const struct gal_port *p)
{
    if (p->kind != GAL_KIND_TENSOR || p->optional || p->dtype == GAL_DT_NONE || !p->shape_known ||
        p->rank == 0 || p->shape[0] >= 0)
        return false;
    for (size_t i = 1; i < p->rank; i++) {
        if (p->shape[i] == 0)
            return false;
    }
    return true;
}

static bool is_plain_output(const struct gal_port *p)
{
    if (p->kind == GAL_KIND_SEQUENCE)
        return p->of_maps;
    return p->kind == GAL_KIND_TENSOR && p->dtype != GAL_DT_NONE && p->shape_known && p->rank > 0 &&
           p->shape[0] < 0;
}

static bool is_plain_model(const struct gal_model_info *info)
{
    bool plain = info->input_count > 0 && info->output_count > 0;
    for (size_t i = 0; plain && i < info->input_count; i++)
        plain = is_plain_input(&info->inputs[i]);
    for (size_t i = 0; plain && i < info->output_count; i++)
        plain = is_plain_output(&info->outputs[i]);
    return plain;
}

/* Element i of a row of that scale: numbers that differ from row to row and repeat from run to
 * run. */
static void put_element(enum gal_dtype t, void *data, size_t i, float scale, uint64_t least)
{
    uint32_t mixed = (uint32_t)i * 2654435761u + 12345u;
    float f = ((float)(mixed >> 16) / 32768.0f - 1.0f) * scale;
    double d = f;
    uint16_t h = t == GAL_DT_BF16 ? gal_bf16_from_fp32(f) : gal_fp16_from_fp32(f);
    uint64_t n = least + (mixed >> 31); /* 0 or 1: an index, a flag */
    if (t == GAL_DT_BOOL)
        n = n > 0;
    const void *from = t == GAL_DT_FP32   ? (const void *)&f
                       : t == GAL_DT_FP64 ? (const void *)&d
                                          : &n;
    if (t == GAL_DT_FP16 || t == GAL_DT_BF16)
        from = &h;
    size_t size = gal_dtype_size(t);
    memcpy((char *)data + i * size, from, size);
}

/* A text that the model knows, where it tells one: encoders may refuse any other. */
static void put_text(const struct gal_port *p, struct gal_str *text, size_t i, size_t row,
                     bool words)
{
    static const char *const made_up[2][ROWS] = {{"1", "2", "3"}, {"1", TEN("2 "), TEN(TEN("3 "))}};
    size_t known = p->value_count < GAL_PORT_VALUES_MAX ? p->value_count : GAL_PORT_VALUES_MAX;
    *text = p->values && known > 0 ? p->values[(i + row) % known] : gal_str_of(made_up[words][row]);
}

static void fill(const struct trial *t, const struct gal_port *p, void *data, size_t count)
{
    /* A model that scales by the largest of all rows shows it only on rows of different size. */
    static const float scales[ROWS] = {0.125f, 1, 8};
    for (size_t i = 0; i < count; i++) {
        size_t row = i / (count / ROWS);
        if (p->dtype == GAL_DT_BYTES)
            put_text(p, (struct gal_str *)data + i, i, row, t->words);
        else
            put_element(p->dtype, data, i, scales[row], t->least);
    }
}

static bool make_input(struct trial *t, const struct gal_port *p, struct gal_value *v)
{
    int64_t *shape = gal_arena_array(&t->arena, p->rank, sizeof *shape);
    size_t count;
    if (!shape)
        return false;
    for (size_t i = 0; i < p->rank; i++)
        shape[i] = p->shape[i] < 0 ? t->open_size : p->shape[i];
    shape[0] = ROWS;
    if (gal_shape_count(shape, p->rank, p->dtype, &count, NULL) != GAL_OK ||
        count * gal_dtype_size(p->dtype) > ROWS * ROW_BYTES_MAX)
        return false;
    char *data = gal_arena_array(&t->arena, count, gal_dtype_size(p->dtype));
    if (!data)
        return false;
    fill(t, p, data, count);
    *v = (struct gal_value){.kind = GAL_KIND_TENSOR,
                            .tensor = {p->name, p->dtype, p->rank, shape, count, data}};
    return true;
}

/* Rows [from, from + rows) of all inputs; outputs into slot `run`. */
static bool run_rows(struct trial *t, size_t from, size_t rows, size_t run)
{
    const struct gal_model_info *info = t->info;
    struct gal_value *in = gal_arena_array(&t->arena, info->input_count, sizeof *in);
    size_t *wanted = gal_arena_array(&t->arena, info->output_count, sizeof *wanted);
    t->outputs[run] = gal_arena_array(&t->arena, info->output_count, sizeof **t->outputs);
    if (!in || !wanted || !t->outputs[run])
        return false;
    for (size_t i = 0; i < info->input_count; i++) {
        struct gal_tensor *x = &in[i].tensor;
        in[i] = t->inputs[i];
        size_t row = x->count / ROWS;
        int64_t *shape = gal_arena_array(&t->arena, x->rank, sizeof *shape);
        if (!shape)
            return false;
        memcpy(shape, x->shape, x->rank * sizeof *shape);
        shape[0] = (int64_t)rows;
        x->shape = shape;
        x->data = (const char *)x->data + from * row * gal_dtype_size(x->dtype);
        x->count = rows * row;
    }
    for (size_t i = 0; i < info->output_count; i++)
        wanted[i] = i;
    t->has_run[run] = t->ops->run(t->session, in, wanted, info->output_count, &t->arena,
                                  t->outputs[run], NULL) == GAL_OK;
    return t->has_run[run];
}

static double number(const struct gal_tensor *t, size_t i)
{
    switch (t->dtype) {
    case GAL_DT_FP16:
        return gal_fp16_to_fp32(((const uint16_t *)t->data)[i]);
    case GAL_DT_BF16:
        return gal_bf16_to_fp32(((const uint16_t *)t->data)[i]);
    case GAL_DT_FP32:
        return ((const float *)t->data)[i];
    default:
        return ((const double *)t->data)[i];
    }
}

/* What is no number, or none that counts, hides what the model did with the rows. */
static bool same_number(double a, double b)
{
    return isfinite(a) && isfinite(b) && fabs(a - b) <= ABSOLUTE + RELATIVE * fabs(a);
}

/* Elements [from, from + n) of a against the first n of b. */
static bool same_elements(const struct gal_tensor *a, size_t from, const struct gal_tensor *b,
                          size_t n)
{
    size_t size = gal_dtype_size(a->dtype);
    if (a->dtype != b->dtype)
        return false;
    for (size_t i = 0; a->dtype == GAL_DT_BYTES && i < n; i++) {
        if (!gal_str_eq(((const struct gal_str *)a->data)[from + i],
                        ((const struct gal_str *)b->data)[i]))
            return false;
    }
    for (size_t i = 0; gal_dtype_is_float(a->dtype) && i < n; i++) {
        if (!same_number(number(b, i), number(a, from + i)))
            return false;
    }
    if (a->dtype == GAL_DT_BYTES || gal_dtype_is_float(a->dtype) || n == 0)
        return true;
    return memcmp((const char *)a->data + from * size, b->data, n * size) == 0;
}

/* Row `row` of all against the one row of `alone`. */
static bool same_tensor_row(const struct gal_tensor *all, const struct gal_tensor *alone,
                            size_t row)
{
    size_t n = alone->count;
    if (all->rank == 0 || alone->rank != all->rank || all->shape[0] != ROWS ||
        alone->shape[0] != 1 || all->count != ROWS * n ||
        memcmp(all->shape + 1, alone->shape + 1, (all->rank - 1) * sizeof *all->shape) != 0)
        return false;
    return same_elements(all, row * n, alone, n);
}

static bool same_map(const struct gal_value *a, const struct gal_value *b)
{
    if (a->kind != GAL_KIND_MAP || b->kind != GAL_KIND_MAP)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct gal_tensor *x = &a->items[i].tensor, *y = &b->items[i].tensor;
        if (x->count != y->count || !same_elements(x, 0, y, y->count))
            return false;
    }
    return true;
}

static bool same_row(const struct gal_value *all, const struct gal_value *alone, size_t row)
{
    if (all->kind != alone->kind)
        return false;
    if (all->kind == GAL_KIND_SEQUENCE)
        return all->count == ROWS && alone->count == 1 &&
               same_map(&all->items[row], &alone->items[0]);
    return all->kind == GAL_KIND_TENSOR && same_tensor_row(&all->tensor, &alone->tensor, row);
}

static bool try_rows(struct trial *t)
{
    t->inputs = gal_arena_array(&t->arena, t->info->input_count, sizeof *t->inputs);
    if (!t->inputs)
        return false;
    for (size_t i = 0; i < t->info->input_count; i++) {
        if (!make_input(t, &t->info->inputs[i], &t->inputs[i]))
            return false;
    }
    if (!run_rows(t, 0, ROWS, ROWS))
        return false;
    for (size_t row = 0; row < ROWS; row++) {
        if (!run_rows(t, row, 1, row))
            return false;
        for (size_t i = 0; i < t->info->output_count; i++) {
            if (!same_row(&t->outputs[ROWS][i], &t->outputs[row][i], row))
                return false;
        }
    }
    return true;
}

/* Some answer is no number. */
static bool is_blind(const struct trial *t)
{
    for (size_t run = 0; run <= ROWS; run++) {
        for (size_t i = 0; t->has_run[run] && i < t->info->output_count; i++) {
            const struct gal_tensor *y = &t->outputs[run][i].tensor;
            if (t->outputs[run][i].kind != GAL_KIND_TENSOR || !gal_dtype_is_float(y->dtype))
                continue;
            for (size_t k = 0; k < y->count; k++) {
                if (!isfinite(number(y, k)))
                    return true;
            }
        }
    }
    return false;
}

static bool takes_integers(const struct gal_model_info *info)
{
    for (size_t i = 0; i < info->input_count; i++) {
        if (info->inputs[i].dtype != GAL_DT_BYTES && !gal_dtype_is_float(info->inputs[i].dtype))
            return true;
    }
    return false;
}

static void end_try(struct trial *t)
{
    for (size_t run = 0; run <= ROWS; run++) {
        for (size_t i = 0; t->has_run[run] && i < t->info->output_count; i++)
            t->ops->release_output(t->session, &t->outputs[run][i]);
        t->has_run[run] = false;
    }
    gal_arena_clear(&t->arena);
}

bool gal_rows_are_apart(const struct gal_backend_ops *ops, struct gal_session *session,
                        int64_t open_size)
{
    struct trial t = {
        .ops = ops, .session = session, .info = ops->info(session), .open_size = open_size};
    if (!is_plain_model(t.info))
        return false;
    gal_arena_init(&t.arena, GAL_ARENA_FIRST_BYTES, 0, TRIAL_BYTES_MAX);
    bool apart = try_rows(&t);
    /* A mean over the tokens of a mask that is all 0 is none: ask again with masks of others. */
    bool again = !apart && takes_integers(t.info) && is_blind(&t);
    end_try(&t);
    if (again) {
        t.least = 1;
        apart = try_rows(&t);
        end_try(&t);
    }
    gal_arena_release(&t.arena);
    return apart;
}

bool gal_rows_bear_padding(const struct gal_backend_ops *ops, struct gal_session *session)
{
    struct trial t = {
        .ops = ops, .session = session, .info = ops->info(session), .open_size = 1, .words = true};
    if (!is_plain_model(t.info))
        return false;
    gal_arena_init(&t.arena, GAL_ARENA_FIRST_BYTES, 0, TRIAL_BYTES_MAX);
    bool apart = try_rows(&t);
    end_try(&t);
    gal_arena_release(&t.arena);
    return apart;
}
