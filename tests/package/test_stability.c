/* SPDX-License-Identifier: Apache-2.0 */
/* Moved copies of rows, and the decisions about them; then a whole session over the fake backend,
 * which doubles. */
#include "package/stability.h"

#include "backend/fake.h"
#include "base/file_write.h"
#include "base/mem.h"
#include "package/session.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static struct gal_arena arena, own;
static struct gal_err err;

static int set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 0, 1u << 30);
    gal_arena_init(&own, 4096, 0, 64u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    gal_arena_release(&own);
    return 0;
}

static struct gal_manifest *manifest(const char *rest)
{
    char text[2048];
    struct gal_manifest *m;
    snprintf(text, sizeof text, "galley: 1\nname: a\nversion: 1.0.0\nmodel: m\n%s", rest);
    if (gal_manifest_read(gal_str_of(text), "galley.yaml", &own, &m, &err))
        fail_msg("%s: %s", err.place, err.message);
    return m;
}

static struct gal_value column(enum gal_dtype dtype, const void *data, size_t rows, size_t width)
{
    int64_t *shape = gal_arena_array(&own, 2, sizeof *shape);
    shape[0] = (int64_t)rows;
    shape[1] = (int64_t)width;
    return (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = dtype, .rank = 2, .shape = shape, .count = rows * width, .data = data}};
}

static const char *const mixed =
    "features:\n- {name: x, type: float, ge: 0, lt: 100}\n- {name: n, type: int, nullable: true, "
    "le: "
    "1000}\n- {name: t, type: text}\n- {name: c, type: int, values: [50, 60]}\n- {name: v, type: "
    "double, shape: [2]}\nstability: {output: y, noise: 0.1, samples: 64}\n";
enum { ROWS = 5, COPIES = 64 };
static const float x[ROWS] = {50, 99.9f, 0, 1, 1e-30f};
static const double n[ROWS] = {100, 1000, 0, (double)NAN, 0x1p60};
static const struct gal_str t[ROWS] = {{"a", 1}, {"b", 1}, {"c", 1}, {"", 0}, {"e", 1}};
static const int64_t c[ROWS] = {50, 60, 50, 60, 50};
static const double v[ROWS * 2] = {1, 2, 3, 4, -5, 6, (double)INFINITY, 8, 9, 10};

static void fill(struct gal_value in[5], size_t from, size_t rows)
{
    in[0] = column(GAL_DT_FP32, x + from, rows, 1);
    in[1] = column(GAL_DT_FP64, n + from, rows, 1);
    in[2] = column(GAL_DT_BYTES, t + from, rows, 1);
    in[3] = column(GAL_DT_INT64, c + from, rows, 1);
    in[4] = column(GAL_DT_FP64, v + 2 * from, rows, 2);
}

static void copies(const struct gal_manifest *m, size_t from, size_t rows, size_t first,
                   size_t count, struct gal_value out[5])
{
    struct gal_value in[5];
    fill(in, from, rows);
    assert_int_equal(gal_stability_copies(m, in, gal_stability_hashes(m, in, rows, &arena), rows,
                                          first, count, &arena, out, &err),
                     GAL_OK);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(out[i].tensor.shape[0], rows * count);
}

static void numbers_move_within_noise_and_bounds(void **state)
{
    const struct gal_manifest *m = manifest(mixed);
    struct gal_value out[5];
    float least = 1e9f, most = 0;
    (void)state;
    copies(m, 0, ROWS, 0, COPIES, out);
    const float *gx = out[0].tensor.data;
    const double *gn = out[1].tensor.data, *gv = out[4].tensor.data;
    for (size_t i = 0; i < ROWS * (size_t)COPIES; i++) {
        size_t row = i % ROWS;
        assert_true(fabsf(gx[i] - x[row]) <= 0.1f * x[row] * 1.000001f);
        assert_true(gx[i] >= 0 && gx[i] < 100);
        if (row == 0) {
            least = fminf(least, gx[i]);
            most = fmaxf(most, gx[i]);
            assert_true(gn[i] >= 90 && gn[i] <= 110 && gn[i] == nearbyint(gn[i]));
        }
        assert_true(row != 1 || (gn[i] >= 900 && gn[i] <= 1000));
        assert_true(row != 2 || gn[i] == 0);
        assert_true(row != 3 || isnan(gn[i]));
        assert_true(row != 4 || gn[i] == 0x1p60);
        assert_true(row != 3 || (isinf(gv[2 * i]) && gv[2 * i + 1] != 8.0));
    }
    assert_true(least < 46 && most > 54); /* they go nearly as far as they may */
}

static void the_rest_stays(void **state)
{
    const struct gal_manifest *m = manifest(mixed);
    struct gal_value out[5];
    (void)state;
    copies(m, 0, ROWS, 0, COPIES, out);
    for (size_t i = 0; i < ROWS * (size_t)COPIES; i++) {
        assert_true(gal_str_eq(((const struct gal_str *)out[2].tensor.data)[i], t[i % ROWS]));
        assert_int_equal(((const int64_t *)out[3].tensor.data)[i], c[i % ROWS]);
    }
}

