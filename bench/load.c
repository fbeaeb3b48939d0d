/* SPDX-License-Identifier: Apache-2.0 */
/* An open-loop load generator of the benchmark's own, so that no figure rests on galley's code
 * alone: requests arrive as a Poisson process whatever the server does, and each one's times are
 * written down from the moment at which it was meant to start.
 *
 * usage: load PORT REQUEST OUT CONNECTIONS GIVE_UP_MS SEED RATE:SECONDS...
 *
 * REQUEST is a file with a whole HTTP/1.1 request, head and body. An arrival takes a free
 * connection; when there is none it waits, and is given up when it has waited GIVE_UP_MS. Phases
 * follow each other without a pause. OUT gets four little-endian 32-bit numbers a request, in the
 * order of arrival: microseconds from the start at which it was meant to start, was sent, ended;
 * and the HTTP status, or one of the outcomes below. One thread, which never sleeps for long: give
 * it a core of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 32768u
#define CONNECTIONS_MAX 10000u
#define EVENTS 256
#define SENDS_A_TURN 64    /* then answers are looked at again */
#define GRACE_US 10000000u /* for what is under way at the end */

enum outcome { GIVEN_UP = 0, LOST = 1, UNANSWERED = 2 };

struct record {
    uint32_t intended_us, sent_us, end_us, status;
};

struct connection {
    int fd;
    bool busy;
    size_t record; /* of the request under way */
    size_t got;
    char in[ANSWER_MAX];
};

struct phase {
    double rate, seconds;
};

static struct {
    uint16_t port;
    char *request;
    size_t request_length;
    uint32_t give_up_us;
    struct connection *connections;
    size_t *idle; /* a stack: at low rates few connections are used, and stay warm */
    size_t idle_count;
    size_t under_way;
    struct record *records;
    size_t count, room, unsent; /* records [unsent, count) wait for a connection */
    int epoll;
    double start;
    uint64_t random;
} g;

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno != 0 ? strerror(errno) : "refused");
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3 - g.start;
}

/* xorshift64*: uniform in (0, 1]. */
static double uniform(void)
{
    g.random ^= g.random >> 12;
    g.random ^= g.random << 25;
    g.random ^= g.random >> 27;
    return ((double)((g.random * 2685821657736338717u) >> 11) + 1) / 9007199254740992.0;
}

static void connect_one(size_t i)
{
    struct connection *c = &g.connections[i];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(g.epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll");
    c->got = 0;
}

static void finish(size_t i, uint32_t status)
{
    struct connection *c = &g.connections[i];

    g.records[c->record].end_us = (uint32_t)now_us();
    g.records[c->record].status = status;
    c->busy = false;
    c->got = 0;
    g.idle[g.idle_count++] = i;
    g.under_way--;
}

/* The server closed, with or without a request under way. */
static void reopen(size_t i)
{
    close(g.connections[i].fd);
    if (g.connections[i].busy)
        finish(i, LOST);
    connect_one(i);
}

/* The body's length as the head tells it. */
static size_t body_length(const char *head, const char *end)
{
    const char *line = head;

    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if (strncasecmp(line, "content-length:", 15) == 0)
            return (size_t)strtoul(line + 15, NULL, 10);
    }
    fprintf(stderr, "load: an answer without Content-Length\n");
    exit(1);
}

static void on_readable(size_t i)
{
    struct connection *c = &g.connections[i];
    ssize_t n = recv(c->fd, c->in + c->got, ANSWER_MAX - 1 - c->got, 0);
    char *end;
    size_t head;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        reopen(i);
        return;
    }
    c->got += (size_t)n;
    c->in[c->got] = '\0';
    end = memmem(c->in, c->got, "\r\n\r\n", 4);
    if (end != NULL) {
        head = (size_t)(end - c->in) + 4;
        if (c->got >= head + body_length(c->in, end)) {
            if (!c->busy || strncmp(c->in, "HTTP/1.1 ", 9) != 0)
                die("an answer that was not asked for");
            finish(i, (uint32_t)strtoul(c->in + 9, NULL, 10));
            return;
        }
    }
    if (c->got == ANSWER_MAX - 1)
        die("an answer beyond 32 KiB");
}

static void send_one(size_t i)
{
    struct connection *c = &g.connections[i];
    ssize_t n;

    c->record = g.unsent++;
    c->busy = true;
    g.under_way++;
    g.records[c->record].sent_us = (uint32_t)now_us();
    n = send(c->fd, g.request, g.request_length, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        reopen(i);
        return;
    }
    if ((size_t)n != g.request_length)
        die("a request that does not fit the socket's buffer");
}

