/* SPDX-License-Identifier: Apache-2.0 */
/* The session: what nghttp2 reports becomes calls, and frames that only cost are counted.
 *
 * A call: open [on_begin_headers] -> closed [on_stream_close] -> the carrier's [close_call, at once
 * or behind gal_http2_sent when bytes of it are gathered]. */
#include "http/http2_impl.h"

#include "base/mem.h"

/* The credit: what a peer may send at once of frames that ask for nothing, what time renews of it,
 * and what the work that it lets us do earns. A client that pings and opens windows stays far
 * below, and so does one that gives up all its calls at once, or each of them when it has waited
 * for long enough: attacks need tens of thousands a second, which is streams that end at once. */
#define CREDIT_MAX 2000 /* and RESET_COST for each stream that may be open */
#define CREDIT_PER_S 200u
#define FRAME_COST 1
#define RESET_COST 20         /* a stream that was begun and got no answer */
#define RESET_FREE_US 200000u /* but one that has lived for so long */
#define DATA_EARNS 4          /* a frame of ours, which its receiver may acknowledge */
#define ANSWER_EARNS 16

#define CONTINUATIONS_MAX 8u /* frames of one head behind its first: 128 KiB */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct gal_str gal_http2_preface(void)
{
    return (struct gal_str){preface, sizeof(preface) - 1};
}

void gal_http2_touch(struct gal_http2 *h, int rc)
{
    if (rc != 0 && nghttp2_is_fatal(rc))
        h->broken = true;
    if (!h->inside)
        h->ops->on_output(h->user);
}

/* --- the credit --- */

static void renew(struct gal_http2 *h, uint64_t now_us)
{
    uint64_t more = (now_us - h->credit_us) * CREDIT_PER_S / 1000000;

    h->now_us = now_us;
    if (more == 0)
        return;
    h->credit_us = now_us;
    h->credit = more > CREDIT_MAX ? h->credit_max : h->credit + (int64_t)more;
    if (h->credit > h->credit_max)
        h->credit = h->credit_max;
}

static void earn(struct gal_http2 *h, int n)
{
    if (h->credit < h->credit_max)
        h->credit += n;
}

/* False when there is too little left. */
static bool pay(struct gal_http2 *h, int n)
{
    h->credit -= n;
    h->abused |= h->credit < 0;
    return !h->abused;
}

/* --- calls --- */

/* Not the array of headers, which is most of it: header_count bounds what is read of it. */
static void open_call(struct gal_http2 *h, struct gal_call *call, int32_t id)
{
    struct gal_http_request *r = &call->req;

    r->method = GAL_METHOD_OTHER;
    r->version_major = 2;
    r->version_minor = 0;
    r->target = r->path = r->query = r->body = (struct gal_str){NULL, 0};
    memset(r->known, 0, sizeof(r->known));
    r->header_count = 0;
    r->content_length = -1;
    r->chunked = r->expect_continue = false;
    r->keep_alive = true;
    call->h2 = h;
    call->id = id;
    call->code = 0;
    call->opened_us = call->data_us = h->now_us;
    call->received = call->sent = call->body_at = call->head_bytes = 0;
    call->has_path = call->has_authority = call->head_failed = false;
    call->ended = call->faulted = call->answered = call->out_ended = false;
    call->deferred = call->closed = false;
    call->ops = NULL;
    call->out = NULL;
    call->out_tail = &call->out;
    call->part = call->part_at = 0;
    call->trailer_count = 0;
    call->prev = NULL;
    call->next = h->calls;
    if (h->calls != NULL)
        h->calls->prev = call;
    h->calls = call;
}

static void delist(struct gal_http2 *h, struct gal_call *call)
{
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        h->calls = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
}

void gal_http2_close_call(struct gal_http2 *h, struct gal_call *call)
{
    gal_http2_drop_chunks(call);
    if (call->ops != NULL)
        call->ops->on_close(call->user, call->code);
    h->ops->on_close(h->user, call, call->code);
}

static void end_call(struct gal_http2 *h, struct gal_call *call, uint32_t code)
{
    delist(h, call);
    call->closed = true;
    call->code = code;
    if (h->out == NULL) {
        gal_http2_close_call(h, call);
        return;
    }
    call->next = h->closed;
    h->closed = call;
}

