/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that are moved to where they can be mapped, and models that leave theirs in a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/onnx.h"
#include "backend/onnx_weights.h"
#include "base/mem.h"
#include "support/onnx_model.h"
#include "text/protobuf.h"

#include <stdio.h>

#define COLUMNS 300000 /* 1.2 MB a weight */
#define FILE_MAX (64u << 20)

static float weights[2][COLUMNS];

static void fill(void)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        weights[0][i] = (float)(i % 977) / 8;
        weights[1][i] = -(float)(i % 31);
    }
}

/* y = x + first + (second of `width` bytes of name, which moves what follows). */
static struct gal_buf sum_model(const char *first)
{
    struct onnx_model m;
    struct gal_buf file;
    char sum[96];
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "-1,300000");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,300000");
    onnx_initializer(&m, first, ONNX_FLOAT, "300000", weights[0], sizeof weights[0], NULL);
    onnx_initializer(&m, "small", ONNX_FLOAT, "1", weights[1] + 1, sizeof(float), NULL);
    onnx_initializer(&m, "second", ONNX_FLOAT, "300000", weights[1], sizeof weights[1], NULL);
    snprintf(sum, sizeof sum, "x,%s", first);
    onnx_node(&m, "", "Add", sum, "a");
    onnx_node(&m, "", "Mul", "a,small", "b");
    onnx_node(&m, "", "Sub", "b,second", "y");
    onnx_model_end(&m, &file);
    return file;
}

static enum gal_status append(struct gal_str piece, void *ctx)
{
    gal_buf_put_str(ctx, piece);
    return GAL_OK;
}

static struct gal_buf aligned(struct gal_str file)
{
    struct gal_buf out;
    gal_buf_init(&out, FILE_MAX);
    assert_int_equal(gal_onnx_align(file, GAL_ONNX_WEIGHTS_MIN, append, &out), GAL_OK);
    assert_false(out.failed);
    return out;
}

static uint64_t slim_at(struct gal_str file, const char *name, uint64_t offset, struct gal_buf *out)
{
    const struct gal_onnx_place place = {.name = gal_str_of(name), .offset = offset};
    return gal_onnx_slim(file, &place, GAL_ONNX_WEIGHTS_MIN, out);
}

/* Where the bytes lie in the file. */
static size_t place_of(struct gal_str file, const void *bytes, size_t n)
{
    const char *p = memmem(file.p, file.n, bytes, n);
    assert_non_null(p);
    return (size_t)(p - file.p);
}

static struct gal_session *load(const char *path, const struct gal_backend_options *options)
{
    struct gal_session *session;
    struct gal_err err;
    if (gal_backend_onnx.load(path, options, &session, &err))
        fail_msg("%s", err.message);
    return session;
}

static void assert_sums(struct gal_session *session)
{
    static float x[COLUMNS];
    static const int64_t shape[] = {1, COLUMNS};
    static const size_t wanted[] = {0};
    struct gal_value output, input = {.kind = GAL_KIND_TENSOR,
                                      .tensor = {.name = GAL_STR("x"),
                                                 .dtype = GAL_DT_FP32,
                                                 .rank = 2,
                                                 .shape = shape,
                                                 .count = COLUMNS,
                                                 .data = x}};
    struct gal_arena arena;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, 1u << 20);
    if (gal_backend_onnx.run(session, &input, wanted, 1, &arena, &output, &err))
        fail_msg("%s", err.message);
    const float *y = output.tensor.data;
    for (size_t i = 0; i < COLUMNS; i++)
        assert_true(y[i] == weights[0][i] * weights[1][1] - weights[1][i]);
    gal_backend_onnx.release_output(session, &output);
    gal_arena_release(&arena);
    gal_backend_onnx.free(session);
}

