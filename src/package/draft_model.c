/* SPDX-License-Identifier: Apache-2.0 */
/* A draft from a model's own description. */
#include "package/draft.h"

#include "text/json.h"

#define IMAGE_SIDE_MIN 16 /* [3, H, W] from this size on looks like a picture */

static const struct gal_str *meta_texts(const struct gal_model_info *info, const char *key,
                                        struct gal_arena *arena, size_t *count)
{
    yyjson_val *root, *item;
    yyjson_arr_iter it;
    struct gal_str *texts;

    *count = 0;
    for (size_t i = 0; i < info->meta_count; i++) {
        if (!gal_str_is(info->meta[i].key, key) ||
            gal_json_read(info->meta[i].value, arena, 4, &root, NULL) != GAL_OK ||
            !yyjson_is_arr(root) || yyjson_arr_size(root) == 0)
            continue;
        texts = gal_arena_array(arena, yyjson_arr_size(root), sizeof(*texts));
        if (!texts || !yyjson_arr_iter_init(root, &it))
            return NULL;
        while ((item = yyjson_arr_iter_next(&it)) != NULL) {
            if (!yyjson_is_str(item) || yyjson_get_len(item) == 0)
                return *count = 0, NULL;
            texts[(*count)++] = (struct gal_str){yyjson_get_str(item), yyjson_get_len(item)};
        }
        return texts;
    }
    return NULL;
}

/* --- features --- */

/* Why a port cannot be columns of rows; NULL: it can. */
static const char *no_rows(const struct gal_port *p, struct gal_arena *arena)
{
    const char *why = NULL;

    if (p->kind != GAL_KIND_TENSOR)
        why = gal_arena_printf(arena, "%s is %s", p->name.p, p->type_text);
    else if (p->dtype == GAL_DT_NONE)
        why = gal_arena_printf(arena, "%s has a datatype that requests cannot carry", p->name.p);
    else if (!p->shape_known)
        why = gal_arena_printf(arena, "the model does not tell the shape of %s", p->name.p);
    else if (p->rank == 0)
        why = gal_arena_printf(arena, "%s is a scalar", p->name.p);
    else if (p->shape[0] >= 0)
        why = gal_arena_printf(arena, "the first dimension of %s is fixed: it holds no rows",
                               p->name.p);
    else if (p->optional)
        why = gal_arena_printf(arena, "%s is optional", p->name.p);
    return why;
}

/* Columns that a matrix [rows, n] is made of; 0: it is one feature. */
static size_t width_of(const struct gal_port *p)
{
    return p->rank == 2 && p->shape[1] > 0 && p->shape[1] <= 4096 ? (size_t)p->shape[1] : 0;
}

static bool is_picture(const struct gal_port *p)
{
    bool numbers = gal_dtype_is_float(p->dtype) || p->dtype == GAL_DT_UINT8;
    return numbers && p->rank == 4 &&
           ((p->shape[1] == 3 && (p->shape[2] < 0 || p->shape[2] >= IMAGE_SIDE_MIN)) ||
            (p->shape[3] == 3 && (p->shape[1] < 0 || p->shape[1] >= IMAGE_SIDE_MIN)));
}

static void name_columns(const struct gal_port *p, const struct gal_str *names, size_t count,
                         const char *note, struct gal_draft_feature *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct gal_draft_feature){.name = names[i],
                                            .type = gal_draft_type(p->dtype),
                                            .like_before = i > 0,
                                            .note = i == 0 ? note : NULL};
}

static struct gal_draft_feature one_feature(const struct gal_port *p, struct gal_arena *arena)
{
    struct gal_draft_feature f = {.name = p->name, .type = gal_draft_type(p->dtype)};
    bool is_column = p->rank == 1 || (p->rank == 2 && p->shape[1] == 1);

    if (!is_column) {
        f.rank = p->rank - 1;
        f.shape = p->shape + 1;
    }
    f.values = p->value_count <= GAL_PORT_VALUES_MAX ? p->values : NULL;
    f.value_count = f.values ? p->value_count : 0;
    f.note = p->value_count > GAL_PORT_VALUES_MAX
                 ? gal_arena_printf(arena, "the model's encoder knows %zu texts", p->value_count)
                 : NULL;
    return f;
}

static enum gal_status take_inputs(struct gal_draft *d, const struct gal_model_info *info,
                                   const struct gal_str *names, size_t name_count,
                                   struct gal_arena *arena, struct gal_err *err)
{
    size_t room = info->input_count + name_count, n = 0;
    const char *note = "from the model's metadata";
    struct gal_draft_feature *features;

