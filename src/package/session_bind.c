/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns become which input of the model. */
#include "base/limits.h"
#include "package/cast.h"
#include "package/session_impl.h"

/* Elements of a row; 0: not known before it is there. */
static size_t row_width(const int64_t *shape, size_t rank)
{
    size_t width = 1;

    for (size_t i = 0; i < rank; i++) {
        if (shape[i] < 0 || __builtin_mul_overflow(width, (size_t)shape[i], &width))
            return 0;
    }
    return width;
}

static size_t find_column(const struct gal_packed *p, struct gal_str name)
{
    for (size_t i = 0; i < p->column_count; i++) {
        if (gal_str_eq(p->columns[i].name, name))
            return i;
    }
    return SIZE_MAX;
}

static const char *list_columns(struct gal_packed *p, const bool *taken)
{
    const char *text = "";

    for (size_t i = 0; i < p->column_count && text; i++) {
        if (!taken || !taken[i])
            text = gal_arena_printf(&p->arena, "%s%s%.*s", text, text[0] ? ", " : "",
                                    GAL_STR_SHOWN(p->columns[i].name));
    }
    return text ? text : "";
}

static enum gal_status bind_one(struct gal_packed *p, const struct gal_port *port, size_t column,
                                struct gal_binding *b, struct gal_err *err)
{
    const struct gal_column *c = &p->columns[column];
    size_t have = row_width(c->shape, c->rank);
    size_t want =
        port->shape_known && port->rank > 0 ? row_width(port->shape + 1, port->rank - 1) : 0;

    *b = (struct gal_binding){.column = column, .width = have, .dtype = port->dtype, .port = port};
    if (c->encoded)
        return gal_fail(err, GAL_INVALID,
                        "the model's input %.*s would get files of images: an `image` step makes "
                        "numbers of them",
                        GAL_STR_SHOWN(port->name));
    if (port->kind != GAL_KIND_TENSOR || !gal_cast_may(c->dtype, port->dtype))
        return gal_fail(err, GAL_INVALID, "the model's input %.*s is %s, the column of its name %s",
                        GAL_STR_SHOWN(port->name), port->type_text, gal_dtype_name(c->dtype));
    if (have && want && have != want)
        return gal_fail(err, GAL_INVALID,
                        "the model's input %.*s takes %zu values a row, the column of its name has "
                        "%zu",
                        GAL_STR_SHOWN(port->name), want, have);
    return GAL_OK;
}

/* All columns that nobody else takes, in their order. */
static enum gal_status bind_rest(struct gal_packed *p, const struct gal_port *port, bool *taken,
                                 struct gal_binding *b, struct gal_err *err)
{
    size_t *columns = gal_arena_array(&p->arena, p->column_count + 1, sizeof *columns);
    size_t count = 0, width = 0;
    size_t want =
        port->shape_known && port->rank == 2 && port->shape[1] >= 0 ? (size_t)port->shape[1] : 0;

    if (!columns)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a package's columns");
    if (!gal_dtype_is_float(port->dtype) || (port->shape_known && port->rank != 2))
        return gal_fail(err, GAL_INVALID,
                        "no column is called %.*s, as the model's input is (%s); there are: %.200s",
                        GAL_STR_SHOWN(port->name), port->type_text, list_columns(p, NULL));
    for (size_t i = 0; i < p->column_count; i++) {
        const struct gal_column *c = &p->columns[i];
        size_t one = row_width(c->shape, c->rank);
        if (taken[i])
            continue;
        if (c->kind != GAL_KIND_TENSOR || !gal_cast_may(c->dtype, port->dtype) || one == 0)
            return gal_fail(err, GAL_INVALID,
                            "%.*s is %s and cannot stand in the model's input %.*s: encode it in "
                            "`before` (one_hot, ordinal, hash)",
                            GAL_STR_SHOWN(c->name), gal_dtype_name(c->dtype),
                            GAL_STR_SHOWN(port->name));
        columns[count++] = i;
        taken[i] = true;
        width += one;
    }
    if (width == 0 || (want && want != width))
        return gal_fail(err, GAL_INVALID,
                        "the model's input %.*s takes %zu values a row, the columns have %zu: "
                        "%.200s",
                        GAL_STR_SHOWN(port->name), want, width, list_columns(p, NULL));
    *b = (struct gal_binding){.column = SIZE_MAX,
                              .columns = columns,
                              .column_count = count,
                              .width = width,
                              .dtype = port->dtype,
                              .port = port};
    return GAL_OK;
}

