/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol's endpoints from the request to the response's bytes, over a backend made here. */
#include "api/exchange.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* --- the model: y = 2 * x, s = the count of rows as text --- */

static const int64_t xy_shape[2] = {-1, 3}, s_shape[1] = {1};
static const struct gal_port x_port = {.name = {"x", 1},
                                       .kind = GAL_KIND_TENSOR,
                                       .dtype = GAL_DT_FP32,
                                       .type_text = "tensor(float)",
                                       .rank = 2,
                                       .shape = xy_shape,
                                       .shape_known = true};
static const struct gal_port y_s_ports[4] = {
    {.name = {"y", 1},
     .kind = GAL_KIND_TENSOR,
     .dtype = GAL_DT_FP32,
     .type_text = "tensor(float)",
     .rank = 2,
     .shape = xy_shape,
     .shape_known = true},
    {.name = {"s", 1},
     .kind = GAL_KIND_TENSOR,
     .dtype = GAL_DT_BYTES,
     .type_text = "tensor(string)",
     .rank = 1,
     .shape = s_shape,
     .shape_known = true},
    {.name = {"p", 1},
     .kind = GAL_KIND_SEQUENCE,
     .dtype = GAL_DT_FP32,
     .key_dtype = GAL_DT_INT64,
     .type_text = "seq(map(int64,tensor(float)))",
     .of_maps = true},
    {.name = {"q", 1}, .kind = GAL_KIND_TENSOR, .dtype = GAL_DT_INT8, .type_text = "tensor(int8)"},
};
/* Of the four outputs only two are run here; metadata shows all. */
static const struct gal_model_info good_info = {.platform = "test_platform",
                                                .inputs = &x_port,
                                                .input_count = 1,
                                                .outputs = y_s_ports,
                                                .output_count = 2};
static const struct gal_model_info shown_info = {.platform = "test_platform",
                                                 .inputs = &x_port,
                                                 .input_count = 1,
                                                 .outputs = y_s_ports,
                                                 .output_count = 4};
static const struct gal_port sequence_port = {
    .name = {"l", 1}, .kind = GAL_KIND_SEQUENCE, .type_text = "seq(tensor(float))"};
static const struct gal_model_info sequence_info = {.platform = "test_platform",
                                                    .inputs = &sequence_port,
                                                    .input_count = 1,
                                                    .outputs = y_s_ports,
                                                    .output_count = 1};

static unsigned runs, releases;

static enum gal_status run(struct gal_session *session, const struct gal_value *inputs,
                           const size_t *wanted, size_t count, struct gal_arena *arena,
                           struct gal_value *outputs, struct gal_err *err)
{
    const struct gal_tensor *x = &inputs[0].tensor;

    (void)session;
    runs++;
    for (size_t i = 0; i < count; i++) {
        outputs[i] = inputs[0];
        outputs[i].tensor.name = y_s_ports[wanted[i]].name;
        if (wanted[i] == 0) {
            float *y = gal_arena_array(arena, x->count, sizeof(*y));
            if (y == NULL)
                return gal_fail(err, GAL_NO_MEMORY, "no memory");
            for (size_t k = 0; k < x->count; k++)
                y[k] = 2 * ((const float *)x->data)[k];
            outputs[i].tensor.data = y;
        } else {
            struct gal_str *s = gal_arena_small(arena, sizeof(*s));
            if (s == NULL)
                return gal_fail(err, GAL_NO_MEMORY, "no memory");
            *s = GAL_STR("text");
            outputs[i].tensor = (struct gal_tensor){GAL_STR("s"), GAL_DT_BYTES, 1, s_shape, 1, s};
        }
    }
    return GAL_OK;
}

static void release_output(struct gal_session *session, struct gal_value *output)
{
    (void)session;
    (void)output;
    releases++;
}

static void trim(struct gal_session *session)
{
    (void)session;
}

/* A session is its description. */
static const struct gal_model_info *info_of(const struct gal_session *session)
{
    return (const struct gal_model_info *)session;
}

static const struct gal_backend_ops ops = {.abi = GAL_BACKEND_ABI,
                                           .name = "test",
                                           .info = info_of,
                                           .run = run,
                                           .release_output = release_output,
                                           .trim = trim};

/* --- the process around it --- */

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 1000000;
}

static const struct gal_clock clock_at_rest = {.mono_us = no_time, .wall_us = no_time};
static const struct gal_api_options options = {.body_bytes_max = 1 << 20, .readiness_ttl_us = 1};
static struct gal_process process;
static struct gal_api api;
static struct gal_model models[4];
static struct gal_exchange x;
static struct gal_http_request req;
static struct gal_buf body;
static unsigned finished;

