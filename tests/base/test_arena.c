/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define KIB ((size_t)1024)

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, 4 * KIB, 64 * KIB, 1024 * KIB);
    unsigned char *pieces[300];
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = i % 2 ? gal_arena_alloc(&a, i) : gal_arena_small(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % (i % 2 ? GAL_ARENA_ALIGN : 8), 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], (unsigned char)i);
    gal_arena_release(&a);
}

static void nothing_is_taken_before_the_first_piece(void **state)
{
    (void)state;
    struct gal_arena a;
    uint64_t calls = gal_alloc_count();
    gal_arena_init(&a, 4 * KIB, 64 * KIB, 64 * KIB);
    gal_arena_clear(&a);
    gal_arena_release(&a);
    assert_int_equal(gal_alloc_count(), calls);
}

static void pieces_of_no_bytes_are_unique(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, 4 * KIB, 64 * KIB, 64 * KIB);
    void *p = gal_arena_alloc(&a, 0), *q = gal_arena_small(&a, 0), *r = gal_arena_array(&a, 0, 8);
    assert_true(p && q && r && p != q && q != r);
    gal_arena_release(&a);
}

static void the_bound_holds_to_the_byte(void **state)
{
    (void)state;
    struct gal_arena a;
    struct gal_err err;
    gal_arena_init(&a, KIB, 64 * KIB, 10 * KIB);
    assert_null(gal_arena_alloc(&a, 10 * KIB + 1));
    assert_int_equal(gal_arena_fail(&a, 10 * KIB + 1, "text", &err), GAL_TOO_LARGE);
    assert_non_null(gal_arena_alloc(&a, 4 * KIB));
    assert_non_null(gal_arena_alloc(&a, 6 * KIB));
    assert_int_equal(a.used, 10 * KIB);
    assert_null(gal_arena_small(&a, 1));
    assert_null(gal_arena_alloc(&a, 0));
    assert_null(gal_arena_alloc(&a, SIZE_MAX));
    assert_null(gal_arena_array(&a, SIZE_MAX / 2, 3));
    gal_arena_clear(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(gal_arena_alloc(&a, 10 * KIB));
    gal_arena_release(&a);
    gal_arena_init(&a, KIB, SIZE_MAX, SIZE_MAX);
    assert_null(gal_arena_alloc(&a, SIZE_MAX - 100));
    assert_null(gal_arena_alloc(&a, SIZE_MAX / 2));
    gal_arena_release(&a);
}

/* The same pieces each time for a seed, of sizes from nothing to far over a block. */
static void take_round(struct gal_arena *a, unsigned seed)
{
    uint64_t x = seed * 2654435761u + 1;
    for (int i = 0; i < 200; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        size_t bytes = (size_t)(x >> 32) % (x % 20 == 0 ? 30000 : 300);
        char *p = x & 1 ? gal_arena_alloc(a, bytes) : gal_arena_small(a, bytes);
        assert_non_null(p);
        memset(p, 1, bytes);
    }
}

static void the_second_round_takes_no_memory(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct gal_arena a;
        gal_arena_init(&a, 256 + seed, 1024 * KIB, 4096 * KIB);
        take_round(&a, seed);
        gal_arena_clear(&a);
        uint64_t calls = gal_alloc_count();
        for (int i = 0; i < 3; i++) {
            take_round(&a, seed);
            gal_arena_clear(&a);
        }
        assert_int_equal(gal_alloc_count(), calls);
        gal_arena_release(&a);
    }
}

static void no_more_than_keep_max_is_kept(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, KIB, 8 * KIB, 1024 * KIB);
    assert_non_null(gal_arena_alloc(&a, 4 * KIB));
    assert_non_null(gal_arena_alloc(&a, 100 * KIB));
    gal_arena_clear(&a);
    uint64_t calls = gal_alloc_count();
    assert_non_null(gal_arena_alloc(&a, 4 * KIB)); /* the small block was kept */
    assert_int_equal(gal_alloc_count(), calls);
    assert_non_null(gal_arena_alloc(&a, 100 * KIB)); /* the large one was not */
    assert_int_equal(gal_alloc_count(), calls + 1);
    gal_arena_release(&a);
    gal_arena_init(&a, KIB, 0, 1024 * KIB);
    assert_non_null(gal_arena_alloc(&a, 10));
    gal_arena_clear(&a);
    assert_null(a.head);
    gal_arena_release(&a);
}

static void the_latest_piece_grows_in_place(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, KIB, 8 * KIB, 4 * KIB);
    char *p = gal_arena_alloc(&a, 100);
    memset(p, 5, 100);
    assert_ptr_equal(gal_arena_grow(&a, p, 100, 200), p);
    assert_int_equal(a.used, 200);
    assert_ptr_equal(gal_arena_grow(&a, p, 200, 200), p);
    memset(p + 100, 5, 100);
    assert_non_null(gal_arena_small(&a, 1));
    char *q = gal_arena_grow(&a, p, 200, 300);
    assert_true(q && q != p);
    for (int i = 0; i < 200; i++)
        assert_int_equal(q[i], 5);
    assert_ptr_equal(gal_arena_grow(&a, q, 300, 310), q);
    char *r = gal_arena_grow(&a, q, 310, 2 * KIB); /* does not fit the block */
    assert_true(r && r != q && r[199] == 5);
    assert_null(gal_arena_grow(&a, r, 2 * KIB, 4 * KIB));
    assert_null(gal_arena_grow(&a, r, 2 * KIB, SIZE_MAX));
    assert_int_equal(r[0], 5);
    gal_arena_release(&a);
}

