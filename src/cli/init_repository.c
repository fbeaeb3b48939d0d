/* SPDX-License-Identifier: Apache-2.0 */
/* A model directory as Triton has them (config.pbtxt, VERSION/model.onnx), or one with a model.onnx
 * alone. */
#include "base/file.h"
#include "base/mem.h"
#include "cli/init.h"
#include "cli/print.h"
#include "model/labels.h"
#include "server/model_keys.h"
#include "text/json.h"

/* Keys whose numbers are microseconds in JSON; a bare number of a manifest is seconds. */
static bool is_time(struct gal_str key)
{
    return gal_str_is(key, "max_queue_delay") || gal_str_is(key, "latency_target") ||
           gal_str_is(key, "inline_limit") || gal_str_is(key, "response_cache_ttl") ||
           gal_str_is(key, "queue_timeout");
}

/* A model's own key, as `serving:` takes it. */
static bool is_key(struct gal_str key)
{
    const struct gal_config_row *row = gal_config_find(key);
    return row && row->scope == GAL_SCOPE_MODEL;
}

static struct gal_str value_text(struct gal_init *in, struct gal_str key, yyjson_val *v)
{
    const char *text = "";

    if (yyjson_is_str(v))
        text = yyjson_get_str(v);
    else if (yyjson_is_bool(v))
        text = yyjson_get_bool(v) ? "true" : "false";
    else if (yyjson_is_uint(v))
        text = gal_arena_printf(&in->arena, "%llu%s", (unsigned long long)yyjson_get_uint(v),
                                is_time(key) ? "us" : "");
    else if (yyjson_is_arr(v)) {
        size_t i, n;
        yyjson_val *item;
        text = "[";
        yyjson_arr_foreach(v, i, n, item) text =
            gal_arena_printf(&in->arena, "%s%s%lld", text ? text : "", i ? ", " : "",
                             (long long)yyjson_get_sint(item));
        text = gal_arena_printf(&in->arena, "%s]", text ? text : "");
    }
    return gal_str_of(text);
}

/* What the configuration says beyond galley's defaults becomes `serving:`. */
static enum gal_status take_serving(struct gal_init *in, const struct gal_model_config *c,
                                    struct gal_err *err)
{
    struct gal_model_config untold;
    struct gal_buf text[2];
    yyjson_val *root[2] = {NULL, NULL}, *key, *value;
    size_t i, n;
    enum gal_status status;

    status = gal_model_keys_base(&in->config, &untold, err);
    if (status == GAL_OK)
        status = gal_model_config_settle(&untold, (struct gal_str){NULL, 0}, err);
    for (size_t k = 0; k < 2; k++) {
        gal_buf_init(&text[k], GAL_INIT_JSON_BYTES_MAX);
        gal_model_config_json(&text[k], k ? c : &untold);
        if (status == GAL_OK)
            status =
                gal_json_read(gal_buf_str(&text[k]), &in->arena, GAL_JSON_DEPTH_MAX, &root[k], err);
    }
    if (status == GAL_OK) {
        yyjson_obj_foreach(root[1], i, n, key, value)
        {
            struct gal_str name = {yyjson_get_str(key), yyjson_get_len(key)};
            size_t before = in->draft.serving.count;
            if (!is_key(name) || yyjson_equals(value, yyjson_obj_getn(root[0], name.p, name.n)))
                continue;
            gal_draft_pair(&in->draft.serving, gal_init_copy(in, name.p, name.n),
                           value_text(in, name, value), "from config.pbtxt");
            if (in->draft.serving.count > before)
                in->draft.serving.at[before].literal = !yyjson_is_str(value);
        }
    }
    for (size_t k = 0; k < 2; k++)
        gal_buf_release(&text[k]);
    return status;
}

/* The first label_filename's lines. */
static enum gal_status take_labels(struct gal_init *in, const struct gal_model_config *c,
                                   struct gal_err *err)
{
    struct gal_buf text;
    struct gal_str rest, line;
    enum gal_status status;

    for (const struct gal_declared *d = c->declared; d; d = d->next) {
        size_t room = 1;
        if (!d->is_output || !d->label_path)
            continue;
        status = gal_file_read(d->label_path, GAL_LABELS_BYTES_MAX, &text, err);
        if (status != GAL_OK)
            return status;
        rest = gal_init_copy(in, text.p, text.n);
        gal_buf_release(&text);
        for (size_t i = 0; i < rest.n; i++)
            room += rest.p[i] == '\n';
        in->labels = gal_arena_array(&in->arena, room, sizeof(*in->labels));
        if (!in->labels)
            return gal_arena_fail(&in->arena, room, "labels", err);
        while (rest.n && gal_str_cut(&rest, '\n', &line)) {
            line = gal_str_trim(line);
            if (line.n)
                in->labels[in->label_count++] = line;
        }
        in->labels_of = gal_init_copy(in, d->name.p, d->name.n);
        return GAL_OK;
    }
    return GAL_OK;
}

static enum gal_status take(struct gal_init *in, const struct gal_model *m, struct gal_err *err)
{
    const struct gal_model_config *c = &m->config;
    enum gal_status status;

    if (m->error.code != GAL_OK) {
        if (err)
            *err = m->error;
        return m->error.code;
    }
    in->draft.made_from =
        c->source ? gal_arena_printf(&in->arena, "%s and its config.pbtxt", gal_path_base(m->path))
                  : gal_path_base(m->path);
    if (!gal_cli_has(in->cli, "name"))
        in->draft.name = gal_draft_name(gal_str_of(m->name), &in->arena);
    status = take_serving(in, c, err);
    if (status == GAL_OK)
        status = take_labels(in, c, err);
    for (const struct gal_config_note *n = c->notes; n; n = n->next)
        gal_init_note(in, gal_arena_printf(&in->arena, "config.pbtxt:%u: %s is left out: %s",
                                           n->line, n->field, n->reason));
    for (size_t i = 0; i < c->parameter_count && status == GAL_OK; i++)
        gal_draft_pair(&in->draft.metadata,
                       gal_init_copy(in, c->parameters[i].key.p, c->parameters[i].key.n),
                       gal_init_copy(in, c->parameters[i].value.p, c->parameters[i].value.n),
                       "a parameter of config.pbtxt");
    if (status == GAL_OK)
        status = gal_init_take_model(in, gal_init_copy(in, m->path, strlen(m->path)).p, err);
    return status;
}

enum gal_status gal_init_repository(struct gal_init *in, struct gal_err *err)
{
    struct gal_model **models = NULL;
    struct gal_catalog *catalog = NULL;
    size_t count = 0;
    enum gal_status status;

    status = gal_cli_scan(&in->config, &in->source, 1, &models, &count, err);
    if (status == GAL_OK)
        status = gal_catalog_new(models, count, &catalog, err);
    if (status == GAL_OK && catalog->count != 1) {
        status = gal_fail(err, GAL_INVALID, "the directory holds %zu models; a package is one",
                          catalog->count);
        gal_err_place(err, "%s", in->source);
        gal_err_hint(err, "name one: galley init %s/NAME", in->source);
    }
    if (status == GAL_OK)
        status = take(in, catalog->entries[0].versions[0], err); /* the newest */
    if (catalog)
        gal_catalog_unref(catalog);
    for (size_t i = 0; i < count; i++)
        gal_model_unref(models[i]);
    gal_free(models);
    return status;
}
