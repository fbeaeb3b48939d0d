/* SPDX-License-Identifier: Apache-2.0 */
/* A server session of http/http2.h and a client of nghttp2's, each other's wire. What the server is
 * asked is kept, and answered as the test says. */
#ifndef GAL_TESTS_H2_PAIR_H
#define GAL_TESTS_H2_PAIR_H

#include "http/http2.h"

#include <nghttp2/nghttp2.h>

#define PAIR_CALLS 128

/* What the client has heard of a stream. */
struct pair_answer {
    int32_t id;
    int status, interim; /* of the head, and of one before it */
    size_t body_n;
    uint64_t body_hash;
    char headers[1024]; /* "name: value\n" of the head, then "--\n" and the trailers */
    bool closed;
    uint32_t code; /* it was closed with */
    size_t frames;
};

struct pair_call {
    struct gal_call call; /* first */
    struct gal_buf head, body;
    bool used;
};

struct pair_upload;

struct pair {
    struct gal_http2_pool *pool;
    struct gal_http2 *server;
    nghttp2_session *client;
    uint64_t now_us;
    bool failed;      /* gal_http2_feed has said false */
    bool no_room;     /* on_open gives no call */
    size_t body_free; /* on_body's answer */
    size_t begin_n;   /* what it was told */
    bool outputs;     /* on_output was called */
    size_t piece;     /* the wire's pieces; 0: as they come */
    struct pair_call calls[PAIR_CALLS];
    size_t opened, heads, requests, faults, closed;
    struct gal_call *last;                  /* that a callback was told */
    struct gal_err fault;                   /* of the last fault */
    uint32_t closed_code;                   /* of the last that was closed */
    const struct gal_http_response *answer; /* for each request and fault at once; NULL: later */
    const struct gal_call_ops *claim;       /* each call at its head; NULL: none */
    void *claim_user;
    struct pair_answer answers[PAIR_CALLS];
    size_t answer_count;
    uint32_t goaway; /* code; UINT32_MAX: none came */
    size_t window_updates;
    struct pair_upload *uploads; /* bodies of the client's requests; owned */
};

struct pair *pair_new(const struct gal_http2_limits *limits);
void pair_free(struct pair *p);
/* The client takes frames of so many bytes, and so many of a stream before it has to say more. */
void pair_take_frames(struct pair *p, uint32_t bytes_max, uint32_t window);
/* Moves bytes both ways until none are left. */
void pair_run(struct pair *p);
/* Hands raw bytes to the server, as the peer's. */
void pair_feed(struct pair *p, const void *bytes, size_t n);
/* A request of the client's; body_n 0: none. extra: more headers, name and value in turn, NULL
 * ends. Returns the stream. */
int32_t pair_ask(struct pair *p, const char *method, const char *path, const char *const *extra,
                 const char *body, size_t body_n);
struct pair_answer *pair_answer_of(struct pair *p, int32_t id);
uint64_t pair_hash(const char *p, size_t n, uint64_t hash);

#endif
