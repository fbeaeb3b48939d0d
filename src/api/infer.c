/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer.h"

#include "api/cached.h"
#include "api/faults.h"
#include "api/lazy.h"
#include "api/validate.h"
#include "http/grpc.h"

#include <limits.h>

static struct gal_exchange *exchange_of(struct gal_job *job)
{
    return (struct gal_exchange *)((char *)job - offsetof(struct gal_exchange, job));
}

enum gal_status gal_infer_resolve(struct gal_exchange *x, struct gal_str name,
                                  struct gal_str version, struct gal_err *err)
{
    struct gal_api *api = x->api;
    struct gal_str header = x->req->known[GAL_HDR_X_MODEL_VERSION];
    struct gal_model *m = NULL;
    enum gal_status st;

    if (api->process->refusing)
        return gal_fail(err, GAL_UNAVAILABLE, "Service shutting down");
    if (version.n == 0)
        version = header;
    if (name.n == 0) {
        st = gal_catalog_default(api->catalog, api->options->default_model, &m, err);
        if (st == GAL_OK && version.n > 0)
            st = gal_catalog_model(api->catalog, gal_str_of(m->name), version, &m, err);
    } else {
        st = gal_catalog_model(api->catalog, name, version, &m, err);
    }
    if (st != GAL_OK)
        return st;
    if (gal_model_state(m) != GAL_MODEL_READY)
        return gal_lazy_want(x, m, err);
    x->model = gal_model_ref(m);
    return GAL_OK;
}

struct gal_infer *gal_infer_new(struct gal_exchange *x)
{
    const struct gal_model_info *info = x->model->info;
    struct gal_infer *inf = gal_arena_small(&x->arena, sizeof(*inf));
    size_t inputs = info->input_count > 0 ? info->input_count : 1;
    size_t outputs = info->output_count + info->own_count;

    if (inf == NULL)
        return NULL;
    memset(inf, 0, sizeof(*inf));
    inf->inputs = gal_arena_small(&x->arena, inputs * sizeof(*inf->inputs));
    inf->wanted = gal_arena_small(&x->arena, outputs * sizeof(*inf->wanted));
    inf->outputs = gal_arena_small(&x->arena, outputs * sizeof(*inf->outputs));
    if (inf->inputs == NULL || inf->wanted == NULL || inf->outputs == NULL)
        return NULL;
    for (size_t i = 0; i < info->input_count; i++)
        inf->inputs[i].kind = GAL_KIND_NONE;
    for (size_t i = 0; i < info->output_count; i++)
        inf->wanted[i] = i;
    inf->wanted_count = info->output_count;
    return inf;
}

static enum gal_status fail_shape(const struct gal_exchange *x, const struct gal_port *port,
                                  const struct gal_tensor *t, struct gal_err *err)
{
    char expected[128], got[128];

    gal_fail(err, GAL_INVALID,
             "unexpected shape for input '%s' for model '%s'. Expected %s, got %s", port->name.p,
             x->model->name, gal_shape_format(port->shape, port->rank, expected, sizeof(expected)),
             gal_shape_format(t->shape, t->rank, got, sizeof(got)));
    return GAL_INVALID;
}

enum gal_status gal_infer_set(struct gal_exchange *x, struct gal_infer *inf,
                              const struct gal_tensor *t, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    size_t i = gal_port_find(info->inputs, info->input_count, t->name);
    const struct gal_port *port;

    if (i == SIZE_MAX && gal_validate_ignores(x->model))
        return GAL_OK;
    if (i == SIZE_MAX) {
        gal_fail(err, GAL_INVALID, "unexpected inference input '%.*s' for model '%s'",
                 (int)(t->name.n < 128 ? t->name.n : 128), t->name.p, x->model->name);
        if (info->input_count > 0)
            gal_err_hint(err, "its inputs are '%s'%s", info->inputs[0].name.p,
                         info->input_count > 1 ? ", ... (GET /v2/models/NAME lists them)" : "");
        return GAL_INVALID;
    }
    port = &info->inputs[i];
    if (inf->inputs[i].kind != GAL_KIND_NONE)
        return gal_fail(err, GAL_INVALID, "input '%s' is given twice", port->name.p);
    if (port->kind != GAL_KIND_TENSOR || port->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_UNSUPPORTED,
                        "input '%s' of model '%s' is a %s, which this protocol cannot carry",
                        port->name.p, x->model->name, port->type_text);
    if (t->dtype != port->dtype)
        return gal_fail(err, GAL_INVALID,
                        "unexpected datatype for input '%s' for model '%s'. Expected %s, got %s",
                        port->name.p, x->model->name, gal_dtype_name(port->dtype),
                        gal_dtype_name(t->dtype));
    if (port->shape_known && !gal_shape_fits(t->shape, t->rank, port->shape, port->rank))
        return fail_shape(x, port, t, err);
    inf->inputs[i].kind = GAL_KIND_TENSOR;
    inf->inputs[i].tensor = *t;
    inf->inputs[i].items = NULL;
    inf->inputs[i].count = 0;
    inf->inputs[i].handle = NULL;
    return GAL_OK;
}

