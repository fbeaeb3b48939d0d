/* SPDX-License-Identifier: Apache-2.0 */
#include "api/validate.h"

#include <stdio.h>

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

static struct gal_findings *new_findings(struct gal_exchange *x)
{
    struct gal_findings *f = gal_arena_small(&x->arena, sizeof(*f));

    if (f != NULL) {
        f->count = f->refused = f->flagged = 0;
        f->more = false;
    }
    return f;
}

enum gal_status gal_validate(struct gal_exchange *x, struct gal_infer *inf, struct gal_err *err)
{
    const struct gal_manifest *m = x->model->manifest;
    enum gal_status st;

    if (m == NULL || m->feature_count == 0 || m->feature_count != x->model->info->input_count)
        return GAL_OK;
    inf->findings = new_findings(x);
    if (inf->findings == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    st = gal_check_fill(m, x->rows, inf->inputs, &x->arena, err);
    return st == GAL_OK ? gal_check_features(m, inf->inputs, &x->arena, inf->findings, err) : st;
}

/* --- answers --- */

static void add_wanted(struct gal_infer *inf, size_t output)
{
    for (size_t i = 0; i < inf->run_count; i++)
        if (inf->wanted[i] == output)
            return;
    inf->wanted[inf->run_count++] = output;
}

void gal_validate_extend(struct gal_exchange *x, struct gal_infer *inf)
{
    const struct gal_manifest *m = x->model->manifest;
    const struct gal_model_info *info = x->model->info;
    size_t confidence = SIZE_MAX;

    inf->run_count = inf->wanted_count;
    if (m != NULL && m->confidence_of.n > 0)
        confidence = gal_port_find(info->outputs, info->output_count, m->confidence_of);
    if (confidence != SIZE_MAX)
        add_wanted(inf, confidence);
    if (m != NULL && m->stability.output.n > 0 && info->own_count > 0)
        add_wanted(inf, info->output_count);
}

/* By output i of the run. */
static void judge(struct gal_exchange *x, struct gal_infer *inf, size_t i)
{
    const struct gal_manifest *m = x->model->manifest;
    const struct gal_model_info *info = x->model->info;
    const struct gal_tensor *t = &inf->outputs[i].tensor;
    bool is_own = inf->wanted[i] >= info->output_count;

    if (inf->outputs[i].kind != GAL_KIND_TENSOR)
        return;
    if (is_own)
        inf->unstable = gal_check_stability(m, t, &x->arena, inf->findings);
    else if (m->confidence_of.n > 0 &&
             gal_str_eq(info->outputs[inf->wanted[i]].name, m->confidence_of))
        inf->unsure = gal_check_confidence(m, t, &x->arena, inf->findings);
}

static void tell_flags(struct gal_exchange *x, const struct gal_infer *inf)
{
    char text[64];

    snprintf(text, sizeof(text), "%s%s%s", inf->outliers > 0 ? ", outlier" : "",
             inf->unsure > 0 ? ", confidence" : "", inf->unstable > 0 ? ", stability" : "");
    if (text[0] != '\0')
        gal_exchange_header(x, GAL_STR("X-Galley-Review"), gal_str_of(text + 2));
}

enum gal_status gal_validate_answer(struct gal_exchange *x, struct gal_infer *inf,
                                    struct gal_err *err)
{
    const struct gal_manifest *m = x->model->manifest;

    inf->unsure = inf->unstable = 0;
    if (m == NULL)
        return GAL_OK;
    if (inf->findings == NULL && (m->confidence_of.n > 0 || m->stability.output.n > 0)) {
        inf->findings = new_findings(x);
        if (inf->findings == NULL)
            return gal_fail(err, GAL_NO_MEMORY, "no memory to judge the answer");
    }
    inf->outliers = inf->findings != NULL ? inf->findings->flagged : 0;
    for (size_t i = 0; inf->findings != NULL && i < inf->run_count; i++)
        judge(x, inf, i);
    inf->withheld = inf->findings != NULL && inf->findings->refused > 0;
    if (inf->withheld)
        return gal_check_tell(inf->findings, x->rows, err);
    tell_flags(x, inf);
    return GAL_OK;
}
