/* SPDX-License-Identifier: Apache-2.0 */
#include "package/pattern.h"

#include "support/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool fits(const char *pattern, const char *text)
{
    struct gal_pattern *p;
    struct gal_err err;
    gal_arena_clear(&arena);
    if (gal_pattern_new(gal_str_of(pattern), &arena, &p, &err))
        fail_msg("%s: %s", pattern, err.message);
    return gal_pattern_fits(p, gal_str_of(text));
}

static void a_pattern_describes_whole_texts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *fit, *unfit; /* words, by '|' */
    } cases[] = {
        {"abc", "abc", "ab|abcd|xabc|"},
        {"^abc$", "abc", "ab|^abc$"},
        {"a\\$", "a$", "a"},
        {"[A-Z]{2}[0-9]{4}", "DE1234", "DE123|de1234|DE12345"},
        {"a*", "|a|aaa", "b|aab"},
        {"a+", "a|aa", "|b"},
        {"a?b", "b|ab", "aab|a"},
        {"(ab)+", "ab|abab", "aba|a"},
        {"(?:a|bc)*d", "d|abcd|bcad", "bd|abc"},
        {"x{2,3}", "xx|xxx", "x|xxxx"},
        {"x{2,}", "xx|xxxxx", "x"},
        {"(ab){0}c", "c", "abc"},
        {"a{0,2}", "|a|aa", "aaa"},
        {"[^abc]", "d|\xc3\xa4", "a|b|dd"},
        {"[a\\-z]+", "a-z", "b"},
        {".", "a|\xe2\x82\xac", "\n|ab"},
        {"\xc3\xa4+", "\xc3\xa4\xc3\xa4", "\xc3|a"},
        {"[\xc3\xa0-\xc3\xbc]+", "\xc3\xa4", "a|\xc3\xbf"},
        {"\\d+\\.\\d", "12.5", "12x5|12."},
        {"\\w+\\s\\w+", "ab cd", "ab  cd|ab-cd"},
        {"\\D\\W\\S", "a-b", "1-b|aab|a- "},
        {"[\\d_]+", "1_2", "a"},
        {"[^\\d]+", "ab", "a1"},
        {"a||b", "|a|b", "ab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int good = 0; good < 2; good++) {
            struct gal_str rest = gal_str_of(good ? cases[i].fit : cases[i].unfit), one;
            while (gal_str_cut(&rest, '|', &one)) {
                char text[64] = "";
                memcpy(text, one.p, one.n);
                if (fits(cases[i].pattern, text) != good)
                    fail_msg("%s, '%s': %s", cases[i].pattern, text, good ? "no" : "yes");
            }
        }
    }
}

static void what_is_no_pattern_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "(",   ")",   "a)",      "(a",          "[",         "[]",  "[a",     "[b-a]",   "[\\d-z]",
        "*",   "+a",  "?",       "{2}",         "a{",        "a{2", "a{3,2}", "a{256}",  "a{,2}",
        "a**", "a+?", "a{2}{2}", "\\",          "\\1",       "\\b", "(?=a)",  "(?<n>a)", "a^b",
        "a$b", "]",   "}",       "[[:alpha:]]", "[^\\d\\D]", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gal_pattern *p;
        struct gal_err err;
        gal_err_clear(&err);
        gal_arena_clear(&arena);
        if (gal_pattern_new(gal_str_of(bad[i]), &arena, &p, &err) != GAL_INVALID)
            fail_msg("taken: %s", bad[i]);
        assert_true(err.message[0] && !p);
    }
}

static void what_would_grow_without_bound_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"((((a{255}){255}){255}){255})", "(a|b)*a(a|b){20}",
                                      "(x{200}y{200}){20}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gal_pattern *p;
        struct gal_err err;
        gal_arena_clear(&arena);
        if (gal_pattern_new(gal_str_of(bad[i]), &arena, &p, &err) != GAL_TOO_LARGE)
            fail_msg("taken: %s", bad[i]);
    }
    assert_true(fits("[a-z]{1,255}", "abc"));
    /* where a matcher that tries one way after the other takes for ever */
    char text[2048];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(fits("(a*)*b", text));
    assert_false(fits("(a|aa)+b", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_describes_whole_texts),
        cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(what_would_grow_without_bound_is_refused),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
