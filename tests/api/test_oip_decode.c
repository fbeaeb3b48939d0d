/* SPDX-License-Identifier: Apache-2.0 */
#include "api/oip.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

struct bench {
    struct gal_arena arena;
    struct gal_oip_request req;
    struct gal_err err;
};

static int open_bench(void **state)
{
    static struct bench b;

    gal_arena_init(&b.arena, 4096, 1 << 16, 1 << 24);
    *state = &b;
    return 0;
}

static int close_bench(void **state)
{
    struct bench *b = *state;

    gal_arena_release(&b->arena);
    return 0;
}

static enum gal_status decode_both(struct bench *b, const char *json, struct gal_str binary)
{
    gal_arena_clear(&b->arena);
    gal_err_clear(&b->err);
    return gal_oip_decode(GAL_STR("mlp"), gal_str_of(json), binary, &b->arena, &b->req, &b->err);
}

static enum gal_status decode(struct bench *b, const char *json)
{
    return decode_both(b, json, (struct gal_str){NULL, 0});
}

static void a_whole_request_is_taken_apart(void **state)
{
    struct bench *b = *state;
    const struct gal_tensor *t;

    assert_int_equal(
        decode(b,
               "{\"id\":\"42\",\"parameters\":{\"timeout\":5000,\"priority\":2,\"sequence_id\":0,"
               "\"sequence_start\":false,\"sequence_end\":false,\"a\":1.5,\"b\":\"x\"},"
               "\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\","
               "\"parameters\":{\"content_type\":\"np\"},\"data\":[[1,2.5]]},"
               "{\"data\":[true],\"datatype\":\"BOOL\",\"shape\":[1],\"name\":\"flag\"}],"
               "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":true}},"
               "{\"name\":\"z\"}]}"),
        GAL_OK);
    assert_true(gal_str_is(b->req.id, "42"));
    assert_int_equal(b->req.timeout_us, 5000);
    assert_int_equal(b->req.priority, 2);
    assert_int_equal(b->req.input_count, 2);
    t = &b->req.inputs[0];
    assert_true(gal_str_is(t->name, "x"));
    assert_int_equal(t->dtype, GAL_DT_FP32);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[1], 2);
    assert_int_equal(t->count, 2);
    assert_true(((const float *)t->data)[1] == 2.5f);
    t = &b->req.inputs[1];
    assert_true(gal_str_is(t->name, "flag"));
    assert_int_equal(*(const uint8_t *)t->data, 1);
    assert_int_equal(b->req.output_count, 2);
    assert_true(gal_str_is(b->req.outputs[0].name, "y"));
    assert_true(b->req.outputs[0].binary);
    assert_false(b->req.outputs[1].binary);
}

static void what_is_not_said_has_its_default(void **state)
{
    struct bench *b = *state;

    assert_int_equal(decode(b, "{\"inputs\":[]}"), GAL_OK);
    assert_null(b->req.id.p);
    assert_int_equal(b->req.timeout_us, 0);
    assert_int_equal(b->req.input_count, 0);
    assert_int_equal(b->req.output_count, 0);
    assert_false(b->req.binary_output);
}

static void null_stands_for_absent_as_pydantic_clients_send_it(void **state)
{
    struct bench *b = *state;

    assert_int_equal(decode(b, "{\"id\":null,\"parameters\":null,\"outputs\":null,\"inputs\":["
                               "{\"name\":\"x\",\"shape\":[1],\"datatype\":\"INT8\","
                               "\"parameters\":null,\"data\":[1]}]}"),
                     GAL_OK);
    assert_null(b->req.id.p);
    assert_int_equal(b->req.output_count, 0);
}

static void kserves_client_may_repeat_the_models_name(void **state)
{
    struct bench *b = *state;

    assert_int_equal(decode(b, "{\"model_name\":\"mlp\",\"inputs\":[]}"), GAL_OK);
    assert_int_equal(decode(b, "{\"model_name\":\"\",\"inputs\":[]}"), GAL_OK);
    assert_int_equal(decode(b, "{\"model_name\":\"other\",\"inputs\":[]}"), GAL_INVALID);
    assert_string_equal(b->err.place, "model_name");
}

