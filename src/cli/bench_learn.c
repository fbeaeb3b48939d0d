/* SPDX-License-Identifier: Apache-2.0 */
/* What a target tells of itself: its models, their inputs, its statistics. Over REST; models and
 * inputs by gRPC where that is what is to be loaded, so that a port for nothing else will do. */
#include "cli/bench.h"
#include "http/url.h"
#include "load/ask.h"
#include "text/protobuf.h"

#define ANSWER_BYTES_MAX (16u << 20) /* of metadata, of statistics */
#define SERVICE "/inference.GRPCInferenceService/"

/* --- what it takes --- */

/* GETs a document of the protocol into the side's arena; NOT_FOUND for any status but 200. */
static enum gal_status ask(struct gal_bench_side *s, const char *path, struct gal_str *out,
                           struct gal_err *err)
{
    struct gal_buf body;
    char *copy = NULL;
    int code = 0;
    enum gal_status status;

    gal_buf_init(&body, ANSWER_BYTES_MAX);
    status = gal_target_fetch(&s->target, path, GAL_BENCH_ASK_US, &code, &body, err);
    if (status != GAL_OK && err && err->hint[0] == '\0' && status != GAL_TOO_LARGE)
        gal_err_hint(err, "a port that speaks gRPC alone is loaded with --protocol grpc");
    if (status == GAL_OK && code != 200) {
        status = gal_fail(err, GAL_NOT_FOUND, "the server answers %d: %.*s", code,
                          (int)(body.n < 200 ? body.n : 200), body.n ? body.p : "");
        gal_err_place(err, "GET %s", path);
    }
    if (status == GAL_OK)
        copy = gal_arena_strdup(&s->arena, gal_buf_str(&body));
    if (status == GAL_OK && !copy)
        status = gal_arena_fail(&s->arena, body.n, "the server's answer", err);
    *out = (struct gal_str){copy, copy ? body.n : 0};
    gal_buf_release(&body);
    return status;
}

/* The same of a call of gRPC. */
static enum gal_status ask_grpc(struct gal_bench_side *s, const char *path, struct gal_str message,
                                struct gal_str *out, struct gal_err *err)
{
    const struct gal_ask call = {s->endpoint, s->authority, path, GAL_BENCH_ASK_US};
    struct gal_buf body;
    char *copy = NULL;
    enum gal_status status;

    gal_buf_init(&body, ANSWER_BYTES_MAX);
    status = gal_ask_grpc(&call, message, &body, err);
    if (status == GAL_OK)
        copy = gal_arena_strdup(&s->arena, gal_buf_str(&body));
    if (status == GAL_OK && !copy)
        status = gal_arena_fail(&s->arena, body.n, "the server's answer", err);
    else if (status == GAL_NOT_FOUND)
        gal_err_place(err, "%s", path);
    *out = (struct gal_str){copy, copy ? body.n : 0};
    gal_buf_release(&body);
    return status;
}

static enum gal_status list_models(struct gal_bench_side *s, struct gal_str **names, size_t *count,
                                   struct gal_err *err)
{
    struct gal_str answer;
    enum gal_status status;

    if (s->spec.protocol == GAL_PROTOCOL_GRPC) {
        /* What is ready, or else all that a first request may load. */
        status = ask_grpc(s, SERVICE "RepositoryIndex", GAL_STR("\x10\x01"), &answer, err);
        if (status == GAL_OK && answer.n == 0)
            status = ask_grpc(s, SERVICE "RepositoryIndex", GAL_STR(""), &answer, err);
        return status == GAL_OK ? gal_meta_names_grpc(answer, &s->arena, names, count, err)
                                : status;
    }
    status = ask(s, "/v2/models", &answer, err);
    return status == GAL_OK ? gal_meta_names(answer, &s->arena, names, count, err) : status;
}

/* The only model that the server has. */
static enum gal_status find_model(struct gal_bench_side *s, struct gal_err *err)
{
    struct gal_str *names;
    char list[160] = "";
    size_t count;

