/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1: a request is written as it is. */
#include "load/wire.h"

#include "base/limits.h"
#include "base/mem.h"
#include "http/answer.h"

struct http1 {
    struct gal_answer *answer; /* owned */
    struct gal_str request;    /* to be gathered; n 0: nothing */
    bool busy;
};

static void http1_free(void *wire)
{
    struct http1 *w = wire;

    if (!w)
        return;
    gal_answer_free(w->answer);
    gal_free(w);
}

static enum gal_status http1_new(const struct gal_wire_head *head, void **wire, struct gal_err *err)
{
    struct http1 *w = gal_calloc(1, sizeof *w);
    enum gal_status status;

    (void)head;
    if (!w)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection");
    status = gal_answer_new(&w->answer, GAL_HTTP_HEAD_BYTES_MAX, err);
    if (status != GAL_OK) {
        http1_free(w);
        return status;
    }
    *wire = w;
    return GAL_OK;
}

static bool http1_open(void *wire)
{
    struct http1 *w = wire;

    gal_answer_reset(w->answer);
    w->request.n = 0;
    w->busy = false;
    return true;
}

static bool http1_send(void *wire, struct gal_str request)
{
    struct http1 *w = wire;

    w->request = request;
    w->busy = true;
    return true;
}

static size_t http1_gather(void *wire, struct gal_str *parts)
{
    struct http1 *w = wire;

    if (w->request.n == 0)
        return 0;
    *parts = w->request;
    w->request.n = 0;
    return 1;
}

/* `piece` is the last of the answer as read: its body, or the end of it. */
static enum gal_wire_step finish(struct http1 *w, struct gal_str piece,
                                 struct gal_wire_answer *answer)
{
    uint64_t body = gal_answer_body_bytes(w->answer);
    size_t n = body < piece.n ? (size_t)body : piece.n;

    answer->status = gal_answer_status(w->answer);
    answer->again = gal_answer_keep_alive(w->answer);
    answer->text = (struct gal_str){piece.p + (piece.n - n), n};
    gal_answer_next(w->answer);
    w->busy = false;
    return GAL_WIRE_DONE;
}

static enum gal_wire_step http1_feed(void *wire, const char *p, size_t n,
                                     struct gal_wire_answer *answer)
{
    struct http1 *w = wire;
    enum gal_answer_step step;
    size_t taken;

    if (!w->busy) /* an answer to nothing */
        return GAL_WIRE_BAD;
    step = gal_answer_feed(w->answer, p, n, &taken, NULL);
    if (step == GAL_ANSWER_DONE && taken == n)
        return finish(w, (struct gal_str){p, n}, answer);
    return step == GAL_ANSWER_MORE ? GAL_WIRE_MORE : GAL_WIRE_BAD;
}

static enum gal_wire_step http1_end(void *wire, struct gal_wire_answer *answer)
{
    struct http1 *w = wire;

    if (!w->busy || gal_answer_end(w->answer, NULL) != GAL_ANSWER_DONE)
        return GAL_WIRE_OVER;
    return finish(w, GAL_STR(""), answer);
}

const struct gal_wire_ops gal_wire_http1 = {
    .interleaves = false,
    .new = http1_new,
    .free = http1_free,
    .open = http1_open,
    .send = http1_send,
    .gather = http1_gather,
    .feed = http1_feed,
    .end = http1_end,
};
