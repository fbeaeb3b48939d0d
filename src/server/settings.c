/* SPDX-License-Identifier: Apache-2.0 */
#include "server/settings.h"

#include "backend/onnx.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/loop.h"
#include "server/model_keys.h"

static uint64_t number(const struct gal_config *c, enum gal_config_key key)
{
    return c->values[key].number;
}

static unsigned cores_unless(uint64_t configured)
{
    return configured != 0 ? (unsigned)configured : gal_cpu_count();
}

static void fill_front(struct gal_front_options *f, const struct gal_config *c)
{
    f->http1.head_bytes_max = number(c, GAL_KEY_MAX_HEAD_BYTES);
    f->http1.body_bytes_max = number(c, GAL_KEY_MAX_BODY_BYTES);
    f->http2 = (struct gal_http2_limits){
        .head_bytes_max = f->http1.head_bytes_max,
        .body_bytes_max = f->http1.body_bytes_max,
        .streams_max = (unsigned)number(c, GAL_KEY_HTTP2_STREAMS),
        .stream_window = GAL_HTTP2_STREAM_WINDOW,
        .connection_window = GAL_HTTP2_CONNECTION_WINDOW,
    };
    f->connections_max = number(c, GAL_KEY_MAX_CONNECTIONS);
    f->head_timeout_us = number(c, GAL_KEY_HEAD_TIMEOUT);
    f->body_timeout_us = number(c, GAL_KEY_BODY_TIMEOUT);
    f->idle_timeout_us = number(c, GAL_KEY_IDLE_TIMEOUT);
    f->write_timeout_us = number(c, GAL_KEY_WRITE_TIMEOUT);
}

static void fill_api(struct gal_api_options *a, const struct gal_config *c)
{
    a->default_model = gal_str_of(c->values[GAL_KEY_MODEL_NAME].text);
    a->body_bytes_max = number(c, GAL_KEY_MAX_BODY_BYTES);
    a->instances_max = number(c, GAL_KEY_MAX_INSTANCES);
    a->request_timeout_us = number(c, GAL_KEY_REQUEST_TIMEOUT);
    a->readiness_ttl_us = number(c, GAL_KEY_READINESS_TTL);
    a->access_sample = c->values[GAL_KEY_ACCESS_LOG].share;
    a->triton_metrics = number(c, GAL_KEY_TRITON_METRICS) != 0;
    a->invocations = strcmp(c->values[GAL_KEY_INVOCATIONS].text, "sagemaker") == 0
                         ? GAL_INVOCATIONS_SAGEMAKER
                         : GAL_INVOCATIONS_MLFLOW;
    a->client_settings = number(c, GAL_KEY_ALLOW_CLIENT_SETTINGS) != 0;
    a->compress = number(c, GAL_KEY_COMPRESS) != 0;
}

static void fill_model(struct gal_model_options *m, const struct gal_config *c)
{
    const char *library = c->values[GAL_KEY_ONNXRUNTIME].text;

    m->ops = &gal_backend_onnx;
    gal_model_config_init(&m->config);
    m->clock = &gal_clock_system;
    m->config.backend.library = library[0] != '\0' ? library : NULL;
    m->config.one_core = gal_cpu_count() == 1 && cores_unless(number(c, GAL_KEY_THREADS)) == 1;
}

static enum gal_status fill_redis(struct gal_settings *s, const struct gal_config *c,
                                  struct gal_err *err)
{
    struct gal_str url = gal_str_of(c->values[GAL_KEY_RESPONSE_CACHE_REDIS].text);
    enum gal_status st = GAL_OK;

    s->has_redis = url.n > 0;
    if (s->has_redis)
        st = gal_redis_url_parse(url, &s->redis, err);
    if (st != GAL_OK)
        gal_err_place(err, "response_cache_redis");
    return st;
}

static bool is_off(const struct gal_config *c, enum gal_config_key key)
{
    return number(c, key) == GAL_CONF_PORT_OFF;
}

static const char *text(const struct gal_config *c, enum gal_config_key key)
{
    return c->values[key].text;
}

/* What is set must mean something: a certificate that nobody shows, or a demand that nobody checks,
 * is a mistake that would be found out late. */
static enum gal_status check_tls(const struct gal_config *c, const struct gal_tls_options *t,
                                 struct gal_err *err)
{
    bool wants = t->client_auth != GAL_TLS_CLIENT_OFF, has = t->client_ca_file[0] != '\0';

