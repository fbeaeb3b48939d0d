/* SPDX-License-Identifier: Apache-2.0 */
/* A config.pbtxt as a model's configuration: what is taken, what is noted, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/triton.h"

#include <stdio.h>

static struct gal_arena arena;
static struct gal_model_config config;
static struct gal_err err;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1 << 20, 16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static enum gal_status read_text(const char *text)
{
    gal_arena_clear(&arena);
    gal_err_clear(&err);
    gal_model_config_init(&config);
    return gal_triton_read(gal_str_of(text), "m/iris/config.pbtxt", "m/iris", "iris", &config,
                           &arena, &err);
}

static void must_read(const char *text)
{
    if (read_text(text) || gal_model_config_settle(&config, gal_str_of(text), &err))
        fail_msg("%s\n%s: %s", text, err.place, err.message);
}

/* ---- taken ---- */

static void a_usual_file_is_taken_whole(void **state)
{
    (void)state;
    must_read(
        "name: \"iris\"\n"
        "platform: \"onnxruntime_onnx\"\n"
        "backend: \"onnxruntime\"\n"
        "max_batch_size: 16\n"
        "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 4 ] } ]\n"
        "output [\n"
        "  { name: \"label\" data_type: TYPE_INT64 dims: [ 1 ] label_filename: \"l.txt\" },\n"
        "  { name: \"p\" data_type: TYPE_FP32 dims: [ -1, 3 ] }\n"
        "]\n"
        "dynamic_batching {\n"
        "  preferred_batch_size: [ 8, 4 ]\n"
        "  max_queue_delay_microseconds: 500\n"
        "  preserve_ordering: true\n"
        "}\n"
        "instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_AUTO } ]\n"
        "version_policy: { latest { num_versions: 2 } }\n"
        "default_model_filename: \"net.onnx\"\n"
        "response_cache { enable: true }\n"
        "optimization { graph { level: -1 } priority: PRIORITY_MAX }\n"
        "parameters { key: \"intra_op_thread_count\" value { string_value: \"3\" } }\n"
        "parameters [ { key: \"execution_mode\" value { string_value: \"1\" } },\n"
        "  { key: \"enable_mem_arena\" value { string_value: \"0\" } },\n"
        "  { key: \"enable_mem_pattern\" value { string_value: \"0\" } },\n"
        "  { key: \"inter_op_thread_count\" value { string_value: \"2\" } },\n"
        "  { key: \"memory.enable_memory_arena_shrinkage\" value { string_value: \"cpu:0\" } },\n"
        "  { key: \"session.x\" value { string_value: \"7\" } } ]\n"
        "model_transaction_policy { decoupled: false }\n");
    assert_int_equal(config.batch_told, GAL_BATCH_ROWS);
    assert_true(config.batching);
    assert_int_equal(config.policy.rows_max, 16);
    assert_int_equal(config.policy.preferred_count, 2);
    assert_int_equal(config.policy.preferred[0], 4);
    assert_int_equal(config.policy.preferred[1], 8);
    assert_int_equal(config.policy.delay_us_max, 500);
    assert_true(config.policy.keep_order);
    assert_int_equal(config.policy.levels, 1);
    assert_int_equal(config.workers, 3);
    assert_int_equal(config.versions, GAL_VERSIONS_LATEST);
    assert_int_equal(config.version_latest, 2);
    assert_string_equal(config.file_name, "net.onnx");
    assert_true(config.cache.on);
    assert_int_equal(config.backend.graph_level, GAL_GRAPH_BASIC);
    assert_int_equal(config.backend.intra_op_threads, 3);
    assert_int_equal(config.backend.inter_op_threads, 2);
    assert_true(config.backend.parallel && config.backend.no_mem_arena &&
                config.backend.no_mem_pattern && config.backend.shrink_arena);
    assert_int_equal(config.backend.entry_count, 1);
    assert_string_equal(config.backend.entries[0].key, "session.x");
    assert_string_equal(config.backend.entries[0].value, "7");
    assert_int_equal(config.parameter_count, 7);
    assert_string_equal(config.source, "m/iris/config.pbtxt");
    const struct gal_declared *d = config.declared;
    assert_true(gal_str_is(d->name, "x") && !d->is_output && d->rank == 1 && d->shape[0] == 4);
    assert_int_equal(d->dtype, GAL_DT_FP32);
    assert_int_equal(d->line, 5);
    d = d->next->next;
    assert_true(gal_str_is(d->name, "p") && d->is_output && d->rank == 2 && d->shape[0] == -1);
    assert_null(d->next);
}

