/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/turn.h"

#include "base/limits.h"
#include "base/mem.h"
#include "sched/sched_impl.h"

/* Inputs and outputs of a model that are stacked; one with more runs each job alone. */
#define PORTS_MAX 16u
#define BATCH_BYTES_MAX (64ul << 20)
/* For later calls; more than that were held by many slow clients at once. */
#define BATCHES_KEPT_MAX 16u

/* Outputs of one call that several jobs share, and the memory of its stacked inputs. */
struct gal_batch {
    struct gal_batch *next; /* among the free */
    struct gal_turn *turn;
    const struct gal_sched_options *sched;
    struct gal_arena arena;
    struct gal_value outputs[PORTS_MAX];
    size_t output_count;
    size_t refs; /* jobs that still point into outputs */
};

struct gal_turn {
    const struct gal_clock *clock;
    struct gal_job *jobs[GAL_TURN_JOBS_MAX];
    size_t count;
    bool running;
    struct gal_batch *free; /* owned, recycled */
    size_t free_count;
};

/* Jobs that run as one, in the order they came. */
struct group {
    struct gal_job *jobs[GAL_TURN_JOBS_MAX];
    size_t count, rows;
};

enum gal_status gal_turn_new(const struct gal_clock *clock, struct gal_turn **out,
                             struct gal_err *err)
{
    struct gal_turn *t = gal_calloc(1, sizeof *t);
    if (!t)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a loop's turn");
    t->clock = clock;
    *out = t;
    return GAL_OK;
}

static void batch_free(struct gal_batch *b)
{
    gal_arena_release(&b->arena);
    gal_free(b);
}

void gal_turn_free(struct gal_turn *t)
{
    if (!t)
        return;
    GAL_ASSERT(t->count == 0);
    while (t->free) {
        struct gal_batch *b = t->free;
        t->free = b->next;
        batch_free(b);
    }
    gal_free(t);
}

static struct gal_batch *batch_take(struct gal_turn *t)
{
    struct gal_batch *b = t->free;
    if (b) {
        t->free = b->next;
        t->free_count--;
        return b;
    }
    b = gal_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->turn = t;
    gal_arena_init(&b->arena, GAL_ARENA_FIRST_BYTES, GAL_ARENA_KEEP_BYTES, BATCH_BYTES_MAX);
    return b;
}

void gal_batch_unref(struct gal_batch *b)
{
    if (--b->refs > 0)
        return;
    for (size_t i = 0; i < b->output_count; i++)
        b->sched->ops->release_output(b->sched->session, &b->outputs[i]);
    b->output_count = 0;
    struct gal_turn *t = b->turn;
    if (t->free_count == BATCHES_KEPT_MAX) {
        batch_free(b);
        return;
    }
    gal_arena_clear(&b->arena);
    b->next = t->free;
    t->free = b;
    t->free_count++;
}

/* ---- what goes together ---- */

static size_t input_count(const struct gal_job *job)
{
    const struct gal_sched_options *o = gal_sched_options(job->sched);
    return o->ops->info(o->session)->input_count;
}

/* True when every input has the job's rows in front. */
static bool has_rows(const struct gal_job *job)
{
    size_t n = input_count(job);
    if (n > PORTS_MAX || job->output_count > PORTS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct gal_tensor *t = &job->inputs[i].tensor;
        if (job->inputs[i].kind == GAL_KIND_NONE)
            continue;
        if (job->inputs[i].kind != GAL_KIND_TENSOR || t->dtype == GAL_DT_BYTES || t->rank == 0 ||
            t->shape[0] != (int64_t)job->rows)
            return false;
    }
    return true;
}

static bool same_input(const struct gal_value *a, const struct gal_value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == GAL_KIND_NONE)
        return true;
    return a->tensor.dtype == b->tensor.dtype && a->tensor.rank == b->tensor.rank &&
           memcmp(a->tensor.shape + 1, b->tensor.shape + 1,
                  (a->tensor.rank - 1) * sizeof *a->tensor.shape) == 0;
}

/* Both have_rows. */
static bool go_together(const struct gal_job *a, const struct gal_job *b)
{
    if (a->sched != b->sched || a->output_count != b->output_count ||
        memcmp(a->wanted, b->wanted, a->output_count * sizeof *a->wanted) != 0)
        return false;
    for (size_t i = 0, n = input_count(a); i < n; i++) {
        if (!same_input(&a->inputs[i], &b->inputs[i]))
            return false;
    }
    return true;
}

/* Takes the first job and all that go with it out of jobs (taken ones become NULL). */
static void take_group(struct gal_job **jobs, size_t count, struct group *g)
{
    struct gal_job *first = jobs[0];
    size_t rows_max = gal_sched_rows_max(first->sched);
    jobs[0] = NULL;
    *g = (struct group){.jobs = {first}, .count = 1, .rows = first->rows};
    if (!has_rows(first))
        return;
    for (size_t i = 1; i < count; i++) {
        if (!jobs[i] || g->rows + jobs[i]->rows > rows_max || jobs[i]->sched != first->sched ||
            !has_rows(jobs[i]) || !go_together(first, jobs[i]))
            continue;
        g->rows += jobs[i]->rows;
        g->jobs[g->count++] = jobs[i];
        jobs[i] = NULL;
    }
}

/* ---- one call for all ---- */

static size_t row_bytes(const struct gal_tensor *t)
{
    return t->shape[0] > 0 ? t->count / (size_t)t->shape[0] * gal_dtype_size(t->dtype) : 0;
}

/* The shape with another number of rows. */
static const int64_t *shape_of(const struct gal_tensor *t, size_t rows, struct gal_arena *arena)
{
    int64_t *shape = gal_arena_small(arena, t->rank * sizeof *shape);
    if (!shape)
        return NULL;
    memcpy(shape, t->shape, t->rank * sizeof *shape);
    shape[0] = (int64_t)rows;
    return shape;
}

