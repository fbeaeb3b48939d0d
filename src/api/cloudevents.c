/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cloudevents.h"

#include "base/base64.h"
#include "api/media.h"
#include "api/route.h"
#include "http/url.h"
#include "text/json_scan.h"

#define MEDIA_PREFIX "application/cloudevents"
#define MEDIA_BATCH MEDIA_PREFIX "-batch"
#define KEY_BYTES_MAX 80u /* of `data_base64` with every letter escaped, and some */

/* ---- a structured event ---- */

/* The value of `data` or `data_base64` as it stands in the text. It may be tens of megabytes that
 * the endpoint parses anyway: so it is cut out, and the rest is parsed as the event. */
struct cut {
    struct gal_str value; /* p NULL: the event has neither */
    bool base64;
};

static size_t skip_space(struct gal_str text, size_t at)
{
    while (at < text.n &&
           (text.p[at] == ' ' || text.p[at] == '\t' || text.p[at] == '\n' || text.p[at] == '\r'))
        at++;
    return at;
}

/* Behind the value that begins at `at`; `at` where there is none. */
static size_t value_end(struct gal_str text, size_t at)
{
    size_t depth = 0;

    if (at < text.n && text.p[at] == '"')
        return gal_json_skip_string(text, at);
    if (at >= text.n || (text.p[at] != '{' && text.p[at] != '[')) {
        while (at < text.n && memchr(",}] \t\r\n", text.p[at], 8) == NULL)
            at++;
        return at;
    }
    do {
        char c = text.p[at];

        if (c == '"') {
            at = gal_json_skip_string(text, at);
        } else {
            depth = c == '{' || c == '[' ? depth + 1 : depth - 1;
            at++;
        }
        if (depth > 0)
            at = gal_json_next_mark(text, at);
    } while (depth > 0 && at < text.n);
    return at;
}

/* The key between its quotes; one with escapes is read as JSON does. */
static bool key_is(struct gal_str key, const char *name, struct gal_arena *arena)
{
    struct gal_arena_mark mark;
    yyjson_val *v;
    bool same;

    if (key.n < 2 || key.n > KEY_BYTES_MAX)
        return false;
    if (memchr(key.p, '\\', key.n) == NULL)
        return gal_str_is((struct gal_str){key.p + 1, key.n - 2}, name);
    mark = gal_arena_mark(arena);
    same = gal_json_read(key, arena, 1, &v, NULL) == GAL_OK && yyjson_equals_str(v, name);
    gal_arena_rewind(arena, mark);
    return same;
}

static enum gal_status fail_text(size_t at, struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID, "the event is no JSON object: see byte %zu", at);
}

static enum gal_status take_cut(struct gal_str value, bool base64, struct cut *out,
                                struct gal_err *err)
{
    if (out->value.p != NULL && out->base64 != base64)
        return gal_fail(err, GAL_INVALID, "the event has both data and data_base64");
    if (out->value.p != NULL)
        return gal_fail(err, GAL_INVALID, "the event has %s twice",
                        base64 ? "data_base64" : "data");
    out->value = value;
    out->base64 = base64;
    return GAL_OK;
}

/* Walks over the outermost members. Whatever is wrong in the rest, its parser finds. */
static enum gal_status find_cut(struct gal_str text, struct gal_arena *arena, struct cut *out,
                                struct gal_err *err)
{
    size_t at = skip_space(text, 0);
    enum gal_status st = GAL_OK;

    *out = (struct cut){{NULL, 0}, false};
    if (at >= text.n || text.p[at] != '{')
        return fail_text(at, err);
    at = skip_space(text, at + 1);
    while (at < text.n && text.p[at] != '}' && st == GAL_OK) {
        size_t begin = at, end;
        struct gal_str key;

        if (text.p[at] == ',') {
            at = skip_space(text, at + 1);
            continue;
        }
        if (begin - out->value.n > GAL_EVENT_BYTES_MAX)
            break; /* the rest is refused for its size */
        at = text.p[at] == '"' ? gal_json_skip_string(text, at) : at;
        key = (struct gal_str){text.p + begin, at - begin};
        at = skip_space(text, at);
        if (key.n == 0 || at >= text.n || text.p[at] != ':')
            return fail_text(at, err);
        at = skip_space(text, at + 1);
        end = value_end(text, at);
        if (end == at)
            return fail_text(at, err);
        if (key_is(key, "data", arena))
            st = take_cut((struct gal_str){text.p + at, end - at}, false, out, err);
        else if (key_is(key, "data_base64", arena))
            st = take_cut((struct gal_str){text.p + at, end - at}, true, out, err);
        at = skip_space(text, end);
    }
    return st;
}