static void fields_without_effect_are_noted_with_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
    } rows[] = {
        {"\nruntime: \"x\"", "runtime"},
        {"\nmetric_tags { key: \"a\" value: \"b\" }", "metric_tags"},
        {"\ncc_model_filenames { key: \"7.5\" value: \"b\" }", "cc_model_filenames"},
        {"\nmodel_metrics { }", "model_metrics"},
        {"\noptimization { priority: PRIORITY_MIN }", "optimization.priority"},
        {"\noptimization { eager_batching: true }", "optimization.eager_batching"},
        {"\noptimization { input_pinned_memory { enable: true } }",
         "optimization.input_pinned_memory"},
        {"\ninput { name: \"y\" data_type: TYPE_FP32 dims: 1 format: FORMAT_NCHW }",
         "input.format"},
        {"\ninstance_group { rate_limiter { priority: 2 } }", "instance_group.rate_limiter"},
        {"\nparameters { key: \"tokenizer\" value { string_value: \"x\" } }",
         "parameters: tokenizer"},
        {"max_batch_size: 0\ndynamic_batching { }", "dynamic_batching"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must_read(rows[i].text);
        assert_non_null(config.notes);
        assert_string_equal(config.notes->field, rows[i].field);
        assert_true(config.notes->reason[0] != '\0');
        assert_int_equal(config.notes->line, 2);
        assert_null(config.notes->next);
    }
    must_read("model_transaction_policy { decoupled: false }\n"
              "input { name: \"x\" data_type: TYPE_FP32 dims: 1 is_shape_tensor: false "
              "allow_ragged_batch: false format: FORMAT_NONE }");
    assert_null(config.notes);
}

static void batching_is_off_without_dynamic_batching_as_in_triton(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool batching;
        size_t rows;
    } rows[] = {
        {"", true, 0}, /* found from the model */
        {"max_batch_size: 8", false, 1},
        {"max_batch_size: 8 dynamic_batching { }", true, 8},
        {"max_batch_size: 0", false, 1},
        {"max_batch_size: 0 dynamic_batching { }", true, 1},
        {"dynamic_batching { }", true, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must_read(rows[i].text);
        assert_int_equal(config.batching, rows[i].batching);
        assert_int_equal(config.policy.rows_max, rows[i].rows);
        /* Triton believes who asks for batches: so rows are not tried */
        assert_int_equal(config.rows_told, rows[i].rows == 8);
    }
}

static void priorities_have_queue_policies(void **state)
{
    (void)state;
    must_read(
        "dynamic_batching {\n"
        "  priority_queue_policy { key: 2 value { max_queue_size: 5 timeout_action: DELAY } }\n"
        "  default_queue_policy { default_timeout_microseconds: 700 "
        "allow_timeout_override: true }\n"
        "  priority_levels: 3\n"
        "  default_priority_level: 2\n"
        "}");
    const struct gal_policy *p = &config.policy;
    assert_int_equal(p->levels, 3);
    assert_int_equal(p->default_level, 2);
    assert_int_equal(p->level[0].timeout_us, 700);
    assert_true(p->level[0].override);
    assert_int_equal(p->level[0].action, GAL_TIMEOUT_REJECT);
    assert_int_equal(p->level[1].jobs_max, 5);
    assert_int_equal(p->level[1].action, GAL_TIMEOUT_DELAY);
    assert_int_equal(p->level[1].timeout_us, 0);
    assert_false(p->level[1].override); /* Triton's default in a policy that is told */
    assert_int_equal(p->level[2].timeout_us, 700);
    assert_true(config.queue_policies);
    must_read("dynamic_batching { priority_queue_policy { key: 1 value { } } priority_levels: 2 "
              "default_priority_level: 2 }");
    assert_true(config.queue_policies);
    assert_false(p->level[1].override); /* as of a policy that says nothing */
    must_read("dynamic_batching { }");
    assert_false(config.queue_policies);
    assert_true(p->level[0].override);
}

