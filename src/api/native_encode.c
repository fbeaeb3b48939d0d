/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs back to one JSON value a row: the bare value of a single output of one element, else an
 * object of all outputs by name. What is not there once a row stands whole under "outputs". */
#include "api/native.h"

#include "codec/tensor_json.h"

enum form {
    FORM_ABSENT,
    FORM_BARE,  /* a tensor, one element a row */
    FORM_ARRAY, /* a tensor, an array a row */
    FORM_ITEMS, /* a sequence, an item a row: ZipMap's maps */
    FORM_ALL,   /* whole, in the only row of a model without batch dimension */
    FORM_APART, /* whole, under "outputs" */
};

static enum gal_status put_value(const struct gal_value *v, struct gal_buf *out,
                                 struct gal_err *err);

/* {"setosa": 0.97, "0": 0.03}: integers become text, as JSON's keys are. */
static enum gal_status put_map(const struct gal_value *v, struct gal_buf *out, struct gal_err *err)
{
    const struct gal_tensor *keys = &v->items[0].tensor, *values = &v->items[1].tensor;
    const struct gal_str *names = keys->data;
    bool text = keys->dtype == GAL_DT_BYTES;
    enum gal_status st = GAL_OK;

    gal_buf_putc(out, '{');
    for (size_t i = 0; st == GAL_OK && i < keys->count && i < values->count; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        gal_buf_puts(out, text ? "" : "\"");
        if (text)
            gal_json_put_str(out, names[i]);
        else
            st = gal_element_to_json(keys, i, out, err);
        gal_buf_puts(out, text ? ":" : "\":");
        if (st == GAL_OK)
            st = gal_element_to_json(values, i, out, err);
    }
    gal_buf_putc(out, '}');
    return st;
}

static enum gal_status put_sequence(const struct gal_value *v, struct gal_buf *out,
                                    struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    gal_buf_putc(out, '[');
    for (size_t i = 0; st == GAL_OK && i < v->count; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        st = put_value(&v->items[i], out, err);
    }
    gal_buf_putc(out, ']');
    return st;
}

static enum gal_status put_value(const struct gal_value *v, struct gal_buf *out,
                                 struct gal_err *err)
{
    switch (v->kind) {
    case GAL_KIND_TENSOR:
        return gal_tensor_to_json(&v->tensor, true, out, err);
    case GAL_KIND_SEQUENCE:
        return put_sequence(v, out, err);
    case GAL_KIND_MAP:
        return put_map(v, out, err);
    case GAL_KIND_NONE:
        break;
    }
    gal_buf_puts(out, "null");
    return GAL_OK;
}

/* One element a row, by what the model declares: an open size is an array even when it is 1. */
static bool is_one_a_row(const struct gal_native_answer *a, size_t i, size_t skip)
{
    const struct gal_port *port = &a->model->info->outputs[i];
    const struct gal_tensor *t = &a->outputs[i].tensor;
    bool declared = port->shape_known && port->rank == t->rank;

    for (size_t k = skip; k < t->rank; k++)
        if (t->shape[k] != 1 || (declared && port->shape[k] != 1))
            return false;
    return true;
}

static enum form form_of(const struct gal_native_answer *a, size_t i)
{
    const struct gal_value *v = &a->outputs[i];
    enum form whole = a->model->batch_dim ? FORM_APART : FORM_ALL;

    switch (v->kind) {
    case GAL_KIND_TENSOR:
        if (v->tensor.rank > 0 && (size_t)v->tensor.shape[0] == a->rows)
            return is_one_a_row(a, i, 1) ? FORM_BARE : FORM_ARRAY;
        if (whole == FORM_ALL && is_one_a_row(a, i, 0))
            return FORM_BARE;
        return whole;
    case GAL_KIND_SEQUENCE:
        return v->count == a->rows ? FORM_ITEMS : whole;
    case GAL_KIND_MAP:
        return whole;
    case GAL_KIND_NONE:
        break;
    }
    return FORM_ABSENT;
}

