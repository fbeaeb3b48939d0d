/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/redis.h"

#include "base/mem.h"
#include "cache/resolve.h"
#include "net/watch.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>

#define REPLY_US_MAX 20000u
#define CONNECT_US_MAX 1000000u
#define PAUSE_US_MIN 100000u
#define PAUSE_US_MAX 10000000u
#define RESOLVE_LOOK_US 10000u
#define RESOLVE_US_MAX 30000000u
#define GETS_MAX 256u             /* under way on one connection; more are not asked */
#define SET_BYTES_MAX (16u << 20) /* sent and not answered; more are not stored */
#define LATE_BEATS_MAX 4u
#define CALM_PAUSES 10u /* READY for so many pauses: the next one is short again */
#define KEY_SIZE 48u

enum state { AWAY, RESOLVING, CONNECTING, GREETING, READY };

struct gal_redis_slot {
    struct gal_redis *r;
    struct gal_redis_get *get; /* NULL: nobody waits any more */
    uint64_t since_us;
    struct gal_redis_slot *next;
};

struct gal_redis {
    struct gal_redis_options o;
    struct gal_loop *loop;
    enum state state;
    enum { TOLD_NOTHING, TOLD_UP, TOLD_DOWN } told;
    redisAsyncContext *ac; /* hiredis's; NULL while AWAY and RESOLVING */
    struct gal_watch *watch;
    bool reads, writes;
    struct gal_resolve *resolve;
    struct gal_timer *timer; /* the next step of the connection */
    struct gal_timer *beat;  /* runs while gets are under way */
    bool beats;
    unsigned late_beats; /* in a row */
    uint64_t beat_us, pause_us, resolve_us, ready_us;
    struct gal_redis_slot *first, *last; /* under way, oldest first */
    struct gal_redis_slot *free;
    size_t set_bytes;
    struct gal_redis_slot slots[GETS_MAX];
};

/* ---- states ---- */

static void set_state(struct gal_redis *r, enum state to)
{
    static const unsigned legal[] = {
        [AWAY] = 1u << RESOLVING | 1u << CONNECTING | 1u << AWAY,
        [RESOLVING] = 1u << CONNECTING | 1u << AWAY,
        [CONNECTING] = 1u << GREETING | 1u << AWAY,
        [GREETING] = 1u << READY | 1u << AWAY,
        [READY] = 1u << AWAY,
    };
    GAL_ASSERT(legal[r->state] & (1u << to));
    r->state = to;
}

static void tell(struct gal_redis *r, bool up, const char *reason)
{
    if (r->told == (up ? TOLD_UP : TOLD_DOWN))
        return;
    bool was_up = r->told == TOLD_UP;
    r->told = up ? TOLD_UP : TOLD_DOWN;
    if (r->o.on_change != NULL)
        r->o.on_change(r->o.ctx, up, was_up, reason);
}

/* Gives the connection up until the pause is over. hiredis ends what is under way: at once, or when
 * its present callback returns. */
static void go_away(struct gal_redis *r, const char *reason)
{
    redisAsyncContext *ac = r->ac;
    char text[160];

    if (r->state == AWAY)
        return;
    snprintf(text, sizeof(text), "%s", reason); /* it may lie in what is freed now */
    set_state(r, AWAY);
    r->ac = NULL;
    gal_resolve_drop(r->resolve);
    r->resolve = NULL;
    gal_timer_start(r->timer, r->pause_us, 0);
    r->pause_us = r->pause_us * 2 < PAUSE_US_MAX ? r->pause_us * 2 : PAUSE_US_MAX;
    if (ac != NULL)
        redisAsyncFree(ac);
    tell(r, false, text);
}

static void be_ready(struct gal_redis *r)
{
    set_state(r, READY);
    gal_timer_stop(r->timer);
    r->ready_us = gal_loop_now_us(r->loop);
    tell(r, true, "");
}

/* ---- hiredis's events over a watch ---- */

