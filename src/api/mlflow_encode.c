/* SPDX-License-Identifier: Apache-2.0 */
#include "api/mlflow.h"

#include "codec/tensor_json.h"

/* --- CSV --- */

static void put_text(struct gal_buf *out, struct gal_str s)
{
    bool plain = s.n > 0;

    for (size_t i = 0; plain && i < s.n; i++)
        plain = s.p[i] != ',' && s.p[i] != '"' && s.p[i] != '\n' && s.p[i] != '\r';
    if (plain) {
        gal_buf_put_str(out, s);
        return;
    }
    gal_buf_putc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            gal_buf_putc(out, '"');
        gal_buf_putc(out, s.p[i]);
    }
    gal_buf_putc(out, '"');
}

static enum gal_status put_cell(const struct gal_tensor *t, size_t i, struct gal_buf *out,
                                struct gal_err *err)
{
    size_t before = out->n;
    enum gal_status st;

    if (t->dtype == GAL_DT_BYTES) {
        put_text(out, ((const struct gal_str *)t->data)[i]);
        return GAL_OK;
    }
    st = gal_element_to_json(t, i, out, err);
    if (st == GAL_OK && !out->failed && out->p[before] == '"') { /* "NaN" and its kin */
        memmove(out->p + before, out->p + before + 1, out->n - before - 2);
        out->n -= 2;
    }
    return st;
}

/* Elements [from, from + count) with commas before all but a line's first. */
static enum gal_status put_cells(const struct gal_tensor *t, size_t from, size_t count, bool *first,
                                 struct gal_buf *out, struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    for (size_t i = from; st == GAL_OK && i < from + count; i++) {
        if (!*first)
            gal_buf_putc(out, ',');
        *first = false;
        st = put_cell(t, i, out, err);
    }
    return st;
}

/* What a row has of an output: elements of a tensor, or a map's values in the order of its keys. */
static enum gal_status put_part(const struct gal_native_answer *a, const struct gal_value *v,
                                size_t row, bool *first, struct gal_buf *out, struct gal_err *err)
{
    const struct gal_value *item = v;

    if (v->kind == GAL_KIND_TENSOR && v->tensor.rank > 0 && a->model->batch_dim)
        return put_cells(&v->tensor, row * (v->tensor.count / a->rows), v->tensor.count / a->rows,
                         first, out, err);
    if (v->kind == GAL_KIND_TENSOR)
        return put_cells(&v->tensor, 0, v->tensor.count, first, out, err);
    if (v->kind == GAL_KIND_SEQUENCE)
        item = &v->items[row];
    if (item->kind == GAL_KIND_MAP)
        item = &item->items[1];
    if (item->kind != GAL_KIND_TENSOR)
        return gal_fail(err, GAL_UNSUPPORTED, "output '%.*s' has no form in CSV",
                        GAL_STR_ARG(v->tensor.name));
    return put_cells(&item->tensor, 0, item->tensor.count, first, out, err);
}

static enum gal_status put_csv(const struct gal_native_answer *a, struct gal_buf *out,
                               struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    if (!gal_native_all_in_rows(a))
        return gal_fail(err, GAL_UNSUPPORTED,
                        "an output of the model has no part for each row, so there is no CSV of "
                        "it: ask for application/json");
    for (size_t row = 0; st == GAL_OK && row < a->rows && !out->failed; row++) {
        bool first = true;

        for (size_t i = 0; st == GAL_OK && i < a->output_count; i++)
            st = put_part(a, &a->outputs[i], row, &first, out, err);
        gal_buf_putc(out, '\n');
    }
    return st;
}

enum gal_status gal_mlflow_encode(const struct gal_native_answer *a, enum gal_mlflow_answer form,
                                  struct gal_buf *out, struct gal_err *err)
{
    enum gal_status st;

    if (form == GAL_MLFLOW_CSV)
        return put_csv(a, out, err);
    gal_buf_puts(out, "{\"predictions\":");
    if (form == GAL_MLFLOW_WHOLE || !gal_native_all_in_rows(a))
        st = gal_native_put_whole(a, out, err);
    else
        st = gal_native_put_rows(a, form == GAL_MLFLOW_VALUES, out, err);
    gal_buf_putc(out, '}');
    return st;
}
