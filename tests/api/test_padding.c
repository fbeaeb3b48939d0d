/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of many lengths to a model that is padded, over ONNX Runtime: the answers are those of
 * the same model unpadded, though what fills the gaps would show in them. */
#include "api/desk.h"
#include "backend/onnx.h"
#include "base/file.h"
#include "support/onnx_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct desk_model models[] = {{"padded", "1", NULL}, {"plain", "1", NULL}};
static struct desk d;

/* each = tokens + tokens, [batch,sequence]; mean of the tokens that the mask keeps, [batch,1].
 * */
static const char *masked_mean(void)
{
    static const int64_t one = 1;
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "tokens", ONNX_FLOAT, "batch,sequence");
    onnx_input(&m, "mask", ONNX_FLOAT, "batch,sequence");
    onnx_output(&m, "each", ONNX_FLOAT, "batch,sequence");
    onnx_output(&m, "mean", ONNX_FLOAT, "batch,1");
    onnx_initializer(&m, "one", ONNX_INT64, "1", &one, sizeof one, NULL);
    onnx_node(&m, "", "Add", "tokens,tokens", "each");
    onnx_node(&m, "", "Mul", "tokens,mask", "kept");
    onnx_node(&m, "", "ReduceSum", "kept,one", "sum");
    onnx_node(&m, "", "ReduceSum", "mask,one", "count");
    onnx_node(&m, "", "Div", "sum,count", "mean");
    return onnx_model_write(&m, "mean.onnx");
}

static enum gal_status load(size_t index, const char *file, const struct gal_padding *padding)
{
    struct gal_model_options options = {.ops = &gal_backend_onnx, .clock = &d.clock};
    struct gal_buf bytes;
    gal_model_config_init(&options.config);
    options.config.mode = GAL_SCHED_INLINE;
    options.config.workers = 1;
    if (padding) {
        options.config.padding[0] = *padding;
        options.config.padding_count = 1;
    }
    assert_int_equal(gal_file_read(file, 1 << 20, &bytes, NULL), GAL_OK);
    FILE *copy = fopen(d.models[index]->path, "w");
    assert_non_null(copy);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, copy), bytes.n);
    fclose(copy);
    gal_buf_release(&bytes);
    return gal_model_load(d.models[index], &options, NULL);
}

static int start(void **state)
{
    (void)state;
    struct gal_padding padding = {.axis = GAL_STR("sequence"),
                                  .buckets = {4, 8, 12},
                                  .bucket_count = 3,
                                  .value = 7,
                                  .mask = GAL_STR("mask")};
    desk_open(&d, models, 2, false);
    assert_int_equal(load(0, masked_mean(), &padding), GAL_OK);
    assert_int_equal(load(1, masked_mean(), NULL), GAL_OK);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

static void put_numbers(struct gal_buf *b, unsigned rows, unsigned length, bool is_mask)
{
    for (unsigned i = 0; i < rows * length; i++)
        gal_buf_printf(b, "%s%u", i > 0 ? "," : "", is_mask ? 1 : (i * 37 + length) % 50);
}

static int ask(const char *model, unsigned rows, unsigned length, unsigned mask_length)
{
    struct gal_buf body;
    char path[64];
    gal_buf_init(&body, 1 << 20);
    gal_buf_printf(
        &body,
        "{\"inputs\":[{\"name\":\"tokens\",\"datatype\":\"FP32\",\"shape\":[%u,%u],\"data\":[",
        rows, length);
    put_numbers(&body, rows, length, false);
    gal_buf_printf(&body,
                   "]},{\"name\":\"mask\",\"datatype\":\"FP32\",\"shape\":[%u,%u],\"data\":[", rows,
                   mask_length);
    put_numbers(&body, rows, mask_length, true);
    gal_buf_puts(&body, "]}]}");
    gal_buf_putc(&body, '\0');
    snprintf(path, sizeof path, "/v2/models/%s/infer", model);
    int status = desk_ask(&d, GAL_METHOD_POST, path, body.p);
    gal_buf_release(&body);
    return status;
}

static void a_padded_model_answers_as_the_plain_one(void **state)
{
    (void)state;
    for (unsigned rows = 1; rows <= 3; rows++) {
        for (unsigned length = 1; length <= 14; length++) {
            assert_int_equal(ask("plain", rows, length, length), 200);
            char *want = strdup(strstr(d.body.p, "\"outputs\""));
            desk_next(&d);
            int status = ask("padded", rows, length, length);
            const char *got = strstr(d.body.p, "\"outputs\"");
            if (status != 200 || !got || strcmp(got, want) != 0)
                fail_msg("%u rows of %u: %d %s, not %s", rows, length, status, d.body.p, want);
            free(want);
            desk_next(&d);
        }
    }
}

static void lengths_of_one_bucket_that_differ_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("padded", 1, 5, 6), 400);
    assert_non_null(strstr(d.body.p, "inputs 'tokens' and 'mask' differ on 'sequence': 5 and 6"));
    desk_next(&d);
    assert_int_equal(ask("padded", 1, 5, 5), 200);
    desk_next(&d);
}

static void a_model_without_the_axis_is_not_ready(void **state)
{
    (void)state;
    struct gal_padding padding = {.axis = GAL_STR("sequnce"), .buckets = {4}, .bucket_count = 1};
    struct desk_model more[] = {{"wrong", "1", NULL}};
    desk_open(&d, more, 1, false);
    assert_int_equal(load(0, masked_mean(), &padding), GAL_INVALID);
    assert_string_equal(d.models[0]->error.place, "padding of 'sequnce'");
    assert_non_null(strstr(d.models[0]->error.hint, "'sequence'"));
    desk_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_padded_model_answers_as_the_plain_one, start, stop),
        cmocka_unit_test_setup_teardown(lengths_of_one_bucket_that_differ_are_refused, start, stop),
        cmocka_unit_test(a_model_without_the_axis_is_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
