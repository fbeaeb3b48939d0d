/* SPDX-License-Identifier: Apache-2.0 */
#include "model/features.h"

#include "base/limits.h"
#include "base/map.h"
#include "text/json.h"

#include <inttypes.h>

#define KEY "feature_names"

/* The one tensor that must be given; NULL when there is none or there are several. */
static const struct gal_port *only_input(const struct gal_model_info *info)
{
    const struct gal_port *only = NULL;
    for (size_t i = 0; i < info->input_count; i++) {
        if (info->inputs[i].optional)
            continue;
        if (only || info->inputs[i].kind != GAL_KIND_TENSOR)
            return NULL;
        only = &info->inputs[i];
    }
    return only;
}

/* NULL when the metadata is no JSON array of text. */
static yyjson_val *read_names(const struct gal_model_info *info, struct gal_arena *arena)
{
    yyjson_val *root = NULL, *v;
    size_t i, n;
    for (size_t k = 0; k < info->meta_count && !root; k++) {
        if (gal_str_is(info->meta[k].key, KEY))
            (void)gal_json_read(info->meta[k].value, arena, 4, &root, NULL);
    }
    if (!yyjson_is_arr(root) || yyjson_arr_size(root) == 0)
        return NULL;
    yyjson_arr_foreach(root, i, n, v)
    {
        if (!yyjson_is_str(v))
            return NULL;
    }
    return root;
}

static enum gal_status check_unique(const char *const *names, size_t count, struct gal_err *err)
{
    struct gal_map seen;
    gal_map_init(&seen);
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < count; i++) {
        union {
            const char *from;
            void *to;
        } name = {.from = names[i]};
        if (gal_map_get(&seen, gal_str_of(names[i])))
            status = gal_fail(err, GAL_INVALID, "feature '%.100s' is named twice", names[i]);
        else if (gal_map_set(&seen, gal_str_of(names[i]), name.to))
            status = gal_fail(err, GAL_NO_MEMORY, "no memory for feature names");
    }
    gal_map_release(&seen);
    return status;
}

static enum gal_status check_count(const struct gal_port *input, size_t count, struct gal_err *err)
{
    int64_t takes = input->shape_known && input->rank > 0 ? input->shape[input->rank - 1] : -1;
    if (takes < 0 || (uint64_t)takes == count)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "%zu features are named, input %s takes %" PRId64, count,
                    input->name.p, takes);
}

enum gal_status gal_features_read(const struct gal_model_info *info, struct gal_arena *arena,
                                  const char *const **names, size_t *count, struct gal_err *err)
{
    *names = NULL;
    *count = 0;
    const struct gal_port *input = only_input(info);
    yyjson_val *root = input ? read_names(info, arena) : NULL, *v;
    if (!root)
        return GAL_OK;
    size_t i, n = yyjson_arr_size(root);
    const char **list = gal_arena_array(arena, n, sizeof *list);
    if (!list)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for feature names");
    yyjson_arr_foreach(root, i, n, v)
    {
        list[i] = yyjson_get_str(v);
    }
    enum gal_status status = check_count(input, n, err);
    if (!status)
        status = check_unique(list, n, err);
    if (status) {
        gal_err_place(err, "metadata " KEY);
        return status;
    }
    *names = list;
    *count = n;
    return GAL_OK;
}