static void only_named_features_move(void **state)
{
    char text[1024];
    struct gal_value out[5];
    (void)state;
    snprintf(text, sizeof text, "%.*s, features: [x]}\n", (int)(strlen(mixed) - 2), mixed);
    copies(manifest(text), 0, ROWS, 0, 3, out);
    assert_true(((const float *)out[0].tensor.data)[0] != x[0]);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal((const double *)out[4].tensor.data + i * 2 * ROWS, v, sizeof v);
}

/* Row 0's copies 7 and 8 are the same alone, in company, and asked for one by one; a row that is
 * other in its text alone has others. */
static void copies_depend_on_the_row_alone(void **state)
{
    const struct gal_manifest *m = manifest(mixed);
    struct gal_value all[5], one[5], late[5], in[5];
    (void)state;
    copies(m, 0, ROWS, 0, COPIES, all);
    copies(m, 0, 1, 7, 2, one);
    copies(m, 0, 1, 8, 1, late);
    const float *a = all[0].tensor.data, *b = one[0].tensor.data, *d = late[0].tensor.data;
    assert_true(a[7 * (size_t)ROWS] == b[0] && a[8 * (size_t)ROWS] == b[1] && b[1] == d[0] &&
                b[0] != b[1]);
    fill(in, 0, 1);
    in[2] = column(GAL_DT_BYTES, &(struct gal_str){"B", 1}, 1, 1);
    assert_int_equal(gal_stability_copies(m, in, gal_stability_hashes(m, in, 1, &arena), 1, 7, 1,
                                          &arena, late, &err),
                     GAL_OK);
    assert_true(((const float *)late[0].tensor.data)[0] != b[0]);
}

/* What another version or machine must find too: FNV-1a over the values as they lie in memory, a
 * text behind its length in eight bytes. Reckoned apart from galley. */
static void a_row_has_the_same_hash_everywhere(void **state)
{
    static const uint64_t want[ROWS] = {0xa3bea2a1a1ce1f92u, 0x90936fb227c59c7cu,
                                        0x920a13c25221a3bcu, 0xf4dc2393954f217du,
                                        0xa3ebdaa6ae45d5f6u};
    struct gal_value in[5];
    (void)state;
    fill(in, 0, ROWS);
    assert_memory_equal(gal_stability_hashes(manifest(mixed), in, ROWS, &arena), want, sizeof want);
}

static void decisions_are_compared_by_their_kind(void **state)
{
    const struct gal_str texts[] = {{"a", 1}, {"b", 1}},
                         moved[] = {{"a", 1}, {"c", 1}, {"a", 1}, {"b", 1}};
    const float scores[] = {0.2f, 0.8f, 0.6f, 0.4f}, others[] = {0.4f, 0.6f, 0.5f, 0.500001f};
    float agree[2] = {0, 0};
    (void)state;
    struct gal_value a = column(GAL_DT_BYTES, texts, 2, 1), b = column(GAL_DT_BYTES, moved, 4, 1);
    assert_int_equal(gal_stability_count(&a.tensor, &b.tensor, agree, &err), GAL_OK);
    assert_true(agree[0] == 2 && agree[1] == 1);
    a = column(GAL_DT_FP32, scores, 2, 2);
    b = column(GAL_DT_FP32, others, 2, 2);
    assert_int_equal(gal_stability_count(&a.tensor, &b.tensor, agree, &err), GAL_OK);
    assert_true(agree[0] == 3 && agree[1] == 1); /* by the place of the largest */
    b = column(GAL_DT_FP32, others, 1, 2);
    assert_int_equal(gal_stability_count(&a.tensor, &b.tensor, agree, &err), GAL_INVALID);
    assert_false(gal_stability_decides(GAL_DT_FP32, 1));
    assert_true(gal_stability_decides(GAL_DT_FP32, 2) && gal_stability_decides(GAL_DT_BYTES, 1));
}

/* --- a session --- */

#define DOUBT                                                                                      \
    "after: [{threshold: {output: y, above: 100, to: big}}]\n"                                     \
    "stability: {output: big, noise: 0.1, samples: 32}\n"
static char model_path[64];

static struct gal_session *inner;

static struct gal_session *open_session(struct gal_package *p, const char *ports)
{
    const struct gal_backend_options options = {0};
    struct gal_session *session;
    snprintf(model_path, sizeof model_path, "/tmp/galley-stability-%d", (int)getpid());
    assert_int_equal(gal_file_put(model_path, gal_str_of(ports), &err), GAL_OK);
    assert_int_equal(gal_backend_fake.load(model_path, &options, &inner, &err), GAL_OK);
    unlink(model_path);
    *p = (struct gal_package){
        .manifest = manifest(strstr(ports, ",1]")
                                 ? "features: [{name: x, type: float}]\n" DOUBT
                                 : "features: [{name: x, type: float, shape: [-1]}]\n" DOUBT)};
    if (gal_packed_new(p, &gal_backend_fake, inner, &session, &err))
        fail_msg("%s", err.message);
    return session;
}