static enum gal_status put_output(const struct gal_native_answer *a, size_t i, enum form form,
                                  size_t row, struct gal_buf *out, struct gal_err *err)
{
    const struct gal_value *v = &a->outputs[i];
    size_t stride = a->rows > 0 ? v->tensor.count / a->rows : 0;

    switch (form) {
    case FORM_BARE:
        return gal_element_to_json(&v->tensor, row, out, err);
    case FORM_ARRAY:
        return gal_slice_to_json(&v->tensor, row * stride, v->tensor.shape + 1, v->tensor.rank - 1,
                                 out, err);
    case FORM_ITEMS:
        return put_value(&v->items[row], out, err);
    case FORM_ALL:
    case FORM_APART:
    case FORM_ABSENT:
        break;
    }
    return put_value(v, out, err);
}

static bool in_row(enum form form)
{
    return form != FORM_ABSENT && form != FORM_APART;
}

/* Outputs of one row (or, `apart`, what belongs to no row) as an object. */
static enum gal_status put_object(const struct gal_native_answer *a, size_t row, bool apart,
                                  struct gal_buf *out, struct gal_err *err)
{
    enum gal_status st = GAL_OK;
    bool first = true;

    gal_buf_putc(out, '{');
    for (size_t i = 0; st == GAL_OK && i < a->output_count; i++) {
        enum form form = form_of(a, i);

        if (apart ? form != FORM_APART : !in_row(form))
            continue;
        if (!first)
            gal_buf_putc(out, ',');
        first = false;
        gal_json_put_str(out, a->model->info->outputs[i].name);
        gal_buf_putc(out, ':');
        st = put_output(a, i, form, row, out, err);
    }
    gal_buf_putc(out, '}');
    return st;
}

enum gal_status gal_native_put_rows(const struct gal_native_answer *a, bool bare,
                                    struct gal_buf *out, struct gal_err *err)
{
    enum form only = bare && a->output_count == 1 ? form_of(a, 0) : FORM_ABSENT;
    enum gal_status st = GAL_OK;

    gal_buf_putc(out, '[');
    for (size_t row = 0; st == GAL_OK && row < a->rows && !out->failed; row++) {
        if (row > 0)
            gal_buf_putc(out, ',');
        if (only == FORM_BARE)
            st = put_output(a, 0, only, row, out, err);
        else
            st = put_object(a, row, false, out, err);
    }
    gal_buf_putc(out, ']');
    return st;
}

bool gal_native_all_in_rows(const struct gal_native_answer *a)
{
    for (size_t i = 0; i < a->output_count; i++)
        if (!in_row(form_of(a, i)))
            return false;
    return true;
}

enum gal_status gal_native_put_whole(const struct gal_native_answer *a, struct gal_buf *out,
                                     struct gal_err *err)
{
    enum gal_status st = GAL_OK;

    gal_buf_putc(out, '{');
    for (size_t i = 0; st == GAL_OK && i < a->output_count; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        gal_json_put_str(out, a->model->info->outputs[i].name);
        gal_buf_putc(out, ':');
        st = put_value(&a->outputs[i], out, err);
    }
    gal_buf_putc(out, '}');
    return st;
}

/* `"predictions":[...]`; *items is where the items begin and end. */
static enum gal_status put_predictions(const struct gal_native_answer *a, struct gal_buf *out,
                                       size_t items[2], struct gal_err *err)
{
    enum form only = a->output_count == 1 ? form_of(a, 0) : FORM_ABSENT;
    enum gal_status st = GAL_OK;
    bool any = false;

    for (size_t i = 0; i < a->output_count; i++)
        any = any || in_row(form_of(a, i));
    gal_buf_puts(out, "\"predictions\":[");
    items[0] = out->n;
    for (size_t row = 0; any && st == GAL_OK && row < a->rows && !out->failed; row++) {
        if (row > 0)
            gal_buf_putc(out, ',');
        if (only == FORM_BARE)
            st = put_output(a, 0, only, row, out, err);
        else
            st = put_object(a, row, false, out, err);
    }
    items[1] = out->n;
    gal_buf_putc(out, ']');
    return st;
}

