/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC client against a server session of nghttp2's, each other's wire. */
#include "http/http2_client.h"

#include "base/mem.h"
#include "http/grpc.h"

#include <nghttp2/nghttp2.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH "/a.B/C"
#define FRAME_BYTES 300000u /* of DATA that this server takes */
#define LARGE 3000000u

/* What the server does with each call. */
struct script {
    const char *http, *grpc, *text; /* :status, grpc-status, grpc-message; NULL: not sent */
    size_t body;                    /* bytes of the answer's message; SIZE_MAX: no body at all */
    bool wrong_length;              /* its prefix says one byte more */
    bool early;                     /* answered when its head is there */
    uint32_t reset;                 /* instead of an answer; 0: none */
    bool goaway;                    /* said with the answer */
};

struct wire {
    struct gal_http2_pool *pool;
    struct gal_http2_client *client;
    nghttp2_session *server;
    struct script script;
    size_t calls, closed, body_at;        /* body_at: of the answer's bytes that are sent */
    uint32_t closed_code;                 /* of the last stream */
    size_t message_n, frames, frame_most; /* of the last request's body */
    uint64_t sum;                         /* of its bytes */
    size_t answer_frame_most;             /* DATA that was sent */
    char head[512];                       /* "name: value\n" */
    size_t head_n;
    uint32_t window, frame_max, push; /* what the client has said */
    size_t piece;                     /* bytes that the client is fed at once; 0: all */
    char *space;                      /* between them */
};

static size_t answer_bytes(const struct wire *w)
{
    return w->script.body == SIZE_MAX ? 0 : w->script.body + GAL_GRPC_PREFIX_BYTES;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* --- the server --- */

static size_t trailers(const struct wire *w, nghttp2_nv *out)
{
    size_t n = 0;

    if (w->script.grpc)
        out[n++] = nv("grpc-status", w->script.grpc);
    if (w->script.text)
        out[n++] = nv("grpc-message", w->script.text);
    return n;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct wire *w = user;
    size_t left = answer_bytes(w) - w->body_at, n = left < length ? left : length;
    char prefix[GAL_GRPC_PREFIX_BYTES];
    nghttp2_nv list[2];

    (void)source;
    gal_grpc_prefix(prefix, false, w->script.body + w->script.wrong_length);
    for (size_t i = 0; i < n; i++, w->body_at++)
        buf[i] = (uint8_t)(w->body_at < sizeof prefix ? prefix[w->body_at] : 'x');
    if (n > w->answer_frame_most)
        w->answer_frame_most = n;
    if (n == left) {
        size_t count = trailers(w, list);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (count) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            assert_int_equal(nghttp2_submit_trailer(session, id, list, count), 0);
        }
    }
    return (ssize_t)n;
}

static ssize_t on_length(nghttp2_session *session, uint8_t type, int32_t id, int32_t window,
                         int32_t stream_window, uint32_t frame_bytes, void *user)
{
    (void)session, (void)type, (void)id, (void)window, (void)stream_window, (void)user;
    return (ssize_t)frame_bytes;
}

static void answer(struct wire *w, int32_t id)
{
    nghttp2_data_provider body = {.source = {.ptr = NULL}, .read_callback = on_read};
    nghttp2_nv list[4];
    size_t n = 0;

    w->calls++;
    w->body_at = 0;
    if (w->script.reset) {
        nghttp2_submit_rst_stream(w->server, NGHTTP2_FLAG_NONE, id, w->script.reset);
        return;
    }
    list[n++] = nv(":status", w->script.http ? w->script.http : "200");
    list[n++] = nv("content-type", "application/grpc");
    if (answer_bytes(w) == 0)
        n += trailers(w, list + n);
    assert_int_equal(
        nghttp2_submit_response(w->server, id, list, n, answer_bytes(w) ? &body : NULL), 0);
    if (w->script.goaway)
        nghttp2_submit_goaway(w->server, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR, NULL, 0);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_n, const uint8_t *value, size_t n, uint8_t flags, void *user)
{
    struct wire *w = user;

    (void)session, (void)frame, (void)flags;
    w->head_n += (size_t)snprintf(w->head + w->head_n, sizeof w->head - w->head_n, "%.*s: %.*s\n",
                                  (int)name_n, (const char *)name, (int)n, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                   void *user)
{
    struct wire *w = user;

    (void)session, (void)flags, (void)id;
    w->message_n += n;
    for (size_t i = 0; i < n; i++)
        w->sum = w->sum * 31 + p[i];
    return 0;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct wire *w = user;

    (void)session, (void)frame;
    w->message_n = w->frames = w->frame_most = w->head_n = 0;
    w->sum = 0;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct wire *w = user;
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    (void)session;
    if (frame->hd.type == NGHTTP2_DATA) {
        w->frames++;
        if (frame->hd.length > w->frame_most)
            w->frame_most = frame->hd.length;
    }
    for (size_t i = 0; frame->hd.type == NGHTTP2_SETTINGS && i < frame->settings.niv; i++) {
        const nghttp2_settings_entry *e = &frame->settings.iv[i];
        if (e->settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
            w->window = e->value;
        else if (e->settings_id == NGHTTP2_SETTINGS_MAX_FRAME_SIZE)
            w->frame_max = e->value;
        else if (e->settings_id == NGHTTP2_SETTINGS_ENABLE_PUSH)
            w->push = e->value;
    }
    if (frame->hd.type == NGHTTP2_HEADERS
            ? w->script.early || ends
            : frame->hd.type == NGHTTP2_DATA && ends && !w->script.early)
        answer(w, frame->hd.stream_id);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct wire *w = user;

    (void)session, (void)id;
    w->closed++;
    w->closed_code = code;
    return 0;
}

static nghttp2_session *server_new(struct wire *w)
{
    static const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1u << 20},
    };
    nghttp2_session_callbacks *cb;
    nghttp2_session *session;

    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_data_source_read_length_callback(cb, on_length);
    assert_int_equal(nghttp2_session_server_new(&session, cb, w), 0);
    nghttp2_session_callbacks_del(cb);
    assert_int_equal(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, 2), 0);
    assert_int_equal(nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 20),
                     0);
    return session;
}

