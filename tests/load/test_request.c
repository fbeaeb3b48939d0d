/* SPDX-License-Identifier: Apache-2.0 */
/* From metadata to the bytes of a request, and what a server says of a step. */
#include "base/mem.h"
#include "load/request.h"
#include "load/stats.h"
#include "support/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

/* --- metadata --- */

static void metadata_names_the_inputs(void **state)
{
    struct gal_load_model m;

    (void)state;
    assert_int_equal(
        gal_meta_parse(GAL_STR("{\"name\":\"m\",\"versions\":[\"1\",\"2\"],\"inputs\":[{\"name\":"
                               "\"a\",\"datatype\":\"FP32\",\"shape\":[-1,3]},{\"name\":\"b\","
                               "\"datatype\":\"BYTES\",\"shape\":[]}]}"),
                       &arena, &m, NULL),
        GAL_OK);
    assert_true(gal_str_is(m.name, "m") && gal_str_is(m.version, "2"));
    assert_int_equal(m.input_count, 2);
    assert_int_equal(m.inputs[0].rank, 2);
    assert_int_equal(m.inputs[0].shape[0], -1);
    assert_int_equal(m.inputs[1].dtype, GAL_DT_BYTES);
    assert_int_equal(m.inputs[1].rank, 0);
}

static void metadata_of_grpc_names_the_inputs(void **state)
{
    static const char message[] = "\x0a\x01m\x12\x01"
                                  "1\x12\x01"
                                  "2\x1a\x04onnx"
                                  "\x22\x17\x0a\x01x\x12\x04"
                                  "FP32\x1a\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02"
                                  "\x22\x0e\x0a\x01y\x12\x05"
                                  "BYTES\x18\x07\x18\x08"
                                  "\x2a\x02\x0a\x00";
    const struct gal_str whole = {message, sizeof message - 1};
    struct gal_load_model m;

    (void)state;
    assert_int_equal(gal_meta_parse_grpc(whole, &arena, &m, NULL), GAL_OK);
    assert_true(gal_str_is(m.name, "m") && gal_str_is(m.version, "2"));
    assert_int_equal(m.input_count, 2);
    assert_true(gal_str_is(m.inputs[0].name, "x"));
    assert_int_equal(m.inputs[0].dtype, GAL_DT_FP32);
    assert_int_equal(m.inputs[0].rank, 2);
    assert_int_equal(m.inputs[0].shape[0], -1);
    assert_int_equal(m.inputs[0].shape[1], 300);
    assert_int_equal(m.inputs[1].dtype, GAL_DT_BYTES);
    assert_int_equal(m.inputs[1].rank, 2); /* not packed */
    assert_int_equal(m.inputs[1].shape[1], 8);
    for (size_t n = 0; n < whole.n; n++) { /* cut anywhere: an error, or fewer inputs */
        struct gal_err err;
        if (gal_meta_parse_grpc((struct gal_str){message, n}, &arena, &m, &err) == GAL_OK)
            assert_true(m.input_count <= 2 && m.name.n == 1);
        else
            assert_true(err.message[0] != '\0');
    }
    assert_int_equal(gal_meta_parse_grpc(GAL_STR("\x0a\x01m\x22\x02\x12\x00"), &arena, &m, NULL),
                     GAL_UNSUPPORTED);
}

static void a_repository_of_grpc_names_each_model_once(void **state)
{
    static const char message[] = "\x0a\x06\x0a\x01"
                                  "a\x12\x01"
                                  "1\x0a\x06\x0a\x01"
                                  "a\x12\x01"
                                  "2\x0a\x03\x0a\x01"
                                  "b";
    struct gal_str *names;
    size_t count;

    (void)state;
    assert_int_equal(gal_meta_names_grpc((struct gal_str){message, sizeof message - 1}, &arena,
                                         &names, &count, NULL),
                     GAL_OK);
    assert_int_equal(count, 2);
    assert_true(gal_str_is(names[0], "a") && gal_str_is(names[1], "b"));
    assert_int_equal(gal_meta_names_grpc(GAL_STR("\x0a\x06z"), &arena, &names, &count, NULL),
                     GAL_INVALID);
}

