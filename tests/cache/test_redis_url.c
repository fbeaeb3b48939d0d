/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void urls_are_read(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port, db;
        const char *user, *password;
    } good[] = {
        {"redis://cache", "cache", 6379, 0, "", ""},
        {"redis://cache/", "cache", 6379, 0, "", ""},
        {"redis://cache:1/3", "cache", 1, 3, "", ""},
        {"redis://10.0.0.1:65535", "10.0.0.1", 65535, 0, "", ""},
        {"redis://[::1]:7000/15", "::1", 7000, 15, "", ""},
        {"redis://[fe80::1%eth0]", "fe80::1%eth0", 6379, 0, "", ""},
        {"redis://:secret@my-redis_1.local:6380", "my-redis_1.local", 6380, 0, "", "secret"},
        {"redis://me:p%40ss%3Aw%2ford@h/2", "h", 6379, 2, "me", "p@ss:w/ord"},
        {"redis://me:p@ss@h", "h", 6379, 0, "me", "p@ss"},
    };
    struct gal_redis_url u;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        if (gal_redis_url_parse(gal_str_of(good[i].text), &u, NULL) != GAL_OK)
            fail_msg("%s is refused", good[i].text);
        assert_string_equal(u.host, good[i].host);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.db, good[i].db);
        assert_string_equal(u.user, good[i].user);
        assert_string_equal(u.password, good[i].password);
    }
}

static void bad_urls_are_refused_without_the_password(void **state)
{
    static const struct {
        const char *text;
        enum gal_status status;
    } bad[] = {
        {"", GAL_INVALID},
        {"cache:6379", GAL_INVALID},
        {"http://:hush@cache", GAL_INVALID},
        {"rediss://:hush@cache", GAL_UNSUPPORTED},
        {"unix:///run/redis.sock", GAL_UNSUPPORTED},
        {"redis://", GAL_INVALID},
        {"redis://:hush@", GAL_INVALID},
        {"redis://:hush@h:0", GAL_INVALID},
        {"redis://:hush@h:65536", GAL_INVALID},
        {"redis://:hush@h:x", GAL_INVALID},
        {"redis://:hush@h:", GAL_INVALID},
        {"redis://:hush@h/x", GAL_INVALID},
        {"redis://:hush@h/-1", GAL_INVALID},
        {"redis://:hush@h/99999999", GAL_INVALID},
        {"redis://:hush@h/1/2", GAL_INVALID},
        {"redis://:hush%4@h", GAL_INVALID},
        {"redis://:hush%zz@h", GAL_INVALID},
        {"redis://:hush%00@h", GAL_INVALID},
        {"redis://me@h", GAL_INVALID},
        {"redis://:hush@a b", GAL_INVALID},
        {"redis://:hush@::1", GAL_INVALID},
        {"redis://:hush@h?db=1", GAL_INVALID},
    };
    struct gal_redis_url u;
    struct gal_err err;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        enum gal_status st = gal_redis_url_parse(gal_str_of(bad[i].text), &u, &err);
        if (st != bad[i].status || strstr(err.message, "hush") != NULL || err.hint[0] == '\0')
            fail_msg("%s: %d %s", bad[i].text, (int)st, err.message);
    }
}

static void long_parts_are_refused(void **state)
{
    char text[2 * GAL_REDIS_TEXT_MAX];
    struct gal_redis_url u;

    (void)state;
    for (int n = GAL_REDIS_TEXT_MAX - 1; n <= (int)GAL_REDIS_TEXT_MAX; n++) {
        enum gal_status wanted = n < (int)GAL_REDIS_TEXT_MAX ? GAL_OK : GAL_INVALID;
        snprintf(text, sizeof(text), "redis://%0*d", n, 0);
        assert_int_equal(gal_redis_url_parse(gal_str_of(text), &u, NULL), wanted);
        snprintf(text, sizeof(text), "redis://:%0*d@h", n, 0);
        assert_int_equal(gal_redis_url_parse(gal_str_of(text), &u, NULL), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(bad_urls_are_refused_without_the_password),
        cmocka_unit_test(long_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