static void the_default_for_outputs_may_follow_them(void **state)
{
    struct bench *b = *state;

    assert_int_equal(decode(b, "{\"inputs\":[],\"outputs\":[{\"name\":\"y\"},{\"name\":\"z\","
                               "\"parameters\":{\"binary_data\":false}}],"
                               "\"parameters\":{\"binary_data_output\":true}}"),
                     GAL_OK);
    assert_true(b->req.binary_output);
    assert_true(b->req.outputs[0].binary);
    assert_false(b->req.outputs[1].binary);
}

#define INPUT(rest) "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\"," rest "}]}"
#define BINARY(size) INPUT("\"parameters\":{\"binary_data_size\":" size "}")

struct refusal {
    const char *json;
    enum gal_status status;
    const char *place;
    const char *message; /* part of it */
};

static const struct refusal refusals[] = {
    {"[]", GAL_INVALID, "", "expected an object, got array"},
    {"1", GAL_INVALID, "", "expected an object, got number"},
    {"{}", GAL_INVALID, "inputs", "'inputs' is missing"},
    {"{\"inputs\":{}}", GAL_INVALID, "inputs", "expected an array of objects, got object"},
    {"{\"inputs\":null}", GAL_INVALID, "inputs", "got null"},
    {"{\"inputs\":[1]}", GAL_INVALID, "inputs[0]", "expected an object, got number"},
    {"{\"inputs\":[],\"input\":[]}", GAL_INVALID, "input", "unknown key 'input'"},
    {"{\"inputs\":[],\"inputs\":[]}", GAL_INVALID, "inputs", "repeated key 'inputs'"},
    {"{\"inputs\":[],\"id\":5}", GAL_INVALID, "id", "expected a string, got number"},
    {"{\"inputs\":[],\"model_name\":5}", GAL_INVALID, "model_name", "expected a string"},
    {"{\"inputs\":[],\"parameters\":[]}", GAL_INVALID, "parameters", "expected an object"},
    {"{\"inputs\":[],\"parameters\":{\"timeout\":-1}}", GAL_INVALID, "parameters.timeout",
     "expected an integer of 0 or more"},
    {"{\"inputs\":[],\"parameters\":{\"timeout\":\"1\"}}", GAL_INVALID, "parameters.timeout",
     "expected an integer of 0 or more, got string"},
    {"{\"inputs\":[],\"parameters\":{\"priority\":1.5}}", GAL_INVALID, "parameters.priority",
     "expected an integer"},
    {"{\"inputs\":[],\"parameters\":{\"binary_data_output\":1}}", GAL_INVALID,
     "parameters.binary_data_output", "expected true or false"},
    {"{\"inputs\":[],\"parameters\":{\"sequence_id\":true}}", GAL_INVALID, "parameters.sequence_id",
     "expected an integer of 0 or more, or a string"},
    {"{\"inputs\":[],\"parameters\":{\"sequence_start\":1}}", GAL_INVALID,
     "parameters.sequence_start", "expected true or false"},
    {"{\"inputs\":[],\"parameters\":{\"triton_x\":1}}", GAL_INVALID, "parameters.triton_x",
     "reserved"},
    {"{\"inputs\":[],\"parameters\":{\"mine\":{}}}", GAL_INVALID, "parameters.mine",
     "expected a string, a number or a boolean, got object"},
    {"{\"inputs\":[],\"parameters\":{\"mine\":null}}", GAL_INVALID, "parameters.mine", "null"},
    {"{\"inputs\":[{}]}", GAL_INVALID, "inputs[0].name", "'name' is missing"},
    {"{\"inputs\":[{\"name\":1}]}", GAL_INVALID, "inputs[0].name", "expected a string"},
    {"{\"inputs\":[{\"name\":\"\"}]}", GAL_INVALID, "inputs[0].name", "1 to 256 bytes"},
    {"{\"inputs\":[{\"name\":\"x\"}]}", GAL_INVALID, "inputs[0].datatype", "is missing"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FLOAT\"}]}", GAL_INVALID, "inputs[0].datatype",
     "unknown datatype 'FLOAT' for input 'x'"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"NONE\"}]}", GAL_INVALID, "inputs[0].datatype",
     "unknown datatype"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":32}]}", GAL_INVALID, "inputs[0].datatype",
     "expected a string"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\"}]}", GAL_INVALID, "inputs[0].shape",
     "is missing"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":3}]}", GAL_INVALID,
     "inputs[0].shape", "expected an array of integers"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1,-1]}]}", GAL_INVALID,
     "inputs[0].shape[1]", "expected an integer of 0 or more"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1.0]}]}", GAL_INVALID,
     "inputs[0].shape[0]", "expected an integer of 0 or more"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[9223372036854775808]}]}",
     GAL_INVALID, "inputs[0].shape[0]", "expected an integer of 0 or more"},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[4294967296,4294967296]}]}",
     GAL_TOO_LARGE, "inputs[0].shape", ""},
    {"{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"dtype\":1}]}", GAL_INVALID,
     "inputs[0].dtype", "unknown key 'dtype'"},
    {INPUT("\"parameters\":{}"), GAL_INVALID, "inputs[0]",
     "input 'x' has neither 'data' nor 'binary_data_size'"},
    {INPUT("\"data\":[1,2],\"parameters\":{\"binary_data_size\":8}"), GAL_INVALID, "inputs[0]",
     "input 'x' has both 'data' and 'binary_data_size'"},
    {INPUT("\"data\":[1]"), GAL_INVALID, "inputs[0].data",
     "expected 2 values for shape [2], got 1"},
    {INPUT("\"data\":[1,\"a\"]"), GAL_INVALID, "inputs[0].data[1]", "expected a number"},
    {INPUT("\"data\":\"AAAA\""), GAL_INVALID, "inputs[0].data", "expected an array, got string"},
    {INPUT("\"data\":null"), GAL_INVALID, "inputs[0]", "neither"},
    {BINARY("8"), GAL_INVALID, "inputs[0]",
     "unexpected size for input 'x', expecting 8 additional bytes for model 'mlp'"},
    {BINARY("18446744073709551615"), GAL_INVALID, "inputs[0]", "unexpected size for input 'x'"},
    {BINARY("-1"), GAL_INVALID, "inputs[0].parameters.binary_data_size", "expected an integer"},
    {BINARY("0"), GAL_INVALID, "inputs[0]", ""},
    {INPUT("\"data\":[1,2],\"parameters\":{\"shared_memory_region\":\"r\"}"), GAL_INVALID,
     "inputs[0]", "data beside 'shared_memory_region'"},
    {INPUT("\"parameters\":{\"shared_memory_region\":\"\"}"), GAL_INVALID,
     "inputs[0].parameters.shared_memory_region", "expected a region's name"},
    {INPUT("\"parameters\":{\"shared_memory_byte_size\":8}"), GAL_INVALID, "inputs[0].parameters",
     "'shared_memory_region' is missing"},
    {"{\"inputs\":[],\"parameters\":{\"sequence_id\":7}}", GAL_UNSUPPORTED,
     "parameters.sequence_id", "no state between requests"},
    {"{\"inputs\":[],\"parameters\":{\"sequence_end\":true}}", GAL_UNSUPPORTED,
     "parameters.sequence_end", "no state between requests"},
    {INPUT("\"data\":[1,2],\"parameters\":{\"a\":[]}"), GAL_INVALID, "inputs[0].parameters.a",
     "expected a string, a number or a boolean, got array"},
    {"{\"inputs\":[],\"outputs\":{}}", GAL_INVALID, "outputs", "expected an array of objects"},
    {"{\"inputs\":[],\"outputs\":[\"y\"]}", GAL_INVALID, "outputs[0]", "expected an object"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\"},{}]}", GAL_INVALID, "outputs[1].name",
     "'name' is missing"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"shape\":[1]}]}", GAL_INVALID,
     "outputs[0].shape", "unknown key 'shape'"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":\"yes\"}}]}",
     GAL_INVALID, "outputs[0].parameters.binary_data", "expected true or false"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":-3}}]}",
     GAL_INVALID, "outputs[0].parameters.classification", "expected a number of classes"},
    {"{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"parameters\":{\"shared_memory_offset\":3}}]}",
     GAL_INVALID, "outputs[0].parameters", "'shared_memory_region' is missing"},
};