/* The event with null in place of its data. */
static enum gal_status read_rest(struct gal_str text, const struct cut *cut,
                                 struct gal_arena *arena, yyjson_val **root, struct gal_err *err)
{
    struct gal_str rest = text;
    enum gal_status st;

    if (cut->value.p != NULL) {
        size_t before = (size_t)(cut->value.p - text.p);
        size_t after = text.n - before - cut->value.n;
        char *p = NULL;

        rest.n = before + 4 + after;
        if (rest.n <= GAL_EVENT_BYTES_MAX) {
            p = gal_arena_small(arena, rest.n);
            if (p == NULL)
                return gal_fail(err, GAL_NO_MEMORY, "no memory for the event");
            memcpy(p, text.p, before);
            memcpy(p + before, "null", 4);
            memcpy(p + before + 4, cut->value.p + cut->value.n, after);
        }
        rest.p = p;
    }
    if (rest.n > GAL_EVENT_BYTES_MAX) {
        gal_fail(err, GAL_INVALID, "the event has more than %u bytes beside its data",
                 GAL_EVENT_BYTES_MAX);
        return GAL_INVALID;
    }
    st = gal_json_read(rest, arena, GAL_JSON_DEPTH_MAX, root, err);
    if (st == GAL_INVALID && err != NULL) {
        struct gal_err why = *err;

        gal_fail(err, st, "the event is no JSON: %s", why.message);
    }
    return st;
}

enum attribute { SPECVERSION, ID, SOURCE, TYPE, DATACONTENTTYPE, ATTRIBUTES };
static const char *const attributes[ATTRIBUTES] = {
    [SPECVERSION] = "specversion",         [ID] = "id", [SOURCE] = "source", [TYPE] = "type",
    [DATACONTENTTYPE] = "datacontenttype",
};

/* What both modes ask of the attributes; `prefix`: how their names are written. */
static enum gal_status check(const struct gal_str *values, const char *prefix, struct gal_err *err)
{
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (values[i].p == NULL && i == DATACONTENTTYPE)
            continue;
        if (values[i].p == NULL || values[i].n == 0)
            return gal_fail(err, GAL_INVALID, "the event's attribute %s%s is %s", prefix,
                            attributes[i], values[i].p == NULL ? "missing" : "empty");
    }
    if (gal_str_is(values[SPECVERSION], "1.0"))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "the event's attribute %s%s is '%.*s'", prefix,
             attributes[SPECVERSION],
             (int)(values[SPECVERSION].n < 32 ? values[SPECVERSION].n : 32), values[SPECVERSION].p);
    gal_err_hint(err, "send events of CloudEvents 1.0");
    return GAL_INVALID;
}

static enum gal_status read_attributes(yyjson_val *root, struct gal_str *values,
                                       struct gal_err *err)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(root);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        size_t i = 0;

        while (i < ATTRIBUTES && !yyjson_equals_str(key, attributes[i]))
            i++;
        if (i == ATTRIBUTES || yyjson_is_null(v)) /* null: not set */
            continue;
        if (!yyjson_is_str(v))
            return gal_fail(err, GAL_INVALID, "the event's attribute %s: expected a string, got %s",
                            attributes[i], gal_json_type_name(v));
        if (values[i].p != NULL)
            return gal_fail(err, GAL_INVALID, "the event's attribute %s is there twice",
                            attributes[i]);
        values[i] = (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
    }
    return check(values, "", err);
}

static enum gal_status read_string(struct gal_str value, const char *name, struct gal_arena *arena,
                                   struct gal_str *out, struct gal_err *err)
{
    yyjson_val *v;
    enum gal_status st;

