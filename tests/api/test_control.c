/* SPDX-License-Identifier: Apache-2.0 */
/* The index of models, base64, and what clients may set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "api/control.h"
#include "api/desk.h"
#include "api/trace_log.h"

#include <stdio.h>

static const struct gal_str nothing = {NULL, 0};

static void the_index_merges_what_is_served_with_what_is_known(void **state)
{
    static const struct desk_model models[] = {{"b", "1", NULL}, {"d", "2", NULL}};
    struct gal_repository *r = gal_repository_new();
    struct gal_index_row *rows;
    struct gal_err err;
    struct desk d;
    size_t count;

    (void)state;
    desk_open(&d, models, 2, false);
    d.api.repository = r;
    for (const char *p = "ebca"; *p != '\0'; p++)
        assert_int_equal(gal_repository_note(r, (struct gal_str){p, 1}, GAL_STR("7"),
                                             GAL_INDEX_UNAVAILABLE, GAL_STR("unloaded")),
                         GAL_OK);
    assert_int_equal(gal_repository_note(r, GAL_STR("c"), nothing, GAL_INDEX_UNKNOWN, nothing),
                     GAL_OK);
    assert_int_equal(gal_control_index(&d.x, false, &rows, &count, &err), GAL_OK);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++)
        assert_true(rows[i].name.p[0] == (char)('a' + i));
    assert_int_equal(rows[0].state, GAL_INDEX_UNAVAILABLE);
    assert_true(gal_str_is(rows[0].version, "7") && gal_str_is(rows[0].reason, "unloaded"));
    assert_int_equal(rows[1].state, GAL_INDEX_LOADING); /* served stands above known */
    assert_int_equal(rows[2].state, GAL_INDEX_UNKNOWN);
    assert_int_equal(rows[2].version.n, 0);
    assert_int_equal(gal_control_index(&d.x, true, &rows, &count, &err), GAL_OK);
    assert_int_equal(count, 0);
    gal_repository_forget(r, GAL_STR("a"));
    gal_repository_forget(r, GAL_STR("x"));
    assert_false(gal_repository_knows(r, GAL_STR("a")));
    assert_true(gal_repository_knows(r, GAL_STR("e")));
    assert_int_equal(gal_control_allowed(&d.x, &err), GAL_UNAVAILABLE);
    for (size_t i = 0; i < GAL_MODELS_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "m%zu", i);
        (void)gal_repository_note(r, gal_str_of(name), nothing, GAL_INDEX_UNKNOWN, nothing);
    }
    assert_int_equal(gal_repository_note(r, GAL_STR("more"), nothing, GAL_INDEX_UNKNOWN, nothing),
                     GAL_TOO_LARGE);
    gal_repository_forget(r, GAL_STR("m0"));
    assert_int_equal(gal_repository_note(r, GAL_STR("more"), nothing, GAL_INDEX_UNKNOWN, nothing),
                     GAL_OK);
    assert_int_equal(gal_repository_note(r, GAL_STR("more"), nothing, GAL_INDEX_UNKNOWN, nothing),
                     GAL_OK);
    d.api.repository = NULL;
    desk_close(&d);
    gal_repository_free(r);
}

static void base64_is_taken_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text, *bytes; /* NULL: refused */
    } rows[] = {{"", ""},
                {"Zg==", "f"},
                {"Zm8=", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"Z", NULL},
                {"Zg=", NULL},
                {"Zg", NULL},
                {"Z===", NULL},
                {"====", NULL},
                {"Zg==Zg==", NULL},
                {"Zm9-", NULL},
                {"Zm\n9", NULL},
                {"+/+/", "\xfb\xff\xbf"}};
    struct gal_arena arena;
    struct gal_str out;

    (void)state;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        enum gal_status st = gal_base64_decode(gal_str_of(rows[i].text), &arena, &out, NULL);

        if (st != (rows[i].bytes != NULL ? GAL_OK : GAL_INVALID) ||
            (rows[i].bytes != NULL && !gal_str_is(out, rows[i].bytes)))
            fail_msg("%s", rows[i].text);
    }
    gal_arena_release(&arena);
}