static void what_is_wrong_is_said_with_its_place(void **state)
{
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        const struct refusal *r = &refusals[i];
        enum gal_status st = decode(b, r->json);

        if (st != r->status || b->err.code != st || strcmp(b->err.place, r->place) != 0 ||
            strstr(b->err.message, r->message) == NULL)
            fail_msg("%s: %s at '%s': %s", r->json, gal_status_name(st), b->err.place,
                     b->err.message);
        assert_int_equal(gal_oip_decode(GAL_STR("mlp"), gal_str_of(r->json),
                                        (struct gal_str){NULL, 0}, &b->arena, &b->req, NULL),
                         r->status);
    }
}

static void text_that_is_no_json_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{\"inputs\":[}",
                                        "{\"inputs\":[]}x",
                                        "{'inputs':[]}",
                                        "{\"inputs\":[NaN]}",
                                        "\xff"};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_int_equal(decode(b, texts[i]), GAL_INVALID);
        assert_true(b->err.message[0] != '\0');
    }
}

static void long_lists_names_and_ids_are_bounded(void **state)
{
    struct bench *b = *state;
    char text[8192], *p;

    p = text + snprintf(text, sizeof(text), "{\"inputs\":[");
    for (int i = 0; i < 1025; i++)
        p += snprintf(p, 3, "0,");
    snprintf(p - 1, 3, "]}");
    assert_int_equal(decode(b, text), GAL_INVALID);
    assert_string_equal(b->err.message, "at most 1024 inputs, got 1025");
    snprintf(text, sizeof(text), "{\"inputs\":[],\"id\":\"%0128d\"}", 0);
    assert_int_equal(decode(b, text), GAL_OK);
    snprintf(text, sizeof(text), "{\"inputs\":[],\"id\":\"%0129d\"}", 0);
    assert_int_equal(decode(b, text), GAL_INVALID);
    assert_string_equal(b->err.place, "id");
    snprintf(text, sizeof(text), "{\"inputs\":[{\"name\":\"%0257d\"}]}", 0);
    assert_int_equal(decode(b, text), GAL_INVALID);
    assert_string_equal(b->err.place, "inputs[0].name");
    p = text + snprintf(text, sizeof(text),
                        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[");
    for (int i = 0; i < 33; i++)
        p += snprintf(p, 3, "1,");
    snprintf(p - 1, 5, "]}]}");
    assert_int_equal(decode(b, text), GAL_INVALID);
    assert_string_equal(b->err.message, "at most 32 dimensions, got 33");
}

static const char abc_and_empty[] = {3, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0};

/* FP32 [2] of 8 bytes and BYTES [2] of 11, and one between them as JSON. */
static const char two_binaries[] =
    "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP32\",\"parameters\":"
    "{\"binary_data_size\":8}},{\"name\":\"mixed\",\"shape\":[1],\"datatype\":\"INT8\","
    "\"data\":[3]},{\"name\":\"s\",\"shape\":[2],\"datatype\":\"BYTES\",\"parameters\":"
    "{\"binary_data_size\":11}}]}";

static void binary_inputs_take_their_bytes_in_order(void **state)
{
    struct bench *b = *state;
    _Alignas(8) char bytes[19];
    float v[2] = {1.5f, -2.0f};
    const struct gal_str *s;

    memcpy(bytes, v, 8);
    memcpy(bytes + 8, abc_and_empty, sizeof(abc_and_empty));
    assert_int_equal(decode_both(b, two_binaries, (struct gal_str){bytes, 19}), GAL_OK);
    assert_memory_equal(b->req.inputs[0].data, v, 8);
    assert_ptr_equal(b->req.inputs[0].data, bytes); /* not copied */
    assert_int_equal(*(const int8_t *)b->req.inputs[1].data, 3);
    s = b->req.inputs[2].data;
    assert_true(gal_str_is(s[0], "abc"));
    assert_int_equal(s[1].n, 0);
}

static void binary_data_must_match_to_the_byte(void **state)
{
    struct bench *b = *state;
    char bytes[20] = {0};

    memcpy(bytes + 8, abc_and_empty, sizeof(abc_and_empty));
    assert_int_equal(decode_both(b, two_binaries, (struct gal_str){bytes, 20}), GAL_INVALID);
    assert_non_null(strstr(b->err.message, "unexpected additional input data for model 'mlp'"));
    for (size_t n = 0; n < 19; n++) {
        assert_int_equal(decode_both(b, two_binaries, (struct gal_str){bytes, n}), GAL_INVALID);
        assert_non_null(strstr(b->err.message, "unexpected size for input"));
        assert_string_equal(b->err.place, n < 8 ? "inputs[0]" : "inputs[2]");
    }
    assert_int_equal(decode_both(b, BINARY("9"), (struct gal_str){bytes, 9}), GAL_INVALID);
    assert_int_equal(decode_both(b, BINARY("7"), (struct gal_str){bytes, 7}), GAL_INVALID);
    assert_int_equal(decode_both(b, BINARY("8"), (struct gal_str){bytes, 8}), GAL_OK);
}

/* --- raw requests --- */

static enum gal_status raw(struct bench *b, enum gal_dtype dtype, size_t rank, const int64_t *shape,
                           struct gal_str body)
{
    struct gal_port port = {.name = GAL_STR("x"),
                            .kind = GAL_KIND_TENSOR,
                            .dtype = dtype,
                            .rank = rank,
                            .shape = shape,
                            .shape_known = true};
    struct gal_model_info info = {.inputs = &port, .input_count = 1};
    char name[] = "mlp";
    struct gal_model m = {.name = name, .info = &info, .batch_dim = true};

    gal_arena_clear(&b->arena);
    gal_err_clear(&b->err);
    return gal_oip_decode_raw(&m, body, &b->arena, &b->req, &b->err);
}

static void a_raw_request_is_the_only_inputs_bytes(void **state)
{
    struct bench *b = *state;
    static const int64_t fixed[2] = {1, 3}, open[2] = {-1, 3}, both[2] = {-1, -1};
    _Alignas(8) float v[6] = {1, 2, 3, 4, 5, 6};
    struct gal_str three = {(const char *)v, 12}, six = {(const char *)v, 24};

    assert_int_equal(raw(b, GAL_DT_FP32, 2, fixed, three), GAL_OK);
    assert_true(b->req.binary_output);
    assert_int_equal(b->req.input_count, 1);
    assert_int_equal(b->req.inputs[0].count, 3);
    assert_ptr_equal(b->req.inputs[0].data, v);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, open, three), GAL_OK);
    assert_int_equal(b->req.inputs[0].shape[0], 1);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, open, six), GAL_OK);
    assert_int_equal(b->req.inputs[0].shape[0], 2);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, both, six), GAL_OK);
    assert_int_equal(b->req.inputs[0].shape[0], 1);
    assert_int_equal(b->req.inputs[0].shape[1], 6);
}

