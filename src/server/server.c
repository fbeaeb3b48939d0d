/* SPDX-License-Identifier: Apache-2.0 */
#include "api/shm.h"
#include "api/trace_log.h"
#include "base/file.h"
#include "base/mem.h"
#include "server/server_impl.h"

#include "watch/meter.h"

#include <signal.h>
#include <unistd.h>

void gal_server_set_state(struct gal_server *s, enum gal_server_state to)
{
    static const unsigned legal[] = {
        [GAL_SERVER_STARTING] =
            1u << GAL_SERVER_SERVING | 1u << GAL_SERVER_DRAINING | 1u << GAL_SERVER_STOPPED,
        [GAL_SERVER_SERVING] = 1u << GAL_SERVER_DRAINING,
        [GAL_SERVER_DRAINING] = 1u << GAL_SERVER_REFUSING | 1u << GAL_SERVER_STOPPED,
        [GAL_SERVER_REFUSING] = 1u << GAL_SERVER_STOPPED,
        [GAL_SERVER_STOPPED] = 0,
    };
    GAL_ASSERT(legal[s->state] & (1u << to));
    s->state = to;
}

/* The first front finds the port where the system chooses it. */
static enum gal_status listen_all(struct gal_server *s, struct gal_front *f, const char *host,
                                  struct gal_err *err)
{
    const struct gal_config_value *values = s->settings->config->values;
    enum gal_status st = GAL_OK;

    if (values[GAL_KEY_HTTP_PORT].number != GAL_CONF_PORT_OFF)
        st = gal_front_listen(f, host, s->port, err);
    if (st == GAL_OK && s->certificates != NULL)
        st = gal_front_listen_tls(f, host, s->https_port, gal_certificates_tls(s), err);
    if (st == GAL_OK && values[GAL_KEY_GRPC_PORT].number != GAL_CONF_PORT_OFF)
        st = gal_front_listen_grpc(f, host, s->grpc_port, err);
    if (st == GAL_OK && f->rpc != NULL)
        s->grpc_port = gal_listener_port(f->rpc);
    if (st == GAL_OK && f->listener != NULL)
        s->port = gal_listener_port(f->listener);
    if (st == GAL_OK && f->secure != NULL)
        s->https_port = gal_listener_port(f->secure);
    return st;
}

/* No other process may have the port. */
static enum gal_status probe(const struct gal_config *c, enum gal_config_key key, uint16_t *port,
                             struct gal_err *err)
{
    uint64_t number = c->values[key].number;

    *port = number != GAL_CONF_PORT_OFF ? (uint16_t)number : 0;
    return *port != 0 ? gal_listener_probe(c->values[GAL_KEY_HOST].text, *port, err) : GAL_OK;
}

static enum gal_status make_fronts(struct gal_server *s, struct gal_err *err)
{
    const struct gal_config *c = s->settings->config;
    const char *host = c->values[GAL_KEY_HOST].text;
    struct gal_front_setup setup = {.options = &s->settings->front,
                                    .api_options = &s->settings->api,
                                    .process = &s->process,
                                    .metrics = s->metrics,
                                    .log = s->log,
                                    .caching = s->caching,
                                    .catalog = s->catalog,
                                    .repository = s->repository,
                                    .lazy = &s->control,
                                    .shm = s->shm,
                                    .trace = s->trace};
    enum gal_status st = probe(c, GAL_KEY_HTTP_PORT, &s->port, err);

    if (s->settings->explicit_control)
        setup.control = &s->control;
    if (st == GAL_OK)
        st = probe(c, GAL_KEY_HTTPS_PORT, &s->https_port, err);
    if (st == GAL_OK)
        st = probe(c, GAL_KEY_GRPC_PORT, &s->grpc_port, err);
    s->fronts = gal_calloc(s->settings->threads, sizeof(struct gal_front *));
    if (s->fronts == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for event loops");
    while (st == GAL_OK && s->front_count < s->settings->threads) {
        struct gal_front *f;
        st = gal_front_new(&setup, &f, err);
        if (st != GAL_OK)
            break;
        s->fronts[s->front_count++] = f;
        st = listen_all(s, f, host, err);
    }
    return st;
}

static enum gal_status catch_signals(struct gal_server *s, struct gal_err *err)
{
    enum gal_status st = gal_loop_on_signal(s->loop, SIGTERM, gal_server_signal_stop, s, err);

