/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of one list as one call: what may go together though its hash is the same, and how texts
 * and sequences of maps are handed out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sched/sched_impl.h"
#include "sched/toy.h"

#include <stdio.h>

/* ---- a backend whose outputs are a text and a map a row ---- */

static struct {
    size_t runs, rows, live;
    size_t short_by; /* maps that are missing */
    size_t inputs;
} lister;

static struct gal_port ports[GAL_BATCH_PORTS_MAX + 1];
static struct gal_model_info lister_about = {.inputs = ports, .outputs = ports, .output_count = 2};

static const struct gal_model_info *lister_info(const struct gal_session *s)
{
    (void)s;
    lister_about.input_count = lister.inputs;
    return &lister_about;
}

static void make_text(struct gal_value *v, const struct gal_tensor *in, struct gal_arena *arena)
{
    struct gal_str *texts = gal_arena_array(arena, in->count, sizeof *texts);
    int64_t *shape = gal_arena_array(arena, 1, sizeof *shape);
    shape[0] = (int64_t)in->count;
    for (size_t i = 0; i < in->count; i++)
        texts[i] = gal_str_of(gal_arena_printf(arena, "text %g", ((const float *)in->data)[i]));
    v->kind = GAL_KIND_TENSOR;
    v->tensor = (struct gal_tensor){GAL_STR("t"), GAL_DT_BYTES, 1, shape, in->count, texts};
}

static void make_maps(struct gal_value *v, const struct gal_tensor *in, struct gal_arena *arena)
{
    struct gal_value *maps = gal_arena_array(arena, in->count, sizeof *maps);
    for (size_t i = 0; i < in->count; i++) {
        struct gal_value *pair = gal_arena_array(arena, 2, sizeof *pair);
        memset(pair, 0, 2 * sizeof *pair);
        pair[1].tensor.count = 1;
        pair[1].tensor.data = (const float *)in->data + i;
        maps[i] = (struct gal_value){.kind = GAL_KIND_MAP, .items = pair, .count = 2};
    }
    *v = (struct gal_value){
        .kind = GAL_KIND_SEQUENCE, .items = maps, .count = in->count - lister.short_by};
}

static enum gal_status lister_run(struct gal_session *s, const struct gal_value *inputs,
                                  const size_t *wanted, size_t output_count,
                                  struct gal_arena *arena, struct gal_value *outputs,
                                  struct gal_err *err)
{
    const struct gal_tensor *in = &inputs[0].tensor;
    (void)s;
    (void)err;
    lister.runs++;
    lister.rows = in->count;
    for (size_t i = 0; i < output_count; i++) {
        memset(&outputs[i], 0, sizeof outputs[i]);
        (wanted[i] == 0 ? make_text : make_maps)(&outputs[i], in, arena);
        outputs[i].handle = &lister;
    }
    lister.live += output_count;
    return GAL_OK;
}

static void lister_release(struct gal_session *s, struct gal_value *v)
{
    (void)s;
    assert_ptr_equal(v->handle, &lister);
    lister.live--;
}

static const struct gal_backend_ops lister_ops = {.abi = GAL_BACKEND_ABI,
                                                  .name = "lister",
                                                  .info = lister_info,
                                                  .run = lister_run,
                                                  .release_output = lister_release};

/* ---- jobs of it ---- */

enum { JOBS = 4 };
static const size_t rows_of[JOBS] = {1, 3, 2, 1};

static struct gal_sched *lister_open(size_t inputs)
{
    static struct toy unused;
    struct gal_sched_options o = toy_options(&unused, GAL_SCHED_INLINE);
    memset(&lister, 0, sizeof lister);
    lister.inputs = inputs;
    o.ops = &lister_ops;
    return toy_start(&o);
}

static void prepare(struct work *w, struct gal_sched *s, float x, size_t rows)
{
    work_init(w, x, rows);
    w->inputs[0].tensor.rank = 1;
    w->inputs[0].tensor.count = rows;
    w->job.sched = s;
    gal_batch_classify(&w->job, SIZE_MAX);
}

static void run(struct gal_batch_pool *pool, struct work *works, size_t count)
{
    struct gal_entry_list list = {0};
    for (size_t i = 0; i < count; i++)
        gal_entries_push(&list, &works[i].job.entry);
    gal_batch_run(pool, &list);
    assert_int_equal(list.count, count); /* none is lost, finished or doubled */
}

