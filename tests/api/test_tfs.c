/* SPDX-License-Identifier: Apache-2.0 */
/* KServe v1 and TensorFlow Serving over models that double their inputs, also under memory that
 * fails; clients and documented examples are the wire tests'. */
#include "api/desk.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"one", "1", "input x FP32 [-1]\noutput y FP32 [-1]\n"},
    {"column", "1", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"},
    {"matrix", "1", "input x FP64 [-1,2]\noutput y FP64 [-1,2]\n"},
    {"whole", "1", "input x INT64 [2,2]\noutput y INT64 [2,2]\n"},
    {"mixed", "1",
     "input n INT32 [-1,1]\ninput t BYTES [-1,1]\noutput y INT32 [-1,1]\n"
     "output t_bytes BYTES [-1,1]\n"},
    {"choice", "1",
     "optional o FP32 [-1]\ninput x FP32 [-1]\noutput p FP32 [-1]\noutput y FP32 [-1]\n"},
    {"given", "1", "optional o FP32 [-1]\ninput x FP32 [-1]\noutput p FP32 [-1]\n"},
};

static struct desk d;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, sizeof(models) / sizeof(models[0]), false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

static const struct {
    const char *path, *body;
    int status;
    const char *answer; /* whole where it is 200, else a part */
} rows[] = {
    {"one:predict", "{\"instances\":[1,2.5]}", 200, "{\"predictions\":[2.0,5.0]}"},
    {"one:predict", "{\"instances\":[\"NaN\",\"-Infinity\"]}", 200,
     "{\"predictions\":[\"NaN\",\"-Infinity\"]}"},
    {"one:predict", "{\"instances\":[NaN]}", 400, "{\"error\":"},
    {"one:predict", "{\"instances\":[{\"x\":1},{\"x\":2}]}", 200, "{\"predictions\":[2.0,4.0]}"},
    {"one:predict", "{\"inputs\":[1]}", 200, "{\"outputs\":[2.0]}"},
    {"one:regress", "{\"examples\":[{\"x\":1}]}", 200, "{\"results\":[2.0]}"},
    {"one/labels/latest:regress", "{\"context\":{\"x\":3},\"examples\":[{}]}", 200,
     "{\"results\":[6.0]}"},
    {"one:regress", "{\"context\":{\"z\":3},\"examples\":[{\"x\":1}]}", 400,
     "'z' is no input of model 'one' (at context)"},
    {"one:regress", "{\"context\":[3],\"examples\":[{\"x\":1}]}", 400,
     "an object is expected, got array"},
    {"one:classify", "{\"examples\":[{\"x\":1}]}", 501, "no scores of classes"},
    {"column:predict", "{\"instances\":[1,2]}", 200, "{\"predictions\":[[2.0],[4.0]]}"},
    {"column:predict", "{\"instances\":[[1],[2]]}", 200, "{\"predictions\":[[2.0],[4.0]]}"},
    {"column:predict", "{\"instances\":[[1],2]}", 400, "an array of 1 is expected, got number"},
    {"matrix:predict", "{\"instances\":[[1,2],[3]]}", 400, "differ in length: 2 before, then 1"},
    {"matrix:predict", "{\"instances\":[[1,2,3]]}", 400, "Expected [-1,2], got [1,3]"},
    {"matrix:classify", "{\"examples\":[{\"x\":[1,2]}]}", 200,
     "{\"results\":[[[\"0\",2.0],[\"1\",4.0]]]}"},
    {"matrix:regress", "{\"examples\":[{\"x\":[1,2]}]}", 501, "one number a row"},
    {"whole:predict", "{\"inputs\":{\"x\":[[1,2],[3,4]]}}", 200, "{\"outputs\":[[2,4],[6,8]]}"},
    {"whole:predict", "{\"inputs\":[[1,2],[3,4.5]]}", 400, "{\"error\":"},
    {"mixed:predict", "{\"instances\":[{\"n\":2,\"t\":{\"b64\":\"YQ==\"}}]}", 200,
     "{\"predictions\":[{\"y\":[4],\"t_bytes\":[{\"b64\":\"YWE=\"}]}]}"},
    {"mixed:predict", "{\"inputs\":{\"n\":[[2]],\"t\":[[\"a\"]]}}", 200,
     "{\"outputs\":{\"y\":[[4]],\"t_bytes\":[[{\"b64\":\"YWE=\"}]]}}"},
    {"mixed:predict", "{\"instances\":[{\"n\":2}]}", 400,
     "input 't' is missing (at instances[0].t)"},
    {"mixed:predict", "{\"instances\":[1]}", 400, "has 2 inputs"},
    {"mixed:predict", "{\"inputs\":{\"n\":[1],\"n\":[1]}}", 400, "given twice"},
    {"choice:predict", "{\"instances\":[{\"x\":1},{\"x\":2}]}", 200, "{\"predictions\":[2.0,4.0]}"},
    {"choice:predict", "{\"instances\":[{\"x\":1,\"o\":3},{\"x\":2,\"o\":4}]}", 200,
     "{\"predictions\":[{\"p\":6.0,\"y\":2.0},{\"p\":8.0,\"y\":4.0}]}"},
    {"choice:predict", "{\"instances\":[{\"x\":1},{\"x\":2,\"o\":4}]}", 400,
     "input 'o' is missing here, and there in another row (at instances[0].o)"},
    {"choice:predict", "{\"instances\":[{\"x\":1,\"o\":3},{\"x\":2}]}", 400, "(at instances[1].o)"},
    {"given:regress", "{\"context\":{\"o\":3},\"examples\":[{\"x\":1},{\"x\":2,\"o\":4}]}", 200,
     "{\"results\":[6.0,8.0]}"},
    {"given:regress", "{\"examples\":[{\"x\":1},{\"x\":2,\"o\":4}]}", 400, "(at examples[0].o)"},
    {"given:regress", "{\"context\":{\"o\":\"a\"},\"examples\":[{\"x\":1}]}", 400,
     "(at examples[0].o)"},
    {"mixed:explain", "{}", 501, "no explainer"},
    {"mixed/labels/stable:predict", "{}", 404, "unknown version label 'stable'"},
};

static int ask(size_t i)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/models/%s", rows[i].path);
    return desk_ask(&d, GAL_METHOD_POST, path, rows[i].body);
}

static void check(size_t i, int status)
{
    if (status != rows[i].status || strstr(d.body.p, rows[i].answer) == NULL ||
        (status == 200 && strcmp(d.body.p, rows[i].answer) != 0))
        fail_msg("%s %s: %d %s", rows[i].path, rows[i].body, status, d.body.p);
}

static void requests_become_tensors_and_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check(i, ask(i));
        desk_next(&d);
    }
}

static void every_failing_allocation_ends_in_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (uint64_t n = 1;; n++) {
            int status;

            gal_arena_release(&d.x.arena);
            gal_arena_init(&d.x.arena, 64, 0, 1 << 20);
            gal_alloc_fail_at(n, 1);
            status = ask(i);
            gal_alloc_fail_at(0, 0);
            if (status == rows[i].status)
                check(i, status);
            else
                assert_true(status == 503 || status == 500);
            desk_next(&d);
            if (status == rows[i].status && n > 40)
                break;
            assert_true(n < 1000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_become_tensors_and_come_back),
        cmocka_unit_test(every_failing_allocation_ends_in_an_answer),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
