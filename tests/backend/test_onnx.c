/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX Runtime backend with models that say in a few lines what they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/onnx.h"
#include "base/file.h"
#include "base/mem.h"
#include "support/onnx_model.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const struct gal_backend_ops *const ops = &gal_backend_onnx;
static const struct gal_backend_options one_thread = {.intra_op_threads = 1};
static size_t threads_at_start; /* a sanitizer may have one of its own */

/* ---- helpers ---- */

/* A loaded model and what its last run gave. */
struct bench {
    struct gal_session *session;
    const struct gal_model_info *info;
    struct gal_arena arena;
    struct gal_value outputs[32];
    size_t output_count;
    struct gal_err err;
};

static enum gal_status bench_load(struct bench *b, const char *path)
{
    memset(b, 0, sizeof *b);
    gal_arena_init(&b->arena, 4096, 1u << 20, 1u << 28);
    enum gal_status status = ops->load(path, &one_thread, &b->session, &b->err);
    if (!status)
        b->info = ops->info(b->session);
    return status;
}

static void bench_open(struct bench *b, const char *path)
{
    if (bench_load(b, path))
        fail_msg("%s: %s", path, b->err.message);
}

static void bench_clear(struct bench *b)
{
    for (size_t i = 0; i < b->output_count; i++)
        ops->release_output(b->session, &b->outputs[i]);
    b->output_count = 0;
    gal_arena_clear(&b->arena);
}

static void bench_close(struct bench *b)
{
    bench_clear(b);
    ops->free(b->session);
    gal_arena_release(&b->arena);
}

/* Runs for all outputs. */
static enum gal_status bench_run(struct bench *b, const struct gal_value *inputs)
{
    size_t wanted[32];
    bench_clear(b);
    for (size_t i = 0; i < b->info->output_count; i++)
        wanted[i] = i;
    enum gal_status status =
        ops->run(b->session, inputs, wanted, b->info->output_count, &b->arena, b->outputs, &b->err);
    b->output_count = status ? 0 : b->info->output_count;
    return status;
}

static struct gal_value tensor(enum gal_dtype dtype, size_t rank, const int64_t *shape,
                               const void *data)
{
    struct gal_value v = {.kind = GAL_KIND_TENSOR,
                          .tensor = {.dtype = dtype, .rank = rank, .shape = shape, .data = data}};
    assert_int_equal(gal_shape_count(shape, rank, dtype, &v.tensor.count, NULL), GAL_OK);
    return v;
}

static struct gal_value floats(const int64_t *shape, size_t rank, const float *data)
{
    return tensor(GAL_DT_FP32, rank, shape, data);
}

/* ---- the engine ---- */

/* Runs before any other: once an engine is there, another is refused. */
static void a_missing_engine_is_unavailable_and_says_what_to_do(void **state)
{
    (void)state;
    const char *version;
    struct gal_err err;
    struct gal_backend_options o = {.library = "/nowhere/libonnxruntime.so.1"};
    assert_int_equal(ops->version(&o, &version, &err), GAL_UNAVAILABLE);
    assert_non_null(strstr(err.message, "/nowhere/libonnxruntime.so.1"));
    assert_non_null(strstr(err.hint, "--onnxruntime"));
    o.library = test_file_write("text.so", GAL_STR("this is text"));
    assert_int_equal(ops->version(&o, &version, &err), GAL_UNAVAILABLE);
    o.library = "libm.so.6";
    assert_int_equal(ops->version(&o, &version, &err), GAL_UNAVAILABLE);
    assert_non_null(strstr(err.message, "is not ONNX Runtime"));
}

static size_t count_threads(void)
{
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(gal_dir_list("/proc/self/task", &names, &count, NULL), GAL_OK);
    gal_free(names);
    return count;
}

static void the_engine_is_found_and_tells_its_version(void **state)
{
    (void)state;
    const char *version = NULL;
    struct gal_err err = {.message = ""};
    if (ops->version(&one_thread, &version, &err))
        fail_msg("%s", err.message);
    assert_true(version[0] >= '1' && strchr(version, '.'));
    const struct gal_backend_options other = {.library = "/nowhere/other.so"};
    assert_int_equal(ops->version(&other, &version, &err), GAL_CONFLICT);
}

