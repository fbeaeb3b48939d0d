/* SPDX-License-Identifier: Apache-2.0 */
/* The session: what nghttp2 reports becomes calls, and costly frames are counted. */
#include "http/http2_impl.h"

#include "base/mem.h"

/* Frames without work that a peer may send at once, and a second; one of ours sent earns one more.
 * A client that cancels much stays far below; the attacks need tens of thousands a second. */
#define PATIENCE_MAX 10000
#define PATIENCE_PER_S 1000u
/* A stream that is begun and reset costs more than other frames. */
#define RESET_COST 10

void gal_http2_call_init(struct gal_http2_call *c, size_t head_bytes_max, size_t pieces_bytes_max)
{
    memset(c, 0, sizeof(*c));
    gal_buf_init(&c->head, head_bytes_max);
    gal_buf_init(&c->pieces, pieces_bytes_max);
    c->req.content_length = -1;
    c->req.method = GAL_METHOD_OTHER;
}

/* Not the array of headers, which is most of it: header_count bounds what is read of it. */
static void clear_request(struct gal_http_request *r)
{
    r->method = GAL_METHOD_OTHER;
    r->version_major = 2;
    r->version_minor = 0;
    r->target = r->path = r->query = r->body = (struct gal_str){NULL, 0};
    memset(r->known, 0, sizeof(r->known));
    r->header_count = 0;
    r->content_length = -1;
    r->chunked = false;
    r->keep_alive = true;
    r->expect_continue = false;
}

void gal_http2_call_clear(struct gal_http2_call *c)
{
    clear_request(&c->req);
    c->head_too_large = c->ended = c->answered = c->reply_ended = c->deferred = false;
    gal_buf_clear(&c->head, c->head.max);
    gal_buf_clear(&c->pieces, 0);
    c->pieces_sent = 0;
    c->stream_id = 0;
    c->resp = NULL;
    c->part = c->part_sent = 0;
    c->trailers = NULL;
    c->trailer_count = 0;
}

void gal_http2_call_release(struct gal_http2_call *c)
{
    gal_buf_release(&c->head);
    gal_buf_release(&c->pieces);
}

/* --- the budget of costly frames --- */

static void refill(struct gal_http2 *h, uint64_t now_us)
{
    uint64_t more = (now_us - h->patience_us) * PATIENCE_PER_S / 1000000;

    h->now_us = now_us;
    if (more == 0)
        return;
    h->patience_us = now_us;
    h->patience = more > PATIENCE_MAX ? PATIENCE_MAX : h->patience + (int64_t)more;
    if (h->patience > PATIENCE_MAX)
        h->patience = PATIENCE_MAX;
}

static int charge(struct gal_http2 *h, int cost)
{
    h->patience -= cost;
    if (h->patience >= 0)
        return 0;
    h->spent = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- nghttp2's callbacks --- */

static struct gal_http2_call *call_of(nghttp2_session *s, int32_t id)
{
    return nghttp2_session_get_stream_user_data(s, id);
}

static bool is_request(const nghttp2_frame *f)
{
    return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c;

    if (!is_request(f))
        return 0;
    c = h->ops->on_begin(h->user);
    if (c == NULL) /* REFUSED_STREAM by nghttp2 */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    c->stream_id = f->hd.stream_id;
    (void)nghttp2_session_set_stream_user_data(s, f->hd.stream_id, c);
    h->calls++;
    return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c = is_request(f) ? call_of(s, f->hd.stream_id) : NULL;

    (void)flags;
    if (c != NULL)
        gal_http2_head_add(c, h->limits.head_bytes_max,
                           (struct gal_str){(const char *)name, name_bytes},
                           (struct gal_str){(const char *)value, value_bytes});
    return 0;
}

static int on_data_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                         void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c = call_of(s, id);

    (void)flags;
    if (c != NULL)
        h->ops->on_body(h->user, c, (const char *)p, n);
    else
        (void)nghttp2_session_consume(s, id, n);
    return 0;
}

/* Frames that ask for nothing; a DATA frame counts when it is empty, a WINDOW_UPDATE always (each
 * frame sent by us earns one). */