    if (st == GAL_OK)
        st = gal_loop_on_signal(s->loop, SIGINT, gal_server_signal_stop, s, err);
    if (st == GAL_OK)
        st = gal_loop_on_signal(s->loop, SIGHUP, gal_server_signal_reload, s, err);
    return st;
}

/* Opens the engine before any thread runs: it reads the environment, which threads must not change
 * (backend/onnx.h). One that is missing is told by the models that fail to load. */
static void open_engine(struct gal_server *s)
{
    const struct gal_model_options *o = &s->settings->model;
    const char *version;
    struct gal_err err;

    if (o->ops->version(&o->config.backend, &version, &err) == GAL_OK)
        gal_log_msg(s->log, GAL_LOG_DEBUG, "engine", "%s %s", o->ops->name, version);
}

static void tidy_models(const struct gal_catalog *c)
{
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->entries[i].version_count; k++)
            if (gal_model_state(c->entries[i].versions[k]) == GAL_MODEL_READY)
                gal_sched_tidy(c->entries[i].versions[k]->sched);
}

static void on_sample(void *ctx)
{
    struct gal_server *s = ctx;

    gal_retired_sweep(&s->retired);
    tidy_models(s->catalog);
    gal_sampler_take(s->sampler, s->catalog, gal_loop_now_us(s->loop));
    if (s->settings->api.triton_metrics)
        s->process.cpu_ppm = (uint32_t)(gal_cpu_sample(&s->cpu) * 1e6);
}

static enum gal_status start_sampler(struct gal_server *s, struct gal_err *err)
{
    enum gal_status st = gal_sampler_new(s->metrics, &s->sampler, err);

    if (st == GAL_OK)
        st = gal_timer_new(s->loop, on_sample, s, &s->sample_timer, err);
    if (st == GAL_OK)
        gal_timer_start(s->sample_timer, 0, GAL_METER_PERIOD_US);
    return st;
}

static enum gal_status make_cache(struct gal_server *s, struct gal_err *err)
{
    const struct gal_caching_options o = {.bytes_max = s->settings->cache_bytes,
                                          .redis =
                                              s->settings->has_redis ? &s->settings->redis : NULL,
                                          .log = s->log,
                                          .metrics = s->metrics};

    return gal_caching_new(&o, &s->caching, err);
}

/* What is there only when the configuration wants it. */
static enum gal_status make_optional(struct gal_server *s, struct gal_err *err)
{
    const struct gal_config *c = s->settings->config;
    enum gal_status st = gal_trace_new(c->values[GAL_KEY_TRACE_FILE].text, &s->trace, err);

    if (st == GAL_OK && c->values[GAL_KEY_ALLOW_CLIENT_SHM].number != 0) {
        s->shm = gal_shm_new();
        if (s->shm == NULL)
            st = gal_fail(err, GAL_NO_MEMORY, "no memory for shared memory regions");
    }
    gal_server_control_init(s);
    if (st == GAL_OK && s->settings->explicit_control)
        st = gal_server_control_new(s, err);
    return st;
}

static enum gal_status start(struct gal_server *s, struct gal_err *err)
{
    enum gal_status st;

    gal_file_raise_limit();
    open_engine(s);
    st = gal_loop_new(&s->loop, err);

