/* SPDX-License-Identifier: Apache-2.0 */
/* The steps tokenize and pool: columns that they make, what they refuse, columns from before the
 * model, failing memory. */
#include "package/steps.h"

#include "base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define VOCAB "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n##b\n"

#define NFKC                                                                                       \
    "{\"version\":\"1.0\",\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":"         \
    "\"Whitespace\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[PAD]" \
    "\":0,"                                                                                        \
    "\"[UNK]\":1,\"a\":2}}}"
#define LIGATURE "\xef\xb7\xba" /* U+FDFA: 18 points when it is taken apart */

static struct gal_arena arena;
static struct gal_err err;
static const int64_t matrix[] = {-1, 2}, row[] = {-1};
static const struct gal_column text[] = {{.name = {"text", 4}, .dtype = GAL_DT_BYTES},
                                         {.name = {"n", 1}, .dtype = GAL_DT_FP32}};
static const struct gal_column behind[] = {
    {.name = {"hidden", 6}, .dtype = GAL_DT_FP32, .rank = 2, .shape = matrix},
    {.name = {"attention_mask", 14}, .dtype = GAL_DT_INT64, .rank = 1, .shape = row, .aside = true},
    {.name = {"text", 4}, .dtype = GAL_DT_BYTES, .aside = true}};

static enum gal_status file_of(struct gal_str name, struct gal_str *out, void *ctx,
                               struct gal_err *e)
{
    (void)ctx;
    bool is_json = gal_str_is(name, "tokenizer.json");
    *out = is_json ? GAL_STR(NFKC) : GAL_STR(VOCAB);
    return is_json || gal_str_is(name, "vocab.txt") ? GAL_OK : gal_fail(e, GAL_NOT_FOUND, "none");
}

