/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of TLS: carries bytes between a socket and net/tls_impl.h, so that users see plain text.
 *
 * What a loop's streams need only while they are at work is the loop's: the place where the
 * socket's bytes arrive, that where small parts are joined, and the sink that records leave from.
 * The sink is empty whenever a user is called. A stream holds memory of its own only while one side
 * does not take what is there: `stash` for bytes that the user has no room for (at most one read of
 * the socket), `sending` and `held` for records that the kernel has not taken (at most a sink).
 *
 * SHAKING -> OPEN [the handshake's end]; then the states of net/stream.h. */
#include "base/mem.h"
#include "net/stream_impl.h"
#include "net/tls_impl.h"

#define INPUT_BYTES 65536u
/* Records that leave by one write. */
#define SINK_BYTES (4u * (GAL_TLS_RECORD_BYTES + GAL_TLS_AROUND_BYTES))
/* What a peer may cause to be said that does not read it: alerts, new keys. */
#define HELD_BYTES_MAX 16384u
/* Streams of a loop that keep OpenSSL's buffers between records: those of the last 100 ms. */
#define WARM_MAX 256u

struct gal_secure_loop {
    struct gal_tls_sink sink;
    struct gal_secure *waiting, *waiting_last; /* that have older bytes to read */
    size_t waiting_count;
    struct gal_stream *warm[WARM_MAX];
    unsigned warm_count;
    char input[INPUT_BYTES];
    char joined[GAL_TLS_RECORD_BYTES];
    char output[SINK_BYTES];
};

/* Records on their way. */
struct block {
    uv_write_t request;
    size_t n, cap;
    char bytes[];
};

struct gal_secure {
    struct gal_tls_conn *conn; /* owned */
    struct gal_stream *stream;
    void *listener_ctx;
    uint64_t later_us;              /* the user's deadline, while the handshake has its own */
    struct gal_secure *next, *prev; /* among the loop's waiting */
    char *stash;                    /* owned; NULL: none */
    size_t stash_at, stash_n;       /* [at, n) of it is left */
    struct block *sending, *held;   /* owned: libuv has the first; the second goes next */
    bool shaking, waiting, serving; /* serving: serve is on the stack */
    bool warm, used;                /* used: since the last tick */
    unsigned warm_at;               /* its place among the warm */
};

static struct gal_secure_loop *shared(const struct gal_stream *s)
{
    return s->loop->secure;
}

/* --- life --- */

static struct gal_secure_loop *shared_new(void)
{
    struct gal_secure_loop *l = gal_alloc(sizeof(*l));

    if (l == NULL)
        return NULL;
    l->sink = (struct gal_tls_sink){l->output, 0, sizeof(l->output)};
    l->waiting = l->waiting_last = NULL;
    l->waiting_count = 0;
    l->warm_count = 0;
    return l;
}

void gal_secure_loop_free(struct gal_loop *loop)
{
    gal_free(loop->secure);
    loop->secure = NULL;
}

enum gal_status gal_secure_begin(struct gal_stream *s, struct gal_tls *tls, void *listener_ctx)
{
    struct gal_secure *sec;

    if (s->loop->secure == NULL)
        s->loop->secure = shared_new();
    if (s->loop->secure == NULL)
        return GAL_NO_MEMORY;
    sec = gal_calloc(1, sizeof(*sec));
    if (sec == NULL || gal_tls_conn_new(tls, &shared(s)->sink, &sec->conn, NULL) != GAL_OK) {
        gal_free(sec);
        return GAL_NO_MEMORY;
    }
    sec->stream = s;
    sec->listener_ctx = listener_ctx;
    sec->shaking = true;
    s->secure = sec;
    return GAL_OK;
}

void gal_secure_start_time(struct gal_stream *s)
{
    uint64_t limit_us = gal_tls_conn_options(s->secure->conn)->handshake_timeout_us;

    if (limit_us != 0)
        gal_stream_set_deadline(s, gal_loop_turn_us(s->loop) + limit_us);
    gal_stream_listen(s);
}

static void stop_waiting(struct gal_secure *sec)
{
    struct gal_secure_loop *l = shared(sec->stream);

    if (!sec->waiting)
        return;
    sec->waiting = false;
    l->waiting_count--;
    if (sec->prev != NULL)
        sec->prev->next = sec->next;
    else
        l->waiting = sec->next;
    if (sec->next != NULL)
        sec->next->prev = sec->prev;
    else
        l->waiting_last = sec->prev;
}

/* --- buffers --- */

static void use(struct gal_secure *sec)
{
    struct gal_secure_loop *l = shared(sec->stream);

    sec->used = true;
    if (sec->warm || sec->shaking || l->warm_count == WARM_MAX)
        return;
    sec->warm = true;
    sec->warm_at = l->warm_count;
    l->warm[l->warm_count++] = sec->stream;
    gal_tls_conn_keep_buffers(sec->conn, true);
}

static void cool(struct gal_secure *sec)
{
    struct gal_secure_loop *l = shared(sec->stream);

    if (!sec->warm)
        return;
    sec->warm = false;
    l->warm[sec->warm_at] = l->warm[--l->warm_count];
    l->warm[sec->warm_at]->secure->warm_at = sec->warm_at;
}

void gal_secure_tick(struct gal_loop *loop)
{
    struct gal_secure_loop *l = loop->secure;

    for (unsigned i = l != NULL ? l->warm_count : 0; i > 0; i--) {
        struct gal_secure *sec = l->warm[i - 1]->secure;
        if (!sec->used) {
            cool(sec);
            gal_tls_conn_keep_buffers(sec->conn, false);
        }
        sec->used = false;
    }
}

void gal_secure_free(struct gal_stream *s)
{
    struct gal_secure *sec = s->secure;

    if (sec == NULL)
        return;
    stop_waiting(sec);
    cool(sec);
    gal_tls_conn_free(sec->conn);
    gal_free(sec->stash);
    gal_free(sec->held);
    GAL_ASSERT(sec->sending == NULL); /* libuv has ended it before it closed the socket */
    gal_free(sec);
    s->secure = NULL;
}

bool gal_secure_is_shaking(const struct gal_stream *s)
{
    return s->secure != NULL && s->secure->shaking;
}

void gal_secure_defer_deadline(struct gal_stream *s, uint64_t at_us)
{
    s->secure->later_us = at_us;
}

/* --- the network's side of writing --- */

static void on_sent(uv_write_t *request, int status);

static void send_block(struct gal_stream *s, struct block *b)
{
    uv_buf_t buf = {.base = b->bytes, .len = b->n};

    b->request.data = s;
    s->secure->sending = b;
    if (uv_write(&b->request, gal_stream_uv(s), &buf, 1, on_sent) == 0)
        return;
    s->secure->sending = NULL;
    gal_free(b);
    gal_stream_close(s);
}

/* Records behind others that the kernel has not taken yet. */
static void hold(struct gal_stream *s, const char *p, size_t n)
{
    struct block *b = s->secure->held;
    size_t had = b != NULL ? b->n : 0;

    if (had + n > HELD_BYTES_MAX || (b = gal_realloc(b, sizeof(*b) + had + n)) == NULL) {
        gal_stream_close(s);
        return;
    }
    memcpy(b->bytes + had, p, n);
    b->n = b->cap = had + n;
    s->secure->held = b;
}

/* Empties the sink. True when all that was ever in it is with the kernel. */
static bool flush(struct gal_stream *s)
{
    struct gal_secure *sec = s->secure;
    struct gal_tls_sink *sink = &shared(s)->sink;
    uv_buf_t buf = {.base = sink->p, .len = sink->n};
    int rc = 0;
    struct block *b;

    if (sink->n == 0)
        return sec->sending == NULL;
    sink->n = 0;
    if (s->closing)
        return false;
    if (sec->sending != NULL) {
        hold(s, buf.base, buf.len);
        return false;
    }
    rc = uv_try_write(gal_stream_uv(s), &buf, 1);
    if (rc == (int)buf.len)
        return true;
    if (rc < 0 && rc != UV_EAGAIN) {
        gal_stream_close(s);
        return false;
    }
    if (rc > 0) {
        buf.base += rc;
        buf.len -= (size_t)rc;
    }
    b = gal_alloc(sizeof(*b) + buf.len);
    if (b == NULL) {
        gal_stream_close(s);
        return false;
    }
    b->n = b->cap = buf.len;
    memcpy(b->bytes, buf.base, buf.len);
    send_block(s, b);
    return false;
}

/* --- the user's side of writing --- */

/* One record: of one part where it fills the record or ends the write, else of several, joined. */
static bool seal_record(struct gal_stream *s)
{
    uv_buf_t *first = &s->parts[s->part];
    char *joined = shared(s)->joined;
    size_t n = first->len < GAL_TLS_RECORD_BYTES ? first->len : GAL_TLS_RECORD_BYTES;

    if (n == GAL_TLS_RECORD_BYTES || s->part + 1 == s->part_count) {
        bool sealed = gal_tls_conn_write(s->secure->conn, first->base, n);
        gal_stream_advance(s, n);
        return sealed;
    }
    n = 0;
    while (n < GAL_TLS_RECORD_BYTES && s->part < s->part_count) {
        const uv_buf_t *b = &s->parts[s->part];
        size_t more = GAL_TLS_RECORD_BYTES - n;
        if (more > b->len)
            more = b->len;
        memcpy(joined + n, b->base, more);
        n += more;
        gal_stream_advance(s, more);
    }
    return gal_tls_conn_write(s->secure->conn, joined, n);
}

/* True when the kernel has all of the parts. */
static bool push(struct gal_stream *s)
{
    use(s->secure);
    do {
        while (s->part < s->part_count && gal_tls_sink_has_room(&shared(s)->sink)) {
            if (!seal_record(s)) {
                shared(s)->sink.n = 0;
                gal_stream_close(s);
                return false;
            }
        }
        if (!flush(s))
            return false;
    } while (s->part < s->part_count);
    return true;
}

bool gal_secure_write(struct gal_stream *s)
{
    if (!s->secure->shaking && s->secure->sending == NULL && push(s))
        return true;
    s->writing = true;
    return false;
}

static void go_on_writing(struct gal_stream *s)
{
    if (s->closing || !push(s) || (!s->writing && !s->finishing))
        return;
    s->writing = false;
    gal_stream_wrote(s);
}

static void on_sent(uv_write_t *request, int status)
{
    struct gal_stream *s = request->data;
    struct gal_secure *sec = s->secure;
    struct block *next = sec->held;

    gal_free(sec->sending);
    sec->sending = NULL;
    if (s->closing)
        return;
    if (status != 0) {
        gal_stream_close(s);
        return;
    }
    sec->held = NULL;
    if (next != NULL)
        send_block(s, next);
    else
        go_on_writing(s);
}

bool gal_secure_say_end(struct gal_stream *s)
{
    gal_tls_conn_say_end(s->secure->conn);
    return flush(s);
}

/* --- handshake --- */

static void report(struct gal_stream *s, const struct gal_tls_report *r)
{
    const struct gal_tls_options *o = gal_tls_conn_options(s->secure->conn);

    if (o->on_handshake != NULL)
        o->on_handshake(s->secure->listener_ctx, s, r);
}

void gal_secure_give_up(struct gal_stream *s, bool in_time)
{
    struct gal_tls_report r = {.why = in_time ? GAL_TLS_FAIL_CLOSED : GAL_TLS_FAIL_TIMEOUT,
                               .text = in_time ? "the peer has gone" : "it took too long",
                               .version = ""};

    s->secure->shaking = false;
    report(s, &r);
    gal_stream_close(s);
}

static void refuse_plain(struct gal_stream *s)
{
    struct gal_str answer = gal_tls_conn_options(s->secure->conn)->plain_answer;
    struct gal_tls_report r = {
        .why = GAL_TLS_FAIL_HTTP, .text = "the peer speaks without TLS", .version = ""};
    uv_buf_t buf = {.base = (char *)(uintptr_t)answer.p, .len = answer.n}; /* is read only */

    s->secure->shaking = false;
    report(s, &r);
    if (answer.n > 0)
        (void)uv_try_write(gal_stream_uv(s), &buf, 1);
    gal_stream_finish(s);
}

/* False when the stream goes no further now. */
static bool shake(struct gal_stream *s)
{
    struct gal_secure *sec = s->secure;
    struct gal_tls_report r;
    enum gal_tls_step step;

    if (gal_tls_conn_is_plain(sec->conn)) {
        refuse_plain(s);
        return false;
    }
    do { /* MORE with a full sink: it is emptied, and there is more to say */
        bool was_full;
        step = gal_tls_conn_shake(sec->conn, &r);
        was_full = shared(s)->sink.n == shared(s)->sink.cap;
        (void)flush(s);
        if (step == GAL_TLS_MORE && !was_full)
            return false;
    } while (step == GAL_TLS_MORE && !s->closing);
    if (s->closing)
        return false;
    sec->shaking = false;
    report(s, &r);
    if (step != GAL_TLS_DONE) {
        gal_stream_finish(s); /* so that the alert arrives */
        return false;
    }
    gal_stream_set_deadline(s, sec->later_us);
    if (s->writing && sec->sending == NULL)
        go_on_writing(s);
    return true;
}

/* --- reading --- */

char *gal_secure_space(struct gal_stream *s, size_t *n)
{
    *n = INPUT_BYTES;
    return s->reading || s->secure->shaking ? shared(s)->input : NULL;
}

static bool wants(const struct gal_stream *s)
{
    return s->reading && !s->closing && !s->finishing && !s->eof;
}

/* Hands the user what can be decrypted, for as long as it wants more. */
static void serve(struct gal_stream *s)
{
    struct gal_tls_conn *conn = s->secure->conn;

    while (wants(s)) {
        enum gal_tls_step step = gal_tls_conn_peek(conn);
        size_t n = 0;
        char *space;

        if (shared(s)->sink.n > 0)
            (void)flush(s);
        if (step == GAL_TLS_MORE || s->closing)
            return;
        if (step == GAL_TLS_FAILED) {
            gal_stream_close(s);
            return;
        }
        if (step == GAL_TLS_END) {
            (void)uv_read_stop(gal_stream_uv(s));
            gal_stream_ended(s);
            return;
        }
        space = s->ops->on_space(s->user, &n);
        if (!wants(s))
            return;
        if (space == NULL || n == 0) {
            s->reading = false;
            return;
        }
        s->ops->on_data(s->user, gal_tls_conn_read(conn, space, n));
    }
}

/* Keeps what the user had no room for. */
static void keep_rest(struct gal_stream *s)
{
    struct gal_secure *sec = s->secure;
    struct gal_str rest = gal_tls_conn_rest(sec->conn);

    gal_tls_conn_feed(sec->conn, NULL, 0);
    if (s->closing || s->finishing || s->eof)
        rest.n = 0;
    if (rest.n == 0) {
        gal_free(sec->stash);
        sec->stash = NULL;
        sec->stash_at = sec->stash_n = 0;
    } else if (sec->stash != NULL) {
        sec->stash_at = sec->stash_n - rest.n;
    } else {
        sec->stash = gal_alloc(rest.n);
        if (sec->stash == NULL) {
            gal_stream_close(s);
            return;
        }
        memcpy(sec->stash, rest.p, rest.n);
        sec->stash_at = 0;
        sec->stash_n = rest.n;
    }
}

static void take(struct gal_stream *s, const char *p, size_t n)
{
    struct gal_secure *sec = s->secure;

    gal_tls_conn_feed(sec->conn, p, n);
    sec->serving = true;
    if (!sec->shaking || shake(s)) {
        use(sec);
        serve(s);
    }
    sec->serving = false;
    keep_rest(s);
    if (s->closing || s->finishing || s->eof || sec->shaking)
        return;
    if (!s->reading || !gal_secure_resume(s))
        (void)uv_read_stop(gal_stream_uv(s));
    else
        gal_stream_listen(s);
}

void gal_secure_take(struct gal_stream *s, const char *p, size_t n)
{
    if (s->secure->stash == NULL)
        take(s, p, n);
    else
        gal_stream_close(s); /* bytes out of their order: the socket is not read then */
}

bool gal_secure_resume(struct gal_stream *s)
{
    struct gal_secure *sec = s->secure;
    struct gal_secure_loop *l = shared(s);

    if (sec->shaking || sec->serving || sec->waiting)
        return false; /* it reads, or will when it is at its end */
    if (sec->stash == NULL && !gal_tls_conn_holds(sec->conn))
        return true;
    sec->waiting = true;
    sec->next = NULL;
    sec->prev = l->waiting_last;
    if (sec->prev != NULL)
        sec->prev->next = sec;
    else
        l->waiting = sec;
    l->waiting_last = sec;
    l->waiting_count++;
    gal_loop_defer(s->loop);
    return false;
}

/* Not at once, where the user says that it reads again: its calls do not come inside its own. */
void gal_secure_run_waiting(struct gal_loop *loop)
{
    struct gal_secure_loop *l = loop->secure;

    for (size_t n = l != NULL ? l->waiting_count : 0; n > 0 && l->waiting != NULL; n--) {
        struct gal_secure *sec = l->waiting;
        stop_waiting(sec);
        if (!wants(sec->stream))
            continue;
        take(sec->stream, sec->stash != NULL ? sec->stash + sec->stash_at : NULL,
             sec->stash_n - sec->stash_at);
    }
    if (l != NULL && l->waiting != NULL)
        gal_loop_defer(loop);
}

/* --- whom it speaks with --- */

struct gal_str gal_stream_protocol(const struct gal_stream *s)
{
    if (s->secure == NULL)
        return (struct gal_str){NULL, 0};
    return gal_tls_conn_protocol(s->secure->conn);
}

struct gal_str gal_stream_client_name(const struct gal_stream *s)
{
    if (s->secure == NULL)
        return (struct gal_str){NULL, 0};
    return gal_tls_conn_client_name(s->secure->conn);
}