static void weights_come_to_lie_where_they_can_be_mapped(void **state)
{
    (void)state;
    char name[GAL_ONNX_ALIGNMENT + 8] = "";
    for (size_t n = 1; n <= GAL_ONNX_ALIGNMENT + 2; n++) { /* every place they may have had */
        memset(name, 'w', n);
        struct gal_buf file = sum_model(name), out = aligned(gal_buf_str(&file)),
                       again = aligned(gal_buf_str(&out));
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(
                place_of(gal_buf_str(&out), weights[i], sizeof weights[i]) % GAL_ONNX_ALIGNMENT, 0);
        assert_true(out.n >= file.n && out.n < file.n + 4 * GAL_ONNX_ALIGNMENT);
        assert_false(gal_onnx_is_ragged(gal_buf_str(&out), GAL_ONNX_WEIGHTS_MIN));
        assert_true(gal_str_eq(gal_buf_str(&out), gal_buf_str(&again)));
        if (n % 16 == 1)
            assert_sums(load(test_file_write("aligned.onnx", gal_buf_str(&out)),
                             &(struct gal_backend_options){0}));
        gal_buf_release(&file);
        gal_buf_release(&out);
        gal_buf_release(&again);
    }
}

/* `text` as the doc_string of the first weight, behind its bytes. */
static struct gal_buf with_doc(struct gal_str file, struct gal_str text)
{
    struct gal_buf out, graph;
    struct gal_pb_field f, g;
    bool done = false;
    gal_buf_init(&out, FILE_MAX);
    gal_buf_init(&graph, FILE_MAX);
    while (gal_pb_next(&file, &f) == GAL_PB_FIELD) {
        if (f.number != 7) {
            if (f.wire == GAL_PB_BYTES)
                gal_pb_put_bytes(&out, (uint32_t)f.number, f.bytes);
            else
                gal_pb_put_u64(&out, (uint32_t)f.number, f.value);
            continue;
        }
        while (gal_pb_next(&f.bytes, &g) == GAL_PB_FIELD) {
            size_t start = graph.n;
            gal_buf_put_str(&graph, g.bytes);
            if (g.number == 5 && !done)
                gal_pb_put_bytes(&graph, 12, text);
            done = done || g.number == 5;
            gal_pb_wrap(&graph, start, (uint32_t)g.number);
        }
        gal_pb_put_bytes(&out, 7, gal_buf_str(&graph));
    }
    gal_buf_release(&graph);
    return out;
}

static void what_a_weight_says_of_itself_stays(void **state)
{
    (void)state;
    struct gal_buf plain = sum_model("first"),
                   file = with_doc(gal_buf_str(&plain), GAL_STR("made in spring")),
                   out = aligned(gal_buf_str(&file)), again;
    assert_int_equal(
        place_of(gal_buf_str(&out), weights[0], sizeof weights[0]) % GAL_ONNX_ALIGNMENT, 0);
    (void)place_of(gal_buf_str(&out), "made in spring", 14);
    /* An editor writes fields in another order: the padding is found and made anew. */
    gal_buf_release(&file);
    file = with_doc(gal_buf_str(&plain), GAL_STR("                "));
    gal_buf_release(&out);
    out = aligned(gal_buf_str(&file));
    again = aligned(gal_buf_str(&plain));
    assert_true(gal_str_eq(gal_buf_str(&out), gal_buf_str(&again)));
    gal_buf_release(&plain);
    gal_buf_release(&file);
    gal_buf_release(&out);
    gal_buf_release(&again);
}

static void what_is_not_worth_it_stays_as_it_is(void **state)
{
    (void)state;
    struct onnx_model m;
    struct gal_buf file, slim;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "-1,1000");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,1000");
    onnx_initializer(&m, "w", ONNX_FLOAT, "1000", weights[0], 4000, NULL);
    onnx_node(&m, "", "Add", "x,w", "y");
    onnx_model_end(&m, &file);
    gal_buf_init(&slim, FILE_MAX);
    gal_buf_puts(&slim, "before");
    const struct gal_str files[] = {gal_buf_str(&file), GAL_STR("no model"), GAL_STR("")};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct gal_buf out = aligned(files[i]);
        assert_false(gal_onnx_is_ragged(files[i], GAL_ONNX_WEIGHTS_MIN));
        assert_true(gal_str_eq(gal_buf_str(&out), files[i]));
        assert_int_equal(slim_at(files[i], "w", 0, &slim), 0);
        assert_true(gal_str_is(gal_buf_str(&slim), "before"));
        gal_buf_release(&out);
    }
    gal_buf_release(&file);
    gal_buf_release(&slim);
}