static void fault(struct gal_http2 *h, struct gal_call *call, const struct gal_err *err)
{
    call->faulted = true;
    h->ops->on_fault(h->user, call, err);
}

static void leave_free(struct gal_call *call, size_t n)
{
    if (n == 0 || gal_buf_reserve(call->body, n) == NULL)
        return;
    memset(call->body->p, 0, n);
    call->body->n = call->body_at = n;
}

static void add_body(struct gal_http2 *h, struct gal_call *call, const char *p, size_t n)
{
    struct gal_err err;

    if (call->received <= h->limits.body_bytes_max) {
        if (call->received == n && h->ops->on_body != NULL)
            leave_free(call, h->ops->on_body(h->user, call, (struct gal_str){p, n}));
        gal_buf_put(call->body, p, n);
        if (!call->body->failed)
            return;
        gal_fail(&err, GAL_NO_MEMORY, "there is no memory for the body");
    } else {
        gal_fail(&err, GAL_TOO_LARGE, "the body is larger than %zu bytes",
                 h->limits.body_bytes_max);
    }
    fault(h, call, &err);
}

static void end_request(struct gal_http2 *h, struct gal_call *call)
{
    call->ended = true;
    if (call->ops != NULL) {
        if (call->ops->on_end != NULL)
            call->ops->on_end(call->user);
    } else if (!call->faulted) {
        call->req.body = gal_buf_str(call->body);
        if (call->body_at > 0) {
            call->req.body.p += call->body_at;
            call->req.body.n -= call->body_at;
        }
        h->ops->on_request(h->user, call);
    }
}

/* --- nghttp2's calls while it reads --- */

/* What comes of one stream comes mostly together: the one asked for last is kept at hand. */
static struct gal_call *call_of(struct gal_http2 *h, int32_t id)
{
    struct gal_call *call;

    if (h->latest != NULL && h->latest->id == id)
        return h->latest;
    call = nghttp2_session_get_stream_user_data(h->session, id);
    if (call != NULL)
        h->latest = call;
    return call;
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call;

    if (!is_request(frame))
        return 0;
    call = h->ops->on_open(h->user);
    if (call == NULL) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    open_call(h, call, frame->hd.stream_id);
    if (nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call) == 0)
        h->latest = call;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call = is_request(frame) ? call_of(h, frame->hd.stream_id) : NULL;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);

    (void)session, (void)flags;
    if (call == NULL || gal_http2_head_add(call, h->limits.head_bytes_max,
                                           (struct gal_str){(const char *)n.base, n.len},
                                           (struct gal_str){(const char *)v.base, v.len}))
        return 0;
    h->abused = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* What nghttp2 would pass over makes a request malformed (RFC 9113 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)name, (void)value, (void)flags, (void)user;
    (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                    NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                         size_t n, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call = call_of(h, id);

    (void)flags;
    (void)nghttp2_session_consume_connection(session, n);
    if (call == NULL || call->faulted)
        return 0;
    call->received += n;
    call->data_us = h->now_us;
    if (call->ops != NULL) {
        call->ops->on_data(call->user, (const char *)p, n);
        return 0;
    }
    (void)nghttp2_session_consume_stream(session, id, n);
    add_body(h, call, (const char *)p, n);
    return 0;
}

