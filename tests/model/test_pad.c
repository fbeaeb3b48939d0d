/* SPDX-License-Identifier: Apache-2.0 */
/* Padding against copies that are made element by element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/pad.h"

#include <math.h>
#include <stdlib.h>

#define LOTS (64ul << 20)

/* ---- models, told by their dimensions: "batch,sequence,4" ---- */

struct told {
    struct gal_port in[4], out[4];
    int64_t shapes[8][8];
    const char *dims[8][8];
    char text[1024];
    size_t used, ports;
    struct gal_model_info info;
};

static void put_port(struct told *m, struct gal_port *port, const char *name, enum gal_dtype dtype,
                     const char *shape)
{
    struct gal_str rest = gal_str_of(shape), part;
    size_t k = m->ports++;
    *port = (struct gal_port){.name = gal_str_of(name),
                              .kind = GAL_KIND_TENSOR,
                              .dtype = dtype,
                              .shape_known = true,
                              .type_text = "tensor",
                              .shape = m->shapes[k],
                              .dims = m->dims[k]};
    while (rest.n > 0 && gal_str_cut(&rest, ',', &part)) {
        char *text = m->text + m->used;
        bool is_fixed = gal_str_i64(part, &m->shapes[k][port->rank]) == GAL_OK;
        if (!is_fixed)
            m->shapes[k][port->rank] = -1;
        size_t n = is_fixed || gal_str_is(part, "?") ? 0 : part.n;
        memcpy(text, part.p, n);
        text[n] = '\0';
        m->used += n + 1;
        m->dims[k][port->rank++] = text;
    }
}

static void begin(struct told *m)
{
    memset(m, 0, sizeof *m);
    m->info = (struct gal_model_info){.inputs = m->in, .outputs = m->out};
}

static void input(struct told *m, const char *name, enum gal_dtype dtype, const char *shape)
{
    put_port(m, &m->in[m->info.input_count++], name, dtype, shape);
}

static void output(struct told *m, const char *name, enum gal_dtype dtype, const char *shape)
{
    put_port(m, &m->out[m->info.output_count++], name, dtype, shape);
}

static struct gal_padding padding(const char *axis, const char *mask, double value)
{
    return (struct gal_padding){.axis = gal_str_of(axis),
                                .buckets = {4, 8, 16},
                                .bucket_count = 3,
                                .value = value,
                                .mask = gal_str_of(mask)};
}

static struct gal_arena arena;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 0, LOTS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

static struct gal_pad *pad_of(const struct told *m, const struct gal_padding *paddings, size_t n)
{
    struct gal_pad *p;
    struct gal_err err;
    if (gal_pad_new(paddings, n, &m->info, true, &arena, &p, &err))
        fail_msg("%s: %s", err.place, err.message);
    return p;
}

/* A number below `below`: a generator of Marsaglia's kind, the same numbers each time. */
static size_t random_below(size_t below)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (size_t)(x % below);
}

/* A tensor in the heap's own memory, so that a read beyond it is found. */
static void make(struct gal_value *v, enum gal_dtype dtype, size_t rank, const int64_t *shape)
{
    *v = (struct gal_value){.kind = GAL_KIND_TENSOR,
                            .tensor = {.dtype = dtype, .rank = rank, .shape = shape}};
    assert_int_equal(gal_shape_count(shape, rank, dtype, &v->tensor.count, NULL), GAL_OK);
    size_t bytes = v->tensor.count * gal_dtype_size(dtype);
    unsigned char *data = malloc(bytes + 1);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)random_below(256);
    for (size_t i = 0; dtype == GAL_DT_BYTES && i < v->tensor.count; i++)
        ((struct gal_str *)(void *)data)[i] = (struct gal_str){letters + random_below(20), 3};
    v->tensor.data = data;
}

static void drop(const void *data)
{
    free((void *)(uintptr_t)data);
}

