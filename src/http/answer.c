/* SPDX-License-Identifier: Apache-2.0 */
#include "http/answer.h"

#include "base/mem.h"

#include <llhttp.h>

struct gal_answer {
    llhttp_t parser; /* first: the callbacks' argument is the answer too */
    size_t head_bytes_max;
    size_t head_bytes;   /* of this answer, so far */
    uint64_t body_bytes; /* of this answer, so far */
    struct gal_buf *body;
    bool begun, in_body, keep_alive, done;
};

static struct gal_answer *answer(llhttp_t *parser)
{
    return (struct gal_answer *)(void *)parser;
}

static int on_message_begin(llhttp_t *parser)
{
    struct gal_answer *a = answer(parser);
    a->begun = true;
    a->in_body = false;
    a->head_bytes = 0;
    a->body_bytes = 0;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct gal_answer *a = answer(parser);
    a->in_body = true;
    a->keep_alive = llhttp_should_keep_alive(parser) == 1;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct gal_answer *a = answer(parser);
    a->body_bytes += n;
    if (a->body && !a->body->failed) {
        size_t room = a->body->max - a->body->n;
        gal_buf_put(a->body, at, n < room ? n : room);
        a->body->failed = a->body->failed || n > room;
    }
    return 0;
}

/* An interim answer is followed by the one that counts; 101 would end HTTP, and nobody asks for
 * it. */
static int on_message_complete(llhttp_t *parser)
{
    struct gal_answer *a = answer(parser);
    if (parser->status_code < 200)
        return parser->status_code == 101 ? HPE_USER : 0;
    a->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

enum gal_status gal_answer_new(struct gal_answer **out, size_t head_bytes_max, struct gal_err *err)
{
    struct gal_answer *a = gal_calloc(1, sizeof *a);
    if (!a)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to read answers");
    a->head_bytes_max = head_bytes_max;
    llhttp_init(&a->parser, HTTP_RESPONSE, &settings);
    *out = a;
    return GAL_OK;
}

void gal_answer_free(struct gal_answer *a)
{
    gal_free(a);
}

void gal_answer_reset(struct gal_answer *a)
{
    size_t head_bytes_max = a->head_bytes_max;
    memset(a, 0, sizeof *a);
    a->head_bytes_max = head_bytes_max;
    llhttp_init(&a->parser, HTTP_RESPONSE, &settings);
}

void gal_answer_keep(struct gal_answer *a, struct gal_buf *body)
{
    a->body = body;
}

static enum gal_answer_step refuse(const struct gal_answer *a, struct gal_err *err)
{
    const char *reason = llhttp_get_error_reason(&a->parser);
    (void)gal_fail(err, GAL_UNAVAILABLE, "the answer is no HTTP/1.1: %s",
                   reason && reason[0] ? reason : llhttp_errno_name(llhttp_get_errno(&a->parser)));
    return GAL_ANSWER_ERROR;
}

enum gal_answer_step gal_answer_feed(struct gal_answer *a, const char *p, size_t n, size_t *taken,
                                     struct gal_err *err)
{
    llhttp_errno_t rc;

    GAL_ASSERT(!a->done);
    *taken = n;
    if (n == 0)
        return GAL_ANSWER_MORE;
    rc = llhttp_execute(&a->parser, p, n);
    if (rc == HPE_PAUSED && a->done) {
        *taken = (size_t)(llhttp_get_error_pos(&a->parser) - p);
        return GAL_ANSWER_DONE;
    }
    if (rc != HPE_OK)
        return refuse(a, err);
    if (!a->in_body && (a->head_bytes += n) > a->head_bytes_max) {
        (void)gal_fail(err, GAL_UNAVAILABLE, "the answer's head is longer than %zu bytes",
                       a->head_bytes_max);
        return GAL_ANSWER_ERROR;
    }
    return GAL_ANSWER_MORE;
}

enum gal_answer_step gal_answer_end(struct gal_answer *a, struct gal_err *err)
{
    llhttp_errno_t rc;

    if (a->begun && a->in_body && !a->done) {
        rc = llhttp_finish(&a->parser);
        if (a->done && (rc == HPE_OK || rc == HPE_PAUSED)) {
            a->keep_alive = false;
            return GAL_ANSWER_DONE;
        }
    }
    (void)gal_fail(err, GAL_UNAVAILABLE, "the connection ended %s",
                   a->begun ? "within an answer" : "before an answer came");
    return GAL_ANSWER_ERROR;
}

void gal_answer_next(struct gal_answer *a)
{
    GAL_ASSERT(a->done);
    a->done = a->begun = a->in_body = false;
    llhttp_resume(&a->parser);
}

bool gal_answer_idle(const struct gal_answer *a)
{
    return !a->begun;
}

int gal_answer_status(const struct gal_answer *a)
{
    return a->parser.status_code;
}

bool gal_answer_keep_alive(const struct gal_answer *a)
{
    return a->keep_alive;
}

uint64_t gal_answer_body_bytes(const struct gal_answer *a)
{
    return a->body_bytes;
}
