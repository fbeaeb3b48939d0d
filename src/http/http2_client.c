/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http2_client.h"

#include "base/mem.h"
#include "http/grpc.h"
#include "http/http2_impl.h"

#include <stdio.h>

#define WINDOW_BYTES INT32_MAX /* of a stream, of the connection: the most that there is */
#define FRAME_BYTES (1u << 20) /* that the server may send, and the most that is sent at once */
#define JOIN_BYTES_MAX 4096u   /* shorter pieces are copied: one buffer costs less than two */
#define FRAME_HEAD_BYTES 9u
#define PIECE_BYTES_MAX 16640u /* the most that nghttp2 hands over at once */
#define HEAD_FIELDS_MAX 8u
#define MESSAGE_BYTES 256u
#define STATUS_DIGITS_MAX 3u

struct gal_http2_client {
    nghttp2_session *session; /* NULL: no connection */
    struct gal_http2_pool *pool;
    struct gal_http2_out *out; /* what is being written; NULL: nothing */
    struct gal_buf *keep;      /* NULL: bodies are thrown away */
    nghttp2_nv head[HEAD_FIELDS_MAX];
    size_t head_count;
    char timeout[24];
    int32_t id;           /* of the call's stream; 0: none is open */
    struct gal_str rest;  /* of its message: what no frame has yet */
    bool done;            /* it is over, and nobody was told */
    bool leaving;         /* the server has said GOAWAY */
    bool broken;          /* memory was out */
    int http_status;      /* of the answer, as far as it has come; so the others */
    int code;             /* -1: none */
    uint32_t reset;       /* 0: none */
    uint64_t body_bytes;  /* with the prefix */
    size_t message_bytes; /* of what lies in `message` */
    char prefix[GAL_GRPC_PREFIX_BYTES];
    char message[MESSAGE_BYTES];
};

/* --- the head of a call --- */