    if (value.p[0] != '"') {
        gal_fail(err, GAL_INVALID, "the event's %s: expected a string", name);
        gal_err_hint(err, "only data of a JSON type may be another JSON value");
        return GAL_INVALID;
    }
    st = gal_json_read(value, arena, GAL_JSON_DEPTH_MAX, &v, err);
    if (st == GAL_OK)
        *out = (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
    return st;
}

static enum gal_status read_data(const struct cut *cut, struct gal_arena *arena,
                                 struct gal_event_data *out, struct gal_err *err)
{
    struct gal_str parameters, text;

    if (cut->base64) {
        enum gal_status st = read_string(cut->value, "data_base64", arena, &text, err);

        if (st == GAL_OK)
            st = gal_base64_decode(text, arena, &out->text, err);
        if (st == GAL_INVALID && err != NULL) {
            struct gal_err why = *err;

            gal_fail(err, st, "the event's data_base64: %s", why.message);
        }
        return st;
    }
    out->is_json = gal_media_is_json(gal_media_type(out->type, &parameters));
    if (!out->is_json)
        return read_string(cut->value, "data", arena, &out->text, err);
    out->text = cut->value;
    return GAL_OK;
}

enum gal_status gal_event_read(struct gal_str text, struct gal_arena *arena,
                               struct gal_event_data *out, struct gal_err *err)
{
    struct gal_str values[ATTRIBUTES] = {{NULL, 0}};
    yyjson_val *root;
    struct cut cut;
    enum gal_status st = find_cut(text, arena, &cut, err);

    if (st == GAL_OK)
        st = read_rest(text, &cut, arena, &root, err);
    if (st == GAL_OK)
        st = read_attributes(root, values, err);
    if (st != GAL_OK)
        return st;
    out->type = values[DATACONTENTTYPE].p != NULL ? values[DATACONTENTTYPE] : GAL_TYPE_JSON;
    out->text = (struct gal_str){"", 0};
    out->is_json = false;
    return cut.value.p != NULL ? read_data(&cut, arena, out, err) : GAL_OK;
}

/* ---- requests ---- */

static bool is_inference(const struct gal_route *route)
{
    switch (route->id) {
    case GAL_ROUTE_PREDICT:
    case GAL_ROUTE_V1_PREDICT:
    case GAL_ROUTE_V1_PREDICT_BATCH:
    case GAL_ROUTE_V1_MODEL_PREDICT:
    case GAL_ROUTE_V1_MODEL_PREDICT_BATCH:
    case GAL_ROUTE_V1_VERSION_PREDICT:
    case GAL_ROUTE_V1_VERSION_PREDICT_BATCH:
    case GAL_ROUTE_OIP_INFER:
    case GAL_ROUTE_OIP_INFER_VERSION:
    case GAL_ROUTE_GENERATE:
    case GAL_ROUTE_GENERATE_VERSION:
    case GAL_ROUTE_GENERATE_STREAM:
    case GAL_ROUTE_GENERATE_STREAM_VERSION:
    case GAL_ROUTE_INVOCATIONS:
    case GAL_ROUTE_SAGEMAKER_INVOKE:
    case GAL_ROUTE_TFS_PREDICT:
    case GAL_ROUTE_TFS_VERSION_PREDICT:
    case GAL_ROUTE_TFS_LABEL_PREDICT:
    case GAL_ROUTE_TFS_CLASSIFY:
    case GAL_ROUTE_TFS_VERSION_CLASSIFY:
    case GAL_ROUTE_TFS_LABEL_CLASSIFY:
    case GAL_ROUTE_TFS_REGRESS:
    case GAL_ROUTE_TFS_VERSION_REGRESS:
    case GAL_ROUTE_TFS_LABEL_REGRESS:
        return true;
    default:
        return false;
    }
}

static bool is_stream(const struct gal_route *route)
{
    return route->id == GAL_ROUTE_GENERATE_STREAM || route->id == GAL_ROUTE_GENERATE_STREAM_VERSION;
}

bool gal_event_takes(const struct gal_route *route)
{
    return is_inference(route) && !is_stream(route);
}

static bool starts_with(struct gal_str s, struct gal_str prefix)
{
    return s.n >= prefix.n && gal_str_ieq((struct gal_str){s.p, prefix.n}, prefix);
}

static enum gal_status open_binary(const struct gal_http_request *req, struct gal_err *err)
{
    const struct gal_str values[ATTRIBUTES] = {
        [SPECVERSION] = req->known[GAL_HDR_CE_SPECVERSION],
        [ID] = req->known[GAL_HDR_CE_ID],
        [SOURCE] = req->known[GAL_HDR_CE_SOURCE],
        [TYPE] = req->known[GAL_HDR_CE_TYPE],
    };

