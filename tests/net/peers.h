/* SPDX-License-Identifier: Apache-2.0 */
/* Real sockets on loopback: a loop in a thread of its own serves, the test is the client. Each
 * connection counts what it sees and hands it to the test's `act`. */
#ifndef TESTS_NET_PEERS_H
#define TESTS_NET_PEERS_H

#include "net/tls.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define BIG_BYTES (20u << 20)
#define SPACE_BYTES 32768

enum event {
    EV_OPEN,
    EV_SPACE,
    EV_DATA,
    EV_EOF,
    EV_DEADLINE,
    EV_WRITTEN,
    EV_CLOSE,
    EV_DRAIN,
    EV_COUNT
};

struct server;

/* One connection: what it saw, and what the test's `act` needs to remember. */
struct peer {
    struct server *server;
    struct gal_stream *stream;
    int seen[EV_COUNT];
    size_t received;
    bool silent; /* on_space gives nothing */
    int step;
    uint64_t at_us;
    char name[64];
    char space[SPACE_BYTES];
};

typedef void act_fn(struct peer *p, enum event e, size_t n);

#define PEERS_MAX 64

struct server {
    struct gal_loop *loop;
    struct gal_listener *listener;
    pthread_t thread;
    uint16_t port;
    act_fn *act;
    bool refuse;
    sem_t closed; /* posted by each on_close */
    sem_t wrote;  /* posted by an act, for wait_wrote */
    atomic_int turns, opened;
    int peer_count;
    struct peer *peers[PEERS_MAX];
    const char *big; /* BIG_BYTES of a pattern */
};

/* Listens on a port of the system's choice; start also runs the loop in a thread. */
void start_on(struct server *s, act_fn *act, const char *host);
void start(struct server *s, act_fn *act);
void start_tls(struct server *s, act_fn *act, struct gal_tls *tls); /* both; tls is borrowed */
void run_in_thread(struct server *s);
void stop_running(struct server *s);
/* After this, what the peers saw may be read. */
void stop(struct server *s);
void clean(struct server *s);
void wait_closed(struct server *s); /* until one more stream is closed */
/* Until an act has written more than went at once: a client that reads meanwhile could keep up with
 * a write larger than every buffer, and nothing of it would wait. */
void wait_wrote(struct server *s);
extern const struct gal_stream_ops peer_ops;

/* An act: what comes goes back. */
void echo(struct peer *p, enum event e, size_t n);

/* The client's side. */
int dial(uint16_t port, int buffer_bytes); /* 0: the system's buffer */
void send_all(int fd, const char *p, size_t n);
bool sends_all(int fd, const char *p, size_t n); /* false: the peer has closed */
/* Reads until the end; returns how many bytes came, SIZE_MAX when they are not a run of `want`
 * (may be NULL) from its beginning. */
size_t read_all(int fd, const char *want);
bool is_ended(int fd);
char *pattern(void); /* BIG_BYTES, owned */

#endif
