/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: heads are copied into the output, bodies go out from where they lie. */
#include "http/http2_impl.h"

#include "base/clock.h"

/* A piece of a body of at most this many bytes is copied: one buffer costs the kernel less than
 * two. */
#define COPY_BYTES_MAX 2048u
#define FRAME_HEAD_BYTES 9u
/* :status, content-length, date, and the answer's own. */
#define NV_MAX (GAL_HTTP_RESPONSE_HEADERS_MAX + 3)

static bool has_room(const struct gal_http2_out *out, size_t bytes, size_t parts)
{
    return out->n + bytes <= sizeof(out->bytes) && out->count + parts <= GAL_HTTP2_OUT_PARTS;
}

/* Bytes that follow those of the last part lengthen it. */
static void put_bytes(struct gal_http2_out *out, const void *p, size_t n)
{
    char *to = out->bytes + out->n;
    struct gal_str *last = out->count > 0 ? &out->parts[out->count - 1] : NULL;

    memcpy(to, p, n);
    out->n += n;
    if (last != NULL && last->p + last->n == to)
        last->n += n;
    else
        out->parts[out->count++] = (struct gal_str){to, n};
}

ssize_t gal_http2_on_send(nghttp2_session *s, const uint8_t *p, size_t n, int flags, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_out *out = h->out;
    size_t room = sizeof(out->bytes) - out->n;

    (void)s, (void)flags;
    if (room == 0 || !has_room(out, 1, 1))
        return NGHTTP2_ERR_WOULDBLOCK;
    if (n > room)
        n = room;
    put_bytes(out, p, n);
    return (ssize_t)n;
}

/* What of the body is to come. */
static size_t rest_of(const struct gal_http2_call *c)
{
    size_t rest = 0;

    if (c->resp == NULL)
        return c->pieces.n - c->pieces_sent;
    for (size_t i = c->part; i < c->resp->part_count; i++)
        rest += c->resp->parts[i].n;
    return rest - c->part_sent;
}

static struct gal_str next_run(struct gal_http2_call *c, size_t n)
{
    const struct gal_str *part = &c->resp->parts[c->part];
    struct gal_str run = {part->p + c->part_sent, part->n - c->part_sent};

    if (run.n > n)
        run.n = n;
    c->part_sent += run.n;
    if (c->part_sent == part->n) {
        c->part++;
        c->part_sent = 0;
    }
    return run;
}

/* Parts that n more bytes of the body are made of, and how many of those bytes are copied. */
static size_t count_runs(const struct gal_http2_call *c, size_t n, size_t *copied)
{
    size_t runs = 0, sent = c->part_sent;

    for (size_t i = c->part; n > 0; i++, sent = 0) {
        size_t run = c->resp->parts[i].n - sent;

        if (run > n)
            run = n;
        n -= run;
        runs++;
        *copied += run <= COPY_BYTES_MAX ? run : 0;
    }
    return runs;
}

int gal_http2_on_send_data(nghttp2_session *s, nghttp2_frame *frame, const uint8_t *frame_head,
                           size_t n, nghttp2_data_source *source, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c = source->ptr;
    size_t copied = FRAME_HEAD_BYTES, runs;

    (void)s, (void)frame;
    runs = count_runs(c, n, &copied);
    if (!has_room(h->out, copied, 2 * runs + 1))
        return NGHTTP2_ERR_WOULDBLOCK;
    put_bytes(h->out, frame_head, FRAME_HEAD_BYTES);
    while (n > 0) {
        struct gal_str run = next_run(c, n);

        n -= run.n;
        if (run.n <= COPY_BYTES_MAX)
            put_bytes(h->out, run.p, run.n);
        else
            h->out->parts[h->out->count++] = run;
    }
    return 0;
}

static void name_value(nghttp2_nv *nv, struct gal_str name, struct gal_str value)
{
    nv->name = (uint8_t *)(uintptr_t)name.p; /* nghttp2 copies, and makes the name lower case */
    nv->namelen = name.n;
    nv->value = (uint8_t *)(uintptr_t)value.p;
    nv->valuelen = value.n;
    nv->flags = NGHTTP2_NV_FLAG_NONE;
}

