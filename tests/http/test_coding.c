/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "base/mem.h"
#include "http/coding.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* What other programs made of "hello, galley": gzip(1), Python's zlib, and raw deflate. */
static const char plain[] = "hello, galley";
#define GZIPPED                                                                                    \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51\x48"                     \
    "\x4f\xcc\xc9\x49\xad\x04\x00\xc2\xf9\x13\x28\x0d\x00\x00\x00"
#define ZLIBBED                                                                                    \
    "\x78\x9c\xcb\x48\xcd\xc9\xc9\xd7\x51\x48\x4f\xcc\xc9\x49\xad\x04\x00\x21\x9a\x04\xdf"
#define RAW "\xcb\x48\xcd\xc9\xc9\xd7\x51\x48\x4f\xcc\xc9\x49\xad\x04\x00"

static int open_arena(void **state)
{
    struct gal_arena *arena = malloc(sizeof *arena);
    assert_non_null(arena);
    gal_arena_init(arena, 65536, 1u << 20, 256u << 20);
    *state = arena;
    return 0;
}

static int close_arena(void **state)
{
    gal_arena_release(*state);
    free(*state);
    return 0;
}

static void check(struct gal_arena *arena, enum gal_coding c, struct gal_str in, size_t max,
                  enum gal_status want)
{
    /* In memory of its own size: one byte read too many is seen. */
    char *copy = malloc(in.n + 1);
    struct gal_str out = {NULL, 0};
    struct gal_err err = {0};
    assert_non_null(copy);
    char *end = copy + 1 + in.n;
    memcpy(end - in.n, in.p, in.n);
    enum gal_status status =
        gal_inflate(c, (struct gal_str){end - in.n, in.n}, max, arena, &out, &err);
    if (status != want)
        print_error("%s\n", err.message);
    assert_int_equal(status, want);
    assert_int_equal(err.code, want);
    if (want == GAL_OK)
        assert_true(gal_str_is(out, plain));
    free(copy);
}

static void bodies_of_others_are_decoded(void **state)
{
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED), 1000, GAL_OK);
    check(*state, GAL_CODING_DEFLATE, GAL_STR(ZLIBBED), 1000, GAL_OK);
    check(*state, GAL_CODING_DEFLATE, GAL_STR(RAW), 1000, GAL_OK);
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED), sizeof plain - 1, GAL_OK);
}

static void broken_bodies_are_refused(void **state)
{
    struct gal_str whole = GAL_STR(GZIPPED);
    for (size_t n = 0; n < whole.n; n++)
        check(*state, GAL_CODING_GZIP, (struct gal_str){whole.p, n}, 1000, GAL_INVALID);
    whole = GAL_STR(ZLIBBED);
    for (size_t n = 0; n < whole.n; n++)
        check(*state, GAL_CODING_DEFLATE, (struct gal_str){whole.p, n}, 1000, GAL_INVALID);
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED "x"), 1000, GAL_INVALID);
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED GZIPPED), 1000, GAL_INVALID);
    check(*state, GAL_CODING_DEFLATE, GAL_STR(RAW "\0"), 1000, GAL_INVALID);
    check(*state, GAL_CODING_GZIP, GAL_STR("{\"inputs\": []}"), 1000, GAL_INVALID);
    check(*state, GAL_CODING_GZIP, GAL_STR(ZLIBBED), 1000, GAL_INVALID);
}

static void a_decoded_body_is_bounded(void **state)
{
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED), sizeof plain - 2, GAL_TOO_LARGE);
    check(*state, GAL_CODING_DEFLATE, GAL_STR(RAW), 1, GAL_TOO_LARGE);
    check(*state, GAL_CODING_GZIP, GAL_STR(GZIPPED), 0, GAL_TOO_LARGE);
}

static struct gal_str zeros(size_t n)
{
    char *p = calloc(1, n);
    assert_non_null(p);
    return (struct gal_str){p, n};
}