/* --- the wire --- */

static struct wire *wire_new(uint64_t timeout_us)
{
    const struct gal_http2_client_head head = {"host:1", PATH, timeout_us};
    struct wire *w = calloc(1, sizeof *w);

    assert_non_null(w);
    assert_int_equal(gal_http2_pool_new(&w->pool, NULL), GAL_OK);
    assert_int_equal(gal_http2_client_new(&w->client, w->pool, &head, NULL), GAL_OK);
    assert_false(gal_http2_client_ask(w->client, GAL_STR("x"))); /* there is no connection */
    assert_true(gal_http2_client_open(w->client));
    w->server = server_new(w);
    w->script = (struct script){.grpc = "0", .body = 3};
    w->space = malloc(LARGE);
    assert_non_null(w->space);
    return w;
}

static void wire_free(struct wire *w)
{
    nghttp2_session_del(w->server);
    gal_http2_client_free(w->client);
    gal_http2_pool_free(w->pool);
    free(w->space);
    free(w);
}

static bool upload(struct wire *w)
{
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    size_t n = gal_http2_client_gather(w->client, parts);

    assert_true(n <= GAL_HTTP2_PARTS_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            nghttp2_session_mem_recv(w->server, (const uint8_t *)parts[i].p, parts[i].n),
            parts[i].n);
    return n > 0;
}

/* Both ways until nothing is left; the last step that was not MORE. */
static enum gal_http2_client_step turn(struct wire *w)
{
    enum gal_http2_client_step last = GAL_HTTP2_CLIENT_MORE, step;
    bool moved = true;

    while (moved) {
        const uint8_t *p;
        ssize_t n;

        moved = upload(w);
        while ((n = nghttp2_session_mem_send(w->server, &p)) > 0) {
            moved = true;
            for (size_t at = 0, k; at < (size_t)n; at += k) {
                k = w->piece && w->piece < (size_t)n - at ? w->piece : (size_t)n - at;
                memcpy(w->space, p + at, k);
                step = gal_http2_client_feed(w->client, w->space, k);
                if (step != GAL_HTTP2_CLIENT_MORE)
                    last = step;
                if (step == GAL_HTTP2_CLIENT_ERROR)
                    return last;
            }
        }
        assert_true(n >= 0);
    }
    return last;
}

static struct gal_http2_client_answer call(struct wire *w, struct gal_str message)
{
    struct gal_http2_client_answer a;

    assert_true(gal_http2_client_ask(w->client, message));
    assert_int_equal(turn(w), GAL_HTTP2_CLIENT_DONE);
    gal_http2_client_answer(w->client, &a);
    return a;
}

/* --- tests --- */

static void a_call_is_asked_and_answered(void **state)
{
    struct wire *w = wire_new(20000);
    struct gal_http2_client_answer a;

    (void)state;
    for (w->piece = 0; w->piece < 3; w->piece++) {
        a = call(w, GAL_STR("message"));
        assert_int_equal(a.http_status, 200);
        assert_int_equal(a.code, 0);
        assert_int_equal(a.reset, 0);
        assert_true(a.framed);
        assert_int_equal(a.message.n, 0);
        assert_int_equal(w->message_n, 7);
    }
    assert_int_equal(w->calls, 3);
    assert_string_equal(w->head,
                        ":method: POST\n:scheme: http\n:path: " PATH
                        "\n:authority: host:1\ngrpc-timeout: 20000u\nte: trailers\n"
                        "content-type: application/grpc\nuser-agent: galley/" GAL_VERSION "\n");
    wire_free(w);
}

