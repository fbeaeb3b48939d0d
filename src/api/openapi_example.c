/* SPDX-License-Identifier: Apache-2.0 */
#include "api/native.h"
#include "api/openapi.h"
#include "api/validate.h"

/* Longer examples help nobody. */
#define ELEMENTS_MAX 1024u

static void put_value(struct gal_buf *out, const struct gal_model *m, const struct gal_port *port)
{
    bool one = m->probe_try == 1; /* the warm-up's other inputs are of other shapes */
    const struct gal_feature *f = gal_validate_feature(m, (size_t)(port - m->info->inputs));

    if (f != NULL && gal_doc_feature_example(out, f))
        return;
    if (port->dtype == GAL_DT_BOOL)
        gal_doc_raw(out, NULL, one ? "true" : "false");
    else if (port->dtype == GAL_DT_BYTES && port->values != NULL)
        gal_doc_str(out, NULL, port->values[0]);
    else if (port->dtype == GAL_DT_BYTES)
        gal_doc_text(out, NULL, one ? "1" : "");
    else
        gal_doc_raw(out, NULL, one ? "1" : "0");
}

static size_t elements(const int64_t *shape, size_t rank)
{
    size_t n = 1;

    for (size_t i = 0; i < rank && n > 0 && n <= ELEMENTS_MAX; i++)
        n *= shape[i] < 0                       ? 1
             : shape[i] > (int64_t)ELEMENTS_MAX ? ELEMENTS_MAX + 1
                                                : (size_t)shape[i];
    return n;
}

static bool has_example(const struct gal_model *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->info->input_count; i++) {
        const struct gal_port *p = &m->info->inputs[i];

        if (p->optional)
            continue;
        if (p->kind != GAL_KIND_TENSOR || p->dtype == GAL_DT_NONE || !p->shape_known)
            return false;
        if (elements(p->shape, p->rank) == 0)
            return false;
        n += elements(p->shape, p->rank);
    }
    return n > 0 && n <= ELEMENTS_MAX && m->probe_try <= 1;
}

static void put_nested(struct gal_buf *out, const struct gal_model *m, const struct gal_port *port,
                       const int64_t *shape, size_t rank)
{
    if (rank == 0) {
        put_value(out, m, port);
        return;
    }
    gal_doc_open(out, NULL, '[');
    for (int64_t i = 0; i < (shape[0] < 0 ? 1 : shape[0]); i++)
        put_nested(out, m, port, shape + 1, rank - 1);
    gal_doc_close(out, ']');
}

static void put_features(struct gal_buf *out, const struct gal_model *m)
{
    size_t names = gal_native_name_count(m), rank;

    gal_buf_putc(out, '{');
    for (size_t i = 0; i < names; i++) {
        gal_doc_str(out, NULL, gal_str_of(m->feature_names[i]));
        gal_buf_putc(out, ':');
        put_value(out, m, &m->info->inputs[0]);
    }
    for (size_t i = 0; names == 0 && i < m->info->input_count; i++) {
        const struct gal_port *p = &m->info->inputs[i];
        const int64_t *shape = gal_native_row_shape(m, p, &rank);

        if (p->optional)
            continue;
        gal_doc_str(out, NULL, p->name);
        gal_buf_putc(out, ':');
        put_nested(out, m, p, shape, gal_native_is_bare(m, p) ? 0 : rank);
    }
    gal_buf_putc(out, '}');
}

static void put_row(struct gal_buf *out, const struct gal_model *m)
{
    const struct gal_port *p = &m->info->inputs[0];
    size_t rank;
    const int64_t *shape;

    if (gal_doc_has_names(m)) {
        put_features(out, m);
        return;
    }
    shape = gal_native_row_shape(m, p, &rank);
    put_nested(out, m, p, shape, rank);
}

static void put_infer(struct gal_buf *out, const struct gal_model *m)
{
    gal_doc_open(out, "inputs", '[');
    for (size_t i = 0; i < m->info->input_count; i++) {
        const struct gal_port *p = &m->info->inputs[i];

        if (p->optional)
            continue;
        gal_doc_open(out, NULL, '{');
        gal_doc_str(out, "name", p->name);
        gal_doc_open(out, "shape", '[');
        for (size_t k = 0; k < p->rank; k++) {
            gal_doc_raw(out, NULL, "");
            gal_buf_put_i64(out, p->shape[k] < 0 ? 1 : p->shape[k]);
        }
        gal_doc_close(out, ']');
        gal_doc_text(out, "datatype", gal_dtype_name(p->dtype));
        gal_doc_open(out, "data", '[');
        for (size_t k = elements(p->shape, p->rank); k > 0; k--)
            put_value(out, m, p);
        gal_doc_close(out, ']');
        gal_doc_close(out, '}');
    }
    gal_doc_close(out, ']');
}

/* Inputs by name: whole, or one row of each. */
static void put_inputs(struct gal_buf *out, const struct gal_model *m, size_t skip)
{
    gal_doc_open(out, NULL, '{');
    for (size_t i = 0; i < m->info->input_count; i++) {
        const struct gal_port *p = &m->info->inputs[i];

        if (p->optional)
            continue;
        gal_doc_str(out, NULL, p->name);
        gal_buf_putc(out, ':');
        put_nested(out, m, p, p->shape + skip, p->rank - skip);
    }
    gal_doc_close(out, '}');
}

bool gal_doc_example(struct gal_buf *out, const struct gal_model *m, enum gal_doc_form form)
{
    if (!has_example(m))
        return false;
    gal_buf_putc(out, '{');
    if (form == GAL_DOC_FEATURES) {
        gal_buf_puts(out, "\"features\":");
        put_row(out, m);
    } else if (form == GAL_DOC_INSTANCES) {
        gal_buf_puts(out, "\"instances\":[");
        put_row(out, m);
        gal_buf_putc(out, ']');
    } else if (form == GAL_DOC_COLUMNS) {
        gal_buf_puts(out, "\"inputs\":");
        put_inputs(out, m, 0);
    } else if (form == GAL_DOC_ROWS || form == GAL_DOC_EXAMPLES) {
        gal_buf_puts(out, form == GAL_DOC_ROWS ? "\"instances\":[" : "\"examples\":[");
        put_inputs(out, m, 1);
        gal_buf_putc(out, ']');
    } else {
        put_infer(out, m);
    }
    gal_buf_putc(out, '}');
    return true;
}