static void versions_are_the_latest_unless_told(void **state)
{
    (void)state;
    must_read("");
    assert_true(gal_model_config_serves(&config, 9, 0));
    assert_false(gal_model_config_serves(&config, 8, 1));
    must_read("version_policy { all { } }");
    assert_true(gal_model_config_serves(&config, 8, 7));
    must_read("version_policy: { specific: { versions: [ 1, 3 ] } }");
    assert_true(gal_model_config_serves(&config, 3, 5));
    assert_false(gal_model_config_serves(&config, 2, 0));
    gal_model_config_init(&config); /* told by a flag */
    assert_int_equal(gal_model_config_versions(&config, GAL_STR("all"), NULL), GAL_OK);
    assert_int_equal(gal_triton_read(GAL_STR(""), "c", "d", "n", &config, &arena, NULL), GAL_OK);
    assert_true(gal_model_config_serves(&config, 1, 9));
}

static void warm_up_samples_are_taken(void **state)
{
    (void)state;
    must_read(
        "model_warmup [ {\n"
        "  name: \"zeros\" batch_size: 4 count: 3\n"
        "  inputs { key: \"x\" value { data_type: TYPE_FP32 dims: [ 4, 2 ] zero_data: true } }\n"
        "  inputs { key: \"z\" value { data_type: TYPE_INT64 dims: 1 random_data: true } }\n"
        "}, {\n"
        "  name: \"file\"\n"
        "  inputs { key: \"x\" value { data_type: TYPE_STRING dims: 1 "
        "input_data_file: \"raw/x\" } }\n"
        "} ]");
    assert_int_equal(config.warmup_count, 2);
    const struct gal_warmup *w = &config.warmup[0];
    assert_true(gal_str_is(w->name, "zeros"));
    assert_int_equal(w->batch_size, 4);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->input_count, 2);
    assert_int_equal(w->inputs[0].rank, 2);
    assert_int_equal(w->inputs[0].from, GAL_WARMUP_ZEROS);
    assert_int_equal(w->inputs[1].from, GAL_WARMUP_RANDOM);
    w = &config.warmup[1];
    assert_int_equal(w->count, 1);
    assert_int_equal(w->line, 5);
    assert_string_equal(w->inputs[0].file, "m/iris/warmup/raw/x");
    assert_int_equal(w->inputs[0].dtype, GAL_DT_BYTES);
}

/* ---- refused ---- */

