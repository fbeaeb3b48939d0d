/* SPDX-License-Identifier: Apache-2.0 */
/* The model repository extension: /v2/repository/... */
#include "base/base64.h"
#include "api/body.h"
#include "api/control.h"
#include "api/route.h"

#define FILE_KEY GAL_STR("file:")

static enum gal_status refuse_key(struct gal_str key, const char *hint, struct gal_err *err)
{
    int n = (int)(key.n < 64 ? key.n : 64);

    gal_fail(err, GAL_INVALID, "unknown key '%.*s'", n, key.p);
    gal_err_place(err, "%.*s", n, key.p);
    gal_err_hint(err, "%s", hint);
    return GAL_INVALID;
}

/* --- index --- */

static void put_member(struct gal_buf *out, const char *key, struct gal_str v)
{
    if (v.n == 0)
        return;
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_json_put_str(out, v);
}

static enum gal_status read_index(struct gal_exchange *x, bool *only_ready, struct gal_err *err)
{
    yyjson_val *root, *key, *v;
    size_t i, n;
    enum gal_status st = gal_body_object(x, &root, err);

    *only_ready = false;
    if (st != GAL_OK || root == NULL)
        return st;
    yyjson_obj_foreach(root, i, n, key, v)
    {
        if (!gal_str_is(gal_body_text(key), "ready"))
            return refuse_key(gal_body_text(key), "the body is empty or {\"ready\": true}", err);
        if (!yyjson_is_bool(v))
            return gal_body_fail_type(v, "true or false", GAL_STR("ready"), err);
        *only_ready = yyjson_get_bool(v);
    }
    return GAL_OK;
}

