/* SPDX-License-Identifier: Apache-2.0 */
/* What ONNX Runtime's arena takes, that it is bounded when asked, and that a burst's is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/onnx.h"
#include "support/onnx_model.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COLUMNS 1024u
#define MIB ((size_t)1 << 20)

static const struct gal_backend_ops *const ops = &gal_backend_onnx;

/* x[n,1024] -> y[n,1] by way of four tensors of x's size; two of them are there at once. */
static const char *wide_model(void)
{
    static const int64_t axis = 1;
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "n,1024");
    onnx_output(&m, "y", ONNX_FLOAT, "n,1");
    onnx_initializer(&m, "axis", ONNX_INT64, "1", &axis, sizeof axis, NULL);
    onnx_node(&m, "", "Sigmoid", "x", "a");
    onnx_node(&m, "", "Tanh", "a", "b");
    onnx_node(&m, "", "Add", "a,b", "c");
    onnx_node(&m, "", "ReduceSum", "c,axis", "y");
    return onnx_model_write(&m, "wide.onnx");
}

static struct gal_session *load(const char *path, size_t bytes_max)
{
    const struct gal_backend_options options = {.intra_op_threads = 1,
                                                .memory_bytes_max = bytes_max};
    struct gal_session *session;
    struct gal_err err;
    if (ops->load(path, &options, &session, &err))
        fail_msg("%s: %s", path, err.message);
    return session;
}

static enum gal_status run(struct gal_session *session, int64_t rows, struct gal_err *err)
{
    static const size_t wanted[] = {0};
    const int64_t shape[] = {rows, COLUMNS};
    struct gal_arena arena;
    struct gal_value x = {.kind = GAL_KIND_TENSOR,
                          .tensor = {.dtype = GAL_DT_FP32, .rank = 2, .shape = shape}},
                     y;
    gal_arena_init(&arena, 4096, 0, 1024 * MIB);
    x.tensor.count = (size_t)rows * COLUMNS;
    float *data = gal_arena_array(&arena, x.tensor.count, sizeof *data);
    assert_non_null(data);
    memset(data, 0, x.tensor.count * sizeof *data);
    x.tensor.data = data;
    enum gal_status status = ops->run(session, &x, wanted, 1, &arena, &y, err);
    if (!status) { /* sigmoid(0) + tanh(sigmoid(0)), 1024 times */
        assert_int_equal(y.tensor.count, rows);
        float first = *(const float *)y.tensor.data;
        if (first < 985.0f || first > 985.4f)
            fail_msg("y is %f", (double)first);
        ops->release_output(session, &y);
    }
    gal_arena_release(&arena);
    return status;
}

static void run_well(struct gal_session *session, int64_t rows)
{
    struct gal_err err;
    if (run(session, rows, &err))
        fail_msg("%lld rows: %s", (long long)rows, err.message);
}

static size_t resident(void)
{
    char text[128];
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    const char *space = strchr(text, ' '); /* the second number: pages */
    assert_non_null(space);
    return (size_t)strtoul(space, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* A sanitizer keeps freed memory for itself: then only that all goes well is looked at. */
static bool is_measured(void)
{
    const char *sanitize = getenv("GALLEY_SANITIZE");
    if (!sanitize || !sanitize[0])
        return true;
    print_message("under a sanitizer: resident memory is not compared\n");
    return false;
}

/* ---- trim ---- */

static void a_trim_gives_back_what_a_burst_left(void **state)
{
    (void)state;
    struct gal_session *session = load(wide_model(), 0);
    run_well(session, 1);
    ops->trim(session);
    size_t before = resident();
    run_well(session, 16384); /* 64 MiB a tensor */
    size_t after = resident();
    ops->trim(session);
    size_t trimmed = resident();
    run_well(session, 3); /* as good as before */
    ops->free(session);
    if (!is_measured())
        return;
    if (after < before + 64 * MIB)
        fail_msg("the burst left %zu bytes only: %zu, before %zu", after - before, after, before);
    if (trimmed > before + 16 * MIB)
        fail_msg("%zu bytes, %zu before the burst", trimmed, before);
}

static void a_model_that_takes_nothing_made_up_is_trimmed_by_its_next_run(void **state)
{
    (void)state;
    static const float table[] = {0.5f};
    static const int64_t minus = -2;
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "i", ONNX_INT64, "n");
    onnx_output(&m, "y", ONNX_FLOAT, "n");
    onnx_initializer(&m, "table", ONNX_FLOAT, "1", table, sizeof table, NULL);
    onnx_initializer(&m, "minus", ONNX_INT64, "", &minus, sizeof minus, NULL);
    onnx_node(&m, "", "Add", "i,minus", "k"); /* 0 becomes -2, which is outside; 2 becomes 0 */
    onnx_node(&m, "", "Gather", "table,k", "y");
    struct gal_session *session = load(onnx_model_write(&m, "picky.onnx"), 0);
    static const size_t wanted[] = {0};
    static const int64_t shape[] = {4 * 1024 * 1024};
    static int64_t index[4 * 1024 * 1024];
    for (size_t i = 0; i < sizeof index / sizeof *index; i++)
        index[i] = 2;
    struct gal_value x = {.kind = GAL_KIND_TENSOR,
                          .tensor = {.dtype = GAL_DT_INT64, .rank = 1, .shape = shape}},
                     y;
    struct gal_arena arena;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, MIB);
    x.tensor.data = index;
    static const int64_t one[] = {1};
    size_t sizes[5];
    for (size_t i = 0; i < 5; i++) { /* small, large, trim, small (trims), small */
        bool is_large = i == 1;
        x.tensor.shape = is_large ? shape : one;
        x.tensor.count = is_large ? (size_t)shape[0] : 1;
        if (i == 2)
            ops->trim(session);
        if (ops->run(session, &x, wanted, 1, &arena, &y, &err))
            fail_msg("%s", err.message);
        assert_true(*(const float *)y.tensor.data == 0.5f);
        ops->release_output(session, &y);
        sizes[i] = resident();
    }
    gal_arena_release(&arena);
    ops->free(session);
    if (is_measured() && (sizes[1] < sizes[0] + 16 * MIB || sizes[2] > sizes[0] + 8 * MIB))
        fail_msg("%zu, %zu behind the burst, %zu behind the trim", sizes[0], sizes[1], sizes[2]);
}