    if (is_off(c, GAL_KEY_HTTPS_PORT)) {
        if (is_off(c, GAL_KEY_HTTP_PORT) && is_off(c, GAL_KEY_GRPC_PORT)) {
            gal_fail(err, GAL_INVALID, "http_port and https_port are off: nothing listens");
            gal_err_hint(err, "give one of them a port");
        } else if (t->certificate_file[0] != '\0' || t->key_file[0] != '\0' || has || wants) {
            gal_fail(err, GAL_INVALID, "TLS is set up, but https_port is off");
            gal_err_hint(err, "set https_port, as --https-port 8443");
        } else {
            return GAL_OK;
        }
    } else if (t->certificate_file[0] == '\0' || t->key_file[0] == '\0') {
        gal_fail(err, GAL_INVALID, "https_port needs tls_certificate and tls_key");
        gal_err_hint(err, "name PEM files; both may be in one");
    } else if (wants && !has) {
        gal_fail(err, GAL_INVALID, "tls_client_auth needs tls_client_ca");
        gal_err_hint(err, "name a PEM file of the certificates that sign clients' ones");
    } else if (has && !wants) {
        gal_fail(err, GAL_INVALID, "tls_client_ca is set, but tls_client_auth is off");
        gal_err_hint(err, "set tls_client_auth to require, or to optional");
    } else {
        return GAL_OK;
    }
    return GAL_INVALID;
}

static enum gal_status fill_tls(struct gal_settings *s, const struct gal_config *c,
                                struct gal_err *err)
{
    const char *auth = text(c, GAL_KEY_TLS_CLIENT_AUTH);
    struct gal_tls_options *t = &s->tls;

    t->certificate_file = text(c, GAL_KEY_TLS_CERTIFICATE);
    t->key_file = text(c, GAL_KEY_TLS_KEY);
    t->client_ca_file = text(c, GAL_KEY_TLS_CLIENT_CA);
    t->client_auth = strcmp(auth, "require") == 0    ? GAL_TLS_CLIENT_REQUIRE
                     : strcmp(auth, "optional") == 0 ? GAL_TLS_CLIENT_OPTIONAL
                                                     : GAL_TLS_CLIENT_OFF;
    t->tls13_only = strcmp(text(c, GAL_KEY_TLS_MIN_VERSION), "1.3") == 0;
    t->handshake_timeout_us = number(c, GAL_KEY_HEAD_TIMEOUT);
    s->tls_check_interval_us = number(c, GAL_KEY_TLS_CHECK_INTERVAL);
    return check_tls(c, t, err);
}

static enum gal_status fill_control(struct gal_settings *s, const struct gal_config *c,
                                    struct gal_err *err)
{
    struct gal_str mode = gal_str_of(c->values[GAL_KEY_MODEL_CONTROL].text);

    s->explicit_control = gal_str_is(mode, "explicit");
    if (!s->explicit_control && !gal_str_is(mode, "none")) {
        gal_fail(err, GAL_INVALID, "model_control is none or explicit, not '%.*s'",
                 GAL_STR_ARG(mode));
        gal_err_place(err, "model_control");
        if (gal_str_is(mode, "poll"))
            gal_err_hint(err, "galley does not poll: send it SIGHUP when files have changed, or "
                              "load models by request (explicit)");
        return GAL_INVALID;
    }
    if (s->explicit_control || c->values[GAL_KEY_LOAD_MODELS].source == GAL_FROM_DEFAULT)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "load_models has no effect while model_control is none");
    gal_err_place(err, "load_models");
    gal_err_hint(err, "set model_control to explicit, or leave load_models out");
    return GAL_INVALID;
}

enum gal_status gal_settings_new(const struct gal_config *config, struct gal_settings **out,
                                 struct gal_err *err)
{
    struct gal_settings *s = gal_calloc(1, sizeof(*s));
    enum gal_status st;

    if (s == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for settings");
    s->config = config;
    s->name = config->values[GAL_KEY_MODEL_NAME].text;
    s->threads = cores_unless(number(config, GAL_KEY_THREADS));
    s->drain_delay_us = number(config, GAL_KEY_DRAIN_DELAY);
    s->grace_us = number(config, GAL_KEY_GRACE);
    s->request_memory_max = gal_model_keys_request_memory(config);
    fill_front(&s->front, config);
    fill_api(&s->api, config);
    fill_model(&s->model, config);
    st = gal_model_keys_base(config, &s->model_base, err);
    s->cache_bytes = number(config, GAL_KEY_RESPONSE_CACHE_SIZE);
    if (st == GAL_OK)
        st = fill_redis(s, config, err);
    if (st == GAL_OK)
        st = fill_tls(s, config, err);
    if (st == GAL_OK)
        st = fill_control(s, config, err);
    if (st != GAL_OK) {
        gal_free(s);
        return st;
    }
    *out = s;
    return GAL_OK;
}

void gal_settings_free(struct gal_settings *s)
{
    while (s != NULL) {
        struct gal_settings *older = s->older;
        if (s->own_config != NULL)
            gal_config_release(s->own_config);
        gal_free(s->own_config);
        gal_sources_free(s->sources);
        gal_free(s);
        s = older;
    }
}
