/* SPDX-License-Identifier: Apache-2.0 */
/* One target: reached or started, and the requests for it. */
#include "base/file.h"
#include "cli/bench.h"
#include "http/url.h"
#include "text/json.h"

#define INPUT_BYTES_MAX (256u << 20) /* of --input */
#define BYTES_MAX (1ul << 30)        /* of a step's requests together */
#define DISTINCT_BYTES (64u << 20)   /* fewer distinct requests where they would take more */
#define BODIES_MAX 100000u           /* lines of --input */

void gal_bench_side_init(struct gal_bench_side *s, const char *operand, const char *const *args,
                         size_t arg_count)
{
    *s = (struct gal_bench_side){.operand = operand, .args = args, .arg_count = arg_count};
    s->child = (struct gal_bench_child){.log_fd = -1, .pid_fd = -1};
    gal_arena_init(&s->arena, 65536, 0, INPUT_BYTES_MAX + (64u << 20));
    gal_buf_init(&s->bytes, BYTES_MAX);
}

void gal_bench_side_release(struct gal_bench_side *s)
{
    gal_bench_child_stop(&s->child);
    gal_arena_release(&s->arena);
    gal_buf_release(&s->bytes);
}

/* --- where --- */

static bool is_url(const char *operand)
{
    return strncmp(operand, "http://", 7) == 0 || strncmp(operand, "https://", 8) == 0;
}

/* A name that exists is a path; what is none and looks like HOST:PORT is a URL. */
static enum gal_status find_target(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                   bool (*stop)(void *ctx), void *ctx, struct gal_err *err)
{
    struct gal_file_info info = {GAL_FILE_NONE, 0, 0, 0};

    if (!is_url(s->operand) && gal_file_stat(s->operand, &info, err) != GAL_OK)
        return err ? err->code : GAL_IO;
    if (info.kind != GAL_FILE_NONE)
        return gal_bench_child_start(&s->child, s->operand, s->args, s->arg_count,
                                     plan->server_cores, stop, ctx, &s->target, err);
    if (!is_url(s->operand) && !strchr(s->operand, ':')) {
        gal_fail(err, GAL_NOT_FOUND, "%s: no such file", s->operand);
        gal_err_hint(err, "name a model to serve, or a server: http://127.0.0.1:8080");
        return GAL_NOT_FOUND;
    }
    if (s->arg_count) {
        gal_fail(err, GAL_INVALID,
                 "%s is a server already: settings behind -- are for a PATH, "
                 "which galley serves itself",
                 s->operand);
        return GAL_INVALID;
    }
    if (strncmp(s->operand, "https://", 8) == 0) {
        gal_fail(err, GAL_UNSUPPORTED, "%s: load is sent over http only", s->operand);
        gal_err_hint(err, "name the server's plain port");
        return GAL_UNSUPPORTED;
    }
    return gal_target_parse(s->operand, &s->target, err);
}

static enum gal_status reach(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                             struct gal_err *err)
{
    enum gal_status status = gal_target_reach(&s->target, GAL_BENCH_ASK_US, &s->endpoint, err);

    if (status != GAL_OK || plan->allow_remote || gal_endpoint_is_loopback(&s->endpoint))
        return status;
    gal_fail(err, GAL_UNSUPPORTED,
             "%s is another machine: a load test of a server that others use "
             "is an attack on them",
             s->target.host);
    gal_err_hint(err, "if it is yours to load, say so: --allow-remote");
    return GAL_UNSUPPORTED;
}

/* --- --input --- */

/* The whole file, or each of its lines that is not empty. */
static enum gal_status take_bodies(struct gal_bench_side *s, struct gal_str text, bool lines,
                                   struct gal_err *err)
{
    struct gal_str rest = text, line;
    size_t count = 1;

    for (size_t i = 0; lines && i < text.n; i++)
        count += text.p[i] == '\n';
    if (count > BODIES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "there are more than %u lines", BODIES_MAX);
    s->bodies = gal_arena_array(&s->arena, count, sizeof(*s->bodies));
    if (!s->bodies)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the requests");
    if (!lines)
        s->bodies[s->body_count++] = text;
    while (lines && rest.n && gal_str_cut(&rest, '\n', &line)) {
        line = gal_str_trim(line);
        if (line.n)
            s->bodies[s->body_count++] = line;
    }
    return s->body_count ? GAL_OK : gal_fail(err, GAL_INVALID, "the file is empty");
}