static void the_latest_piece_gives_back_what_it_does_not_need(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, 4 * KIB, 64 * KIB, 64 * KIB);
    char *p = gal_arena_alloc(&a, KIB);
    gal_arena_trim(&a, p, KIB, 8);
    char *q = gal_arena_small(&a, 8);
    assert_ptr_equal(q, p + 8);
    assert_int_equal(a.used, 16);
    gal_arena_trim(&a, p, 8, 0); /* not the latest */
    assert_int_equal(a.used, 16);
    gal_arena_trim(&a, q, 8, 8);
    assert_ptr_equal(gal_arena_small(&a, 1), q + 8);
    gal_arena_release(&a);
}

static void what_was_taken_since_a_mark_is_forgotten(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, KIB, 64 * KIB, 64 * KIB);
    struct gal_arena_mark none = gal_arena_mark(&a);
    char *p = gal_arena_strdup(&a, GAL_STR("kept"));
    struct gal_arena_mark mark = gal_arena_mark(&a);
    void *q = gal_arena_small(&a, 8);
    for (size_t i = 0; i < 8; i++) /* more blocks */
        assert_non_null(gal_arena_alloc(&a, 2 * KIB));
    gal_arena_rewind(&a, mark);
    assert_int_equal(a.used, 5);
    assert_string_equal(p, "kept");
    assert_ptr_equal(gal_arena_small(&a, 8), q);
    gal_arena_rewind(&a, none);
    assert_null(a.head);
    assert_non_null(gal_arena_alloc(&a, 64 * KIB)); /* all of bytes_max again */
    gal_arena_release(&a);
}

static void text_is_copied_and_formatted(void **state)
{
    (void)state;
    struct gal_arena a;
    gal_arena_init(&a, KIB, KIB, 64 * KIB);
    assert_string_equal(gal_arena_strdup(&a, GAL_STR("abc")), "abc");
    assert_string_equal(gal_arena_strdup(&a, gal_str_of(NULL)), "");
    assert_string_equal(gal_arena_printf(&a, "%s:%d", "x", 7), "x:7");
    assert_string_equal(gal_arena_printf(&a, "%s", ""), "");
    char *wide = gal_arena_printf(&a, "%5000d", 1);
    assert_int_equal(strlen(wide), 5000);
    assert_null(gal_arena_printf(&a, "%70000d", 1));
    gal_arena_release(&a);
}

/* Everything once; false when some call got nothing. */
static bool scenario(struct gal_arena *a)
{
    bool done = gal_arena_alloc(a, 100) && gal_arena_strdup(a, GAL_STR("abc"));
    done = done && gal_arena_alloc(a, 5000) && gal_arena_printf(a, "%3000d", 1);
    gal_arena_clear(a);
    char *p = gal_arena_alloc(a, 3000);
    p = p ? gal_arena_grow(a, p, 3000, 50000) : NULL;
    return done && p;
}

static void failing_allocations_are_survived(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t i = 1; !done; i++) {
        struct gal_arena a;
        struct gal_err err;
        gal_arena_init(&a, KIB, 64 * KIB, 1024 * KIB);
        uint64_t calls = gal_alloc_count();
        gal_alloc_fail_at(i, 1);
        done = scenario(&a);
        bool failed = gal_alloc_count() - calls >= i;
        gal_alloc_fail_at(0, 0);
        /* clear does without the block that it wanted */
        assert_true(done || failed);
        if (!done)
            assert_int_equal(gal_arena_fail(&a, 10, "x", &err), GAL_NO_MEMORY);
        assert_non_null(gal_arena_alloc(&a, 10));
        done = done && !failed;
        gal_arena_release(&a);
        assert_true(i < 100);
    }
}

static void allocations_are_counted_and_fail_on_demand(void **state)
{
    (void)state;
    uint64_t calls = gal_alloc_count();
    gal_alloc_fail_at(2, 1);
    void *a = gal_alloc(1), *b = gal_calloc(1, 1), *c = gal_realloc(NULL, 1);
    assert_true(a && !b && c);
    gal_alloc_fail_at(2, 0);
    void *d = gal_alloc(1);
    assert_non_null(d);
    assert_null(gal_strdup("x"));
    assert_null(gal_alloc(1));
    gal_alloc_fail_at(0, 0);
    assert_int_equal(gal_alloc_count(), calls + 6);
    assert_null(gal_calloc(SIZE_MAX / 2, 3));
    char *text = gal_strndup("abc", 2), *none = gal_strndup(NULL, 0);
    assert_string_equal(text, "ab");
    assert_string_equal(none, "");
    gal_free(a);
    gal_free(c);
    gal_free(d);
    gal_free(text);
    gal_free(none);
    gal_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(nothing_is_taken_before_the_first_piece),
        cmocka_unit_test(pieces_of_no_bytes_are_unique),
        cmocka_unit_test(the_bound_holds_to_the_byte),
        cmocka_unit_test(the_second_round_takes_no_memory),
        cmocka_unit_test(no_more_than_keep_max_is_kept),
        cmocka_unit_test(the_latest_piece_grows_in_place),
        cmocka_unit_test(the_latest_piece_gives_back_what_it_does_not_need),
        cmocka_unit_test(what_was_taken_since_a_mark_is_forgotten),
        cmocka_unit_test(text_is_copied_and_formatted),
        cmocka_unit_test(failing_allocations_are_survived),
        cmocka_unit_test(allocations_are_counted_and_fail_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