static void take_head(struct gal_http2 *h, struct gal_call *call)
{
    struct gal_err err;

    if (gal_http2_head_end(call, &h->limits, &err) != GAL_OK)
        fault(h, call, &err);
    else
        h->ops->on_head(h->user, call);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call;

    (void)session;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    call = call_of(h, frame->hd.stream_id);
    if (call == NULL)
        return 0;
    if (is_request(frame)) {
        call->ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        take_head(h, call);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        end_request(h, call);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call = call_of(h, id);
    bool is_free = code == NGHTTP2_NO_ERROR;

    if (call == NULL)
        return is_free || pay(h, RESET_COST) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    h->latest = NULL;
    if (h->now_us - call->opened_us >= RESET_FREE_US) {
        is_free = true;
        earn(h, FRAME_COST); /* its RST_STREAM too */
    }
    is_free |= call->answered;
    end_call(h, call, code);
    return is_free || pay(h, RESET_COST) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

bool gal_call_may_send(const struct gal_call *call)
{
    nghttp2_session *session = call->h2->session;

    return nghttp2_session_get_remote_window_size(session) > 0 &&
           nghttp2_session_get_stream_remote_window_size(session, call->id) > 0;
}

/* --- and while it writes --- */

/* The answer is out and the peer still sends: it may stop (RFC 9113 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct gal_http2 *h = user;
    const struct gal_call *call;

    if (frame->hd.type == NGHTTP2_DATA)
        earn(h, DATA_EARNS);
    else if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    earn(h, ANSWER_EARNS);
    call = call_of(h, frame->hd.stream_id);
    if (call != NULL && !call->ended)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    return 0;
}

/* --- life --- */

static int make_callbacks(nghttp2_session_callbacks **out)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NGHTTP2_ERR_NOMEM;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(cb, gal_http2_on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, gal_http2_on_read_length);
    *out = cb;
    return 0;
}

static int open_session(struct gal_http2 *h)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *option = NULL;
    int rc = make_callbacks(&cb);

    if (rc == 0)
        rc = nghttp2_option_new(&option);
    if (rc == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_max_reserved_remote_streams(option, 0);
        /* nghttp2 counts each piece in which the head of such a frame comes. */
        nghttp2_option_set_max_continuations(option,
                                             (CONTINUATIONS_MAX + 1) * GAL_HTTP2_FRAME_HEAD_BYTES);
        /* The credit bounds resets: nghttp2's own count does not know which of them cost. */
        nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
        /* Closed ones would be kept for priorities, which nobody uses any more. */
        nghttp2_option_set_no_closed_streams(option, 1);
        rc = nghttp2_session_server_new3(&h->session, cb, h, option, gal_http2_pool_mem(h->pool));
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return rc;
}

static int say_settings(struct gal_http2 *h)
{
    const struct gal_http2_limits *l = &h->limits;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->head_bytes_max},
    };
    int rc = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries,
                                     sizeof(entries) / sizeof(entries[0]));

    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                   (int32_t)l->connection_window);
    return rc;
}