static void on_ready(void *ctx, bool readable, bool writable)
{
    struct gal_redis *r = ctx;

    if (readable && r->ac != NULL)
        redisAsyncHandleRead(r->ac);
    if (writable && r->ac != NULL)
        redisAsyncHandleWrite(r->ac);
}

static void want(struct gal_redis *r, bool reads, bool writes)
{
    if (r->watch == NULL || (r->reads == reads && r->writes == writes))
        return;
    r->reads = reads;
    r->writes = writes;
    gal_watch_set(r->watch, reads, writes);
}

static void add_read(void *ctx)
{
    struct gal_redis *r = ctx;
    want(r, true, r->writes);
}

static void del_read(void *ctx)
{
    struct gal_redis *r = ctx;
    want(r, false, r->writes);
}

static void add_write(void *ctx)
{
    struct gal_redis *r = ctx;
    want(r, r->reads, true);
}

static void del_write(void *ctx)
{
    struct gal_redis *r = ctx;
    want(r, r->reads, false);
}

/* The socket is about to be closed. */
static void cleanup(void *ctx)
{
    struct gal_redis *r = ctx;
    gal_watch_free(r->watch);
    r->watch = NULL;
    r->reads = r->writes = false;
}

/* ---- connecting ---- */

static struct gal_redis *owner_of(const redisAsyncContext *ac)
{
    return ac->data;
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct gal_redis *r = owner_of(ac);

    if (r->ac != ac)
        return;
    if (status == REDIS_OK) {
        set_state(r, GREETING);
        return;
    }
    r->ac = NULL; /* hiredis frees it now */
    go_away(r, ac->errstr);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    struct gal_redis *r = owner_of(ac);

    if (r->ac != ac)
        return;
    r->ac = NULL;
    go_away(r, status == REDIS_OK ? "the connection was closed" : ac->errstr);
}

/* AUTH, SELECT, PING: an error in any ends the connection, the last makes it ready. */
static void on_greeting(redisAsyncContext *ac, void *reply, void *is_last)
{
    struct gal_redis *r = owner_of(ac);
    const redisReply *p = reply;

    if (r->ac != ac || p == NULL)
        return; /* on_disconnect says why */
    if (p->type == REDIS_REPLY_ERROR)
        go_away(r, p->str);
    else if (is_last != NULL && r->state == GREETING)
        be_ready(r);
}

static int greet(struct gal_redis *r)
{
    const struct gal_redis_url *u = r->o.url;
    int rc = REDIS_OK;

    if (u->user[0] != '\0')
        rc |= redisAsyncCommand(r->ac, on_greeting, NULL, "AUTH %s %s", u->user, u->password);
    else if (u->password[0] != '\0')
        rc |= redisAsyncCommand(r->ac, on_greeting, NULL, "AUTH %s", u->password);
    if (u->db != 0)
        rc |= redisAsyncCommand(r->ac, on_greeting, NULL, "SELECT %u", u->db);
    return rc | redisAsyncCommand(r->ac, on_greeting, r, "PING");
}

static void connect_to(struct gal_redis *r, const char *address)
{
    redisAsyncContext *ac = redisAsyncConnect(address, r->o.url->port);
    struct gal_err err;

    set_state(r, CONNECTING);
    if (ac == NULL) {
        go_away(r, "no memory for a connection");
        return;
    }
    if (ac->err != 0) {
        r->ac = ac;
        go_away(r, ac->errstr);
        return;
    }
    ac->data = r;
    if (gal_watch_new(r->loop, ac->c.fd, on_ready, r, &r->watch, &err) != GAL_OK) {
        r->ac = ac;
        go_away(r, err.message);
        return;
    }
    r->ac = ac;
    ac->ev.data = r;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    gal_timer_start(r->timer, r->o.connect_us_max, 0);
    if (greet(r) != REDIS_OK)
        go_away(r, "the greeting could not be sent");
}

