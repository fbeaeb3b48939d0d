/* SPDX-License-Identifier: Apache-2.0 */
/* A ModelConfig in JSON is the same configuration as its config.pbtxt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/triton.h"

static struct gal_arena arena;
static struct gal_err err;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 20, 64 << 20);
    gal_err_clear(&err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

/* The configuration as text, NUL-terminated; the arena's. */
static const char *read_by(bool is_json, const char *text)
{
    static struct gal_model_config config;
    struct gal_buf out;
    const char *shown;
    gal_model_config_init(&config);
    if ((is_json ? gal_triton_read_json : gal_triton_read)(gal_str_of(text), "config", "m", "m",
                                                           &config, &arena, &err) ||
        gal_model_config_settle(&config, (struct gal_str){NULL, 0}, &err))
        fail_msg("%s\n%s: %s", text, err.place, err.message);
    gal_buf_init(&out, 1 << 20);
    gal_model_config_json(&out, &config);
    shown = gal_arena_strdup(&arena, gal_buf_str(&out));
    gal_buf_release(&out);
    assert_non_null(shown);
    return shown;
}

static void both_syntaxes_say_the_same(void **state)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "{}"},
        {"max_batch_size: 8", "{\"max_batch_size\":8}"},
        {"max_batch_size: 8", "{\"maxBatchSize\":\"8\"}"},
        {"name: \"m\" platform: \"onnxruntime_onnx\"",
         "{\"name\":\"m\",\"platform\":\"onnxruntime_onnx\",\"backend\":null}"},
        {"max_batch_size: 16 dynamic_batching { preferred_batch_size: [ 4, 8 ] "
         "max_queue_delay_microseconds: 250 preserve_ordering: true priority_levels: 2 "
         "default_priority_level: 1 "
         "priority_queue_policy { key: 1 value { timeout_action: DELAY max_queue_size: 7 } } }",
         "{\"maxBatchSize\":16,\"dynamicBatching\":{\"preferredBatchSize\":[4,8],"
         "\"maxQueueDelayMicroseconds\":\"250\",\"preserveOrdering\":true,\"priorityLevels\":2,"
         "\"defaultPriorityLevel\":1,"
         "\"priorityQueuePolicy\":{\"1\":{\"timeoutAction\":\"DELAY\",\"maxQueueSize\":7}}}}"},
        {"version_policy { specific { versions: [ 1, 3 ] } }",
         "{\"version_policy\":{\"specific\":{\"versions\":[1,\"3\"]}}}"},
        {"instance_group [ { count: 2 kind: KIND_CPU }, { count: 1 } ]",
         "{\"instance_group\":[{\"count\":2,\"kind\":\"KIND_CPU\",\"gpus\":[]},{\"count\":1}]}"},
        {"input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 4 ] reshape { shape: [ 4, -1 ] } } "
         "output { name: \"y\" data_type: TYPE_STRING dims: 1 }",
         "{\"input\":[{\"name\":\"x\",\"dataType\":\"TYPE_FP32\",\"dims\":[\"-1\",4],"
         "\"reshape\":{\"shape\":[4,-1]}}],\"output\":[{\"name\":\"y\","
         "\"data_type\":\"TYPE_STRING\",\"dims\":[1],\"label_filename\":\"\"}]}"},
        {"parameters { key: \"intra_op_thread_count\" value { string_value: \"3\" } }",
         "{\"parameters\":{\"intra_op_thread_count\":{\"string_value\":\"3\"}}}"},
        {"optimization { graph { level: 1 } } response_cache { enable: true }",
         "{\"optimization\":{\"graph\":{\"level\":1}},\"responseCache\":{\"enable\":true}}"},
        {"model_warmup { name: \"w\" batch_size: 2 inputs { key: \"x\" value { data_type: "
         "TYPE_FP32 "
         "dims: 4 zero_data: true } } }",
         "{\"model_warmup\":[{\"name\":\"w\",\"batch_size\":2,\"inputs\":{\"x\":{\"data_type\":"
         "\"TYPE_FP32\",\"dims\":[4],\"zero_data\":true}}}]}"},
        {"", "{\"model_repository_agents\":{\"agents\":[]},\"metric_tags\":{},\"batch_input\":[]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(read_by(false, rows[i].text), read_by(true, rows[i].json));
}