    if (list_models(s, &names, &count, err) != GAL_OK) {
        if (err && err->hint[0] == '\0')
            gal_err_hint(err, "name the model: --model NAME");
        return err ? err->code : GAL_INVALID;
    }
    if (count == 1) {
        s->spec.model = names[0];
        return GAL_OK;
    }
    for (size_t i = 0; i < count && strlen(list) < sizeof(list) - 40; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.*s", i ? ", " : "",
                 (int)(names[i].n < 40 ? names[i].n : 40), names[i].p);
    gal_fail(err, GAL_INVALID, "the server has %zu models", count);
    gal_err_hint(err, count ? "choose one: --model, of %s" : "load one first%s", list);
    return GAL_INVALID;
}

/* /v2/models/NAME[/versions/V]SUFFIX */
static const char *model_path(struct gal_bench_side *s, const char *suffix, char *out, size_t size)
{
    struct gal_buf path;

    gal_buf_init(&path, size - 1);
    gal_buf_puts(&path, "/v2/models/");
    gal_url_put_segment(&path, s->spec.model);
    if (s->spec.version.n) {
        gal_buf_puts(&path, "/versions/");
        gal_url_put_segment(&path, s->spec.version);
    }
    gal_buf_puts(&path, suffix);
    snprintf(out, size, "%.*s", (int)path.n, path.p ? path.p : "");
    gal_buf_release(&path);
    return out;
}

static enum gal_status read_metadata(struct gal_bench_side *s, struct gal_err *err)
{
    struct gal_str answer;
    struct gal_buf message;
    char path[2048];
    enum gal_status status;

    if (s->spec.protocol != GAL_PROTOCOL_GRPC) {
        status = ask(s, model_path(s, "", path, sizeof(path)), &answer, err);
        return status == GAL_OK ? gal_meta_parse(answer, &s->arena, &s->model, err) : status;
    }
    gal_buf_init(&message, 65536);
    gal_pb_put_bytes(&message, 1, s->spec.model); /* ModelMetadataRequest */
    gal_pb_put_bytes(&message, 2, s->spec.version);
    status = message.failed
                 ? gal_fail(err, GAL_TOO_LARGE, "the model's name is too long")
                 : ask_grpc(s, SERVICE "ModelMetadata", gal_buf_str(&message), &answer, err);
    gal_buf_release(&message);
    return status == GAL_OK ? gal_meta_parse_grpc(answer, &s->arena, &s->model, err) : status;
}

enum gal_status gal_bench_side_learn(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                     struct gal_err *err)
{
    struct gal_str json;
    enum gal_status status = GAL_OK;

    s->spec.protocol = plan->protocol;
    s->spec.version = plan->version;
    s->spec.timeout_us = plan->timeout_us;
    s->spec.model = plan->model;
    if (s->spec.model.n == 0)
        status = find_model(s, err);
    if (status == GAL_OK && plan->protocol == GAL_PROTOCOL_COUNT && !plan->input)
        s->spec.protocol =
            ask(s, "/v2", &json, NULL) == GAL_OK && gal_meta_has_binary(json, &s->arena)
                ? GAL_PROTOCOL_OIP_BINARY
                : GAL_PROTOCOL_OIP_JSON;
    return status == GAL_OK && !plan->input ? read_metadata(s, err) : status;
}

/* --- statistics --- */

void gal_bench_side_stats(struct gal_bench_side *s, struct gal_server_stats *out)
{
    struct gal_arena arena;
    struct gal_buf body;
    char path[2048];
    int code = 0;

    out->known = false;
    if (s->spec.protocol == GAL_PROTOCOL_HTTP || s->spec.model.n == 0 || s->no_stats)
        return;
    gal_arena_init(&arena, 65536, 0, 64u << 20);
    gal_buf_init(&body, ANSWER_BYTES_MAX);
    if (gal_target_fetch(&s->target, model_path(s, "/stats", path, sizeof(path)), GAL_BENCH_ASK_US,
                         &code, &body, NULL) != GAL_OK ||
        code != 200 ||
        gal_server_stats_parse(gal_buf_str(&body), s->spec.version, &arena, out, NULL) != GAL_OK)
        out->known = false;
    /* A port of gRPC alone may take its time to say no: it is asked once. */
    s->no_stats = !out->known && s->spec.protocol == GAL_PROTOCOL_GRPC;
    gal_buf_release(&body);
    gal_arena_release(&arena);
}