/* Element `at` of a row-major shape; -1 when it lies outside. */
static ptrdiff_t place(const int64_t *at, const int64_t *shape, size_t rank)
{
    ptrdiff_t n = 0;
    for (size_t d = 0; d < rank; d++) {
        if (at[d] >= shape[d])
            return -1;
        n = n * shape[d] + at[d];
    }
    return n;
}

/* True when `big` holds `small` in its corner and `fill` elsewhere (NULL: whatever). */
static bool is_corner(const struct gal_tensor *big, const struct gal_tensor *small,
                      const void *fill)
{
    size_t size = gal_dtype_size(big->dtype);
    if (big->rank != small->rank || big->dtype != small->dtype)
        return false;
    for (size_t i = 0; i < big->count; i++) {
        int64_t at[GAL_RANK_MAX];
        size_t rest = i;
        for (size_t d = big->rank; d-- > 0; rest /= (size_t)big->shape[d])
            at[d] = (int64_t)(rest % (size_t)big->shape[d]);
        ptrdiff_t from = place(at, small->shape, small->rank);
        const char *got = (const char *)big->data + i * size;
        const char *want = from < 0 ? fill : (const char *)small->data + (size_t)from * size;
        if (!want)
            continue;
        if (big->dtype == GAL_DT_BYTES && from < 0
                ? ((const struct gal_str *)(const void *)got)->n != 0
                : memcmp(got, want, size) != 0)
            return false;
    }
    return true;
}

/* ---- in and out ---- */

static void every_datatype_is_filled_to_the_bucket_and_cut_back(void **state)
{
    (void)state;
    for (int dtype = GAL_DT_NONE + 1; dtype < GAL_DT_COUNT; dtype++) {
        enum gal_dtype t = (enum gal_dtype)dtype;
        struct told m;
        begin(&m);
        input(&m, "x", t, "batch,sequence,2");
        output(&m, "y", t, "batch,sequence,2");
        struct gal_padding one = padding("sequence", "", t == GAL_DT_BOOL ? 1 : 3);
        struct gal_pad *p = pad_of(&m, &one, 1);
        int64_t shape[] = {3, 5, 2};
        uint64_t zero[2] = {0};
        struct gal_value v, given;
        make(&v, t, 3, shape);
        given = v;
        struct gal_padded done;
        assert_int_equal(gal_pad_in(p, &v, &arena, &done, NULL), GAL_OK);
        assert_true(done.any);
        assert_int_equal(v.tensor.shape[1], 8);
        assert_int_equal(v.tensor.count, 48);
        assert_true((uintptr_t)v.tensor.data % GAL_ARENA_ALIGN == 0);
        const char *filler = (const char *)v.tensor.data + 10 * gal_dtype_size(t);
        assert_true(is_corner(&v.tensor, &given.tensor, filler));
        if (t != GAL_DT_BYTES)
            assert_memory_not_equal(filler, zero, gal_dtype_size(t));
        size_t wanted = 0;
        assert_int_equal(gal_pad_out(p, &done, &wanted, 1, &v, &arena, NULL), GAL_OK);
        assert_int_equal(v.tensor.count, given.tensor.count);
        assert_true(is_corner(&v.tensor, &given.tensor, NULL));
        drop(given.tensor.data);
    }
}

static void fillers_have_their_value(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "f", GAL_DT_FP32, "batch,sequence");
    input(&m, "i", GAL_DT_INT64, "batch,sequence");
    input(&m, "h", GAL_DT_FP16, "batch,sequence");
    input(&m, "mask", GAL_DT_INT64, "batch,sequence");
    output(&m, "y", GAL_DT_FP32, "batch");
    struct gal_padding one = padding("sequence", "mask", -7);
    struct gal_pad *p = pad_of(&m, &one, 1);
    static const int64_t shape[] = {1, 3};
    struct gal_value v[4], given[4];
    for (size_t i = 0; i < 4; i++)
        make(&v[i], m.in[i].dtype, 2, shape);
    memcpy(given, v, sizeof v);
    struct gal_padded done;
    assert_int_equal(gal_pad_in(p, v, &arena, &done, NULL), GAL_OK);
    assert_true(((const float *)v[0].tensor.data)[3] == -7);
    assert_int_equal(((const int64_t *)v[1].tensor.data)[3], -7);
    assert_true(gal_fp16_to_fp32(((const uint16_t *)v[2].tensor.data)[3]) == -7);
    assert_int_equal(((const int64_t *)v[3].tensor.data)[3], 0);
    for (size_t i = 0; i < 4; i++)
        drop(given[i].tensor.data);
}