/* Telemetry would be a thread and a connection. */
static void the_engine_starts_no_thread_of_its_own(void **state)
{
    (void)state;
    struct bench b;
    const float x[] = {1, 2};
    const int64_t shape[] = {1, 2};
    bench_open(&b, onnx_identity_model(ONNX_FLOAT, "-1,2", "alone.onnx"));
    const struct gal_value in = floats(shape, 2, x);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_string_equal(getenv("ORT_DISABLE_TELEMETRY"), "1");
    assert_int_equal(count_threads(), threads_at_start);
    bench_close(&b);
}

/* ---- loading ---- */

static void files_that_are_no_models_are_refused(void **state)
{
    (void)state;
    const struct {
        struct gal_str file;
        const char *says;
    } rows[] = {
        {GAL_STR(""), "empty"},
        {GAL_STR("hello"), "not an ONNX model"},
        {GAL_STR("\x08\x08\x3a\x7f"), "ends early"},
        /* Whole as protobuf, but the graph has no output and no opset is imported. */
        {GAL_STR("\x08\x08\x3a\x03\x12\x01g"), ""},
    };
    struct bench b;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(bench_load(&b, test_file_write("bad.onnx", rows[i].file)), GAL_INVALID);
        assert_non_null(strstr(b.err.message, rows[i].says));
        assert_true(b.err.message[0] != '\0' && !strchr(b.err.message, '\n'));
        bench_close(&b);
    }
    assert_int_equal(bench_load(&b, "/nowhere/model.onnx"), GAL_NOT_FOUND);
    bench_close(&b);
    assert_int_equal(bench_load(&b, test_folder()), GAL_INVALID);
    bench_close(&b);
}

static void a_model_cut_anywhere_is_refused_or_whole(void **state)
{
    (void)state;
    struct onnx_model m;
    struct gal_buf file;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "2");
    onnx_output(&m, "y", ONNX_FLOAT, "2");
    onnx_node(&m, "", "Identity", "x", "y");
    onnx_model_end(&m, &file);
    for (size_t n = 0; n < file.n; n++) {
        struct bench b;
        enum gal_status status =
            bench_load(&b, test_file_write("cut.onnx", (struct gal_str){file.p, n}));
        assert_true(status == GAL_INVALID || (status == GAL_OK && n > file.n / 2));
        bench_close(&b);
    }
    gal_buf_release(&file);
}

static void unknown_operators_are_refused_in_the_engines_words(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "2");
    onnx_output(&m, "y", ONNX_FLOAT, "2");
    onnx_node(&m, "", "NoSuchOperator", "x", "y");
    enum gal_status status = bench_load(&b, onnx_model_write(&m, "op.onnx"));
    assert_int_equal(status, GAL_INVALID);
    assert_non_null(strstr(b.err.message, "NoSuchOperator"));
    bench_close(&b);
}

static void a_model_describes_itself(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    onnx_model_begin(&m);
    onnx_input(&m, "a", ONNX_FLOAT, "batch,3");
    onnx_input(&m, "b", ONNX_FLOAT, "");
    onnx_input(&m, "c", ONNX_FLOAT, NULL);
    onnx_output(&m, "y", ONNX_FLOAT, "batch,3");
    onnx_node(&m, "", "Add", "a,b", "t");
    onnx_node(&m, "", "Add", "t,c", "y");
    onnx_meta(&m, "feature_names", "[\"p\"]");
    bench_open(&b, onnx_model_write(&m, "describe.onnx"));
    const struct gal_model_info *i = b.info;
    assert_string_equal(i->platform, "onnxruntime_onnx");
    assert_string_equal(i->producer, "tests 1.0");
    assert_string_equal(i->graph_name, "test_graph");
    assert_string_equal(i->description, "A test's model");
    assert_string_equal(i->domain, "org.example");
    assert_true(i->model_version == 7 && i->ir_version == 8);
    assert_string_equal(i->opsets.p, "ai.onnx 17, ai.onnx.ml 3");
    assert_true(i->meta_count == 1 && gal_str_is(i->meta[0].value, "[\"p\"]"));
    assert_true(i->input_count == 3 && i->output_count == 1);
    assert_true(gal_str_is(i->inputs[0].name, "a") && i->inputs[0].rank == 2);
    assert_true(i->inputs[0].shape[0] == -1 && i->inputs[0].shape[1] == 3);
    assert_string_equal(i->inputs[0].dims[0], "batch");
    assert_string_equal(i->inputs[0].dims[1], "");
    assert_string_equal(i->inputs[0].type_text, "tensor(float)");
    assert_true(i->inputs[0].shape_known && i->inputs[0].dtype == GAL_DT_FP32);
    assert_true(i->inputs[1].shape_known && i->inputs[1].rank == 0);
    assert_false(i->inputs[2].shape_known);
    assert_true(gal_port_find(i->inputs, 3, GAL_STR("c")) == 2);
    assert_true(gal_port_find(i->inputs, 3, GAL_STR("z")) == SIZE_MAX);
    bench_close(&b);
}