static void look_resolved(struct gal_redis *r)
{
    char address[GAL_ADDRESS_SIZE];
    struct gal_resolve *q = r->resolve;

    if (gal_resolve_ended(q, address)) {
        r->resolve = NULL;
        gal_resolve_drop(q);
        if (address[0] != '\0')
            connect_to(r, address);
        else
            go_away(r, "the host's name has no address");
    } else if (gal_loop_now_us(r->loop) - r->resolve_us > RESOLVE_US_MAX) {
        go_away(r, "the host's name was not resolved in time");
    } else {
        gal_timer_start(r->timer, RESOLVE_LOOK_US, 0);
    }
}

static void begin(struct gal_redis *r)
{
    struct gal_err err;

    if (gal_resolve_is_numeric(r->o.url->host)) {
        connect_to(r, r->o.url->host);
        return;
    }
    set_state(r, RESOLVING);
    r->resolve_us = gal_loop_now_us(r->loop);
    if (gal_resolve_start(r->o.url->host, &r->resolve, &err) != GAL_OK)
        go_away(r, err.message);
    else
        gal_timer_start(r->timer, RESOLVE_LOOK_US, 0);
}

static void on_timer(void *ctx)
{
    struct gal_redis *r = ctx;

    switch (r->state) {
    case AWAY:
        begin(r);
        break;
    case RESOLVING:
        look_resolved(r);
        break;
    case CONNECTING:
    case GREETING:
        go_away(r, "no answer in time while connecting");
        break;
    case READY:
        break;
    }
}

/* ---- gets ---- */

static struct gal_redis_slot *slot_take(struct gal_redis *r)
{
    struct gal_redis_slot *s = r->free;

    if (s == NULL)
        return NULL;
    r->free = s->next;
    s->next = NULL;
    *(r->last != NULL ? &r->last->next : &r->first) = s;
    r->last = s;
    return s;
}

static void slot_give(struct gal_redis_slot *s)
{
    struct gal_redis *r = s->r;
    struct gal_redis_slot **at = &r->first, *before = NULL;

    while (*at != s) { /* the first, but for one that could not be sent */
        before = *at;
        at = &before->next;
    }
    *at = s->next;
    if (r->last == s)
        r->last = before;
    s->get = NULL;
    s->next = r->free;
    r->free = s;
}

static void on_get(redisAsyncContext *ac, void *reply, void *ctx)
{
    struct gal_redis_slot *s = ctx;
    struct gal_redis_get *get = s->get;
    struct gal_redis *r = s->r;
    const redisReply *p = reply;
    enum gal_redis_result result = GAL_REDIS_ERROR;
    struct gal_str value = {NULL, 0};

    (void)ac;
    slot_give(s);
    if (p != NULL && r->ready_us + CALM_PAUSES * r->pause_us < gal_loop_turn_us(r->loop))
        r->pause_us = r->o.pause_us_min;
    if (get == NULL)
        return;
    get->slot = NULL;
    if (p != NULL && p->type == REDIS_REPLY_STRING) {
        value = (struct gal_str){p->str, p->len};
        result = p->len > 0 ? GAL_REDIS_FOUND : GAL_REDIS_ABSENT;
    }
    get->on_value(get, result, value);
}

/* A loop that was busy elsewhere has not read what may be there: it gets a few beats more. */
static void on_beat(void *ctx)
{
    struct gal_redis *r = ctx;
    uint64_t now_us = gal_loop_now_us(r->loop);
    bool is_late = now_us - r->beat_us > r->o.reply_us_max / 2;

    r->beat_us = now_us;
    r->late_beats = is_late ? r->late_beats + 1 : 0;
    if (r->first == NULL) {
        gal_timer_stop(r->beat);
        r->beats = false;
    } else if ((!is_late || r->late_beats > LATE_BEATS_MAX) &&
               now_us - r->first->since_us > r->o.reply_us_max) {
        go_away(r, "no reply in time");
    }
}

static void key_text(struct gal_hash128 key, char out[KEY_SIZE])
{
    snprintf(out, KEY_SIZE, "galley:1:%016llx%016llx", (unsigned long long)key.hi,
             (unsigned long long)key.lo);
}