static int64_t small(int64_t below)
{
    return 1 + (int64_t)random_below((size_t)below);
}

static void random_shapes_over_two_axes_come_back_as_they_went(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_INT16, "batch,rows,3,columns,?");
    input(&m, "t", GAL_DT_BYTES, "columns,rows");
    output(&m, "t", GAL_DT_BYTES, "columns,rows");
    output(&m, "x", GAL_DT_INT16, "batch,rows,3,columns,?");
    struct gal_padding both[] = {padding("rows", "", 0), padding("columns", "", 0)};
    both[1].buckets[0] = 3;
    struct gal_pad *p;
    assert_int_equal(gal_pad_new(both, 2, &m.info, false, &arena, &p, NULL), GAL_OK);
    static const size_t wanted[] = {1, 0}; /* outputs come in the order asked for */
    for (int round = 0; round < 3000; round++) {
        int64_t rows = small(20), columns = small(20), batch = small(4) - 1;
        const int64_t x_shape[] = {batch, rows, 3, columns, small(3)}, t_shape[] = {columns, rows};
        struct gal_value v[2], given[2];
        uint64_t zero[2] = {0};
        make(&v[0], GAL_DT_INT16, 5, x_shape);
        make(&v[1], GAL_DT_BYTES, 2, t_shape);
        memcpy(given, v, sizeof v);
        struct gal_arena own;
        gal_arena_init(&own, 4096, 0, LOTS);
        struct gal_padded done;
        assert_int_equal(gal_pad_in(p, v, &own, &done, NULL), GAL_OK);
        int64_t to[2] = {rows <= 4    ? 4
                         : rows <= 8  ? 8
                         : rows <= 16 ? 16
                                      : rows,
                         columns <= 3    ? 3
                         : columns <= 8  ? 8
                         : columns <= 16 ? 16
                                         : columns};
        assert_int_equal(v[0].tensor.shape[1], to[0]);
        assert_int_equal(v[0].tensor.shape[3], to[1]);
        assert_int_equal(v[1].tensor.shape[0], to[1]);
        assert_int_equal(v[1].tensor.shape[1], to[0]);
        assert_int_equal(done.any, to[0] != rows || to[1] != columns);
        for (size_t i = 0; i < 2; i++)
            assert_true(is_corner(&v[i].tensor, &given[i].tensor, zero));
        assert_int_equal(gal_pad_out(p, &done, wanted, 2, v, &own, NULL), GAL_OK);
        for (size_t i = 0; i < 2; i++) {
            assert_memory_equal(v[i].tensor.shape, given[i].tensor.shape,
                                given[i].tensor.rank * sizeof(int64_t));
            assert_int_equal(v[i].tensor.count, given[i].tensor.count);
            assert_true(is_corner(&v[i].tensor, &given[i].tensor, NULL));
            drop(given[i].tensor.data);
        }
        gal_arena_release(&own);
    }
}

static void a_size_at_or_beyond_the_last_bucket_runs_as_it_is(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_INT8, "batch,n");
    output(&m, "y", GAL_DT_INT8, "batch,n");
    struct gal_padding one = padding("n", "", 0);
    struct gal_pad *p = pad_of(&m, &one, 1);
    static const int64_t sizes[] = {0, 4, 8, 16, 17, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t shape[] = {2, sizes[i]};
        struct gal_value v;
        make(&v, GAL_DT_INT8, 2, shape);
        const void *data = v.tensor.data;
        struct gal_padded done;
        assert_int_equal(gal_pad_in(p, &v, &arena, &done, NULL), GAL_OK);
        assert_false(done.any);
        assert_ptr_equal(v.tensor.data, data);
        drop(data);
    }
}