/* Sends what waits, gives up what has waited too long. */
static void send_waiting(void)
{
    for (int sent = 0; g.unsent < g.count && sent < SENDS_A_TURN;) {
        struct record *r = &g.records[g.unsent];

        if (now_us() > (double)r->intended_us + (double)g.give_up_us) {
            r->end_us = r->sent_us = (uint32_t)now_us();
            r->status = GIVEN_UP;
            g.unsent++;
        } else if (g.idle_count > 0) {
            send_one(g.idle[--g.idle_count]);
            sent++;
        } else {
            return;
        }
    }
}

static void arrive(double at_us)
{
    if (g.count == g.room) {
        g.room = g.room * 2 + 65536;
        g.records = realloc(g.records, g.room * sizeof(*g.records));
        if (g.records == NULL)
            die("memory");
    }
    g.records[g.count++] =
        (struct record){.intended_us = (uint32_t)at_us, .status = (uint32_t)UNANSWERED};
}

static void look(double until_us)
{
    struct epoll_event events[EVENTS];
    double wait = until_us - now_us();
    bool sleeps = g.unsent == g.count && wait > 2000;
    int n = epoll_wait(g.epoll, events, EVENTS, sleeps ? (int)((wait - 1000) / 1000) : 0);

    for (int i = 0; i < n; i++)
        on_readable((size_t)events[i].data.u64);
}

static double run_phase(const struct phase *p, double from_us)
{
    double end = from_us + p->seconds * 1e6;
    double next = from_us;

    for (;;) {
        next += -log(uniform()) * 1e6 / p->rate;
        if (next >= end)
            return end;
        while (now_us() < next) {
            send_waiting();
            look(next);
        }
        arrive(next);
        send_waiting();
    }
}

static void finish_run(double from_us)
{
    double end = from_us + GRACE_US;

    while ((g.under_way > 0 || g.unsent < g.count) && now_us() < end) {
        send_waiting();
        look(now_us() + 1000);
    }
    for (size_t i = 0; i < g.count; i++)
        if (g.records[i].status == UNANSWERED)
            g.records[i].end_us = (uint32_t)now_us();
}

static void read_request(const char *path)
{
    FILE *f = fopen(path, "rb");
    long length;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (length = ftell(f)) <= 0)
        die(path);
    rewind(f);
    g.request_length = (size_t)length;
    g.request = malloc(g.request_length);
    if (g.request == NULL || fread(g.request, 1, g.request_length, f) != g.request_length)
        die(path);
    fclose(f);
}

static void open_connections(size_t count)
{
    g.epoll = epoll_create1(EPOLL_CLOEXEC);
    g.connections = calloc(count, sizeof(*g.connections));
    g.idle = calloc(count, sizeof(*g.idle));
    if (g.epoll < 0 || g.connections == NULL || g.idle == NULL)
        die("memory");
    for (size_t i = count; i-- > 0;) {
        connect_one(i);
        g.idle[g.idle_count++] = i;
    }
}

static struct phase parse_phase(const char *text)
{
    struct phase p;
    char *end;

    p.rate = strtod(text, &end);
    p.seconds = *end == ':' ? strtod(end + 1, NULL) : 0;
    if (!(p.rate > 0) || !(p.seconds > 0) || p.seconds > 3600) {
        fprintf(stderr, "load: %s is not RATE:SECONDS, both above 0\n", text);
        exit(2);
    }
    return p;
}

static void write_records(const char *path)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(g.records, sizeof(*g.records), g.count, f) != g.count || fclose(f) != 0)
        die(path);
}

int main(int argc, char **argv)
{
    unsigned long connections;
    double at = 0;

    if (argc < 8) {
        fprintf(stderr,
                "usage: load PORT REQUEST OUT CONNECTIONS GIVE_UP_MS SEED RATE:SECONDS...\n");
        return 2;
    }
    for (int i = 7; i < argc; i++)
        parse_phase(argv[i]);
    g.port = (uint16_t)strtoul(argv[1], NULL, 10);
    read_request(argv[2]);
    connections = strtoul(argv[4], NULL, 10);
    g.give_up_us = (uint32_t)strtoul(argv[5], NULL, 10) * 1000;
    g.random = strtoull(argv[6], NULL, 10) * 2 + 1;
    if (connections == 0 || connections > CONNECTIONS_MAX)
        die("connections");
    open_connections(connections);
    g.start = now_us();
    for (int i = 7; i < argc; i++) {
        struct phase p = parse_phase(argv[i]);

        at = run_phase(&p, at);
    }
    finish_run(at);
    write_records(argv[3]);
    return 0;
}