struct hammer {
    struct gal_session *session;
    _Atomic bool stop;
};

static void *trim_on(void *arg)
{
    struct hammer *h = arg;
    while (!h->stop)
        ops->trim(h->session);
    return NULL;
}

static void a_trim_goes_beside_runs(void **state)
{
    (void)state;
    struct hammer h = {.session = load(wide_model(), 0)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, trim_on, &h), 0);
    for (int i = 0; i < 300; i++)
        run_well(h.session, 1 + i % 64);
    h.stop = true;
    pthread_join(thread, NULL);
    ops->free(h.session);
}

/* ---- bounds ---- */

static void a_batch_that_is_too_large_for_the_bound_fails_alone(void **state)
{
    (void)state;
    struct gal_session *session = load(wide_model(), 32 * MIB);
    struct gal_err err;
    for (int round = 0; round < 3; round++) {
        run_well(session, 2048); /* 8 MiB a tensor */
        size_t before = resident();
        assert_int_equal(run(session, 16384, &err), GAL_NO_MEMORY);
        assert_non_null(strstr(err.message, "Available memory of"));
        assert_non_null(strstr(err.hint, "model_memory_limit"));
        assert_true(resident() < before + 40 * MIB || !is_measured());
    }
    run_well(session, 2048);
    ops->trim(session);
    run_well(session, 2048);
    ops->free(session);
}

static void each_model_has_a_bound_of_its_own(void **state)
{
    (void)state;
    const char *path = wide_model();
    struct gal_session *tight = load(path, 12 * MIB), *wide = load(path, 64 * MIB),
                       *free_one = load(path, 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(run(tight, 4096, NULL), GAL_NO_MEMORY);
        run_well(wide, 4096); /* 16 MiB a tensor */
        assert_int_equal(run(wide, 16384, NULL), GAL_NO_MEMORY);
        run_well(free_one, 16384);
    }
    ops->free(free_one);
    ops->free(tight); /* the other's arena is its own */
    run_well(wide, 4096);
    ops->free(wide);
}

static void weights_beyond_the_bound_are_refused_at_load(void **state)
{
    (void)state;
    static float weights[512 * 1024];
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "n,512");
    onnx_output(&m, "y", ONNX_FLOAT, "n,1024");
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)(i % 7);
    onnx_initializer(&m, "w", ONNX_FLOAT, "512,1024", weights, sizeof weights, NULL);
    onnx_node(&m, "", "MatMul", "x,w", "y");
    const char *path = onnx_model_write(&m, "weights.onnx");
    struct gal_backend_options options = {.intra_op_threads = 1, .memory_bytes_max = 2 * MIB - 1};
    struct gal_session *session;
    struct gal_err err;
    assert_int_equal(ops->load(path, &options, &session, &err), GAL_NO_MEMORY);
    assert_non_null(strstr(err.message, "the model's weights take"));
    assert_null(session);
    options.memory_bytes_max = 4 * MIB;
    assert_int_equal(ops->load(path, &options, &session, &err), GAL_OK);
    ops->free(session);
}

static void *load_one(void *arg)
{
    struct gal_session *s = load(arg, 12 * MIB);
    assert_int_equal(run(s, 4096, NULL), GAL_NO_MEMORY);
    ops->free(s);
    return NULL;
}

static void loads_beside_one_another_get_their_own_arenas(void **state)
{
    (void)state;
    const char *path = wide_model();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_one, (void *)(uintptr_t)path), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static void a_file_that_does_not_load_leaves_no_bound_behind(void **state)
{
    (void)state;
    const struct gal_backend_options options = {.intra_op_threads = 1, .memory_bytes_max = MIB};
    struct gal_session *session;
    for (int round = 0; round < 2; round++)
        assert_int_equal(ops->load(test_file_write("broken.onnx", GAL_STR("\x08\x08 no model")),
                                   &options, &session, NULL),
                         GAL_INVALID);
    session = load(wide_model(), 16 * MIB);
    run_well(session, 1024);
    ops->free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trim_gives_back_what_a_burst_left),
        cmocka_unit_test(a_model_that_takes_nothing_made_up_is_trimmed_by_its_next_run),
        cmocka_unit_test(a_trim_goes_beside_runs),
        cmocka_unit_test(a_batch_that_is_too_large_for_the_bound_fails_alone),
        cmocka_unit_test(each_model_has_a_bound_of_its_own),
        cmocka_unit_test(weights_beyond_the_bound_are_refused_at_load),
        cmocka_unit_test(loads_beside_one_another_get_their_own_arenas),
        cmocka_unit_test(a_file_that_does_not_load_leaves_no_bound_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