/* y = 2 x: the decision turns at 50. */
static void check_session(const char *ports, const float *rows, size_t count, const float *least,
                          const float *most)
{
    struct gal_package p;
    struct gal_session *s = open_session(&p, ports);
    const struct gal_model_info *info = gal_packed_ops.info(s);
    const size_t wanted[] = {info->output_count, 0};
    struct gal_value in = column(GAL_DT_FP32, rows, count, 1), out[2];
    assert_int_equal(info->own_count, 1);
    assert_int_equal(gal_packed_ops.run(s, &in, wanted, 2, &arena, out, &err), GAL_OK);
    assert_int_equal(out[0].tensor.shape[0], count);
    for (size_t i = 0; i < count; i++) {
        float share = ((const float *)out[0].tensor.data)[i];
        assert_true(share >= least[i] && share <= most[i]);
        assert_true(((const float *)out[1].tensor.data)[i] == 2 * rows[i]);
    }
    for (size_t i = 0; i < 2; i++)
        gal_packed_ops.release_output(s, &out[i]);
    gal_packed_ops.free(s);
}

static void a_session_tells_the_share_that_stays(void **state)
{
    static const char open[] = "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n";
    static const char fixed[] = "input x FP32 [3,1]\noutput y FP32 [3,1]\n";
    const float rows[] = {10, 50.5f, 1000}, least[] = {1, 0.3f, 1}, most[] = {1, 0.97f, 1};
    float many[3000], low[3000], high[3000];
    (void)state;
    check_session(open, rows, 3, least, most);
    check_session(fixed, rows, 3, least, most); /* a copy a run */
    for (size_t i = 0; i < 3000; i++) {
        many[i] = rows[i % 3];
        low[i] = least[i % 3];
        high[i] = most[i % 3];
    }
    check_session(open, many, 3000, low, high); /* more rows than one run of copies has */
}

static void copies_are_run_in_bounds(void **state)
{
    static const struct {
        size_t rows, width, runs; /* of copies */
    } cases[] = {{1, 1, 1},     {32, 1, 1},      {100, 1, 4},
                 {2000, 1, 32}, {1, 1 << 19, 4}, {1, 1 << 23, 32}};
    struct gal_package p;
    struct gal_session *s = open_session(&p, "input x FP32 [-1,-1]\noutput y FP32 [-1,-1]\n");
    const size_t wanted[] = {gal_packed_ops.info(s)->output_count};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *data = gal_arena_array(&arena, cases[i].rows * cases[i].width, sizeof *data);
        memset(data, 0, cases[i].rows * cases[i].width * sizeof *data);
        struct gal_value in = column(GAL_DT_FP32, data, cases[i].rows, cases[i].width), out;
        uint64_t before = gal_fake_runs(inner);
        if (gal_packed_ops.run(s, &in, wanted, 1, &arena, &out, &err))
            fail_msg("%s", err.message);
        assert_int_equal(gal_fake_runs(inner) - before, 1 + cases[i].runs);
        assert_true(((const float *)out.tensor.data)[cases[i].rows - 1] == 1);
        gal_packed_ops.release_output(s, &out);
        gal_arena_clear(&arena);
    }
    gal_packed_ops.free(s);
}

static void a_session_fails_whole(void **state)
{
    struct gal_package p;
    struct gal_session *s = open_session(&p, "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n");
    const float rows[] = {10, 50.5f};
    struct gal_value in = column(GAL_DT_FP32, rows, 2, 1), out[2];
    const size_t wanted[] = {gal_packed_ops.info(s)->output_count, 0};
    enum gal_status status = GAL_NO_MEMORY;
    (void)state;
    for (uint64_t i = 1; status; i++) {
        assert_true(i < 500);
        gal_arena_release(&arena);
        gal_arena_init(&arena, 64, 0, 64u << 20); /* small blocks: many calls */
        gal_alloc_fail_at(i, 1);
        status = gal_packed_ops.run(s, &in, wanted, 2, &arena, out, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(status == GAL_OK || status == GAL_NO_MEMORY);
    }
    for (size_t i = 0; i < 2; i++)
        gal_packed_ops.release_output(s, &out[i]);
    gal_packed_ops.free(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_move_within_noise_and_bounds),
        TEST(the_rest_stays),
        TEST(only_named_features_move),
        TEST(copies_depend_on_the_row_alone),
        TEST(a_row_has_the_same_hash_everywhere),
        TEST(decisions_are_compared_by_their_kind),
        TEST(a_session_tells_the_share_that_stays),
        TEST(copies_are_run_in_bounds),
        TEST(a_session_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