static void check_rows(const struct work *w, size_t text, size_t maps)
{
    const struct gal_tensor *t = &w->outputs[text].tensor;
    const struct gal_value *seq = &w->outputs[maps];
    assert_int_equal(w->job.status, GAL_OK);
    assert_true(t->count == w->job.rows && t->shape[0] == (int64_t)w->job.rows);
    assert_true(seq->kind == GAL_KIND_SEQUENCE && seq->count == w->job.rows);
    for (size_t i = 0; i < w->job.rows; i++) {
        char want[32];
        snprintf(want, sizeof want, "text %g", (double)w->x[0][i]);
        assert_true(gal_str_is(((const struct gal_str *)t->data)[i], want));
        assert_true(*(const float *)seq->items[i].items[1].tensor.data == w->x[0][i]);
    }
}

static void texts_and_maps_are_shared_by_rows(void **state)
{
    (void)state;
    struct gal_sched *s = lister_open(1);
    struct gal_batch_pool pool;
    struct work w[JOBS];
    gal_batch_pool_init(&pool, 1 << 20);
    for (int turned = 0; turned < 2; turned++) {
        for (size_t i = 0; i < JOBS; i++) {
            prepare(&w[i], s, (float)(100 * i), rows_of[i]);
            w[i].job.wanted = turned ? toy_turned : toy_both;
            gal_batch_classify(&w[i].job, SIZE_MAX);
        }
        run(&pool, w, JOBS);
        assert_true(lister.rows == 7 && lister.live == 2);
        for (size_t i = 0; i < JOBS; i++) {
            check_rows(&w[i], turned ? 1 : 0, turned ? 0 : 1);
            assert_int_equal(w[i].job.call_rows, 7);
            assert_int_equal(w[i].job.led, i == 0);
        }
        for (size_t i = 0; i < JOBS; i++) {
            assert_int_equal(lister.live, 2);
            gal_job_release(&w[i].job);
            gal_arena_release(&w[i].arena);
        }
        assert_int_equal(lister.live, 0);
    }
    assert_int_equal(lister.runs, 2);
    gal_batch_pool_release(&pool);
    assert_int_equal(pool.out, 0);
    gal_sched_free(s);
}

static void a_sequence_that_is_too_short_is_not_shared(void **state)
{
    (void)state;
    struct gal_sched *s = lister_open(1);
    struct gal_batch_pool pool;
    struct work w[2];
    gal_batch_pool_init(&pool, 1 << 20);
    for (size_t i = 0; i < 2; i++)
        prepare(&w[i], s, (float)(100 * i), 2);
    lister.short_by = 1;
    run(&pool, w, 2);
    assert_true(lister.runs == 3 && lister.live == 4);
    for (size_t i = 0; i < 2; i++) {
        assert_true(w[i].job.status == GAL_OK && w[i].outputs[1].count == 1);
        assert_true(w[i].job.led && w[i].job.call_rows == 2 && w[i].job.batch == NULL);
        gal_job_release(&w[i].job);
        gal_arena_release(&w[i].arena);
    }
    assert_int_equal(lister.live, 0);
    gal_batch_pool_release(&pool);
    gal_sched_free(s);
}

/* ---- keys ---- */

static void equal_keys_alone_do_not_make_jobs_agree(void **state)
{
    (void)state;
    static struct toy toy;
    struct gal_sched *s = toy_open(&toy, GAL_SCHED_INLINE);
    struct gal_batch_pool pool;
    struct work w[3];
    gal_batch_pool_init(&pool, 1 << 20);
    for (int how = 0; how < WORK_ODDS; how++) {
        for (size_t i = 0; i < 3; i++) {
            work_init(&w[i], (float)(10 * i), 1);
            if (i == 1)
                work_make_odd(&w[i], how);
            w[i].job.sched = s;
            gal_batch_classify(&w[i].job, SIZE_MAX);
        }
        assert_true(w[0].job.entry.key == w[2].job.entry.key && !w[0].job.entry.alone);
        assert_true(w[1].job.entry.alone || w[1].job.entry.key != w[0].job.entry.key);
        w[1].job.entry.key = w[0].job.entry.key; /* as if the hashes met */
        assert_true(gal_batch_agrees(&w[0].job, &w[2].job));
        assert_false(gal_batch_agrees(&w[0].job, &w[1].job));
        assert_false(gal_batch_agrees(&w[1].job, &w[0].job));
        const uint64_t before = toy.runs;
        run(&pool, w, 3);
        assert_int_equal(toy.runs - before, 2);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(w[i].job.status, GAL_OK);
            work_check(&w[i]);
            gal_job_release(&w[i].job);
            gal_arena_release(&w[i].arena);
        }
    }
    assert_int_equal(toy.live, 0);
    gal_batch_pool_release(&pool);
    gal_sched_free(s);
}

