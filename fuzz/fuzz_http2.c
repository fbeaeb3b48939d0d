/* SPDX-License-Identifier: Apache-2.0 */
/* What follows a client's preface, fed whole and byte by byte: the same requests must come out, and
 * each call that was opened is closed. Answers and bodies are read, so that a sanitizer sees a
 * slice that lies. */
#include "http/http2.h"
#include "http/http2_frames.h"

#include <stdlib.h>

/* Less than what the credit lets a peer waste: where it ends depends on how the bytes are cut. */
#define INPUT_BYTES_MAX 1500
#define ROOM_MAX 16u
#define CALLS 100
#define GOAWAY 7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct gal_call calls[CALLS];
    struct gal_buf head[CALLS], body[CALLS];
    bool used[CALLS];
    uint64_t hash;
};

static void mix(struct run *r, struct gal_str s)
{
    r->hash = (r->hash ^ s.n) * 0x100000001b3u;
    for (size_t i = 0; i < s.n; i++)
        r->hash = (r->hash ^ (unsigned char)s.p[i]) * 0x100000001b3u;
}

static struct gal_call *on_open(void *user)
{
    struct run *r = user;

    for (size_t i = 0; i < CALLS; i++) {
        if (r->used[i])
            continue;
        r->used[i] = true;
        gal_buf_init(&r->head[i], 512);
        gal_buf_init(&r->body[i], 256 + ROOM_MAX);
        r->calls[i].head = &r->head[i];
        r->calls[i].body = &r->body[i];
        return &r->calls[i];
    }
    return NULL;
}

static void on_head(void *user, struct gal_call *call)
{
    mix(user, call->req.path);
    gal_http2_continue(call);
}

static void answer(struct run *r, struct gal_call *call)
{
    static const struct gal_str parts[] = {{"first", 5}, {"", 0}, {"last", 4}};
    static const struct gal_http_response plain = {
        .status = 200, .parts = parts, .part_count = 3, .body_bytes = 9};

    mix(r, call->req.target);
    mix(r, call->req.query);
    mix(r, call->req.body);
    for (size_t i = 0; i < call->req.header_count; i++) {
        mix(r, call->req.headers[i].name);
        mix(r, call->req.headers[i].value);
    }
    gal_http2_answer(call, &plain, (struct gal_str){NULL, 0});
}

/* Room before the body changes nothing. */
static size_t on_body(void *user, struct gal_call *call, struct gal_str begin)
{
    (void)user, (void)begin;
    return (size_t)call->id % ROOM_MAX;
}

static void on_request(void *user, struct gal_call *call)
{
    answer(user, call);
}

static void on_fault(void *user, struct gal_call *call, const struct gal_err *err)
{
    mix(user, gal_str_of(gal_status_name(err->code)));
    answer(user, call);
}

static void on_close(void *user, struct gal_call *call, uint32_t code)
{
    struct run *r = user;
    size_t i = (size_t)(call - r->calls);

    (void)code;
    gal_buf_release(&r->head[i]);
    gal_buf_release(&r->body[i]);
    r->used[i] = false;
}

static void on_output(void *user)
{
    (void)user;
}

static uint64_t run(const char *bytes, size_t size, size_t piece)
{
    static const struct gal_http2_limits limits = {512, 256, CALLS, 65535, 1u << 20};
    static const struct gal_http2_ops ops = {on_open,  on_head,  on_body,  on_request,
                                             on_fault, on_close, on_output};
    struct gal_str preface = gal_http2_preface(), parts[GAL_HTTP2_PARTS_MAX];
    struct run *r = calloc(1, sizeof(*r));
    struct gal_http2_pool *pool;
    struct gal_http2 *h;
    uint64_t hash;

    if (!r || gal_http2_pool_new(&pool, NULL) != GAL_OK ||
        gal_http2_new(&h, pool, &limits, &ops, r, NULL) != GAL_OK ||
        !gal_http2_feed(h, preface.p, preface.n, 1))
        abort();
    for (size_t n; size > 0; bytes += n, size -= n) {
        n = piece < size ? piece : size;
        if (!gal_http2_feed(h, bytes, n, 1))
            break;
    }
    while (gal_http2_gather(h, parts) > 0)
        gal_http2_sent(h);
    gal_http2_free(h);
    gal_http2_pool_free(pool);
    for (size_t i = 0; i < CALLS; i++)
        if (r->used[i])
            abort();
    hash = r->hash;
    free(r);
    return hash;
}

/* Behind a GOAWAY the connection ends as soon as no stream is open: what of the rest is still read
 * depends on what came with it. */
static size_t up_to_goaway(const char *bytes, size_t size)
{
    struct gal_http2_frames frames;
    struct gal_http2_frame f;
    const char *p = bytes;

    gal_http2_frames_init(&frames, 0);
    while (gal_http2_frames_next(&frames, &p, bytes + size, &f)) {
        size_t end = (size_t)(p - bytes) + f.length;
        if (f.type == GOAWAY && end < size)
            return end;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    size = up_to_goaway((const char *)data, size);
    if (run((const char *)data, size, size ? size : 1) != run((const char *)data, size, 1))
        abort();
    return 0;
}
