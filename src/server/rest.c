/* SPDX-License-Identifier: Apache-2.0 */
#include "server/rest.h"

/* The timer is set for the first to go on, or for the calm, which each refusal puts off. */
static void set_timer(struct gal_rests *r)
{
    uint64_t now_us = gal_loop_now_us(r->loop), at_us = gal_pace_calm_us(&r->pace);

    if (r->first == NULL || r->timer == NULL)
        return;
    if (r->first->until_us < at_us)
        at_us = r->first->until_us;
    gal_timer_start(r->timer, at_us > now_us ? at_us - now_us : 0, 0);
}

/* The work on a request whose job was refused later, out of a list: until it was in there. What
 * waited elsewhere before (a cache, its model) came in another turn, and its time was not work. */
static uint64_t spent_us(const struct gal_exchange *x)
{
    const struct gal_job *job = &x->job;

    return x->submitted && job->arrived_us <= x->began_us && job->submitted_us > x->began_us
               ? job->submitted_us - x->began_us
               : 0;
}

uint64_t gal_rest_pause_us(struct gal_rests *r, const struct gal_exchange *x, bool handling)
{
    uint64_t now_us, us;

    if (x->resp.status != 429 && x->resp.status != 503)
        return 0;
    now_us = gal_loop_now_us(r->loop);
    us = !handling ? spent_us(x) : now_us > x->began_us ? now_us - x->began_us : 0;
    return gal_pace_refused(&r->pace, now_us, gal_pace_cost(us, x->req->body.n));
}

void gal_rest_leave(struct gal_rests *r, struct gal_rest *rest)
{
    if (!rest->resting)
        return;
    rest->resting = false;
    if (rest->prev != NULL)
        rest->prev->next = rest->next;
    else
        r->first = rest->next;
    if (rest->next != NULL)
        rest->next->prev = rest->prev;
    else
        r->last = rest->prev;
}

void gal_rest_begin(struct gal_rests *r, struct gal_rest *rest, uint64_t us)
{
    bool is_first = r->first == NULL;

    rest->until_us = gal_loop_turn_us(r->loop) + us;
    rest->resting = true;
    rest->next = NULL;
    rest->prev = r->last;
    if (is_first)
        r->first = rest;
    else
        r->last->next = rest;
    r->last = rest;
    if (is_first)
        set_timer(r);
}

static void on_timer(void *ctx)
{
    struct gal_rests *r = ctx;
    uint64_t now_us = gal_loop_now_us(r->loop);
    struct gal_rest *rest;

    /* Looked at anew each time: who goes on may be refused again, and that is no calm. */
    while ((rest = r->first) != NULL &&
           (rest->until_us <= now_us || gal_pace_calm_us(&r->pace) <= now_us)) {
        gal_rest_leave(r, rest);
        rest->on_end(rest->conn);
    }
    set_timer(r);
}

enum gal_status gal_rests_init(struct gal_rests *r, struct gal_loop *loop, struct gal_err *err)
{
    *r = (struct gal_rests){.loop = loop};
    return gal_timer_new(loop, on_timer, r, &r->timer, err);
}

void gal_rests_release(struct gal_rests *r)
{
    gal_timer_free(r->timer);
    r->timer = NULL;
}
