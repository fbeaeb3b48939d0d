/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exchange.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>

/* A check under way; in the exchange's arena. While it runs the exchange counts as one with a job
 * (job_running), so that its carrier keeps it when the client goes. */
struct task {
    struct gal_task task; /* first: on_end */
    struct gal_exchange *x;
    struct gal_catalog *catalog; /* owned reference */
    const struct gal_clock *clock;
    struct gal_loop *home;
    uint64_t age;
    pthread_t thread;
    struct gal_check_result result;
    void (*answer)(struct gal_exchange *x, const struct gal_check_result *result);
};

static void check_model(struct task *t, const struct gal_model *m)
{
    struct gal_check_result *r = &t->result;
    char shape[64] = "";
    struct gal_err err;

    gal_err_clear(&err);
    switch (gal_model_probe(m, t->clock, shape, sizeof(shape), &err)) {
    case GAL_OK:
    case GAL_INVALID:
    case GAL_UNSUPPORTED:
        break;
    default:
        snprintf(r->text, sizeof(r->text), "model '%.100s' version %.40s: %.200s", m->name,
                 m->version, err.message);
        r->failed = true;
        return;
    }
    if (r->shape[0] == '\0')
        memcpy(r->shape, shape, sizeof(r->shape));
}

static void *run(void *arg)
{
    struct task *t = arg;

    for (size_t i = 0; !t->result.failed && i < t->catalog->count; i++) {
        const struct gal_model *m = t->catalog->entries[i].versions[0];

        if (gal_model_state(m) == GAL_MODEL_READY)
            check_model(t, m);
    }
    gal_loop_post(t->home, &t->task);
    return NULL;
}

static void on_end(struct gal_task *task)
{
    struct task *t = (struct task *)task;
    struct gal_exchange *x = t->x;
    struct gal_check *c = &x->api->process->check;

    pthread_join(t->thread, NULL); /* its last act was to post this */
    c->last = t->result;
    c->failed = t->result.failed;
    c->age = t->age;
    c->ended_us = gal_mono_us(x->api->clock);
    c->started_us = 0;
    c->busy = false;
    gal_catalog_unref(t->catalog);
    x->job_running = false;
    t->answer(x, &t->result);
}

/* The last result, or that of the warm-up when there was no check of this catalog. */
static void answer_last(struct gal_exchange *x,
                        void (*answer)(struct gal_exchange *, const struct gal_check_result *))
{
    struct gal_check *c = &x->api->process->check;
    struct gal_check_result r = {.failed = false};
    bool known = c->ended_us != 0 && c->age == x->api->process->catalog_age;

    if (known && !atomic_exchange(&c->busy, true)) {
        r = c->last;
        c->busy = false;
    } else if (known && c->failed) {
        r.failed = true;
        snprintf(r.text, sizeof(r.text), "the last check failed; another one is under way");
    }
    answer(x, &r);
}

static void answer_overdue(struct gal_exchange *x,
                           void (*answer)(struct gal_exchange *, const struct gal_check_result *))
{
    struct gal_check_result r = {.failed = true};

    snprintf(r.text, sizeof(r.text), "no answer within %u s", GAL_CHECK_US_MAX / 1000000);
    answer(x, &r);
}

static bool start(struct task *t)
{
    t->task.run = on_end;
    t->home = t->x->api->loop;
    t->clock = t->x->api->clock;
    t->age = t->x->api->process->catalog_age;
    t->catalog = gal_catalog_ref(t->x->api->catalog);
    t->result = (struct gal_check_result){.failed = false};
    memset(&t->x->job, 0, sizeof(t->x->job)); /* a cancel finds no scheduler and does nothing */
    t->x->job_running = true;
    if (gal_thread_start(&t->thread, "galley-check", run, t, NULL) == GAL_OK)
        return true;
    t->x->job_running = false;
    gal_catalog_unref(t->catalog);
    return false;
}

void gal_check_run(struct gal_exchange *x, uint64_t age_us_max,
                   void (*answer)(struct gal_exchange *x, const struct gal_check_result *result))
{
    struct gal_check *c = &x->api->process->check;
    uint64_t now_us = gal_mono_us(x->api->clock), ended_us = c->ended_us, started_us;
    struct task *t;

    if (ended_us != 0 && c->age == x->api->process->catalog_age && now_us - ended_us < age_us_max) {
        answer_last(x, answer);
        return;
    }
    if (atomic_exchange(&c->busy, true)) {
        started_us = c->started_us;
        if (started_us != 0 && now_us > started_us && now_us - started_us > GAL_CHECK_US_MAX)
            answer_overdue(x, answer);
        else
            answer_last(x, answer);
        return;
    }
    c->started_us = now_us;
    t = gal_arena_small(&x->arena, sizeof(*t));
    if (t != NULL) {
        t->x = x;
        t->answer = answer;
        if (start(t))
            return;
    }
    c->started_us = 0;
    c->busy = false;
    answer_last(x, answer);
}