static void a_refused_change_of_the_log_changes_nothing(void **state)
{
    struct gal_log log;
    const struct gal_log_setting off = {"log_info", GAL_LOG_FLAG, false, 0, {NULL, 0}},
                                 deep = {"log_verbose_level", GAL_LOG_NUMBER, false, 3, {NULL, 0}},
                                 format = {"log_format", GAL_LOG_TEXT, false, 0, {"console", 7}};
    struct gal_log_setting both[2] = {off, deep}, now[GAL_LOG_SETTINGS];
    struct gal_err err;

    (void)state;
    gal_log_init(&log, 2, GAL_LOG_INFO, GAL_LOG_JSON, false, NULL);
    assert_int_equal(gal_log_update(&log, both, 2, &err), GAL_INVALID);
    assert_int_equal(log.level, GAL_LOG_INFO);
    assert_int_equal(gal_log_update(&log, &off, 1, &err), GAL_OK);
    assert_int_equal(log.level, GAL_LOG_WARN);
    both[0].flag = true;
    assert_int_equal(gal_log_update(&log, both, 2, &err), GAL_OK);
    assert_int_equal(log.level, GAL_LOG_DEBUG);
    assert_int_equal(gal_log_update(&log, &format, 1, &err), GAL_OK);
    assert_int_equal(log.format, GAL_LOG_CONSOLE);
    gal_log_show(&log, now);
    assert_true(now[1].flag && now[4].number == 1 && gal_str_is(now[5].text, "console"));
}

static void a_refused_change_of_traces_changes_nothing(void **state)
{
    const struct gal_str values[] = {GAL_STR("5"), GAL_STR("TIMESTAMPS"), GAL_STR("x")};
    const struct gal_setting rate = {GAL_STR("trace_rate"), &values[0], 1},
                             level = {GAL_STR("trace_level"), &values[1], 1},
                             wrong = {GAL_STR("trace_count"), &values[2], 1},
                             clear = {GAL_STR("trace_rate"), NULL, 0};
    struct gal_setting two[2] = {rate, wrong}, *shown;
    struct gal_arena arena;
    struct gal_trace *t;
    struct gal_err err;
    size_t count;

    (void)state;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    assert_int_equal(gal_trace_new("", &t, &err), GAL_OK);
    assert_int_equal(gal_trace_update(t, nothing, two, 2, &err), GAL_INVALID);
    assert_string_equal(err.place, "trace_count");
    assert_int_equal(gal_trace_update(t, nothing, &level, 1, &err), GAL_INVALID); /* no file */
    assert_false(gal_trace_on(t));
    assert_int_equal(gal_trace_update(t, GAL_STR("m"), &rate, 1, &err), GAL_OK);
    assert_int_equal(gal_trace_show(t, nothing, &arena, &shown, &count, &err), GAL_OK);
    assert_true(gal_str_is(shown[2].key, "trace_rate"));
    assert_true(gal_str_is(shown[2].values[0], "1000"));
    assert_int_equal(gal_trace_show(t, GAL_STR("m"), &arena, &shown, &count, &err), GAL_OK);
    assert_true(gal_str_is(shown[2].values[0], "5"));
    assert_int_equal(gal_trace_update(t, GAL_STR("m"), &clear, 1, &err), GAL_OK);
    assert_int_equal(gal_trace_show(t, GAL_STR("m"), &arena, &shown, &count, &err), GAL_OK);
    assert_true(gal_str_is(shown[2].values[0], "1000"));
    gal_trace_free(t);
    gal_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_merges_what_is_served_with_what_is_known),
        cmocka_unit_test(base64_is_taken_whole_or_not_at_all),
        cmocka_unit_test(a_refused_change_of_the_log_changes_nothing),
        cmocka_unit_test(a_refused_change_of_traces_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