    return check(values, "ce-", err);
}

static enum gal_status open_structured(struct gal_exchange *x, struct gal_str type,
                                       struct gal_err *err)
{
    struct gal_event_data data;
    enum gal_status st;

    if (starts_with(type, GAL_STR(MEDIA_BATCH))) {
        gal_fail(err, GAL_INVALID, "Content-Type '%.*s': batches of events are not taken",
                 (int)(type.n < 64 ? type.n : 64), type.p);
        gal_err_hint(err, "send one event a request, as " GAL_EVENT_MEDIA_TYPE);
        return GAL_INVALID;
    }
    if (!gal_str_ieq(type, GAL_STR(GAL_EVENT_MEDIA_TYPE))) {
        gal_fail(err, GAL_MEDIA_TYPE, "Content-Type '%.*s' is not supported",
                 (int)(type.n < 64 ? type.n : 64), type.p);
        gal_err_hint(err, "send " GAL_EVENT_MEDIA_TYPE ", or an event in binary mode");
        return GAL_MEDIA_TYPE;
    }
    st = gal_event_read(x->body, &x->arena, &data, err);
    if (st != GAL_OK)
        return st;
    if (data.is_json && x->req->known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH].p != NULL)
        return gal_fail(err, GAL_INVALID,
                        "Inference-Header-Content-Length belongs to binary data, which an event "
                        "has in data_base64");
    x->body = data.text;
    x->req->known[GAL_HDR_CONTENT_TYPE] = data.type;
    return GAL_OK;
}

enum gal_status gal_event_open(struct gal_exchange *x, struct gal_err *err)
{
    const struct gal_str *known = x->req->known;
    struct gal_str parameters;
    bool structured = starts_with(known[GAL_HDR_CONTENT_TYPE], GAL_STR(MEDIA_PREFIX));
    struct gal_event *event;
    enum gal_status st;

