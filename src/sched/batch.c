/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/batch.h"

#include "base/limits.h"
#include "base/mem.h"
#include "sched/sched_impl.h"

#include <stdatomic.h>

/* For later calls; more than that were held by many slow clients at once. */
#define BATCHES_KEPT_MAX 16u

/* Outputs of one call that several jobs share, and the memory of its stacked inputs. */
struct gal_batch {
    struct gal_batch *next; /* among the free, or those given back */
    struct gal_batch_pool *pool;
    const struct gal_sched_options *sched;
    struct gal_arena arena;
    struct gal_value outputs[GAL_BATCH_PORTS_MAX];
    size_t output_count;
    _Atomic size_t refs; /* jobs that still point into outputs, and the runner */
};

/* ---- pool ---- */

void gal_batch_pool_init(struct gal_batch_pool *p, size_t keep_bytes)
{
    *p = (struct gal_batch_pool){.keep_bytes = keep_bytes};
}

static void batch_free(struct gal_batch *b)
{
    gal_arena_release(&b->arena);
    gal_free(b);
}

/* Takes over what other threads gave back. */
static void collect(struct gal_batch_pool *p)
{
    struct gal_batch *b = atomic_exchange_explicit(&p->returned, NULL, memory_order_acquire);
    while (b) {
        struct gal_batch *next = b->next;
        p->out--;
        if (p->free_count == BATCHES_KEPT_MAX) {
            batch_free(b);
        } else {
            b->next = p->free;
            p->free = b;
            p->free_count++;
        }
        b = next;
    }
}

void gal_batch_pool_release(struct gal_batch_pool *p)
{
    collect(p);
    while (p->free) {
        struct gal_batch *b = p->free;
        p->free = b->next;
        batch_free(b);
    }
    p->free_count = 0;
}

static struct gal_batch *batch_take(struct gal_batch_pool *p)
{
    if (!p->free)
        collect(p);
    struct gal_batch *b = p->free;
    if (b) {
        p->free = b->next;
        p->free_count--;
        p->out++;
        return b;
    }
    b = gal_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    p->out++;
    b->pool = p;
    gal_arena_init(&b->arena, GAL_ARENA_FIRST_BYTES, p->keep_bytes, GAL_BATCH_BYTES_MAX);
    return b;
}

/* Memory of the last reference's holder comes before the next use by the pool's owner. */
void gal_batch_unref(struct gal_batch *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < b->output_count; i++)
        b->sched->ops->release_output(b->sched->session, &b->outputs[i]);
    b->output_count = 0;
    gal_arena_clear(&b->arena);
    struct gal_batch_pool *p = b->pool;
    struct gal_batch *top = atomic_load_explicit(&p->returned, memory_order_relaxed);
    do
        b->next = top;
    while (!atomic_compare_exchange_weak_explicit(&p->returned, &top, b, memory_order_release,
                                                  memory_order_relaxed));
}

/* ---- what goes together ---- */

static size_t input_count(const struct gal_job *job)
{
    const struct gal_sched_options *o = gal_sched_options(job->sched);
    return o->ops->info(o->session)->input_count;
}

/* True when every input has the job's rows in front. */
static bool has_rows(const struct gal_job *job, size_t inputs)
{
    if (inputs > GAL_BATCH_PORTS_MAX || job->output_count > GAL_BATCH_PORTS_MAX)
        return false;
    for (size_t i = 0; i < inputs; i++) {
        const struct gal_tensor *t = &job->inputs[i].tensor;
        if (job->inputs[i].kind == GAL_KIND_NONE)
            continue;
        if (job->inputs[i].kind != GAL_KIND_TENSOR || t->rank == 0 ||
            t->shape[0] != (int64_t)job->rows || job->rows == 0)
            return false;
    }
    return true;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 32);
}

static uint64_t key_of(const struct gal_job *job, size_t inputs)
{
    uint64_t h = mix(inputs, job->output_count);
    for (size_t i = 0; i < job->output_count; i++)
        h = mix(h, job->wanted[i]);
    for (size_t i = 0; i < inputs; i++) {
        const struct gal_tensor *t = &job->inputs[i].tensor;
        h = mix(h, (uint64_t)job->inputs[i].kind << 16 | (uint64_t)t->dtype << 8 | t->rank);
        for (size_t d = 1; job->inputs[i].kind == GAL_KIND_TENSOR && d < t->rank; d++)
            h = mix(h, (uint64_t)t->shape[d]);
    }
    return h;
}