static void on_finished(struct gal_exchange *done)
{
    assert_ptr_equal(done, &x);
    finished++;
}

static void make_model(struct gal_model *m, const char *name, const char *version, int state,
                       const struct gal_model_info *info)
{
    struct gal_sched_options o = {.ops = &ops,
                                  .session = (struct gal_session *)info,
                                  .clock = &clock_at_rest,
                                  .mode = GAL_SCHED_INLINE,
                                  .workers = 1};

    gal_policy_init(&o.policy);

    memset(m, 0, sizeof(*m));
    m->name = gal_strdup(name);
    m->version = gal_strdup(version);
    m->state = state;
    m->ops = &ops;
    m->refs = 1000; /* never freed by a reference */
    m->batch_dim = true;
    m->info = state == GAL_MODEL_READY ? info : NULL;
    if (state == GAL_MODEL_READY)
        assert_int_equal(gal_sched_new(&o, &m->sched, NULL), GAL_OK);
    else
        gal_fail(&m->error, GAL_INVALID, "the file is broken");
}

static int start(void **state)
{
    struct gal_model *all[4] = {&models[0], &models[1], &models[2], &models[3]};

    (void)state;
    make_model(&models[0], "twice", "2", GAL_MODEL_READY, &good_info);
    make_model(&models[1], "twice", "1", GAL_MODEL_READY, &good_info);
    make_model(&models[2], "shown", "1", GAL_MODEL_READY, &shown_info);
    make_model(&models[3], "lists", "1", GAL_MODEL_READY, &sequence_info);
    memset(&api, 0, sizeof(api));
    memset(&process, 0, sizeof(process));
    process.loaded = true;
    process.check.ended_us = no_time(NULL); /* a deep check has just ended well */
    api.options = &options;
    api.process = &process;
    api.clock = &clock_at_rest;
    gal_rng_seed(&api.rng);
    assert_int_equal(gal_catalog_new(all, 4, &api.catalog, NULL), GAL_OK);
    gal_exchange_init(&x, &api);
    gal_buf_init(&body, 1 << 24);
    x.req = &req;
    x.on_finished = on_finished;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_exchange_release(&x);
    gal_catalog_unref(api.catalog);
    gal_buf_release(&body);
    for (size_t i = 0; i < 4; i++) {
        gal_sched_free(models[i].sched);
        gal_free(models[i].name);
        gal_free(models[i].version);
    }
    return 0;
}

/* Answers one request; the body of the response is in `body`, with a NUL behind it. */
static int ask(enum gal_method method, const char *path, struct gal_str sent)
{
    unsigned before = finished;

    req.method = method;
    req.version_major = req.version_minor = 1;
    req.target = req.path = gal_str_of(path);
    req.body = sent;
    gal_api_handle(&x);
    assert_int_equal(finished, before + 1);
    gal_buf_clear(&body, SIZE_MAX);
    for (size_t i = 0; i < x.resp.part_count; i++)
        gal_buf_put_str(&body, x.resp.parts[i]);
    assert_int_equal(body.n, x.resp.body_bytes);
    gal_buf_putc(&body, '\0');
    return x.resp.status;
}

static const char *header(const char *name)
{
    static char text[128];

    for (size_t i = 0; i < x.resp.header_count; i++)
        if (gal_str_ieq(x.resp.headers[i].name, gal_str_of(name))) {
            snprintf(text, sizeof(text), "%.*s", GAL_STR_ARG(x.resp.headers[i].value));
            return text;
        }
    return NULL;
}

static void expect(int status, const char *text)
{
    if (x.resp.status != status || strcmp(body.p, text) != 0)
        fail_msg("%d %s, not %d %s", x.resp.status, body.p, status, text);
    gal_exchange_reset(&x);
}

static void expect_error(int status, const char *part)
{
    if (x.resp.status != status || strncmp(body.p, "{\"error\":\"", 10) != 0 ||
        strstr(body.p, part) == NULL)
        fail_msg("%d %s, not %d %s", x.resp.status, body.p, status, part);
    assert_string_equal(header("Content-Type"), "application/json");
    gal_exchange_reset(&x);
}

static const struct gal_str nothing = {NULL, 0};

/* --- metadata and health --- */

