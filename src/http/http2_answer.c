/* SPDX-License-Identifier: Apache-2.0 */
/* What a call's owner says: heads, chunks, trailers, resets. */
#include "http/http2_impl.h"

#define STATUS_DIGITS 3
/* :status, content-length, date. */
#define OWN_HEADERS 3u
#define NV_MAX (GAL_HTTP_RESPONSE_HEADERS_MAX + GAL_HTTP_RESPONSE_TRAILERS_MAX + OWN_HEADERS)

/* nghttp2 reads names and values only. */
static uint8_t *bytes_of(struct gal_str s)
{
    return (uint8_t *)(uintptr_t)(s.p != NULL ? s.p : "");
}

nghttp2_nv gal_http2_nv(const struct gal_header *h)
{
    return (nghttp2_nv){bytes_of(h->name), bytes_of(h->value), h->name.n, h->value.n,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

/* Values that no two answers share would only push the others out of HPACK's table. */
static bool is_unique(struct gal_str name)
{
    enum gal_known_header k = gal_known_header_find(name);

    return k == GAL_HDR_X_REQUEST_ID || k == GAL_HDR_X_CORRELATION_ID || k == GAL_HDR_TRACEPARENT;
}

/* Those of the connection are not HTTP/2's (RFC 9113 8.2.2), and a value that would not be taken is
 * not sent. */
static bool is_sendable(const struct gal_header *h)
{
    if (h->name.n == 0 || !nghttp2_check_header_value(bytes_of(h->value), h->value.n))
        return false;
    switch (h->name.n) {
    case 7:
        return !gal_str_ieq(h->name, GAL_STR("upgrade"));
    case 10:
        return !gal_str_ieq(h->name, GAL_STR("connection")) &&
               !gal_str_ieq(h->name, GAL_STR("keep-alive"));
    case 17:
        return !gal_str_ieq(h->name, GAL_STR("transfer-encoding"));
    default:
        return true;
    }
}

static size_t put_headers(nghttp2_nv *nv, const struct gal_header *headers, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_sendable(&headers[i]))
            continue;
        nv[n] = gal_http2_nv(&headers[i]);
        nv[n].flags = NGHTTP2_NV_FLAG_NO_COPY_VALUE; /* a copied name gets small letters */
        if (is_unique(headers[i].name))
            nv[n].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
        n++;
    }
    return n;
}