static const struct {
    const char *text;
    unsigned line;
    const char *says, *hint; /* parts of them */
} refusals[] = {
    {"\nname: \"other\"", 2, "\"other\" is not the directory's name, iris", "rename"},
    {"platform: \"tensorrt_plan\"", 1, "platform: \"tensorrt_plan\" is not supported",
     "onnxruntime_onnx"},
    {"backend: \"python\"", 1, "backend: \"python\" is not supported", "ONNX"},
    {"\n\nensemble_scheduling { }", 3, "ensemble_scheduling is not supported", "onnx.compose"},
    {"sequence_batching { }", 1, "sequence_batching is not supported", "state"},
    {"batch_input { }", 1, "batch_input is not supported", "padding"},
    {"model_operations { op_library_filename: \"x.so\" }", 1, "model_operations", "operators"},
    {"model_repository_agents { }", 1, "model_repository_agents", "agents"},
    {"model_transaction_policy {\n decoupled: true }", 2, "decoupled is not supported",
     "one answer"},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 1\nallow_ragged_batch: true }", 2,
     "input.allow_ragged_batch is not supported", "padding"},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 1 is_shape_tensor: true }", 1,
     "input.is_shape_tensor", "TensorRT"},
    {"optimization { execution_accelerators {\n gpu_execution_accelerator { name: \"tensorrt\" "
     "} } }",
     2, "gpu_execution_accelerator is not supported", "CPUs"},
    {"optimization { cuda { graphs: true } }", 1, "optimization.cuda is not supported", "CPUs"},
    {"optimization { graph { level: 3 } }", 1, "level: 3 is none of", ""},
    {"instance_group {\n kind: KIND_GPU }", 2, "KIND_GPU is not supported", "KIND_CPU"},
    {"instance_group { kind: KIND_TPU }", 1, "KIND_TPU is none of", ""},
    {"instance_group { gpus: [ 0 ] }", 1, "instance_group.gpus is not supported", "CPUs"},
    {"instance_group { passive: true }", 1, "passive", "never runs"},
    {"instance_group { count: 2000 }", 1, "out of range 0..1024", ""},
    {"max_batch_size: -1", 1, "-1 is out of range 0..1048576", ""},
    {"max_batch_size: \"8\"", 1, "max_batch_size must be a whole number", ""},
    {"max_batch_size: 8\nmax_batch_size: 9", 2, "stands twice, in line 1", ""},
    {"max_batch_size: [ 8 ]", 1, "max_batch_size is no list", ""},
    {"max_batch: 8", 1, "max_batch: no field", ""},
    {"max_batch_sise: 8", 1, "no field of a model's configuration", "max_batch_size"},
    {"dynamic_batching { max_queue_delay: 8 }", 1, "dynamic_batching.max_queue_delay: no field",
     ""},
    {"max_batch_size: 4 dynamic_batching {\n preferred_batch_size: [ 2, 8 ] }", 2,
     "8 is more than max_batch_size, 4", ""},
    {"dynamic_batching {\n preferred_batch_size: 8\n} max_batch_size: 4", 2,
     "8 is more than max_batch_size, 4", ""},
    {"dynamic_batching { preferred_batch_size: [ 2, 2 ] }", 1, "2 stands twice", ""},
    {"dynamic_batching { preferred_batch_size: 0 }", 1, "0 is out of range", ""},
    {"dynamic_batching { priority_levels: 40 }", 1, "40 is out of range 0..32", ""},
    {"dynamic_batching { priority_levels: 3\n default_priority_level: 4 }", 2,
     "4 is none of the 3 levels", ""},
    {"dynamic_batching { priority_levels: 3 }", 1, "0 is none of the 3 levels", ""},
    {"dynamic_batching { priority_levels: 2 default_priority_level: 1\n"
     "priority_queue_policy { key: 3 value { } } }",
     2, "key 3 is beyond priority_levels, 2", ""},
    {"dynamic_batching { priority_queue_policy { value { } } }", 1, "key is missing", ""},
    {"dynamic_batching { default_queue_policy { timeout_action: DROP } }", 1,
     "DROP is none of REJECT, DELAY", ""},
    {"dynamic_batching { default_queue_policy { default_timeout_microseconds: -1 } }", 1,
     "default_timeout_microseconds must be a whole number from 0", ""},
    {"input { data_type: TYPE_FP32 dims: 1 }", 1, "input: name is missing", ""},
    {"input { name: \"x\" dims: 1 }", 1, "input 'x': data_type is missing", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 }", 1, "input 'x': dims are missing", ""},
    {"input { name: \"x\" data_type: TYPE_BYTES dims: 1 }", 1, "TYPE_BYTES is none of",
     "TYPE_STRING"},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: [ 0 ] }", 1, "0 is no size", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: [ -2 ] }", 1, "-2 is no size", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 4 reshape { shape: [ 3 ] } }", 1,
     "reshape holds another number of elements than dims", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 4 reshape { shape: [ -1 ] } }", 1,
     "reshape holds another number of elements than dims", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 4 reshape {\n shape: [ 0 ] } }", 2,
     "reshape: 0 is no size", ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 1 }\n"
     "input { name: \"x\" data_type: TYPE_FP32 dims: 1 }",
     2, "input 'x' stands twice, in line 1", ""},
    {"version_policy { latest { num_versions: 0 } }", 1, "at least 1", ""},
    {"version_policy { specific { } }", 1, "lists no version", ""},
    {"version_policy { all { }\n latest { } }", 2, "one of latest, all and specific", ""},
    {"default_model_filename: \"../x.onnx\"", 1, "without a directory", ""},
    {"parameters { value { string_value: \"x\" } }", 1, "key is missing", ""},
    {"parameters { key: \"x\" }", 1, "x has no value", "string_value"},
    {"parameters { key: \"x\" value: 4 }", 1, "parameters.value must be a message", ""},
    {"parameters { key: \"x\" value { string_value: 4 } }", 1, "must be a text in quotes", ""},
    {"parameters { key: \"intra_op_thread_count\"\n value { string_value: \"many\" } }", 2,
     "\"many\" is not a number of threads", ""},
    {"parameters { key: \"execution_mode\" value { string_value: \"2\" } }", 1,
     "\"2\" is not 0 or 1", ""},
    {"parameters { key: \"memory.enable_memory_arena_shrinkage\" value { string_value: "
     "\"gpu:0\" } }",
     1, "is not cpu:0", ""},
    {"model_warmup { name: \"a\" }", 1, "inputs are missing", ""},
    {"model_warmup { inputs { key: \"x\" value { data_type: TYPE_FP32 dims: 1 } } }", 1,
     "takes one of zero_data", ""},
    {"model_warmup { inputs { key: \"x\" value { dims: 1 zero_data: true } } }", 1, "no data_type",
     ""},
    {"model_warmup { inputs { key: \"x\" value { data_type: TYPE_FP32 dims: -1 zero_data: true "
     "} } }",
     1, "-1 is no size", ""},
    {"model_warmup { inputs { key: \"x\" value { data_type: TYPE_FP32\ninput_data_file: "
     "\"../../etc/passwd\" } } }",
     2, "within the model's warmup/", ""},
    {"name: iris", 1, "name must be a text in quotes", ""},
    {"platform \"x\"", 1, "':' is missing", ""},
};