static void server_metadata_lists_what_there_is(void **state)
{
    (void)state;
    ask(GAL_METHOD_GET, "/v2", nothing);
    assert_string_equal(header("Content-Type"), "application/json");
    assert_non_null(strstr(body.p, "\"name\":\"galley\",\"version\":\""));
    assert_non_null(strstr(body.p, "\"extensions\":[\"classification\",\"schedule_policy\","
                                   "\"model_configuration\",\"binary_tensor_data\","
                                   "\"parameters\",\"statistics\",\"trace\",\"logging\"]}"));
    gal_exchange_reset(&x);
}

static void health_answers_what_kserves_client_reads(void **state)
{
    (void)state;
    ask(GAL_METHOD_GET, "/v2/health/live", nothing);
    expect(200, "{\"live\":true}");
    ask(GAL_METHOD_GET, "/v2/health/ready", nothing);
    expect(200, "{\"live\":true,\"ready\":true}");
    ask(GAL_METHOD_GET, "/v2/models/twice/ready", nothing);
    expect(200, "{\"name\":\"twice\",\"ready\":true}");
    ask(GAL_METHOD_GET, "/v2/models/twice/versions/1/ready", nothing);
    expect(200, "{\"name\":\"twice\",\"ready\":true}");
}

static void not_ready_is_503_with_the_reason(void **state)
{
    struct gal_model broken, *list[1] = {&broken};
    struct gal_catalog *good = api.catalog;

    (void)state;
    process.draining = true;
    ask(GAL_METHOD_GET, "/v2/health/ready", nothing);
    expect(503, "{\"live\":true,\"ready\":false,\"error\":\"Service shutting down\"}");
    ask(GAL_METHOD_GET, "/v2/health/live", nothing);
    expect(200, "{\"live\":true}");
    process.draining = false;
    process.loaded = false;
    assert_int_equal(ask(GAL_METHOD_GET, "/v2/health/ready", nothing), 503);
    gal_exchange_reset(&x);
    process.loaded = true;
    process.check.last.failed = true;
    snprintf(process.check.last.text, sizeof(process.check.last.text), "no answer");
    ask(GAL_METHOD_GET, "/v2/health/ready", nothing);
    expect(503, "{\"live\":true,\"ready\":false,\"error\":\"no answer\"}");
    process.check.last.failed = false;
    make_model(&broken, "bad", "1", GAL_MODEL_FAILED, NULL);
    assert_int_equal(gal_catalog_new(list, 1, &api.catalog, NULL), GAL_OK);
    assert_int_equal(ask(GAL_METHOD_GET, "/v2/health/ready", nothing), 503);
    assert_non_null(strstr(body.p, "bad"));
    gal_exchange_reset(&x);
    ask(GAL_METHOD_GET, "/v2/models/bad/ready", nothing);
    expect(503, "{\"name\":\"bad\",\"ready\":false,\"error\":\"the file is broken\"}");
    ask(GAL_METHOD_GET, "/v2/models/bad", nothing);
    expect_error(503, "the file is broken");
    ask(GAL_METHOD_POST, "/v2/models/bad/infer", GAL_STR("{}"));
    expect_error(503, "the file is broken");
    broken.state = GAL_MODEL_LOADING;
    assert_int_equal(ask(GAL_METHOD_GET, "/v2/models/bad/ready", nothing), 503);
    gal_exchange_reset(&x);
    gal_catalog_unref(api.catalog);
    api.catalog = good;
    gal_free(broken.name);
    gal_free(broken.version);
}

static void models_are_listed_by_name(void **state)
{
    (void)state;
    ask(GAL_METHOD_GET, "/v2/models", nothing);
    expect(200, "{\"models\":[\"lists\",\"shown\",\"twice\"]}");
}

static void model_metadata_has_open_sizes_and_versions(void **state)
{
    (void)state;
    ask(GAL_METHOD_GET, "/v2/models/twice", nothing);
    expect(200, "{\"name\":\"twice\",\"versions\":[\"2\",\"1\"],\"platform\":\"test_platform\","
                "\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]}],"
                "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,3]},"
                "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[1]}]}");
    ask(GAL_METHOD_GET, "/v2/models/shown/versions/1", nothing);
    assert_non_null(strstr(body.p, "{\"name\":\"p\",\"datatype\":\"FP32\",\"shape\":[-1,-1]},"
                                   "{\"name\":\"q\",\"datatype\":\"INT8\",\"shape\":[-1]}]}"));
    gal_exchange_reset(&x);
}

