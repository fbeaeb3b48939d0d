/* SPDX-License-Identifier: Apache-2.0 */
#include "api/tfs.h"

#include "base/base64.h"
#include "codec/tensor_json.h"

/* An output as a tensor; maps of classes are the matrix of their scores, with the classes' names.
 */
struct column {
    struct gal_str name;
    struct gal_tensor t;
    struct gal_tensor labels; /* count 0: none */
    const struct gal_labels *known;
    bool is_bytes; /* {"b64": ...}: the name ends in _bytes, as TensorFlow has it */
};

struct writer {
    struct column *columns;
    size_t count;
    size_t rows;
    struct gal_buf *out;
};

static bool ends_in_bytes(struct gal_str name)
{
    static const char suffix[] = "_bytes";
    size_t n = sizeof(suffix) - 1;

    return name.n >= n && memcmp(name.p + name.n - n, suffix, n) == 0;
}

static enum gal_status take_output(struct column *c, const struct gal_value *v,
                                   const struct gal_port *port, struct gal_arena *arena,
                                   struct gal_err *err)
{
    c->name = port->name;
    if (v->kind == GAL_KIND_TENSOR) {
        c->t = v->tensor;
        c->is_bytes = c->t.dtype == GAL_DT_BYTES && ends_in_bytes(c->name);
        return GAL_OK;
    }
    if (v->kind == GAL_KIND_MAP || port->of_maps)
        return gal_value_zipmap(v, arena, &c->labels, &c->t, err);
    return gal_fail(err, GAL_UNSUPPORTED, "output '%.*s' is a %s, which this protocol cannot carry",
                    GAL_STR_ARG(c->name), port->type_text);
}

static enum gal_status gather(struct writer *w, const struct gal_model *m,
                              const struct gal_infer *inf, struct gal_arena *arena,
                              struct gal_err *err)
{
    w->columns = gal_arena_small(arena, (inf->wanted_count + 1) * sizeof(*w->columns));
    if (w->columns == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the answer");
    for (size_t i = 0; i < inf->wanted_count; i++) {
        const struct gal_port *port = &m->info->outputs[inf->wanted[i]];
        struct column *c = &w->columns[w->count];
        enum gal_status st;

        if (inf->outputs[i].kind == GAL_KIND_NONE)
            continue;
        memset(c, 0, sizeof(*c));
        c->known = gal_labels_of(m->labels, inf->wanted[i]);
        st = take_output(c, &inf->outputs[i], port, arena, err);
        if (st != GAL_OK)
            return st;
        w->count++;
    }
    return GAL_OK;
}

/* --- values --- */

static void put_b64(struct gal_buf *out, struct gal_str bytes)
{
    gal_buf_puts(out, "{\"b64\":\"");
    gal_base64_put(out, bytes);
    gal_buf_puts(out, "\"}");
}

/* Elements [from, ...) of shape as nested arrays of {"b64": ...}; rank is bounded by GAL_RANK_MAX.
 */
static size_t put_b64_level(struct gal_buf *out, const struct gal_tensor *t, size_t from,
                            const int64_t *shape, size_t rank)
{
    const struct gal_str *elements = t->data;

    if (rank == 0) {
        put_b64(out, elements[from]);
        return from + 1;
    }
    gal_buf_putc(out, '[');
    for (int64_t i = 0; i < shape[0]; i++) {
        if (i > 0)
            gal_buf_putc(out, ',');
        from = put_b64_level(out, t, from, shape + 1, rank - 1);
    }
    gal_buf_putc(out, ']');
    return from;
}

static enum gal_status put_part(struct gal_buf *out, const struct column *c, size_t from,
                                const int64_t *shape, size_t rank, struct gal_err *err)
{
    if (c->is_bytes) {
        (void)put_b64_level(out, &c->t, from, shape, rank);
        return GAL_OK;
    }
    return rank == 0 ? gal_element_to_json(&c->t, from, out, err)
                     : gal_slice_to_json(&c->t, from, shape, rank, out, err);
}

static enum gal_status put_row(struct gal_buf *out, const struct column *c, size_t row,
                               struct gal_err *err)
{
    size_t per = (size_t)c->t.shape[0] > 0 ? c->t.count / (size_t)c->t.shape[0] : 0;