enum gal_status gal_http2_new(struct gal_http2 **out, struct gal_http2_pool *pool,
                              const struct gal_http2_limits *limits,
                              const struct gal_http2_ops *ops, void *user, struct gal_err *err)
{
    struct gal_http2 *h = gal_calloc(1, sizeof(*h));

    if (h == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection of HTTP/2");
    h->pool = pool;
    h->limits = *limits;
    h->ops = ops;
    h->user = user;
    h->credit_max = CREDIT_MAX + (int64_t)limits->streams_max * RESET_COST;
    h->credit = h->credit_max;
    h->sent_tail = &h->sent;
    gal_http2_frames_init(&h->frames, gal_http2_preface().n);
    h->inside = true;
    if (open_session(h) != 0 || say_settings(h) != 0) {
        gal_http2_free(h);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection of HTTP/2");
    }
    h->inside = false;
    *out = h;
    return GAL_OK;
}

void gal_http2_free(struct gal_http2 *h)
{
    if (h == NULL)
        return;
    h->inside = true;
    while (h->sent != NULL) {
        struct gal_call_chunk *c = h->sent;
        h->sent = c->next;
        c->on_sent(c, false);
    }
    gal_http2_sent(h);
    while (h->calls != NULL)
        end_call(h, h->calls, GAL_CALL_CANCEL);
    nghttp2_session_del(h->session);
    gal_free(h);
}

/* --- from outside --- */

/* What nghttp2 cannot tell of streams that are over. */
static uint32_t check_stream(struct gal_http2 *h, const struct gal_http2_frame *f)
{
    bool ends = f->type == NGHTTP2_RST_STREAM || (f->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    enum gal_http2_id is = gal_http2_ids_find(&h->ids, f->stream);

    if (f->type == NGHTTP2_HEADERS && is == GAL_HTTP2_ID_SKIPPED)
        return NGHTTP2_PROTOCOL_ERROR;
    if (f->type != NGHTTP2_RST_STREAM && is == GAL_HTTP2_ID_ENDED)
        return NGHTTP2_STREAM_CLOSED;
    if (f->type == NGHTTP2_HEADERS && is == GAL_HTTP2_ID_NEW)
        gal_http2_ids_begin(&h->ids, f->stream);
    if (ends)
        gal_http2_ids_end(&h->ids, f->stream);
    return NGHTTP2_NO_ERROR;
}

static uint32_t check_frame(struct gal_http2 *h, const struct gal_http2_frame *f)
{
    bool ends_head = (f->flags & NGHTTP2_FLAG_END_HEADERS) != 0;
    uint32_t error = NGHTTP2_NO_ERROR;

    if (f->type == NGHTTP2_HEADERS && h->head_since_us == 0)
        h->head_since_us = h->now_us;
    h->head_ends = (f->type == NGHTTP2_HEADERS || f->type == NGHTTP2_CONTINUATION) && ends_head;
    if (f->type == NGHTTP2_DATA || f->type == NGHTTP2_HEADERS || f->type == NGHTTP2_RST_STREAM)
        error = check_stream(h, f);
    if (f->type != NGHTTP2_CONTINUATION)
        h->continuations = 0;
    else if (++h->continuations > CONTINUATIONS_MAX)
        h->abused = true;
    if (error != NGHTTP2_NO_ERROR || f->type == NGHTTP2_HEADERS)
        return error;
    if (f->type == NGHTTP2_DATA && (f->length > 0 || (f->flags & NGHTTP2_FLAG_END_STREAM) != 0))
        return NGHTTP2_NO_ERROR;
    return pay(h, FRAME_COST) ? NGHTTP2_NO_ERROR : NGHTTP2_ENHANCE_YOUR_CALM;
}

/* Returns how many bytes are good: up to the first frame that is not, which h->error says. */
static size_t check_frames(struct gal_http2 *h, const char *bytes, size_t n)
{
    const char *p = bytes, *end = bytes + n;
    struct gal_http2_frame f;

    while (gal_http2_frames_next(&h->frames, &p, end, &f)) {
        if (h->head_ends)
            h->head_since_us = 0;
        h->error = check_frame(h, &f);
        if (h->error == NGHTTP2_NO_ERROR)
            continue;
        n = (size_t)(p - bytes);
        return n > GAL_HTTP2_FRAME_HEAD_BYTES ? n - GAL_HTTP2_FRAME_HEAD_BYTES : 0;
    }
    if (h->head_ends && gal_http2_frames_at_end(&h->frames))
        h->head_since_us = 0;
    return n;
}

/* What nghttp2 has found comes before what check_frames has: it was shown less. */
static enum gal_call_code reason(const struct gal_http2 *h, ssize_t rc)
{
    if (rc == NGHTTP2_ERR_CALLBACK_FAILURE || rc == NGHTTP2_ERR_FLOODED)
        return GAL_CALL_CALM;
    return rc < 0 ? GAL_CALL_PROTOCOL_ERROR : (enum gal_call_code)h->error;
}

bool gal_http2_feed(struct gal_http2 *h, const char *p, size_t n, uint64_t now_us)
{
    ssize_t rc;

    GAL_ASSERT(!h->inside);
    if (h->failed)
        return false;
    renew(h, now_us);
    n = check_frames(h, p, n);
    h->inside = true;
    rc = nghttp2_session_mem_recv(h->session, (const uint8_t *)p, n);
    h->inside = false;
    if (rc >= 0 && h->error == NGHTTP2_NO_ERROR)
        return true;
    h->failed = true;
    gal_http2_abort(h, reason(h, rc));
    return false;
}

bool gal_http2_wants_send(const struct gal_http2 *h)
{
    return !h->broken && nghttp2_session_want_write(h->session);
}

bool gal_http2_is_over(const struct gal_http2 *h)
{
    return h->broken ||
           (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
}

bool gal_http2_is_abused(const struct gal_http2 *h)
{
    return h->abused;
}

void gal_http2_shut_down(struct gal_http2 *h, bool notice)
{
    if (notice)
        gal_http2_touch(h, nghttp2_submit_shutdown_notice(h->session));
    else
        gal_http2_touch(h,
                        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                              nghttp2_session_get_last_proc_stream_id(h->session),
                                              NGHTTP2_NO_ERROR, NULL, 0));
}

void gal_http2_abort(struct gal_http2 *h, enum gal_call_code code)
{
    h->abused |= code == GAL_CALL_CALM;
    gal_http2_touch(h, nghttp2_session_terminate_session(h->session, code));
}

struct gal_call *gal_http2_calls(const struct gal_http2 *h)
{
    return h->calls;
}

uint64_t gal_http2_head_since_us(const struct gal_http2 *h)
{
    return h->head_since_us;
}