static void a_raw_request_whose_shape_cannot_be_known_is_refused(void **state)
{
    struct bench *b = *state;
    static const int64_t fixed[2] = {1, 3}, open[2] = {-1, 3}, two[3] = {-1, -1, -1};
    static const int64_t zero[2] = {-1, 0};
    struct gal_str eight = GAL_STR("12345678");

    assert_int_equal(raw(b, GAL_DT_FP32, 2, fixed, eight), GAL_INVALID);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, open, eight), GAL_INVALID);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, zero, eight), GAL_INVALID);
    assert_int_equal(raw(b, GAL_DT_FP32, 2, open, GAL_STR("")), GAL_INVALID);
    assert_int_equal(raw(b, GAL_DT_FP32, 3, two, eight), GAL_INVALID);
    assert_non_null(strstr(b->err.message, "more than one variable-sized dimension"));
}

static void raw_text_is_one_element(void **state)
{
    struct bench *b = *state;
    static const int64_t one[1] = {1}, open[2] = {-1, 1}, two[1] = {2};
    const struct gal_str *s;

    assert_int_equal(raw(b, GAL_DT_BYTES, 1, one, GAL_STR("a text")), GAL_OK);
    s = b->req.inputs[0].data;
    assert_true(gal_str_is(*s, "a text"));
    assert_int_equal(raw(b, GAL_DT_BYTES, 2, open, GAL_STR("a text")), GAL_OK);
    assert_int_equal(b->req.inputs[0].shape[0], 1);
    assert_int_equal(raw(b, GAL_DT_BYTES, 1, two, GAL_STR("a text")), GAL_INVALID);
    assert_non_null(strstr(b->err.message, "must have input shape [1]"));
}

