/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate.h"

const struct gal_feature *gal_validate_feature(const struct gal_model *m, size_t i)
{
    const struct gal_manifest *manifest = m->manifest;

    return manifest != NULL && i < manifest->feature_count ? &manifest->features[i] : NULL;
}

bool gal_validate_ignores(const struct gal_model *m)
{
    return m->manifest != NULL && m->manifest->feature_count > 0 &&
           m->manifest->unknown_features == GAL_UNKNOWN_IGNORE;
}

/* Depth is bounded by the reader of JSON. */
static void replace_nulls(yyjson_val *v, struct gal_str text)
{
    size_t i, n;
    yyjson_val *item;

    if (unsafe_yyjson_is_null(v))
        gal_json_set_str(v, text);
    if (!unsafe_yyjson_is_arr(v))
        return;
    yyjson_arr_foreach(v, i, n, item) replace_nulls(item, text);
}

void gal_validate_nulls(const struct gal_feature *f, yyjson_val *v)
{
    if (f != NULL && f->nullable && v != NULL)
        replace_nulls(v, f->type == GAL_FEATURE_TEXT ? GAL_STR("") : GAL_STR("NaN"));
}

enum gal_status gal_validate(struct gal_exchange *x, struct gal_infer *inf, struct gal_err *err)
{
    const struct gal_manifest *m = x->model->manifest;
    enum gal_status st;

    if (m == NULL || m->feature_count == 0 || m->feature_count != x->model->info->input_count)
        return GAL_OK;
    inf->findings = gal_arena_small(&x->arena, sizeof(*inf->findings));
    if (inf->findings == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    inf->findings->count = inf->findings->refused = inf->findings->flagged = 0;
    st = gal_check_fill(m, x->rows, inf->inputs, &x->arena, err);
    return st == GAL_OK ? gal_check_features(m, inf->inputs, &x->arena, inf->findings, err) : st;
}
