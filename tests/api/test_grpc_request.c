/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInferRequest: what protobuf-c has written and read is what galley reads. */
#include "support/grpc_peer.h"
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include <proto/inference.pb-c.h>

#include <stdio.h>

static struct gal_arena arena;
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int open_arena(void **state)
{
    (void)state;
    gal_arena_init(&arena, 1u << 16, 1u << 20, 1u << 26);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

/* --- messages at random, written by protobuf-c --- */

#define ELEMENTS_MAX 40

struct room {
    Inference__InferTensorContents contents;
    int32_t i32[ELEMENTS_MAX];
    uint32_t u32[ELEMENTS_MAX];
    int64_t i64[ELEMENTS_MAX], shape[2];
    uint64_t u64[ELEMENTS_MAX];
    float f32[ELEMENTS_MAX];
    double f64[ELEMENTS_MAX];
    protobuf_c_boolean flags[ELEMENTS_MAX];
    ProtobufCBinaryData bytes[ELEMENTS_MAX];
};

static void fill_numbers(struct room *r, enum gal_dtype t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v = next_random() >> (next_random() % 64);
        unsigned bits = (unsigned)gal_dtype_size(t) * 8;

        r->flags[i] = v & 1;
        r->i64[i] = (int64_t)(next_random() & 1 ? v : ~v);
        r->u64[i] = v;
        r->i32[i] = (int32_t)(r->i64[i] >> 33);
        r->u32[i] = (uint32_t)v;
        if (bits < 32) {
            r->i32[i] = r->i32[i] >> (32 - bits);
            r->u32[i] = r->u32[i] & ((1u << bits) - 1);
        }
        memcpy(&r->f32[i], &v, 4);
        memcpy(&r->f64[i], &v, 8);
        r->bytes[i] = (ProtobufCBinaryData){next_random() % 9, (uint8_t *)&r->u64[i]};
        if (r->bytes[i].len > 8)
            r->bytes[i].len = 8;
    }
}

static void fill_contents(struct room *r, enum gal_dtype t, size_t n)
{
    Inference__InferTensorContents *c = &r->contents;

    inference__infer_tensor_contents__init(c);
    fill_numbers(r, t, n);
    c->bool_contents = r->flags;
    c->int_contents = r->i32;
    c->int64_contents = r->i64;
    c->uint_contents = r->u32;
    c->uint64_contents = r->u64;
    c->fp32_contents = r->f32;
    c->fp64_contents = r->f64;
    c->bytes_contents = r->bytes;
    if (t == GAL_DT_BOOL)
        c->n_bool_contents = n;
    else if (t == GAL_DT_INT8 || t == GAL_DT_INT16 || t == GAL_DT_INT32)
        c->n_int_contents = n;
    else if (t == GAL_DT_INT64)
        c->n_int64_contents = n;
    else if (t == GAL_DT_UINT8 || t == GAL_DT_UINT16 || t == GAL_DT_UINT32)
        c->n_uint_contents = n;
    else if (t == GAL_DT_UINT64)
        c->n_uint64_contents = n;
    else if (t == GAL_DT_FP32)
        c->n_fp32_contents = n;
    else if (t == GAL_DT_FP64)
        c->n_fp64_contents = n;
    else
        c->n_bytes_contents = n;
}

#define INPUTS_MAX 4

static size_t write_random(uint8_t *out)
{
    static struct room rooms[INPUTS_MAX];
    static Inference__ModelInferRequest__InferInputTensor inputs[INPUTS_MAX], *list[INPUTS_MAX];
    Inference__ModelInferRequest m = INFERENCE__MODEL_INFER_REQUEST__INIT;
    size_t count = next_random() % (INPUTS_MAX + 1);

    for (size_t i = 0; i < count; i++) {
        enum gal_dtype t = GAL_DT_NONE;
        size_t rows = next_random() % 8, width = next_random() % 5;

        while (t == GAL_DT_NONE || t == GAL_DT_FP16 || t == GAL_DT_BF16)
            t = (enum gal_dtype)(next_random() % GAL_DT_COUNT);
        inference__model_infer_request__infer_input_tensor__init(&inputs[i]);
        fill_contents(&rooms[i], t, rows * width);
        rooms[i].shape[0] = (int64_t)rows;
        rooms[i].shape[1] = (int64_t)width;
        inputs[i].name = (char *)(uintptr_t) "x";
        inputs[i].datatype = (char *)(uintptr_t)gal_dtype_name(t);
        inputs[i].n_shape = 2;
        inputs[i].shape = rooms[i].shape;
        inputs[i].contents = &rooms[i].contents;
        list[i] = &inputs[i];
    }
    m.model_name = (char *)(uintptr_t) "model";
    m.id = (char *)(uintptr_t) "id";
    m.n_inputs = count;
    m.inputs = list;
    return inference__model_infer_request__pack(&m, out);
}

static void typed_contents_of_every_kind_read_alike(void **state)
{
    static uint8_t bytes[1u << 16];

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        struct gal_err err;
        bool peer_read;
        size_t n = write_random(bytes);

        if (grpc_peer_check((struct gal_str){(char *)bytes, n}, &arena, &peer_read, &err) != GAL_OK)
            fail_msg("message %u: %s (%s)", i, err.message, err.place);
        assert_true(peer_read);
        gal_arena_clear(&arena);
    }
}