static void a_raw_request_is_for_models_with_one_input(void **state)
{
    struct bench *b = *state;
    struct gal_port ports[2] = {{.name = GAL_STR("x")}, {.name = GAL_STR("y")}};
    struct gal_model_info info = {.inputs = ports, .input_count = 2};
    char name[] = "mlp";
    struct gal_model m = {.name = name, .info = &info};

    assert_int_equal(gal_oip_decode_raw(&m, GAL_STR("1"), &b->arena, &b->req, &b->err),
                     GAL_INVALID);
    assert_non_null(strstr(b->err.message, "must only have 1 input"));
    info.input_count = 1; /* of a shape that the model does not tell */
    assert_int_equal(gal_oip_decode_raw(&m, GAL_STR("1"), &b->arena, &b->req, &b->err),
                     GAL_INVALID);
}

static void decoding_survives_any_allocation_that_fails(void **state)
{
    char bytes[19] = {0};
    enum gal_status st = GAL_NO_MEMORY;
    int refused = 0;

    (void)state;
    memcpy(bytes + 8, abc_and_empty, sizeof(abc_and_empty));
    for (uint64_t i = 1; st != GAL_OK; i++) {
        struct gal_arena arena;
        struct gal_oip_request req;

        gal_arena_init(&arena, 64, 0, 1 << 20);
        gal_alloc_fail_at(i, 0); /* a single one is made up for: see below */
        st = gal_oip_decode(GAL_STR("mlp"), gal_str_of(two_binaries), (struct gal_str){bytes, 19},
                            &arena, &req, NULL);
        gal_alloc_fail_at(0, 0);
        refused += st != GAL_OK;
        gal_arena_release(&arena);
    }
    assert_true(refused > 0);
}

