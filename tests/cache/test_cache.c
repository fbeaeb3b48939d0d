/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept, for how long, and what makes room; whatever the hash says. */
#include "cache/parts.h"

#include "base/digest.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND_US 1000000u

static struct gal_cache *cache;
static struct gal_cache_model *model;
static uint64_t now_us = 1000;

/* Every key looks like every other. */
static struct gal_hash128 no_hash(struct gal_str s, uint64_t seed)
{
    (void)s;
    (void)seed;
    return (struct gal_hash128){7, 7};
}

/* Half of them, in each half of the hash. */
static struct gal_hash128 bad_hash(struct gal_str s, uint64_t seed)
{
    struct gal_hash128 h = gal_hash128(s, seed);
    return (struct gal_hash128){h.lo & 1, h.hi & 1};
}

static void open_cache(size_t bytes_max,
                       struct gal_hash128 (*hash)(struct gal_str s, uint64_t seed))
{
    const struct gal_cache_options o = {.bytes_max = bytes_max, .hash = hash, .shards = 1};

    assert_int_equal(gal_cache_new(&o, &cache, NULL), GAL_OK);
    model = gal_cache_model(cache, 0, "m", "1");
    assert_non_null(model);
}

static void close_cache(void)
{
    gal_cache_check(cache);
    gal_cache_free(cache);
}

/* Asks; on a miss answers with `n` floats from `answer` on, kept for ttl_us. True: it was a hit. */
static bool ask_of(struct gal_cache_model *m, struct gal_str key, float answer, size_t n,
                   uint64_t ttl_us)
{
    struct gal_cache_ask ask = {.model = m, .key = key};
    struct gal_cache_entry *e;
    struct part p;
    bool hit = gal_cache_ask(cache, &ask, now_us) == GAL_CACHE_HIT;

    if (hit) {
        if (!part_is(&ask.entry->outputs[0], answer, n) || !gal_str_eq(ask.entry->key, key))
            fail_msg("the answer to another key");
        gal_cache_entry_unref(ask.entry);
    } else {
        assert_int_equal(ask.answer, GAL_CACHE_LEAD);
        assert_int_equal(gal_cache_entry_new(key, part_make(&p, answer, n), 1, &e, NULL), GAL_OK);
        gal_cache_settle(cache, &ask, e, ttl_us, now_us);
        gal_cache_entry_unref(e);
    }
    gal_cache_check(cache);
    return hit;
}

static bool ask(const char *key, float answer)
{
    return ask_of(model, gal_str_of(key), answer, 4, 0);
}

static size_t entry_size(void)
{
    struct part p;
    return gal_cache_entry_size(GAL_STR("a"), part_make(&p, 0, 4), 1);
}

static bool is_kept(const char *key)
{
    struct gal_cache_ask a = {.model = model, .key = gal_str_of(key)};

    if (gal_cache_ask(cache, &a, now_us) == GAL_CACHE_HIT) {
        gal_cache_entry_unref(a.entry);
        return true;
    }
    gal_cache_give_up(cache, &a);
    return false;
}

static void an_answer_is_found_by_its_key(void **state)
{
    struct gal_cache_stats s;

    (void)state;
    open_cache(1 << 20, NULL);
    assert_false(ask("a", 1));
    assert_false(ask("b", 2));
    assert_true(ask("a", 1));
    assert_true(ask("b", 2));
    gal_cache_stats(cache, &s);
    assert_int_equal(s.entries, 2);
    assert_int_equal(s.bytes, 2 * entry_size());
    close_cache();
}

static void models_do_not_answer_for_each_other(void **state)
{
    struct gal_cache_model *other;

    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        open_cache(1 << 20, bad ? no_hash : NULL);
        other = gal_cache_model(cache, 1, "m", "1"); /* the same name after a reload */
        assert_false(ask_of(model, GAL_STR("a"), 1, 4, 0));
        assert_false(ask_of(other, GAL_STR("a"), 2, 4, 0));
        assert_true(ask_of(model, GAL_STR("a"), 1, 4, 0));
        assert_true(ask_of(other, GAL_STR("a"), 2, 4, 0));
        assert_ptr_equal(gal_cache_model(cache, 1, "m", "1"), other);
        assert_null(gal_cache_find_model(cache, 2));
        assert_null(gal_cache_model(cache, GAL_CACHE_MODELS_MAX, "m", "1"));
        close_cache();
    }
}