    if (st == GAL_OK)
        st = gal_metrics_new(&s->metrics, err);
    if (st == GAL_OK)
        st = gal_metrics_shard(s->metrics, &s->shard, err);
    if (st == GAL_OK)
        st = make_cache(s, err);
    if (st == GAL_OK)
        st = make_optional(s, err);
    if (st == GAL_OK)
        st = gal_server_first_load(s, err);
    if (st == GAL_OK)
        st = start_sampler(s, err);
    if (st == GAL_OK)
        st = gal_certificates_start(s, err);
    if (st == GAL_OK)
        st = make_fronts(s, err);
    if (st == GAL_OK)
        st = catch_signals(s, err);
    for (unsigned i = 0; st == GAL_OK && i < s->front_count; i++)
        st = gal_front_start(s->fronts[i], i, err);
    if (st == GAL_OK)
        st = gal_server_start_load(s, err);
    return st;
}

enum gal_status
gal_server_new(const struct gal_config *config,
               enum gal_status (*reread)(struct gal_config *out, void *ctx, struct gal_err *err),
               void *ctx, struct gal_log *log, struct gal_server **out, struct gal_err *err)
{
    struct gal_server *s = gal_calloc(1, sizeof(*s));
    enum gal_status st;

    if (s == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the server");
    s->log = log;
    s->reread = reread;
    s->reread_ctx = ctx;
    s->process.start_wall_us = gal_wall_us(&gal_clock_system);
    s->process.start_mono_us = s->load_began_us = gal_mono_us(&gal_clock_system);
    st = gal_settings_new(config, &s->settings, err);
    if (st == GAL_OK)
        s->process.memory.max = s->settings->request_memory_max;
    if (st == GAL_OK)
        st = start(s, err);
    if (st != GAL_OK) {
        gal_server_free(s);
        return st;
    }
    *out = s;
    return GAL_OK;
}

uint16_t gal_server_port(const struct gal_server *s)
{
    return s->port;
}

uint16_t gal_server_grpc_port(const struct gal_server *s)
{
    return s->grpc_port;
}

uint16_t gal_server_https_port(const struct gal_server *s)
{
    return s->https_port;
}

const struct gal_err *gal_server_failure(const struct gal_server *s)
{
    return s->failure.code != GAL_OK ? &s->failure : NULL;
}

int gal_server_run(struct gal_server *s)
{
    gal_loop_run(s->loop);
    return s->exit_code;
}

/* True when something still runs that cannot be waited for: a model that loads, a job past the
 * grace. The process then ends without taking itself apart. */
static bool busy(const struct gal_server *s)
{
    return s->loader != NULL || s->sourcing != NULL || s->process.in_flight != 0;
}

/* Before the loops: a worker may still be waking the loop that it has just posted an answer to, and
 * the end of its model waits for it. */
static void drop_models(struct gal_server *s)
{
    gal_server_drop_coming(s);
    gal_retired_release(&s->retired);
    gal_catalog_unref(s->catalog);
    for (size_t i = 0; i < s->front_count; i++) {
        gal_catalog_unref(s->fronts[i]->api.catalog);
        s->fronts[i]->api.catalog = NULL;
    }
}

void gal_server_free(struct gal_server *s)
{
    if (s == NULL)
        return;
    if (s->state == GAL_SERVER_STOPPED && busy(s))
        _exit(s->exit_code);
    gal_loader_free(s->loader);
    gal_sourcing_free(s->sourcing);
    for (size_t i = 0; i < s->front_count; i++)
        gal_front_join(s->fronts[i]);
    if (s->state == GAL_SERVER_STOPPED && s->process.in_flight != 0)
        _exit(s->exit_code); /* a loop has taken one more request as its last */
    drop_models(s);
    for (size_t i = 0; i < s->front_count; i++)
        gal_front_free(s->fronts[i]);
    gal_free(s->fronts);
    gal_caching_free(s->caching);
    gal_timer_free(s->timer);
    gal_timer_free(s->poll_timer);
    gal_timer_free(s->sample_timer);
    gal_sampler_free(s->sampler);
    gal_certificates_free(s);
    gal_loop_free(s->loop);
    gal_shm_free(s->shm);
    gal_trace_free(s->trace);
    gal_repository_free(s->repository);
    gal_metrics_free(s->metrics);
    gal_settings_free(s->settings);
    gal_free(s);
}