static void what_is_not_there_is_404(void **state)
{
    static const char *const paths[] = {"/v2/models/none", "/v2/models/none/ready",
                                        "/v2/models/twice/versions/9",
                                        "/v2/models/twice/versions/9/ready", "/v2/none"};
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        ask(GAL_METHOD_GET, paths[i], nothing);
        expect_error(404, "");
    }
    ask(GAL_METHOD_POST, "/v2/models/none/infer", GAL_STR("{}"));
    expect_error(404, "none");
    ask(GAL_METHOD_GET, "/v2/models/twice/infer", nothing);
    assert_string_equal(header("Allow"), "POST");
    expect_error(405, "");
}

/* --- inference --- */

#define ROW "{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,3.5]}"
#define Y_ROW "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[2.0,4.0,7.0]}"
#define S_TEXT "{\"name\":\"s\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"text\"]}"

static void a_row_of_json_is_answered_by_the_newest_version(void **state)
{
    unsigned before = releases;

    (void)state;
    ask(GAL_METHOD_POST, "/v2/models/twice/infer", GAL_STR("{\"id\":\"7\",\"inputs\":[" ROW "]}"));
    assert_string_equal(header("Content-Type"), "application/json");
    assert_null(header("Inference-Header-Content-Length"));
    expect(200, "{\"id\":\"7\",\"model_name\":\"twice\",\"model_version\":\"2\",\"outputs\":[" Y_ROW
                "," S_TEXT "]}");
    assert_int_equal(releases, before + 2);
}

static void versions_and_outputs_can_be_chosen(void **state)
{
    (void)state;
    ask(GAL_METHOD_POST, "/v2/models/twice/versions/1/infer",
        GAL_STR("{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"s\"}]}"));
    expect(200, "{\"model_name\":\"twice\",\"model_version\":\"1\",\"outputs\":[" S_TEXT "]}");
    ask(GAL_METHOD_POST, "/v2/models/twice/infer",
        GAL_STR("{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"s\"},{\"name\":\"y\"}]}"));
    expect(200,
           "{\"model_name\":\"twice\",\"model_version\":\"2\",\"outputs\":[" S_TEXT "," Y_ROW "]}");
}

static void infer_binary(const char *length, const char *json, const void *blob, size_t bytes)
{
    static char all[1024];
    size_t n = strlen(json);

    memcpy(all, json, n + 1);
    memcpy(all + n, blob, bytes);
    req.known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = gal_str_of(length);
    ask(GAL_METHOD_POST, "/v2/models/twice/infer", (struct gal_str){all, n + bytes});
    req.known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = nothing;
}

static void binary_goes_in_and_comes_out(void **state)
{
    static const char json[] =
        "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":"
        "\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":12}}]}";
    float v[3] = {1, 2, 3.5f}, y[3] = {2, 4, 7};
    char length[16];
    size_t head;

    (void)state;
    snprintf(length, sizeof(length), "%zu", strlen(json));
    infer_binary(length, json, v, sizeof(v));
    assert_int_equal(x.resp.status, 200);
    assert_string_equal(header("Content-Type"), "application/octet-stream");
    head = x.resp.parts[0].n;
    snprintf(length, sizeof(length), "%zu", head);
    assert_string_equal(header("Inference-Header-Content-Length"), length);
    assert_non_null(strstr(body.p, "\"parameters\":{\"binary_data_size\":12}}"));
    assert_int_equal(x.resp.body_bytes, head + 12 + 8);
    assert_memory_equal(body.p + head, y, 12);
    assert_memory_equal(body.p + head + 12, "\4\0\0\0text", 8);
    gal_exchange_reset(&x);
}

static void a_raw_body_is_answered_in_binary(void **state)
{
    float v[6] = {1, 2, 3, 4, 5, 6};

    (void)state;
    infer_binary("0", "", v, sizeof(v));
    assert_int_equal(x.resp.status, 200);
    assert_non_null(strstr(body.p, "\"shape\":[2,3],\"parameters\":{\"binary_data_size\":24}"));
    assert_int_equal(x.resp.body_bytes, x.resp.parts[0].n + 24 + 8);
    gal_exchange_reset(&x);
    infer_binary("0", "", v, 10);
    expect_error(400, "can not be deduced");
}

static void a_header_length_outside_the_body_is_refused(void **state)
{
    static const char *const lengths[] = {"15", "-1", "x", "", "18446744073709551616"};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        infer_binary(lengths[i], "{\"inputs\":[]}", "", 0);
        expect_error(400, "inference header size should be in range (0, 13)");
    }
}

struct refusal {
    const char *json;
    int status;
    const char *part;
};

