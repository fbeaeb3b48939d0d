/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h2_pair.h"

#include <stdio.h>
#include <stdlib.h>

#define HEADERS_MAX 256

static const struct gal_str date = {"Tue, 14 Nov 2023 22:13:20 GMT", 29};

uint64_t pair_hash(const char *p, size_t n, uint64_t hash)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)p[i]) * 0x100000001b3u;
    return hash;
}

/* --- the server's side --- */

static struct gal_call *on_open(void *user)
{
    struct pair *p = user;

    if (p->no_room)
        return NULL;
    for (size_t i = 0; i < PAIR_CALLS; i++) {
        struct pair_call *c = &p->calls[i];
        if (c->used)
            continue;
        c->used = true;
        c->call.head = &c->head;
        c->call.body = &c->body;
        p->opened++;
        return p->last = &c->call;
    }
    return NULL;
}

static void on_head(void *user, struct gal_call *call)
{
    struct pair *p = user;

    p->heads++;
    p->last = call;
    if (p->claim != NULL)
        gal_call_claim(call, p->claim, p->claim_user);
    else
        gal_http2_continue(call);
}

static void on_request(void *user, struct gal_call *call)
{
    struct pair *p = user;

    p->requests++;
    p->last = call;
    if (p->answer != NULL)
        gal_http2_answer(call, p->answer, date);
}

static void on_fault(void *user, struct gal_call *call, const struct gal_err *err)
{
    struct pair *p = user;

    p->faults++;
    p->last = call;
    p->fault = *err;
    if (p->answer != NULL)
        gal_http2_answer(call, p->answer, date);
}

static void on_close(void *user, struct gal_call *call, uint32_t code)
{
    struct pair *p = user;
    struct pair_call *c = (struct pair_call *)(void *)call;

    p->closed++;
    p->closed_code = code;
    gal_buf_clear(&c->head, SIZE_MAX);
    gal_buf_clear(&c->body, SIZE_MAX);
    c->used = false;
}

static void on_output(void *user)
{
    ((struct pair *)user)->outputs = true;
}

static size_t on_body(void *user, struct gal_call *call, struct gal_str begin)
{
    struct pair *p = user;

    p->last = call;
    p->begin_n = begin.n;
    return p->body_free;
}

static const struct gal_http2_ops server_ops = {on_open,  on_head,  on_body,  on_request,
                                                on_fault, on_close, on_output};

/* --- the client's side --- */

struct pair_answer *pair_answer_of(struct pair *p, int32_t id)
{
    for (size_t i = 0; i < p->answer_count; i++)
        if (p->answers[i].id == id)
            return &p->answers[i];
    if (p->answer_count == PAIR_CALLS)
        abort();
    p->answers[p->answer_count].id = id;
    return &p->answers[p->answer_count++];
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    struct pair_answer *a = pair_answer_of(user, f->hd.stream_id);
    size_t at = strlen(a->headers);

    (void)s, (void)flags;
    if (name_n == 7 && memcmp(name, ":status", 7) == 0) {
        a->interim = a->status;
        a->status = (int)strtol((const char *)value, NULL, 10);
        return 0;
    }
    (void)snprintf(a->headers + at, sizeof(a->headers) - at, "%.*s: %.*s\n", (int)name_n,
                   (const char *)name, (int)value_n, (const char *)value);
    return 0;
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct pair_answer *a = pair_answer_of(user, f->hd.stream_id);
    size_t at = strlen(a->headers);

    (void)s;
    if (a->body_n > 0 || (a->status >= 200 && f->headers.cat == NGHTTP2_HCAT_HEADERS))
        (void)snprintf(a->headers + at, sizeof(a->headers) - at, "--\n");
    return 0;
}

static int on_chunk(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *bytes, size_t n,
                    void *user)
{
    struct pair_answer *a = pair_answer_of(user, id);

    (void)s, (void)flags;
    a->body_hash = pair_hash((const char *)bytes, n, a->body_hash);
    a->body_n += n;
    return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
    struct pair *p = user;

    (void)s;
    if (f->hd.type == NGHTTP2_GOAWAY)
        p->goaway = f->goaway.error_code;
    if (f->hd.type == NGHTTP2_WINDOW_UPDATE)
        p->window_updates++;
    if (f->hd.type == NGHTTP2_DATA)
        pair_answer_of(p, f->hd.stream_id)->frames++;
    return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
    struct pair_answer *a = pair_answer_of(user, id);

    (void)s;
    a->closed = true;
    a->code = code;
    return 0;
}