static int start(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_err_clear(&err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static enum gal_status compile(const char *list, enum gal_steps_place place, struct gal_steps **out)
{
    const struct gal_steps_context context = {
        .path = "galley.yaml", .place = place, .file = file_of};
    bool before = place == GAL_STEPS_BEFORE;
    struct gal_yaml *yaml;
    enum gal_status st = gal_yaml_parse(gal_str_of(list), "galley.yaml", &arena, &yaml, &err);

    return st == GAL_OK ? gal_steps_compile(yaml, before ? text : behind, before ? 2 : 3, &context,
                                            &arena, out, &err)
                        : st;
}

static enum gal_status tokenize(const char *list, const struct gal_str *texts, size_t rows,
                                struct gal_value *out)
{
    static const float numbers[8];
    int64_t shape = (int64_t)rows;
    const struct gal_value in[] = {{.tensor = {{0}, GAL_DT_BYTES, 1, &shape, rows, texts}},
                                   {.tensor = {{0}, GAL_DT_FP32, 1, &shape, rows, numbers}}};
    struct gal_steps *s;
    enum gal_status st = compile(list, GAL_STEPS_BEFORE, &s);

    return st == GAL_OK ? gal_steps_run(s, in, &arena, out, &err) : st;
}

static void a_text_becomes_three_columns(void **state)
{
    static const struct gal_str texts[] = {{"ab a", 4}, {"", 0}};
    static const int64_t ids[] = {2, 4, 6, 4, 3, 2, 3, 0, 0, 0};
    static const int64_t mask[] = {1, 1, 1, 1, 1, 1, 1, 0, 0, 0};
    struct gal_value out[5];
    struct gal_steps *s;
    const struct gal_column *columns;
    size_t count;

    (void)state;
    assert_int_equal(tokenize("- tokenize: {feature: text, file: vocab.txt}", texts, 2, out),
                     GAL_OK);
    assert_int_equal(out[2].tensor.shape[0], 2);
    assert_int_equal(out[2].tensor.shape[1], 5);
    assert_memory_equal(out[2].tensor.data, ids, sizeof(ids));
    assert_memory_equal(out[3].tensor.data, mask, sizeof(mask));
    assert_int_equal(
        tokenize("- tokenize: {feature: text, file: vocab.txt, max_length: 3, multiple: 4, "
                 "pad_token: b}",
                 texts, 1, out),
        GAL_OK);
    assert_memory_equal(out[2].tensor.data, ((const int64_t[]){2, 4, 3, 5}), 4 * sizeof(int64_t));
    assert_int_equal(
        compile("- tokenize: {feature: text, file: vocab.txt, ids: i, mask: m, types: t}",
                GAL_STEPS_BEFORE, &s),
        GAL_OK);
    columns = gal_steps_columns(s, &count);
    assert_int_equal(count, 5);
    assert_true(gal_str_is(columns[2].name, "i") && gal_str_is(columns[4].name, "t"));
    assert_true(gal_steps_pads(s));
    assert_int_equal(tokenize("- tokenize: {feature: text, file: vocab.txt}", NULL, 0, out),
                     GAL_OK);
    assert_int_equal(out[2].tensor.count, 0);
}

static void mistakes_are_told_with_their_line(void **state)
{
    static const struct {
        const char *list, *message;
        enum gal_steps_place place;
    } wrong[] = {
        {"- tokenize: {feature: n, file: vocab.txt}", "tokenize takes texts", GAL_STEPS_BEFORE},
        {"- tokenize: {feature: text}", "tokenize needs `file`", GAL_STEPS_BEFORE},
        {"- tokenize: {feature: text, file: x.json}", "tokenize: the package holds no file x.json",
         GAL_STEPS_BEFORE},
        {"- tokenize: {feature: text, file: vocab.txt, length: 0}",
         "tokenize: `length` is from 1 to", GAL_STEPS_BEFORE},
        {"- tokenize: {feature: text, file: vocab.txt}", "the step 'tokenize' stands in `before`",
         GAL_STEPS_AFTER},
        {"- pool: {output: hidden}", "the step 'pool' stands in `after`", GAL_STEPS_BEFORE},
        {"- pool: {output: attention_mask}", "pool takes rows of [tokens, values]",
         GAL_STEPS_AFTER},
        {"- pool: {output: hidden, mask: text}", "pool takes numbers", GAL_STEPS_AFTER},
        {"- pool: {output: hidden, mask: hidden}", "pool: a row of the mask 'hidden'",
         GAL_STEPS_AFTER},
        {"- pool: {output: hidden, type: INT64}", "pool makes floats", GAL_STEPS_AFTER},
    };
    struct gal_steps *s;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        gal_err_clear(&err);
        assert_int_equal(compile(wrong[i].list, wrong[i].place, &s), GAL_INVALID);
        if (strncmp(err.message, wrong[i].message, strlen(wrong[i].message)) != 0)
            fail_msg("%s\nsays: %s", wrong[i].list, err.message);
        assert_string_equal(err.place, "galley.yaml:1");
    }
}

static void a_text_that_cannot_be_read_is_told_by_its_row(void **state)
{
    static const struct gal_str texts[] = {{"a", 1}, {"\xff", 1}};
    struct gal_value out[5];

    (void)state;
    assert_int_equal(tokenize("- tokenize: {feature: text, file: vocab.txt}", texts, 2, out),
                     GAL_INVALID);
    assert_string_equal(err.place, "text[1]");
}

static enum gal_status pooled(const char *list, const float *hidden, const int64_t *mask,
                              struct gal_value **out)
{
    static const int64_t shapes[3][3] = {{2, 3, 2}, {2, 3}, {2}};
    static const struct gal_str texts[2];
    const struct gal_value in[] = {{.tensor = {{0}, GAL_DT_FP32, 3, shapes[0], 12, hidden}},
                                   {.tensor = {{0}, GAL_DT_INT64, 2, shapes[1], 6, mask}},
                                   {.tensor = {{0}, GAL_DT_BYTES, 1, shapes[2], 2, texts}}};
    struct gal_steps *s;
    size_t count;
    enum gal_status st = compile(list, GAL_STEPS_AFTER, &s);

    if (st != GAL_OK)
        return st;
    (void)gal_steps_columns(s, &count);
    assert_int_equal(count, 1); /* what was there before the model is not answered */
    *out = gal_arena_array(&arena, 4, sizeof(**out));
    return *out == NULL ? gal_arena_fail(&arena, sizeof(**out), "a test", &err)
                        : gal_steps_run(s, in, &arena, *out, &err);
}

static const float *pool(const char *list, const float *hidden, const int64_t *mask)
{
    struct gal_value *out;

    assert_int_equal(pooled(list, hidden, mask, &out), GAL_OK);
    assert_int_equal(out[0].tensor.rank, 2);
    assert_int_equal(out[0].tensor.shape[1], 2);
    return out[0].tensor.data;
}

static void what_the_mask_leaves_out_does_not_count(void **state)
{
    static const float hidden[] = {1, 2, 3, 6, 100, NAN, 5, 5, 7, 7, 8, 8};
    static const int64_t mask[] = {1, 1, 0, 0, 0, 0};
    const float *v = pool("- pool: {output: hidden}", hidden, mask);

    (void)state;
    assert_true(v[0] == 2 && v[1] == 4 && v[2] == 0 && v[3] == 0);
    v = pool("- pool: {output: hidden, method: max}", hidden, mask);
    assert_true(v[0] == 3 && v[1] == 6 && v[2] == -1e9f);
    v = pool("- pool: {output: hidden, method: cls}", hidden, mask);
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 5 && v[3] == 5);
}

