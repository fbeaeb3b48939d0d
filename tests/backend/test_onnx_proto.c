/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a model file's first level, without an engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/onnx.h"
#include "backend/onnx_internal.h"
#include "text/protobuf.h"
#include "base/mem.h"
#include "support/onnx_model.h"

static void setup_arena(struct gal_arena *a)
{
    gal_arena_init(a, 256, 0, 1u << 20);
}

static struct gal_buf small_model(void)
{
    struct onnx_model m;
    struct gal_buf file;
    onnx_model_begin(&m);
    onnx_input(&m, "x", ONNX_FLOAT, "-1,2");
    onnx_output(&m, "y", ONNX_FLOAT, "-1,2");
    onnx_node(&m, "", "Identity", "x", "y");
    onnx_meta(&m, "zebra", "last");
    onnx_meta(&m, "ant", "first");
    onnx_model_end(&m, &file);
    return file;
}

static struct gal_str bytes(const char *p, size_t n)
{
    return (struct gal_str){p, n};
}

static void fields_of_every_wire_type_are_read(void **state)
{
    (void)state;
    struct gal_str rest = GAL_STR("\x08\x96\x01"                         /* 1: varint 150 */
                                  "\x12\x02hi"                           /* 2: "hi" */
                                  "\x1d\x01\x00\x00\x80"                 /* 3: fixed32 */
                                  "\x21\x02\x00\x00\x00\x00\x00\x00\x80" /* 4: fixed64 */
                                  "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    struct gal_pb_field f;
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_FIELD);
    assert_true(f.number == 1 && f.value == 150);
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_FIELD);
    assert_true(f.number == 2 && gal_str_is(f.bytes, "hi"));
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_FIELD);
    assert_true(f.number == 3 && f.value == 0x80000001u);
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_FIELD);
    assert_true(f.number == 4 && f.value == 0x8000000000000002u);
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_FIELD);
    assert_true(f.value == UINT64_MAX);
    assert_int_equal(gal_pb_next(&rest, &f), GAL_PB_END);
}

static void what_is_no_protobuf_is_told_from_what_is_cut(void **state)
{
    (void)state;
    const struct {
        struct gal_str in;
        enum gal_pb_next is;
    } rows[] = {
        {GAL_STR("\x00\x01"), GAL_PB_BAD},                                     /* field number 0 */
        {GAL_STR("\x0b"), GAL_PB_BAD},                                         /* group start */
        {GAL_STR("\x0e\x01"), GAL_PB_BAD},                                     /* wire type 6 */
        {GAL_STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), GAL_PB_BAD}, /* 65 bits */
        {GAL_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), GAL_PB_BAD},     /* huge number */
        {GAL_STR("\x08"), GAL_PB_SHORT},
        {GAL_STR("\x08\x80"), GAL_PB_SHORT},
        {GAL_STR("\x12\x03hi"), GAL_PB_SHORT},
        {GAL_STR("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), GAL_PB_SHORT},
        {GAL_STR("\x1d\x01\x00\x00"), GAL_PB_SHORT},
        {GAL_STR("\x21\x01\x00\x00\x00\x00\x00\x00"), GAL_PB_SHORT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_str rest = rows[i].in;
        struct gal_pb_field f;
        assert_int_equal(gal_pb_next(&rest, &f), rows[i].is);
        assert_true(rest.p == rows[i].in.p); /* nothing was taken */
    }
}

static void opsets_and_ir_version_are_read(void **state)
{
    (void)state;
    struct gal_arena a;
    struct gal_err err;
    struct gal_str opsets;
    int64_t ir = 0;
    setup_arena(&a);
    struct gal_buf file = small_model();
    assert_int_equal(gal_onnx_opsets(gal_buf_str(&file), &a, &ir, &opsets, &err), GAL_OK);
    assert_int_equal(ir, 8);
    assert_string_equal(opsets.p, "ai.onnx 17, ai.onnx.ml 3");
    gal_buf_release(&file);
    gal_arena_release(&a);
}

static void the_head_has_what_the_file_says(void **state)
{
    (void)state;
    struct gal_arena a;
    struct gal_err err;
    struct gal_onnx_head h;
    setup_arena(&a);
    struct gal_buf file = small_model();
    assert_int_equal(gal_onnx_head_read(gal_buf_str(&file), &a, &h, &err), GAL_OK);
    assert_true(gal_str_is(h.producer, "tests") && gal_str_is(h.producer_version, "1.0"));
    assert_true(gal_str_is(h.domain, "org.example") && gal_str_is(h.description, "A test's model"));
    assert_true(gal_str_is(h.graph_name, "test_graph"));
    assert_int_equal(h.model_version, 7);
    assert_int_equal(h.meta_count, 2);
    assert_true(gal_str_is(h.meta[0].key, "ant") && gal_str_is(h.meta[1].key, "zebra"));
    assert_true(gal_str_is(h.meta[0].value, "first"));
    gal_buf_release(&file);
    gal_arena_release(&a);
}

/* Behind the graph stand opsets and metadata: a cut there may leave whole fields, and then only
 * the engine can tell. */
static void a_file_cut_anywhere_in_its_graph_is_invalid(void **state)
{
    (void)state;
    struct gal_buf file = small_model();
    const char *opset = memmem(file.p, file.n, "\x42\x04\x0a\x00\x10\x11", 6);
    assert_non_null(opset);
    size_t graph_end = (size_t)(opset - file.p);
    for (size_t n = 0; n < file.n; n++) {
        struct gal_arena a;
        struct gal_err err;
        struct gal_onnx_head h;
        setup_arena(&a);
        /* A copy of exactly n bytes: reading beyond it is found by the sanitizer. */
        char *cut = gal_alloc(n + 1);
        memcpy(cut, file.p, n);
        char *exact = gal_realloc(cut, n ? n : 1);
        enum gal_status status = gal_onnx_head_read(bytes(exact, n), &a, &h, &err);
        if (n < graph_end)
            assert_int_equal(status, GAL_INVALID);
        else
            assert_true(status == GAL_OK || status == GAL_INVALID);
        gal_free(exact);
        gal_arena_release(&a);
    }
    gal_buf_release(&file);
}

static void other_files_are_named_for_what_they_are(void **state)
{
    (void)state;
    const struct {
        struct gal_str file;
        const char *says;
    } rows[] = {
        {GAL_STR(""), "empty"},
        {GAL_STR("<!DOCTYPE html><html></html>"), "not an ONNX model"},
        {GAL_STR("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a"), "Git LFS"},
        {GAL_STR("\x08\x08\x3a\x7f"), "ends early"},
        {GAL_STR("\x08\x08"), "no graph"},
        {GAL_STR("\x3a\x00"), "no IR version"},
        {GAL_STR("\x08\x08\x3a\x02\x0a\x7f"),
         "not an ONNX model"}, /* whole outside, broken inside */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_arena a;
        struct gal_err err;
        struct gal_str opsets;
        int64_t ir;
        setup_arena(&a);
        assert_int_equal(gal_onnx_opsets(rows[i].file, &a, &ir, &opsets, &err), GAL_INVALID);
        assert_non_null(strstr(err.message, rows[i].says));
        gal_arena_release(&a);
    }
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct gal_buf file = small_model();
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_arena a;
        struct gal_onnx_head h;
        gal_arena_init(&a, 16, 0, 1u << 20);
        gal_alloc_fail_at(i, 1);
        status = gal_onnx_head_read(gal_buf_str(&file), &a, &h, NULL);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY);
        gal_arena_release(&a);
        assert_true(i < 100);
    }
    gal_buf_release(&file);
}