static const struct refusal refusals[] = {
    {"", 400, ""},
    {"{", 400, ""},
    {"{\"inputs\":[]}", 400, "expected 1 inputs but got 0 inputs for model 'twice'"},
    {"{\"inputs\":[" ROW "," ROW "]}", 400, "at inputs[1]"},
    {"{\"inputs\":[{\"name\":\"z\",\"shape\":[1],\"datatype\":\"INT8\",\"data\":[1]}]}", 400,
     "unexpected inference input 'z'"},
    {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}", 400,
     "unexpected shape for input 'x' for model 'twice'. Expected [-1,3], got [1,2] (at inputs[0])"},
    {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP64\",\"data\":[1,2,3]}]}", 400,
     "Expected FP32, got FP64"},
    {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[1,2,null]}]}",
     400, "got null (at inputs[0].data[2])"},
    {"{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"q\"}]}", 400,
     "unexpected inference output 'q' for model 'twice'"},
    {"{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"y\"},{\"name\":\"y\"}]}", 400,
     "output 'y' already exists in request"},
    {"{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"s\",\"parameters\":{\"classification\":1}}]}",
     501, "class result not available for output 's' due to unsupported type 'BYTES'"},
    {"{\"inputs\":[" ROW "],\"outputs\":[{\"name\":\"y\",\"parameters\":{"
     "\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":12}}]}",
     501, "client shared memory is disabled"},
};

static void what_does_not_fit_the_model_is_said(void **state)
{
    unsigned before = runs;

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        ask(GAL_METHOD_POST, "/v2/models/twice/infer", gal_str_of(refusals[i].json));
        expect_error(refusals[i].status, refusals[i].part);
    }
    assert_int_equal(runs, before);
}

static void an_input_that_is_no_tensor_is_not_supported(void **state)
{
    (void)state;
    ask(GAL_METHOD_POST, "/v2/models/lists/infer", GAL_STR("{\"inputs\":[]}"));
    expect_error(501, "input 'l' of model 'lists' is a seq(tensor(float))");
}

static void a_server_that_stops_refuses_inference(void **state)
{
    (void)state;
    process.refusing = true;
    ask(GAL_METHOD_POST, "/v2/models/twice/infer", GAL_STR("{\"inputs\":[" ROW "]}"));
    expect_error(503, "Service shutting down");
    process.refusing = false;
}

static void inference_in_steady_state_allocates_nothing(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        if (i == 10)
            before = gal_alloc_count();
        assert_int_equal(
            ask(GAL_METHOD_POST, "/v2/models/twice/infer", GAL_STR("{\"inputs\":[" ROW "]}")), 200);
        gal_exchange_reset(&x);
    }
    assert_int_equal(gal_alloc_count(), before);
}

static void an_allocation_that_fails_is_an_answer(void **state)
{
    int status = 0, refused = 0;

    (void)state;
    for (uint64_t i = 1; status != 200; i++) {
        gal_exchange_release(&x);
        gal_exchange_init(&x, &api);
        x.req = &req;
        x.on_finished = on_finished;
        gal_alloc_fail_at(i, 1);
        status = ask(GAL_METHOD_POST, "/v2/models/twice/infer", GAL_STR("{\"inputs\":[" ROW "]}"));
        gal_alloc_fail_at(0, 0);
        assert_true(status == 200 || status == 503 || status == 500);
        refused += status != 200;
        gal_exchange_reset(&x);
    }
    assert_true(refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_metadata_lists_what_there_is),
        cmocka_unit_test(health_answers_what_kserves_client_reads),
        cmocka_unit_test(not_ready_is_503_with_the_reason),
        cmocka_unit_test(models_are_listed_by_name),
        cmocka_unit_test(model_metadata_has_open_sizes_and_versions),
        cmocka_unit_test(what_is_not_there_is_404),
        cmocka_unit_test(a_row_of_json_is_answered_by_the_newest_version),
        cmocka_unit_test(versions_and_outputs_can_be_chosen),
        cmocka_unit_test(binary_goes_in_and_comes_out),
        cmocka_unit_test(a_raw_body_is_answered_in_binary),
        cmocka_unit_test(a_header_length_outside_the_body_is_refused),
        cmocka_unit_test(what_does_not_fit_the_model_is_said),
        cmocka_unit_test(an_input_that_is_no_tensor_is_not_supported),
        cmocka_unit_test(a_server_that_stops_refuses_inference),
        cmocka_unit_test(inference_in_steady_state_allocates_nothing),
        cmocka_unit_test(an_allocation_that_fails_is_an_answer),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
