/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of package/session share. */
#ifndef GAL_PACKAGE_SESSION_IMPL_H
#define GAL_PACKAGE_SESSION_IMPL_H

#include "package/session.h"
#include "package/steps.h"

#include <stdatomic.h>

/* Where a model input's values come from. */
struct gal_binding {
    size_t column;         /* one column; SIZE_MAX: several, put together */
    const size_t *columns; /* put together in this order */
    size_t column_count;
    size_t width; /* elements a row of all of them */
    enum gal_dtype dtype;
    const struct gal_port *port; /* the model's */
};

struct gal_packed {
    const struct gal_backend_ops *ops; /* the inner one's */
    struct gal_session *inner;         /* owned */
    const struct gal_model_info *inner_info;
    struct gal_package *package; /* borrowed */
    const struct gal_manifest *manifest;
    struct gal_model_info info;
    struct gal_steps *before, *after; /* NULL: none */
    const struct gal_column *columns; /* before the model */
    size_t column_count;
    struct gal_binding *bindings; /* one a model input; NULL: inputs go through as they are */
    const size_t *chosen;         /* info.outputs[i] is this column after, or this model output */
    size_t after_count;           /* columns after the last step */
    const size_t *carried;        /* columns before the model that the steps after may read */
    size_t carried_count;
    size_t *all_outputs; /* 0, 1, ... of the model's */
    size_t decision;     /* info.outputs that has to stay, where own_count is 1 */
    bool rows_fixed;     /* the model takes so many rows and no others */
    struct gal_arena arena;
};

/* Ports, columns, steps and bindings of a new session, from manifest and inner_info. */
enum gal_status gal_packed_describe(struct gal_packed *p, struct gal_err *err);
enum gal_status gal_packed_bind(struct gal_packed *p, struct gal_err *err);
/* Columns as the model's inputs, in its order. */
enum gal_status gal_packed_feed(const struct gal_packed *p, const struct gal_value *columns,
                                size_t rows, struct gal_arena *arena, struct gal_value *out,
                                struct gal_err *err);

/* A run without outputs of the server's own. */
enum gal_status gal_packed_ask(const struct gal_packed *p, const struct gal_value *inputs,
                               const size_t *wanted, size_t count, struct gal_arena *arena,
                               struct gal_value *outputs, struct gal_err *err);
void gal_packed_release(const struct gal_packed *p, struct gal_value *output);
/* A run for which the stability of the decision is wanted too: wanted[i] is info.output_count. All
 * steps, before the model and after it, and the model run for the rows once and for each of their
 * `samples` copies again: as much as samples + 1 times the rows. */
enum gal_status gal_packed_judge(const struct gal_packed *p, const struct gal_value *inputs,
                                 const size_t *wanted, size_t count, struct gal_arena *arena,
                                 struct gal_value *outputs, struct gal_err *err);
/* Rows of the first input that is there; false: another has other rows. */
bool gal_packed_rows(const struct gal_value *inputs, size_t count, size_t *rows);

#endif