/* A megabyte of nothing is a thousand bytes: within bytes_max, but not within the ratio. */
static void a_bomb_is_refused_by_its_ratio(void **state)
{
    const enum gal_coding codings[] = {GAL_CODING_GZIP, GAL_CODING_DEFLATE};
    for (size_t i = 0; i < 2; i++) {
        struct gal_str bomb = zeros(8u << 20), out;
        struct gal_buf coded;
        gal_buf_init(&coded, 1u << 20);
        assert_int_equal(gal_deflate(codings[i], &bomb, 1, *state, &coded, NULL), GAL_OK);
        assert_true(coded.n < bomb.n / GAL_INFLATE_RATIO_MAX);
        assert_int_equal(
            gal_inflate(codings[i], gal_buf_str(&coded), 64u << 20, *state, &out, NULL),
            GAL_TOO_LARGE);
        gal_buf_release(&coded);
        free((void *)(uintptr_t)bomb.p);
    }
}

static struct gal_str noise(size_t n, unsigned letters)
{
    char *p = malloc(n ? n : 1);
    uint64_t x = 88172645463325252u;
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (char)(x % letters);
    }
    return (struct gal_str){p, n};
}

static void what_is_coded_in_parts_decodes_to_the_whole(void **state)
{
    const size_t sizes[] = {0, 1, 100, 65536, 300000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (unsigned letters = 2; letters <= 256; letters += 254) {
            enum gal_coding c = letters == 2 ? GAL_CODING_GZIP : GAL_CODING_DEFLATE;
            struct gal_str in = noise(sizes[i], letters), out;
            struct gal_str parts[] = {{in.p, in.n / 7},
                                      {NULL, 0},
                                      {in.p + in.n / 7, in.n / 2},
                                      {in.p + in.n / 7 + in.n / 2, in.n - in.n / 7 - in.n / 2}};
            struct gal_buf coded;
            gal_buf_init(&coded, 8u << 20);
            gal_buf_puts(&coded, "before");
            assert_int_equal(gal_deflate(c, parts, 4, *state, &coded, NULL), GAL_OK);
            struct gal_str behind = {coded.p + 6, coded.n - 6};
            assert_int_equal(gal_inflate(c, behind, 8u << 20, *state, &out, NULL), GAL_OK);
            assert_true(gal_str_eq(in, out));
            gal_buf_release(&coded);
            free((void *)(uintptr_t)in.p);
        }
    }
}

static void a_coded_body_that_does_not_fit_is_an_error(void **state)
{
    struct gal_str in = noise(10000, 256);
    struct gal_buf coded;
    struct gal_err err;
    gal_buf_init(&coded, 5000);
    assert_int_not_equal(gal_deflate(GAL_CODING_GZIP, &in, 1, *state, &coded, &err), GAL_OK);
    assert_true(coded.n <= 5000);
    gal_buf_release(&coded);
    free((void *)(uintptr_t)in.p);
}

static void every_failing_allocation_is_an_error(void **state)
{
    struct gal_str in = noise(200000, 4), out;
    enum gal_status status = GAL_NO_MEMORY;
    (void)state;
    for (uint64_t i = 1; status != GAL_OK; i++) {
        struct gal_arena arena;
        struct gal_buf coded;
        gal_arena_init(&arena, 4096, 0, 64u << 20);
        gal_buf_init(&coded, 1u << 20);
        gal_alloc_fail_at(i, 1);
        status = gal_deflate(GAL_CODING_DEFLATE, &in, 1, &arena, &coded, NULL);
        if (status == GAL_OK)
            status =
                gal_inflate(GAL_CODING_DEFLATE, gal_buf_str(&coded), 1u << 20, &arena, &out, NULL);
        gal_alloc_fail_at(0, 0);
        if (status == GAL_OK)
            assert_true(i > 4 && gal_str_eq(in, out));
        gal_buf_release(&coded);
        gal_arena_release(&arena);
    }
    free((void *)(uintptr_t)in.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bodies_of_others_are_decoded, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(broken_bodies_are_refused, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(a_decoded_body_is_bounded, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(a_bomb_is_refused_by_its_ratio, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(what_is_coded_in_parts_decodes_to_the_whole, open_arena,
                                        close_arena),
        cmocka_unit_test_setup_teardown(a_coded_body_that_does_not_fit_is_an_error, open_arena,
                                        close_arena),
        cmocka_unit_test(every_failing_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