static void the_least_recently_used_makes_room(void **state)
{
    struct gal_cache_stats s;

    (void)state;
    open_cache(3 * entry_size(), NULL);
    ask("a", 1);
    ask("b", 2);
    ask("c", 3);
    assert_true(ask("a", 1)); /* b is the oldest now */
    ask("d", 4);
    assert_false(is_kept("b"));
    assert_true(is_kept("c"));
    ask("e", 5); /* a was asked for before d and c */
    assert_false(is_kept("a"));
    assert_true(is_kept("c"));
    assert_true(is_kept("d"));
    assert_true(is_kept("e"));
    gal_cache_stats(cache, &s);
    assert_int_equal(s.evictions, 2);
    assert_int_equal(s.bytes, 3 * entry_size());
    close_cache();
}

static void an_answer_that_is_held_outlives_its_place(void **state)
{
    struct gal_cache_ask a = {.key = GAL_STR("a")};

    (void)state;
    open_cache(entry_size(), NULL);
    a.model = model;
    ask("a", 1);
    assert_int_equal(gal_cache_ask(cache, &a, now_us), GAL_CACHE_HIT);
    ask("b", 2);
    assert_false(is_kept("a"));
    close_cache();
    assert_true(part_is(&a.entry->outputs[0], 1, 4));
    gal_cache_entry_unref(a.entry);
}

static void an_answer_lives_as_long_as_it_was_told(void **state)
{
    struct gal_cache_stats s;
    const uint64_t start_us = now_us;

    (void)state;
    open_cache(1 << 20, NULL);
    ask_of(model, GAL_STR("a"), 1, 4, SECOND_US);
    ask_of(model, GAL_STR("b"), 1, 4, UINT64_MAX); /* beyond the end of time */
    now_us = start_us + SECOND_US - 1;
    assert_true(ask("a", 1));
    now_us = start_us + SECOND_US;
    assert_false(ask_of(model, GAL_STR("a"), 9, 4, SECOND_US)); /* computed anew */
    assert_true(ask("a", 9));
    now_us += SECOND_US;
    assert_false(is_kept("a"));
    gal_cache_stats(cache, &s);
    assert_int_equal(s.expirations, 2);
    assert_int_equal(s.evictions, 0);
    assert_int_equal(s.entries, 1);
    now_us = UINT64_MAX - 1;
    assert_true(is_kept("b"));
    now_us = start_us;
    close_cache();
}

static void what_does_not_fit_is_not_kept(void **state)
{
    struct gal_cache_stats s;

    (void)state;
    open_cache(entry_size(), NULL);
    ask("a", 1);
    assert_false(ask_of(model, GAL_STR("big"), 1, PART_FLOATS, 0));
    assert_false(is_kept("big"));
    assert_true(is_kept("a")); /* nothing had to go for it */
    gal_cache_stats(cache, &s);
    assert_int_equal(s.evictions, 0);
    close_cache();
    open_cache(0, NULL);
    assert_false(ask("a", 1));
    assert_false(ask("a", 1));
    close_cache();
}

static void a_version_that_is_gone_is_forgotten(void **state)
{
    struct gal_cache_model *other;
    struct gal_cache_stats s;

    (void)state;
    open_cache(1 << 20, bad_hash);
    other = gal_cache_model(cache, 1, "m", "2");
    ask_of(model, GAL_STR("a"), 1, 4, 0);
    ask_of(model, GAL_STR("b"), 1, 4, 0);
    ask_of(other, GAL_STR("a"), 2, 4, 0);
    gal_cache_forget(cache, 0);
    gal_cache_forget(cache, 77); /* has never asked */
    gal_cache_check(cache);
    gal_cache_model_stats(model, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(s.bytes, 0);
    assert_true(ask_of(other, GAL_STR("a"), 2, 4, 0));
    assert_false(ask_of(model, GAL_STR("a"), 1, 4, 0)); /* its last requests are not kept */
    assert_false(ask_of(model, GAL_STR("a"), 1, 4, 0));
    close_cache();
}

static void counts_are_claimed_once(void **state)
{
    struct gal_cache_claim c;

    (void)state;
    open_cache(2 * entry_size(), NULL);
    gal_cache_count(model, GAL_CACHE_HITS, 3);
    ask("a", 1);
    gal_cache_claim(model, &c);
    assert_int_equal(c.n[GAL_CACHE_HITS], 3);
    assert_true(c.entries == 1 && c.bytes == (double)entry_size());
    gal_cache_claim(model, &c);
    assert_int_equal(c.n[GAL_CACHE_HITS], 0);
    assert_true(c.entries == 0 && c.bytes == 0);
    gal_cache_forget(cache, 0);
    gal_cache_claim(model, &c);
    assert_true(c.entries == -1 && c.bytes == -(double)entry_size());
    close_cache();
}

/* The answer to key k is made of k, so a wrong one is seen. */
static void play(struct gal_hash128 (*hash)(struct gal_str s, uint64_t seed), size_t bytes_max,
                 uint64_t seed, unsigned steps)
{
    struct gal_rng rng = {{seed, 1, 2, 3}};
    struct gal_cache_model *models[2];
    struct gal_cache_stats s;
    char key[64];

    open_cache(bytes_max, hash);
    models[0] = model;
    models[1] = gal_cache_model(cache, 1, "m", "2");
    for (unsigned i = 0; i < steps; i++) {
        unsigned k = (unsigned)(gal_rng_next(&rng) % 40), m = (unsigned)(gal_rng_next(&rng) % 2);
        int n = snprintf(key, sizeof(key), "%0*u", (int)(1 + k % 20), k);

        ask_of(models[m], (struct gal_str){key, (size_t)n}, (float)(k * 100 + m), 1 + k % 50,
               k % 3 == 0 ? 50 : 0);
        now_us += gal_rng_next(&rng) % 10;
        gal_cache_stats(cache, &s);
        if (s.bytes > bytes_max)
            fail_msg("seed %u: %zu bytes in a cache of %zu", (unsigned)seed, s.bytes, bytes_max);
    }
    assert_true(s.evictions > 0 && s.expirations > 0);
    close_cache();
}

static void no_collision_gives_a_wrong_answer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        play(no_hash, 6000, seed, 500);
        play(bad_hash, 6000, seed, 500);
    }
}

