/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/stats.h"

#include "base/mem.h"

#include <stdatomic.h>

/* Calls of at most so many rows count in the thread's cell, larger ones, which are seldom and dear,
 * in a table that all threads share. */
#define CELL_ROWS_MAX 32u

enum count {
    SUBMITTED,
    SUCCESS,
    FAILED,
    REJECTED,
    EXPIRED,
    CANCELLED,
    ROWS,
    SUCCESS_NS,
    FAIL_NS,
    QUEUED, /* jobs that started */
    QUEUE_NS,
    INPUT_NS,
    INFER_NS,
    OUTPUT_NS,
    BEGUN,
    ENDED,
    BUSY_NS,
    LAST_FINISHED_US, /* not a sum: the latest */
    COUNTS
};

/* Successful calls of one number of rows. */
struct size_count {
    _Atomic uint64_t calls, input_ns, infer_ns, output_ns;
};

/* Latencies of one stretch of GAL_STATS_SLOT_US. */
struct slot {
    _Atomic uint64_t stretch; /* which one, from 1; 0: none yet */
    _Atomic uint32_t n[GAL_STATS_BUCKETS];
};

struct cell {
    _Atomic uint64_t n[COUNTS];
    struct size_count sizes[CELL_ROWS_MAX]; /* of i + 1 rows */
    struct slot slots[GAL_STATS_SLOTS];     /* by stretch modulo their number */
    char apart[64];                         /* no cache line holds the counts of two cells */
};

struct gal_stats {
    unsigned cell_count;
    struct size_count large[GAL_BATCH_SIZES_MAX - CELL_ROWS_MAX]; /* of CELL_ROWS_MAX + i + 1 */
    struct cell cells[];
};

enum gal_status gal_stats_new(unsigned threads, struct gal_stats **out, struct gal_err *err)
{
    unsigned cells = threads < 1                     ? 1
                     : threads > GAL_STATS_CELLS_MAX ? GAL_STATS_CELLS_MAX
                                                     : threads;
    *out = gal_calloc(1, sizeof **out + cells * sizeof(struct cell));
    if (!*out)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's statistics");
    (*out)->cell_count = cells;
    return GAL_OK;
}

void gal_stats_free(struct gal_stats *s)
{
    gal_free(s);
}

static struct cell *my_cell(struct gal_stats *s)
{
    static _Atomic unsigned threads;
    static _Thread_local unsigned mine; /* 1 more than the thread's number */
    if (mine == 0)
        mine = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    return &s->cells[(mine - 1) % s->cell_count];
}

static void add(_Atomic uint64_t *n, uint64_t by)
{
    if (by > 0)
        atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

/* ---- calls ---- */

void gal_stats_submit(struct gal_stats *s)
{
    add(&my_cell(s)->n[SUBMITTED], 1);
}

void gal_stats_begin(struct gal_stats *s)
{
    add(&my_cell(s)->n[BEGUN], 1);
}

static struct size_count *size_of(struct gal_stats *s, struct cell *c, size_t rows)
{
    size_t i = rows < 1 ? 0 : rows > GAL_BATCH_SIZES_MAX ? GAL_BATCH_SIZES_MAX - 1 : rows - 1;
    return i < CELL_ROWS_MAX ? &c->sizes[i] : &s->large[i - CELL_ROWS_MAX];
}

void gal_stats_end(struct gal_stats *s, const struct gal_stats_call *call)
{
    struct cell *c = my_cell(s);
    add(&c->n[ENDED], 1);
    add(&c->n[BUSY_NS], call->infer_ns);
    if (call->finished_us > get(&c->n[LAST_FINISHED_US]))
        atomic_store_explicit(&c->n[LAST_FINISHED_US], call->finished_us, memory_order_relaxed);
    if (call->failed)
        return;
    struct size_count *size = size_of(s, c, call->rows);
    add(&size->calls, 1);
    add(&size->input_ns, call->input_ns);
    add(&size->infer_ns, call->infer_ns);
    add(&size->output_ns, call->output_ns);
}

/* ---- latency ---- */

/* 8 buckets an octave; below 8 us one a microsecond. */
size_t gal_stats_bucket(uint64_t us)
{
    if (us < 8)
        return (size_t)us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us);
    size_t bucket = (octave - 2) * 8 + ((size_t)(us >> (octave - 3)) & 7);
    return bucket < GAL_STATS_BUCKETS ? bucket : GAL_STATS_BUCKETS - 1;
}