static void what_cannot_be_kept_is_refused_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        char place[64];
        enum gal_status status = read_text(refusals[i].text);
        if (status != GAL_INVALID && status != GAL_UNSUPPORTED)
            fail_msg("taken: %s", refusals[i].text);
        assert_int_equal(status, err.code);
        if (!strstr(err.message, refusals[i].says) || !strstr(err.hint, refusals[i].hint))
            fail_msg("%s\nsays: %s\nhint: %s", refusals[i].text, err.message, err.hint);
        snprintf(place, sizeof place, "m/iris/config.pbtxt:%u", refusals[i].line);
        assert_string_equal(err.place, place);
    }
}

/* ---- against the model ---- */

static const struct {
    const char *text;
    bool is_closed;
    unsigned line; /* 0: it fits */
    const char *says;
} fits[] = {
    {"max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: 4 }", false, 0, ""},
    {"max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 4 ] }", false, 1,
     "input 'x' has dims [-1,4], but the model has the shape [-1,4]"},
    {"max_batch_size: 8 output { name: \"y\" data_type: TYPE_INT64 dims: 1 reshape { shape: [ ] } "
     "}",
     false, 0, ""},
    {"max_batch_size: 8 output { name: \"y\" data_type: TYPE_INT64 dims: 1 }", false, 1,
     "output 'y' has dims [1], but the model has the shape [-1]"},
    {"max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: 4 "
     "} }",
     false, 0, ""},
    {"max_batch_size: 8 input { name: \"x\" data_type: TYPE_FP32 dims: [ 2, 3 ] reshape { shape: 6 "
     "} }",
     false, 1, "input 'x' has the reshape [6], but the model has the shape [-1,4]"},
    {"max_batch_size: 0 input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 4 ] }", false, 0, ""},
    {"max_batch_size: 0 input { name: \"x\" data_type: TYPE_FP32 dims: [ 3, 4 ] }", false, 0, ""},
    {"max_batch_size: 0 input { name: \"x\" data_type: TYPE_FP32 dims: 4 }", false, 1, "dims [4]"},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 4 }", false, 0, ""},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 4 ] }", false, 0, ""},
    {"\ninput { name: \"x\" data_type: TYPE_FP32 dims: [ -1, 5 ] }", false, 2, "dims [-1,5]"},
    {"input { name: \"x\" data_type: TYPE_FP64 dims: 4 }", false, 1,
     "input 'x' is FP32 in the model, not FP64"},
    {"\n\ninput { name: \"z\" data_type: TYPE_FP32 dims: 4 }", false, 3,
     "the model has no input 'z'"},
    {"output { name: \"x\" data_type: TYPE_FP32 dims: 4 }", false, 1,
     "the model has no output 'x'"},
    {"output { name: \"m\" data_type: TYPE_FP32 dims: 4 }", false, 1, "seq(map)"},
    {"input { name: \"x\" data_type: TYPE_FP32 dims: 4 optional: true }", false, 1,
     "is not optional"},
    {"\nmax_batch_size: 8", true, 2,
     "max_batch_size: 8 needs an open first dimension, but input 'x' of the model has the "
     "shape [1,4]"},
    {"max_batch_size: 0", true, 0, ""},
};

