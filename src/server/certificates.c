/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate that the server shows, and its change without a restart: on SIGHUP, and when a
 * look at the files every tls_check_interval finds another file behind their names (Kubernetes
 * swaps a link, certbot renames). New connections use the new context; open ones, and sessions that
 * resume, go on. Main thread. */
#include "base/file.h"
#include "base/mem.h"
#include "server/server_impl.h"

#include <stdio.h>
#include <time.h>

#define FILES 3 /* certificate, key, client CA */
#define DATE_SIZE 24

struct gal_certificates {
    struct gal_tls *tls;              /* owned reference */
    struct gal_tls_tickets *tickets;  /* owned reference: sessions outlive a context */
    struct gal_file_info seen[FILES]; /* as they were before they were last read */
    struct gal_timer *timer;
    gal_series good, bad, expiry;
};

/* What a front's loop is told. */
struct message {
    struct gal_task task;
    struct gal_front *front;
    struct gal_tls *tls; /* owned reference */
};

static const char plain_answer[] =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 69\r\n"
    "Connection: close\r\n"
    "\r\n"
    "{\"detail\":\"this port speaks HTTPS: ask for https:// instead of http\"}";

/* --- files --- */

static void look(const struct gal_settings *s, struct gal_file_info out[FILES])
{
    const char *const paths[FILES] = {s->tls.certificate_file, s->tls.key_file,
                                      s->tls.client_ca_file};

    for (size_t i = 0; i < FILES; i++) {
        out[i] = (struct gal_file_info){.kind = GAL_FILE_NONE};
        if (paths[i][0] != '\0')
            (void)gal_file_stat(paths[i], &out[i], NULL); /* what is wrong, reading tells */
    }
}

static bool changed(const struct gal_file_info *a, const struct gal_file_info *b)
{
    for (size_t i = 0; i < FILES; i++)
        if (a[i].kind != b[i].kind || a[i].bytes != b[i].bytes || a[i].mtime_ns != b[i].mtime_ns ||
            a[i].inode != b[i].inode)
            return true;
    return false;
}

/* --- the log --- */