    if ((!structured && known[GAL_HDR_CE_ID].p == NULL && known[GAL_HDR_CE_SOURCE].p == NULL &&
         known[GAL_HDR_CE_SPECVERSION].p == NULL && known[GAL_HDR_CE_TYPE].p == NULL) ||
        !is_inference(x->route))
        return GAL_OK;
    if (is_stream(x->route)) {
        gal_fail(err, GAL_UNSUPPORTED, "a stream is no answer to an event");
        gal_err_hint(err, "ask generate");
        return GAL_UNSUPPORTED;
    }
    event = gal_arena_small(&x->arena, sizeof(*event));
    if (event == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the event");
    memset(event, 0, sizeof(*event));
    event->structured = structured;
    st = structured
             ? open_structured(x, gal_media_type(known[GAL_HDR_CONTENT_TYPE], &parameters), err)
             : open_binary(x->req, err);
    x->malformed = st == GAL_INVALID;
    x->event = st == GAL_OK ? event : NULL;
    return st;
}

/* ---- answers ---- */

static enum gal_status fill(struct gal_exchange *x, struct gal_event *event, struct gal_err *err)
{
    gal_uuid4(&x->api->rng, event->id);
    gal_timestamp_format(gal_wall_us(x->api->clock), event->time);
    gal_url_put_segment(&x->packed, gal_str_of(x->model->name));
    if (!x->packed.failed)
        event->source = gal_arena_printf(&x->arena, GAL_EVENT_SOURCE_PREFIX "%.*s",
                                         GAL_STR_ARG(gal_buf_str(&x->packed)));
    gal_buf_clear(&x->packed, GAL_ARENA_KEEP_BYTES);
    return event->source != NULL ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for the event");
}

static void add_headers(struct gal_exchange *x, const struct gal_event *event)
{
    gal_http_response_header(&x->resp, GAL_STR("ce-specversion"), GAL_STR("1.0"));
    gal_http_response_header(&x->resp, GAL_STR("ce-id"), gal_str_of(event->id));
    gal_http_response_header(&x->resp, GAL_STR("ce-source"), gal_str_of(event->source));
    gal_http_response_header(&x->resp, GAL_STR("ce-type"), GAL_STR(GAL_EVENT_TYPE));
    gal_http_response_header(&x->resp, GAL_STR("ce-time"), gal_str_of(event->time));
}

/* The attributes, and all but the value of data. Nothing in them needs an escape. */
static char *attributes_text(struct gal_exchange *x, const struct gal_event *event,
                             struct gal_str content_type, const char *member)
{
    return gal_arena_printf(&x->arena,
                            "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"%s\","
                            "\"type\":\"" GAL_EVENT_TYPE "\",\"time\":\"%s\","
                            "\"datacontenttype\":\"%.*s\",\"%s\":",
                            event->id, event->source, event->time, GAL_STR_ARG(content_type),
                            member);
}

/* JSON stands in the event as it is. */
static enum gal_status wrap_json(struct gal_exchange *x, const struct gal_event *event,
                                 struct gal_str content_type, const struct gal_str **parts,
                                 size_t *count, struct gal_err *err)
{
    struct gal_str *all = gal_arena_array(&x->arena, *count + 2, sizeof(*all));
    char *head = attributes_text(x, event, content_type, "data");

    if (all == NULL || head == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the event");
    all[0] = gal_str_of(head);
    if (*count > 0)
        memcpy(all + 1, *parts, *count * sizeof(*all));
    all[*count + 1] = GAL_STR("}");
    *parts = all;
    *count += 2;
    return GAL_OK;
}

/* Parts may lie in x->out, where the event is written. */
static enum gal_status join(struct gal_exchange *x, const struct gal_str *parts, size_t count,
                            struct gal_str *out, struct gal_err *err)
{
    size_t n = 0, at = 0;
    char *p;

    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    p = gal_arena_alloc(&x->arena, n);
    if (p == NULL)
        return gal_arena_fail(&x->arena, n, "the event", err);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0)
            memcpy(p + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    *out = (struct gal_str){p, n};
    return GAL_OK;
}

static enum gal_status wrap_bytes(struct gal_exchange *x, const struct gal_event *event,
                                  struct gal_str content_type, const struct gal_str **parts,
                                  size_t *count, struct gal_err *err)
{
    struct gal_str *part = gal_arena_small(&x->arena, sizeof(*part));
    struct gal_str bytes = {NULL, 0};
    const char *head;
    bool text;

    if (join(x, *parts, *count, &bytes, err) != GAL_OK)
        return err->code;
    text = starts_with(content_type, GAL_STR("text/")) && gal_utf8_valid(bytes);
    head = attributes_text(x, event, content_type, text ? "data" : "data_base64");
    if (part == NULL || head == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the event");
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    gal_buf_puts(&x->out, head);
    if (text) {
        gal_buf_put_quoted(&x->out, bytes);
    } else {
        gal_buf_putc(&x->out, '"');
        gal_base64_put(&x->out, bytes);
        gal_buf_putc(&x->out, '"');
    }
    gal_buf_putc(&x->out, '}');
    if (x->out.failed)
        return gal_fail(err, x->out.starved ? GAL_NO_MEMORY : GAL_INTERNAL,
                        "the answer does not fit into an event");
    *part = gal_buf_str(&x->out);
    *parts = part;
    *count = 1;
    return GAL_OK;
}

enum gal_status gal_event_close(struct gal_exchange *x, struct gal_str *content_type,
                                const struct gal_str **parts, size_t *count, struct gal_err *err)
{
    struct gal_event *event = x->event;
    struct gal_str parameters, type = *content_type;
    enum gal_status st = fill(x, event, err);

    if (st != GAL_OK)
        return st;
    if (!event->structured) {
        add_headers(x, event);
        return GAL_OK;
    }
    *content_type = GAL_STR(GAL_EVENT_MEDIA_TYPE);
    return gal_media_is_json(gal_media_type(type, &parameters))
               ? wrap_json(x, event, type, parts, count, err)
               : wrap_bytes(x, event, type, parts, count, err);
}
