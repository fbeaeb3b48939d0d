/* SPDX-License-Identifier: Apache-2.0 */
#include "api/lazy.h"

#include "api/control.h"
#include "api/infer.h"
#include "base/mem.h"

/* A parked request; in its arena. */
struct gal_lazy_place {
    struct gal_task task; /* of an end before the load's */
    struct gal_exchange *x;
    struct gal_lazy_wait *wait;
    struct gal_lazy_place *next;
    enum gal_status ended; /* OK: it waits */
};

/* All requests of a loop for one version. */
struct gal_lazy_wait {
    struct gal_control_request request;
    struct gal_lazy_wait *next;
    struct gal_model *model; /* owned reference: as it was not loaded; its name and version */
    struct gal_lazy_place *first, **end;
};

enum gal_status gal_lazy_want(struct gal_exchange *x, struct gal_model *m, struct gal_err *err)
{
    enum gal_model_state state = gal_model_state(m);

    if (m->on_demand && x->api->lazy != NULL) {
        gal_model_unref(x->wanted);
        x->wanted = gal_model_ref(m);
    }
    if (state == GAL_MODEL_FAILED)
        return gal_model_tell_failed(m, err);
    return gal_fail(err, GAL_UNAVAILABLE, "Model not loaded: '%s' version %s %s", m->name,
                    m->version, state == GAL_MODEL_IDLE ? "waits for a request" : "is loading");
}

void gal_lazy_reset(struct gal_exchange *x)
{
    gal_model_unref(x->wanted);
    x->wanted = NULL;
}

/* --- the end --- */

static void take_off(struct gal_lazy_place *p)
{
    struct gal_lazy_place **at = &p->wait->first;

    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (p->next == NULL)
        p->wait->end = at;
    p->x->place = NULL;
}

/* The load has ended, well or not. Whoever is handled anew may park again, at another wait. */
static void on_loaded(struct gal_control_request *r)
{
    struct gal_lazy_wait *w = (struct gal_lazy_wait *)r; /* its first member */
    struct gal_api *api = r->user;
    struct gal_lazy_wait **at = &api->lazy_waits;
    struct gal_lazy_place *p;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    while ((p = w->first) != NULL) {
        struct gal_exchange *x = p->x;

        take_off(p); /* it goes with its request, and the answer may end the wait of others */
        x->job_running = false;
        if (r->status == GAL_OK)
            gal_exchange_go_on(x, gal_api_again);
        else
            gal_exchange_fail(x, &r->err);
    }
    gal_model_unref(w->model);
    gal_free(w);
}

static void end_early(struct gal_task *task)
{
    struct gal_lazy_place *p = (struct gal_lazy_place *)task; /* its first member */
    struct gal_exchange *x = p->x;
    struct gal_err err;

    x->place = NULL;
    x->job_running = false;
    if (p->ended == GAL_DEADLINE)
        gal_fail(&err, GAL_DEADLINE, "the deadline passed while the model was being loaded");
    else
        gal_fail(&err, p->ended, "the request was cancelled while the model was being loaded");
    gal_exchange_fail(x, &err);
}

bool gal_lazy_end_wait(struct gal_exchange *x, enum gal_status why)
{
    struct gal_lazy_place *p = x->place;

    if (p == NULL)
        return false;
    if (p->ended != GAL_OK)
        return true; /* its end is on the way */
    p->ended = why;
    take_off(p);
    x->place = p; /* until then */
    p->task.run = end_early;
    gal_loop_post(x->api->loop, &p->task);
    return true;
}

/* --- parking --- */

static struct gal_lazy_wait *find_wait(const struct gal_api *api, const struct gal_model *m)
{
    for (struct gal_lazy_wait *w = api->lazy_waits; w != NULL; w = w->next) {
        if (strcmp(w->model->name, m->name) == 0 && strcmp(w->model->version, m->version) == 0)
            return w;
    }
    return NULL;
}

static struct gal_lazy_wait *begin_wait(struct gal_api *api, struct gal_model *m)
{
    struct gal_lazy_wait *w = gal_calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->model = gal_model_ref(m);
    w->end = &w->first;
    w->request = (struct gal_control_request){.action = GAL_CONTROL_DEMAND,
                                              .model = gal_str_of(m->name),
                                              .version = gal_str_of(m->version),
                                              .home = api->loop,
                                              .on_done = on_loaded,
                                              .user = api};
    w->next = api->lazy_waits;
    api->lazy_waits = w;
    api->lazy->submit(api->lazy->ctx, &w->request);
    return w;
}

/* 0: none. */
static uint64_t deadline_of(struct gal_exchange *x, const struct gal_model *m)
{
    uint64_t limit_us = gal_infer_limit_us(x, m);

    return limit_us != 0 && limit_us < UINT64_MAX - x->start_us ? x->start_us + limit_us : 0;
}

bool gal_lazy_park(struct gal_exchange *x)
{
    struct gal_model *m = x->wanted;
    struct gal_lazy_place *p;
    struct gal_lazy_wait *w;

    if (m == NULL)
        return false;
    x->wanted = NULL;
    p = gal_arena_small(&x->arena, sizeof(*p));
    w = p != NULL ? find_wait(x->api, m) : NULL;
    if (p != NULL && w == NULL)
        w = begin_wait(x->api, m);
    memset(&x->job, 0, sizeof(x->job)); /* no scheduler has it */
    x->job.expires_us = deadline_of(x, m);
    gal_model_unref(m);
    if (w == NULL)
        return false;
    *p = (struct gal_lazy_place){.x = x, .wait = w};
    *w->end = p;
    w->end = &p->next;
    x->place = p;
    x->job_running = true;
    return true;
}