static void an_output_is_cut_where_it_has_the_axis_and_the_bucket(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_FP32, "batch,sequence");
    output(&m, "named", GAL_DT_FP32, "batch,2,sequence"); /* wherever it stands */
    output(&m, "nameless", GAL_DT_FP32, "?,?,?");         /* at the axis's own place alone */
    output(&m, "other", GAL_DT_FP32, "batch,tokens");     /* another name: another axis */
    output(&m, "pooled", GAL_DT_FP32, "batch,8");         /* a fixed size, equal by chance */
    struct gal_padding one = padding("sequence", "", 0);
    struct gal_pad *p = pad_of(&m, &one, 1);
    static const int64_t shape[] = {2, 5}, cube[] = {2, 2, 8}, all[] = {8, 8, 8}, flat[] = {2, 8};
    static const size_t wanted[] = {0, 1, 2, 3};
    struct gal_value v, y[4];
    make(&v, GAL_DT_FP32, 2, shape);
    const void *data = v.tensor.data;
    struct gal_padded done;
    assert_int_equal(gal_pad_in(p, &v, &arena, &done, NULL), GAL_OK);
    make(&y[0], GAL_DT_FP32, 3, cube);
    make(&y[1], GAL_DT_FP32, 3, all);
    make(&y[2], GAL_DT_FP32, 2, flat);
    make(&y[3], GAL_DT_FP32, 2, flat);
    struct gal_value whole[4];
    memcpy(whole, y, sizeof y);
    assert_int_equal(gal_pad_out(p, &done, wanted, 4, y, &arena, NULL), GAL_OK);
    static const int64_t cube_cut[] = {2, 2, 5}, all_cut[] = {8, 5, 8};
    assert_memory_equal(y[0].tensor.shape, cube_cut, sizeof cube_cut);
    assert_memory_equal(y[1].tensor.shape, all_cut, sizeof all_cut);
    for (size_t i = 0; i < 4; i++)
        assert_true(is_corner(&whole[i].tensor, &y[i].tensor, NULL));
    assert_ptr_equal(y[2].tensor.data, whole[2].tensor.data);
    assert_ptr_equal(y[3].tensor.data, whole[3].tensor.data);
    for (size_t i = 0; i < 4; i++)
        drop(whole[i].tensor.data);
    drop(data);
}

static void a_single_row_is_cut_without_a_copy(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_FP32, "batch,n,3");
    output(&m, "y", GAL_DT_FP32, "batch,n,3");
    struct gal_padding one = padding("n", "", 0);
    struct gal_pad *p = pad_of(&m, &one, 1);
    for (int64_t batch = 1; batch <= 2; batch++) {
        const int64_t shape[] = {batch, 3, 3}, out[] = {batch, 4, 3};
        struct gal_value v, y;
        int handle;
        make(&v, GAL_DT_FP32, 3, shape);
        make(&y, GAL_DT_FP32, 3, out);
        y.handle = &handle;
        const void *data = v.tensor.data, *whole = y.tensor.data;
        struct gal_padded done;
        size_t wanted = 0;
        assert_int_equal(gal_pad_in(p, &v, &arena, &done, NULL), GAL_OK);
        assert_int_equal(gal_pad_out(p, &done, &wanted, 1, &y, &arena, NULL), GAL_OK);
        assert_int_equal(y.tensor.data == whole, batch == 1);
        assert_int_equal(y.tensor.count, batch * 9);
        assert_ptr_equal(y.handle, &handle);
        drop(data);
        drop(whole);
    }
}