static void a_file_that_ends_early_is_no_model(void **state)
{
    (void)state;
    struct gal_buf file = sum_model("first"), slim;
    size_t at = place_of(gal_buf_str(&file), weights[0], sizeof weights[0]);
    gal_buf_init(&slim, FILE_MAX);
    for (size_t n = 0; n < at + 64; n++) {
        struct gal_str cut = {file.p, n};
        assert_false(gal_onnx_is_ragged(cut, GAL_ONNX_WEIGHTS_MIN));
        assert_int_equal(slim_at(cut, "w", 0, &slim), 0);
    }
    gal_buf_release(&file);
    gal_buf_release(&slim);
}

static void the_engine_maps_weights_out_of_a_file_that_holds_more(void **state)
{
    (void)state;
    const size_t offset = 512;
    struct gal_buf file = sum_model("first"), out = aligned(gal_buf_str(&file)), whole, slim;
    gal_buf_init(&whole, FILE_MAX);
    gal_buf_init(&slim, FILE_MAX);
    for (size_t i = 0; i < offset; i++)
        gal_buf_putc(&whole, '#');
    gal_buf_put_str(&whole, gal_buf_str(&out));
    gal_buf_puts(&whole, "what follows");
    assert_int_equal(slim_at(gal_buf_str(&out), "whole.bin", offset, &slim), 2 * sizeof weights[0]);
    assert_true(slim.n < 1000);
    for (int share = 0; share < 2; share++) {
        const struct gal_backend_options options = {
            .bytes = gal_buf_str(&out),
            .place = test_file_write("whole.bin", gal_buf_str(&whole)),
            .place_offset = offset,
            .share_weights = share};
        assert_sums(load("whole.bin", &options));
    }
    gal_buf_release(&file);
    gal_buf_release(&out);
    gal_buf_release(&whole);
    gal_buf_release(&slim);
}

/* No element may begin between two others: such weights are copied, and the answers are the same.
 */
static void weights_at_odd_places_are_copied(void **state)
{
    (void)state;
    struct gal_buf file = sum_model("first"), out = aligned(gal_buf_str(&file)), slim;
    gal_buf_init(&slim, FILE_MAX);
    for (uint64_t offset = 1; offset < 4; offset++)
        assert_int_equal(slim_at(gal_buf_str(&out), "w", offset, &slim), 0);
    for (int share = 0; share < 2; share++)
        assert_sums(load(test_file_write("ragged.onnx", gal_buf_str(&file)),
                         &(struct gal_backend_options){.share_weights = share}));
    /* A place that does not hold them is no reason to fail. */
    assert_sums(load("x", &(struct gal_backend_options){.bytes = gal_buf_str(&out),
                                                        .place = "/nonexistent/file"}));
    gal_buf_release(&file);
    gal_buf_release(&out);
    gal_buf_release(&slim);
}