static void what_is_no_metadata_says_what_is_missing(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        "{\"name\":\"m\"}",
        "{\"name\":\"m\",\"inputs\":{}}",
        "{\"name\":\"m\",\"inputs\":[{\"name\":\"a\",\"shape\":[1]}]}",
        "{\"name\":\"m\",\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP31\",\"shape\":[1]}]}",
        "{\"name\":\"m\",\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\"}]}",
        "{\"name\":\"m\",\"inputs\":[{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[\"x\"]}]}",
        "{\"name\":\"m\",\"inputs\":[7]}"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_load_model m;
        struct gal_err err;
        if (gal_meta_parse(gal_str_of(wrong[i]), &arena, &m, &err) == GAL_OK)
            fail_msg("%s is taken", wrong[i]);
        assert_true(err.message[0] != '\0');
    }
}

static void lists_of_models_have_two_forms(void **state)
{
    struct gal_str *names;
    size_t count;

    (void)state;
    assert_int_equal(gal_meta_names(GAL_STR("{\"models\":[\"a\",{\"name\":\"b\"},7]}"), &arena,
                                    &names, &count, NULL),
                     GAL_OK);
    assert_int_equal(count, 2);
    assert_true(gal_str_is(names[1], "b"));
    assert_int_equal(gal_meta_names(GAL_STR("[{\"name\":\"x\",\"state\":\"READY\"}]"), &arena,
                                    &names, &count, NULL),
                     GAL_OK);
    assert_int_equal(count, 1);
    assert_int_equal(gal_meta_names(GAL_STR("{\"a\":1}"), &arena, &names, &count, NULL),
                     GAL_INVALID);
    assert_true(
        gal_meta_has_binary(GAL_STR("{\"extensions\":[\"x\",\"binary_tensor_data\"]}"), &arena));
    assert_false(gal_meta_has_binary(GAL_STR("{\"extensions\":[\"x\"]}"), &arena));
    assert_false(gal_meta_has_binary(GAL_STR("oh"), &arena));
}

static void shapes_are_sizes_with_an_x_between(void **state)
{
    static const char *const wrong[] = {"",       "a",    ":1",    "a:x",          "a:1x",
                                        "a:1xx2", "a:-1", "a:1,2", "a:99999999999"};
    int64_t shape[GAL_RANK_MAX];
    struct gal_str name;
    size_t rank;

    (void)state;
    assert_int_equal(gal_shape_spec_parse(GAL_STR("a:b:1x128"), &name, shape, &rank, NULL), GAL_OK);
    assert_true(gal_str_is(name, "a:b") && rank == 2 && shape[0] == 1 && shape[1] == 128);
    assert_int_equal(gal_shape_spec_parse(GAL_STR("a:"), &name, shape, &rank, NULL), GAL_OK);
    assert_int_equal(rank, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_err err;
        if (gal_shape_spec_parse(gal_str_of(wrong[i]), &name, shape, &rank, &err) == GAL_OK)
            fail_msg("'%s' is taken", wrong[i]);
    }
}

/* --- requests --- */

static struct gal_load_tensor make(enum gal_dtype dtype, size_t rank, const int64_t *sizes,
                                   uint64_t rows)
{
    struct gal_load_input in = {.name = GAL_STR("x"), .dtype = dtype, .rank = rank};
    struct gal_load_tensor t;
    struct gal_random r;

    if (rank)
        memcpy(in.shape, sizes, rank * sizeof *sizes);
    gal_random_init(&r, 1);
    assert_int_equal(gal_values_make(&in, NULL, 0, rows, &r, &arena, &t, NULL), GAL_OK);
    return t;
}

static const char *put(const struct gal_request_spec *spec, const struct gal_load_tensor *t,
                       size_t count, size_t *n)
{
    struct gal_buf out;
    char *copy;

    gal_buf_init(&out, 1u << 20);
    gal_request_put(&out, spec, t, count);
    assert_false(out.failed);
    copy = gal_arena_strdup(&arena, gal_buf_str(&out));
    *n = out.n;
    gal_buf_release(&out);
    return copy;
}

static void a_json_request_is_whole(void **state)
{
    const struct gal_request_spec spec = {.protocol = GAL_PROTOCOL_OIP_JSON,
                                          .host = "h:1",
                                          .model = GAL_STR("a b"),
                                          .version = GAL_STR("2")};
    struct gal_load_tensor t = make(GAL_DT_FP32, 2, (const int64_t[]){-1, 2}, 1);
    size_t n;
    const char *text;

    (void)state;
    t.values[0] = 0.5;
    t.values[1] = -0.25;
    text = put(&spec, &t, 1, &n);
    assert_string_equal(
        text, "POST /v2/models/a%20b/versions/2/infer HTTP/1.1\r\nHost: h:1\r\n"
              "User-Agent: galley-bench/" GAL_VERSION "\r\n"
              "Content-Type: application/json\r\nContent-Length: 76\r\n\r\n"
              "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":"
              "[0.5,-0.25]}]}");
}

