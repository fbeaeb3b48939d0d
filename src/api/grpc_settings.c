/* SPDX-License-Identifier: Apache-2.0 */
/* TraceSetting and LogSettings: what a request names is changed, all of it is answered. */
#include "api/grpc_json.h"
#include "api/route.h"
#include "api/trace_log.h"

#include <proto/inference.pb-c.h>

enum entry_field { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* One entry of map<string, SettingValue> `settings` = 1: key in out from `start` on, then what
 * stands from `value` on. */
static void end_entry(struct gal_buf *out, size_t start, size_t value)
{
    gal_pb_wrap(out, value, ENTRY_VALUE);
    gal_pb_wrap(out, start, 1);
}

static void fail_memory(struct gal_exchange *x)
{
    struct gal_err err;

    gal_fail(&err, GAL_NO_MEMORY, "no memory for the settings");
    gal_exchange_fail(x, &err);
}

/* --- trace --- */

static struct gal_setting *read_trace(struct gal_exchange *x,
                                      const Inference__TraceSettingRequest *r)
{
    struct gal_setting *list = gal_arena_array(&x->arena, r->n_settings + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < r->n_settings; i++) {
        const Inference__TraceSettingRequest__SettingsEntry *e = r->settings[i];
        size_t count = e->value != NULL ? e->value->n_value : 0;
        struct gal_str *values = gal_arena_array(&x->arena, count, sizeof(*values));

        if (values == NULL)
            return NULL;
        for (size_t k = 0; k < count; k++)
            values[k] = gal_str_of(e->value->value[k]);
        list[i] = (struct gal_setting){gal_str_of(e->key), values, count};
    }
    return list;
}

static void put_trace(struct gal_buf *out, const struct gal_setting *s)
{
    size_t start = out->n, value;

    gal_pb_put_bytes(out, ENTRY_KEY, s->key);
    value = out->n;
    for (size_t i = 0; i < s->count; i++)
        gal_pb_put_bytes(out, 1, s->values[i]);
    end_entry(out, start, value);
}

void gal_handle_grpc_trace(struct gal_exchange *x)
{
    const Inference__TraceSettingRequest *r =
        gal_grpc_request(x, &inference__trace_setting_request__descriptor);
    struct gal_setting *list = r != NULL ? read_trace(x, r) : NULL;
    struct gal_err err;
    enum gal_status st;
    size_t count;

    if (r == NULL)
        return;
    if (list == NULL) {
        fail_memory(x);
        return;
    }
    st = gal_trace_check(x, gal_str_of(r->model_name), &err);
    if (st == GAL_OK && r->n_settings > 0)
        st = gal_settings_allowed(x, &err);
    if (st == GAL_OK && r->n_settings > 0)
        st = gal_trace_update(x->api->trace, gal_str_of(r->model_name), list, r->n_settings, &err);
    if (st == GAL_OK)
        st = gal_trace_show(x->api->trace, gal_str_of(r->model_name), &x->arena, &list, &count,
                            &err);
    if (st != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_trace(&x->out, &list[i]);
    gal_grpc_finish(x);
}

/* --- log --- */

static struct gal_log_setting *read_log(struct gal_exchange *x,
                                        const Inference__LogSettingsRequest *r)
{
    struct gal_log_setting *list = gal_arena_array(&x->arena, r->n_settings + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < r->n_settings; i++) {
        const Inference__LogSettingsRequest__SettingsEntry *e = r->settings[i];
        const Inference__LogSettingsRequest__SettingValue *v = e->value;

        list[i] = (struct gal_log_setting){.key = e->key, .kind = GAL_LOG_TEXT};
        if (v == NULL)
            continue;
        switch (v->parameter_choice_case) {
        case INFERENCE__LOG_SETTINGS_REQUEST__SETTING_VALUE__PARAMETER_CHOICE_BOOL_PARAM:
            list[i].kind = GAL_LOG_FLAG;
            list[i].flag = v->bool_param != 0;
            break;
        case INFERENCE__LOG_SETTINGS_REQUEST__SETTING_VALUE__PARAMETER_CHOICE_UINT32_PARAM:
            list[i].kind = GAL_LOG_NUMBER;
            list[i].number = v->uint32_param;
            break;
        case INFERENCE__LOG_SETTINGS_REQUEST__SETTING_VALUE__PARAMETER_CHOICE_STRING_PARAM:
            list[i].text = gal_str_of(v->string_param);
            break;
        default:
            break;
        }
    }
    return list;
}

static void put_log(struct gal_buf *out, const struct gal_log_setting *s)
{
    size_t start = out->n, value;

    gal_pb_put_bytes(out, ENTRY_KEY, gal_str_of(s->key));
    value = out->n;
    if (s->kind == GAL_LOG_FLAG)
        gal_pb_put_u64(out, 1, s->flag);
    else if (s->kind == GAL_LOG_NUMBER)
        gal_pb_put_u64(out, 2, s->number);
    else
        gal_pb_put_bytes(out, 3, s->text);
    end_entry(out, start, value);
}

void gal_handle_grpc_log(struct gal_exchange *x)
{
    const Inference__LogSettingsRequest *r =
        gal_grpc_request(x, &inference__log_settings_request__descriptor);
    struct gal_log_setting *list = r != NULL ? read_log(x, r) : NULL;
    struct gal_log_setting shown[GAL_LOG_SETTINGS];
    struct gal_err err;
    enum gal_status st = GAL_OK;

    if (r == NULL)
        return;
    if (list == NULL) {
        fail_memory(x);
        return;
    }
    if (r->n_settings > 0)
        st = gal_settings_allowed(x, &err);
    if (st == GAL_OK && r->n_settings > 0)
        st = gal_log_update(x->api->log, list, r->n_settings, &err);
    if (st != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_log_show(x->api->log, shown);
    for (size_t i = 0; i < GAL_LOG_SETTINGS; i++)
        put_log(&x->out, &shown[i]);
    gal_grpc_finish(x);
}