static void the_bound_holds_at_every_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        play(NULL, 4000 + 97 * seed, seed, 1000);
}

static void shards_share_the_bound(void **state)
{
    const struct gal_cache_options o = {.bytes_max = 16000, .shards = 4};
    struct gal_cache_stats s;
    char key[16];

    (void)state;
    assert_int_equal(gal_cache_new(&o, &cache, NULL), GAL_OK);
    model = gal_cache_model(cache, 0, "m", "1");
    for (unsigned i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_false(ask(key, (float)i));
        gal_cache_stats(cache, &s);
        assert_true(s.bytes <= 16000);
    }
    assert_true(s.bytes > 12000);
    close_cache();
}

static void failing_allocations_cost_nothing_but_the_answer(void **state)
{
    const struct gal_cache_options o = {.bytes_max = 1 << 20, .shards = 4};
    struct gal_cache_entry *e;
    struct part p;
    bool done = false;

    (void)state;
    for (unsigned at = 1; !done; at++) {
        enum gal_status st;
        gal_alloc_fail_at(at, 1);
        st = gal_cache_new(&o, &cache, NULL);
        model = st == GAL_OK ? gal_cache_model(cache, 3, "m", "1") : NULL;
        if (model != NULL) {
            st = gal_cache_entry_new(GAL_STR("a"), part_make(&p, 1, 4), 1, &e, NULL);
            done = st == GAL_OK;
            if (done)
                gal_cache_entry_unref(e);
        }
        gal_alloc_fail_at(0, 0);
        if (cache != NULL && model == NULL) /* the same once more, with memory */
            assert_non_null(gal_cache_model(cache, 3, "m", "1"));
        assert_true(done || st == GAL_NO_MEMORY || cache != NULL);
        gal_cache_free(cache);
        assert_true(at < 100);
    }
}

static void a_hit_allocates_nothing(void **state)
{
    uint64_t before;

    (void)state;
    open_cache(1 << 20, NULL);
    ask("a", 1);
    before = gal_alloc_count();
    for (int i = 0; i < 100; i++)
        assert_true(ask("a", 1));
    assert_int_equal(gal_alloc_count(), before);
    close_cache();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_by_its_key),
        cmocka_unit_test(models_do_not_answer_for_each_other),
        cmocka_unit_test(the_least_recently_used_makes_room),
        cmocka_unit_test(an_answer_that_is_held_outlives_its_place),
        cmocka_unit_test(an_answer_lives_as_long_as_it_was_told),
        cmocka_unit_test(what_does_not_fit_is_not_kept),
        cmocka_unit_test(a_version_that_is_gone_is_forgotten),
        cmocka_unit_test(counts_are_claimed_once),
        cmocka_unit_test(no_collision_gives_a_wrong_answer),
        cmocka_unit_test(the_bound_holds_at_every_step),
        cmocka_unit_test(shards_share_the_bound),
        cmocka_unit_test(failing_allocations_cost_nothing_but_the_answer),
        cmocka_unit_test(a_hit_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
