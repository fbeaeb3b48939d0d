/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that differ where requests differ; answers copied whole, and sent through another process.
 */
#include "cache/entry.h"
#include "cache/key.h"

#include "base/digest.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- keys ---- */

static const int64_t two[] = {2}, one_two[] = {1, 2}, two_one[] = {2, 1}, none[] = {0};
static const float f12[] = {1, 2}, f13[] = {1, 3}, zero[] = {0.0f, 0.0f}, minus[] = {-0.0f, 0.0f};
static const int32_t i12[] = {1, 2};
static const struct gal_str ab_c[] = {{"ab", 2}, {"c", 1}}, a_bc[] = {{"a", 1}, {"bc", 2}},
                            empty_abc[] = {{NULL, 0}, {"abc", 3}};

#define TENSOR(dtype, rank, shape, count, data)                                                    \
    {                                                                                              \
        .kind = GAL_KIND_TENSOR, .tensor = { {NULL, 0}, dtype, rank, shape, count, data }          \
    }
#define ABSENT                                                                                     \
    {                                                                                              \
        .kind = GAL_KIND_NONE                                                                      \
    }

/* No two of these are the same request. */
static const struct gal_value requests[][2] = {
    {TENSOR(GAL_DT_FP32, 1, two, 2, f12), ABSENT},
    {TENSOR(GAL_DT_FP32, 1, two, 2, f13), ABSENT},
    {TENSOR(GAL_DT_INT32, 1, two, 2, f12), ABSENT},
    {TENSOR(GAL_DT_INT32, 1, two, 2, i12), ABSENT},
    {TENSOR(GAL_DT_FP32, 2, one_two, 2, f12), ABSENT},
    {TENSOR(GAL_DT_FP32, 2, two_one, 2, f12), ABSENT},
    {TENSOR(GAL_DT_FP32, 1, none, 0, NULL), ABSENT},
    {TENSOR(GAL_DT_FP32, 0, NULL, 1, f12), ABSENT},
    {TENSOR(GAL_DT_FP32, 1, two, 2, zero), ABSENT},
    {TENSOR(GAL_DT_FP32, 1, two, 2, minus), ABSENT},
    {ABSENT, TENSOR(GAL_DT_FP32, 1, two, 2, f12)},
    {ABSENT, ABSENT},
    {TENSOR(GAL_DT_FP32, 1, two, 2, f12), TENSOR(GAL_DT_FP32, 1, two, 2, f12)},
    {TENSOR(GAL_DT_BYTES, 1, two, 2, ab_c), ABSENT},
    {TENSOR(GAL_DT_BYTES, 1, two, 2, a_bc), ABSENT},
    {TENSOR(GAL_DT_BYTES, 1, two, 2, empty_abc), ABSENT},
};
static const size_t outputs_01[] = {0, 1}, outputs_10[] = {1, 0};

static struct gal_str key_of(const struct gal_value *inputs, const size_t *wanted, size_t count)
{
    const struct gal_key_parts parts = {inputs, 2, wanted, count};
    size_t n = gal_key_size(&parts);
    char *p = malloc(n + 1);

    assert_true(n > 0);
    p[n] = 'x';
    gal_key_write(&parts, p);
    assert_int_equal(p[n], 'x');
    return (struct gal_str){p, n};
}

static void keys_are_equal_for_equal_requests_alone(void **state)
{
    struct gal_str keys[COUNT(requests) + 3];
    size_t n = 0;

    (void)state;
    for (; n < COUNT(requests); n++)
        keys[n] = key_of(requests[n], outputs_01, 2);
    keys[n++] = key_of(requests[0], outputs_10, 2);
    keys[n++] = key_of(requests[0], outputs_01, 1);
    keys[n++] = key_of(requests[0], outputs_10, 1);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++)
            if (gal_str_eq(keys[i], keys[k]) != (i == k))
                fail_msg("requests %zu and %zu", i, k);
        if (i < COUNT(requests)) {
            struct gal_str again = key_of(requests[i], outputs_01, 2);
            assert_true(gal_str_eq(keys[i], again));
            free((char *)again.p);
        }
    }
    while (n > 0)
        free((char *)keys[--n].p);
}

