/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of sizes that are powers of two, each behind a header that names its size; what is given
 * back is kept for the next that wants it, so that streams that come and go call no allocator. */
#include "base/mem.h"
#include "http/http2_impl.h"

#define CLASS_FIRST_BITS 6u /* 64 bytes */
#define CLASS_COUNT 10u     /* up to 32 KiB, which holds nghttp2's buffer of one frame */
#define CLASS_NONE CLASS_COUNT
#define KEEP_BYTES_MAX (4u << 20) /* of all pieces that are kept */
#define OUTS_KEPT_MAX 8u

struct piece {
    union {
        struct piece *next; /* while kept */
        size_t bytes;       /* of what was asked for; while used */
    } u;
    size_t size_class;
};

struct gal_http2_pool {
    nghttp2_mem mem;
    struct piece *free[CLASS_COUNT];
    size_t kept_bytes;
    struct gal_http2_out *outs;
    unsigned out_count;
};

static size_t class_bytes(size_t size_class)
{
    return (size_t)1 << (size_class + CLASS_FIRST_BITS);
}

static size_t class_of(size_t bytes)
{
    size_t bits = bytes > 1 ? 64 - (size_t)__builtin_clzll(bytes - 1) : 0;

    if (bits <= CLASS_FIRST_BITS)
        return 0;
    return bits < CLASS_FIRST_BITS + CLASS_COUNT ? bits - CLASS_FIRST_BITS : CLASS_NONE;
}

static void *take(size_t bytes, void *user)
{
    struct gal_http2_pool *pool = user;
    size_t c;
    struct piece *p;

    if (bytes > SIZE_MAX / 2)
        return NULL;
    c = class_of(bytes);
    if (c != CLASS_NONE && pool->free[c] != NULL) {
        p = pool->free[c];
        pool->free[c] = p->u.next;
        pool->kept_bytes -= class_bytes(c);
    } else {
        p = gal_alloc(sizeof(*p) + (c != CLASS_NONE ? class_bytes(c) : bytes));
        if (p == NULL)
            return NULL;
    }
    p->size_class = c;
    p->u.bytes = bytes;
    return p + 1;
}

static void give(void *at, void *user)
{
    struct gal_http2_pool *pool = user;
    struct piece *p = at;
    size_t c;

    if (at == NULL)
        return;
    p--;
    c = p->size_class;
    if (c == CLASS_NONE || pool->kept_bytes + class_bytes(c) > KEEP_BYTES_MAX) {
        gal_free(p);
        return;
    }
    p->u.next = pool->free[c];
    pool->free[c] = p;
    pool->kept_bytes += class_bytes(c);
}

static void *take_zeroed(size_t count, size_t bytes, void *user)
{
    void *p;

    if (bytes != 0 && count > SIZE_MAX / bytes)
        return NULL;
    p = take(count * bytes, user);
    if (p != NULL)
        memset(p, 0, count * bytes);
    return p;
}

static void *resize(void *at, size_t bytes, void *user)
{
    struct piece *p = at;
    void *to;

    if (at == NULL)
        return take(bytes, user);
    p--;
    if (p->size_class != CLASS_NONE && bytes <= class_bytes(p->size_class)) {
        p->u.bytes = bytes;
        return at;
    }
    to = take(bytes, user);
    if (to == NULL)
        return NULL;
    memcpy(to, at, p->u.bytes < bytes ? p->u.bytes : bytes);
    give(at, user);
    return to;
}

enum gal_status gal_http2_pool_new(struct gal_http2_pool **out, struct gal_err *err)
{
    struct gal_http2_pool *pool = gal_calloc(1, sizeof(*pool));

    if (pool == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for HTTP/2");
    pool->mem = (nghttp2_mem){pool, take, give, take_zeroed, resize};
    *out = pool;
    return GAL_OK;
}

void gal_http2_pool_free(struct gal_http2_pool *pool)
{
    if (pool == NULL)
        return;
    for (size_t c = 0; c < CLASS_COUNT; c++) {
        while (pool->free[c] != NULL) {
            struct piece *p = pool->free[c];
            pool->free[c] = p->u.next;
            gal_free(p);
        }
    }
    while (pool->outs != NULL) {
        struct gal_http2_out *out = pool->outs;
        pool->outs = out->next;
        gal_free(out);
    }
    gal_free(pool);
}

nghttp2_mem *gal_http2_pool_mem(struct gal_http2_pool *pool)
{
    return &pool->mem;
}

struct gal_http2_out *gal_http2_out_take(struct gal_http2_pool *pool)
{
    struct gal_http2_out *out = pool->outs;

    if (out != NULL) {
        pool->outs = out->next;
        pool->out_count--;
    } else {
        out = gal_alloc(sizeof(*out));
    }
    if (out != NULL)
        out->n = out->count = out->borrowed = 0;
    return out;
}

void gal_http2_out_give(struct gal_http2_pool *pool, struct gal_http2_out *out)
{
    if (out == NULL)
        return;
    if (pool->out_count == OUTS_KEPT_MAX) {
        gal_free(out);
        return;
    }
    out->next = pool->outs;
    pool->outs = out;
    pool->out_count++;
}