static void weights_in_another_file_are_found_beside_the_model(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    const float w[] = {10, 20};
    const int64_t shape[] = {2};
    const float x[] = {1, 2};
    for (int is_there = 0; is_there < 2; is_there++) {
        onnx_model_begin(&m);
        onnx_input(&m, "x", ONNX_FLOAT, "2");
        onnx_output(&m, "y", ONNX_FLOAT, "2");
        onnx_initializer(&m, "w", ONNX_FLOAT, "2", NULL, 0, "weights.bin");
        onnx_node(&m, "", "Add", "x,w", "y");
        const char *path = onnx_model_write(&m, "external.onnx");
        if (!is_there) {
            assert_int_equal(bench_load(&b, path), GAL_INVALID);
            assert_non_null(strstr(b.err.message, "weights.bin"));
        } else {
            test_file_write("weights.bin", (struct gal_str){(const char *)w, sizeof w});
            bench_open(&b, path);
            const struct gal_value in = floats(shape, 1, x);
            assert_int_equal(bench_run(&b, &in), GAL_OK);
            assert_true(((const float *)b.outputs[0].tensor.data)[1] == 22.0f);
        }
        bench_close(&b);
    }
}

static void memory_that_runs_out_while_loading_is_an_error(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s", onnx_identity_model(ONNX_FLOAT, "-1,2", "alloc.onnx"));
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_session *session = NULL;
        struct gal_err err;
        gal_alloc_fail_at(i, 1);
        status = ops->load(path, &one_thread, &session, &err);
        gal_alloc_fail_at(0, 0);
        assert_true((status == GAL_OK) == (session != NULL));
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY || status == GAL_IO);
        ops->free(session);
        assert_true(i < 200);
    }
}

/* ---- tensors ---- */

static void every_datatype_goes_through_unchanged(void **state)
{
    (void)state;
    static const int elements[GAL_DT_COUNT] = {
        [GAL_DT_BOOL] = 9,    [GAL_DT_UINT8] = 2, [GAL_DT_UINT16] = 4, [GAL_DT_UINT32] = 12,
        [GAL_DT_UINT64] = 13, [GAL_DT_INT8] = 3,  [GAL_DT_INT16] = 5,  [GAL_DT_INT32] = 6,
        [GAL_DT_INT64] = 7,   [GAL_DT_FP16] = 10, [GAL_DT_FP32] = 1,   [GAL_DT_FP64] = 11,
        [GAL_DT_BF16] = 16,
    };
    uint8_t data[48];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 1);
    for (unsigned t = GAL_DT_BOOL; t < GAL_DT_COUNT; t++) {
        if (t == GAL_DT_BYTES)
            continue;
        struct bench b;
        const int64_t shape[] = {2, 3};
        uint8_t bools[] = {0, 1, 1, 0, 0, 1};
        bench_open(&b, onnx_identity_model(elements[t], "-1,3", "dtype.onnx"));
        assert_int_equal(b.info->inputs[0].dtype, t);
        const void *from = t == GAL_DT_BOOL ? bools : data;
        const struct gal_value in = tensor((enum gal_dtype)t, 2, shape, from);
        assert_int_equal(bench_run(&b, &in), GAL_OK);
        const struct gal_tensor *out = &b.outputs[0].tensor;
        assert_true(out->dtype == t && out->rank == 2 && out->count == 6);
        assert_true(out->shape[0] == 2 && out->shape[1] == 3);
        assert_true(gal_str_is(out->name, "y"));
        assert_memory_equal(out->data, from, 6 * gal_dtype_size((enum gal_dtype)t));
        bench_close(&b);
    }
}