static void what_is_declared_must_fit_the_model(void **state)
{
    (void)state;
    static const int64_t open4[] = {-1, 4}, fixed[] = {1, 4}, vector[] = {-1};
    const struct gal_port inputs[] = {
        {.name = GAL_STR("x"),
         .dtype = GAL_DT_FP32,
         .shape_known = true,
         .rank = 2,
         .shape = open4},
    };
    const struct gal_port fixed_inputs[] = {
        {.name = GAL_STR("x"),
         .dtype = GAL_DT_FP32,
         .shape_known = true,
         .rank = 2,
         .shape = fixed},
    };
    const struct gal_port outputs[] = {
        {.name = GAL_STR("y"),
         .dtype = GAL_DT_INT64,
         .shape_known = true,
         .rank = 1,
         .shape = vector},
        {.name = GAL_STR("m"), .kind = GAL_KIND_SEQUENCE, .of_maps = true, .type_text = "seq(map)"},
    };
    const struct gal_model_info open = {
        .inputs = inputs, .input_count = 1, .outputs = outputs, .output_count = 2};
    const struct gal_model_info closed = {
        .inputs = fixed_inputs, .input_count = 1, .outputs = outputs, .output_count = 2};
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        char place[64];
        must_read(fits[i].text);
        enum gal_status status =
            gal_model_config_check(&config, fits[i].is_closed ? &closed : &open, &err);
        assert_int_equal(status, fits[i].line ? GAL_INVALID : GAL_OK);
        if (!status)
            continue;
        if (!strstr(err.message, fits[i].says))
            fail_msg("%s\nsays: %s", fits[i].text, err.message);
        snprintf(place, sizeof place, "m/iris/config.pbtxt:%u", fits[i].line);
        assert_string_equal(err.place, place);
    }
}

static void versions_are_chosen_by_a_text(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "none", "latest:0", "latest:x", "1,,2", "1;2", "-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gal_model_config_init(&config);
        if (gal_model_config_versions(&config, gal_str_of(bad[i]), &err) != GAL_INVALID)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(gal_model_config_versions(&config, GAL_STR("latest"), &err), GAL_OK);
    assert_int_equal(config.version_latest, 1);
    assert_int_equal(gal_model_config_versions(&config, GAL_STR("1, 30"), &err), GAL_OK);
    assert_true(gal_model_config_serves(&config, 30, 4));
    assert_false(gal_model_config_serves(&config, 3, 0));
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    const char *text = "input { name: \"x\" data_type: TYPE_FP32 dims: 4 }\n"
                       "parameters { key: \"session.x\" value { string_value: \"7\" } }\n"
                       "metric_tags { }\n"
                       "model_warmup { name: \"w\" inputs { key: \"x\" value { data_type: "
                       "TYPE_FP32 dims: 4 input_data_file: \"f\" } } }";
    enum gal_status status = GAL_NO_MEMORY;
    uint64_t n = 0;
    while (status) {
        struct gal_arena small;
        gal_arena_init(&small, 64, 0, 1 << 20);
        gal_err_clear(&err);
        gal_model_config_init(&config);
        gal_alloc_fail_at(++n, 0);
        status = gal_triton_read(gal_str_of(text), "c", "d", "n", &config, &small, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || (status == GAL_NO_MEMORY && err.message[0]));
        gal_arena_release(&small);
        assert_true(n < 200);
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_usual_file_is_taken_whole),
        cmocka_unit_test(fields_without_effect_are_noted_with_line_and_reason),
        cmocka_unit_test(batching_is_off_without_dynamic_batching_as_in_triton),
        cmocka_unit_test(priorities_have_queue_policies),
        cmocka_unit_test(versions_are_the_latest_unless_told),
        cmocka_unit_test(warm_up_samples_are_taken),
        cmocka_unit_test(what_cannot_be_kept_is_refused_with_its_line),
        cmocka_unit_test(what_is_declared_must_fit_the_model),
        cmocka_unit_test(versions_are_chosen_by_a_text),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