static void inputs_that_disagree_are_refused(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "ids", GAL_DT_INT64, "batch,sequence");
    input(&m, "mask", GAL_DT_INT64, "batch,sequence");
    output(&m, "y", GAL_DT_FP32, "batch");
    struct gal_padding one = padding("sequence", "mask", 0);
    struct gal_pad *p = pad_of(&m, &one, 1);
    static const int64_t five[] = {1, 5}, seven[] = {1, 7}; /* of one bucket */
    struct gal_value v[2];
    make(&v[0], GAL_DT_INT64, 2, five);
    make(&v[1], GAL_DT_INT64, 2, seven);
    struct gal_padded done;
    struct gal_err err;
    assert_int_equal(gal_pad_in(p, v, &arena, &done, &err), GAL_INVALID);
    assert_string_equal(err.message, "inputs 'ids' and 'mask' differ on 'sequence': 5 and 7");
    const void *data[] = {v[0].tensor.data, v[1].tensor.data};
    v[1].kind = GAL_KIND_NONE; /* without its mask, what was added would count */
    assert_int_equal(gal_pad_in(p, v, &arena, &done, &err), GAL_OK);
    assert_false(done.any);
    drop(data[0]);
    drop(data[1]);
}

static void a_padded_request_has_its_bound(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_FP32, "batch,n");
    output(&m, "y", GAL_DT_FP32, "batch,n");
    struct gal_padding one = padding("n", "", 0);
    struct gal_pad *p;
    struct gal_padded done;
    struct gal_value v;
    static const int64_t shape[] = {2, 3};
    static const int64_t sizes[] = {INT64_MAX / 4, 1ll << 40};
    make(&v, GAL_DT_FP32, 2, shape);
    for (size_t i = 0; i < 2; i++) {
        struct gal_err err;
        one.bucket_count = 1;
        one.buckets[0] = sizes[i];
        assert_int_equal(gal_pad_new(&one, 1, &m.info, true, &arena, &p, NULL), GAL_OK);
        assert_int_equal(gal_pad_in(p, &v, &arena, &done, &err), GAL_TOO_LARGE);
        assert_ptr_equal(v.tensor.shape, shape);
    }
    drop(v.tensor.data);
}

/* ---- at load ---- */

static void refused(const struct told *m, struct gal_padding one, const char *why)
{
    struct gal_pad *p;
    struct gal_err err;
    assert_int_equal(gal_pad_new(&one, 1, &m->info, true, &arena, &p, &err), GAL_INVALID);
    assert_null(p);
    if (!strstr(err.message, why))
        fail_msg("'%s' is not in '%s'", why, err.message);
    assert_int_equal(strncmp(err.place, "padding of '", 12), 0);
}

static void errors_name_what_is_wrong(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_UINT8, "batch,sequence,4,?");
    input(&m, "text", GAL_DT_BYTES, "batch,sequence");
    input(&m, "flat", GAL_DT_INT64, "batch");
    output(&m, "y", GAL_DT_FP32, "batch,only_out");
    refused(&m, padding("sequnce", "", 0), "no input of the model has a dimension 'sequnce'");
    refused(&m, padding("", "", 0), "no input of the model has a dimension ''");
    refused(&m, padding("only_out", "", 0), "no input");
    refused(&m, padding("z:1", "", 0), "no input of the model has a dimension 'z:1'");
    refused(&m, padding("x:one", "", 0), "no input");
    refused(&m, padding("x:4", "", 0), "input 'x' has 4 dimensions, counted from 0");
    refused(&m, padding("x:2", "", 0), "dimension 2 of input 'x' is not open: it is always 4");
    refused(&m, padding("batch", "", 0), "'batch' is the batch dimension");
    refused(&m, padding("x:0", "", 0), "'x:0' is the batch dimension");
    refused(&m, padding("sequence", "nobody", 0), "the mask 'nobody' is no input");
    refused(&m, padding("sequence", "flat", 0), "the mask 'flat' has no dimension 'sequence'");
    refused(&m, padding("sequence", "text", 0), "the mask 'text' holds text");
    refused(&m, padding("sequence", "", -1), "input 'x' of UINT8 cannot be filled with -1");
    refused(&m, padding("sequence", "", 256), "cannot be filled with 256");
    refused(&m, padding("sequence", "", 0.5), "cannot be filled with 0.5");
    refused(&m, padding("sequence", "", (double)NAN), "cannot be filled with");
    struct gal_padding none = padding("sequence", "", 0), down = none;
    none.bucket_count = 0;
    refused(&m, none, "there are 0 buckets");
    down.buckets[1] = 4;
    refused(&m, down, "buckets ascend from 1: 4 does not come behind 4");
}