static void texts_keep_their_nuls_and_lengths(void **state)
{
    (void)state;
    struct bench b;
    char large[5000];
    memset(large, 'x', sizeof large);
    const struct gal_str texts[] = {GAL_STR("a\0b"),       GAL_STR(""),   GAL_STR("\xc3\xa4"),
                                    {large, sizeof large}, GAL_STR("\0"), {NULL, 0}};
    const int64_t shape[] = {3, 2};
    bench_open(&b, onnx_identity_model(ONNX_STRING, "-1,2", "text.onnx"));
    const struct gal_value in = tensor(GAL_DT_BYTES, 2, shape, texts);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    const struct gal_str *out = b.outputs[0].tensor.data;
    for (size_t i = 0; i < 6; i++)
        assert_true(gal_str_eq(out[i], texts[i]));
    bench_close(&b);
}

static void scalars_and_tensors_without_elements_work(void **state)
{
    (void)state;
    struct bench b;
    const float one = 41.5f;
    const int64_t none[] = {0, 2};
    bench_open(&b, onnx_identity_model(ONNX_FLOAT, NULL, "any.onnx"));
    struct gal_value in = floats(NULL, 0, &one);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(b.outputs[0].tensor.rank == 0 && b.outputs[0].tensor.count == 1);
    assert_true(*(const float *)b.outputs[0].tensor.data == one);
    in = floats(none, 2, NULL);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(b.outputs[0].tensor.rank == 2 && b.outputs[0].tensor.count == 0);
    bench_close(&b);
    bench_open(&b, onnx_identity_model(ONNX_STRING, NULL, "any_text.onnx"));
    in = tensor(GAL_DT_BYTES, 2, none, NULL);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(b.outputs[0].tensor.dtype == GAL_DT_BYTES && b.outputs[0].tensor.count == 0);
    bench_close(&b);
}

static void inputs_that_do_not_fit_are_invalid_in_one_line(void **state)
{
    (void)state;
    struct bench b;
    const double d[4] = {0};
    const float f[9] = {0};
    const int64_t fits[] = {2, 2}, other[] = {3, 3}, flat[] = {4};
    bench_open(&b, onnx_identity_model(ONNX_FLOAT, "-1,2", "refuse.onnx"));
    const struct {
        struct gal_value in;
        const char *says;
    } rows[] = {
        {tensor(GAL_DT_FP64, 2, fits, d), "double"},
        {floats(other, 2, f), "Expected: 2"},
        {floats(flat, 1, f), "rank"},
        {{.kind = GAL_KIND_NONE}, "input 'x' is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(bench_run(&b, &rows[i].in), GAL_INVALID);
        if (!strstr(b.err.message, rows[i].says))
            fail_msg("%s", b.err.message);
        assert_null(strchr(b.err.message, '\n'));
    }
    bench_close(&b);
}

static void an_operator_that_fails_is_invalid_without_source_noise(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "n");
    onnx_input(&m, "shape", ONNX_INT64, "r");
    onnx_output(&m, "y", ONNX_FLOAT, NULL);
    onnx_node(&m, "", "Reshape", "x,shape", "y");
    bench_open(&b, onnx_model_write(&m, "reshape.onnx"));
    const float x[3] = {0};
    const int64_t three[] = {3}, one[] = {1}, to[] = {2};
    const struct gal_value in[] = {floats(three, 1, x), tensor(GAL_DT_INT64, 1, one, to)};
    assert_int_equal(bench_run(&b, in), GAL_INVALID);
    assert_non_null(strstr(b.err.message, "Reshape"));
    assert_null(strstr(b.err.message, ".h:"));
    assert_null(strstr(b.err.message, "onnxruntime::"));
    bench_close(&b);
}