/* --- the short way for arrays of numbers against the long one --- */

static bool same_text(struct gal_str a, struct gal_str b)
{
    return (a.p == NULL) == (b.p == NULL) && gal_str_eq(a, b);
}

static void check_same_tensor(const struct gal_tensor *a, const struct gal_tensor *b)
{
    assert_true(gal_str_eq(a->name, b->name));
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->rank; i++)
        assert_int_equal(a->shape[i], b->shape[i]);
    for (size_t i = 0; a->dtype == GAL_DT_BYTES && i < a->count; i++)
        assert_true(
            gal_str_eq(((const struct gal_str *)a->data)[i], ((const struct gal_str *)b->data)[i]));
    if (a->dtype != GAL_DT_BYTES && a->count > 0)
        assert_memory_equal(a->data, b->data, a->count * gal_dtype_size(a->dtype));
}

/* Both decoders on text that ends where its memory does; true when it is a request. */
static bool check_both(const char *json)
{
    struct gal_str text = gal_str_of(json);
    char *copy = malloc(text.n + 1);
    struct gal_arena arenas[2];
    struct gal_oip_request reqs[2];
    struct gal_err errs[2];
    enum gal_status st[2];

    assert_non_null(copy);
    memcpy(copy + 1, text.p, text.n);
    text.p = copy + 1;
    for (int i = 0; i < 2; i++) {
        gal_arena_init(&arenas[i], 4096, 0, 1 << 24);
        st[i] = (i == 0 ? gal_oip_decode : gal_oip_decode_tree)(
            GAL_STR("mlp"), text, (struct gal_str){NULL, 0}, &arenas[i], &reqs[i], &errs[i]);
    }
    assert_int_equal(st[0], st[1]);
    if (st[0] != GAL_OK) {
        assert_string_equal(errs[0].message, errs[1].message);
        assert_string_equal(errs[0].place, errs[1].place);
        assert_string_equal(errs[0].hint, errs[1].hint);
    } else {
        assert_true(same_text(reqs[0].id, reqs[1].id));
        assert_int_equal(reqs[0].input_count, reqs[1].input_count);
        assert_int_equal(reqs[0].output_count, reqs[1].output_count);
        for (size_t i = 0; i < reqs[0].input_count; i++)
            check_same_tensor(&reqs[0].inputs[i], &reqs[1].inputs[i]);
    }
    gal_arena_release(&arenas[0]);
    gal_arena_release(&arenas[1]);
    free(copy);
    return st[0] == GAL_OK;
}

static bool check_data(const char *dtype, const char *shape, const char *data)
{
    char json[2048];

    snprintf(json, sizeof(json),
             "{\"inputs\":[{\"name\":\"x\",\"data\":%s,\"datatype\":\"%s\",\"shape\":%s}]}", data,
             dtype, shape);
    return check_both(json);
}