static void what_has_no_key(void **state)
{
    struct gal_value inputs[2] = {TENSOR(GAL_DT_FP32, 1, two, 2, f12), ABSENT};
    const struct gal_key_parts parts = {inputs, 2, outputs_01, 1};

    (void)state;
    assert_true(gal_key_size(&parts) > 0);
    inputs[1].kind = GAL_KIND_SEQUENCE;
    assert_int_equal(gal_key_size(&parts), 0);
    inputs[1] = (struct gal_value)TENSOR(GAL_DT_NONE, 1, two, 2, f12);
    assert_int_equal(gal_key_size(&parts), 0);
    inputs[1] = (struct gal_value)TENSOR(GAL_DT_FP32, 1, two, SIZE_MAX / 2, f12);
    assert_int_equal(gal_key_size(&parts), 0);
}

/* The published vectors of XXH3-128 for no bytes, seed 0. */
static void the_hash_is_xxh3(void **state)
{
    struct gal_hash128 h = gal_hash128((struct gal_str){NULL, 0}, 0);

    (void)state;
    assert_true(h.lo == 0x6001c324468d497fULL && h.hi == 0x99aa06d3014798d8ULL);
    assert_false(gal_hash128_eq(h, gal_hash128((struct gal_str){NULL, 0}, 1)));
    assert_true(gal_hash128_eq(gal_hash128(GAL_STR("abc"), 5), gal_hash128(GAL_STR("abc"), 5)));
}

/* ---- answers ---- */

/* A model with every form of output: numbers, text, a sequence of maps, a map, a sequence of
 * tensors, one that may be absent. */
static const int64_t any_two[] = {-1, 2}, any[] = {-1};
static const struct gal_port ports[] = {
    {.name = {"scores", 6},
     .kind = GAL_KIND_TENSOR,
     .dtype = GAL_DT_FP32,
     .rank = 2,
     .shape = any_two,
     .shape_known = true},
    {.name = {"label", 5},
     .kind = GAL_KIND_TENSOR,
     .dtype = GAL_DT_BYTES,
     .rank = 1,
     .shape = any,
     .shape_known = true},
    {.name = {"maps", 4},
     .kind = GAL_KIND_SEQUENCE,
     .dtype = GAL_DT_FP32,
     .key_dtype = GAL_DT_BYTES,
     .of_maps = true},
    {.name = {"map", 3}, .kind = GAL_KIND_MAP, .dtype = GAL_DT_FP32, .key_dtype = GAL_DT_INT64},
    {.name = {"parts", 5}, .kind = GAL_KIND_SEQUENCE, .dtype = GAL_DT_UINT8},
    {.name = {"maybe", 5}, .kind = GAL_KIND_TENSOR, .dtype = GAL_DT_BOOL},
};
#define PORTS COUNT(ports)
static const size_t all[PORTS] = {0, 1, 2, 3, 4, 5};

static const int64_t ids[] = {-1, 70};
static const uint8_t bytes3[] = {1, 2, 3};
static struct gal_value str_map[2] = {TENSOR(GAL_DT_BYTES, 1, two, 2, ab_c),
                                      TENSOR(GAL_DT_FP32, 1, two, 2, f12)};
static struct gal_value int_map[2] = {TENSOR(GAL_DT_INT64, 1, two, 2, ids),
                                      TENSOR(GAL_DT_FP32, 1, two, 2, f13)};
static struct gal_value map_items[2] = {{.kind = GAL_KIND_MAP, .items = str_map, .count = 2},
                                        {.kind = GAL_KIND_MAP, .items = str_map, .count = 2}};
static struct gal_value part_items[3] = {TENSOR(GAL_DT_UINT8, 1, two, 2, bytes3), ABSENT,
                                         TENSOR(GAL_DT_UINT8, 2, two_one, 2, bytes3 + 1)};

static void make_outputs(struct gal_value *out)
{
    out[0] = (struct gal_value)TENSOR(GAL_DT_FP32, 2, one_two, 2, f12);
    out[1] = (struct gal_value)TENSOR(GAL_DT_BYTES, 1, two, 2, empty_abc);
    out[2] = (struct gal_value){.kind = GAL_KIND_SEQUENCE, .items = map_items, .count = 2};
    out[3] = (struct gal_value){.kind = GAL_KIND_MAP, .items = int_map, .count = 2};
    out[4] = (struct gal_value){.kind = GAL_KIND_SEQUENCE, .items = part_items, .count = 3};
    out[5] = (struct gal_value)ABSENT;
    for (size_t i = 0; i < PORTS; i++)
        out[i].tensor.name = ports[i].name;
    out[0].handle = (void *)(uintptr_t)1; /* the engine's: does not come along */
}

