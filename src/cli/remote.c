/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include "base/mem.h"
#include "codec/tensor_json.h"
#include "text/json.h"

#include <stdio.h>

#define PORTS_BYTES_MAX (16u << 20)
#define PORTS_MAX 4096u
#define MODELS_PATH "/v2/models/"

struct remote {
    struct gal_fetcher *fetcher;
    char *url, *infer_url; /* owned */
    struct gal_model_info info;
    struct gal_arena arena; /* of info */
};

static struct remote *own(struct gal_session *s)
{
    return (struct remote *)s;
}

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for a server's model");
}

bool gal_remote_is(const char *text)
{
    struct gal_str s = gal_str_of(text);
    return gal_str_starts(s, GAL_STR("http://")) || gal_str_starts(s, GAL_STR("https://"));
}

/* An answer that does not say what the protocol has it say. */
static enum gal_status odd_answer(const struct remote *r, const char *what, struct gal_err *err)
{
    char shown[128];
    return gal_fail(err, GAL_INVALID, "%s: %.150s; is it a model of the Open Inference Protocol?",
                    gal_fetch_shown(r->url, shown, sizeof shown), what);
}

/* --- reading tensors --- */

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

static int64_t *read_shape(yyjson_val *v, struct gal_arena *arena)
{
    size_t i, n;
    yyjson_val *item;
    int64_t *shape = gal_arena_array(arena, yyjson_arr_size(v) + 1, sizeof *shape);

    yyjson_arr_foreach(v, i, n, item)
    {
        if (shape)
            shape[i] = yyjson_is_int(item) ? yyjson_get_sint(item) : -1;
    }
    return shape;
}

/* Name, datatype and shape of a port or a tensor; false when one is missing. */
static bool read_head(yyjson_val *v, struct gal_arena *arena, struct gal_tensor *out)
{
    yyjson_val *name = yyjson_obj_get(v, "name"), *shape = yyjson_obj_get(v, "shape");
    char *copy;

    if (!yyjson_is_str(name) || !yyjson_is_arr(shape) || yyjson_arr_size(shape) > GAL_RANK_MAX)
        return false;
    *out = (struct gal_tensor){.dtype = gal_dtype_parse(text_of(yyjson_obj_get(v, "datatype"))),
                               .rank = yyjson_arr_size(shape),
                               .shape = read_shape(shape, arena)};
    copy = gal_arena_strdup(arena, text_of(name));
    out->name = (struct gal_str){copy, yyjson_get_len(name)};
    return copy && out->shape && out->dtype != GAL_DT_NONE;
}

static bool read_ports(yyjson_val *list, struct gal_arena *arena, bool optional,
                       const struct gal_port **out, size_t *count)
{
    size_t i, n, size = yyjson_arr_size(list);
    struct gal_port *ports = gal_arena_array(arena, size + 1, sizeof *ports);
    yyjson_val *item;
    struct gal_tensor t;

    if (!yyjson_is_arr(list) || size > PORTS_MAX || !ports)
        return false;
    yyjson_arr_foreach(list, i, n, item)
    {
        if (!read_head(item, arena, &t))
            return false;
        ports[i] = (struct gal_port){.name = t.name,
                                     .dtype = t.dtype,
                                     .optional = optional,
                                     .shape_known = true,
                                     .type_text = gal_dtype_name(t.dtype),
                                     .rank = t.rank,
                                     .shape = t.shape};
    }
    *out = ports;
    *count = size;
    return true;
}

static enum gal_status ask(const struct remote *r, const struct gal_fetch_request *request,
                           struct gal_fetch_response *answer, struct gal_err *err)
{
    enum gal_status status = gal_fetch(r->fetcher, request, answer, err);
    if (!status && answer->status != 200)
        status = gal_fetch_failed(request, answer, err);
    return status;
}

static enum gal_status read_metadata(struct remote *r, struct gal_err *err)
{
    const struct gal_fetch_request request = {.url = r->url, .body_max = PORTS_BYTES_MAX};
    struct gal_fetch_response answer;
    yyjson_val *root = NULL;
    enum gal_status status = ask(r, &request, &answer, err);