static void put_date(int64_t seconds, char out[DATE_SIZE])
{
    time_t t = (time_t)seconds;
    struct tm parts;

    out[0] = '\0';
    if (gmtime_r(&t, &parts) != NULL)
        (void)strftime(out, DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static void log_certificate(struct gal_server *s, const struct gal_tls *tls)
{
    int64_t now_s = (int64_t)(gal_wall_us(&gal_clock_system) / 1000000);
    char begins[DATE_SIZE], expires[DATE_SIZE];
    struct gal_log_field f[4] = {
        {"file", gal_str_of(s->settings->tls.certificate_file), false},
        {"subject", gal_str_of(gal_tls_subject(tls)), false},
    };

    put_date(gal_tls_begins(tls), begins);
    put_date(gal_tls_expires(tls), expires);
    f[2] = (struct gal_log_field){"expires", gal_str_of(expires), false};
    if (gal_tls_expires(tls) <= now_s) {
        f[3] = (struct gal_log_field){
            "hint", GAL_STR("clients will refuse it: put a new certificate in its place"), false};
        gal_log_write(s->log, GAL_LOG_WARN, "certificate_expired", f, 4);
    } else if (gal_tls_begins(tls) > now_s) {
        f[3] = (struct gal_log_field){"begins", gal_str_of(begins), false};
        gal_log_write(s->log, GAL_LOG_WARN, "certificate_not_yet_valid", f, 4);
    } else {
        gal_log_write(s->log, GAL_LOG_INFO, "certificate_loaded", f, 3);
    }
}

static void log_refused(struct gal_server *s, const struct gal_err *err)
{
    const struct gal_log_field f[] = {
        {"error", gal_str_of(err->message), false},
        {"place", gal_str_of(err->place), false},
        {"hint", gal_str_of(err->hint), false},
        {"kept", GAL_STR("the certificate that was loaded before serves on"), false},
    };

    gal_log_write(s->log, GAL_LOG_ERROR, "certificate_not_loaded", f, 4);
}

/* --- loading --- */

static enum gal_status load(struct gal_server *s, struct gal_tls **out, struct gal_err *err)
{
    struct gal_certificates *c = s->certificates;
    struct gal_tls_options o = s->settings->tls;
    enum gal_status st;

    o.on_handshake = gal_front_shaken;
    o.offer_h2 = true; /* server/http_conn.c knows it by its first bytes, as without TLS */
    o.plain_answer = gal_str_of(plain_answer);
    o.tickets = c->tickets;
    look(s->settings, c->seen);
    st = gal_tls_new(&o, out, err);
    gal_shard_add(s->shard, st == GAL_OK ? c->good : c->bad, 1);
    return st;
}

static void use(struct gal_server *s, struct gal_tls *fresh)
{
    struct gal_certificates *c = s->certificates;
    struct gal_str file = gal_str_of(s->settings->tls.certificate_file);

    gal_tls_unref(c->tls);
    c->tls = fresh;
    gal_gauge_hide(s->metrics, c->expiry); /* of the former file */
    c->expiry = gal_metrics_series(s->metrics, GAL_METRIC_TLS_EXPIRY, &file);
    gal_gauge_set(s->metrics, c->expiry, (double)gal_tls_expires(fresh));
    log_certificate(s, fresh);
}

static void deliver(struct gal_task *task)
{
    struct message *m = (struct message *)task; /* its first member */

    if (m->front->secure != NULL)
        gal_listener_use_tls(m->front->secure, m->tls);
    gal_tls_unref(m->tls);
    gal_free(m);
}

static void tell_fronts(struct gal_server *s)
{
    for (size_t i = 0; i < s->front_count; i++) {
        struct message *m = gal_alloc(sizeof(*m));
        if (m == NULL) {
            gal_log_msg(s->log, GAL_LOG_ERROR, "out_of_memory",
                        "a certificate did not reach a loop");
            continue;
        }
        *m = (struct message){{deliver, NULL}, s->fronts[i], gal_tls_ref(s->certificates->tls)};
        gal_loop_post(s->fronts[i]->loop, &m->task);
    }
}

static void reload(struct gal_server *s)
{
    struct gal_tls *fresh;
    struct gal_err err;

    if (load(s, &fresh, &err) == GAL_OK) {
        use(s, fresh);
        tell_fronts(s);
    } else {
        log_refused(s, &err);
    }
}

static void on_check(void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_file_info now[FILES];

    if (s->state >= GAL_SERVER_REFUSING)
        return;
    look(s->settings, now);
    if (changed(now, s->certificates->seen))
        reload(s);
}

static void set_timer(struct gal_server *s)
{
    uint64_t us = s->settings->tls_check_interval_us;

    gal_timer_stop(s->certificates->timer);
    if (us != 0)
        gal_timer_start(s->certificates->timer, us, us);
}

void gal_certificates_reload(struct gal_server *s)
{
    if (s->certificates == NULL)
        return;
    reload(s);
    set_timer(s);
}

/* --- life --- */

static void make_series(struct gal_server *s)
{
    struct gal_certificates *c = s->certificates;
    struct gal_str good = GAL_STR("success"), bad = GAL_STR("error");

    c->good = gal_metrics_series(s->metrics, GAL_METRIC_TLS_LOADS, &good);
    c->bad = gal_metrics_series(s->metrics, GAL_METRIC_TLS_LOADS, &bad);
}

enum gal_status gal_certificates_start(struct gal_server *s, struct gal_err *err)
{
    struct gal_tls *tls = NULL;
    enum gal_status st;

    if (s->settings->config->values[GAL_KEY_HTTPS_PORT].number == GAL_CONF_PORT_OFF)
        return GAL_OK;
    s->certificates = gal_calloc(1, sizeof(*s->certificates));
    if (s->certificates == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for certificates");
    make_series(s);
    st = gal_tls_tickets_new(&gal_clock_system, &s->certificates->tickets, err);
    if (st == GAL_OK)
        st = gal_timer_new(s->loop, on_check, s, &s->certificates->timer, err);
    if (st == GAL_OK)
        st = load(s, &tls, err);
    if (st != GAL_OK)
        return st;
    use(s, tls);
    set_timer(s);
    return GAL_OK;
}

struct gal_tls *gal_certificates_tls(const struct gal_server *s)
{
    return s->certificates->tls;
}

void gal_certificates_free(struct gal_server *s)
{
    struct gal_certificates *c = s->certificates;

    if (c == NULL)
        return;
    gal_timer_free(c->timer);
    gal_tls_unref(c->tls);
    gal_tls_tickets_unref(c->tickets);
    gal_free(c);
    s->certificates = NULL;
}
