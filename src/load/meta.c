/* SPDX-License-Identifier: Apache-2.0 */
#include "load/meta.h"

#include "text/json.h"

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

static enum gal_status read_json(struct gal_str json, struct gal_arena *arena, yyjson_val **root,
                                 struct gal_err *err)
{
    struct gal_err reason;
    enum gal_status status = gal_json_read(json, arena, GAL_JSON_DEPTH_MAX, root, &reason);

    if (status != GAL_OK)
        return gal_fail(err, status, "the server's answer is no JSON: %s", reason.message);
    return GAL_OK;
}

static enum gal_status take_shape(yyjson_val *list, struct gal_load_input *in, struct gal_err *err)
{
    yyjson_val *size;
    yyjson_arr_iter it;

    in->rank = 0;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > GAL_RANK_MAX)
        return gal_fail(err, GAL_INVALID, "input %.*s has no shape", GAL_STR_ARG(in->name));
    (void)yyjson_arr_iter_init(list, &it);
    while ((size = yyjson_arr_iter_next(&it))) {
        if (!yyjson_is_int(size))
            return gal_fail(err, GAL_INVALID, "input %.*s has a shape that is not of numbers",
                            GAL_STR_ARG(in->name));
        in->shape[in->rank++] = yyjson_get_sint(size) < 0 ? -1 : yyjson_get_sint(size);
    }
    return GAL_OK;
}

static enum gal_status take_input(yyjson_val *v, struct gal_load_input *in, struct gal_err *err)
{
    yyjson_val *name = yyjson_obj_get(v, "name"), *type = yyjson_obj_get(v, "datatype");

    if (!yyjson_is_str(name) || !yyjson_is_str(type))
        return gal_fail(err, GAL_INVALID, "an input has no name or no datatype");
    in->name = text_of(name);
    in->dtype = gal_dtype_parse(text_of(type));
    if (in->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED, "input %.*s has the datatype %.*s",
                        GAL_STR_ARG(in->name), GAL_STR_ARG(text_of(type)));
    return take_shape(yyjson_obj_get(v, "shape"), in, err);
}

enum gal_status gal_meta_parse(struct gal_str json, struct gal_arena *arena,
                               struct gal_load_model *out, struct gal_err *err)
{
    yyjson_val *root, *inputs, *v;
    yyjson_arr_iter it;
    enum gal_status status = read_json(json, arena, &root, err);

    if (status != GAL_OK)
        return status;
    *out = (struct gal_load_model){
        .name = text_of(yyjson_obj_get(root, "name")),
        .version = text_of(yyjson_arr_get_last(yyjson_obj_get(root, "versions")))};
    inputs = yyjson_obj_get(root, "inputs");
    if (!out->name.n || !yyjson_is_arr(inputs) || yyjson_arr_size(inputs) > GAL_TENSORS_MAX)
        return gal_fail(err, GAL_INVALID,
                        "the server's answer is no metadata of a model: it has "
                        "no name or no inputs");
    out->inputs = gal_arena_array(arena, yyjson_arr_size(inputs) + 1, sizeof *out->inputs);
    if (!out->inputs)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the model's inputs");
    (void)yyjson_arr_iter_init(inputs, &it);
    while ((v = yyjson_arr_iter_next(&it)) && status == GAL_OK)
        status = take_input(v, &out->inputs[out->input_count++], err);
    return status;
}

bool gal_meta_has_binary(struct gal_str json, struct gal_arena *arena)
{
    yyjson_val *root, *list, *v;
    yyjson_arr_iter it;

    if (read_json(json, arena, &root, NULL) != GAL_OK)
        return false;
    list = yyjson_obj_get(root, "extensions");
    if (!yyjson_is_arr(list))
        return false;
    (void)yyjson_arr_iter_init(list, &it);
    while ((v = yyjson_arr_iter_next(&it))) {
        if (yyjson_equals_str(v, "binary_tensor_data"))
            return true;
    }
    return false;
}

enum gal_status gal_meta_names(struct gal_str json, struct gal_arena *arena, struct gal_str **names,
                               size_t *count, struct gal_err *err)
{
    yyjson_val *root, *list, *v;
    yyjson_arr_iter it;
    enum gal_status status = read_json(json, arena, &root, err);

    *count = 0;
    if (status != GAL_OK)
        return status;
    list = yyjson_is_arr(root) ? root : yyjson_obj_get(root, "models");
    if (!yyjson_is_arr(list))
        return gal_fail(err, GAL_INVALID, "the server's answer is no list of models");
    *names = gal_arena_array(arena, yyjson_arr_size(list) + 1, sizeof **names);
    if (!*names)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of models");
    (void)yyjson_arr_iter_init(list, &it);
    while ((v = yyjson_arr_iter_next(&it))) {
        struct gal_str name = text_of(yyjson_is_obj(v) ? yyjson_obj_get(v, "name") : v);
        if (name.n)
            (*names)[(*count)++] = name;
    }
    return GAL_OK;
}

enum gal_status gal_shape_spec_parse(struct gal_str text, struct gal_str *name, int64_t *shape,
                                     size_t *rank, struct gal_err *err)
{
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    struct gal_str rest, part;
    uint64_t size;

    *rank = 0;
    if (!colon || colon == text.p)
        goto wrong;
    *name = (struct gal_str){text.p, (size_t)(colon - text.p)};
    rest = (struct gal_str){colon + 1, text.n - name->n - 1};
    while ((rest.n || *rank) && gal_str_cut(&rest, 'x', &part)) {
        if (*rank == GAL_RANK_MAX || gal_str_u64(part, &size) != GAL_OK || size > INT32_MAX)
            goto wrong;
        shape[(*rank)++] = (int64_t)size;
    }
    return GAL_OK;
wrong:
    (void)gal_fail(err, GAL_INVALID, "'%.*s' is not NAME:SIZExSIZE", GAL_STR_ARG(text));
    gal_err_hint(err, "such as --shape input_ids:1x128");
    return GAL_INVALID;
}