uint64_t gal_stats_bucket_end(size_t bucket)
{
    if (bucket < 8)
        return bucket;
    return ((uint64_t)(bucket % 8 + 9) << (bucket / 8 - 1)) - 1;
}

static uint64_t stretch_at(uint64_t now_us)
{
    return now_us / GAL_STATS_SLOT_US + 1;
}

/* The first of a new stretch clears its slot. Who adds to the same cell at that very moment may be
 * cleared with it: one of a window's jobs, in an estimate. */
static void observe(struct cell *c, uint64_t us, uint64_t now_us)
{
    uint64_t stretch = stretch_at(now_us);
    struct slot *slot = &c->slots[stretch % GAL_STATS_SLOTS];
    uint64_t old = get(&slot->stretch);
    if (old > stretch)
        return;
    if (old < stretch &&
        atomic_compare_exchange_strong_explicit(&slot->stretch, &old, stretch, memory_order_relaxed,
                                                memory_order_relaxed)) {
        for (size_t i = 0; i < GAL_STATS_BUCKETS; i++)
            atomic_store_explicit(&slot->n[i], 0, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&slot->n[gal_stats_bucket(us)], 1, memory_order_relaxed);
}

static uint64_t gather(const struct gal_stats *s, uint64_t now_us, uint64_t n[GAL_STATS_BUCKETS])
{
    uint64_t total = 0, last = stretch_at(now_us);
    for (size_t i = 0; i < s->cell_count * GAL_STATS_SLOTS; i++) {
        const struct slot *slot = &s->cells[i / GAL_STATS_SLOTS].slots[i % GAL_STATS_SLOTS];
        uint64_t stretch = get(&slot->stretch);
        if (stretch == 0 || stretch + GAL_STATS_SLOTS <= last)
            continue;
        for (size_t k = 0; k < GAL_STATS_BUCKETS; k++) {
            uint32_t more = atomic_load_explicit(&slot->n[k], memory_order_relaxed);
            n[k] += more;
            total += more;
        }
    }
    return total;
}

/* Within its bucket the value lies where its rank does. */
static uint64_t p99_us(const struct gal_stats *s, uint64_t now_us)
{
    uint64_t n[GAL_STATS_BUCKETS] = {0};
    uint64_t total = gather(s, now_us, n);
    uint64_t rank = total - total / 100, below = 0;
    size_t k = 0;
    if (total == 0)
        return 0;
    while (below + n[k] < rank)
        below += n[k++];
    uint64_t end = gal_stats_bucket_end(k), start = k > 0 ? gal_stats_bucket_end(k - 1) : 0;
    uint64_t us =
        start + (uint64_t)((double)(end - start) * (double)(rank - below) / (double)n[k] + 0.5);
    return us > 0 ? us : 1;
}

/* ---- jobs ---- */

static enum count outcome(enum gal_status status)
{
    switch (status) {
    case GAL_OK:
        return SUCCESS;
    case GAL_OVERLOADED:
        return REJECTED;
    case GAL_DEADLINE:
        return EXPIRED;
    case GAL_CANCELLED:
        return CANCELLED;
    default:
        return FAILED;
    }
}

void gal_stats_job(struct gal_stats *s, const struct gal_job *job, uint64_t ended_us)
{
    struct cell *c = my_cell(s);
    uint64_t us = ended_us > job->submitted_us ? ended_us - job->submitted_us : 0;
    add(&c->n[outcome(job->status)], 1);
    if (job->started_us != 0) {
        add(&c->n[QUEUED], 1);
        if (job->started_us > job->submitted_us)
            add(&c->n[QUEUE_NS], (job->started_us - job->submitted_us) * 1000);
    }
    if (job->status != GAL_OK) {
        add(&c->n[FAIL_NS], us * 1000);
        return;
    }
    add(&c->n[ROWS], job->rows);
    add(&c->n[SUCCESS_NS], us * 1000);
    add(&c->n[INPUT_NS], job->input_ns);
    add(&c->n[INFER_NS], job->infer_ns);
    add(&c->n[OUTPUT_NS], job->output_ns);
    observe(c, us, ended_us);
}

/* ---- reading ---- */

static void sum_up(const struct gal_stats *s, uint64_t sum[COUNTS])
{
    uint64_t last_us = 0;
    for (size_t i = 0; i < s->cell_count; i++) {
        /* Backwards: an end is not seen without its beginning where one thread counts both. */
        for (size_t k = COUNTS; k-- > 0;)
            sum[k] += get(&s->cells[i].n[k]);
        uint64_t us = get(&s->cells[i].n[LAST_FINISHED_US]);
        last_us = us > last_us ? us : last_us;
    }
    sum[LAST_FINISHED_US] = last_us;
}

void gal_stats_read(const struct gal_stats *s, uint64_t now_us, uint64_t wall_us,
                    struct gal_sched_stats *out)
{
    uint64_t sum[COUNTS] = {0};
    sum_up(s, sum);
    uint64_t failures = sum[FAILED] + sum[REJECTED] + sum[EXPIRED] + sum[CANCELLED];
    uint64_t gone = sum[SUCCESS] + failures;
    uint64_t last_us = sum[LAST_FINISHED_US];
    out->success = sum[SUCCESS];
    out->failed = sum[FAILED];
    out->rejected = sum[REJECTED];
    out->expired = sum[EXPIRED];
    out->cancelled = sum[CANCELLED];
    out->rows = sum[ROWS];
    out->executions = sum[ENDED];
    out->success_time = (struct gal_span){sum[SUCCESS], sum[SUCCESS_NS]};
    out->fail_time = (struct gal_span){failures, sum[FAIL_NS]};
    out->queue = (struct gal_span){sum[QUEUED], sum[QUEUE_NS]};
    out->input = (struct gal_span){sum[SUCCESS], sum[INPUT_NS]};
    out->infer = (struct gal_span){sum[SUCCESS], sum[INFER_NS]};
    out->output = (struct gal_span){sum[SUCCESS], sum[OUTPUT_NS]};
    out->busy_ns = sum[BUSY_NS];
    out->in_flight = sum[SUBMITTED] > gone ? (size_t)(sum[SUBMITTED] - gone) : 0;
    out->running = sum[BEGUN] > sum[ENDED] ? (size_t)(sum[BEGUN] - sum[ENDED]) : 0;
    out->last_finished_wall_us =
        last_us > 0 ? wall_us - (now_us > last_us ? now_us - last_us : 0) : 0;
    out->p99_us = p99_us(s, now_us);
}

static void add_size(struct gal_batch_stats *to, const struct size_count *size)
{
    uint64_t calls = get(&size->calls);
    to->input.count += calls;
    to->infer.count += calls;
    to->output.count += calls;
    to->input.ns += get(&size->input_ns);
    to->infer.ns += get(&size->infer_ns);
    to->output.ns += get(&size->output_ns);
}

size_t gal_stats_batches(const struct gal_stats *s, struct gal_batch_stats *out, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < GAL_BATCH_SIZES_MAX; i++) {
        struct gal_batch_stats b = {.rows = i + 1};
        if (i >= CELL_ROWS_MAX)
            add_size(&b, &s->large[i - CELL_ROWS_MAX]);
        for (size_t k = 0; i < CELL_ROWS_MAX && k < s->cell_count; k++)
            add_size(&b, &s->cells[k].sizes[i]);
        if (b.infer.count == 0)
            continue;
        if (count < room)
            out[count] = b;
        count++;
    }
    return count;
}