/* 0: WordPiece of a vocabulary; 1: points that grow beyond the room that was made, then one that is
 * composed; 2: pool. */
static enum gal_status run_case(unsigned which)
{
    static const struct gal_str words[] = {{"ab a b b b b", 12}, {"", 0}};
    static const float hidden[12];
    static const int64_t mask[6];
    static char grown[64 * 3 + 4];
    struct gal_value out[5], *pools;
    struct gal_str texts[] = {{grown, sizeof(grown) - 1}};

    if (which == 2)
        return pooled("- pool: {output: hidden}", hidden, mask, &pools);
    if (which == 0)
        return tokenize("- tokenize: {feature: text, file: vocab.txt}", words, 2, out);
    for (size_t i = 0; i < 64; i++)
        memcpy(grown + 3 * i, LIGATURE, 3);
    memcpy(grown + sizeof(grown) - 4, "e\xcc\x81", 3);
    return tokenize("- tokenize: {feature: text, file: tokenizer.json}", texts, 1, out);
}

static void every_failing_allocation_is_an_error(void **state)
{
    for (unsigned which = 0; which < 3; which++) {
        enum gal_status st = GAL_NO_MEMORY;

        for (uint64_t i = 1; st != GAL_OK; i++) {
            assert_true(i < 500);
            stop(state);
            gal_arena_init(&arena, 128, 0, 64u << 20);
            gal_err_clear(&err);
            gal_alloc_fail_at(i, 1);
            st = run_case(which);
            gal_alloc_fail_at(0, 0);
            if (st != GAL_OK && st != GAL_NO_MEMORY)
                fail_msg("%u: %s", which, err.message);
            assert_true(st == GAL_OK || err.message[0] != '\0');
        }
    }
    /* An arena that is full, at every size. */
    for (size_t max = 16384;; max += 512) {
        stop(state);
        gal_arena_init(&arena, 128, 0, max);
        gal_err_clear(&err);
        if (run_case(1) == GAL_OK)
            break;
        assert_true(max < (8u << 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_text_becomes_three_columns, start, stop),
        cmocka_unit_test_setup_teardown(mistakes_are_told_with_their_line, start, stop),
        cmocka_unit_test_setup_teardown(a_text_that_cannot_be_read_is_told_by_its_row, start, stop),
        cmocka_unit_test_setup_teardown(what_the_mask_leaves_out_does_not_count, start, stop),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_an_error, start, stop),
    };

    return cmocka_run_group_tests_name("step_tokens", tests, NULL, NULL);
}
