/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/toy.h"

_Atomic uint64_t toy_now_us, toy_reads;

static uint64_t read_now(void *ctx)
{
    (void)ctx;
    toy_reads++;
    return toy_now_us;
}

const struct gal_clock toy_clock = {.mono_us = read_now, .wall_us = read_now};

/* ---- the toy ---- */

static struct gal_port toy_ports[INPUTS];

static const struct gal_model_info *toy_info(const struct gal_session *s)
{
    return &((const struct toy *)s)->info;
}

static bool has(const struct gal_tensor *t, float x)
{
    for (size_t i = 0; t->dtype == GAL_DT_FP32 && i < t->count; i++) {
        if (((const float *)t->data)[i] == x)
            return true;
    }
    return false;
}

static void pass_gate(struct toy *toy, const struct gal_tensor *first, size_t rows)
{
    pthread_mutex_lock(&toy->lock);
    if (toy->calls < TOY_CALLS_MAX) {
        toy->call[toy->calls].rows = rows;
        toy->call[toy->calls].first =
            first->dtype == GAL_DT_FP32 && first->count > 0 ? *(const float *)first->data : 0;
    }
    toy->calls++;
    toy->held++;
    pthread_cond_broadcast(&toy->changed);
    while (toy->is_closed && (toy->holds == 0 || has(first, toy->holds)))
        pthread_cond_wait(&toy->changed, &toy->lock);
    toy->held--;
    pthread_mutex_unlock(&toy->lock);
}

static bool toy_answer(const struct gal_tensor *in, bool is_odd, struct gal_arena *arena,
                       struct gal_value *out)
{
    size_t bytes = in->count * gal_dtype_size(in->dtype);
    int64_t *shape = gal_arena_array(arena, in->rank, sizeof *shape);
    void *data = gal_arena_alloc(arena, bytes);
    if (!shape || !data)
        return false;
    memcpy(shape, in->shape, in->rank * sizeof *shape);
    if (bytes > 0)
        memcpy(data, in->data, bytes);
    for (size_t i = 0; in->dtype == GAL_DT_FP32 && i < in->count; i++)
        ((float *)data)[i] *= 2;
    *out = (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = *in, .handle = data};
    out->tensor.shape = shape;
    out->tensor.data = data;
    if (is_odd && in->rank > 0 && shape[0] > 1) {
        out->tensor.count /= (size_t)shape[0];
        shape[0] = 1;
    }
    return true;
}

static enum gal_status toy_run(struct gal_session *s, const struct gal_value *inputs,
                               const size_t *wanted, size_t output_count, struct gal_arena *arena,
                               struct gal_value *outputs, struct gal_err *err)
{
    struct toy *toy = (struct toy *)s;
    const struct gal_tensor *first = &inputs[0].tensor;
    uint64_t rows = first->rank > 0 ? (uint64_t)first->shape[0] : 1;
    toy->runs++;
    if (rows > toy->rows_seen)
        toy->rows_seen = rows;
    pass_gate(toy, first, (size_t)rows);
    toy_now_us += toy->row_cost_us * rows;
    for (size_t i = 0; i < INPUTS; i++) {
        if (inputs[i].kind == GAL_KIND_TENSOR && has(&inputs[i].tensor, BAD))
            return gal_fail(err, GAL_INVALID, "toy: a bad element");
    }
    for (size_t i = 0; i < output_count; i++) {
        if (!toy_answer(&inputs[wanted[i]].tensor, wanted[i] == toy->odd_output, arena,
                        &outputs[i]))
            return gal_fail(err, GAL_NO_MEMORY, "toy: no memory");
    }
    toy->live += output_count;
    return GAL_OK;
}

static void toy_release(struct gal_session *s, struct gal_value *v)
{
    struct toy *toy = (struct toy *)s;
    assert_non_null(v->handle);
    memset(v->handle, 0xEE, v->tensor.count * gal_dtype_size(v->tensor.dtype));
    v->handle = NULL;
    toy->live--;
}

static void toy_trim(struct gal_session *s)
{
    struct toy *toy = (struct toy *)s;
    pthread_mutex_lock(&toy->lock);
    toy->trims++;
    pthread_cond_broadcast(&toy->changed);
    pthread_mutex_unlock(&toy->lock);
}

const struct gal_backend_ops toy_ops = {.abi = GAL_BACKEND_ABI,
                                        .name = "toy",
                                        .info = toy_info,
                                        .run = toy_run,
                                        .release_output = toy_release,
                                        .trim = toy_trim};

struct gal_sched_options toy_options(struct toy *toy, enum gal_sched_mode mode)
{
    memset(toy, 0, sizeof *toy);
    pthread_mutex_init(&toy->lock, NULL);
    pthread_cond_init(&toy->changed, NULL);
    toy->odd_output = SIZE_MAX;
    toy->info = (struct gal_model_info){
        .inputs = toy_ports, .input_count = INPUTS, .outputs = toy_ports, .output_count = INPUTS};
    struct gal_sched_options o = {.ops = &toy_ops,
                                  .session = (struct gal_session *)toy,
                                  .clock = &toy_clock,
                                  .mode = mode,
                                  .workers = 1,
                                  .inline_us_max = 200};
    gal_policy_init(&o.policy);
    return o;
}

struct gal_sched *toy_start(const struct gal_sched_options *options)
{
    struct gal_sched *s;
    assert_int_equal(gal_sched_new(options, &s, NULL), GAL_OK);
    gal_sched_stack(s);
    return s;
}