static void a_default_in_the_file_is_an_optional_input(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    const float w = 100;
    onnx_model_begin(&m);
    onnx_input(&m, "w", ONNX_FLOAT, "1");
    onnx_input(&m, "x", ONNX_FLOAT, "1");
    onnx_output(&m, "y", ONNX_FLOAT, "1");
    onnx_initializer(&m, "w", ONNX_FLOAT, "1", &w, sizeof w, NULL);
    onnx_node(&m, "", "Add", "x,w", "y");
    bench_open(&b, onnx_model_write(&m, "default.onnx"));
    assert_int_equal(b.info->input_count, 2);
    assert_true(gal_str_is(b.info->inputs[0].name, "x") && !b.info->inputs[0].optional);
    assert_true(gal_str_is(b.info->inputs[1].name, "w") && b.info->inputs[1].optional);
    const int64_t one[] = {1};
    const float x = 1, given = 5;
    struct gal_value in[] = {floats(one, 1, &x), {.kind = GAL_KIND_NONE}};
    assert_int_equal(bench_run(&b, in), GAL_OK);
    assert_true(*(const float *)b.outputs[0].tensor.data == 101.0f);
    in[1] = floats(one, 1, &given);
    assert_int_equal(bench_run(&b, in), GAL_OK);
    assert_true(*(const float *)b.outputs[0].tensor.data == 6.0f);
    bench_close(&b);
}

/* More ports than fit on run's stack. */
static void many_ports_and_any_selection_of_outputs_work(void **state)
{
    (void)state;
    enum { N = 20 };
    struct onnx_model m;
    struct bench b;
    char in[16], out[16];
    onnx_model_begin(&m);
    for (int i = 0; i < N; i++) {
        snprintf(in, sizeof in, "x%d", i);
        snprintf(out, sizeof out, "y%d", i);
        onnx_input(&m, in, ONNX_FLOAT, "1");
        onnx_output(&m, out, ONNX_FLOAT, "1");
        onnx_node(&m, "", "Neg", in, out);
    }
    bench_open(&b, onnx_model_write(&m, "many.onnx"));
    float x[N];
    const int64_t one[] = {1};
    struct gal_value inputs[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        inputs[i] = floats(one, 1, &x[i]);
    }
    assert_int_equal(bench_run(&b, inputs), GAL_OK);
    for (int i = 0; i < N; i++)
        assert_true(*(const float *)b.outputs[i].tensor.data == -(float)i);
    bench_clear(&b);
    const size_t wanted[] = {7, 3};
    assert_int_equal(ops->run(b.session, inputs, wanted, 2, &b.arena, b.outputs, &b.err), GAL_OK);
    b.output_count = 2;
    assert_true(gal_str_is(b.outputs[0].tensor.name, "y7") &&
                gal_str_is(b.outputs[1].tensor.name, "y3"));
    assert_true(*(const float *)b.outputs[1].tensor.data == -3.0f);
    bench_close(&b);
}

static void an_output_type_outside_the_protocol_is_not_supported(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    enum { FLOAT8E4M3FN = 17 };
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "2");
    onnx_output(&m, "y", FLOAT8E4M3FN, "2");
    onnx_output(&m, "z", ONNX_FLOAT, "2");
    onnx_attr_int(&m, "to", FLOAT8E4M3FN);
    onnx_node(&m, "", "Cast", "x", "y");
    onnx_node(&m, "", "Neg", "x", "z");
    struct gal_buf file;
    onnx_model_end(&m, &file);
    /* float8 came with opset 19: 17 stands in the import right behind the empty domain. */
    char *opset = memmem(file.p, file.n, "\x42\x04\x0a\x00\x10\x11", 6);
    opset[5] = 19;
    bench_open(&b, test_file_write("float8.onnx", gal_buf_str(&file)));
    gal_buf_release(&file);
    assert_int_equal(b.info->outputs[0].dtype, GAL_DT_NONE);
    assert_string_equal(b.info->outputs[0].type_text, "tensor(float8e4m3fn)");
    const float x[] = {1, 2};
    const int64_t two[] = {2};
    const struct gal_value in = floats(two, 1, x);
    assert_int_equal(bench_run(&b, &in), GAL_UNSUPPORTED);
    /* The other output is still to be had. */
    const size_t wanted[] = {1};
    assert_int_equal(ops->run(b.session, &in, wanted, 1, &b.arena, b.outputs, &b.err), GAL_OK);
    b.output_count = 1;
    bench_close(&b);
}