/* y = x + w, whose bytes lie in weights.bin at 8. */
static void external_data_is_found_in_a_part(void **state)
{
    (void)state;
    enum { MODEL_AT = 64 };
    struct onnx_model m;
    struct gal_buf file, whole, slim;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "-1,300000");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,300000");
    onnx_initializer(&m, "first", ONNX_FLOAT, "300000", NULL, sizeof weights[0], "weights.bin");
    onnx_initializer(&m, "small", ONNX_FLOAT, "1", weights[1] + 1, sizeof(float), NULL);
    onnx_initializer(&m, "second", ONNX_FLOAT, "300000", weights[1], sizeof weights[1], NULL);
    onnx_node(&m, "", "Add", "x,first", "a");
    onnx_node(&m, "", "Mul", "a,small", "b");
    onnx_node(&m, "", "Sub", "b,second", "y");
    onnx_model_end(&m, &file);
    gal_buf_init(&slim, FILE_MAX);
    gal_buf_init(&whole, FILE_MAX);
    while (whole.n < MODEL_AT)
        gal_buf_putc(&whole, '#');
    gal_buf_put_str(&whole, gal_buf_str(&file));
    while (whole.n % 512)
        gal_buf_putc(&whole, '#');
    const struct gal_backend_part parts[] = {{GAL_STR("other.bin"), 0, 64},
                                             {GAL_STR("weights.bin"), whole.n, sizeof weights[0]}};
    gal_buf_put(&whole, weights[0], sizeof weights[0]);
    const struct gal_backend_options options = {
        .bytes = gal_buf_str(&file),
        .place = test_file_write("parts.bin", gal_buf_str(&whole)),
        .place_offset = MODEL_AT,
        .parts = parts,
        .part_count = 2};
    assert_sums(load("parts.bin", &options));
    /* Not there, or not as much of it: what is outside the part is not the model's. */
    struct gal_backend_part wrong = parts[1];
    struct gal_onnx_place place = {GAL_STR("parts.bin"), MODEL_AT, parts, 1};
    assert_int_equal(gal_onnx_slim(gal_buf_str(&file), &place, 0, &slim), 0);
    place.parts = &wrong;
    wrong.size--;
    assert_int_equal(gal_onnx_slim(gal_buf_str(&file), &place, 0, &slim), 0);
    wrong.size++;
    assert_true(gal_onnx_slim(gal_buf_str(&file), &place, 0, &slim) >= sizeof weights[0]);
    gal_buf_release(&file);
    gal_buf_release(&whole);
    gal_buf_release(&slim);
}

static size_t file_pages_kib(void)
{
    char line[128];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "RssAnon: %zu", &kib) == 1)
            break;
    }
    fclose(f);
    return kib;
}

/* Two sessions of one file take no memory of their own for weights that they share. */
static void shared_weights_take_memory_once(void **state)
{
    (void)state;
    enum { ROWS = 2048, WIDTH = 4096 }; /* 32 MiB */
    struct onnx_model m;
    struct gal_buf file;
    float *big = gal_calloc(ROWS * WIDTH, sizeof *big);
    assert_non_null(big);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        big[i] = (float)(i % 7);
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "-1,2048");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,4096");
    onnx_initializer(&m, "w", ONNX_FLOAT, "2048,4096", big, ROWS * WIDTH * sizeof *big, NULL);
    onnx_node(&m, "", "MatMul", "x,w", "y");
    onnx_model_end(&m, &file);
    gal_free(big);
    struct gal_buf out = aligned(gal_buf_str(&file));
    const char *path = test_file_write("big.onnx", gal_buf_str(&out));
    gal_buf_release(&file);
    gal_buf_release(&out);
    const struct gal_backend_options options = {.place = path, .share_weights = true};
    gal_mem_trim();
    size_t before = file_pages_kib();
    struct gal_session *a = load(path, &options), *b = load(path, &options);
    size_t after = file_pages_kib();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("not measured: a sanitizer's own memory is counted too\n");
    (void)before, (void)after;
#else
    assert_true(after < before + 8 * 1024);
#endif
    gal_backend_onnx.free(a);
    gal_backend_onnx.free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_come_to_lie_where_they_can_be_mapped),
        cmocka_unit_test(what_a_weight_says_of_itself_stays),
        cmocka_unit_test(what_is_not_worth_it_stays_as_it_is),
        cmocka_unit_test(a_file_that_ends_early_is_no_model),
        cmocka_unit_test(the_engine_maps_weights_out_of_a_file_that_holds_more),
        cmocka_unit_test(weights_at_odd_places_are_copied),
        cmocka_unit_test(external_data_is_found_in_a_part),
        cmocka_unit_test(shared_weights_take_memory_once),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