    return put_part(out, c, row * per, c->t.shape + 1, c->t.rank - 1, err);
}

/* --- forms --- */

static enum gal_status check_rows(const struct writer *w, struct gal_err *err)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct gal_tensor *t = &w->columns[i].t;

        if (t->rank > 0 && (size_t)t->shape[0] == w->rows)
            continue;
        gal_fail(err, GAL_INVALID, "output '%.*s' has no row for each of the %zu instances",
                 GAL_STR_ARG(w->columns[i].name), w->rows);
        gal_err_hint(err, "ask in columns: \"inputs\" in place of \"instances\"");
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status put_rows(struct writer *w, struct gal_err *err)
{
    struct gal_buf *out = w->out;
    enum gal_status st = check_rows(w, err);

    gal_buf_puts(out, "{\"predictions\":[");
    for (size_t row = 0; row < w->rows && st == GAL_OK; row++) {
        gal_buf_puts(out, row > 0 ? "," : "");
        if (w->count != 1)
            gal_buf_putc(out, '{');
        for (size_t i = 0; i < w->count && st == GAL_OK; i++) {
            if (w->count != 1) {
                gal_buf_puts(out, i > 0 ? "," : "");
                gal_json_put_str(out, w->columns[i].name);
                gal_buf_putc(out, ':');
            }
            st = put_row(out, &w->columns[i], row, err);
        }
        if (w->count != 1)
            gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "]}");
    return st;
}

static enum gal_status put_columns(struct writer *w, struct gal_err *err)
{
    struct gal_buf *out = w->out;
    enum gal_status st = GAL_OK;

    gal_buf_puts(out, w->count != 1 ? "{\"outputs\":{" : "{\"outputs\":");
    for (size_t i = 0; i < w->count && st == GAL_OK; i++) {
        const struct column *c = &w->columns[i];

        if (w->count != 1) {
            gal_buf_puts(out, i > 0 ? "," : "");
            gal_json_put_str(out, c->name);
            gal_buf_putc(out, ':');
        }
        st = put_part(out, c, 0, c->t.shape, c->t.rank, err);
    }
    gal_buf_puts(out, w->count != 1 ? "}}" : "}");
    return st;
}

/* The scores of classes: the first matrix of numbers. */
static const struct column *find_scores(const struct writer *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->columns[i].t.rank == 2 && gal_dtype_is_float(w->columns[i].t.dtype))
            return &w->columns[i];
    return NULL;
}

static enum gal_status put_label(struct gal_buf *out, const struct column *c, size_t k,
                                 struct gal_err *err)
{
    char text[24];

    if (c->labels.count > k && c->labels.dtype == GAL_DT_BYTES)
        return gal_element_to_json(&c->labels, k, out, err);
    if (c->labels.count > k) {
        gal_buf_putc(out, '"');
        if (gal_element_to_json(&c->labels, k, out, err) != GAL_OK)
            return err->code;
        gal_buf_putc(out, '"');
        return GAL_OK;
    }
    if (c->known != NULL && k < c->known->count) {
        gal_json_put_str(out, c->known->names[k]);
        return GAL_OK;
    }
    gal_json_put_str(out, (struct gal_str){text, (size_t)(gal_json_write_u64(text, k) - text)});
    return GAL_OK;
}

static enum gal_status put_classes(struct writer *w, struct gal_err *err)
{
    const struct column *c = find_scores(w);
    struct gal_buf *out = w->out;
    enum gal_status st = check_rows(w, err);
    size_t classes;

    if (st == GAL_OK && c == NULL)
        st = gal_fail(err, GAL_UNSUPPORTED, "the model has no scores of classes: use :predict");
    if (st != GAL_OK || c == NULL)
        return st;
    classes = (size_t)c->t.shape[1];
    gal_buf_puts(out, "{\"results\":[");
    for (size_t row = 0; row < w->rows; row++) {
        gal_buf_puts(out, row > 0 ? ",[" : "[");
        for (size_t k = 0; k < classes && st == GAL_OK; k++) {
            gal_buf_puts(out, k > 0 ? ",[" : "[");
            st = put_label(out, c, k, err);
            gal_buf_putc(out, ',');
            if (st == GAL_OK)
                st = gal_element_to_json(&c->t, row * classes + k, out, err);
            gal_buf_putc(out, ']');
        }
        gal_buf_putc(out, ']');
    }
    gal_buf_puts(out, "]}");
    return st;
}