    if (!status && gal_json_read(gal_buf_str(&answer.body), &r->arena, GAL_JSON_DEPTH_MAX, &root,
                                 NULL) != GAL_OK)
        status = odd_answer(r, "the metadata is no JSON", err);
    if (!status && (!read_ports(yyjson_obj_get(root, "inputs"), &r->arena, true, &r->info.inputs,
                                &r->info.input_count) ||
                    !read_ports(yyjson_obj_get(root, "outputs"), &r->arena, false, &r->info.outputs,
                                &r->info.output_count)))
        status = odd_answer(r, "the metadata lists no inputs and outputs that can be read", err);
    gal_fetch_response_release(&answer);
    return status;
}

/* --- the slots --- */

static enum gal_status remote_version(const struct gal_backend_options *options, const char **out,
                                      struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "a server's engine is its own matter");
}

static enum gal_status remote_load(const char *path, const struct gal_backend_options *options,
                                   struct gal_session **out, struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "%s: a server's model is reached by gal_remote_new",
                    path);
}

static void remote_free(struct gal_session *session)
{
    struct remote *r = own(session);
    if (!r)
        return;
    gal_fetcher_free(r->fetcher);
    gal_arena_release(&r->arena);
    gal_free(r->url);
    gal_free(r->infer_url);
    gal_free(r);
}

static const struct gal_model_info *remote_info(const struct gal_session *session)
{
    return &((const struct remote *)session)->info;
}

static enum gal_status put_input(struct gal_buf *out, const struct gal_tensor *t,
                                 struct gal_err *err)
{
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, t->name);
    gal_buf_printf(out, ",\"datatype\":\"%s\",\"shape\":[", gal_dtype_name(t->dtype));
    for (size_t d = 0; d < t->rank; d++) {
        gal_buf_puts(out, d ? "," : "");
        gal_buf_put_i64(out, t->shape[d]);
    }
    gal_buf_puts(out, "],\"data\":");
    enum gal_status status = gal_tensor_to_json(t, false, out, err);
    gal_buf_putc(out, '}');
    return status;
}

static enum gal_status put_request(const struct remote *r, const struct gal_value *inputs,
                                   const size_t *wanted, size_t count, struct gal_buf *out,
                                   struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    const char *separator = "";

    gal_buf_puts(out, "{\"inputs\":[");
    for (size_t i = 0; !status && i < r->info.input_count; i++) {
        if (inputs[i].kind != GAL_KIND_TENSOR)
            continue;
        gal_buf_puts(out, separator);
        status = put_input(out, &inputs[i].tensor, err);
        separator = ",";
    }
    gal_buf_puts(out, "],\"outputs\":[");
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        gal_json_put_str(out, r->info.outputs[wanted[i]].name);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "]}");
    if (!status && out->failed)
        status = gal_fail(err, GAL_TOO_LARGE, "the request is too large");
    return status;
}

static enum gal_status read_output(const struct remote *r, yyjson_val *list, struct gal_str name,
                                   struct gal_arena *arena, struct gal_value *out,
                                   struct gal_err *err)
{
    struct gal_tensor *t = &out->tensor;
    char what[128];
    yyjson_val *item;
    size_t i, n;

    *out = (struct gal_value){.kind = GAL_KIND_TENSOR};
    yyjson_arr_foreach(list, i, n, item)
    {
        if (!gal_str_eq(text_of(yyjson_obj_get(item, "name")), name))
            continue;
        if (!read_head(item, arena, t) ||
            gal_shape_count(t->shape, t->rank, t->dtype, &t->count, NULL) != GAL_OK)
            break;
        return gal_tensor_from_json(yyjson_obj_get(item, "data"), t, "data", arena, err);
    }
    snprintf(what, sizeof what, "the answer has no output '%.*s' that can be read",
             GAL_STR_SHOWN(name));
    return odd_answer(r, what, err);
}

static enum gal_status read_outputs(const struct remote *r, struct gal_str text,
                                    const size_t *wanted, size_t count, struct gal_arena *arena,
                                    struct gal_value *outputs, struct gal_err *err)
{
    yyjson_val *root = NULL;
    enum gal_status status = GAL_OK;