static void end_body(struct gal_http2 *h, struct gal_http2_call *c, uint32_t *flags)
{
    nghttp2_nv nv[GAL_HTTP_RESPONSE_TRAILERS_MAX];
    size_t n = c->trailer_count < GAL_HTTP_RESPONSE_TRAILERS_MAX ? c->trailer_count
                                                                 : GAL_HTTP_RESPONSE_TRAILERS_MAX;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        name_value(&nv[i], c->trailers[i].name, c->trailers[i].value);
    if (nghttp2_submit_trailer(h->session, c->stream_id, nv, n) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

/* Of an answer whose bytes lie ready: only how much. */
static ssize_t read_parts(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                          nghttp2_data_source *source, void *user)
{
    struct gal_http2_call *c = source->ptr;
    size_t rest = rest_of(c);

    (void)s, (void)id, (void)to;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (rest <= n)
        end_body(user, c, flags);
    return (ssize_t)(rest < n ? rest : n);
}

static ssize_t read_pieces(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c = source->ptr;
    size_t rest = rest_of(c);

    (void)s, (void)id;
    if (rest == 0 && !c->reply_ended) {
        c->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > rest)
        n = rest;
    if (n > 0)
        memcpy(to, c->pieces.p + c->pieces_sent, n);
    c->pieces_sent += n;
    if (n < rest)
        return (ssize_t)n;
    gal_buf_clear(&c->pieces, SIZE_MAX);
    c->pieces_sent = 0;
    if (c->reply_ended)
        end_body(h, c, flags);
    else if (h->ops->on_drained != NULL)
        h->ops->on_drained(h->user, c);
    return (ssize_t)n;
}

static bool has_length(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Headers that HTTP/2 has no use for are left out, RFC 9113 8.2.2. */
static bool is_of_connection(struct gal_str name)
{
    return gal_str_ieq(name, GAL_STR("Connection")) || gal_str_ieq(name, GAL_STR("Keep-Alive")) ||
           gal_str_ieq(name, GAL_STR("Transfer-Encoding")) || gal_str_ieq(name, GAL_STR("Upgrade"));
}

static void submit(struct gal_http2 *h, struct gal_http2_call *c, const struct gal_http_response *r,
                   struct gal_str date, bool with_length, nghttp2_data_source_read_callback read)
{
    nghttp2_data_provider body = {.source.ptr = c, .read_callback = read};
    nghttp2_nv nv[NV_MAX];
    char status[24], length[24];
    size_t n = 0;

    name_value(
        &nv[n++], GAL_STR(":status"),
        (struct gal_str){status, (size_t)(gal_u64_write(status, (unsigned)r->status) - status)});
    for (size_t i = 0; i < r->header_count; i++)
        if (r->headers[i].name.n > 0 && !is_of_connection(r->headers[i].name))
            name_value(&nv[n++], r->headers[i].name, r->headers[i].value);
    if (with_length)
        name_value(
            &nv[n++], GAL_STR("content-length"),
            (struct gal_str){length, (size_t)(gal_u64_write(length, r->body_bytes) - length)});
    if (date.n > 0)
        name_value(&nv[n++], GAL_STR("date"), date);
    c->answered = true;
    if (nghttp2_submit_response(h->session, c->stream_id, nv, n, read != NULL ? &body : NULL) != 0)
        gal_http2_reset(h, c, GAL_HTTP2_INTERNAL);
}

void gal_http2_respond(struct gal_http2 *h, struct gal_http2_call *c,
                       const struct gal_http_response *r, struct gal_str date)
{
    bool empty = c->req.method == GAL_METHOD_HEAD || r->body_bytes == 0;

    GAL_ASSERT(!c->answered);
    c->resp = r;
    c->part = c->part_sent = 0;
    c->trailers = r->trailers;
    c->trailer_count = r->trailer_count;
    submit(h, c, r, date, has_length(r->status) && r->trailer_count == 0,
           empty && r->trailer_count == 0 ? NULL : read_parts);
}

void gal_http2_reply(struct gal_http2 *h, struct gal_http2_call *c,
                     const struct gal_http_response *r, struct gal_str date)
{
    GAL_ASSERT(!c->answered);
    c->resp = NULL;
    submit(h, c, r, date, false, read_pieces);
}

static void resume(struct gal_http2 *h, struct gal_http2_call *c)
{
    if (c->deferred)
        (void)nghttp2_session_resume_data(h->session, c->stream_id);
    c->deferred = false;
}

bool gal_http2_push(struct gal_http2 *h, struct gal_http2_call *c, const struct gal_str *parts,
                    size_t count)
{
    size_t n = 0;

    GAL_ASSERT(c->answered && c->resp == NULL && !c->reply_ended);
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    if (gal_buf_reserve(&c->pieces, n) == NULL) {
        c->pieces.failed = c->pieces.starved = false;
        return false;
    }
    for (size_t i = 0; i < count; i++)
        gal_buf_put_str(&c->pieces, parts[i]);
    resume(h, c);
    return true;
}

void gal_http2_end(struct gal_http2 *h, struct gal_http2_call *c, const struct gal_header *trailers,
                   size_t trailer_count)
{
    GAL_ASSERT(c->answered && c->resp == NULL);
    c->reply_ended = true;
    c->trailers = trailers;
    c->trailer_count = trailer_count;
    resume(h, c);
}

void gal_http2_continue(struct gal_http2 *h, struct gal_http2_call *c)
{
    nghttp2_nv nv;

    name_value(&nv, GAL_STR(":status"), GAL_STR("100"));
    (void)nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, c->stream_id, NULL, &nv, 1, NULL);
}

bool gal_http2_send(struct gal_http2 *h, struct gal_http2_out *out)
{
    int rc;

    out->count = out->n = 0;
    h->out = out;
    rc = nghttp2_session_send(h->session);
    h->out = NULL;
    if (rc != 0) /* memory: the connection cannot go on */
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_INTERNAL_ERROR);
    return rc == 0 && out->count > 0 && nghttp2_session_want_write(h->session);
}

bool gal_http2_wants_send(const struct gal_http2 *h)
{
    return nghttp2_session_want_write(h->session) != 0;
}
