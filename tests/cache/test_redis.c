/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to Redis, against a peer that answers as the test says: well, wrongly, late,
 * never. A real Redis is in tests/wire/test_cache.py. */
#include "cache/redis.h"

#include "base/mem.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000u
#define LONG (60000u * MS)

/* ---- the peer ---- */

struct script {
    const char *hello;   /* to PING; NULL: silence */
    const char *answers; /* to each GETRANGE; NULL: silence; "": the end of the connection */
    const char *set;     /* to each SET */
    const char *refusal; /* to AUTH and SELECT */
};

static struct peer {
    int listener;
    pthread_t thread;
    struct script script;
    _Atomic bool stop;
    _Atomic unsigned connections, gets, sets;
    char last_set[512]; /* what the client sent last with SET in it; read at rest */
} peer;

static void say(int fd, const char *text)
{
    if (text != NULL)
        (void)!write(fd, text, strlen(text));
}

/* One command ends where the next `*` begins a line, which no test's value holds. */
static bool handle(int fd, char *text)
{
    for (char *at = text, *next; at != NULL && *at != '\0'; at = next) {
        next = strstr(at + 1, "\n*");
        if (next != NULL)
            *next++ = '\0';
        if (strstr(at, "AUTH") || strstr(at, "SELECT"))
            say(fd, peer.script.refusal);
        else if (strstr(at, "PING"))
            say(fd, peer.script.hello);
        else if (strstr(at, "GETRANGE") && ++peer.gets > 0 && peer.script.answers != NULL) {
            if (peer.script.answers[0] == '\0')
                return false;
            say(fd, peer.script.answers);
        } else if (strstr(at, "\r\nSET\r\n")) {
            snprintf(peer.last_set, sizeof(peer.last_set), "%s", at);
            peer.sets++;
            say(fd, peer.script.set);
        }
    }
    return true;
}

static void *run_peer(void *arg)
{
    static char text[1 << 16];
    int fd;

    (void)arg;
    while ((fd = accept(peer.listener, NULL, NULL)) >= 0) {
        ssize_t n;
        if (peer.stop) {
            close(fd);
            break;
        }
        peer.connections++;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
            text[n] = '\0';
            if (!handle(fd, text))
                break;
        }
        close(fd);
    }
    return NULL;
}

static struct gal_redis_url url;

static void open_peer(struct script script)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);

    memset(&peer, 0, sizeof(peer));
    peer.script = script;
    peer.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(peer.listener, 16), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&at, &size), 0);
    url = (struct gal_redis_url){.host = "127.0.0.1", .port = ntohs(at.sin_port)};
    assert_int_equal(gal_thread_start(&peer.thread, "peer", run_peer, NULL, NULL), GAL_OK);
}

static void close_peer(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(url.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    peer.stop = true;
    (void)connect(fd, (struct sockaddr *)&at, sizeof(at));
    pthread_join(peer.thread, NULL);
    close(fd);
    close(peer.listener);
}

/* ---- the connection ---- */

static struct gal_loop *loop;
static struct gal_redis *redis;
static unsigned ups, downs, wanted_ups, wanted_downs;
static char why[200];

static void on_change(void *ctx, bool up, bool was_up, const char *reason)
{
    (void)ctx;
    assert_true(!(up && was_up));
    ups += up;
    downs += !up;
    if (!up)
        snprintf(why, sizeof(why), "%s", reason);
    if (ups >= wanted_ups && downs >= wanted_downs)
        gal_loop_stop(loop);
}

static void open_redis_in(uint64_t reply_us_max, uint64_t connect_us_max)
{
    const struct gal_redis_options o = {.url = &url,
                                        .reply_us_max = reply_us_max,
                                        .connect_us_max = connect_us_max,
                                        .pause_us_min = 5 * MS,
                                        .value_bytes_max = 1000,
                                        .on_change = on_change};
    ups = downs = 0;
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    assert_int_equal(gal_redis_new(loop, &o, &redis, NULL), GAL_OK);
}

/* The peer is a thread, which a busy machine may leave waiting: no time is too long. */
static void open_redis(void)
{
    open_redis_in(LONG, LONG);
}

static void close_redis(void)
{
    gal_redis_free(redis);
    gal_loop_free(loop);
    close_peer();
}

static void await(unsigned up, unsigned down)
{
    wanted_ups = up;
    wanted_downs = down;
    if (ups < up || downs < down)
        gal_loop_run(loop);
}

struct ask {
    struct gal_redis_get get;
    unsigned told;
    enum gal_redis_result result;
    char value[64];
};

static unsigned wanted;

static void on_value(struct gal_redis_get *get, enum gal_redis_result result, struct gal_str value)
{
    struct ask *a = (struct ask *)(void *)get;

    a->told++;
    a->result = result;
    snprintf(a->value, sizeof(a->value), "%.*s", GAL_STR_ARG(value));
    if (--wanted == 0)
        gal_loop_stop(loop);
}

static bool begin(struct ask *a)
{
    *a = (struct ask){.get = {.on_value = on_value}};
    return gal_redis_get(redis, (struct gal_hash128){1, 2}, &a->get);
}

static void ask(struct ask *a)
{
    assert_true(begin(a));
    wanted = 1;
    gal_loop_run(loop);
    assert_int_equal(a->told, 1);
    assert_null(a->get.slot);
}

static void values_are_got(void **state)
{
    static const struct {
        const char *reply;
        enum gal_redis_result result;
        const char *value;
    } replies[] = {
        {"$5\r\nhello\r\n", GAL_REDIS_FOUND, "hello"},    {"$0\r\n\r\n", GAL_REDIS_ABSENT, ""},
        {"-WRONGTYPE not text\r\n", GAL_REDIS_ERROR, ""}, {":7\r\n", GAL_REDIS_ERROR, ""},
        {"*1\r\n$1\r\nx\r\n", GAL_REDIS_ERROR, ""},
    };
    struct ask a;

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        open_peer((struct script){.hello = "+PONG\r\n", .answers = replies[i].reply});
        open_redis();
        assert_false(gal_redis_is_ready(redis));
        assert_false(begin(&a)); /* not before it is there */
        await(1, 0);
        for (int n = 0; n < 3; n++) {
            ask(&a);
            assert_int_equal(a.result, replies[i].result);
            assert_string_equal(a.value, replies[i].value);
        }
        close_redis();
        assert_int_equal(downs, 0);
    }
}