static nghttp2_session *client_new(struct pair *p)
{
    nghttp2_session_callbacks *cb;
    nghttp2_session *client;
    nghttp2_option *option;

    if (nghttp2_session_callbacks_new(&cb) != 0 || nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_option_set_no_http_messaging(option, 1); /* it may send what is wrong */
    nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    if (nghttp2_session_client_new2(&client, cb, p, option) != 0 ||
        nghttp2_submit_settings(client, NGHTTP2_FLAG_NONE, NULL, 0) != 0)
        abort();
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return client;
}

void pair_take_frames(struct pair *p, uint32_t bytes_max, uint32_t window)
{
    const nghttp2_settings_entry entries[] = {{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, bytes_max},
                                              {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};

    if (nghttp2_submit_settings(p->client, NGHTTP2_FLAG_NONE, entries, 2) != 0 ||
        nghttp2_session_set_local_window_size(p->client, NGHTTP2_FLAG_NONE, 0, 1 << 30) != 0)
        abort();
}

struct pair *pair_new(const struct gal_http2_limits *limits)
{
    struct pair *p = calloc(1, sizeof(*p));

    if (p == NULL || gal_http2_pool_new(&p->pool, NULL) != GAL_OK)
        abort();
    p->goaway = UINT32_MAX;
    p->now_us = 1000000;
    for (size_t i = 0; i < PAIR_CALLS; i++) {
        gal_buf_init(&p->calls[i].head, limits->head_bytes_max);
        gal_buf_init(&p->calls[i].body, limits->body_bytes_max);
    }
    if (gal_http2_new(&p->server, p->pool, limits, &server_ops, p, NULL) != GAL_OK)
        abort();
    p->client = client_new(p);
    return p;
}

/* The rest of a request's body; a stream that ends early leaves some. */
struct pair_upload {
    const char *p;
    size_t n;
    struct pair_upload *next;
};

void pair_free(struct pair *p)
{
    gal_http2_free(p->server);
    gal_http2_pool_free(p->pool);
    nghttp2_session_del(p->client);
    for (size_t i = 0; i < PAIR_CALLS; i++) {
        if (p->calls[i].used)
            abort(); /* on_close did not come */
        gal_buf_release(&p->calls[i].head);
        gal_buf_release(&p->calls[i].body);
    }
    while (p->uploads != NULL) {
        struct pair_upload *u = p->uploads;
        p->uploads = u->next;
        free(u);
    }
    free(p);
}

void pair_feed(struct pair *p, const void *bytes, size_t n)
{
    const char *at = bytes;
    size_t piece = p->piece > 0 ? p->piece : n;

    for (; n > 0 && !p->failed; at += piece, n -= piece) {
        if (piece > n)
            piece = n;
        p->failed = !gal_http2_feed(p->server, at, piece, p->now_us);
    }
}

static bool to_server(struct pair *p)
{
    const uint8_t *bytes;
    ssize_t n = nghttp2_session_mem_send(p->client, &bytes);

    if (n <= 0)
        return false;
    pair_feed(p, bytes, (size_t)n);
    return true;
}

static bool to_client(struct pair *p)
{
    struct gal_str parts[GAL_HTTP2_PARTS_MAX];
    size_t n = gal_http2_gather(p->server, parts);

    for (size_t i = 0; i < n; i++)
        if (nghttp2_session_mem_recv(p->client, (const uint8_t *)parts[i].p, parts[i].n) < 0)
            abort();
    if (n > 0)
        gal_http2_sent(p->server);
    return n > 0;
}

void pair_run(struct pair *p)
{
    bool moved = true;

    while (moved) {
        moved = to_server(p);
        moved |= to_client(p);
    }
}

static ssize_t read_upload(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                           nghttp2_data_source *source, void *user)
{
    struct pair_upload *u = source->ptr;

    (void)s, (void)id, (void)user;
    if (n > u->n)
        n = u->n;
    memcpy(to, u->p, n);
    u->p += n;
    u->n -= n;
    if (u->n == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv nv_of(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

int32_t pair_ask(struct pair *p, const char *method, const char *path, const char *const *extra,
                 const char *body, size_t body_n)
{
    nghttp2_nv nv[HEADERS_MAX];
    nghttp2_data_provider source = {.read_callback = read_upload};
    size_t n = 0;

    nv[n++] = nv_of(":method", method);
    nv[n++] = nv_of(":path", path);
    nv[n++] = nv_of(":scheme", "http");
    nv[n++] = nv_of(":authority", "host:80");
    for (; extra != NULL && extra[0] != NULL && n < HEADERS_MAX; extra += 2)
        nv[n++] = nv_of(extra[0], extra[1]);
    if (body_n > 0) {
        struct pair_upload *u = malloc(sizeof(*u));
        if (u == NULL)
            abort();
        *u = (struct pair_upload){body, body_n, p->uploads};
        p->uploads = u;
        source.source.ptr = u;
    }
    return nghttp2_submit_request(p->client, NULL, nv, n, body_n > 0 ? &source : NULL, NULL);
}