static bool same_data(const struct gal_tensor *a, const struct gal_tensor *b)
{
    if (a->dtype != GAL_DT_BYTES)
        return a->count == 0 || memcmp(a->data, b->data, a->count * gal_dtype_size(a->dtype)) == 0;
    for (size_t i = 0; i < a->count; i++)
        if (!gal_str_eq(((const struct gal_str *)a->data)[i], ((const struct gal_str *)b->data)[i]))
            return false;
    return true;
}

static bool same(const struct gal_value *a, const struct gal_value *b)
{
    const struct gal_tensor *s = &a->tensor, *t = &b->tensor;

    if (a->kind != b->kind || !gal_str_eq(s->name, t->name))
        return false;
    if (a->kind == GAL_KIND_TENSOR)
        return s->dtype == t->dtype && s->rank == t->rank && s->count == t->count &&
               (s->rank == 0 || memcmp(s->shape, t->shape, s->rank * sizeof(*s->shape)) == 0) &&
               same_data(s, t);
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same(&a->items[i], &b->items[i]))
            return false;
    return true;
}

static void an_entry_is_a_copy(void **state)
{
    struct gal_value outputs[PORTS];
    struct gal_cache_entry *e;

    (void)state;
    make_outputs(outputs);
    assert_int_equal(gal_cache_entry_new(GAL_STR("key"), outputs, PORTS, &e, NULL), GAL_OK);
    assert_int_equal(e->bytes, gal_cache_entry_size(GAL_STR("key"), outputs, PORTS));
    assert_true(gal_str_is(e->key, "key"));
    for (size_t i = 0; i < PORTS; i++) {
        assert_true(same(&e->outputs[i], &outputs[i]));
        assert_null(e->outputs[i].handle);
        assert_true((const char *)e->outputs[i].tensor.name.p > (const char *)e &&
                    e->outputs[i].tensor.name.p < (const char *)e + e->bytes);
    }
    gal_cache_entry_unref(gal_cache_entry_ref(e));
    assert_true(same(&e->outputs[1], &outputs[1]));
    gal_cache_entry_unref(e);
}

static void what_is_not_kept(void **state)
{
    struct gal_value deep = {.kind = GAL_KIND_SEQUENCE, .items = NULL, .count = 1};
    struct gal_value within = {.kind = GAL_KIND_SEQUENCE, .items = map_items, .count = 1};
    struct gal_value strange = TENSOR(GAL_DT_NONE, 1, two, 2, f12);
    struct gal_cache_entry *e;

    (void)state;
    deep.items = &within;
    assert_int_equal(gal_cache_entry_new(GAL_STR("k"), &deep, 1, &e, NULL), GAL_UNSUPPORTED);
    assert_int_equal(gal_cache_entry_new(GAL_STR("k"), &strange, 1, &e, NULL), GAL_UNSUPPORTED);
    assert_null(e);
}

/* ---- through another process ---- */

static struct gal_arena arena;
static struct gal_buf packed;
static const struct gal_cache_name name = {
    {"m", 1}, {"1", 1}, {"0123456789abcdef", 16}, {"some key", 8}};

static void pack_all(void)
{
    struct gal_value outputs[PORTS];
    struct gal_cache_entry *e;

    make_outputs(outputs);
    gal_arena_init(&arena, 4096, 1 << 20, 1 << 24);
    gal_buf_init(&packed, 1 << 20);
    assert_int_equal(gal_cache_entry_new(name.key, outputs, PORTS, &e, NULL), GAL_OK);
    gal_cache_entry_pack(e, &name, 12345, &packed);
    assert_false(packed.failed);
    gal_cache_entry_unref(e);
}

static void release_all(void)
{
    gal_arena_release(&arena);
    gal_buf_release(&packed);
}

static enum gal_status unpack(struct gal_str s, const struct gal_cache_name *as,
                              struct gal_value *out)
{
    uint64_t expires_us = 0;
    enum gal_status st =
        gal_cache_entry_unpack(s, as, ports, all, PORTS, &arena, out, &expires_us, NULL);

    if (st == GAL_OK)
        assert_int_equal(expires_us, 12345);
    return st;
}

static void what_is_packed_comes_back(void **state)
{
    struct gal_value outputs[PORTS], back[PORTS];

    (void)state;
    pack_all();
    make_outputs(outputs);
    assert_int_equal(unpack(gal_buf_str(&packed), &name, back), GAL_OK);
    for (size_t i = 0; i < PORTS; i++)
        assert_true(same(&outputs[i], &back[i]));
    release_all();
}