static enum gal_status put_values(struct writer *w, struct gal_err *err)
{
    enum gal_status st = check_rows(w, err);
    struct gal_buf *out = w->out;

    if (st == GAL_OK && (w->count != 1 || w->columns[0].t.count != w->rows ||
                         w->columns[0].t.dtype == GAL_DT_BYTES))
        st = gal_fail(err, GAL_UNSUPPORTED,
                      "the model does not answer one number a row: use :predict");
    if (st != GAL_OK)
        return st;
    gal_buf_puts(out, "{\"results\":[");
    for (size_t row = 0; row < w->rows && st == GAL_OK; row++) {
        gal_buf_puts(out, row > 0 ? "," : "");
        st = gal_element_to_json(&w->columns[0].t, row, out, err);
    }
    gal_buf_puts(out, "]}");
    return st;
}

enum gal_status gal_tfs_encode(const struct gal_model *m, enum gal_tfs_form form,
                               const struct gal_infer *inf, size_t rows, struct gal_arena *arena,
                               struct gal_buf *out, struct gal_err *err)
{
    struct writer w = {.rows = rows, .out = out};
    enum gal_status st = gather(&w, m, inf, arena, err);

    if (st != GAL_OK)
        return st;
    switch (form) {
    case GAL_TFS_ROWS:
        return put_rows(&w, err);
    case GAL_TFS_COLUMNS:
        return put_columns(&w, err);
    case GAL_TFS_CLASSIFY:
        return put_classes(&w, err);
    case GAL_TFS_REGRESS:
        return put_values(&w, err);
    }
    return GAL_OK;
}

/* --- metadata --- */

static const char *type_name(enum gal_dtype t)
{
    static const char *const names[GAL_DT_COUNT] = {
        [GAL_DT_NONE] = "DT_INVALID",  [GAL_DT_BOOL] = "DT_BOOL",     [GAL_DT_UINT8] = "DT_UINT8",
        [GAL_DT_UINT16] = "DT_UINT16", [GAL_DT_UINT32] = "DT_UINT32", [GAL_DT_UINT64] = "DT_UINT64",
        [GAL_DT_INT8] = "DT_INT8",     [GAL_DT_INT16] = "DT_INT16",   [GAL_DT_INT32] = "DT_INT32",
        [GAL_DT_INT64] = "DT_INT64",   [GAL_DT_FP16] = "DT_HALF",     [GAL_DT_FP32] = "DT_FLOAT",
        [GAL_DT_FP64] = "DT_DOUBLE",   [GAL_DT_BYTES] = "DT_STRING",  [GAL_DT_BF16] = "DT_BFLOAT16",
    };

    return names[t];
}

static void put_dim(struct gal_buf *out, bool first, int64_t size)
{
    gal_buf_puts(out, first ? "{\"size\":\"" : ",{\"size\":\"");
    gal_json_put_i64(out, size);
    gal_buf_puts(out, "\",\"name\":\"\"}");
}

static void put_port(struct gal_buf *out, const struct gal_port *port)
{
    bool maps = port->kind == GAL_KIND_MAP || port->of_maps;
    size_t rank = maps ? 2 : port->rank;

    gal_json_put_str(out, port->name);
    gal_buf_puts(out, ":{\"dtype\":\"");
    gal_buf_puts(out, type_name(port->dtype));
    gal_buf_puts(out, "\",\"tensor_shape\":{\"dim\":[");
    for (size_t i = 0; i < rank && (maps || port->shape_known); i++)
        put_dim(out, i == 0, maps ? -1 : port->shape[i]);
    gal_buf_puts(out, maps || port->shape_known ? "],\"unknown_rank\":false},\"name\":"
                                                : "],\"unknown_rank\":true},\"name\":");
    gal_json_put_str(out, port->name);
    gal_buf_putc(out, '}');
}

static void put_ports(struct gal_buf *out, const char *key, const struct gal_port *ports,
                      size_t count)
{
    gal_json_put_key(out, key);
    gal_buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        put_port(out, &ports[i]);
    }
    gal_buf_putc(out, '}');
}

void gal_tfs_put_signature(struct gal_buf *out, const struct gal_model *m)
{
    put_ports(out, "inputs", m->info->inputs, m->info->input_count);
    gal_buf_putc(out, ',');
    put_ports(out, "outputs", m->info->outputs, m->info->output_count);
}
