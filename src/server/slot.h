/* SPDX-License-Identifier: Apache-2.0 */
/* What one request needs, whatever carries it: buffers, parser, exchange. Taken from the front's
 * pool with the request's first byte and given back with the answer's last, so that an idle
 * connection holds next to nothing and a busy one allocates nothing. The loop's thread. */
#ifndef GAL_SERVER_SLOT_H
#define GAL_SERVER_SLOT_H

#include "http/call.h"
#include "server/front.h"

/* Of an answer's head, and of a body that is copied behind it: one buffer costs the kernel less
 * than two. */
#define GAL_SLOT_HEAD_BYTES 8192u
#define GAL_SLOT_JOIN_BYTES 4096u

struct gal_h2_conn;

struct gal_slot {
    struct gal_slot *next; /* in the pool */
    struct gal_http1 *codec;
    struct gal_buf in;   /* HTTP/1.1: what is read; HTTP/2: the body */
    struct gal_buf head; /* HTTP/1.1: of the answer; HTTP/2: of the request */
    struct gal_exchange x;
    char peer[64], client[256]; /* x's, once the stream has gone that tells them */
    /* of HTTP/2 (server/h2_call.c) */
    struct gal_h2_conn *h2; /* NULL: the stream has gone, or there was none */
    struct gal_call call;
    uint64_t due_us; /* a look whether the answer goes on */
    size_t unsent;   /* of its body, at the last look */
    bool in_flight;  /* counted in the process's requests in flight */
};

/* NULL when memory is out. The user sets the buffers' max and resets the codec. */
struct gal_slot *gal_slot_take(struct gal_front *f);
void gal_slot_give(struct gal_front *f, struct gal_slot *s); /* NULL is fine */
void gal_slots_free_kept(struct gal_front *f);
/* A large tensor of the binary forms is used from where it was read, if it begins where its
 * elements are aligned: how many bytes to leave free before a body that would begin at `at` of the
 * buffer. The head of the request is whole. */
#define GAL_SLOT_ALIGN 16u /* of memory from the allocator, and enough for every datatype */
#define GAL_SLOT_BODY_LARGE_BYTES 4096u /* one that is smaller costs less to copy */
size_t gal_slot_gap(const struct gal_http_request *req, size_t at);
/* The client has gone: the job goes on without it, and the exchange's on_finished comes. */
void gal_slot_abandon(struct gal_slot *s);
/* The memory for requests is taken by others, or `bytes` never fit it: says which. */
enum gal_status gal_slot_fail_memory(const struct gal_front *f, size_t bytes, struct gal_err *err);
/* Before the body is read: is there room for `bytes` in `in`? Memory that is only kept makes way.
 * Nothing is set aside: a client that announces much and sends little must not keep others out. */
enum gal_status gal_slot_admit(struct gal_front *f, const struct gal_buf *in, size_t bytes,
                               struct gal_err *err);

#endif