static void an_answer_to_another_request_is_not_found(void **state)
{
    struct gal_cache_name others[4] = {name, name, name, name};
    struct gal_value back[PORTS];
    struct gal_hash128 h;

    (void)state;
    pack_all();
    others[0].model = GAL_STR("n");
    others[1].version = GAL_STR("2");
    others[2].sha256 = GAL_STR("0123456789abcdee");
    others[3].key = GAL_STR("some kez");
    h = gal_cache_name_hash(&name, &packed);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(unpack(gal_buf_str(&packed), &others[i], back), GAL_NOT_FOUND);
        assert_false(gal_hash128_eq(h, gal_cache_name_hash(&others[i], &packed)));
    }
    release_all();
}

static void a_model_that_answers_otherwise_refuses_it(void **state)
{
    struct gal_port changed[PORTS];
    struct gal_value back[PORTS];
    uint64_t expires_us;

    (void)state;
    pack_all();
    for (size_t i = 0; i < PORTS - 1; i++) { /* the last one is absent in the answer */
        memcpy(changed, ports, sizeof(ports));
        changed[i].dtype = GAL_DT_FP64;
        assert_int_equal(gal_cache_entry_unpack(gal_buf_str(&packed), &name, changed, all, PORTS,
                                                &arena, back, &expires_us, NULL),
                         GAL_INVALID);
    }
    memcpy(changed, ports, sizeof(ports));
    changed[0].shape = two_one;
    assert_int_equal(gal_cache_entry_unpack(gal_buf_str(&packed), &name, changed, all, PORTS,
                                            &arena, back, &expires_us, NULL),
                     GAL_INVALID);
    assert_int_equal(gal_cache_entry_unpack(gal_buf_str(&packed), &name, ports, all, PORTS - 1,
                                            &arena, back, &expires_us, NULL),
                     GAL_INVALID);
    release_all();
}

static void rubbish_is_refused_wherever_it_is(void **state)
{
    struct gal_rng rng = {{1, 2, 3, 4}};
    struct gal_value back[PORTS];
    unsigned refused = 0;

    (void)state;
    pack_all();
    for (size_t n = 0; n < packed.n; n++) {
        char *cut = malloc(n + 1); /* of its own size, so that a sanitizer sees a byte too many */
        memcpy(cut, packed.p, n);
        assert_int_not_equal(unpack((struct gal_str){cut, n}, &name, back), GAL_OK);
        free(cut);
        gal_arena_clear(&arena);
    }
    gal_buf_putc(&packed, 'x');
    assert_int_equal(unpack(gal_buf_str(&packed), &name, back), GAL_INVALID);
    packed.n--;
    for (unsigned i = 0; i < 20000; i++) {
        size_t at = 16 + gal_rng_next(&rng) % (packed.n - 16); /* behind the expiry */
        char was = packed.p[at];
        packed.p[at] = (char)gal_rng_next(&rng);
        refused += unpack(gal_buf_str(&packed), &name, back) != GAL_OK;
        packed.p[at] = was;
        gal_arena_clear(&arena);
    }
    assert_true(refused > 10000); /* the rest changed numbers of the answer */
    release_all();
}

static void failing_allocations_are_told(void **state)
{
    struct gal_value outputs[PORTS], back[PORTS];
    struct gal_cache_entry *e;
    bool done = false;

    (void)state;
    make_outputs(outputs);
    for (unsigned at = 1; !done; at++) {
        enum gal_status st;
        gal_arena_init(&arena, 64, 1 << 20, 1 << 24);
        gal_buf_init(&packed, 1 << 20);
        gal_alloc_fail_at(at, 1);
        st = gal_cache_entry_new(name.key, outputs, PORTS, &e, NULL);
        if (st == GAL_OK) {
            gal_cache_entry_pack(e, &name, 12345, &packed);
            st = packed.failed ? GAL_NO_MEMORY : unpack(gal_buf_str(&packed), &name, back);
        }
        gal_alloc_fail_at(0, 0);
        done = st == GAL_OK;
        assert_true(done || st == GAL_NO_MEMORY);
        gal_cache_entry_unref(e);
        release_all();
        assert_true(at < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_equal_for_equal_requests_alone),
        cmocka_unit_test(what_has_no_key),
        cmocka_unit_test(the_hash_is_xxh3),
        cmocka_unit_test(an_entry_is_a_copy),
        cmocka_unit_test(what_is_not_kept),
        cmocka_unit_test(what_is_packed_comes_back),
        cmocka_unit_test(an_answer_to_another_request_is_not_found),
        cmocka_unit_test(a_model_that_answers_otherwise_refuses_it),
        cmocka_unit_test(rubbish_is_refused_wherever_it_is),
        cmocka_unit_test(failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