static enum gal_status check_complete(struct gal_exchange *x, const struct gal_infer *inf,
                                      struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;
    size_t given = 0;

    for (size_t i = 0; i < info->input_count; i++)
        given += inf->inputs[i].kind != GAL_KIND_NONE;
    for (size_t i = 0; i < info->input_count; i++)
        if (inf->inputs[i].kind == GAL_KIND_NONE && !info->inputs[i].optional)
            return gal_fail(err, GAL_INVALID,
                            "expected %zu inputs but got %zu inputs for model '%s': input '%s' is "
                            "missing",
                            info->input_count, given, x->model->name, info->inputs[i].name.p);
    return GAL_OK;
}

/* For statistics: a tensor without elements is one row, whatever its shape claims. */
static size_t count_rows(const struct gal_exchange *x, const struct gal_infer *inf)
{
    for (size_t i = 0; x->model->batch_dim && i < x->model->info->input_count; i++)
        if (inf->inputs[i].kind == GAL_KIND_TENSOR && inf->inputs[i].tensor.rank > 0)
            return inf->inputs[i].tensor.count > 0 ? (size_t)inf->inputs[i].tensor.shape[0] : 1;
    return 1;
}

static void name_model(const struct gal_exchange *x, struct gal_err *err)
{
    struct gal_err plain = *err;

    if (plain.code == GAL_OVERLOADED || plain.code == GAL_DEADLINE || plain.code == GAL_CANCELLED)
        return;
    gal_fail(err, plain.code, "Inference failed: model '%s' version %s: %s", x->model->name,
             x->model->version, plain.message);
    gal_err_place(err, "%s", plain.place);
    gal_err_hint(err, "%s", plain.hint);
}

/* For what is found in the features, or in the answer. */
static void refuse(struct gal_exchange *x, struct gal_infer *inf, const struct gal_err *err)
{
    bool found = inf->findings != NULL && inf->findings->refused > 0;

    if (inf->refuse != NULL && found) {
        inf->refuse(x, inf, err);
        return;
    }
    if (found)
        gal_faults_find(x, inf->findings);
    gal_exchange_fail(x, err);
}

void gal_infer_answer(struct gal_exchange *x)
{
    struct gal_infer *inf = x->infer;
    struct gal_err err;
    enum gal_status st = gal_pad_out(x->model->pad, &inf->padded, inf->wanted, inf->run_count,
                                     inf->outputs, &x->arena, &err);

    if (st != GAL_OK) {
        name_model(x, &err);
        gal_exchange_fail(x, &err);
    } else if (gal_validate_answer(x, inf, &err) != GAL_OK) {
        refuse(x, inf, &err);
    } else {
        inf->encode(x, inf);
    }
}

static void on_done(struct gal_job *job)
{
    struct gal_exchange *x = exchange_of(job);

    x->job_running = false;
    gal_cached_done(x);
    if (job->status == GAL_OK) {
        x->infer->has_run = true;
        gal_infer_answer(x);
        return;
    }
    name_model(x, &job->err);
    gal_exchange_fail(x, &job->err);
}

/* A whole number in a header; *out stays when the header is not there. */
static enum gal_status read_count(struct gal_exchange *x, enum gal_known_header header,
                                  const char *name, uint64_t *out, struct gal_err *err)
{
    struct gal_str text = x->req->known[header];
    uint64_t n = 0;

    if (text.p == NULL)
        return GAL_OK;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = (unsigned)(text.p[i] - '0');
        if (digit > 9 || i >= 15)
            n = UINT64_MAX;
        if (n != UINT64_MAX)
            n = n * 10 + digit;
    }
    if (text.n == 0 || n == UINT64_MAX) {
        gal_fail(err, GAL_INVALID, "the header %s must be a whole number, got '%.*s'", name,
                 (int)(text.n < 40 ? text.n : 40), text.p);
        return GAL_INVALID;
    }
    *out = n;
    return GAL_OK;
}

static void shorten(uint64_t *limit_us, uint64_t by_us)
{
    if (by_us != 0 && (*limit_us == 0 || by_us < *limit_us))
        *limit_us = by_us;
}

static enum gal_status read_timeouts(struct gal_exchange *x, uint64_t *limit_us,
                                     struct gal_err *err)
{
    uint64_t own_ms = 0, proxy_ms = 0;
    enum gal_status st;