void gal_handle_repository_index(struct gal_exchange *x)
{
    struct gal_index_row *rows;
    size_t count;
    bool only_ready;
    struct gal_err err;

    if (read_index(x, &only_ready, &err) != GAL_OK ||
        gal_control_index(x, only_ready, &rows, &count, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_buf_putc(&x->out, '[');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(&x->out, i > 0 ? ",{\"name\":" : "{\"name\":");
        gal_json_put_str(&x->out, rows[i].name);
        put_member(&x->out, "version", rows[i].version);
        put_member(&x->out, "state", gal_str_of(gal_index_state_name(rows[i].state)));
        put_member(&x->out, "reason", rows[i].reason);
        gal_buf_putc(&x->out, '}');
    }
    gal_buf_putc(&x->out, ']');
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

/* --- load, unload --- */

static enum gal_status take_file(struct gal_exchange *x, struct gal_str key, yyjson_val *v,
                                 struct gal_control_file *f, struct gal_err *err)
{
    enum gal_status st;

    if (!yyjson_is_str(v))
        return gal_body_fail_type(v, "a file's content in base64", key, err);
    f->path = (struct gal_str){key.p + FILE_KEY.n, key.n - FILE_KEY.n};
    st = gal_base64_decode(gal_body_text(v), &x->arena, &f->bytes, err);
    if (st == GAL_INVALID)
        gal_err_place(err, "parameters.%.*s", (int)(key.n < 64 ? key.n : 64), key.p);
    return st;
}

static enum gal_status take_load(struct gal_exchange *x, yyjson_val *params,
                                 struct gal_control_request *r, struct gal_err *err)
{
    struct gal_control_file *files =
        gal_arena_array(&x->arena, yyjson_obj_size(params) + 1, sizeof(*files));
    enum gal_status st = GAL_OK;
    yyjson_val *key, *v;
    size_t i, n;

    if (files == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_obj_foreach(params, i, n, key, v)
    {
        struct gal_str name = gal_body_text(key);

        if (gal_str_is(name, "config")) {
            if (!yyjson_is_str(v))
                return gal_body_fail_type(v, "a text that holds a ModelConfig in JSON",
                                          GAL_STR("parameters.config"), err);
            r->config = gal_body_text(v);
        } else if (gal_str_starts(name, FILE_KEY)) {
            if (r->file_count == GAL_CONTROL_FILES_MAX)
                return gal_fail(err, GAL_TOO_LARGE, "more than %u files", GAL_CONTROL_FILES_MAX);
            st = take_file(x, name, v, &files[r->file_count++], err);
        } else {
            st = refuse_key(name, "a load takes config and file:PATH", err);
        }
        if (st != GAL_OK)
            return st;
    }
    r->files = files;
    if (r->file_count == 0 || r->config.p != NULL)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "files of a request need a configuration beside them");
    gal_err_place(err, "parameters.config");
    return GAL_INVALID;
}

static enum gal_status take_unload(yyjson_val *params, struct gal_err *err)
{
    yyjson_val *key, *v;
    size_t i, n;

    yyjson_obj_foreach(params, i, n, key, v)
    {
        if (!gal_str_is(gal_body_text(key), "unload_dependents"))
            return refuse_key(gal_body_text(key), "an unload takes unload_dependents", err);
        if (!yyjson_is_bool(v)) /* no model depends on another here */
            return gal_body_fail_type(v, "true or false", GAL_STR("parameters.unload_dependents"),
                                      err);
    }
    return GAL_OK;
}

static enum gal_status read_control(struct gal_exchange *x, struct gal_control_request *r,
                                    struct gal_err *err)
{
    yyjson_val *root, *params, *key, *v;
    size_t i, n;
    enum gal_status st = gal_body_object(x, &root, err);

    if (st == GAL_OK && (x->params[0].n == 0 || x->params[0].n > GAL_NAME_BYTES_MAX ||
                         memchr(x->params[0].p, '\0', x->params[0].n)))
        st = gal_fail(err, GAL_INVALID, "a model's name has 1 to %u bytes", GAL_NAME_BYTES_MAX);
    if (st != GAL_OK || root == NULL)
        return st;
    yyjson_obj_foreach(root, i, n, key, v)
    {
        if (!gal_str_is(gal_body_text(key), "parameters"))
            return refuse_key(gal_body_text(key), "the body is empty or {\"parameters\": {...}}",
                              err);
    }
    params = yyjson_obj_get(root, "parameters");
    if (params == NULL || yyjson_is_null(params))
        return GAL_OK;
    if (!yyjson_is_obj(params))
        return gal_body_fail_type(params, "an object", GAL_STR("parameters"), err);
    return r->action == GAL_CONTROL_LOAD ? take_load(x, params, r, err) : take_unload(params, err);
}

static void on_done(struct gal_control_request *r)
{
    struct gal_exchange *x = r->user;

    x->job_running = false;
    if (r->status == GAL_OK)
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
    else
        gal_exchange_fail(x, &r->err);
}

static void control(struct gal_exchange *x, enum gal_control_action action)
{
    struct gal_control_request *r = gal_arena_small(&x->arena, sizeof(*r));
    struct gal_err err;
    enum gal_status st = gal_control_allowed(x, &err);

    if (st == GAL_OK && r == NULL)
        st = gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    if (st == GAL_OK && r != NULL) {
        *r = (struct gal_control_request){.action = action,
                                          .model = x->params[0],
                                          .home = x->api->loop,
                                          .on_done = on_done,
                                          .user = x};
        st = read_control(x, r, &err);
    }
    if (st != GAL_OK || r == NULL) {
        gal_exchange_fail(x, &err);
        return;
    }
    memset(&x->job, 0, sizeof(x->job)); /* a cancel finds no scheduler and does nothing */
    x->job_running = true;
    x->api->control->submit(x->api->control->ctx, r);
}

void gal_handle_repository_load(struct gal_exchange *x)
{
    control(x, GAL_CONTROL_LOAD);
}

void gal_handle_repository_unload(struct gal_exchange *x)
{
    control(x, GAL_CONTROL_UNLOAD);
}

void gal_handle_repository_named(struct gal_exchange *x)
{
    struct gal_err err;

    gal_fail(&err, GAL_UNSUPPORTED, "'repository_name' specification is not supported");
    gal_err_hint(&err, "leave '%.*s' out of the path",
                 (int)(x->params[0].n < 64 ? x->params[0].n : 64), x->params[0].p);
    gal_exchange_fail(x, &err);
}
