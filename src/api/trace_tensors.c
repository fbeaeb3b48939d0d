/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a traced inference as lines of JSON, in Triton's form: `data` is text, elements in
 * row-major order with commas between, and so is `shape`. */
#include "api/infer.h"
#include "api/trace_impl.h"
#include "base/base64.h"
#include "codec/tensor_json.h"
#include "text/json.h"

/* Elements of BYTES as they are, in base64 where they are no text. */
static void join_text(const struct gal_tensor *t, struct gal_buf *out)
{
    const struct gal_str *items = t->data;

    for (size_t i = 0; i < t->count; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        if (gal_utf8_valid(items[i]))
            gal_buf_put_str(out, items[i]);
        else
            gal_base64_put(out, items[i]);
    }
}

/* JSON's array without its brackets, and without the quotes around NaN and the infinities. */
static void join_numbers(const struct gal_tensor *t, struct gal_buf *out)
{
    struct gal_err ignored;
    size_t n = 0;

    if (gal_tensor_to_json(t, false, out, &ignored) != GAL_OK || out->failed || out->n < 2)
        return;
    for (size_t i = 1; i + 1 < out->n; i++)
        if (out->p[i] != '"')
            out->p[n++] = out->p[i];
    out->n = n;
}

static void put_tensor(struct gal_buf *out, struct gal_buf *scratch, const struct gal_tensor *t,
                       struct gal_str name, uint64_t id, const char *activity)
{
    gal_buf_clear(scratch, SIZE_MAX);
    if (t->dtype == GAL_DT_BYTES)
        join_text(t, scratch);
    else
        join_numbers(t, scratch);
    gal_buf_puts(out, "{\"id\":");
    gal_buf_put_u64(out, id);
    gal_buf_puts(out, ",\"activity\":\"");
    gal_buf_puts(out, activity);
    gal_buf_puts(out, "\",\"tensor\":{\"name\":");
    gal_json_put_str(out, name);
    gal_buf_puts(out, ",\"data\":");
    gal_json_put_str(out, gal_buf_str(scratch));
    gal_buf_puts(out, ",\"shape\":\"");
    for (size_t i = 0; i < t->rank; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        gal_buf_put_i64(out, t->shape[i]);
    }
    gal_buf_puts(out, "\",\"dtype\":\"");
    gal_buf_puts(out, gal_dtype_name(t->dtype));
    gal_buf_puts(out, "\"}}\n");
}

void gal_trace_put_tensors(struct gal_buf *out, const struct gal_exchange *x, uint64_t id)
{
    const struct gal_model_info *info = x->model->info;
    const struct gal_infer *inf = x->infer;
    struct gal_buf scratch;

    gal_buf_init(&scratch, out->max);
    scratch.budget = out->budget;
    for (size_t i = 0; i < info->input_count; i++)
        if (inf->inputs[i].kind == GAL_KIND_TENSOR)
            put_tensor(out, &scratch, &inf->inputs[i].tensor, info->inputs[i].name, id,
                       "TENSOR_QUEUE_INPUT");
    for (size_t i = 0; i < inf->wanted_count && x->outcome == GAL_OK; i++)
        if (inf->outputs[i].kind == GAL_KIND_TENSOR)
            put_tensor(out, &scratch, &inf->outputs[i].tensor, info->outputs[inf->wanted[i]].name,
                       id, "TENSOR_BACKEND_OUTPUT");
    out->failed |= scratch.failed;
    gal_buf_release(&scratch);
}