    for (size_t i = 0; i < info->input_count; i++) {
        d->no_features = no_rows(&info->inputs[i], arena);
        d->has_image = d->has_image || is_picture(&info->inputs[i]);
        if (d->no_features)
            return GAL_OK;
    }
    features = gal_arena_array(arena, room + 1, sizeof(*features));
    if (!features)
        return gal_arena_fail(arena, room * sizeof(*features), "features", err);
    if (info->input_count == 1 && name_count && width_of(&info->inputs[0]) == name_count) {
        name_columns(&info->inputs[0], names, name_count, note, features);
        n = name_count;
    } else {
        for (size_t i = 0; i < info->input_count; i++)
            features[n++] = one_feature(&info->inputs[i], arena);
    }
    d->features = features;
    d->feature_count = n;
    return GAL_OK;
}

/* --- outputs --- */

static bool is_taken(const struct gal_model_info *info, const struct gal_draft_output *made,
                     size_t count, struct gal_str name)
{
    if (gal_port_find(info->outputs, info->output_count, name) != SIZE_MAX)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (gal_str_eq(made[i].name, name))
            return true;
    }
    return false;
}

static bool looks_like_probabilities(const struct gal_port *p, size_t classes)
{
    bool named = memmem(p->name.p ? p->name.p : "", p->name.n, "prob", 4) != NULL;
    return p->kind == GAL_KIND_TENSOR && gal_dtype_is_float(p->dtype) && p->rank == 2 &&
           (named || (classes > 1 && p->shape[1] == (int64_t)classes));
}

static enum gal_status take_outputs(struct gal_draft *d, const struct gal_model_info *info,
                                    struct gal_arena *arena, struct gal_err *err)
{
    size_t class_count;
    const struct gal_str *classes = meta_texts(info, "class_names", arena, &class_count);
    struct gal_draft_output *made = gal_arena_array(arena, info->output_count + 1, sizeof(*made));

    if (!made)
        return gal_arena_fail(arena, info->output_count * sizeof(*made), "outputs", err);
    for (size_t i = 0; i < info->output_count; i++) {
        const struct gal_port *p = &info->outputs[i];
        struct gal_draft_output *o = &made[d->output_count];
        *o = (struct gal_draft_output){.name = p->name, .note = p->type_text};
        if (p->kind == GAL_KIND_SEQUENCE && p->of_maps) {
            o->unzip = p->name;
            o->name = GAL_STR("probabilities");
            if (is_taken(info, made, d->output_count, o->name))
                o->name = gal_str_of(gal_arena_printf(arena, "%s_unzipped", p->name.p));
            o->note = "one a class, in the order of the model's classes";
        } else if (looks_like_probabilities(p, class_count)) {
            o->labels = p->shape[1] == (int64_t)class_count ? classes : NULL;
            o->label_count = o->labels ? class_count : 0;
        }
        if (d->probabilities.n == 0 && (o->unzip.n || looks_like_probabilities(p, class_count)))
            d->probabilities = o->name;
        d->output_count++;
    }
    d->outputs = made;
    return GAL_OK;
}

enum gal_status gal_draft_from_model(struct gal_draft *d, const struct gal_model_info *info,
                                     const struct gal_str *names, size_t name_count,
                                     struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status;

    if (name_count == 0)
        names = meta_texts(info, "feature_names", arena, &name_count);
    status = take_inputs(d, info, names, name_count, arena, err);
    if (status == GAL_OK)
        status = take_outputs(d, info, arena, err);
    if (status != GAL_OK)
        return status;
    if (d->description.n == 0 && info->description)
        d->description = gal_str_of(info->description);
    gal_draft_pair(&d->provenance, GAL_STR("producer"), gal_str_of(info->producer),
                   "as the model says");
    gal_draft_pair(&d->provenance, GAL_STR("opset"), info->opsets, NULL);
    for (size_t i = 0; i < info->meta_count; i++) {
        const struct gal_meta *m = &info->meta[i];
        bool told = gal_str_is(m->key, "feature_names") || gal_str_is(m->key, "class_names");
        if (!told && m->key.n && m->value.n && m->value.n <= 500 && m->key.n <= 60)
            gal_draft_pair(&d->metadata, m->key, m->value, "from the model's metadata");
    }
    return GAL_OK;
}