struct gal_sched *toy_open(struct toy *toy, enum gal_sched_mode mode)
{
    const struct gal_sched_options o = toy_options(toy, mode);
    return toy_start(&o);
}

/* ---- the gate ---- */

void toy_gate_close(struct toy *toy, float holds)
{
    pthread_mutex_lock(&toy->lock);
    toy->is_closed = true;
    toy->holds = holds;
    pthread_mutex_unlock(&toy->lock);
}

void toy_gate_open(struct toy *toy)
{
    pthread_mutex_lock(&toy->lock);
    toy->is_closed = false;
    pthread_cond_broadcast(&toy->changed);
    pthread_mutex_unlock(&toy->lock);
}

void toy_gate_await(struct toy *toy, size_t held)
{
    pthread_mutex_lock(&toy->lock);
    while (toy->held < held)
        pthread_cond_wait(&toy->changed, &toy->lock);
    pthread_mutex_unlock(&toy->lock);
}

void toy_await_calls(struct toy *toy, size_t calls)
{
    pthread_mutex_lock(&toy->lock);
    while (toy->calls < calls)
        pthread_cond_wait(&toy->changed, &toy->lock);
    pthread_mutex_unlock(&toy->lock);
}

void toy_await_trims(struct toy *toy, size_t trims)
{
    pthread_mutex_lock(&toy->lock);
    while (toy->trims < trims)
        pthread_cond_wait(&toy->changed, &toy->lock);
    pthread_mutex_unlock(&toy->lock);
}

/* ---- a job with all that it needs ---- */

const size_t toy_both[] = {0, 1}, toy_turned[] = {1, 0};

void work_submit(struct work *w)
{
    w->submitted = true;
    gal_sched_submit(w->sched, &w->job);
}

void work_give_back(struct work *w)
{
    assert_false(w->released);
    w->released = true;
    gal_job_release(&w->job);
}

static void on_done(struct gal_job *job)
{
    static _Atomic unsigned answers;
    struct work *w = (struct work *)job;
    w->done++;
    w->order = answers++;
    w->ran_on = pthread_self();
    if (w->cancels)
        gal_job_cancel(&w->cancels->job);
    for (size_t i = 0; i < w->next_count; i++)
        work_submit(&w->next[i]);
}

void work_init(struct work *w, float x, size_t rows)
{
    memset(w, 0, sizeof *w);
    w->shape[0] = (int64_t)rows;
    w->shape[1] = COLS;
    for (size_t k = 0; k < INPUTS; k++) {
        for (size_t i = 0; i < rows * COLS; i++)
            w->x[k][i] = x + (float)i / 64 + (float)k / 2;
        w->inputs[k] = (struct gal_value){
            .kind = GAL_KIND_TENSOR,
            .tensor = {GAL_STR("t"), GAL_DT_FP32, 2, w->shape, rows * COLS, w->x[k]}};
    }
    gal_arena_init(&w->arena, 1024, 4096, 65536);
    w->job = (struct gal_job){.inputs = w->inputs,
                              .wanted = toy_both,
                              .output_count = 2,
                              .rows = rows,
                              .arena = &w->arena,
                              .outputs = w->outputs,
                              .on_done = on_done};
}

static int64_t wide[] = {1, COLS, 1}, narrow[] = {1, COLS - 1}, three[] = {3, 1};
static const struct gal_str text = {"abc", 3};

void work_make_odd(struct work *w, int how)
{
    struct gal_tensor *t = &w->inputs[1].tensor;
    switch (how) {
    case 0: /* another rank */
        t->shape = wide;
        t->rank = 3;
        break;
    case 1: /* another row */
        t->shape = narrow;
        t->count = COLS - 1;
        break;
    case 2: /* another order of outputs */
        w->job.wanted = toy_turned;
        break;
    case 3: /* fewer outputs */
        w->job.output_count = 1;
        break;
    case 4: /* texts */
        *t = (struct gal_tensor){GAL_STR("t"), GAL_DT_BYTES, 1, wide, 1, &text};
        break;
    case 5: /* rows that the shape does not tell */
        t->shape = three;
        break;
    case 6: /* a scalar */
        t->rank = 0;
        t->count = 1;
        break;
    case 7: /* an input that is not there */
        w->inputs[1].kind = GAL_KIND_NONE;
        w->job.output_count = 1;
        break;
    case 8: /* rows that are none */
        w->job.rows = 2;
        break;
    default: /* another datatype of another size: the backend is who refuses it */
        t->dtype = GAL_DT_UINT8;
    }
}

void work_check(const struct work *w)
{
    for (size_t i = 0; i < w->job.output_count; i++) {
        const struct gal_tensor *in = &w->inputs[w->job.wanted[i]].tensor;
        const struct gal_tensor *out = &w->outputs[i].tensor;
        assert_int_equal(w->outputs[i].kind, GAL_KIND_TENSOR);
        assert_int_equal(out->dtype, in->dtype);
        assert_int_equal(out->rank, in->rank);
        assert_memory_equal(out->shape, in->shape, in->rank * sizeof *in->shape);
        assert_int_equal(out->count, in->count);
        for (size_t k = 0; in->dtype == GAL_DT_FP32 && k < in->count; k++)
            assert_true(((const float *)out->data)[k] == 2 * ((const float *)in->data)[k]);
        if (in->dtype != GAL_DT_FP32 && in->count > 0)
            assert_memory_equal(out->data, in->data, in->count * gal_dtype_size(in->dtype));
    }
}