static bool stack_input(const struct group *g, size_t input, struct gal_arena *arena,
                        struct gal_value *out)
{
    const struct gal_tensor *like = &g->jobs[0]->inputs[input].tensor;
    size_t bytes = row_bytes(like);
    *out = g->jobs[0]->inputs[input];
    if (out->kind == GAL_KIND_NONE)
        return true;
    char *data = gal_arena_array(arena, g->rows, bytes ? bytes : 1), *to = data;
    out->tensor.shape = shape_of(like, g->rows, arena);
    out->tensor.count = like->count / g->jobs[0]->rows * g->rows;
    out->tensor.data = data;
    if (!data || !out->tensor.shape)
        return false;
    for (size_t i = 0; i < g->count; i++) {
        size_t n = bytes * g->jobs[i]->rows;
        if (n > 0)
            memcpy(to, g->jobs[i]->inputs[input].tensor.data, n);
        to += n;
    }
    return true;
}

static bool run_stacked(struct gal_batch *b, const struct group *g, struct gal_call *call)
{
    struct gal_value inputs[PORTS_MAX];
    size_t n = input_count(g->jobs[0]);
    for (size_t i = 0; i < n; i++) {
        if (!stack_input(g, i, &b->arena, &inputs[i]))
            return false;
    }
    *call = (struct gal_call){.inputs = inputs,
                              .wanted = g->jobs[0]->wanted,
                              .output_count = g->jobs[0]->output_count,
                              .rows = g->rows,
                              .arena = &b->arena,
                              .outputs = b->outputs,
                              .started_us = g->jobs[0]->started_us};
    if (gal_sched_call(g->jobs[0]->sched, call, NULL) != GAL_OK)
        return false;
    b->output_count = call->output_count;
    for (size_t i = 0; i < b->output_count; i++) {
        const struct gal_tensor *t = &b->outputs[i].tensor;
        if (b->outputs[i].kind != GAL_KIND_TENSOR || t->dtype == GAL_DT_BYTES || t->rank == 0 ||
            t->shape[0] != (int64_t)g->rows)
            return false;
    }
    return true;
}

/* The job's rows of each output, from row `from` on. */
static void share_outputs(struct gal_batch *b, struct gal_job *job, size_t from)
{
    for (size_t i = 0; i < b->output_count; i++) {
        const struct gal_tensor *all = &b->outputs[i].tensor;
        struct gal_tensor *t = &job->outputs[i].tensor;
        job->outputs[i] = b->outputs[i];
        job->outputs[i].handle = NULL;
        t->shape = shape_of(all, job->rows, job->arena);
        t->count = all->count / (size_t)all->shape[0] * job->rows;
        if (t->count > 0)
            t->data = (const char *)all->data + from * row_bytes(all);
        if (!t->shape) {
            job->status = gal_fail(&job->err, GAL_NO_MEMORY, "no memory for the outputs' shapes");
            return;
        }
    }
    job->batch = b;
    b->refs++;
}

static void run_together(struct gal_turn *t, struct group *g)
{
    struct gal_batch *b = batch_take(t);
    struct gal_call call;
    bool ok = false;
    if (b) {
        b->sched = gal_sched_options(g->jobs[0]->sched);
        b->refs = 1; /* ours, until all have their share */
        ok = run_stacked(b, g, &call);
    }
    for (size_t i = 0, row = 0; i < g->count; i++) {
        struct gal_job *job = g->jobs[i];
        if (!ok) {
            gal_job_run(job, gal_mono_us(t->clock));
            continue;
        }
        job->finished_us = call.finished_us;
        job->call_rows = g->rows;
        job->led = i == 0;
        job->infer_ns = (call.finished_us - call.started_us) * 1000;
        share_outputs(b, job, row);
        row += job->rows;
    }
    if (b)
        gal_batch_unref(b);
}

static void run_group(struct gal_turn *t, struct group *g)
{
    uint64_t now_us = gal_mono_us(t->clock);
    struct group ready = {.count = 0};
    for (size_t i = 0; i < g->count; i++) {
        if (gal_job_begin(g->jobs[i], now_us)) {
            ready.jobs[ready.count++] = g->jobs[i];
            ready.rows += g->jobs[i]->rows;
        }
    }
    if (ready.count == 1)
        gal_job_run(ready.jobs[0], now_us);
    else if (ready.count > 1)
        run_together(t, &ready);
    for (size_t i = 0; i < g->count; i++)
        gal_job_finish(g->jobs[i]);
}

void gal_turn_run(struct gal_turn *t)
{
    if (t->running)
        return; /* the caller above takes what came meanwhile */
    t->running = true;
    while (t->count > 0) {
        struct gal_job *jobs[GAL_TURN_JOBS_MAX];
        size_t count = t->count;
        memcpy(jobs, t->jobs, count * sizeof(struct gal_job *));
        t->count = 0;
        for (size_t i = 0; i < count; i++) {
            struct group g;
            if (!jobs[i])
                continue;
            take_group(jobs + i, count - i, &g);
            run_group(t, &g);
        }
    }
    t->running = false;
}

bool gal_turn_waits(const struct gal_turn *t)
{
    return t->count > 0;
}

void gal_turn_add(struct gal_turn *t, struct gal_job *job)
{
    if (t->count == GAL_TURN_JOBS_MAX) { /* only while running: a job's answer brought the next */
        struct group g = {.jobs = {job}, .count = 1, .rows = job->rows};
        run_group(t, &g);
        return;
    }
    t->jobs[t->count++] = job;
    if (t->count == GAL_TURN_JOBS_MAX)
        gal_turn_run(t);
}