static void what_stands_alone_agrees_with_nothing(void **state)
{
    (void)state;
    static struct toy toy;
    struct gal_sched *s = toy_open(&toy, GAL_SCHED_INLINE);
    struct work a, b;
    work_init(&a, 1, 1);
    work_init(&b, 1, 1);
    a.job.sched = b.job.sched = s;
    gal_batch_classify(&a.job, SIZE_MAX);
    gal_batch_classify(&b.job, 0);
    b.job.entry.key = a.job.entry.key;
    assert_true(b.job.entry.alone && !gal_batch_agrees(&a.job, &b.job));
    gal_sched_free(s);
}

static void too_many_ports_stand_alone(void **state)
{
    (void)state;
    static struct gal_value inputs[GAL_BATCH_PORTS_MAX + 1];
    struct work w;
    for (size_t more = 0; more < 2; more++) {
        struct gal_sched *s = lister_open(GAL_BATCH_PORTS_MAX + more);
        prepare(&w, s, 1, 1);
        for (size_t i = 0; i < GAL_BATCH_PORTS_MAX + more; i++)
            inputs[i] = w.inputs[0];
        w.job.inputs = inputs;
        gal_batch_classify(&w.job, SIZE_MAX);
        assert_int_equal(w.job.entry.alone, more);
        gal_sched_free(s);
    }
}

static void an_optional_input_is_absent_for_all_or_for_none(void **state)
{
    (void)state;
    static struct toy toy;
    struct gal_sched *s = toy_open(&toy, GAL_SCHED_INLINE);
    struct work a, b;
    work_init(&a, 1, 1);
    work_init(&b, 2, 1);
    a.job.sched = b.job.sched = s;
    a.job.output_count = b.job.output_count = 1;
    a.inputs[1].kind = b.inputs[1].kind = GAL_KIND_NONE;
    gal_batch_classify(&a.job, SIZE_MAX);
    gal_batch_classify(&b.job, SIZE_MAX);
    assert_true(gal_batch_agrees(&a.job, &b.job));
    b.inputs[1].kind = GAL_KIND_TENSOR;
    gal_batch_classify(&b.job, SIZE_MAX);
    assert_false(gal_batch_agrees(&a.job, &b.job));
    gal_sched_free(s);
}

/* ---- bytes ---- */

static void texts_count_with_their_length(void **state)
{
    (void)state;
    static const struct gal_str texts[] = {{"abc", 3}, {"", 0}};
    struct gal_sched *s = lister_open(1);
    struct work w;
    prepare(&w, s, 1, 2);
    assert_int_equal(gal_batch_bytes(&w.job), 2 * sizeof(float));
    w.inputs[0].tensor.dtype = GAL_DT_BYTES;
    w.inputs[0].tensor.data = texts;
    assert_int_equal(gal_batch_bytes(&w.job), 2 * 4 + 3);
    w.inputs[0].kind = GAL_KIND_NONE;
    assert_int_equal(gal_batch_bytes(&w.job), 0);
    gal_sched_free(s);
}

static void more_than_a_batch_may_hold_runs_one_by_one(void **state)
{
    (void)state;
    struct gal_sched *s = lister_open(2);
    struct gal_batch_pool pool;
    struct work w[2];
    const int64_t half = (int64_t)(GAL_BATCH_BYTES_MAX / 2 / sizeof(float)) + 1;
    const int64_t shape[] = {1, half};
    float *data = gal_calloc((size_t)half, sizeof *data);
    assert_non_null(data);
    gal_batch_pool_init(&pool, 1 << 20);
    for (size_t i = 0; i < 2; i++) {
        prepare(&w[i], s, (float)i, 1);
        w[i].inputs[1].tensor.shape = shape;
        w[i].inputs[1].tensor.count = (size_t)half;
        w[i].inputs[1].tensor.data = data;
        gal_batch_classify(&w[i].job, SIZE_MAX);
    }
    assert_true(gal_batch_agrees(&w[0].job, &w[1].job));
    run(&pool, w, 2);
    assert_int_equal(lister.runs, 2);
    for (size_t i = 0; i < 2; i++) {
        check_rows(&w[i], 0, 1);
        gal_job_release(&w[i].job);
        gal_arena_release(&w[i].arena);
    }
    gal_batch_pool_release(&pool);
    gal_free(data);
    gal_sched_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_maps_are_shared_by_rows),
        cmocka_unit_test(a_sequence_that_is_too_short_is_not_shared),
        cmocka_unit_test(equal_keys_alone_do_not_make_jobs_agree),
        cmocka_unit_test(what_stands_alone_agrees_with_nothing),
        cmocka_unit_test(too_many_ports_stand_alone),
        cmocka_unit_test(an_optional_input_is_absent_for_all_or_for_none),
        cmocka_unit_test(texts_count_with_their_length),
        cmocka_unit_test(more_than_a_batch_may_hold_runs_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