static const char *const pairs[] = {
    "[0,1]",
    "[-0,1]",
    "[-0.0,0e5]",
    "[1.0,2]",
    "[1,2.5]",
    "[-1,0.5]",
    "[255,256]",
    "[-128,-129]",
    "[9223372036854775807,-9223372036854775808]",
    "[18446744073709551615,0]",
    "[18446744073709551616,0]",
    "[18446744073709551615,-1]",
    "[18446744073709551615,-1,0.5]",
    "[-9223372036854775809,1]",
    "[0.1,1e22]",
    "[1e23,1E+2]",
    "[3.5e38,1]",
    "[1e308,1.8e308]",
    "[1e309,1]",
    "[1e-400,1]",
    "[5e-324,1e-310]",
    "[9007199254740993,9007199254740993.0]",
    "[9007199254740992.9999999999,1]",
    "[0.000000000000000000000000001,0.00000000012345678901234567]",
    "[123456789012345678901234567890,1.23456789012345678901234567890]",
    "[65504,65520]",
    "[3.4028235677973366e38,3.4028235677973365e38]",
    "[01,2]",
    "[1.,2]",
    "[.5,2]",
    "[+1,2]",
    "[1e,2]",
    "[1e+,2]",
    "[-,2]",
    "[1 2]",
    "[1,]",
    "[,1]",
    "[1,2",
    "[1,2}",
    "[1,\"NaN\"]",
    "[null,1]",
    "[true,1]",
    "[NaN,1]",
    "[]",
    "[[]]",
    "[[1],[2]]",
    "[[1,2]]",
    "[[1],2]",
    "[1,[2]]",
    "[[1],[2,3]]",
    "[[1,2],[3]]",
    "[[[1],[2]]]",
    "[1,2,3]",
    "[1]",
    "1",
    "[ 1 ,\t2\r\n]",
    "[1,  2 ]",
    "[1,2]]",
    "[{\"data\":[1,2]}]",
    "[0.1e1,1e-7]",
    "[1e0000000000000000001,1]",
    "[1e-99999999999999999999,1]"};

static void arrays_of_numbers_are_read_as_trees_are(void **state)
{
    static const char *const dtypes[] = {"BOOL", "UINT8", "UINT64", "INT8", "INT64",
                                         "FP16", "BF16",  "FP32",   "FP64", "BYTES"};
    static const char *const shapes[] = {"[2]", "[1,2]", "[2,1]", "[]", "[0]", "[1,1,2,1]"};
    size_t fine = 0;

    (void)state;
    for (size_t d = 0; d < sizeof(dtypes) / sizeof(*dtypes); d++)
        for (size_t p = 0; p < sizeof(pairs) / sizeof(*pairs); p++)
            for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++)
                fine += check_data(dtypes[d], shapes[s], pairs[p]);
    assert_true(fine > 500);
}

static void only_an_inputs_data_is_read_past_the_tree(void **state)
{
    static const char *const good = "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":"
                                    "\"FP32\",\"data\" : [1.5,2]%s}]%s}";
    static const struct {
        const char *in_input, *in_request;
        bool fine;
    } rows[] = {
        {"", "", true},
        {",\"data\":[1,2]", "", false},
        {",\"d\\u0061ta\":[1,2]", "", false},
        {",\"parameters\":{\"data\":[1]}", "", false},
        {",\"parameters\":{\"data\":\"\"}", "", true},
        {",\"parameters\":{\"x\":\"\\\"data\\\":[1]\"}", "", true},
        {"", ",\"data\":[1]", false},
        {"", ",\"parameters\":{\"data\":[1]}", false},
        {"", ",\"outputs\":[{\"name\":\"y\",\"data\":[1]}]", false},
        {"", ",\"id\":\"data\"", true},
        {"", ",\"id\":\"data\":[1]", false},
        {"", ",\"id\":[\"data\"]", false},
        {"},{\"name\":\"y\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":[\"data\"]", "", true},
        {"},{\"name\":\"y\",\"shape\":[1],\"datatype\":\"BYTES\",\"data\":\"\"", "", false},
        {"},{\"data\":[[3,4],[5,6]],\"name\":\"y\",\"shape\":[2,2],\"datatype\":\"INT8\"", "",
         true},
    };
    char format[512], json[1024];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *at;

        snprintf(json, sizeof(json), "%s", "");
        snprintf(format, sizeof(format), "%s", good);
        at = strstr(format, "%s");
        snprintf(json, sizeof(json), "%.*s%s%.*s%s}", (int)(at - format), format, rows[i].in_input,
                 2, at + 2, rows[i].in_request);
        assert_int_equal(check_both(json), rows[i].fine);
        for (size_t n = strlen(json); n > 0; n--) { /* cut anywhere */
            json[n - 1] = '\0';
            assert_false(check_both(json));
        }
    }
}