static void values_are_set(void **state)
{
    char big[1001];
    struct ask a;

    (void)state;
    open_peer((struct script){"+PONG\r\n", "$0\r\n\r\n", "+OK\r\n", NULL});
    open_redis();
    memset(big, 'x', sizeof(big));
    assert_false(gal_redis_set(redis, (struct gal_hash128){1, 2}, GAL_STR("early"), 0));
    await(1, 0);
    assert_false(gal_redis_set(redis, (struct gal_hash128){1, 2}, (struct gal_str){big, 1001}, 0));
    assert_false(gal_redis_set(redis, (struct gal_hash128){1, 2}, (struct gal_str){big, 0}, 0));
    assert_true(gal_redis_set(redis, (struct gal_hash128){1, 2}, GAL_STR("first"), 1500 * MS));
    ask(&a); /* its reply comes behind that of the set */
    assert_int_equal(peer.sets, 1);
    assert_non_null(strstr(peer.last_set, "galley:1:00000000000000020000000000000001"));
    assert_non_null(strstr(peer.last_set, "first\r\n$2\r\nPX\r\n$4\r\n1500\r"));
    assert_true(gal_redis_set(redis, (struct gal_hash128){1, 2}, GAL_STR("ever"), 0));
    ask(&a);
    assert_null(strstr(peer.last_set, "PX"));
    close_redis();
}

static void silence_ends_the_connection(void **state)
{
    struct ask a[5], b;
    uint64_t start_us;

    (void)state;
    open_peer((struct script){.hello = "+PONG\r\n"});
    open_redis_in(20 * MS, LONG);
    await(1, 0);
    start_us = gal_loop_now_us(loop);
    for (int i = 0; i < 5; i++)
        assert_true(begin(&a[i]));
    wanted = 5;
    wanted_downs = 99;
    gal_loop_run(loop);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(a[i].told, 1);
        assert_int_equal(a[i].result, GAL_REDIS_ERROR);
    }
    assert_true(gal_loop_now_us(loop) - start_us >= 20 * MS);
    assert_false(begin(&b)); /* not asked while it is away */
    await(2, 1);             /* and back after the pause: it does greet */
    assert_int_equal(peer.connections, 2);
    assert_non_null(strstr(why, "in time"));
    close_redis();
}

static void the_end_of_a_connection_ends_its_gets(void **state)
{
    struct ask a;

    (void)state;
    open_peer((struct script){.hello = "+PONG\r\n", .answers = ""});
    open_redis();
    await(1, 0);
    ask(&a);
    assert_int_equal(a.result, GAL_REDIS_ERROR);
    await(2, 1);
    close_redis();
}

static void rubbish_ends_the_connection(void **state)
{
    static const char *const rubbish[] = {"HTTP/1.1 200 OK\r\n\r\n", "$-7\r\n", "*999999999\r\n",
                                          "$99999999999999999999\r\n", "?\r\n"};
    struct ask a;

    (void)state;
    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        open_peer((struct script){.hello = "+PONG\r\n", .answers = rubbish[i]});
        open_redis_in(20 * MS, LONG); /* some are waited for: they may go on */
        await(1, 0);
        ask(&a);
        assert_int_equal(a.result, GAL_REDIS_ERROR);
        close_redis();
    }
}

