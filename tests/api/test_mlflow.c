/* SPDX-License-Identifier: Apache-2.0 */
/* /invocations under memory that fails, and the choice of media types; the forms of requests and
 * the sentences about wrong ones are the wire tests'. */
#include "api/desk.h"
#include "api/media.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"wide", "1",
     "input v FP32 [-1,3]\noutput w FP32 [-1,3]\nmeta feature_names [\"a\",\"b\",\"c\"]\n"},
};

static struct desk d;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, 1, false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

static const struct {
    const char *type, *accept, *body, *answer;
} good[] = {
    {"application/json", "",
     "{\"dataframe_split\":{\"columns\":[\"b\",\"a\",\"c\"],\"data\":[[2,1,3]]}}",
     "{\"predictions\":[{\"w\":[2.0,4.0,6.0]}]}"},
    {"application/json", "", "{\"dataframe_records\":[{\"c\":3,\"a\":1,\"b\":2}]}",
     "{\"predictions\":[{\"w\":[2.0,4.0,6.0]}]}"},
    {"application/json", "", "{\"inputs\":{\"a\":[1],\"b\":[[2]],\"c\":[3]}}",
     "{\"predictions\":{\"w\":[[2.0,4.0,6.0]]}}"},
    {"application/json", "text/csv", "{\"inputs\":{\"v\":[1,2,3]}}", "2.0,4.0,6.0\n"},
    {"text/csv", "", "c,b,a\n3,\"2\",1\n", "{\"predictions\":[{\"w\":[2.0,4.0,6.0]}]}"},
    {"text/csv;header=absent", "text/csv", "1,2,3\n4,5,6", "2.0,4.0,6.0\n8.0,10.0,12.0\n"},
    {"application/jsonlines", "", "{\"features\":[1,2,3]}\n\n[4,5,6]",
     "{\"predictions\":{\"w\":[[2.0,4.0,6.0],[8.0,10.0,12.0]]}}"},
};

static int ask(size_t i)
{
    d.req.known[GAL_HDR_CONTENT_TYPE] = gal_str_of(good[i].type);
    if (good[i].accept[0] != '\0')
        d.req.known[GAL_HDR_ACCEPT] = gal_str_of(good[i].accept);
    return desk_ask(&d, GAL_METHOD_POST, "/invocations", good[i].body);
}

static void every_form_is_answered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ask(i), 200);
        assert_string_equal(d.body.p, good[i].answer);
        desk_next(&d);
    }
}

static void every_failing_allocation_ends_in_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (uint64_t n = 1;; n++) {
            int status;

            gal_arena_release(&d.x.arena);
            gal_arena_init(&d.x.arena, 64, 0, 1 << 20);
            gal_alloc_fail_at(n, 1);
            status = ask(i);
            gal_alloc_fail_at(0, 0);
            if (status == 200)
                assert_string_equal(d.body.p, good[i].answer);
            else
                assert_true(status == 503 || status == 500);
            desk_next(&d);
            if (status == 200 && n > 40)
                break;
            assert_true(n < 1000);
        }
    }
}

static void the_best_liked_type_is_chosen(void **state)
{
    static const char *const types[] = {"application/json", "text/csv", NULL};
    static const struct {
        const char *accept;
        size_t index;
    } rows[] = {{"", 9},
                {"text/csv", 1},
                {"TEXT/CSV", 1},
                {"text/*", 1},
                {"*/*", 0},
                {"image/png", 9},
                {"text/csv;q=0", 9},
                {"text/csv;q=0.3, application/json;q=0.31", 0},
                {"application/json;q=0.999, text/csv", 1},
                {"text/csv , application/json", 1},
                {";;,,", 9}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(gal_media_choose(gal_str_of(rows[i].accept), types, 9), rows[i].index);
}

static void parameters_of_a_type_are_found(void **state)
{
    struct gal_str rest,
        type = gal_media_type(GAL_STR(" text/csv ; header=\"absent\"; a=b=c"), &rest);

    (void)state;
    assert_true(gal_str_is(type, "text/csv"));
    assert_true(gal_str_is(gal_media_parameter(rest, "HEADER"), "absent"));
    assert_true(gal_str_is(gal_media_parameter(rest, "a"), "b=c"));
    assert_null(gal_media_parameter(rest, "b").p);
    assert_true(gal_media_is_json(GAL_STR("application/vnd.x+JSON")));
    assert_false(gal_media_is_json(GAL_STR("+json")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_answered),
        cmocka_unit_test(every_failing_allocation_ends_in_an_answer),
        cmocka_unit_test(the_best_liked_type_is_chosen),
        cmocka_unit_test(parameters_of_a_type_are_found),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