static void a_binary_request_has_both_lengths(void **state)
{
    static const enum gal_dtype types[] = {GAL_DT_BOOL,  GAL_DT_INT8, GAL_DT_UINT16,
                                           GAL_DT_INT64, GAL_DT_FP16, GAL_DT_BF16,
                                           GAL_DT_FP32,  GAL_DT_FP64, GAL_DT_BYTES};
    const struct gal_request_spec spec = {
        .protocol = GAL_PROTOCOL_OIP_BINARY, .host = "h", .model = GAL_STR("m"), .timeout_us = 9};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct gal_load_tensor t = make(types[i], 1, (const int64_t[]){-1}, 3);
        size_t n, json, body;
        const char *text = put(&spec, &t, 1, &n), *end = strstr(text, "\r\n\r\n") + 4;
        const char *length = strstr(text, "Inference-Header-Content-Length: ");
        json = strtoul(length + 33, NULL, 10);
        body = strtoul(strstr(text, "\r\nContent-Length: ") + 18, NULL, 10);
        assert_int_equal((size_t)(end - text) + body, n);
        assert_int_equal(body - json, gal_values_raw_size(&t));
        assert_int_equal(end[json - 1], '}');
        assert_non_null(strstr(end, "\"timeout\":9"));
        assert_non_null(strstr(end, "\"binary_data_output\":true"));
    }
}

static void a_grpc_message_stands_behind_its_prefix(void **state)
{
    const struct gal_request_spec spec = {.protocol = GAL_PROTOCOL_GRPC,
                                          .host = "h",
                                          .model = GAL_STR("m"),
                                          .version = GAL_STR("2"),
                                          .timeout_us = 9};
    struct gal_load_tensor t[2] = {make(GAL_DT_INT32, 2, (const int64_t[]){-1, 300}, 1),
                                   make(GAL_DT_BYTES, 1, (const int64_t[]){-1}, 1)};
    static const char head[] = "\x0a\x01m\x12\x01"
                               "2"
                               "\x2a\x0f\x0a\x01x\x12\x05INT32\x1a\x03\x01\xac\x02"
                               "\x2a\x0d\x0a\x01y\x12\x05"
                               "BYTES\x1a\x01\x01\x3a\xb0\x09";
    static const char tail[] = "\x3a\x05\x01\0\0\0"
                               "a";
    size_t want = sizeof head - 1 + 1200 + sizeof tail - 1, n;
    const char *text;

    (void)state;
    t[1].name = GAL_STR("y");
    text = put(&spec, t, 2, &n);
    assert_int_equal(n, 5 + want);
    assert_memory_equal(text, ((const char[]){0, 0, 0, (char)(want >> 8), (char)want}), 5);
    assert_memory_equal(text + 5, head, sizeof head - 1);
    assert_memory_equal(text + n - (sizeof tail - 1), tail, sizeof tail - 1);
}

static void a_grpc_message_without_room_has_failed(void **state)
{
    const struct gal_request_spec spec = {.protocol = GAL_PROTOCOL_GRPC, .model = GAL_STR("m")};
    struct gal_load_tensor t = make(GAL_DT_FP32, 1, (const int64_t[]){-1}, 8);

    (void)state;
    for (size_t max = 0; max <= 60; max++) {
        struct gal_buf out;
        gal_buf_init(&out, max);
        gal_request_put(&out, &spec, &t, 1);
        assert_int_equal(out.failed, max < 56);
        gal_buf_release(&out);
    }
}

static void native_rows_nest_as_their_shape(void **state)
{
    const struct gal_request_spec spec = {
        .protocol = GAL_PROTOCOL_NATIVE, .host = "h", .model = GAL_STR("m")};
    struct gal_load_tensor t[2] = {make(GAL_DT_INT64, 3, (const int64_t[]){-1, 2, 1}, 2),
                                   make(GAL_DT_BYTES, 1, (const int64_t[]){-1}, 2)};
    size_t n;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        t[0].values[i] = (double)i;
    assert_non_null(strstr(put(&spec, t, 1, &n), "{\"instances\":[[[0],[1]],[[2],[3]]]}"));
    t[1].name = GAL_STR("y");
    assert_non_null(
        strstr(put(&spec, t, 2, &n),
               "{\"instances\":[{\"x\":[[0],[1]],\"y\":\"a\"},{\"x\":[[2],[3]],\"y\":\"a\"}]}"));
}