enum gal_status gal_packed_bind(struct gal_packed *p, struct gal_err *err)
{
    const struct gal_model_info *info = p->inner_info;
    bool *taken = gal_arena_array(&p->arena, p->column_count + 1, sizeof *taken);
    const struct gal_port *rest = NULL;
    enum gal_status status = GAL_OK;
    size_t rest_at = 0;

    p->bindings = gal_arena_array(&p->arena, info->input_count + 1, sizeof *p->bindings);
    if (!taken || !p->bindings)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a package's columns");
    memset(taken, 0, (p->column_count + 1) * sizeof *taken);
    for (size_t i = 0; !status && i < info->input_count; i++) {
        const struct gal_port *port = &info->inputs[i];
        size_t column = find_column(p, port->name);
        p->bindings[i] = (struct gal_binding){.column = SIZE_MAX, .port = port};
        if (column != SIZE_MAX) {
            status = bind_one(p, port, column, &p->bindings[i], err);
            taken[column] = true;
        } else if (!port->optional && rest) {
            status = gal_fail(err, GAL_INVALID,
                              "the model's inputs %.*s and %.*s have no column of their name; "
                              "there are: %.200s",
                              GAL_STR_SHOWN(rest->name), GAL_STR_SHOWN(port->name),
                              list_columns(p, NULL));
        } else if (!port->optional) {
            rest = port;
            rest_at = i;
        }
    }
    if (!status && rest)
        status = bind_rest(p, rest, taken, &p->bindings[rest_at], err);
    if (status && err && err->place[0] == '\0')
        gal_err_place(err, "%s", p->manifest->path);
    return status;
}

/* --- as a request runs --- */

static enum gal_status put_together(const struct gal_packed *p, const struct gal_binding *b,
                                    const struct gal_value *columns, size_t rows,
                                    struct gal_arena *arena, struct gal_tensor *t,
                                    struct gal_err *err)
{
    size_t size = gal_dtype_size(b->dtype), at = 0;
    int64_t *shape = gal_arena_array(arena, 2, sizeof *shape);
    char *data = gal_arena_array(arena, rows * b->width, size);

    if (!shape || !data)
        return gal_arena_fail(arena, rows * b->width * size, "a model's input", err);
    for (size_t k = 0; k < b->column_count; k++) {
        const struct gal_tensor *c = &columns[b->columns[k]].tensor;
        size_t one = row_width(p->columns[b->columns[k]].shape, p->columns[b->columns[k]].rank);
        for (size_t row = 0; row < rows; row++)
            gal_cast_copy(c, row * one, one, b->dtype, data, row * b->width + at);
        at += one;
    }
    shape[0] = (int64_t)rows;
    shape[1] = (int64_t)b->width;
    *t = (struct gal_tensor){b->port->name, b->dtype, 2, shape, rows * b->width, data};
    return GAL_OK;
}

/* The port's own rank, where its sizes are known and hold what the column has. */
static enum gal_status as_port(const struct gal_port *port, size_t rows, struct gal_arena *arena,
                               struct gal_tensor *t, struct gal_err *err)
{
    size_t width =
        port->shape_known && port->rank > 0 ? row_width(port->shape + 1, port->rank - 1) : 0;
    int64_t *shape;

    t->name = port->name;
    if (width == 0 || t->count != rows * width || t->rank == port->rank)
        return GAL_OK;
    shape = gal_arena_array(arena, port->rank, sizeof *shape);
    if (!shape)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    memcpy(shape, port->shape, port->rank * sizeof *shape);
    shape[0] = (int64_t)rows;
    t->shape = shape;
    t->rank = port->rank;
    return GAL_OK;
}

enum gal_status gal_packed_feed(const struct gal_packed *p, const struct gal_value *columns,
                                size_t rows, struct gal_arena *arena, struct gal_value *out,
                                struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    for (size_t i = 0; !status && i < p->inner_info->input_count; i++) {
        const struct gal_binding *b = &p->bindings[i];
        out[i] = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = b->port->name};
        if (b->column == SIZE_MAX && b->column_count == 0)
            continue; /* an optional input that nobody fills */
        out[i].kind = GAL_KIND_TENSOR;
        if (b->column == SIZE_MAX) {
            status = put_together(p, b, columns, rows, arena, &out[i].tensor, err);
            continue;
        }
        out[i].tensor = columns[b->column].tensor;
        status = gal_cast(&out[i].tensor, b->dtype, arena, err);
        if (!status)
            status = as_port(b->port, rows, arena, &out[i].tensor, err);
    }
    return status;
}