    st = read_count(x, GAL_HDR_X_REQUEST_TIMEOUT_MS, "X-Request-Timeout-Ms", &own_ms, err);
    if (st == GAL_OK)
        st = read_count(x, GAL_HDR_X_ENVOY_TIMEOUT_MS, "X-Envoy-Expected-Rq-Timeout-Ms", &proxy_ms,
                        err);
    if (st != GAL_OK)
        return st;
    shorten(limit_us, own_ms * 1000);
    shorten(limit_us, proxy_ms * 1000);
    return GAL_OK;
}

/* What the headers say beside the body. */
static enum gal_status read_headers(struct gal_exchange *x, struct gal_infer *inf,
                                    struct gal_err *err)
{
    uint64_t priority = 0;
    enum gal_status st = read_timeouts(x, &inf->limit_us, err);

    if (st == GAL_OK)
        st = read_count(x, GAL_HDR_X_REQUEST_PRIORITY, "X-Request-Priority", &priority, err);
    if (st == GAL_OK && inf->priority == 0)
        inf->priority = priority;
    return st;
}

/* The model's own deadline for requests that bring none, else the server's; 0: none. */
static uint64_t default_limit_us(const struct gal_exchange *x, const struct gal_model *m)
{
    uint64_t own_us = m->config.timeout_us;

    if (own_us == 0)
        return x->api->options->request_timeout_us;
    return own_us == GAL_NO_TIMEOUT ? 0 : own_us;
}

uint64_t gal_infer_limit_us(struct gal_exchange *x, const struct gal_model *m)
{
    struct gal_str grpc = x->req->known[GAL_HDR_GRPC_TIMEOUT];
    uint64_t limit_us = default_limit_us(x, m), us = 0;
    struct gal_err ignored;

    (void)read_timeouts(x, &limit_us, &ignored);
    if (grpc.p != NULL && gal_grpc_speaks(x->req) &&
        gal_grpc_timeout(grpc, &us, &ignored) == GAL_OK)
        shorten(&limit_us, us > 0 ? us : 1);
    return limit_us;
}

/* What of the budget of all requests it has, about: its body lies in a buffer that has doubled. */
static size_t held_bytes(const struct gal_exchange *x)
{
    size_t buffer = GAL_BUDGET_FREE_BYTES;

    while (buffer < x->body.n)
        buffer *= 2;
    return gal_budget_counts(buffer) + gal_budget_counts(x->arena.used);
}

static void fill_job(struct gal_exchange *x, struct gal_infer *inf)
{
    uint64_t limit_us = default_limit_us(x, x->model);
    struct gal_job *job = &x->job;

    shorten(&limit_us, inf->limit_us);
    if (!x->model->config.queue_policies)
        shorten(&limit_us, inf->timeout_us);
    job->inputs = inf->inputs;
    job->wanted = inf->wanted;
    job->output_count = inf->run_count;
    job->rows = x->rows;
    job->held_bytes = held_bytes(x);
    job->arena = &x->arena;
    job->outputs = inf->outputs;
    job->priority = inf->priority < UINT_MAX ? (unsigned)inf->priority : UINT_MAX;
    job->timeout_us = inf->timeout_us;
    job->deadline_us = 0;
    if (limit_us != 0)
        job->deadline_us =
            limit_us < UINT64_MAX - x->start_us ? x->start_us + limit_us : UINT64_MAX;
    job->home = x->api->loop;
    job->turn = x->api->turn;
    job->cancelled = false;
    job->on_done = on_done;
}

/* What it has waited for elsewhere, a cache or its model, is none of the loop's backlog. */
void gal_infer_submit(struct gal_exchange *x)
{
    struct gal_loop *loop = x->api->loop;

    x->job.arrived_us = loop != NULL ? gal_loop_turn_us(loop) : 0;
    x->job.waited_us = loop != NULL ? gal_loop_waited_us(loop) : 0;
    gal_sched_submit(x->model->sched, &x->job);
}

void gal_infer_run(struct gal_exchange *x, struct gal_infer *inf)
{
    struct gal_err err;
    enum gal_status st;

    x->rows = count_rows(x, inf);
    x->infer = inf;
    st = gal_faults_settle(x, inf, &err);
    if (st == GAL_OK)
        st = check_complete(x, inf, &err);
    if (st == GAL_OK)
        st = read_headers(x, inf, &err);
    if (st == GAL_OK)
        st = gal_validate(x, inf, &err);
    if (st == GAL_OK)
        st = gal_pad_in(x->model->pad, inf->inputs, &x->arena, &inf->padded, &err);
    if (st != GAL_OK) {
        refuse(x, inf, &err);
        return;
    }
    gal_validate_extend(x, inf);
    fill_job(x, inf);
    x->submitted = true;
    x->job_running = true;
    if (!gal_cached_begin(x))
        gal_infer_submit(x);
}
