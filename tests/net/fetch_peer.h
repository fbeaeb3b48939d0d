/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server of a test's making: it reads requests, remembers them, and lets the test write
 * what comes back, byte for byte. One thread; a connection after the other. */
#ifndef TESTS_NET_FETCH_PEER_H
#define TESTS_NET_FETCH_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASKED_MAX 32

struct asked {
    char head[4096]; /* the request's lines */
    char body[65536];
    size_t body_bytes;
};

struct fetch_peer {
    int listener, wake[2];
    uint16_t port;
    pthread_t thread;
    /* Answers request `index` on fd; true: the connection stays open. */
    bool (*answer)(struct fetch_peer *p, int fd, unsigned index);
    const void *ctx;
    atomic_uint count;
    struct asked asked[ASKED_MAX];
};

void fetch_peer_start(struct fetch_peer *p, bool (*answer)(struct fetch_peer *, int, unsigned),
                      const void *ctx);
void fetch_peer_stop(struct fetch_peer *p);
void fetch_peer_send(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "http://127.0.0.1:PORT/path" in one of four rotating buffers. */
const char *fetch_peer_url(const struct fetch_peer *p, const char *path);
/* Does the head of a request hold the line? */
bool fetch_peer_has(const struct fetch_peer *p, unsigned index, const char *line);
/* Sleeps until the peer is stopped or the client has gone. */
void fetch_peer_hang(struct fetch_peer *p, int fd);

#endif