size_t gal_batch_bytes(const struct gal_job *job)
{
    size_t bytes = 0;
    for (size_t i = 0, n = input_count(job); i < n; i++) {
        if (job->inputs[i].kind == GAL_KIND_TENSOR)
            bytes += gal_tensor_raw_size(&job->inputs[i].tensor);
    }
    return job->held_bytes > bytes ? job->held_bytes : bytes;
}

/* What a call's inputs take side by side; of texts, where they are. */
static size_t stacked_bytes(const struct gal_value *inputs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct gal_tensor *t = &inputs[i].tensor;
        if (inputs[i].kind == GAL_KIND_TENSOR)
            bytes += t->count * gal_dtype_size(t->dtype);
    }
    return bytes;
}

void gal_batch_classify(struct gal_job *job, size_t row_bytes_max)
{
    struct gal_entry *e = &job->entry;
    *e = (struct gal_entry){.level = job->priority,
                            .rows = job->rows ? job->rows : 1,
                            .alone = true,
                            .timeout_us = job->timeout_us,
                            .deadline_us = job->deadline_us};
    size_t inputs = row_bytes_max > 0 ? input_count(job) : 0;
    if (row_bytes_max == 0 || !has_rows(job, inputs) ||
        stacked_bytes(job->inputs, inputs) / e->rows > row_bytes_max)
        return;
    e->alone = false;
    e->key = key_of(job, inputs);
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

bool gal_batch_agrees(const struct gal_job *a, const struct gal_job *b)
{
    if (a->entry.alone || b->entry.alone || a->entry.key != b->entry.key || a->sched != b->sched ||
        a->output_count != b->output_count ||
        memcmp(a->wanted, b->wanted, a->output_count * sizeof *a->wanted) != 0)
        return false;
    for (size_t i = 0, n = input_count(a); i < n; i++) {
        if (!same_input(&a->inputs[i], &b->inputs[i]))
            return false;
    }
    return true;
}

/* What the engine takes for a call follows the size of its inputs. */
static void note_size(struct gal_sched *s, const struct gal_value *inputs, size_t count,
                      size_t rows)
{
    gal_burst_note(&s->burst, stacked_bytes(inputs, count), rows);
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

static bool stack_input(const struct gal_entry_list *jobs, size_t rows, size_t input,
                        struct gal_arena *arena, struct gal_value *out)
{
    const struct gal_job *first = gal_job_of(jobs->head);
    const struct gal_tensor *like = &first->inputs[input].tensor;
    *out = first->inputs[input];
    if (out->kind == GAL_KIND_NONE)
        return true;
    size_t bytes = row_bytes(like);
    char *data = gal_arena_array(arena, rows, bytes ? bytes : 1), *to = data;
    out->tensor.shape = shape_of(like, rows, arena);
    out->tensor.count = like->count / first->rows * rows;
    out->tensor.data = data;
    if (!data || !out->tensor.shape)
        return false;
    for (struct gal_entry *e = jobs->head; e; e = e->next) {
        const struct gal_job *job = gal_job_of(e);
        size_t n = bytes * job->rows;
        if (n > 0)
            memcpy(to, job->inputs[input].tensor.data, n);
        to += n;
    }
    return true;
}

/* Rows can be handed out of it. */
static bool is_shareable(const struct gal_value *v, size_t rows)
{
    if (v->kind == GAL_KIND_SEQUENCE)
        return v->count == rows;
    return v->kind == GAL_KIND_TENSOR && v->tensor.rank > 0 && v->tensor.shape[0] == (int64_t)rows;
}

static bool run_stacked(struct gal_batch *b, const struct gal_entry_list *jobs,
                        struct gal_call *call)
{
    const struct gal_job *first = gal_job_of(jobs->head);
    struct gal_value inputs[GAL_BATCH_PORTS_MAX];
    uint64_t start_ns = gal_mono_ns(b->sched->clock);
    size_t n = input_count(first);
    for (size_t i = 0; i < n; i++) {
        if (!stack_input(jobs, call->rows, i, &b->arena, &inputs[i]))
            return false;
    }
    call->inputs = inputs;
    call->wanted = first->wanted;
    call->output_count = first->output_count;
    call->arena = &b->arena;
    call->outputs = b->outputs;
    call->input_ns = gal_mono_ns(b->sched->clock) - start_ns;
    note_size(first->sched, inputs, n, call->rows);
    if (gal_sched_call(first->sched, call, NULL) != GAL_OK)
        return false;
    b->output_count = call->output_count;
    for (size_t i = 0; i < b->output_count; i++) {
        if (!is_shareable(&b->outputs[i], call->rows))
            return false;
    }
    return true;
}

/* The job's rows of one output, from row `from` on. */
static bool share_output(const struct gal_value *all, struct gal_job *job, size_t from,
                         struct gal_value *out)
{
    *out = *all;
    out->handle = NULL;
    if (all->kind == GAL_KIND_SEQUENCE) {
        out->items = all->items + from;
        out->count = job->rows;
        return true;
    }
    struct gal_tensor *t = &out->tensor;
    t->shape = shape_of(&all->tensor, job->rows, job->arena);
    t->count = all->tensor.count / (size_t)all->tensor.shape[0] * job->rows;
    if (t->count > 0)
        t->data = (const char *)all->tensor.data + from * row_bytes(&all->tensor);
    return t->shape != NULL;
}

static void share_outputs(struct gal_batch *b, struct gal_job *job, size_t from)
{
    for (size_t i = 0; i < b->output_count; i++) {
        if (!share_output(&b->outputs[i], job, from, &job->outputs[i])) {
            job->status = gal_fail(&job->err, GAL_NO_MEMORY, "no memory for the outputs' shapes");
            return;
        }
    }
    job->batch = b;
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

static void tell_call(struct gal_job *job, const struct gal_call *call, uint64_t output_ns)
{
    job->finished_us = call->finished_us;
    job->call_rows = call->rows;
    job->input_ns = call->input_ns;
    job->infer_ns = call->infer_ns;
    job->output_ns = output_ns;
}

/* False when each is to run alone. */
static bool run_together(struct gal_batch_pool *pool, const struct gal_entry_list *jobs,
                         size_t rows)
{
    struct gal_job *first = gal_job_of(jobs->head);
    struct gal_batch *b = batch_take(pool);
    if (!b)
        return false;
    b->sched = gal_sched_options(first->sched);
    atomic_store_explicit(&b->refs, 1, memory_order_relaxed); /* ours, until all have a share */
    struct gal_call call = {.rows = rows};
    bool ok = run_stacked(b, jobs, &call);
    if (ok) {
        uint64_t start_ns = gal_mono_ns(b->sched->clock);
        size_t row = 0;
        for (struct gal_entry *e = jobs->head; e; e = e->next) {
            share_outputs(b, gal_job_of(e), row);
            row += gal_job_of(e)->rows;
        }
        uint64_t output_ns = gal_mono_ns(b->sched->clock) - start_ns;
        for (struct gal_entry *e = jobs->head; e; e = e->next)
            tell_call(gal_job_of(e), &call, output_ns);
        first->led = true;
        gal_sched_count_call(first->sched, &call, output_ns);
    } else if (call.ran) {
        gal_sched_count_call(first->sched, &call, 0);
    }
    gal_batch_unref(b);
    return ok;
}

/* ---- all of a list ---- */

static void run_alone(struct gal_job *job)
{
    struct gal_call call = {.inputs = job->inputs,
                            .wanted = job->wanted,
                            .output_count = job->output_count,
                            .rows = job->rows ? job->rows : 1,
                            .arena = job->arena,
                            .outputs = job->outputs};
    note_size(job->sched, job->inputs, input_count(job), call.rows);
    job->status = gal_sched_call(job->sched, &call, &job->err);
    tell_call(job, &call, 0);
    job->led = true;
    if (call.ran)
        gal_sched_count_call(job->sched, &call, 0);
}

void gal_batch_run(struct gal_batch_pool *pool, struct gal_entry_list *jobs)
{
    struct gal_entry_list same = {0}, other = {0}, all = {0};
    struct gal_entry *e, *first = jobs->head;
    size_t rows = 0;
    while ((e = gal_entries_shift(jobs)) != NULL) {
        bool agrees = e == first || gal_batch_agrees(gal_job_of(first), gal_job_of(e));
        rows += agrees ? e->rows : 0;
        gal_entries_push(agrees ? &same : &other, e);
    }
    bool done = same.count > 1 && run_together(pool, &same, rows);
    while ((e = gal_entries_shift(&same)) != NULL) {
        if (!done)
            run_alone(gal_job_of(e));
        gal_entries_push(&all, e);
    }
    while ((e = gal_entries_shift(&other)) != NULL) {
        run_alone(gal_job_of(e));
        gal_entries_push(&all, e);
    }
    *jobs = all;
}