static void put_copied(nghttp2_nv *nv, struct gal_str name, struct gal_str value)
{
    *nv = (nghttp2_nv){bytes_of(name), bytes_of(value), name.n, value.n,
                       NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static void put_status(nghttp2_nv *nv, int status, char digits[GAL_U64_CHARS_MAX])
{
    if (status == 200) {
        *nv = gal_http2_nv(&(struct gal_header){GAL_STR(":status"), GAL_STR("200")});
        return;
    }
    (void)gal_u64_write(digits, (unsigned)status);
    put_copied(nv, GAL_STR(":status"), (struct gal_str){digits, STATUS_DIGITS});
}

/* The head is on its way; with a body or trailers to come, or with none. */
static void submit(struct gal_call *call, const nghttp2_nv *nv, size_t count, bool ends)
{
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = gal_http2_on_read};

    call->answered = true;
    gal_http2_touch(call->h2, nghttp2_submit_response(call->h2->session, call->id, nv, count,
                                                      ends ? NULL : &body));
}

static void enqueue(struct gal_call *call, struct gal_call_chunk *chunk)
{
    chunk->next = NULL;
    *call->out_tail = chunk;
    call->out_tail = &chunk->next;
}

static bool has_length(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

void gal_http2_answer(struct gal_call *call, const struct gal_http_response *r, struct gal_str date)
{
    bool has_body = r->body_bytes > 0 && call->req.method != GAL_METHOD_HEAD;
    char status[GAL_U64_CHARS_MAX], length[GAL_U64_CHARS_MAX];
    nghttp2_nv nv[NV_MAX];
    size_t n = 1;

    GAL_ASSERT(r->status >= 100 && r->status <= 999 && call->ops == NULL);
    if (call->closed || call->answered)
        return;
    put_status(&nv[0], r->status, status);
    n += put_headers(nv + n, r->headers, r->header_count);
    if (r->trailer_count > 0 && !has_body)
        n += put_headers(nv + n, r->trailers, r->trailer_count);
    else if (has_length(r->status) && r->trailer_count == 0)
        put_copied(
            &nv[n++], GAL_STR("content-length"),
            (struct gal_str){length, (size_t)(gal_u64_write(length, r->body_bytes) - length)});
    if (date.n > 0)
        put_copied(&nv[n++], GAL_STR("date"), date);
    call->out_ended = true;
    if (has_body) {
        call->answer = (struct gal_call_chunk){.parts = r->parts, .count = r->part_count};
        enqueue(call, &call->answer);
        call->trailers = r->trailers;
        call->trailer_count = r->trailer_count;
    }
    submit(call, nv, n, !has_body);
}

void gal_http2_continue(struct gal_call *call)
{
    nghttp2_nv nv = gal_http2_nv(&(struct gal_header){GAL_STR(":status"), GAL_STR("100")});

    if (call->closed || call->ended || call->answered || !call->req.expect_continue)
        return;
    gal_http2_touch(call->h2, nghttp2_submit_headers(call->h2->session, NGHTTP2_FLAG_NONE, call->id,
                                                     NULL, &nv, 1, NULL));
}

void gal_http2_refuse(struct gal_call *call)
{
    call->faulted = true;
}

/* --- calls that are claimed --- */

void gal_call_claim(struct gal_call *call, const struct gal_call_ops *ops, void *user)
{
    GAL_ASSERT(!call->answered);
    call->ops = ops;
    call->user = user;
}

void gal_call_head(struct gal_call *call, const struct gal_http_response *r)
{
    char status[GAL_U64_CHARS_MAX];
    nghttp2_nv nv[NV_MAX];
    size_t n = 1;

    if (call->closed || call->answered)
        return;
    put_status(&nv[0], r->status, status);
    n += put_headers(nv + n, r->headers, r->header_count);
    submit(call, nv, n, false);
}

static void resume(struct gal_call *call)
{
    if (!call->deferred)
        return;
    call->deferred = false;
    gal_http2_touch(call->h2, nghttp2_session_resume_data(call->h2->session, call->id));
}

void gal_call_send(struct gal_call *call, struct gal_call_chunk *chunk)
{
    if (call->closed) {
        if (chunk->on_sent != NULL)
            chunk->on_sent(chunk, false);
        return;
    }
    GAL_ASSERT(call->answered && !call->out_ended);
    enqueue(call, chunk);
    resume(call);
}

void gal_call_end(struct gal_call *call, const struct gal_header *trailers, size_t count)
{
    char status[GAL_U64_CHARS_MAX];
    nghttp2_nv nv[NV_MAX];

    GAL_ASSERT(count <= GAL_HTTP_RESPONSE_TRAILERS_MAX && !call->out_ended);
    call->out_ended = true;
    if (call->closed)
        return;
    if (!call->answered) {
        put_status(&nv[0], 200, status);
        submit(call, nv, 1 + put_headers(nv + 1, trailers, count), true);
        return;
    }
    call->trailers = trailers;
    call->trailer_count = count;
    resume(call);
}

void gal_call_reset(struct gal_call *call, enum gal_call_code code)
{
    if (call->closed)
        return;
    gal_http2_touch(
        call->h2, nghttp2_submit_rst_stream(call->h2->session, NGHTTP2_FLAG_NONE, call->id, code));
}

void gal_call_consume(struct gal_call *call, size_t n)
{
    if (call->closed || n == 0)
        return;
    gal_http2_touch(call->h2, nghttp2_session_consume_stream(call->h2->session, call->id, n));
}