/* ---- sequences, maps, optionals ---- */

static void sequences_go_in_and_out_empty_ones_too(void **state)
{
    (void)state;
    struct onnx_model m;
    struct gal_buf type;
    struct bench b;
    onnx_model_begin(&m);
    onnx_type_tensor(&type, ONNX_FLOAT, NULL);
    onnx_type_wrap(&type, ONNX_SEQUENCE);
    onnx_model_input(&m, "s", &type);
    onnx_type_tensor(&type, ONNX_FLOAT, NULL);
    onnx_type_wrap(&type, ONNX_SEQUENCE);
    onnx_model_output(&m, "t", &type);
    onnx_output(&m, "n", ONNX_INT64, "");
    onnx_node(&m, "", "Identity", "s", "t");
    onnx_node(&m, "", "SequenceLength", "s", "n");
    bench_open(&b, onnx_model_write(&m, "sequence.onnx"));
    assert_true(b.info->inputs[0].kind == GAL_KIND_SEQUENCE &&
                b.info->inputs[0].dtype == GAL_DT_FP32);
    assert_string_equal(b.info->inputs[0].type_text, "seq(tensor(float))");
    const float x[] = {1, 2, 3};
    const int64_t two[] = {2}, three[] = {3};
    struct gal_value items[] = {floats(two, 1, x), floats(three, 1, x)};
    struct gal_value in = {.kind = GAL_KIND_SEQUENCE, .items = items, .count = 2};
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(b.outputs[0].kind == GAL_KIND_SEQUENCE && b.outputs[0].count == 2);
    assert_int_equal(b.outputs[0].items[1].tensor.count, 3);
    assert_true(((const float *)b.outputs[0].items[1].tensor.data)[2] == 3.0f);
    assert_true(*(const int64_t *)b.outputs[1].tensor.data == 2);
    in.count = 0;
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_int_equal(b.outputs[0].count, 0);
    assert_true(*(const int64_t *)b.outputs[1].tensor.data == 0);
    bench_close(&b);
}

static void zipmap_model(struct onnx_model *m, bool text)
{
    static const char *const names[] = {"cat", "dog"};
    static const int64_t numbers[] = {10, 20};
    struct gal_buf type;
    onnx_model_begin(m);
    onnx_input(m, "x", ONNX_FLOAT, "-1,2");
    onnx_type_map(&type, text ? ONNX_STRING : ONNX_INT64, ONNX_FLOAT);
    onnx_type_wrap(&type, ONNX_SEQUENCE);
    onnx_model_output(m, "y", &type);
    if (text)
        onnx_attr_string_list(m, "classlabels_strings", names, 2);
    else
        onnx_attr_int_list(m, "classlabels_int64s", numbers, 2);
    onnx_node(m, "ai.onnx.ml", "ZipMap", "x", "y");
}

static void a_class_models_maps_come_out(void **state)
{
    (void)state;
    for (int text = 0; text < 2; text++) {
        struct onnx_model m;
        struct bench b;
        zipmap_model(&m, text);
        bench_open(&b, onnx_model_write(&m, "zipmap.onnx"));
        const struct gal_port *p = &b.info->outputs[0];
        assert_true(p->kind == GAL_KIND_SEQUENCE && p->of_maps && p->dtype == GAL_DT_FP32);
        assert_int_equal(p->key_dtype, text ? GAL_DT_BYTES : GAL_DT_INT64);
        assert_string_equal(p->type_text,
                            text ? "seq(map(string,float))" : "seq(map(int64,float))");
        const float x[] = {0.25f, 0.75f, 1, 0};
        const int64_t shape[] = {2, 2};
        const struct gal_value in = floats(shape, 2, x);
        assert_int_equal(bench_run(&b, &in), GAL_OK);
        assert_int_equal(b.outputs[0].count, 2);
        const struct gal_value *map = &b.outputs[0].items[0];
        assert_true(map->kind == GAL_KIND_MAP && map->count == 2);
        assert_int_equal(map->items[0].tensor.count, 2);
        assert_true(((const float *)map->items[1].tensor.data)[1] == 0.75f);
        if (text)
            assert_true(gal_str_is(((const struct gal_str *)map->items[0].tensor.data)[1], "dog"));
        else
            assert_true(((const int64_t *)map->items[0].tensor.data)[1] == 20);
        bench_close(&b);
    }
}