/* Protocol and rows of all bodies: they must agree in the protocol. */
static enum gal_status inspect_bodies(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                      struct gal_err *err)
{
    struct gal_arena arena;
    enum gal_status status = GAL_OK;

    gal_arena_init(&arena, 65536, 1u << 20, INPUT_BYTES_MAX * 2ul);
    for (size_t i = 0; i < s->body_count && status == GAL_OK; i++) {
        enum gal_protocol protocol;
        uint64_t rows;
        gal_arena_clear(&arena);
        status = gal_request_inspect(s->bodies[i], &arena, &protocol, &rows, err);
        if (status == GAL_OK && i && protocol != s->spec.protocol)
            status = gal_fail(err, GAL_INVALID, "the requests are of more than one protocol");
        if (status == GAL_OK && plan->protocol != GAL_PROTOCOL_COUNT && plan->protocol != protocol)
            status = gal_fail(err, GAL_INVALID, "the request is of the protocol %s, not %s",
                              gal_protocol_name(protocol), gal_protocol_name(plan->protocol));
        if (status != GAL_OK) {
            gal_err_place(err, "%s, request %zu", plan->input, i + 1);
            break;
        }
        s->rows = i == 0 || s->rows == rows ? rows : 0;
        s->spec.protocol = protocol;
    }
    gal_arena_release(&arena);
    return status;
}

static bool is_json(struct gal_str text)
{
    struct gal_arena arena;
    yyjson_val *root;
    bool result;

    gal_arena_init(&arena, 65536, 0, INPUT_BYTES_MAX * 2ul);
    result = gal_json_read(text, &arena, GAL_JSON_DEPTH_MAX, &root, NULL) == GAL_OK;
    gal_arena_release(&arena);
    return result;
}

static enum gal_status read_input(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                  struct gal_err *err)
{
    bool raw = s->spec.protocol == GAL_PROTOCOL_HTTP;
    struct gal_buf file;
    struct gal_str text;
    char *copy;
    enum gal_status status = gal_file_read(plan->input, INPUT_BYTES_MAX, &file, err);

    if (status != GAL_OK)
        return status;
    copy = gal_arena_strdup(&s->arena, gal_buf_str(&file));
    text = gal_str_trim((struct gal_str){copy, file.n});
    gal_buf_release(&file);
    if (!copy)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %s", plan->input);
    status = take_bodies(s, text, !raw && !is_json(text), err);
    if (status == GAL_OK && !raw)
        return inspect_bodies(s, plan, err);
    if (status != GAL_OK)
        gal_err_place(err, "%s", plan->input);
    return status;
}

enum gal_status gal_bench_side_open(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                    bool (*stop)(void *ctx), void *ctx, struct gal_err *err)
{
    enum gal_status status = find_target(s, plan, stop, ctx, err);

    if (status == GAL_OK)
        status = reach(s, plan, err);
    if (status != GAL_OK)
        return status;
    s->spec.host = gal_target_authority(&s->target, s->authority, sizeof(s->authority));
    if (s->target.path[0] && strcmp(s->target.path, "/") != 0) {
        if (plan->protocol == GAL_PROTOCOL_GRPC)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "%s: --protocol grpc goes with a URL without a path", s->operand);
        s->spec.protocol = GAL_PROTOCOL_HTTP;
        s->spec.path = s->target.path;
    } else {
        status = gal_bench_side_learn(s, plan, err);
    }
    if (status == GAL_OK && plan->input)
        status = read_input(s, plan, err);
    return status;
}

/* --- requests --- */

/* Offsets first: bytes moves while it grows. */
static enum gal_status slice(struct gal_bench_side *s, const size_t *ends, size_t count,
                             struct gal_err *err)
{
    if (s->bytes.failed)
        return gal_fail(err, GAL_TOO_LARGE, "the requests of a step take more than %lu bytes",
                        BYTES_MAX);
    s->requests = gal_arena_array(&s->arena, count, sizeof(*s->requests));
    if (!s->requests)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the requests");
    for (size_t i = 0; i < count; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        s->requests[i] = (struct gal_str){s->bytes.p + begin, ends[i] - begin};
    }
    s->request_count = count;
    return GAL_OK;
}

static const struct gal_bench_shape *shape_of(const struct gal_bench_plan *plan,
                                              struct gal_str input)
{
    for (size_t i = 0; i < plan->shape_count; i++) {
        if (gal_str_eq(plan->shapes[i].name, input))
            return &plan->shapes[i];
    }
    return NULL;
}