static void an_open_size_must_be_said(void **state)
{
    struct gal_load_input in = {
        .name = GAL_STR("ids"), .dtype = GAL_DT_INT64, .rank = 2, .shape = {-1, -1}};
    const int64_t given[] = {4, 16};
    struct gal_load_tensor t;
    struct gal_random r;
    struct gal_err err;

    (void)state;
    gal_random_init(&r, 1);
    assert_int_equal(gal_values_make(&in, NULL, 0, 2, &r, &arena, &t, &err), GAL_INVALID);
    assert_non_null(strstr(err.hint, "--shape ids:"));
    assert_int_equal(gal_values_make(&in, given, 2, 0, &r, &arena, &t, NULL), GAL_OK);
    assert_int_equal(t.count, 64);
    assert_int_equal(gal_values_make(&in, given, 2, 7, &r, &arena, &t, NULL), GAL_OK);
    assert_int_equal(t.shape[0], 7); /* --rows beside --shape */
    in.shape[0] = 3;
    in.shape[1] = 2;
    assert_int_equal(gal_values_make(&in, NULL, 0, 9, &r, &arena, &t, NULL), GAL_OK);
    assert_int_equal(t.shape[0], 3); /* fixed: there are no rows to choose */
}

static void made_up_values_are_a_seed_s(void **state)
{
    struct gal_load_tensor a = make(GAL_DT_FP32, 1, (const int64_t[]){-1}, 100);
    struct gal_load_tensor b = make(GAL_DT_FP32, 1, (const int64_t[]){-1}, 100);
    struct gal_load_tensor ints = make(GAL_DT_INT32, 1, (const int64_t[]){-1}, 100);

    (void)state;
    assert_memory_equal(a.values, b.values, 100 * sizeof *a.values);
    for (size_t i = 0; i < 100; i++) {
        assert_true(a.values[i] >= -1 && a.values[i] <= 1);
        assert_true(ints.values[i] == 0 || ints.values[i] == 1);
    }
}

static void a_user_s_body_tells_its_protocol(void **state)
{
    static const struct {
        const char *text;
        enum gal_protocol protocol;
        uint64_t rows;
    } good[] = {{"{\"inputs\":[{\"shape\":[7,2]}]}", GAL_PROTOCOL_OIP_JSON, 7},
                {"{\"inputs\":[]}", GAL_PROTOCOL_OIP_JSON, 1},
                {"{\"instances\":[1,2,3]}", GAL_PROTOCOL_NATIVE, 3},
                {"{\"features\":{\"a\":1}}", GAL_PROTOCOL_NATIVE, 1}};
    enum gal_protocol protocol;
    uint64_t rows;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(
            gal_request_inspect(gal_str_of(good[i].text), &arena, &protocol, &rows, NULL), GAL_OK);
        assert_int_equal(protocol, good[i].protocol);
        assert_int_equal(rows, good[i].rows);
    }
    assert_int_equal(gal_request_inspect(GAL_STR("[1]"), &arena, &protocol, &rows, NULL),
                     GAL_INVALID);
    assert_int_equal(gal_request_inspect(GAL_STR("{"), &arena, &protocol, &rows, NULL),
                     GAL_INVALID);
}

static void a_path_alone_is_a_get(void **state)
{
    const struct gal_request_spec spec = {
        .protocol = GAL_PROTOCOL_HTTP, .host = "h", .path = "/p?q=1"};
    struct gal_buf out;

    (void)state;
    gal_buf_init(&out, 4096);
    gal_request_put_body(&out, &spec, (struct gal_str){NULL, 0});
    assert_int_equal(strncmp(out.p, "GET /p?q=1 HTTP/1.1\r\nHost: h\r\n", 30), 0);
    assert_null(memmem(out.p, out.n, "Content-Length", 14));
    gal_buf_clear(&out, 4096);
    gal_request_put_body(&out, &spec, GAL_STR("{}"));
    assert_int_equal(strncmp(out.p, "POST ", 5), 0);
    assert_non_null(memmem(out.p, out.n, "Content-Length: 2\r\n\r\n{}", 23));
    gal_buf_release(&out);
}