static void engine_messages_lose_newlines_and_source_places(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain words", "plain words"},
        {"two\nlines\n", "two lines"},
        {"Got invalid dimensions for input: x\n index: 1 Got: 3 Expected: 2\n Please fix.",
         "Got invalid dimensions for input: x index: 1 Got: 3 Expected: 2 Please fix"},
        {"Status Message: /src/onnxruntime/core/reshape_helper.h:40 "
         "onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, bool) const "
         "input_size == size was false. Cannot",
         "Status Message: input_size == size was false. Cannot"},
        {"/a/b.cc:7 T ns::f(int) [with T = std::vector<int>] x < y was false", "x < y was false"},
        {"/a/b.cc:7 ns::f(int)::<lambda(std::pair<int, int>)> no", "no"},
        {"model /models/x.onnx:1 is here", "model /models/x.onnx:1 is here"},
        {"see http://example.org/a.cc:x y", "see http://example.org/a.cc:x y"},
        {"/a/b.cc:12", "/a/b.cc:12"},
        {"/a/b.cc:12 ", ""},
        {"/a/b.cc:12 ns::f(unclosed", "ns::f(unclosed"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[256];
        gal_ort_clean(rows[i].in, out, sizeof out);
        assert_string_equal(out, rows[i].out);
    }
}

static void engine_messages_are_cut_to_the_room_there_is(void **state)
{
    (void)state;
    for (size_t size = 1; size < 20; size++) {
        char out[32];
        memset(out, '#', sizeof out);
        gal_ort_clean("one two three four", out, size);
        assert_true(strlen(out) < size);
        assert_int_equal(out[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_every_wire_type_are_read),
        cmocka_unit_test(what_is_no_protobuf_is_told_from_what_is_cut),
        cmocka_unit_test(opsets_and_ir_version_are_read),
        cmocka_unit_test(the_head_has_what_the_file_says),
        cmocka_unit_test(a_file_cut_anywhere_in_its_graph_is_invalid),
        cmocka_unit_test(other_files_are_named_for_what_they_are),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
        cmocka_unit_test(engine_messages_lose_newlines_and_source_places),
        cmocka_unit_test(engine_messages_are_cut_to_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