static void what_is_wrong_is_said_with_its_path(void **state)
{
    static const struct {
        const char *json;
        enum gal_status status;
        const char *place, *message;
    } rows[] = {
        {"", GAL_INVALID, "config", "nothing"},
        {"7", GAL_INVALID, "config", "number"},
        {"{\"a\"}", GAL_INVALID, "config:1:5", "invalid JSON"},
        {"{\"maxBatchSise\":1}", GAL_INVALID, "config.maxBatchSise", "no field"},
        {"{\"max_batch_size\":1.5}", GAL_INVALID, "config.max_batch_size", "whole number"},
        {"{\"max_batch_size\":\"0x\"}", GAL_INVALID, "config.max_batch_size", "whole number"},
        {"{\"max_batch_size\":\"8\\u0000\"}", GAL_INVALID, "config.max_batch_size", "whole number"},
        {"{\"max_batch_size\":[8]}", GAL_INVALID, "config.max_batch_size", "no list"},
        {"{\"maxBatchSize\":1,\"max_batch_size\":1}", GAL_INVALID, "config.max_batch_size",
         "twice"},
        {"{\"name\":\"other\"}", GAL_INVALID, "config.name", "other"},
        {"{\"name\":7}", GAL_INVALID, "config.name", "text"},
        {"{\"input\":[{\"name\":\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":[1]},{\"name\":\"x\","
         "\"data_type\":\"TYPE_FP32\",\"dims\":[1]}]}",
         GAL_INVALID, "config.input[1]", "twice"},
        {"{\"input\":[{\"name\":\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":[1,0]}]}", GAL_INVALID,
         "config.input[0].dims[1]", "no size"},
        {"{\"parameters\":{\"k\":{\"string_value\":3}}}", GAL_INVALID,
         "config.parameters.k.string_value", "text"},
        {"{\"sequence_batching\":{\"max_sequence_idle_microseconds\":5}}", GAL_UNSUPPORTED,
         "config.sequence_batching", "not supported"},
        {"{\"ensembleScheduling\":{}}", GAL_UNSUPPORTED, "config.ensembleScheduling",
         "not supported"},
        {"{\"output\":[{\"name\":\"y\",\"data_type\":\"TYPE_FP32\",\"dims\":[1],"
         "\"label_filename\":\"../secret\"}]}",
         GAL_INVALID, "config.output[0].label_filename", "model's directory"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct gal_model_config config;
        gal_model_config_init(&config);
        enum gal_status status = gal_triton_read_json(gal_str_of(rows[i].json), "config", "m", "m",
                                                      &config, &arena, &err);
        if (status != rows[i].status || strcmp(err.place, rows[i].place) != 0 ||
            strstr(err.message, rows[i].message) == NULL)
            fail_msg("%s: %s at '%s': %s", rows[i].json, gal_status_name(status), err.place,
                     err.message);
    }
}

static void its_size_and_depth_are_bounded(void **state)
{
    static char text[GAL_PBTXT_BYTES_MAX + 2];
    static struct gal_model_config config;
    (void)state;
    gal_model_config_init(&config);
    memset(text, ' ', sizeof text - 1);
    assert_int_equal(
        gal_triton_read_json(gal_str_of(text), "config", "m", "m", &config, &arena, &err),
        GAL_TOO_LARGE);
    memset(text, '[', 100);
    text[100] = '\0';
    assert_int_equal(
        gal_triton_read_json(gal_str_of(text), "config", "m", "m", &config, &arena, &err),
        GAL_INVALID);
    assert_non_null(strstr(err.message, "deeper"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_syntaxes_say_the_same),
        TEST(what_is_wrong_is_said_with_its_path),
        TEST(its_size_and_depth_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
