/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include "base/file.h"
#include "base/limits.h"
#include "text/json.h"

#define KEY "class_names"

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for labels");
}

/* A label a line; a carriage return before its end is not part of it. */
static enum gal_status read_file(const char *path, struct gal_arena *arena, struct gal_labels *out,
                                 struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status = gal_file_read(path, GAL_LABELS_BYTES_MAX, &text, err);
    if (status) {
        gal_err_place(err, "%s", path);
        return status;
    }
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    struct gal_str *names = gal_arena_array(arena, lines + 1, sizeof *names), rest, line;
    rest = (struct gal_str){gal_arena_strdup(arena, gal_buf_str(&text)), text.n};
    gal_buf_release(&text);
    if (!names || !rest.p)
        return no_memory(err);
    if (!gal_utf8_valid(rest)) {
        gal_fail(err, GAL_INVALID, "labels are UTF-8 text");
        gal_err_place(err, "%s", path);
        return GAL_INVALID;
    }
    while (rest.n > 0 && gal_str_cut(&rest, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        names[out->count++] = line;
    }
    out->names = names;
    return GAL_OK;
}

/* Of another form: no labels. */
static enum gal_status read_meta(const struct gal_model_info *info, struct gal_arena *arena,
                                 struct gal_labels *out, struct gal_err *err)
{
    yyjson_val *root = NULL, *v;
    size_t i, n;
    for (size_t k = 0; k < info->meta_count && !root; k++) {
        if (gal_str_is(info->meta[k].key, KEY))
            (void)gal_json_read(info->meta[k].value, arena, 4, &root, NULL);
    }
    if (!yyjson_is_arr(root) || yyjson_arr_size(root) == 0)
        return GAL_OK;
    struct gal_str *names = gal_arena_array(arena, yyjson_arr_size(root), sizeof *names);
    if (!names)
        return no_memory(err);
    yyjson_arr_foreach(root, i, n, v)
    {
        if (!yyjson_is_str(v))
            return GAL_OK;
        names[i] = (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
    }
    *out = (struct gal_labels){names, n};
    return GAL_OK;
}

enum gal_status gal_labels_read(const struct gal_model_config *c, const struct gal_model_info *info,
                                struct gal_arena *arena, const struct gal_labels **out,
                                struct gal_err *err)
{
    struct gal_labels common = {NULL, 0}, *all;
    enum gal_status status = read_meta(info, arena, &common, err);
    bool any = common.count > 0;
    *out = NULL;
    all = gal_arena_array(arena, info->output_count + 1, sizeof *all);
    if (!all)
        return status ? status : no_memory(err);
    for (size_t i = 0; i < info->output_count && !status; i++) {
        const struct gal_declared *d = gal_model_config_declared(c, info->outputs[i].name, true);
        all[i] = common;
        if (!d || !d->label_path)
            continue;
        all[i] = (struct gal_labels){NULL, 0};
        status = read_file(d->label_path, arena, &all[i], err);
        any = true;
    }
    if (!status && any)
        *out = all;
    return status;
}
