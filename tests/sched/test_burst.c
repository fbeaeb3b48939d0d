/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/burst.h"

/* So many looks, before each of which there is a call of so many bytes (0: none). */
static unsigned looks(struct gal_burst *b, unsigned count, size_t bytes)
{
    unsigned over = 0;
    for (unsigned i = 0; i < count; i++) {
        if (bytes)
            gal_burst_note(b, bytes, 1);
        over += gal_burst_is_over(b);
    }
    return over;
}

static void a_burst_is_over_when_three_looks_have_found_calls_small(void **state)
{
    (void)state;
    struct gal_burst b = {0};
    assert_int_equal(looks(&b, 10, 0), 0); /* nothing has come */
    assert_int_equal(looks(&b, 10, 99), 0);
    assert_int_equal(looks(&b, 5, 9999), 0);
    assert_int_equal(looks(&b, GAL_BURST_LOOKS - 1, 99), 0);
    assert_int_equal(looks(&b, 1, 99), 1);
    assert_int_equal(looks(&b, 100, 99), 0); /* once for each burst */
    assert_int_equal(looks(&b, 1, 9999), 0);
    assert_int_equal(looks(&b, 100, 0), 1); /* silence will do */
}

static void bursts_that_come_again_soon_are_waited_out(void **state)
{
    (void)state;
    struct gal_burst b = {0};
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(looks(&b, 1, 9999), 0);
        assert_int_equal(looks(&b, GAL_BURST_LOOKS - 1, 99), 0);
    }
}

static void calls_that_are_about_as_large_as_ever_are_no_burst(void **state)
{
    (void)state;
    struct gal_burst b = {0};
    assert_int_equal(looks(&b, 10, 9999), 0); /* large ones alone, one seldom, then none */
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(looks(&b, 1, 9999) + looks(&b, 10, 0), 0);
    assert_int_equal(looks(&b, 10, 2500), 0); /* a fourth */
    assert_int_equal(looks(&b, GAL_BURST_LOOKS, 2400), 1);
}

static void many_rows_are_a_burst_where_no_small_call_has_come(void **state)
{
    (void)state;
    struct gal_burst b = {0};
    gal_burst_note(&b, 8000, 2);
    assert_int_equal(looks(&b, 10, 0), 0);
    gal_burst_note(&b, 80000, 20);
    assert_int_equal(looks(&b, 10, 0), 1);
    struct gal_burst maps = {0}; /* inputs whose bytes are not known */
    gal_burst_note(&maps, 0, 100);
    assert_int_equal(looks(&maps, 10, 0), 1);
}

static void the_next_burst_is_measured_by_what_was_kept(void **state)
{
    (void)state;
    struct gal_burst b = {0};
    assert_int_equal(looks(&b, 1, 99), 0);
    assert_int_equal(looks(&b, 1, 99999), 0);
    assert_int_equal(looks(&b, GAL_BURST_LOOKS, 9999), 1);
    assert_int_equal(looks(&b, 10, 9999), 0);
    assert_int_equal(looks(&b, GAL_BURST_LOOKS, 99), 1); /* these were a burst themselves */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_over_when_three_looks_have_found_calls_small),
        cmocka_unit_test(bursts_that_come_again_soon_are_waited_out),
        cmocka_unit_test(calls_that_are_about_as_large_as_ever_are_no_burst),
        cmocka_unit_test(many_rows_are_a_burst_where_no_small_call_has_come),
        cmocka_unit_test(the_next_burst_is_measured_by_what_was_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