static void maps_go_in(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    struct onnx_model m;
    struct gal_buf type;
    struct bench b;
    onnx_model_begin(&m);
    onnx_type_map(&type, ONNX_STRING, ONNX_FLOAT);
    onnx_model_input(&m, "x", &type);
    onnx_output(&m, "y", ONNX_FLOAT, "1,3");
    onnx_attr_string_list(&m, "string_vocabulary", names, 3);
    onnx_node(&m, "ai.onnx.ml", "DictVectorizer", "x", "y");
    bench_open(&b, onnx_model_write(&m, "dict.onnx"));
    assert_true(b.info->inputs[0].kind == GAL_KIND_MAP &&
                b.info->inputs[0].key_dtype == GAL_DT_BYTES);
    const struct gal_str keys[] = {GAL_STR("c"), GAL_STR("a")};
    const float values[] = {3, 1};
    const int64_t two[] = {2};
    struct gal_value parts[] = {tensor(GAL_DT_BYTES, 1, two, keys), floats(two, 1, values)};
    const struct gal_value in = {.kind = GAL_KIND_MAP, .items = parts, .count = 2};
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    const float *y = b.outputs[0].tensor.data;
    assert_true(y[0] == 1.0f && y[1] == 0.0f && y[2] == 3.0f);
    bench_close(&b);
}

static void optionals_may_be_left_out(void **state)
{
    (void)state;
    struct onnx_model m;
    struct gal_buf type;
    struct bench b;
    onnx_model_begin(&m);
    onnx_type_tensor(&type, ONNX_FLOAT, "2");
    onnx_type_wrap(&type, ONNX_OPTIONAL);
    onnx_model_input(&m, "o", &type);
    onnx_output(&m, "y", ONNX_BOOL, "");
    onnx_node(&m, "", "OptionalHasElement", "o", "y");
    bench_open(&b, onnx_model_write(&m, "optional.onnx"));
    assert_true(b.info->inputs[0].optional && b.info->inputs[0].kind == GAL_KIND_TENSOR);
    assert_string_equal(b.info->inputs[0].type_text, "optional(tensor(float))");
    const float x[] = {1, 2};
    const int64_t two[] = {2};
    struct gal_value in = {.kind = GAL_KIND_NONE};
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(*(const bool *)b.outputs[0].tensor.data == false);
    in = floats(two, 1, x);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    assert_true(*(const bool *)b.outputs[0].tensor.data == true);
    bench_close(&b);
}

static void an_optional_that_the_model_needs_is_invalid_when_absent(void **state)
{
    (void)state;
    struct onnx_model m;
    struct gal_buf type;
    struct bench b;
    onnx_model_begin(&m);
    onnx_type_tensor(&type, ONNX_FLOAT, "2");
    onnx_type_wrap(&type, ONNX_OPTIONAL);
    onnx_model_input(&m, "o", &type);
    onnx_output(&m, "y", ONNX_FLOAT, "2");
    onnx_node(&m, "", "OptionalGetElement", "o", "t");
    onnx_node(&m, "", "Neg", "t", "y");
    bench_open(&b, onnx_model_write(&m, "needs.onnx"));
    const struct gal_value in = {.kind = GAL_KIND_NONE};
    assert_int_equal(bench_run(&b, &in), GAL_INVALID);
    bench_close(&b);
}

/* ---- memory and threads ---- */

