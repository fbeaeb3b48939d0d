/* SPDX-License-Identifier: Apache-2.0 */
/* Histogram, arrivals, sweeps, objectives, summaries: the arithmetic of a benchmark. */
#include "load/objective.h"
#include "load/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#define VALUES 20000

static struct gal_histogram h, h2;

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* --- histogram --- */

static void check_quantiles(uint64_t *values, size_t count)
{
    static const double shares[] = {0, 0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 0.99999, 1};

    gal_histogram_clear(&h);
    for (size_t i = 0; i < count; i++)
        gal_histogram_add(&h, values[i]);
    qsort(values, count, sizeof *values, by_value);
    assert_int_equal(h.count, count);
    assert_int_equal(h.min, values[0]);
    assert_int_equal(h.max, values[count - 1]);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        double rank = ceil(shares[i] * (double)count);
        uint64_t exact = values[rank < 1 ? 0 : (size_t)rank - 1];
        uint64_t got = gal_histogram_quantile(&h, shares[i]);
        if (fabs((double)got - (double)exact) > (double)exact * 0.001)
            fail_msg("share %g of %zu: %llu instead of %llu", shares[i], count,
                     (unsigned long long)got, (unsigned long long)exact);
    }
}

static void quantiles_are_within_a_thousandth_of_the_exact_ones(void **state)
{
    static uint64_t values[VALUES];
    struct gal_random r;

    (void)state;
    gal_random_init(&r, 7);
    for (unsigned bits = 1; bits < 42; bits += 5) { /* even within a power of two */
        for (size_t i = 0; i < VALUES; i++)
            values[i] = gal_random_next(&r) >> (64 - bits);
        check_quantiles(values, VALUES);
    }
    for (size_t i = 0; i < VALUES; i++) /* over nine orders of magnitude */
        values[i] = (uint64_t)pow(10, gal_random_unit(&r) * 9);
    check_quantiles(values, VALUES);
    check_quantiles(values, 1);
    check_quantiles(values, 2);
}

static void every_value_lies_in_a_cell_that_holds_it(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 43; bit++) {
        for (int off = -1; off <= 1; off++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)off;
            gal_histogram_clear(&h);
            gal_histogram_add(&h, value);
            gal_histogram_add(&h, value);
            assert_int_equal(gal_histogram_count_to(&h, value), 2);
            assert_int_equal(gal_histogram_quantile(&h, 0.5), value); /* min and max bound it */
            if (value > 1024 && value < UINT64_C(1) << 42)
                assert_int_equal(gal_histogram_count_to(&h, value - value / 256), 0);
        }
    }
}

static void values_beyond_the_last_cell_keep_their_maximum(void **state)
{
    (void)state;
    gal_histogram_clear(&h);
    gal_histogram_add(&h, UINT64_MAX);
    gal_histogram_add(&h, 3);
    assert_int_equal(gal_histogram_quantile(&h, 1), UINT64_MAX);
    assert_int_equal(gal_histogram_quantile(&h, 0.5), 3);
}

static void an_empty_histogram_says_0(void **state)
{
    (void)state;
    gal_histogram_clear(&h);
    assert_int_equal(gal_histogram_quantile(&h, 0.99), 0);
    assert_true(gal_histogram_mean(&h) == 0);
}

static void add_cell(uint64_t low, uint64_t high, uint64_t count, void *ctx)
{
    uint64_t *sum = ctx;
    assert_true(low <= high && count > 0);
    *sum += count;
}

static void merging_is_adding_both(void **state)
{
    uint64_t sum = 0;

    (void)state;
    gal_histogram_clear(&h);
    gal_histogram_clear(&h2);
    for (uint64_t i = 1; i <= 100; i++)
        gal_histogram_add(i % 2 ? &h : &h2, i * 1000);
    gal_histogram_merge(&h, &h2);
    assert_int_equal(h.count, 100);
    assert_int_equal(h.min, 1000);
    assert_int_equal(h.max, 100000);
    assert_true(gal_histogram_mean(&h) == 50500);
    gal_histogram_each(&h, add_cell, &sum);
    assert_int_equal(sum, 100);
}

/* --- arrivals --- */

static void poisson_gaps_have_the_mean_and_variance_of_their_rate(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct gal_arrivals a;
        double sum = 0, squares = 0;
        uint64_t last = 5, longest = 0;
        const int n = 50000;
        gal_arrivals_init(&a, GAL_ARRIVALS_POISSON, 10000, seed, 5);
        for (int i = 0; i < n; i++) {
            uint64_t at = gal_arrivals_next(&a), gap = at - last;
            assert_true(at >= last);
            sum += (double)gap;
            squares += (double)gap * (double)gap;
            longest = gap > longest ? gap : longest;
            last = at;
        }
        double mean = sum / n, variance = squares / n - mean * mean;
        assert_true(fabs(mean - 100000) < 2500); /* five standard errors */
        assert_true(fabs(sqrt(variance) - 100000) < 6000);
        assert_true(longest > 700000); /* exponential: a long tail */
    }
}