static void a_greeting_that_fails_is_told_once(void **state)
{
    static const struct {
        struct script script;
        const char *why;
    } bad[] = {
        {{.hello = "+PONG\r\n", .refusal = "-WRONGPASS no\r\n"}, "WRONGPASS"},
        {{.hello = "-LOADING wait\r\n", .refusal = "+OK\r\n"}, "LOADING"},
        {{.hello = NULL, .refusal = "+OK\r\n"}, "in time"},
        {{.hello = "nonsense\r\n", .refusal = "+OK\r\n"}, "rotocol"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_peer(bad[i].script);
        snprintf(url.password, sizeof(url.password), "secret");
        url.db = 3;
        open_redis_in(LONG, bad[i].script.hello == NULL ? 300 * MS : LONG);
        await(0, 1);
        if (strstr(why, bad[i].why) == NULL)
            fail_msg("%s, not %s", why, bad[i].why);
        assert_false(gal_redis_is_ready(redis));
        close_redis();
        assert_int_equal(ups, 0);
        assert_int_equal(downs, 1);
    }
}

static void nobody_there_is_told_once(void **state)
{
    (void)state;
    open_peer((struct script){.hello = NULL});
    close_peer();
    open_redis();
    await(0, 1);
    assert_non_null(strstr(why, "refused"));
    gal_redis_free(redis);
    gal_loop_free(loop);
}

static void a_name_without_an_address(void **state)
{
    (void)state;
    url = (struct gal_redis_url){.host = "no-such-host.invalid", .port = 1};
    open_redis();
    await(0, 1);
    assert_non_null(strstr(why, "no address"));
    gal_redis_free(redis);
    gal_loop_free(loop);
    open_redis(); /* and gone while the resolver looks */
    wanted_downs = 1;
    gal_redis_free(redis);
    gal_loop_free(loop);
}

static void a_get_can_be_forgotten(void **state)
{
    struct ask a, b;

    (void)state;
    open_peer((struct script){.hello = "+PONG\r\n", .answers = "$1\r\nx\r\n"});
    open_redis();
    await(1, 0);
    assert_true(begin(&a));
    gal_redis_forget(&a.get);
    gal_redis_forget(&a.get);
    ask(&b); /* its reply comes behind */
    assert_int_equal(a.told, 0);
    assert_int_equal(b.result, GAL_REDIS_FOUND);
    close_redis();
}

static void gets_beyond_the_bound_are_not_asked(void **state)
{
    static struct ask asks[400];
    unsigned asked = 0;

    (void)state;
    open_peer((struct script){.hello = "+PONG\r\n"});
    open_redis();
    await(1, 0);
    while (asked < 400 && begin(&asks[asked]))
        asked++;
    assert_int_equal(asked, 256);
    gal_redis_free(redis); /* with all of them under way */
    for (unsigned i = 0; i < asked; i++) {
        assert_int_equal(asks[i].told, 1);
        assert_int_equal(asks[i].result, GAL_REDIS_ERROR);
    }
    gal_loop_free(loop);
    close_peer();
}

static void failing_allocations_are_told(void **state)
{
    const struct gal_redis_options o = {.url = &url, .value_bytes_max = 1000};
    bool done = false;

    (void)state;
    url = (struct gal_redis_url){.host = "127.0.0.1", .port = 1};
    assert_int_equal(gal_loop_new(&loop, NULL), GAL_OK);
    for (unsigned at = 1; !done; at++) {
        enum gal_status st;
        gal_alloc_fail_at(at, 1);
        st = gal_redis_new(loop, &o, &redis, NULL);
        gal_alloc_fail_at(0, 0);
        done = st == GAL_OK;
        assert_true(done || st == GAL_NO_MEMORY);
        gal_redis_free(redis);
    }
    gal_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_got),
        cmocka_unit_test(values_are_set),
        cmocka_unit_test(silence_ends_the_connection),
        cmocka_unit_test(the_end_of_a_connection_ends_its_gets),
        cmocka_unit_test(rubbish_ends_the_connection),
        cmocka_unit_test(a_greeting_that_fails_is_told_once),
        cmocka_unit_test(nobody_there_is_told_once),
        cmocka_unit_test(a_name_without_an_address),
        cmocka_unit_test(a_get_can_be_forgotten),
        cmocka_unit_test(gets_beyond_the_bound_are_not_asked),
        cmocka_unit_test(failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