static void names_of_protocols_are_found_again(void **state)
{
    (void)state;
    for (int p = 0; p < GAL_PROTOCOL_COUNT; p++)
        assert_int_equal(gal_protocol_find(gal_str_of(gal_protocol_name((enum gal_protocol)p))), p);
    assert_int_equal(gal_protocol_find(GAL_STR("soap")), GAL_PROTOCOL_COUNT);
}

/* --- statistics --- */

#define STATS(count, queue, one, eight)                                                            \
    "{\"model_stats\":[{\"name\":\"m\",\"version\":\"1\",\"inference_count\":" count               \
    ",\"execution_count\":" one ",\"inference_stats\":{\"success\":{\"count\":" count              \
    ",\"ns\":900},\"fail\":{\"count\":0,\"ns\":0},\"queue\":{\"count\":1,\"ns\":" queue            \
    "},\"compute_input\":{\"count\":1,\"ns\":1},\"compute_infer\":{\"count\":1,\"ns\":5},"         \
    "\"compute_output\":{\"count\":1,\"ns\":2}},\"batch_stats\":[{\"batch_size\":8,"               \
    "\"compute_infer\":{\"count\":" eight ",\"ns\":80}},{\"batch_size\":1,\"compute_infer\":{"     \
    "\"count\":" one ",\"ns\":10}}]}]}"

static void a_step_s_statistics_are_a_difference(void **state)
{
    struct gal_server_stats *s = calloc(3, sizeof *s);

    (void)state;
    assert_int_equal(gal_server_stats_parse(GAL_STR(STATS("10", "100", "4", "0")), GAL_STR(""),
                                            &arena, &s[0], NULL),
                     GAL_OK);
    assert_int_equal(gal_server_stats_parse(GAL_STR(STATS("30", "700", "9", "2")), GAL_STR("1"),
                                            &arena, &s[1], NULL),
                     GAL_OK);
    gal_server_stats_since(&s[0], &s[1], &s[2]);
    assert_true(s[2].known);
    assert_int_equal(s[2].success, 20);
    assert_int_equal(s[2].queue_ns, 600);
    assert_int_equal(s[2].infer_ns, 0);
    assert_int_equal(s[2].batch_count, 2);
    assert_int_equal(s[2].batch[0].size, 1);
    assert_int_equal(s[2].batch[0].count, 5);
    assert_int_equal(s[2].batch[1].size, 8);
    assert_int_equal(s[2].batch[1].infer_ns, 80);
    assert_true(gal_server_stats_rows(&s[2]) == 4);
    gal_server_stats_since(&s[1], &s[0], &s[2]); /* a restart */
    assert_false(s[2].known);
    free(s);
}

static void a_server_without_statistics_is_borne(void **state)
{
    static const char *const none[] = {"",
                                       "{}",
                                       "{\"model_stats\":7}",
                                       "{\"model_stats\":[]}",
                                       "{\"model_stats\":[{\"version\":\"1\"}]}",
                                       "[[[",
                                       "{\"model_stats\":[null]}"};
    struct gal_server_stats *s = calloc(2, sizeof *s);

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(gal_server_stats_parse(gal_str_of(none[i]), GAL_STR(""), &arena, s, NULL),
                         GAL_INVALID);
        gal_server_stats_since(s, s, &s[1]);
        assert_false(s[1].known);
    }
    assert_int_equal(
        gal_server_stats_parse(GAL_STR(STATS("1", "1", "1", "1")), GAL_STR("2"), &arena, s, NULL),
        GAL_INVALID); /* another version */
    free(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, arena_set_up, arena_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(metadata_names_the_inputs),
        TEST(metadata_of_grpc_names_the_inputs),
        TEST(a_repository_of_grpc_names_each_model_once),
        TEST(what_is_no_metadata_says_what_is_missing),
        TEST(lists_of_models_have_two_forms),
        TEST(shapes_are_sizes_with_an_x_between),
        TEST(a_json_request_is_whole),
        TEST(a_binary_request_has_both_lengths),
        TEST(a_grpc_message_stands_behind_its_prefix),
        TEST(a_grpc_message_without_room_has_failed),
        TEST(native_rows_nest_as_their_shape),
        TEST(an_open_size_must_be_said),
        TEST(made_up_values_are_a_seed_s),
        TEST(a_user_s_body_tells_its_protocol),
        TEST(a_path_alone_is_a_get),
        TEST(names_of_protocols_are_found_again),
        TEST(a_step_s_statistics_are_a_difference),
        TEST(a_server_without_statistics_is_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