    if (gal_json_read(text, arena, GAL_JSON_DEPTH_MAX, &root, NULL) != GAL_OK)
        return odd_answer(r, "the answer is no JSON", err);
    for (size_t i = 0; !status && i < count; i++)
        status = read_output(r, yyjson_obj_get(root, "outputs"), r->info.outputs[wanted[i]].name,
                             arena, &outputs[i], err);
    return status;
}

static enum gal_status remote_run(struct gal_session *session, const struct gal_value *inputs,
                                  const size_t *wanted, size_t output_count,
                                  struct gal_arena *arena, struct gal_value *outputs,
                                  struct gal_err *err)
{
    static const struct gal_fetch_header headers[] = {{"Content-Type", "application/json"},
                                                      {"Accept", "application/json"}};
    struct remote *r = own(session);
    struct gal_fetch_response answer;
    struct gal_buf body;
    enum gal_status status;

    gal_buf_init(&body, GAL_BODY_BYTES_MAX);
    status = put_request(r, inputs, wanted, output_count, &body, err);
    if (!status) {
        const struct gal_fetch_request request = {.method = "POST",
                                                  .url = r->infer_url,
                                                  .headers = headers,
                                                  .header_count = 2,
                                                  .body = gal_buf_str(&body),
                                                  .body_max = GAL_RESPONSE_BYTES_MAX};
        status = ask(r, &request, &answer, err);
        if (!status)
            status = read_outputs(r, gal_buf_str(&answer.body), wanted, output_count, arena,
                                  outputs, err);
        gal_fetch_response_release(&answer);
    }
    gal_buf_release(&body);
    return status;
}

static void remote_release_output(struct gal_session *session, struct gal_value *output)
{
    (void)session;
    (void)output; /* the arena's */
}

static void remote_trim(struct gal_session *session)
{
    (void)session;
}

const struct gal_backend_ops gal_remote_ops = {
    .abi = GAL_BACKEND_ABI,
    .name = "remote",
    .version = remote_version,
    .load = remote_load,
    .free = remote_free,
    .info = remote_info,
    .run = remote_run,
    .release_output = remote_release_output,
    .trim = remote_trim,
};

/* --- making one --- */

static enum gal_status set_urls(struct remote *r, const char *url, struct gal_err *err)
{
    size_t n = strlen(url);
    const char *path = strstr(url, MODELS_PATH);

    if (!path || path[strlen(MODELS_PATH)] == '\0') {
        gal_fail(err, GAL_INVALID, "%.150s names no model", url);
        gal_err_hint(err, "a model of a running server is http://HOST:PORT" MODELS_PATH
                          "NAME, or .../NAME/versions/VERSION");
        return GAL_INVALID;
    }
    while (n > 0 && url[n - 1] == '/')
        n--;
    r->url = gal_calloc(1, n + 1);
    r->infer_url = gal_calloc(1, n + sizeof "/infer");
    if (!r->url || !r->infer_url)
        return no_memory(err);
    memcpy(r->url, url, n);
    snprintf(r->infer_url, n + sizeof "/infer", "%s/infer", r->url);
    return GAL_OK;
}

enum gal_status gal_remote_new(const char *url, const struct gal_fetch_options *options,
                               struct gal_session **out, struct gal_err *err)
{
    struct remote *r = gal_calloc(1, sizeof *r);
    enum gal_status status;

    *out = NULL;
    if (!r)
        return no_memory(err);
    gal_arena_init(&r->arena, 16384, 0, PORTS_BYTES_MAX);
    r->info = (struct gal_model_info){
        .platform = "remote", .producer = "", .graph_name = "", .description = "", .domain = ""};
    status = set_urls(r, url, err);
    if (!status)
        status = gal_fetcher_new(options, &r->fetcher, err);
    if (!status)
        status = read_metadata(r, err);
    if (status)
        remote_free((struct gal_session *)r);
    else
        *out = (struct gal_session *)r;
    return status;
}