static void runs_in_steady_state_call_no_allocator_of_ours(void **state)
{
    (void)state;
    struct bench b;
    const float x[] = {1, 2};
    const int64_t shape[] = {1, 2};
    bench_open(&b, onnx_identity_model(ONNX_FLOAT, "-1,2", "steady.onnx"));
    const struct gal_value in = floats(shape, 2, x);
    assert_int_equal(bench_run(&b, &in), GAL_OK);
    bench_clear(&b);
    uint64_t before = gal_alloc_count();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(bench_run(&b, &in), GAL_OK);
        bench_clear(&b);
    }
    assert_int_equal(gal_alloc_count(), before);
    bench_close(&b);
}

static void memory_that_runs_out_while_running_leaves_nothing_behind(void **state)
{
    (void)state;
    struct onnx_model m;
    struct bench b;
    zipmap_model(&m, true);
    bench_open(&b, onnx_model_write(&m, "oom.onnx"));
    float x[64];
    for (int i = 0; i < 64; i++)
        x[i] = (float)i;
    const int64_t shape[] = {32, 2};
    const struct gal_value in = floats(shape, 2, x);
    /* The arena's bound is the allocator that fails: every size up to what is needed. */
    enum gal_status status = GAL_NO_MEMORY;
    for (size_t max = 0; status; max += 64) {
        gal_arena_release(&b.arena);
        gal_arena_init(&b.arena, 64, 0, max);
        status = bench_run(&b, &in);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY);
        assert_true(max < 1u << 20);
    }
    bench_close(&b);
}

static void *run_many(void *arg)
{
    struct bench *b = arg, own = {.session = b->session, .info = b->info};
    gal_arena_init(&own.arena, 4096, 1u << 20, 1u << 20);
    for (int i = 0; i < 300; i++) {
        const float x[] = {(float)i, 2};
        const int64_t shape[] = {1, 2};
        const struct gal_value in = floats(shape, 2, x);
        assert_int_equal(bench_run(&own, &in), GAL_OK);
        assert_true(((const float *)own.outputs[0].tensor.data)[0] == (float)i);
        bench_clear(&own);
    }
    gal_arena_release(&own.arena);
    return NULL;
}

static void one_session_serves_several_threads(void **state)
{
    (void)state;
    struct bench b;
    pthread_t threads[4];
    bench_open(&b, onnx_identity_model(ONNX_FLOAT, "-1,2", "threads.onnx"));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &b), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_engine_is_unavailable_and_says_what_to_do),
        cmocka_unit_test(the_engine_is_found_and_tells_its_version),
        cmocka_unit_test(the_engine_starts_no_thread_of_its_own),
        cmocka_unit_test(files_that_are_no_models_are_refused),
        cmocka_unit_test(a_model_cut_anywhere_is_refused_or_whole),
        cmocka_unit_test(unknown_operators_are_refused_in_the_engines_words),
        cmocka_unit_test(a_model_describes_itself),
        cmocka_unit_test(weights_in_another_file_are_found_beside_the_model),
        cmocka_unit_test(memory_that_runs_out_while_loading_is_an_error),
        cmocka_unit_test(every_datatype_goes_through_unchanged),
        cmocka_unit_test(texts_keep_their_nuls_and_lengths),
        cmocka_unit_test(scalars_and_tensors_without_elements_work),
        cmocka_unit_test(inputs_that_do_not_fit_are_invalid_in_one_line),
        cmocka_unit_test(an_operator_that_fails_is_invalid_without_source_noise),
        cmocka_unit_test(a_default_in_the_file_is_an_optional_input),
        cmocka_unit_test(many_ports_and_any_selection_of_outputs_work),
        cmocka_unit_test(an_output_type_outside_the_protocol_is_not_supported),
        cmocka_unit_test(sequences_go_in_and_out_empty_ones_too),
        cmocka_unit_test(a_class_models_maps_come_out),
        cmocka_unit_test(maps_go_in),
        cmocka_unit_test(optionals_may_be_left_out),
        cmocka_unit_test(an_optional_that_the_model_needs_is_invalid_when_absent),
        cmocka_unit_test(runs_in_steady_state_call_no_allocator_of_ours),
        cmocka_unit_test(memory_that_runs_out_while_running_leaves_nothing_behind),
        cmocka_unit_test(one_session_serves_several_threads),
    };
    threads_at_start = count_threads();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
