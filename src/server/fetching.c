/* SPDX-License-Identifier: Apache-2.0 */
/* A load whose paths are fetched first, and polling: what server/sources.c does on its thread, put
 * into the life of the process. */
#include "server/server_impl.h"

/* A start that comes to nothing ends the process; a reload changes nothing. */
static void give_up(struct gal_server *s, const struct gal_err *err)
{
    gal_server_drop_coming(s);
    if (s->state == GAL_SERVER_STARTING) {
        gal_server_log_err(s, "start_failed", err);
        s->failure = *err;
        gal_server_stop_now(s, 1);
        return;
    }
    gal_server_log_err(s, "reload_failed", err);
    gal_server_forget_newest(s, s->before);
    gal_server_load_ended(s);
}

static void on_fetched(struct gal_sourcing *g, void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_sources *fresh;
    struct gal_err err;
    enum gal_status st = gal_sourcing_take(g, &fresh, &err);

    gal_sourcing_free(g);
    s->sourcing = NULL;
    if (s->state >= GAL_SERVER_DRAINING) {
        gal_sources_free(fresh);
        return;
    }
    if (st == GAL_OK) {
        if (s->before == s->settings) /* no fresh settings: nobody reads them on SIGHUP */
            gal_sources_free(s->settings->sources);
        s->settings->sources = fresh;
        st = gal_server_load_changed(s, &err);
    }
    if (st != GAL_OK)
        give_up(s, &err);
    else if (s->state != GAL_SERVER_STARTING)
        gal_server_reloaded(s);
}

static enum gal_status start_sourcing(struct gal_server *s, struct gal_sources *poll,
                                      void (*on_end)(struct gal_sourcing *g, void *ctx),
                                      struct gal_err *err)
{
    const struct gal_sourcing_options o = {.config = s->settings->config,
                                           .poll = poll,
                                           .log = s->log,
                                           .home = s->loop,
                                           .stop = &s->sources_stop,
                                           .on_end = on_end,
                                           .ctx = s};

    return gal_sourcing_start(&o, &s->sourcing, err);
}

enum gal_status gal_server_fetch(struct gal_server *s, struct gal_err *err)
{
    return start_sourcing(s, NULL, on_fetched, err);
}

static void on_polled(struct gal_sourcing *g, void *ctx)
{
    struct gal_server *s = ctx;
    bool changed = gal_sourcing_changed(g);
    struct gal_sources *none;
    struct gal_err err;
    enum gal_status st = gal_sourcing_take(g, &none, &err);

    gal_sourcing_free(g);
    s->sourcing = NULL;
    if (s->state != GAL_SERVER_SERVING)
        return;
    if (st != GAL_OK)
        gal_server_log_err(s, "source_poll_failed", &err);
    if (changed)
        s->reload_again = true;
    gal_server_load_ended(s);
}

static void on_poll(void *ctx)
{
    struct gal_server *s = ctx;
    struct gal_err err;

    if (s->loader != NULL || s->sourcing != NULL || s->state != GAL_SERVER_SERVING ||
        s->settings->sources == NULL)
        return;
    if (start_sourcing(s, s->settings->sources, on_polled, &err) != GAL_OK)
        gal_server_log_err(s, "source_poll_failed", &err);
}

void gal_server_arm_poll(struct gal_server *s)
{
    uint64_t period_us = s->settings->config->values[GAL_KEY_SOURCE_POLL].number;
    struct gal_err err;

    if (s->poll_timer == NULL && period_us != 0 &&
        gal_timer_new(s->loop, on_poll, s, &s->poll_timer, &err) != GAL_OK) {
        gal_server_log_err(s, "source_poll_failed", &err);
        return;
    }
    if (s->poll_timer == NULL)
        return;
    gal_timer_stop(s->poll_timer);
    if (period_us != 0)
        gal_timer_start(s->poll_timer, period_us, period_us);
}

void gal_server_let_go(struct gal_server *s)
{
    if (s->kept_old)
        return;
    for (struct gal_settings *o = s->settings->older; o != NULL; o = o->older) {
        gal_sources_free(o->sources);
        o->sources = NULL;
    }
}
