/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc.h"
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gal_arena arena;

static int open_arena(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1u << 20, 1u << 24);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static void types_of_grpc_and_others(void **state)
{
    static const char *const good[] = {"application/grpc", "application/grpc+proto",
                                       "Application/GRPC;x=y", "application/grpc+proto; q=1"};
    static const char *const bad[] = {"",
                                      "application/json",
                                      "application/grpcx",
                                      "application/grpc+json",
                                      "application/grpc-web",
                                      "text/application/grpc"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(gal_grpc_is_type(gal_str_of(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(gal_grpc_is_type(gal_str_of(bad[i])));
}

static void frames_are_found_wherever_the_bytes_are_split(void **state)
{
    static const char bytes[] = "\0\0\0\0\0"
                                "\1\0\0\0\3abc"
                                "\0\0\0\0\1x";
    const size_t size = sizeof(bytes) - 1;

    (void)state;
    for (size_t n = 0; n <= size; n++) {
        struct gal_str rest = {bytes, n};
        struct gal_grpc_frame f;
        struct gal_err err;
        unsigned count = 0;

        while (gal_grpc_next(&rest, 100, &f, &err) == GAL_GRPC_FRAME) {
            assert_int_equal(f.compressed, count == 1);
            assert_int_equal(f.bytes.n, count == 0 ? 0 : count == 1 ? 3 : 1);
            count++;
        }
        assert_int_equal(count, (n >= 5) + (n >= 13) + (n >= size));
        rest = (struct gal_str){bytes, n};
        assert_int_equal(gal_grpc_only(rest, 100, &f, &err), n == 5 ? GAL_OK : GAL_INVALID);
    }
}

static void frames_that_are_none_or_too_large(void **state)
{
    struct gal_str flag = {"\2", 1}, large = {"\0\0\0\1\1", 5};
    struct gal_grpc_frame f;
    struct gal_err err;

    (void)state;
    assert_int_equal(gal_grpc_next(&flag, 100, &f, &err), GAL_GRPC_BAD);
    assert_int_equal(err.code, GAL_INVALID);
    assert_int_equal(gal_grpc_next(&large, 256, &f, &err), GAL_GRPC_BAD);
    assert_int_equal(err.code, GAL_TOO_LARGE);
    assert_int_equal(gal_grpc_next(&large, 257, &f, &err), GAL_GRPC_SHORT);
}

static void prefixes_read_back(void **state)
{
    char prefix[GAL_GRPC_PREFIX_BYTES];

    (void)state;
    gal_grpc_prefix(prefix, true, 0x01020304);
    assert_memory_equal(prefix, "\1\1\2\3\4", 5);
}

static void messages_are_unpacked(void **state)
{
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    struct gal_str part = {text, sizeof(text) - 1}, message;
    struct gal_grpc_frame f = {true, {NULL, 0}};
    struct gal_err err;
    struct gal_buf out;

    (void)state;
    gal_buf_init(&out, 1u << 20);
    assert_int_equal(gal_deflate(GAL_CODING_GZIP, &part, 1, &arena, &out, &err), GAL_OK);
    f.bytes = gal_buf_str(&out);
    assert_int_equal(gal_grpc_unpack(&f, GAL_STR("gzip"), 1000, &arena, &message, &err), GAL_OK);
    assert_true(gal_str_eq(message, part));
    assert_int_equal(gal_grpc_unpack(&f, GAL_STR("gzip"), 10, &arena, &message, &err),
                     GAL_TOO_LARGE);
    assert_int_equal(gal_grpc_unpack(&f, GAL_STR("snappy"), 1000, &arena, &message, &err),
                     GAL_UNSUPPORTED);
    assert_int_equal(gal_grpc_unpack(&f, (struct gal_str){NULL, 0}, 1000, &arena, &message, &err),
                     GAL_INVALID);
    f.compressed = false;
    assert_int_equal(gal_grpc_unpack(&f, GAL_STR("snappy"), 1000, &arena, &message, &err), GAL_OK);
    assert_true(gal_str_eq(message, f.bytes));
    gal_buf_release(&out);
}

static void what_a_client_accepts(void **state)
{
    (void)state;
    assert_true(gal_grpc_accepts(GAL_STR("identity, deflate,gzip"), GAL_CODING_GZIP));
    assert_true(gal_grpc_accepts(GAL_STR("gzip"), GAL_CODING_IDENTITY));
    assert_false(gal_grpc_accepts(GAL_STR("identity"), GAL_CODING_GZIP));
    assert_false(gal_grpc_accepts((struct gal_str){NULL, 0}, GAL_CODING_DEFLATE));
}

static void timeouts_of_every_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t us; /* UINT64_MAX: refused */
    } rows[] = {{"1H", 3600000000u},
                {"2M", 120000000u},
                {"3S", 3000000u},
                {"100m", 100000u},
                {"99999999u", 99999999u},
                {"1n", 1},
                {"1001n", 2},
                {"0n", 0},
                {"99999999H", 99999999ull * 3600000000u},
                {"", UINT64_MAX},
                {"S", UINT64_MAX},
                {"5", UINT64_MAX},
                {"5s", UINT64_MAX},
                {"-5S", UINT64_MAX},
                {"1.5S", UINT64_MAX},
                {"999999999S", UINT64_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t us = 7;
        enum gal_status st = gal_grpc_timeout(gal_str_of(rows[i].text), &us, NULL);

        assert_int_equal(st, rows[i].us == UINT64_MAX ? GAL_INVALID : GAL_OK);
        if (st == GAL_OK)
            assert_int_equal(us, rows[i].us);
    }
}

static void messages_are_percent_encoded(void **state)
{
    struct gal_str s = gal_grpc_message(GAL_STR("100% \xc3\xa9\n~"), &arena);

    (void)state;
    assert_true(gal_str_eq(s, GAL_STR("100%25 %C3%A9%0A~")));
    assert_int_equal(gal_grpc_message(GAL_STR(""), &arena).n, 0);
}

static void details_are_a_status_in_base64(void **state)
{
    struct gal_grpc_violation v[64];
    char text[400], field[192];
    struct gal_str s;

    (void)state;
    s = gal_grpc_details(3, GAL_STR("no"), NULL, 0, &arena);
    assert_true(gal_str_eq(s, GAL_STR("CAMSAm5v"))); /* 08 03 12 02 6e 6f */
    v[0] = (struct gal_grpc_violation){"a[0]", "no"};
    s = gal_grpc_details(3, GAL_STR("no"), v, 1, &arena);
    assert_true(gal_str_starts(s, GAL_STR("CAMSAm5v")) && s.n > 60);
    memset(field, 'p', sizeof(field) - 1);
    memset(text, 'm', sizeof(text) - 1);
    field[sizeof(field) - 1] = text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < 64; i++)
        v[i] = (struct gal_grpc_violation){field, text};
    s = gal_grpc_details(3, gal_str_of(text), v, 1, &arena);
    assert_true(s.n > 1000);
    assert_true(gal_grpc_details(3, gal_str_of(text), v, 2, &arena).n > s.n);
    /* as many as there is room for */
    assert_true(gal_grpc_details(3, gal_str_of(text), v, 64, &arena).n < 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_of_grpc_and_others),
        cmocka_unit_test(frames_are_found_wherever_the_bytes_are_split),
        cmocka_unit_test(frames_that_are_none_or_too_large),
        cmocka_unit_test(prefixes_read_back),
        cmocka_unit_test(messages_are_unpacked),
        cmocka_unit_test(what_a_client_accepts),
        cmocka_unit_test(timeouts_of_every_unit),
        cmocka_unit_test(messages_are_percent_encoded),
        cmocka_unit_test(details_are_a_status_in_base64),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