static void a_timeout_has_eight_digits_at_most(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } all[] = {{1, "grpc-timeout: 1u\n"},
               {99999999, "grpc-timeout: 99999999u\n"},
               {3600000000, "grpc-timeout: 3600000m\n"}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct wire *w = wire_new(all[i].us);
        call(w, GAL_STR("x"));
        assert_non_null(strstr(w->head, all[i].text));
        wire_free(w);
    }
}

/* Windows that need no updates; frames as large as each side has said that it takes. */
static void large_messages_go_in_large_frames_both_ways(void **state)
{
    struct wire *w = wire_new(0);
    char *message = malloc(LARGE);
    uint64_t sum = 0;
    struct gal_http2_client_answer a;

    (void)state;
    assert_non_null(message);
    for (size_t i = 0; i < LARGE; i++) {
        message[i] = (char)(i * 7 + i / 1000);
        sum = sum * 31 + (uint8_t)message[i];
    }
    turn(w); /* the settings of both */
    w->script.body = LARGE - GAL_GRPC_PREFIX_BYTES - 100;
    for (int i = 0; i < 3; i++) {
        a = call(w, (struct gal_str){message, LARGE});
        assert_true(a.code == 0 && a.framed);
        assert_int_equal(w->message_n, LARGE);
        assert_int_equal(w->sum, sum);
        assert_int_equal(w->frame_most, FRAME_BYTES);
        assert_true(w->frames <= 2 * LARGE / FRAME_BYTES);
    }
    assert_int_equal(w->window, INT32_MAX);
    assert_int_equal(w->frame_max, 1u << 20);
    assert_int_equal(w->push, 0);
    assert_int_equal(w->answer_frame_most, 1u << 20);
    wire_free(w);
    free(message);
}

static void what_is_answered_is_kept_when_asked_for(void **state)
{
    struct wire *w = wire_new(0);
    struct gal_buf body;

    (void)state;
    gal_buf_init(&body, 100);
    gal_http2_client_keep(w->client, &body);
    call(w, GAL_STR("m"));
    assert_int_equal(body.n, 8);
    assert_memory_equal(body.p + 5, "xxx", 3);
    w->script.body = 200;
    call(w, GAL_STR("m"));
    assert_true(body.failed);
    gal_buf_release(&body);
    wire_free(w);
}

static void errors_are_told_with_their_words(void **state)
{
    static const struct {
        const char *sent, *read;
    } texts[] = {{"busy", "busy"},
                 {"50%25 of 100%", "50% of 100%"},
                 {"%e2%82%AC%zz", "\xe2\x82\xac%zz"},
                 {"%2", "%2"},
                 {"", ""}};
    struct wire *w = wire_new(0);
    struct gal_http2_client_answer a;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        w->script =
            (struct script){.grpc = "8", .text = texts[i].sent, .body = i % 2 ? SIZE_MAX : 3};
        a = call(w, GAL_STR("m"));
        assert_int_equal(a.code, 8);
        assert_int_equal(a.message.n, strlen(texts[i].read));
        assert_memory_equal(a.message.p, texts[i].read, a.message.n);
    }
    w->script = (struct script){.http = "415", .body = SIZE_MAX};
    a = call(w, GAL_STR("m"));
    assert_int_equal(a.http_status, 415);
    assert_int_equal(a.code, -1);
    w->script = (struct script){.grpc = "0", .body = 3, .wrong_length = true};
    assert_false(call(w, GAL_STR("m")).framed);
    w->script = (struct script){.grpc = "0", .body = SIZE_MAX};
    assert_false(call(w, GAL_STR("m")).framed);
    w->script = (struct script){.grpc = "1x", .body = 3};
    assert_int_equal(call(w, GAL_STR("m")).code, -1);
    w->script = (struct script){.reset = NGHTTP2_REFUSED_STREAM};
    assert_int_equal(call(w, GAL_STR("m")).reset, NGHTTP2_REFUSED_STREAM);
    w->script = (struct script){.grpc = "0", .body = 3}; /* the connection is as good as before */
    assert_int_equal(call(w, GAL_STR("m")).code, 0);
    wire_free(w);
}