static void two_paddings_do_not_share_a_dimension(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_INT32, "batch,sequence,?");
    output(&m, "y", GAL_DT_INT32, "batch");
    struct gal_padding two[] = {padding("sequence", "", 0), padding("x:1", "", 0)};
    struct gal_pad *p;
    struct gal_err err;
    assert_int_equal(gal_pad_new(two, 2, &m.info, true, &arena, &p, &err), GAL_INVALID);
    assert_string_equal(err.message, "dimension 1 of input 'x' is padded twice");
    two[1] = padding("x:2", "", 5);
    assert_int_equal(gal_pad_new(two, 2, &m.info, true, &arena, &p, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "fill it with different values"));
    two[1] = padding("x:2", "", 0);
    assert_int_equal(gal_pad_new(two, 2, &m.info, true, &arena, &p, &err), GAL_OK);
    assert_int_equal(gal_pad_new(two, 0, &m.info, true, &arena, &p, &err), GAL_OK);
    assert_null(p);
    struct gal_value v = {.kind = GAL_KIND_NONE};
    struct gal_padded done;
    assert_int_equal(gal_pad_in(NULL, &v, &arena, &done, &err), GAL_OK);
    assert_int_equal(gal_pad_out(NULL, &done, NULL, 0, NULL, &arena, &err), GAL_OK);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct told m;
    begin(&m);
    input(&m, "x", GAL_DT_FP64, "batch,n,2");
    input(&m, "t", GAL_DT_BYTES, "batch,n");
    output(&m, "y", GAL_DT_FP64, "batch,n,2");
    struct gal_padding one = padding("n", "", 1);
    static const int64_t x_shape[] = {3, 700, 2}, t_shape[] = {3, 700}, wide[] = {3, 4096, 2};
    one.buckets[2] = 4096;
    struct gal_value given[2], y;
    make(&given[0], GAL_DT_FP64, 3, x_shape);
    make(&given[1], GAL_DT_BYTES, 2, t_shape);
    make(&y, GAL_DT_FP64, 3, wide);
    size_t wanted = 0;
    unsigned failures = 0;
    for (uint64_t i = 1;; i++) {
        struct gal_arena own;
        gal_arena_init(&own, 256, 0, LOTS);
        struct gal_value v[2] = {given[0], given[1]}, cut = y;
        struct gal_pad *p;
        struct gal_padded done;
        gal_alloc_fail_at(i, 1);
        enum gal_status status = gal_pad_new(&one, 1, &m.info, true, &own, &p, NULL);
        if (!status) {
            status = gal_pad_in(p, v, &own, &done, NULL);
            if (status)
                assert_memory_equal(v, given, sizeof v);
        }
        if (!status)
            status = gal_pad_out(p, &done, &wanted, 1, &cut, &own, NULL);
        gal_alloc_fail_at(0, 0);
        assert_int_equal(status == GAL_OK ? GAL_OK : GAL_NO_MEMORY, status);
        gal_arena_release(&own);
        if (!status)
            break;
        failures++;
    }
    assert_true(failures >= 3);
    drop(given[0].tensor.data);
    drop(given[1].tensor.data);
    drop(y.tensor.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_datatype_is_filled_to_the_bucket_and_cut_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fillers_have_their_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_shapes_over_two_axes_come_back_as_they_went, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_size_at_or_beyond_the_last_bucket_runs_as_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_output_is_cut_where_it_has_the_axis_and_the_bucket,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_single_row_is_cut_without_a_copy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inputs_that_disagree_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_padded_request_has_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors_name_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_paddings_do_not_share_a_dimension, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_that_runs_out_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