static void put_field(struct gal_http2_client *c, const char *name, const char *value)
{
    GAL_ASSERT(c->head_count < HEAD_FIELDS_MAX);
    c->head[c->head_count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name, /* nghttp2 reads them only */
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

/* At most eight digits, and the finest unit that has them. */
static void write_timeout(char *out, size_t size, uint64_t us)
{
    static const struct {
        uint64_t us;
        char unit;
    } units[] = {{1, 'u'}, {1000, 'm'}, {1000000, 'S'}};
    size_t i = 0;

    while (i < 2 && us / units[i].us > 99999999)
        i++;
    snprintf(out, size, "%llu%c", (unsigned long long)(us / units[i].us), units[i].unit);
}

static void put_head(struct gal_http2_client *c, const struct gal_http2_client_head *head)
{
    put_field(c, ":method", "POST");
    put_field(c, ":scheme", "http");
    put_field(c, ":path", head->path);
    put_field(c, ":authority", head->authority);
    if (head->timeout_us) {
        write_timeout(c->timeout, sizeof(c->timeout), head->timeout_us);
        put_field(c, "grpc-timeout", c->timeout);
    }
    put_field(c, "te", "trailers");
    put_field(c, "content-type", "application/grpc");
    put_field(c, "user-agent", "galley/" GAL_VERSION);
}

/* --- nghttp2's calls while it reads --- */

static bool is_name(const uint8_t *name, size_t n, struct gal_str want)
{
    return n == want.n && memcmp(name, want.p, n) == 0;
}

static int read_status(const uint8_t *p, size_t n)
{
    int value = 0;

    if (n == 0 || n > STATUS_DIGITS_MAX)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A broken escape stands for itself, as the protocol asks for. */
static void take_message(struct gal_http2_client *c, const uint8_t *p, size_t n)
{
    size_t to = 0;

    for (size_t i = 0; i < n && to < MESSAGE_BYTES; i++) {
        int high = p[i] == '%' && i + 2 < n ? hex_digit(p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(p[i + 2]) : -1;

        if (low >= 0)
            i += 2;
        c->message[to++] = (char)(low >= 0 ? high << 4 | low : p[i]);
    }
    c->message_bytes = to;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t n, uint8_t flags, void *user)
{
    struct gal_http2_client *c = user;

    (void)session, (void)flags;
    if (frame->hd.stream_id != c->id)
        return 0;
    if (is_name(name, name_n, GAL_STR(":status")))
        c->http_status = read_status(value, n);
    else if (is_name(name, name_n, GAL_STR("grpc-status")))
        c->code = read_status(value, n);
    else if (is_name(name, name_n, GAL_STR("grpc-message")))
        take_message(c, value, n);
    return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p,
                         size_t n, void *user)
{
    struct gal_http2_client *c = user;

    (void)session, (void)flags;
    if (id != c->id)
        return 0;
    for (size_t i = 0; i < n && c->body_bytes + i < GAL_GRPC_PREFIX_BYTES; i++)
        c->prefix[c->body_bytes + i] = (char)p[i];
    c->body_bytes += n;
    if (c->keep != NULL)
        gal_buf_put(c->keep, p, n);
    return 0;
}

static void end_call(struct gal_http2_client *c, uint32_t reset)
{
    c->id = 0;
    c->rest = (struct gal_str){NULL, 0};
    c->reset = reset;
    c->done = true;
}

/* A server that answers before it has all of the message is sent no more of it. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct gal_http2_client *c = user;

    c->leaving |= frame->hd.type == NGHTTP2_GOAWAY;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        frame->hd.stream_id != c->id || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    if (c->rest.n > 0 && nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                   NGHTTP2_CANCEL) != 0)
        c->broken = true;
    end_call(c, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct gal_http2_client *c = user;

    (void)session;
    if (id == c->id) /* without the end of an answer */
        end_call(c, code != NGHTTP2_NO_ERROR ? code : NGHTTP2_INTERNAL_ERROR);
    return 0;
}

/* --- and while it writes --- */

static ssize_t on_length(nghttp2_session *session, uint8_t type, int32_t id, int32_t window,
                         int32_t stream_window, uint32_t frame_bytes, void *user)
{
    (void)session, (void)type, (void)id, (void)window, (void)stream_window, (void)user;
    return frame_bytes < FRAME_BYTES ? (ssize_t)frame_bytes : FRAME_BYTES;
}

/* How many bytes the next frame has; on_send_data puts them. */
static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct gal_http2_client *c = user;

    (void)session, (void)buf, (void)source;
    if (id != c->id)
        return NGHTTP2_ERR_DEFERRED; /* its reset is under way */
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (c->rest.n > length)
        return (ssize_t)length;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)c->rest.n;
}

/* Leaves room for what nghttp2 hands over behind it. */
static bool has_room(const struct gal_http2_out *out)
{
    return out->count + 2 < GAL_HTTP2_PARTS_MAX &&
           out->n + FRAME_HEAD_BYTES + JOIN_BYTES_MAX + PIECE_BYTES_MAX <= GAL_HTTP2_OUT_BYTES;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                        size_t length, nghttp2_data_source *source, void *user)
{
    struct gal_http2_client *c = user;
    struct gal_http2_out *out = c->out;

    (void)session, (void)source;
    if (frame->hd.stream_id != c->id)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* ends that stream only */
    if (!has_room(out))
        return NGHTTP2_ERR_WOULDBLOCK;
    gal_http2_out_put(out, frame_head, FRAME_HEAD_BYTES);
    if (length <= JOIN_BYTES_MAX)
        gal_http2_out_put(out, c->rest.p, length);
    else
        out->parts[out->count++] = (struct gal_str){c->rest.p, length};
    c->rest.p += length;
    c->rest.n -= length;
    return 0;
}

size_t gal_http2_client_gather(struct gal_http2_client *c, struct gal_str *parts)
{
    struct gal_http2_out *out;
    const uint8_t *p;
    ssize_t n = 0;

    gal_http2_out_give(c->pool, c->out);
    c->out = NULL;
    if (c->session == NULL || c->broken || !nghttp2_session_want_write(c->session))
        return 0;
    c->out = out = gal_http2_out_take(c->pool);
    c->broken = out == NULL;
    while (out != NULL && has_room(out) && (n = nghttp2_session_mem_send(c->session, &p)) > 0)
        gal_http2_out_put(out, p, (size_t)n);
    c->broken |= n < 0;
    if (out == NULL || out->count == 0) {
        gal_http2_out_give(c->pool, out);
        c->out = NULL;
        return 0;
    }
    memcpy(parts, out->parts, out->count * sizeof(*parts));
    return out->count;
}

/* --- life --- */

static int make_callbacks(nghttp2_session_callbacks **out)
{
    nghttp2_session_callbacks *cb;

    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NGHTTP2_ERR_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_length);
    nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
    *out = cb;
    return 0;
}