/* The rest of the message is not sent, and the next call goes on the same connection. */
static void an_early_answer_ends_its_call_alone(void **state)
{
    struct wire *w = wire_new(0);
    char *message = calloc(1, LARGE);

    (void)state;
    assert_non_null(message);
    w->script = (struct script){.grpc = "3", .body = SIZE_MAX, .early = true};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(call(w, (struct gal_str){message, LARGE}).code, 3);
        assert_true(w->message_n < LARGE);
        assert_int_equal(w->closed_code, NGHTTP2_CANCEL);
    }
    assert_int_equal(w->closed, 3);
    w->script = (struct script){.grpc = "0", .body = 3};
    assert_int_equal(call(w, (struct gal_str){message, LARGE}).code, 0);
    assert_int_equal(w->message_n, LARGE);
    wire_free(w);
    free(message);
}

static void a_server_that_goes_is_left(void **state)
{
    struct wire *w = wire_new(0);

    (void)state;
    w->script.goaway = true;
    assert_int_equal(call(w, GAL_STR("m")).code, 0);
    assert_false(gal_http2_client_may_ask(w->client));
    assert_false(gal_http2_client_ask(w->client, GAL_STR("m")));
    wire_free(w);
    w = wire_new(0);
    turn(w);
    nghttp2_submit_goaway(w->server, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    assert_int_equal(turn(w), GAL_HTTP2_CLIENT_OVER);
    assert_true(gal_http2_client_open(w->client)); /* a new connection */
    nghttp2_session_del(w->server);
    w->server = server_new(w);
    assert_int_equal(call(w, GAL_STR("m")).code, 0);
    wire_free(w);
}

static void what_is_no_http_2_is_an_error(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "banana, banana, banana",
        "\0\0\0\0\0\0\0\0\0" /* DATA without settings */, "\0\0\3\4\0\0\0\0\0abc"};
    static const size_t sizes[] = {47, 22, 9, 12};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct wire *w = wire_new(0);
        assert_true(gal_http2_client_ask(w->client, GAL_STR("m")));
        assert_true(upload(w));
        assert_int_equal(gal_http2_client_feed(w->client, answers[i], sizes[i]),
                         GAL_HTTP2_CLIENT_ERROR);
        wire_free(w);
    }
}

static void in_steady_state_nothing_is_allocated(void **state)
{
    struct wire *w = wire_new(0);
    char *message = calloc(1, LARGE);
    uint64_t before;

    (void)state;
    assert_non_null(message);
    w->script.body = LARGE / 2;
    for (int i = 0; i < 5; i++)
        call(w, (struct gal_str){message, LARGE});
    before = gal_alloc_count();
    for (int i = 0; i < 20; i++)
        assert_int_equal(call(w, (struct gal_str){message, LARGE}).code, 0);
    assert_int_equal(gal_alloc_count() - before, 0);
    wire_free(w);
    free(message);
}

/* Wherever memory ends, a call is refused or the connection is; nothing is lost. */
static void memory_may_end_anywhere(void **state)
{
    bool whole = false;

    (void)state;
    for (uint64_t i = 1; !whole; i++) {
        const struct gal_http2_client_head head = {"h", PATH, 0};
        struct wire w = {.script = {.grpc = "0", .body = 3}};
        enum gal_http2_client_step step = GAL_HTTP2_CLIENT_ERROR;
        uint64_t before;

        w.space = malloc(LARGE);
        assert_non_null(w.space);
        w.server = server_new(&w);
        assert_int_equal(gal_http2_pool_new(&w.pool, NULL), GAL_OK);
        before = gal_alloc_count();
        gal_alloc_fail_at(i, 1);
        if (gal_http2_client_new(&w.client, w.pool, &head, NULL) == GAL_OK &&
            gal_http2_client_open(w.client) && gal_http2_client_ask(w.client, GAL_STR("m")))
            step = turn(&w);
        gal_alloc_fail_at(0, 0);
        whole = gal_alloc_count() - before < i; /* nothing failed */
        if (whole)
            assert_int_equal(step, GAL_HTTP2_CLIENT_DONE);
        nghttp2_session_del(w.server);
        gal_http2_client_free(w.client);
        gal_http2_pool_free(w.pool);
        free(w.space);
        assert_true(i < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_asked_and_answered),
        cmocka_unit_test(a_timeout_has_eight_digits_at_most),
        cmocka_unit_test(large_messages_go_in_large_frames_both_ways),
        cmocka_unit_test(what_is_answered_is_kept_when_asked_for),
        cmocka_unit_test(errors_are_told_with_their_words),
        cmocka_unit_test(an_early_answer_ends_its_call_alone),
        cmocka_unit_test(a_server_that_goes_is_left),
        cmocka_unit_test(what_is_no_http_2_is_an_error),
        cmocka_unit_test(in_steady_state_nothing_is_allocated),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