static int cost_of(const nghttp2_frame *f)
{
    switch (f->hd.type) {
    case NGHTTP2_DATA:
        return f->hd.length == 0 && (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ? 1 : 0;
    case NGHTTP2_HEADERS:
        return 0;
    case NGHTTP2_RST_STREAM:
        return RESET_COST;
    default:
        return 1;
    }
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c;
    int cost = cost_of(f);

    if (cost > 0 && charge(h, cost) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
        return 0;
    c = call_of(s, f->hd.stream_id);
    if (c == NULL)
        return 0;
    if (is_request(f)) {
        gal_http2_head_end(c);
        c->ended = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        h->ops->on_head(h->user, c);
    }
    /* on_head may have reset the stream; then nghttp2 closes it later, and c stays until then. */
    if ((f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        c->ended = true;
        h->ops->on_end(h->user, c);
    }
    return 0;
}

/* The answer is out and the peer still sends: it may stop (RFC 9113 8.1). */
static int on_frame_sent(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c;

    if (h->patience < PATIENCE_MAX)
        h->patience++;
    if ((f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS) ||
        (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    c = call_of(s, f->hd.stream_id);
    if (c != NULL && !c->ended)
        (void)nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
    struct gal_http2 *h = user;
    struct gal_http2_call *c = call_of(s, id);

    if (c == NULL)
        return 0;
    (void)nghttp2_session_set_stream_user_data(s, id, NULL);
    h->calls--;
    h->ops->on_close(h->user, c, code == NGHTTP2_NO_ERROR && c->answered);
    return 0;
}

/* --- life --- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_send_callback(cb, gal_http2_on_send);
    nghttp2_session_callbacks_set_send_data_callback(cb, gal_http2_on_send_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    return cb;
}

static int open_session(struct gal_http2 *h)
{
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_option *option = NULL;
    int rc = cb == NULL || nghttp2_option_new(&option) != 0 ? NGHTTP2_ERR_NOMEM : 0;

    if (rc == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_max_reserved_remote_streams(option, 0);
        /* Closed streams are kept for priorities that nobody uses any more. */
        nghttp2_option_set_no_closed_streams(option, 1);
        rc = nghttp2_session_server_new2(&h->session, cb, h, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return rc;
}

static int say_settings(struct gal_http2 *h)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->limits.calls_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)h->limits.call_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h->limits.head_bytes_max},
    };
    int rc = nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, entries,
                                     sizeof(entries) / sizeof(entries[0]));

    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                   (int32_t)h->limits.connection_window);
    return rc;
}

enum gal_status gal_http2_new(const struct gal_http2_limits *limits,
                              const struct gal_http2_ops *ops, void *user, struct gal_http2 **out,
                              struct gal_err *err)
{
    struct gal_http2 *h = gal_calloc(1, sizeof(*h));

    if (h != NULL) {
        h->limits = *limits;
        h->ops = ops;
        h->user = user;
        h->patience = PATIENCE_MAX;
    }
    if (h == NULL || open_session(h) != 0 || say_settings(h) != 0) {
        gal_http2_free(h);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection of HTTP/2");
    }
    *out = h;
    return GAL_OK;
}

void gal_http2_free(struct gal_http2 *h)
{
    if (h == NULL)
        return;
    nghttp2_session_del(h->session); /* calls no callback: the caller knows its open calls */
    gal_free(h);
}

enum gal_status gal_http2_feed(struct gal_http2 *h, const char *p, size_t n, uint64_t now_us,
                               struct gal_err *err)
{
    ssize_t taken;

    refill(h, now_us);
    taken = nghttp2_session_mem_recv(h->session, (const uint8_t *)p, n);
    if (h->spent) {
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
        return gal_fail(err, GAL_OVERLOADED, "too many frames of HTTP/2 that ask for nothing");
    }
    if (taken < 0) {
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
        return gal_fail(err, GAL_INVALID, "HTTP/2: %s", nghttp2_strerror((int)taken));
    }
    return GAL_OK;
}

void gal_http2_taken(struct gal_http2 *h, struct gal_http2_call *c, size_t n)
{
    (void)nghttp2_session_consume(h->session, c->stream_id, n);
}

void gal_http2_reset(struct gal_http2 *h, struct gal_http2_call *c, enum gal_http2_why why)
{
    static const uint32_t codes[] = {
        [GAL_HTTP2_CANCEL] = NGHTTP2_CANCEL,
        [GAL_HTTP2_REFUSED] = NGHTTP2_REFUSED_STREAM,
        [GAL_HTTP2_INTERNAL] = NGHTTP2_INTERNAL_ERROR,
    };

    (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, c->stream_id, codes[why]);
}

void gal_http2_shutdown(struct gal_http2 *h)
{
    if (h->shut)
        return;
    h->shut = true;
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(h->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

void gal_http2_ping(struct gal_http2 *h)
{
    (void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

bool gal_http2_over(const struct gal_http2 *h)
{
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

size_t gal_http2_calls(const struct gal_http2 *h)
{
    return h->calls;
}