static int open_session(struct gal_http2_client *c)
{
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *option = NULL;
    int rc = make_callbacks(&cb);

    if (rc == 0)
        rc = nghttp2_option_new(&option);
    if (rc == 0) {
        nghttp2_option_set_no_closed_streams(option, 1);
        rc = nghttp2_session_client_new3(&c->session, cb, c, option, gal_http2_pool_mem(c->pool));
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return rc;
}

static int say_settings(struct gal_http2_client *c)
{
    static const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
    };
    int rc = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, entries,
                                     sizeof(entries) / sizeof(entries[0]));

    if (rc == 0)
        rc = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
    return rc;
}

enum gal_status gal_http2_client_new(struct gal_http2_client **out, struct gal_http2_pool *pool,
                                     const struct gal_http2_client_head *head, struct gal_err *err)
{
    struct gal_http2_client *c = gal_calloc(1, sizeof(*c));

    if (c == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a client of gRPC");
    c->pool = pool;
    put_head(c, head);
    *out = c;
    return GAL_OK;
}

static void close_session(struct gal_http2_client *c)
{
    c->id = 0; /* nobody hears of streams that end now */
    nghttp2_session_del(c->session);
    c->session = NULL;
    gal_http2_out_give(c->pool, c->out);
    c->out = NULL;
}

void gal_http2_client_free(struct gal_http2_client *c)
{
    if (c == NULL)
        return;
    close_session(c);
    gal_free(c);
}

bool gal_http2_client_open(struct gal_http2_client *c)
{
    close_session(c);
    c->rest = (struct gal_str){NULL, 0};
    c->done = c->leaving = false;
    c->broken = open_session(c) != 0 || say_settings(c) != 0;
    return !c->broken;
}

void gal_http2_client_keep(struct gal_http2_client *c, struct gal_buf *body)
{
    c->keep = body;
}

/* --- from outside --- */

bool gal_http2_client_may_ask(const struct gal_http2_client *c)
{
    return c->session != NULL && !c->broken && nghttp2_session_check_request_allowed(c->session);
}

bool gal_http2_client_ask(struct gal_http2_client *c, struct gal_str message)
{
    nghttp2_data_provider body = {.source = {.ptr = NULL}, .read_callback = on_read};

    GAL_ASSERT(c->id == 0 && !c->done);
    if (!gal_http2_client_may_ask(c))
        return false;
    c->http_status = 0;
    c->code = -1;
    c->reset = 0;
    c->body_bytes = c->message_bytes = 0;
    c->rest = message;
    c->id = nghttp2_submit_request(c->session, NULL, c->head, c->head_count, &body, NULL);
    if (c->id > 0)
        return true;
    c->id = 0;
    c->broken = true;
    return false;
}

/* nghttp2 ends a session with bytes that are none of HTTP/2 in silence: it only wants no more
 * requests, and no GOAWAY of the server's is why. */
static bool is_refused(const struct gal_http2_client *c)
{
    return !c->leaving && nghttp2_session_get_next_stream_id(c->session) <= INT32_MAX &&
           !nghttp2_session_check_request_allowed(c->session);
}

enum gal_http2_client_step gal_http2_client_feed(struct gal_http2_client *c, const char *p,
                                                 size_t n)
{
    if (c->session == NULL || nghttp2_session_mem_recv(c->session, (const uint8_t *)p, n) < 0 ||
        c->broken || is_refused(c))
        return GAL_HTTP2_CLIENT_ERROR;
    if (c->done) {
        c->done = false;
        return GAL_HTTP2_CLIENT_DONE;
    }
    return c->id == 0 && c->leaving ? GAL_HTTP2_CLIENT_OVER : GAL_HTTP2_CLIENT_MORE;
}

/* The prefix: whether it is compressed, which was not asked for, and a length. */
static bool is_framed(const struct gal_http2_client *c)
{
    const uint8_t *b = (const uint8_t *)c->prefix;
    uint64_t n = (uint64_t)b[1] << 24 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 8 | b[4];

    return c->body_bytes >= GAL_GRPC_PREFIX_BYTES && b[0] == 0 &&
           c->body_bytes == n + GAL_GRPC_PREFIX_BYTES;
}

void gal_http2_client_answer(const struct gal_http2_client *c, struct gal_http2_client_answer *out)
{
    *out = (struct gal_http2_client_answer){
        .http_status = c->http_status,
        .code = c->code,
        .reset = c->reset,
        .framed = is_framed(c),
        .message = {c->message, c->message_bytes},
    };
}