static void a_seed_gives_the_same_arrivals_again_and_another_does_not(void **state)
{
    struct gal_arrivals a, b, c;
    int equal = 0;

    (void)state;
    gal_arrivals_init(&a, GAL_ARRIVALS_POISSON, 1000, 1, 0);
    gal_arrivals_init(&b, GAL_ARRIVALS_POISSON, 1000, 1, 0);
    gal_arrivals_init(&c, GAL_ARRIVALS_POISSON, 1000, 2, 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t at = gal_arrivals_next(&a);
        assert_int_equal(at, gal_arrivals_next(&b));
        equal += at == gal_arrivals_next(&c);
    }
    assert_true(equal < 5);
}

static void constant_arrivals_do_not_drift(void **state)
{
    struct gal_arrivals a;
    uint64_t at = 0;

    (void)state;
    gal_arrivals_init(&a, GAL_ARRIVALS_CONSTANT, 3, 1, 1000); /* a third of a second has no end */
    for (int i = 0; i < 3000; i++)
        at = gal_arrivals_next(&a);
    assert_in_range(at, 1000u + 999999999000u, 1000u + 1000000001000u);
}

/* --- sweeps --- */

static void check_sweep(const char *text, const uint64_t *want, size_t count)
{
    struct gal_sweep s;
    struct gal_err err;

    if (gal_sweep_parse(gal_str_of(text), 1, 100000, &s, &err) != GAL_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(s.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(s.at[i], want[i]);
}

static void sweeps_are_lists_doublings_and_steps(void **state)
{
    (void)state;
    check_sweep("8", (const uint64_t[]){8}, 1);
    check_sweep("1,2,4,8..64", (const uint64_t[]){1, 2, 4, 8, 16, 32, 64}, 7);
    check_sweep("8..50", (const uint64_t[]){8, 16, 32, 50}, 4);
    check_sweep("5..5", (const uint64_t[]){5}, 1);
    check_sweep("1000:5000:2k", (const uint64_t[]){1000, 3000, 5000}, 3);
    check_sweep("1:6:2", (const uint64_t[]){1, 3, 5}, 3);
    check_sweep("10k,1:1:1", (const uint64_t[]){10000, 1}, 2);
}

static void what_is_no_sweep_says_why(void **state)
{
    static const char *const wrong[] = {"",
                                        ",",
                                        "1,",
                                        "x",
                                        "0",
                                        "1..0",
                                        "9..1",
                                        "..",
                                        "1..",
                                        "1:2",
                                        "1:2:0",
                                        "5:1:1",
                                        "1:9:1:",
                                        "-1",
                                        "1.5",
                                        "100001",
                                        "101k",
                                        "k",
                                        "1 ",
                                        "1:2:3:4",
                                        "1..2..3",
                                        "1:1000:1",
                                        "99999999999999999999",
                                        "18446744073709551615M"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_sweep s;
        struct gal_err err;
        if (gal_sweep_parse(gal_str_of(wrong[i]), 1, 100000, &s, &err) == GAL_OK)
            fail_msg("'%s' is taken", wrong[i]);
        assert_true(err.message[0] && err.hint[0]);
    }
}

static void a_step_that_would_overflow_ends(void **state)
{
    struct gal_sweep s;

    (void)state;
    assert_int_equal(gal_sweep_parse(GAL_STR("18446744073709551610:18446744073709551615:4"), 1,
                                     UINT64_MAX, &s, NULL),
                     GAL_OK);
    assert_int_equal(s.count, 2);
    assert_int_equal(gal_sweep_parse(GAL_STR("9223372036854775809..18446744073709551615"), 1,
                                     UINT64_MAX, &s, NULL),
                     GAL_OK);
    assert_int_equal(s.count, 2);
}

/* --- objectives, summaries --- */

static struct gal_load_result result;

static void make_result(void)
{
    memset(&result, 0, sizeof result);
    gal_histogram_clear(&result.latency);
    gal_histogram_clear(&result.service);
    gal_histogram_clear(&result.delay);
    for (uint64_t i = 1; i <= 1000; i++)
        gal_histogram_add(&result.latency, i * 10000); /* 10 us .. 10 ms */
    result.measured_ns = 2000000000;
    result.done_ok = 998;
    result.bytes_in = 4000;
    result.counts.by_status[200] = 990;
    result.counts.by_status[201] = 10;
    result.counts.by_status[429] = 5;
    result.counts.unanswered = 2;
    result.counts.unsent = 3;
    result.counts.offered = 1010;
}

static void a_summary_has_the_figures_of_its_result(void **state)
{
    struct gal_load_summary s = {0};

    (void)state;
    make_result();
    gal_summary_fill(&s, &result, 4);
    assert_int_equal(s.ok, 1000);
    assert_int_equal(s.failed, 10);
    assert_true(s.rate == 499 && s.rows_rate == 1996 && s.bytes_in == 2000);
    assert_in_range(s.latency.p50, 4995000, 5005000);
    assert_in_range(s.latency.p999, 9980000, 10000000);
    assert_int_equal(s.latency.max, 10000000);
    assert_in_range((uint64_t)s.curve[16], 8990000, 9010000); /* one nine */
    assert_true(fabs(gal_curve_share(32) - 0.99) < 1e-12);
    result.measured_ns = 0; /* stopped at once */
    gal_summary_fill(&s, &result, 1);
    assert_true(s.rate == 0 && s.bytes_in == 0);
}

static void objectives_are_kept_or_missed(void **state)
{
    static const struct {
        const char *text;
        bool kept;
    } cases[] = {{"p50=6ms", true},    {"p50=4ms", false},     {"p99.9=10ms", true},
                 {"max=9.9ms", false}, {"mean=5.1ms", true},   {"mean=5000us", false},
                 {"errors=1%", true},  {"errors=0.9%", false}, {"errors=0.01", true},
                 {"rate=499", true},   {"rate=500", false},    {"p99=0.01s", true}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gal_load_summary s = {0};
        struct gal_objectives o;
        make_result();
        gal_summary_fill(&s, &result, 1);
        assert_int_equal(gal_objectives_parse(gal_str_of(cases[i].text), &o, NULL), GAL_OK);
        if (gal_objective_kept(&o.at[0], &s) != cases[i].kept)
            fail_msg("%s: %g", cases[i].text, gal_objective_value(&o.at[0], &s));
    }
}

static void without_a_good_answer_no_latency_is_kept(void **state)
{
    struct gal_load_summary s = {0};
    struct gal_objectives o;

    (void)state;
    assert_int_equal(gal_objectives_parse(GAL_STR("p99=1s,errors=99%,rate=1"), &o, NULL), GAL_OK);
    assert_int_equal(o.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(gal_objective_kept(&o.at[i], &s));
}

static void what_is_no_objective_says_why(void **state)
{
    static const char *const wrong[] = {
        "",         "p99",       "p99=",   "p98=1ms",   "p99=5",    "p99=0ms",  "p99=1.2.3s",
        "errors=2", "errors=x%", "rate=x", "p99=1ms,,", "p99=-1ms", "rate=5/s", "p99=1m"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_objectives o;
        struct gal_err err;
        enum gal_status status = gal_objectives_parse(gal_str_of(wrong[i]), &o, &err);
        if (status == GAL_OK)
            fail_msg("'%s' is taken", wrong[i]);
        assert_true(err.message[0] && err.hint[0]);
    }
}

static void ratios_are_of_pairs(void **state)
{
    static const double a[] = {2, 6, 4, 0, 9}, b[] = {1, 2, 4, 7, 0};
    struct gal_ratio r;

    (void)state;
    gal_ratio_of(a, b, 5, &r);
    assert_int_equal(r.pairs, 3);
    assert_true(r.median == 2 && r.low == 1 && r.high == 3);
    gal_ratio_of(a, b, 2, &r);
    assert_true(r.median == 2.5);
    gal_ratio_of(a, b, 0, &r);
    assert_int_equal(r.pairs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_a_thousandth_of_the_exact_ones),
        cmocka_unit_test(every_value_lies_in_a_cell_that_holds_it),
        cmocka_unit_test(values_beyond_the_last_cell_keep_their_maximum),
        cmocka_unit_test(an_empty_histogram_says_0),
        cmocka_unit_test(merging_is_adding_both),
        cmocka_unit_test(poisson_gaps_have_the_mean_and_variance_of_their_rate),
        cmocka_unit_test(a_seed_gives_the_same_arrivals_again_and_another_does_not),
        cmocka_unit_test(constant_arrivals_do_not_drift),
        cmocka_unit_test(sweeps_are_lists_doublings_and_steps),
        cmocka_unit_test(what_is_no_sweep_says_why),
        cmocka_unit_test(a_step_that_would_overflow_ends),
        cmocka_unit_test(a_summary_has_the_figures_of_its_result),
        cmocka_unit_test(objectives_are_kept_or_missed),
        cmocka_unit_test(without_a_good_answer_no_latency_is_kept),
        cmocka_unit_test(what_is_no_objective_says_why),
        cmocka_unit_test(ratios_are_of_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