/* Bytes changed at random: whatever comes of it, both readers see the same or one refuses. */
static void damaged_messages_never_differ(void **state)
{
    static uint8_t bytes[1u << 16];

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        size_t n = write_random(bytes);
        struct gal_err err;
        bool peer_read;

        for (uint64_t k = next_random() % 4; k > 0 && n > 0; k--)
            bytes[next_random() % n] ^= (uint8_t)(1u << next_random() % 8);
        if (next_random() % 4 == 0)
            n = next_random() % (n + 1);
        (void)grpc_peer_check((struct gal_str){(char *)bytes, n}, &arena, &peer_read, &err);
        gal_arena_clear(&arena);
    }
}

/* --- by hand --- */

static enum gal_status decode(struct gal_str message, struct gal_oip_request *r,
                              struct gal_err *err)
{
    struct gal_grpc_head head;
    enum gal_status st = gal_grpc_scan(message, &head, err);

    gal_arena_clear(&arena);
    return st != GAL_OK ? st : gal_grpc_decode(message, &head, head.model, false, &arena, r, err);
}

/* x: FP32 [2], then what follows. */
#define X                                                                                          \
    "\x0a\x01x\x12\x04"                                                                            \
    "FP32\x1a\x01\x02"

static void unpacked_elements_and_split_contents_are_one(void **state)
{
    static const char m[] = "\x2a\x1f" X "\x2a\x05\x35\0\0\x80\x3f" /* 1.0, alone */
                            "\x2a\x06\x32\x04\0\0\0\x40"            /* [2.0] */
                            "\x20\x01";
    struct gal_str message = {m, 2 + 12 + 7 + 8};
    struct gal_oip_request r;
    struct gal_err err;
    char copy[64];

    (void)state;
    memcpy(copy, m, message.n);
    copy[1] = (char)(message.n - 2);
    message.p = copy;
    assert_int_equal(decode(message, &r, &err), GAL_OK);
    assert_int_equal(r.inputs[0].count, 2);
    assert_memory_equal(r.inputs[0].data, "\0\0\x80\x3f\0\0\0\x40", 8);
}

static void raw_contents_stay_where_they_are_when_aligned(void **state)
{
    static _Alignas(8) char m[64];
    struct gal_oip_request r;
    struct gal_err err;

    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        struct gal_str message = {m + 16 + shift, 2 + 12 + 2 + 8};

        memmove(m + 16 + shift,
                "\x2a\x0c" X "\x3a\x08"
                "abcdefgh",
                message.n);
        assert_int_equal(decode(message, &r, &err), GAL_OK);
        assert_memory_equal(r.inputs[0].data, "abcdefgh", 8);
        assert_int_equal((uintptr_t)r.inputs[0].data % 4, 0);
        if (((uintptr_t)message.p + 16) % 4 == 0)
            assert_ptr_equal(r.inputs[0].data, message.p + 16);
    }
}

/* From each beginning of it that holds the length of the raw contents. */
static void the_place_of_raw_contents_is_seen_from_the_beginning(void **state)
{
    static const char m[] = "\x2a\x0c" X "\x3a\xac\x02"
                            "abcdefgh";
    static const char typed[] = "\x2a\x0c" X;

    (void)state;
    for (size_t n = 0; n <= sizeof m - 1; n++)
        assert_int_equal(gal_grpc_raw_at((struct gal_str){m, n}), n < 17 ? 0 : 17);
    for (size_t n = 0; n <= sizeof typed - 1; n++)
        assert_int_equal(gal_grpc_raw_at((struct gal_str){typed, n}), 0);
    assert_int_equal(gal_grpc_raw_at((struct gal_str){"\x3a\x03"
                                                      "abc",
                                                      5}),
                     2); /* whole */
    assert_int_equal(gal_grpc_raw_at((struct gal_str){"\x39"
                                                      "12345678",
                                                      9}),
                     0); /* no bytes */
}

static void a_shape_that_claims_more_than_is_there_gets_no_memory(void **state)
{
    static const char m[] = "\x2a\x19\x0a\x01x\x12\x04"
                            "FP32\x1a\x05\xff\xff\xff\xff\x07"
                            "\x2a\x07\x35\0\0\x80\x3f\x20\x01";
    struct gal_str message = {m, 2 + 0x19};
    struct gal_oip_request r;
    struct gal_err err;

    (void)state;
    assert_int_equal(decode(message, &r, &err), GAL_INVALID);
    assert_true(arena.used < 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typed_contents_of_every_kind_read_alike),
        cmocka_unit_test(damaged_messages_never_differ),
        cmocka_unit_test(unpacked_elements_and_split_contents_are_one),
        cmocka_unit_test(raw_contents_stay_where_they_are_when_aligned),
        cmocka_unit_test(the_place_of_raw_contents_is_seen_from_the_beginning),
        cmocka_unit_test(a_shape_that_claims_more_than_is_there_gets_no_memory),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