/* GETRANGE rather than GET: the reply is bounded, whatever lies there. */
bool gal_redis_get(struct gal_redis *r, struct gal_hash128 key, struct gal_redis_get *get)
{
    struct gal_redis_slot *s = r->state == READY ? slot_take(r) : NULL;
    char text[KEY_SIZE];

    get->slot = s;
    if (s == NULL)
        return false;
    key_text(key, text);
    s->get = get;
    s->since_us = gal_loop_now_us(r->loop);
    if (redisAsyncCommand(r->ac, on_get, s, "GETRANGE %s 0 %llu", text,
                          (unsigned long long)r->o.value_bytes_max - 1) != REDIS_OK) {
        get->slot = NULL;
        slot_give(s);
        return false;
    }
    if (!r->beats) {
        r->beats = true;
        r->beat_us = s->since_us;
        gal_timer_start(r->beat, r->o.reply_us_max / 4, r->o.reply_us_max / 4);
    }
    return true;
}

void gal_redis_forget(struct gal_redis_get *get)
{
    if (get->slot != NULL)
        get->slot->get = NULL;
    get->slot = NULL;
}

/* ---- sets ---- */

static void on_set(redisAsyncContext *ac, void *reply, void *bytes)
{
    (void)reply;
    owner_of(ac)->set_bytes -= (size_t)bytes;
}

bool gal_redis_set(struct gal_redis *r, struct gal_hash128 key, struct gal_str value,
                   uint64_t ttl_us)
{
    char text[KEY_SIZE], ms[24];
    const char *argv[5] = {"SET", text, value.p, "PX", ms};
    size_t lengths[5] = {3, 0, value.n, 2, 0};

    if (r->state != READY || value.n == 0 || value.n > r->o.value_bytes_max ||
        value.n > SET_BYTES_MAX - r->set_bytes)
        return false;
    key_text(key, text);
    lengths[1] = strlen(text);
    lengths[4] = (size_t)snprintf(ms, sizeof(ms), "%llu",
                                  (unsigned long long)(ttl_us / 1000 != 0 ? ttl_us / 1000 : 1));
    if (redisAsyncCommandArgv(r->ac, on_set, (void *)value.n, ttl_us != 0 ? 5 : 3, argv, lengths) !=
        REDIS_OK)
        return false;
    r->set_bytes += value.n;
    return true;
}

/* ---- life ---- */

bool gal_redis_is_ready(const struct gal_redis *r)
{
    return r->state == READY;
}

enum gal_status gal_redis_new(struct gal_loop *loop, const struct gal_redis_options *options,
                              struct gal_redis **out, struct gal_err *err)
{
    struct gal_redis *r = gal_calloc(1, sizeof(*r));
    enum gal_status st;

    *out = NULL;
    if (r == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a connection to Redis");
    r->loop = loop;
    r->o = *options;
    r->o.reply_us_max = options->reply_us_max != 0 ? options->reply_us_max : REPLY_US_MAX;
    r->o.connect_us_max = options->connect_us_max != 0 ? options->connect_us_max : CONNECT_US_MAX;
    r->o.pause_us_min = options->pause_us_min != 0 ? options->pause_us_min : PAUSE_US_MIN;
    r->pause_us = r->o.pause_us_min;
    for (size_t i = 0; i < GETS_MAX; i++) {
        r->slots[i].r = r;
        r->slots[i].next = r->free;
        r->free = &r->slots[i];
    }
    st = gal_timer_new(loop, on_timer, r, &r->timer, err);
    if (st == GAL_OK)
        st = gal_timer_new(loop, on_beat, r, &r->beat, err);
    if (st != GAL_OK) {
        gal_redis_free(r);
        return st;
    }
    gal_timer_start(r->timer, 0, 0); /* on the loop's own thread */
    *out = r;
    return GAL_OK;
}

void gal_redis_free(struct gal_redis *r)
{
    redisAsyncContext *ac;

    if (r == NULL)
        return;
    ac = r->ac;
    r->ac = NULL;
    r->state = AWAY;
    if (ac != NULL)
        redisAsyncFree(ac);
    gal_resolve_drop(r->resolve);
    gal_timer_free(r->timer);
    gal_timer_free(r->beat);
    gal_free(r);
}