static void arrays_count_in_the_depth_of_the_text(void **state)
{
    char json[512], open[128], close[128];

    (void)state;
    for (int depth = 1; depth <= 70; depth++) {
        memset(open, '[', (size_t)depth);
        memset(close, ']', (size_t)depth);
        open[depth] = close[depth] = '\0';
        snprintf(json, sizeof(json),
                 "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,1,1],\"datatype\":\"FP32\",\"data\":"
                 "%s1%s}]}",
                 open, close);
        assert_int_equal(check_both(json), depth <= 3);
    }
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 2685821657736338717u;
}

static double random_double(int i)
{
    uint64_t bits = next_random();
    double v;
    float f;

    if (i % 4 == 0)
        return (double)(bits >> 11) / 9007199254740992.0;
    if (i % 4 == 1) {
        memcpy(&f, &bits, sizeof(f));
        return (double)f;
    }
    if (i % 4 == 2)
        bits = (bits & ~(UINT64_C(0x7ff) << 52)) | (1023 + bits % 200 - 100) << 52;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Texts of all lengths against the C library's reader: also digits that lie beside a tie. */
static void numbers_are_read_to_the_last_bit(void **state)
{
    enum { COUNT = 64, ROUNDS = 8000 };
    struct bench *b = *state;
    static char json[COUNT * 48 + 128];
    double want[COUNT];

    for (int round = 0; round < ROUNDS; round++) {
        int n = snprintf(json, sizeof(json),
                         "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[%d],"
                         "\"data\":[",
                         COUNT);

        for (int i = 0; i < COUNT; i++) {
            double v = random_double(round + i);
            int at = n;

            if (!isfinite(v) || fabs(v) > 1e300)
                v = 0.5;
            n += snprintf(json + n, sizeof(json) - (size_t)n, round % 3 ? "%.*g" : "%.*e",
                          1 + (int)(next_random() % 24), v);
            want[i] = strtod(json + at, NULL);
            n += snprintf(json + n, sizeof(json) - (size_t)n, i + 1 < COUNT ? ", " : "]}]}");
        }
        assert_int_equal(decode(b, json), GAL_OK);
        for (int i = 0; i < COUNT; i++) /* but for the zero's sign: -0 is an integer */
            assert_true(((const double *)b->req.inputs[0].data)[i] == want[i]);
    }
}

static void the_short_way_survives_any_allocation_that_fails(void **state)
{
    static const char json[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[3],\"datatype\":\"FP32\","
                               "\"data\":[1,2,3]}]}";
    uint64_t calls = 1;

    (void)state;
    for (uint64_t i = 1; calls > 0; i++) {
        struct gal_arena arena;
        struct gal_oip_request req;
        enum gal_status st;

        gal_arena_init(&arena, 64, 0, 1 << 20);
        calls = gal_alloc_count();
        gal_alloc_fail_at(i, 1);
        st = gal_oip_decode(GAL_STR("mlp"), gal_str_of(json), (struct gal_str){NULL, 0}, &arena,
                            &req, NULL);
        gal_alloc_fail_at(0, 0);
        assert_int_equal(st, GAL_OK); /* by the long way */
        assert_true(((const float *)req.inputs[0].data)[2] == 3.0f);
        calls = gal_alloc_count() - calls >= i ? 1 : 0;
        gal_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_request_is_taken_apart),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(null_stands_for_absent_as_pydantic_clients_send_it),
        cmocka_unit_test(kserves_client_may_repeat_the_models_name),
        cmocka_unit_test(the_default_for_outputs_may_follow_them),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(text_that_is_no_json_is_refused),
        cmocka_unit_test(long_lists_names_and_ids_are_bounded),
        cmocka_unit_test(binary_inputs_take_their_bytes_in_order),
        cmocka_unit_test(binary_data_must_match_to_the_byte),
        cmocka_unit_test(a_raw_request_is_the_only_inputs_bytes),
        cmocka_unit_test(a_raw_request_whose_shape_cannot_be_known_is_refused),
        cmocka_unit_test(raw_text_is_one_element),
        cmocka_unit_test(a_raw_request_is_for_models_with_one_input),
        cmocka_unit_test(decoding_survives_any_allocation_that_fails),
        cmocka_unit_test(arrays_of_numbers_are_read_as_trees_are),
        cmocka_unit_test(only_an_inputs_data_is_read_past_the_tree),
        cmocka_unit_test(arrays_count_in_the_depth_of_the_text),
        cmocka_unit_test(numbers_are_read_to_the_last_bit),
        cmocka_unit_test(the_short_way_survives_any_allocation_that_fails),
    };

    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
