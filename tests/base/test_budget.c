/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/budget.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#define KIB ((size_t)1024)
#define FREE ((size_t)GAL_BUDGET_FREE_BYTES)

static void a_charge_stops_at_the_bound(void **state)
{
    (void)state;
    struct gal_budget b = {.max = 1000};
    assert_true(gal_budget_charge(&b, 600));
    assert_true(gal_budget_fits(&b, 400));
    assert_false(gal_budget_fits(&b, 401));
    assert_false(gal_budget_charge(&b, 401));
    assert_false(gal_budget_charge(&b, SIZE_MAX));
    assert_true(gal_budget_charge(&b, 400));
    assert_true(gal_budget_charge(&b, 0));
    assert_int_equal(b.used, 1000);
    gal_budget_release(&b, 1000);
    assert_int_equal(b.used, 0);
}

static void without_a_bound_everything_fits_and_is_counted(void **state)
{
    (void)state;
    struct gal_budget b = {.max = 0};
    assert_true(gal_budget_charge(&b, (size_t)1 << 40));
    assert_int_equal(b.used, (uint64_t)1 << 40);
    assert_false(gal_budget_is_tight(&b));
    assert_true(gal_budget_charge(NULL, SIZE_MAX));
    assert_true(gal_budget_fits(NULL, SIZE_MAX));
    assert_false(gal_budget_is_tight(NULL));
    gal_budget_release(NULL, 1);
}

static void a_bound_that_is_lowered_takes_nothing_away(void **state)
{
    (void)state;
    struct gal_budget b = {.max = 1000};
    assert_true(gal_budget_charge(&b, 800));
    b.max = 100;
    assert_false(gal_budget_charge(&b, 1));
    assert_true(gal_budget_is_tight(&b));
    gal_budget_release(&b, 750);
    assert_true(gal_budget_charge(&b, 50));
    assert_false(gal_budget_charge(&b, 1));
}

static void a_buffer_charges_what_it_owns(void **state)
{
    (void)state;
    struct gal_budget budget = {.max = 1024 * KIB};
    struct gal_buf b;
    gal_buf_init(&b, SIZE_MAX / 2);
    b.budget = &budget;
    assert_non_null(gal_buf_reserve(&b, FREE));
    assert_int_equal(budget.used, 0); /* small ones are free */
    for (size_t n = 0; gal_buf_reserve(&b, n); n += 1000) {
        b.n = n;
        assert_int_equal(budget.used, gal_budget_counts(b.cap));
    }
    assert_true(b.failed && b.starved);
    assert_int_equal(budget.used, gal_budget_counts(b.cap)); /* as it was */
    gal_buf_clear(&b, b.cap);
    assert_false(b.failed || b.starved);
    assert_int_equal(budget.used, gal_budget_counts(b.cap));
    gal_buf_clear(&b, 0);
    assert_int_equal(budget.used, 0);
    assert_ptr_equal(b.budget, &budget);
    gal_buf_init(&b, 10);
    b.budget = &budget;
    assert_null(gal_buf_reserve(&b, 11));
    assert_true(b.failed && !b.starved); /* its own maximum */
    gal_buf_release(&b);
}

static void an_arena_charges_its_blocks(void **state)
{
    (void)state;
    struct gal_budget budget = {.max = 8192 * KIB};
    struct gal_arena a;
    struct gal_err err;
    gal_arena_init(&a, FREE, 2048 * KIB, SIZE_MAX);
    a.budget = &budget;
    assert_non_null(gal_arena_alloc(&a, 1));
    assert_int_equal(budget.used, 0);
    assert_non_null(gal_arena_alloc(&a, 1024 * KIB));
    assert_int_equal(budget.used, gal_budget_counts(1024 * KIB));
    assert_non_null(gal_arena_alloc(&a, 6144 * KIB));
    uint64_t before = budget.used;
    assert_null(gal_arena_alloc(&a, 2048 * KIB));
    assert_int_equal(budget.used, before);
    assert_int_equal(gal_arena_fail(&a, 2048 * KIB, "a tensor", &err), GAL_NO_MEMORY);
    assert_non_null(strstr(err.message, "other requests have taken"));
    assert_non_null(strstr(err.hint, "max_request_memory"));
    budget.max = before;
    assert_non_null(gal_arena_small(&a, 1000));  /* to say so */
    assert_null(gal_arena_alloc(&a, 200 * KIB)); /* but little */
    assert_int_equal(budget.used, before);
    gal_arena_clear(&a); /* keeps the block of 1 MiB and what goes with it */
    assert_int_equal(budget.used, gal_budget_counts(1024 * KIB));
    gal_arena_release(&a);
    assert_int_equal(budget.used, 0);
}

static void memory_that_runs_out_leaves_no_charge(void **state)
{
    (void)state;
    struct gal_budget budget = {.max = 0};
    for (uint64_t i = 1;; i++) {
        struct gal_arena a;
        struct gal_buf b;
        gal_arena_init(&a, 128 * KIB, 4096 * KIB, SIZE_MAX);
        gal_buf_init(&b, SIZE_MAX / 2);
        a.budget = b.budget = &budget;
        gal_alloc_fail_at(i, 1);
        bool done = gal_arena_alloc(&a, 1) && gal_arena_alloc(&a, 512 * KIB) &&
                    gal_buf_reserve(&b, 256 * KIB) && gal_buf_reserve(&b, 1024 * KIB);
        gal_arena_clear(&a);
        gal_alloc_fail_at(0, 0);
        gal_arena_release(&a);
        gal_buf_release(&b);
        assert_int_equal(budget.used, 0);
        if (done && i > 5)
            break;
    }
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 20000, MOST = 1000 };
static struct gal_budget shared;
static _Atomic uint64_t held, refusals;

static void *charge_on(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t bytes = (size_t)(seed >> 33) % 600 + 1;
        if (!gal_budget_charge(&shared, bytes)) {
            refusals++;
            continue;
        }
        /* What is held is counted behind the charge, and no more before the release. */
        if (atomic_fetch_add(&held, bytes) + bytes > MOST)
            return &shared;
        atomic_fetch_sub(&held, bytes);
        gal_budget_release(&shared, bytes);
    }
    return NULL;
}

static void threads_never_pass_the_bound_together(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    shared.max = MOST;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, charge_on, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        if (wrong)
            fail_msg("the bound was passed");
    }
    assert_int_equal(shared.used, 0);
    assert_true(gal_budget_charge(&shared, MOST)); /* as at the start */
    gal_budget_release(&shared, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_charge_stops_at_the_bound),
        cmocka_unit_test(without_a_bound_everything_fits_and_is_counted),
        cmocka_unit_test(a_bound_that_is_lowered_takes_nothing_away),
        cmocka_unit_test(a_buffer_charges_what_it_owns),
        cmocka_unit_test(an_arena_charges_its_blocks),
        cmocka_unit_test(memory_that_runs_out_leaves_no_charge),
        cmocka_unit_test(threads_never_pass_the_bound_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
