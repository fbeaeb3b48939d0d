/* SPDX-License-Identifier: Apache-2.0 */
/* The trace and logging extensions over REST: /v2/trace/setting, /v2/logging. */
#include "api/body.h"
#include "api/route.h"
#include "api/trace_log.h"

/* --- trace --- */

static void put_setting(struct gal_buf *out, const struct gal_setting *s)
{
    bool is_list = gal_str_is(s->key, "trace_level");

    gal_json_put_str(out, s->key);
    gal_buf_puts(out, is_list ? ":[" : ":");
    for (size_t i = 0; i < s->count; i++) {
        gal_buf_puts(out, i > 0 ? "," : "");
        gal_json_put_str(out, s->values[i]);
    }
    gal_buf_puts(out, is_list ? "]" : "");
}

static void answer_trace(struct gal_exchange *x)
{
    struct gal_setting *settings;
    struct gal_err err;
    size_t count;

    if (gal_trace_show(x->api->trace, x->params[0], &x->arena, &settings, &count, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_buf_putc(&x->out, '{');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(&x->out, i > 0 ? "," : "");
        put_setting(&x->out, &settings[i]);
    }
    gal_buf_putc(&x->out, '}');
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_trace(struct gal_exchange *x)
{
    struct gal_err err;

    if (gal_trace_check(x, x->params[0], &err) == GAL_OK)
        answer_trace(x);
    else
        gal_exchange_fail(x, &err);
}

/* A text, a number as text, a list of texts; null clears. */
static enum gal_status read_values(struct gal_exchange *x, yyjson_val *v, struct gal_setting *s,
                                   struct gal_err *err)
{
    size_t i, n, room = yyjson_is_arr(v) ? yyjson_arr_size(v) : 1;
    struct gal_str *values = gal_arena_array(&x->arena, room + 1, sizeof(*values));
    yyjson_val *item;

    if (values == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    s->values = values;
    if (yyjson_is_null(v))
        return GAL_OK;
    if (yyjson_is_int(v)) {
        char *text = gal_arena_printf(&x->arena, yyjson_is_uint(v) ? "%llu" : "%lld",
                                      (unsigned long long)unsafe_yyjson_get_uint(v));
        values[0] = gal_str_of(text);
        s->count = 1;
        return text != NULL ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    }
    if (yyjson_is_str(v)) {
        values[0] = gal_body_text(v);
        s->count = 1;
        return GAL_OK;
    }
    if (!yyjson_is_arr(v) || room == 0)
        return gal_body_fail_type(v, "a text, a list of texts or null", s->key, err);
    yyjson_arr_foreach(v, i, n, item)
    {
        if (!yyjson_is_str(item))
            return gal_body_fail_type(item, "a text", s->key, err);
        values[i] = gal_body_text(item);
    }
    s->count = room;
    return GAL_OK;
}

static enum gal_status set_trace(struct gal_exchange *x, struct gal_err *err)
{
    struct gal_setting *settings;
    yyjson_val *root, *key, *v;
    size_t i, n, count = 0;
    enum gal_status st = gal_trace_check(x, x->params[0], err);

    if (st == GAL_OK)
        st = gal_settings_allowed(x, err);
    if (st == GAL_OK)
        st = gal_body_object(x, &root, err);
    if (st != GAL_OK)
        return st;
    settings = gal_arena_array(&x->arena, yyjson_obj_size(root) + 1, sizeof(*settings));
    if (settings == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_obj_foreach(root, i, n, key, v)
    {
        settings[count] = (struct gal_setting){.key = gal_body_text(key)};
        st = read_values(x, v, &settings[count++], err);
        if (st != GAL_OK)
            return st;
    }
    return gal_trace_update(x->api->trace, x->params[0], settings, count, err);
}

void gal_handle_trace_set(struct gal_exchange *x)
{
    struct gal_err err;

    if (set_trace(x, &err) == GAL_OK)
        answer_trace(x);
    else
        gal_exchange_fail(x, &err);
}

/* --- logging --- */

void gal_handle_logging(struct gal_exchange *x)
{
    struct gal_log_setting s[GAL_LOG_SETTINGS];

    gal_log_show(x->api->log, s);
    for (size_t i = 0; i < GAL_LOG_SETTINGS; i++) {
        gal_buf_putc(&x->out, i > 0 ? ',' : '{');
        gal_json_put_key(&x->out, s[i].key);
        if (s[i].kind == GAL_LOG_FLAG)
            gal_buf_puts(&x->out, s[i].flag ? "true" : "false");
        else if (s[i].kind == GAL_LOG_NUMBER)
            gal_buf_put_u64(&x->out, s[i].number);
        else
            gal_json_put_str(&x->out, s[i].text);
    }
    gal_buf_putc(&x->out, '}');
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

static enum gal_status read_log_setting(yyjson_val *key, yyjson_val *v, struct gal_log_setting *s,
                                        struct gal_err *err)
{
    *s = (struct gal_log_setting){.key = yyjson_get_str(key)};
    if (yyjson_is_bool(v)) {
        s->kind = GAL_LOG_FLAG;
        s->flag = yyjson_get_bool(v);
    } else if (yyjson_is_uint(v)) {
        s->kind = GAL_LOG_NUMBER;
        s->number = yyjson_get_uint(v);
    } else if (yyjson_is_str(v)) {
        s->kind = GAL_LOG_TEXT;
        s->text = gal_body_text(v);
    } else {
        return gal_body_fail_type(v, "true, false, a whole number or a text", gal_body_text(key),
                                  err);
    }
    return GAL_OK;
}

static enum gal_status set_log(struct gal_exchange *x, struct gal_err *err)
{
    struct gal_log_setting *settings;
    yyjson_val *root, *key, *v;
    size_t i, n, count = 0;
    enum gal_status st = gal_settings_allowed(x, err);

    if (st == GAL_OK)
        st = gal_body_object(x, &root, err);
    if (st != GAL_OK)
        return st;
    settings = gal_arena_array(&x->arena, yyjson_obj_size(root) + 1, sizeof(*settings));
    if (settings == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    yyjson_obj_foreach(root, i, n, key, v)
    {
        st = read_log_setting(key, v, &settings[count++], err);
        if (st != GAL_OK)
            return st;
    }
    return gal_log_update(x->api->log, settings, count, err);
}

void gal_handle_logging_set(struct gal_exchange *x)
{
    struct gal_err err;

    if (set_log(x, &err) == GAL_OK)
        gal_handle_logging(x);
    else
        gal_exchange_fail(x, &err);
}
