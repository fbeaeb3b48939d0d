/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping well: readiness first, then the listeners, then what is in flight. */
#include "server/server_impl.h"

#include <inttypes.h>

#define POLL_US 100000u

void gal_server_stop_now(struct gal_server *s, int exit_code)
{
    s->exit_code = exit_code;
    gal_server_set_state(s, GAL_SERVER_STOPPED);
    if (s->timer != NULL)
        gal_timer_stop(s->timer);
    gal_loop_stop(s->loop);
}

static void poll_in_flight(struct gal_server *s)
{
    bool all_know = s->process.untold == 0; /* read first: then in_flight is what they have */
    uint64_t left = s->process.in_flight;
    bool is_late = gal_loop_now_us(s->loop) >= s->stop_at_us;

    if (left == 0 && (all_know || is_late)) {
        gal_log_msg(s->log, GAL_LOG_INFO, "stopped", "Shutdown complete");
        gal_server_stop_now(s, 0);
    } else if (is_late) {
        gal_log_msg(s->log, GAL_LOG_WARN, "grace_over",
                    "%" PRIu64 " requests were still in flight; --grace gives them longer", left);
        gal_server_stop_now(s, 1);
    }
}

static void apply_refuse(struct gal_front *f, struct gal_catalog *catalog,
                         const struct gal_settings *settings)
{
    (void)catalog;
    (void)settings;
    gal_front_refuse(f);
    f->api.process->untold--;
}

static void refuse(struct gal_server *s)
{
    gal_server_set_state(s, GAL_SERVER_REFUSING);
    s->process.refusing = true;
    s->stop_at_us = gal_loop_now_us(s->loop) + s->settings->grace_us;
    s->process.untold = s->front_count;
    s->process.untold -= s->front_count - gal_server_tell_fronts(s, apply_refuse);
    gal_timer_start(s->timer, POLL_US / 10, POLL_US);
}

static void on_timer(void *ctx)
{
    struct gal_server *s = ctx;

    if (s->state == GAL_SERVER_DRAINING)
        refuse(s);
    else if (s->state == GAL_SERVER_REFUSING)
        poll_in_flight(s);
}

static void drain(struct gal_server *s)
{
    struct gal_err err;

    gal_server_set_state(s, GAL_SERVER_DRAINING);
    s->process.draining = true;
    s->sources_stop = true;
    if (s->loader != NULL)
        gal_loader_stop(s->loader);
    gal_server_control_stop(s);
    gal_log_msg(s->log, GAL_LOG_INFO, "draining", "Shutdown initiated, draining requests...");
    if (gal_timer_new(s->loop, on_timer, s, &s->timer, &err) != GAL_OK) {
        gal_log_msg(s->log, GAL_LOG_ERROR, "stop_failed", "%s", err.message);
        gal_server_stop_now(s, 1);
        return;
    }
    if (s->settings->drain_delay_us == 0)
        refuse(s);
    else
        gal_timer_start(s->timer, s->settings->drain_delay_us, 0);
}

void gal_server_signal_stop(int signum, void *ctx)
{
    struct gal_server *s = ctx;

    (void)signum;
    switch (s->state) {
    case GAL_SERVER_STARTING:
    case GAL_SERVER_SERVING:
        drain(s);
        break;
    case GAL_SERVER_DRAINING:
        refuse(s);
        s->stop_at_us = 0;
        break;
    case GAL_SERVER_REFUSING:
        s->stop_at_us = 0;
        poll_in_flight(s);
        break;
    case GAL_SERVER_STOPPED:
        break;
    }
}