static enum gal_status make_one(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                uint64_t rows, struct gal_random *random, struct gal_arena *arena,
                                struct gal_err *err)
{
    size_t count = s->model.input_count;
    struct gal_load_tensor *tensors = gal_arena_array(arena, count + 1, sizeof(*tensors));
    enum gal_status status = GAL_OK;

    if (!tensors)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the inputs");
    for (size_t i = 0; i < count && status == GAL_OK; i++) {
        const struct gal_load_input *in = &s->model.inputs[i];
        const struct gal_bench_shape *given = shape_of(plan, in->name);
        status =
            gal_values_make(in, given ? given->shape : NULL, given ? given->rank : 0,
                            plan->rows_given || !given ? rows : 0, random, arena, &tensors[i], err);
    }
    if (status == GAL_OK) {
        gal_request_put(&s->bytes, &s->spec, tensors, count);
        s->rows = count && tensors[0].rank ? (uint64_t)tensors[0].shape[0] : 1;
    }
    return status;
}

static enum gal_status make_up(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                               uint64_t rows, size_t *ends, size_t *count, struct gal_err *err)
{
    struct gal_random random;
    struct gal_arena arena;
    enum gal_status status = GAL_OK;

    gal_random_init(&random, plan->seed ^ rows << 32);
    gal_arena_init(&arena, 65536, 1u << 20, GAL_ARENA_BYTES_MAX);
    while (*count < plan->distinct && status == GAL_OK && !s->bytes.failed &&
           (*count == 0 || s->bytes.n < DISTINCT_BYTES)) {
        gal_arena_clear(&arena);
        status = make_one(s, plan, rows, &random, &arena, err);
        ends[(*count)++] = s->bytes.n;
    }
    gal_arena_release(&arena);
    return status;
}

/* An input of rank 0 has told no shape. */
static bool fits(const struct gal_load_input *in, const struct gal_bench_shape *given)
{
    return in->rank == 0 || gal_shape_fits(given->shape, given->rank, in->shape, in->rank);
}

static void fail_fit(const struct gal_load_input *in, struct gal_err *err)
{
    char shape[128];

    gal_fail(err, GAL_INVALID, "input %.*s has the shape %s", GAL_STR_ARG(in->name),
             gal_shape_format(in->shape, in->rank, shape, sizeof(shape)));
    gal_err_place(err, "--shape");
    gal_err_hint(err, "give as many sizes, and other ones only where it has -1");
}

static enum gal_status check_shapes(const struct gal_bench_side *s,
                                    const struct gal_bench_plan *plan, struct gal_err *err)
{
    for (size_t i = 0; i < plan->shape_count; i++) {
        size_t k = 0;
        while (k < s->model.input_count &&
               !gal_str_eq(s->model.inputs[k].name, plan->shapes[i].name))
            k++;
        if (k == s->model.input_count) {
            gal_fail(err, GAL_INVALID, "the model has no input %.*s",
                     GAL_STR_ARG(plan->shapes[i].name));
            gal_err_place(err, "--shape");
            return GAL_INVALID;
        }
        if (!fits(&s->model.inputs[k], &plan->shapes[i])) {
            fail_fit(&s->model.inputs[k], err);
            return GAL_INVALID;
        }
    }
    return GAL_OK;
}

enum gal_status gal_bench_side_make(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                    uint64_t rows, struct gal_err *err)
{
    bool raw = s->spec.protocol == GAL_PROTOCOL_HTTP;
    size_t count = 0, most = s->body_count ? s->body_count : plan->distinct, *ends;
    enum gal_status status = GAL_OK;

    gal_buf_clear(&s->bytes, SIZE_MAX);
    ends = gal_arena_array(&s->arena, most + 1, sizeof(*ends));
    if (!ends)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the requests");
    for (size_t i = 0; i < s->body_count; i++) {
        gal_request_put_body(&s->bytes, &s->spec, s->bodies[i]);
        ends[count++] = s->bytes.n;
    }
    if (s->body_count == 0 && raw) {
        gal_request_put_body(&s->bytes, &s->spec, (struct gal_str){NULL, 0});
        ends[count++] = s->bytes.n;
    } else if (s->body_count == 0) {
        status = check_shapes(s, plan, err);
        if (status == GAL_OK)
            status = make_up(s, plan, rows, ends, &count, err);
    }
    return status == GAL_OK ? slice(s, ends, count, err) : status;
}
