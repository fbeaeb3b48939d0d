/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rows.h"

#include "base/limits.h"

#include <math.h>

#define ROWS 3u
#define RELATIVE 1e-4
#define ABSOLUTE 1e-5
#define ROW_BYTES_MAX (1u << 20)
#define TRIAL_BYTES_MAX (64u << 20)

struct trial {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model_info *info;
    struct gal_arena arena;
    struct gal_value *inputs;            /* of all rows */
    struct gal_value *outputs[ROWS + 1]; /* of each row alone, then of all */
    bool has_run[ROWS + 1];
};

static bool is_plain(const struct gal_port *p, bool is_input)
{
    if (p->kind != GAL_KIND_TENSOR || p->optional || p->dtype == GAL_DT_NONE ||
        p->dtype == GAL_DT_BYTES)
        return false;
    if (!p->shape_known || p->rank == 0 || p->shape[0] >= 0)
        return false;
    for (size_t i = 1; is_input && i < p->rank; i++) {
        if (p->shape[i] <= 0)
            return false;
    }
    return true;
}

static bool is_plain_model(const struct gal_model_info *info)
{
    bool plain = info->input_count > 0 && info->output_count > 0;
    for (size_t i = 0; plain && i < info->input_count; i++)
        plain = is_plain(&info->inputs[i], true);
    for (size_t i = 0; plain && i < info->output_count; i++)
        plain = is_plain(&info->outputs[i], false);
    return plain;
}

/* Element i of a row of that scale: numbers that differ from row to row and repeat from run to
 * run. */
static void put_element(enum gal_dtype t, void *data, size_t i, float scale)
{
    uint32_t mixed = (uint32_t)i * 2654435761u + 12345u;
    float f = ((float)(mixed >> 16) / 32768.0f - 1.0f) * scale;
    double d = f;
    uint16_t h = t == GAL_DT_BF16 ? gal_bf16_from_fp32(f) : gal_fp16_from_fp32(f);
    uint64_t n = mixed >> 31; /* 0 or 1: an index, a flag */
    const void *from = t == GAL_DT_FP32   ? (const void *)&f
                       : t == GAL_DT_FP64 ? (const void *)&d
                                          : &n;
    if (t == GAL_DT_FP16 || t == GAL_DT_BF16)
        from = &h;
    size_t size = gal_dtype_size(t);
    memcpy((char *)data + i * size, from, size);
}

static bool make_input(struct trial *t, const struct gal_port *p, struct gal_value *v)
{
    /* A model that scales by the largest of all rows shows it only on rows of different size. */
    static const float scales[ROWS] = {0.125f, 1, 8};
    int64_t *shape = gal_arena_array(&t->arena, p->rank, sizeof *shape);
    size_t count;
    if (!shape)
        return false;
    memcpy(shape, p->shape, p->rank * sizeof *shape);
    shape[0] = ROWS;
    if (gal_shape_count(shape, p->rank, p->dtype, &count, NULL) != GAL_OK ||
        count * gal_dtype_size(p->dtype) > ROWS * ROW_BYTES_MAX)
        return false;
    char *data = gal_arena_array(&t->arena, count, gal_dtype_size(p->dtype));
    if (!data)
        return false;
    for (size_t i = 0; i < count; i++)
        put_element(p->dtype, data, i, scales[i / (count / ROWS)]);
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

/* Row `row` of all against the one row of `alone`. */
static bool same_row(const struct gal_tensor *all, const struct gal_tensor *alone, size_t row)
{
    size_t size = gal_dtype_size(all->dtype), n = alone->count;
    if (all->dtype != alone->dtype || all->rank == 0 || alone->rank != all->rank ||
        all->shape[0] != ROWS || alone->shape[0] != 1 || all->count != ROWS * n ||
        memcmp(all->shape + 1, alone->shape + 1, (all->rank - 1) * sizeof *all->shape) != 0)
        return false;
    if (!gal_dtype_is_float(all->dtype))
        return n == 0 ||
               memcmp((const char *)all->data + row * n * size, alone->data, n * size) == 0;
    for (size_t i = 0; i < n; i++) {
        if (!same_number(number(alone, i), number(all, row * n + i)))
            return false;
    }
    return true;
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
            if (!same_row(&t->outputs[ROWS][i].tensor, &t->outputs[row][i].tensor, row))
                return false;
        }
    }
    return true;
}

bool gal_rows_are_apart(const struct gal_backend_ops *ops, struct gal_session *session)
{
    struct trial t = {.ops = ops, .session = session, .info = ops->info(session)};
    if (!is_plain_model(t.info))
        return false;
    gal_arena_init(&t.arena, GAL_ARENA_FIRST_BYTES, 0, TRIAL_BYTES_MAX);
    bool apart = try_rows(&t);
    for (size_t run = 0; run <= ROWS; run++) {
        for (size_t i = 0; t.has_run[run] && i < t.info->output_count; i++)
            ops->release_output(session, &t.outputs[run][i]);
    }
    gal_arena_release(&t.arena);
    return apart;
}