/* The only item once more as "prediction". */
static void repeat_prediction(struct gal_buf *out, const size_t items[2])
{
    size_t n = items[1] - items[0];
    char *p;

    if (n == 0 || out->failed)
        return;
    gal_buf_puts(out, ",\"prediction\":");
    p = gal_buf_reserve(out, n); /* may move what is copied */
    if (p == NULL)
        return;
    memcpy(p, out->p + items[0], n);
    out->n += n;
}

static enum gal_status put_apart(const struct gal_native_answer *a, struct gal_buf *out,
                                 struct gal_err *err)
{
    for (size_t i = 0; i < a->output_count; i++) {
        if (form_of(a, i) != FORM_APART)
            continue;
        gal_buf_puts(out, ",\"outputs\":");
        return put_object(a, 0, true, out, err);
    }
    return GAL_OK;
}

/* "review":true and "flags", where there are any. */
static void put_flags(const struct gal_native_answer *a, struct gal_buf *out)
{
    const struct gal_manifest *m = a->model->manifest;

    if (a->findings == NULL || a->findings->flagged == 0)
        return;
    gal_buf_puts(out, ",\"review\":true,\"flags\":[");
    for (size_t i = 0; i < a->findings->count; i++) {
        const struct gal_finding *f = &a->findings->at[i];

        gal_buf_puts(out, i > 0 ? ",{\"instance\":" : "{\"instance\":");
        gal_buf_put_u64(out, f->row);
        gal_buf_puts(out, ",\"field\":");
        gal_json_put_str(out, gal_check_field(m, f));
        gal_buf_puts(out, ",\"msg\":");
        gal_json_put_str(out, gal_str_of(f->message));
        gal_buf_puts(out, ",\"type\":\"");
        gal_buf_puts(out, f->type);
        gal_buf_puts(out, "\"}");
    }
    gal_buf_putc(out, ']');
}

static void put_times(const struct gal_native_answer *a, struct gal_buf *out)
{
    uint64_t us = a->now_us > a->start_us ? a->now_us - a->start_us : 0;
    char timestamp[GAL_TIMESTAMP_SIZE];
    char part[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                   (char)('0' + us % 10)};

    gal_buf_puts(out, ",\"processing_time_ms\":");
    gal_buf_put_u64(out, us / 1000);
    gal_buf_put(out, part, sizeof(part));
    gal_timestamp_format(a->wall_us, timestamp);
    gal_buf_puts(out, ",\"timestamp\":\"");
    gal_buf_puts(out, timestamp);
    gal_buf_putc(out, '"');
}

enum gal_status gal_native_encode(const struct gal_native_answer *a, struct gal_buf *out,
                                  struct gal_err *err)
{
    enum gal_status st;
    size_t items[2];

    gal_buf_puts(out, "{\"request_id\":");
    gal_json_put_str(out, gal_str_of(a->request_id));
    gal_buf_puts(out, ",\"model_name\":");
    gal_json_put_str(out, gal_str_of(a->model->name));
    gal_buf_puts(out, ",\"model_version\":");
    gal_json_put_str(out, gal_str_of(a->model->version));
    if (a->model->package_digest[0] != '\0') {
        gal_buf_puts(out, ",\"package_digest\":");
        gal_json_put_str(out, gal_str_of(a->model->package_digest));
    }
    gal_buf_putc(out, ',');
    st = put_predictions(a, out, items, err);
    if (st == GAL_OK && a->single)
        repeat_prediction(out, items);
    if (st == GAL_OK)
        st = put_apart(a, out, err);
    put_flags(a, out);
    put_times(a, out);
    if (a->single)
        gal_buf_puts(out, ",\"device\":\"cpu\"");
    gal_buf_putc(out, '}');
    return st;
}
