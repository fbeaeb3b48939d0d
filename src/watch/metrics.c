/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/metrics.h"

#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

/* A series is its first cell's index, with its bucket list in the bits above: what a writer needs
 * to know is in the number itself. Cells lie in chunks that never move, so that a scrape may read
 * a shard that grows. A series lies within one chunk. */
#define CHUNK_CELLS 1024u
#define CHUNKS_MAX 8192u
#define LIST_SHIFT 24
#define CELL_MASK ((1u << LIST_SHIFT) - 1)
#define LABELS_BYTES_MAX 4096u /* of one series, escaped */

enum list {
    NONE = GAL_BUCKETS_NONE,
    HTTP = GAL_BUCKETS_HTTP,
    INFERENCE = GAL_BUCKETS_INFERENCE,
    ROWS = GAL_BUCKETS_ROWS
};
enum type { COUNTER = GAL_EXPO_COUNTER, GAUGE = GAL_EXPO_GAUGE, HISTOGRAM = GAL_EXPO_HISTOGRAM };

/* A histogram's cells: classic buckets, what is above them all, the sum of what was observed, the
 * zero bucket, native buckets. */
static unsigned sum_cell(const struct gal_bucket_list *list)
{
    return (unsigned)list->count + 1;
}

static unsigned zero_cell(const struct gal_bucket_list *list)
{
    return sum_cell(list) + 1;
}

static unsigned cell_count(enum list list)
{
    const struct gal_bucket_list *l = &gal_bucket_lists[list];
    return list == NONE ? 1 : zero_cell(l) + 1 + l->native_count;
}

static const struct {
    const char *name, *labels, *help;
    enum type type;
    enum list list;
} rows[GAL_METRIC_COUNT] = {
#define GAL_METRIC_ROW(id, name, type, buckets, labels, help) {name, labels, help, type, buckets},
#include "watch/metrics.def"
#undef GAL_METRIC_ROW
};

struct chunk {
    _Atomic uint64_t cells[CHUNK_CELLS];
};

struct gal_shard {
    struct gal_shard *next;
    _Atomic(struct chunk *) chunks[CHUNKS_MAX]; /* owned; NULL until used */
};

struct series {
    char *labels; /* owned: `model="x",status="ok"`, escaped; unique in its family */
    gal_series number;
};

struct family {
    struct series *series; /* owned; sorted by labels */
    size_t count, cap;
};

struct gal_metrics {
    pthread_mutex_t lock; /* guards all below but for the shards' cells */
    struct family families[GAL_METRIC_COUNT];
    struct gal_shard *shards;
    unsigned cell_next; /* index 0 is the series that counts nowhere */
    unsigned series_count;
    struct gal_shard gauges; /* cells hold the bits of a double; chunks are there before the number
                                is given out */
};

static void shard_release(struct gal_shard *s)
{
    for (size_t i = 0; i < CHUNKS_MAX; i++)
        gal_free(atomic_load_explicit(&s->chunks[i], memory_order_relaxed));
}

/* NULL when memory is out. Only the shard's writer makes chunks. */
static struct chunk *chunk_make(struct gal_shard *s, unsigned index)
{
    struct chunk *chunk = gal_calloc(1, sizeof(*chunk));
    if (chunk)
        atomic_store_explicit(&s->chunks[index], chunk, memory_order_release);
    return chunk;
}

static _Atomic uint64_t *cell_of(struct gal_shard *s, gal_series series)
{
    unsigned cell = series & CELL_MASK;
    struct chunk *chunk =
        atomic_load_explicit(&s->chunks[cell / CHUNK_CELLS], memory_order_relaxed);
    if (!chunk && !(chunk = chunk_make(s, cell / CHUNK_CELLS)))
        return NULL;
    return &chunk->cells[cell % CHUNK_CELLS];
}

/* One writer a cell: no locked instruction. */
static void bump(_Atomic uint64_t *cell, uint64_t by)
{
    uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, old + by, memory_order_relaxed);
}

void gal_shard_add(struct gal_shard *s, gal_series series, uint64_t by)
{
    _Atomic uint64_t *cell = series ? cell_of(s, series) : NULL;
    if (cell)
        bump(cell, by);
}

void gal_shard_observe(struct gal_shard *s, gal_series histogram, uint64_t value)
{
    const struct gal_bucket_list *list = &gal_bucket_lists[histogram >> LIST_SHIFT];
    _Atomic uint64_t *cells = histogram ? cell_of(s, histogram) : NULL;

    if (!cells)
        return;
    GAL_ASSERT(list->count > 0);
    bump(&cells[gal_bucket_classic(list, value)], 1);
    bump(&cells[sum_cell(list)], value);
    bump(&cells[zero_cell(list) + gal_bucket_native(list, value)], 1);
}

void gal_shard_observe_us(struct gal_shard *s, gal_series histogram, uint64_t us)
{
    gal_shard_observe(s, histogram, us * 1000);
}

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

void gal_gauge_set(struct gal_metrics *m, gal_series series, double value)
{
    _Atomic uint64_t *cell = series ? cell_of(&m->gauges, series) : NULL;
    if (cell)
        atomic_store_explicit(cell, bits_of(value), memory_order_relaxed);
}

void gal_gauge_hide(struct gal_metrics *m, gal_series series)
{
    gal_gauge_set(m, series, NAN);
}

void gal_gauge_add(struct gal_metrics *m, gal_series series, double by)
{
    _Atomic uint64_t *cell = series ? cell_of(&m->gauges, series) : NULL;
    uint64_t old;

    if (!cell)
        return;
    old = atomic_load_explicit(cell, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(cell, &old, bits_of(double_of(old) + by),
                                                  memory_order_relaxed, memory_order_relaxed))
        continue;
}

enum gal_status gal_metrics_new(struct gal_metrics **out, struct gal_err *err)
{
    struct gal_metrics *m = gal_calloc(1, sizeof(*m));

    *out = NULL;
    if (!m)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for metrics");
    pthread_mutex_init(&m->lock, NULL);
    m->cell_next = 1;
    for (enum gal_metric i = 0; i < GAL_METRIC_COUNT; i++) {
        if (!rows[i].labels[0] && !gal_metrics_series(m, i, NULL)) {
            gal_metrics_free(m);
            return gal_fail(err, GAL_NO_MEMORY, "no memory for metrics");
        }
    }
    *out = m;
    return GAL_OK;
}

void gal_metrics_free(struct gal_metrics *m)
{
    if (!m)
        return;
    while (m->shards) {
        struct gal_shard *s = m->shards;
        m->shards = s->next;
        shard_release(s);
        gal_free(s);
    }
    shard_release(&m->gauges);
    for (size_t f = 0; f < GAL_METRIC_COUNT; f++) {
        for (size_t i = 0; i < m->families[f].count; i++)
            gal_free(m->families[f].series[i].labels);
        gal_free(m->families[f].series);
    }
    pthread_mutex_destroy(&m->lock);
    gal_free(m);
}

enum gal_status gal_metrics_shard(struct gal_metrics *m, struct gal_shard **out,
                                  struct gal_err *err)
{
    struct gal_shard *s = gal_calloc(1, sizeof(*s));

    *out = s;
    if (!s)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shard of metrics");
    pthread_mutex_lock(&m->lock);
    s->next = m->shards;
    m->shards = s;
    pthread_mutex_unlock(&m->lock);
    return GAL_OK;
}

/* --- series --- */

/* Returns owned text, NULL when it is too long or memory is out. */
static char *labels_render(enum gal_metric metric, const struct gal_str *values)
{
    struct gal_buf b;
    char *text = NULL;

    GAL_ASSERT(values || !rows[metric].labels[0]);
    gal_buf_init(&b, LABELS_BYTES_MAX);
    gal_expo_put_labels(&b, rows[metric].labels, values);
    if (!b.failed)
        text = gal_strndup(b.n ? b.p : "", b.n);
    gal_buf_release(&b);
    return text;
}

/* Where labels are, or belong. */
static size_t family_find(const struct family *f, const char *labels, bool *found)
{
    size_t low = 0, high = f->count;

    *found = false;
    while (low < high && !*found) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(labels, f->series[mid].labels);
        *found = order == 0;
        if (order > 0)
            low = mid + 1;
        else
            high = mid;
    }
    return *found ? high : low;
}

static bool family_reserve(struct family *f)
{
    size_t cap = f->cap ? 2 * f->cap : 8;
    struct series *series;

    if (f->count < f->cap)
        return true;
    series = gal_realloc(f->series, cap * sizeof(*series));
    if (!series)
        return false;
    f->series = series;
    f->cap = cap;
    return true;
}

/* 0 when no cells are left or memory is out. */
static gal_series number_make(struct gal_metrics *m, enum gal_metric metric)
{
    enum list list = rows[metric].list;
    unsigned cells = cell_count(list);
    unsigned first = m->cell_next;

    if (first % CHUNK_CELLS + cells > CHUNK_CELLS)
        first += CHUNK_CELLS - first % CHUNK_CELLS;
    if (first + cells > CHUNKS_MAX * CHUNK_CELLS)
        return 0;
    if (rows[metric].type == GAUGE && !cell_of(&m->gauges, first))
        return 0;
    m->cell_next = first + cells;
    return first | (gal_series)list << LIST_SHIFT;
}

/* The lock is held. Takes labels. */
static gal_series series_make(struct gal_metrics *m, enum gal_metric metric, char *labels)
{
    struct family *f = &m->families[metric];
    bool found;
    size_t at = family_find(f, labels, &found);
    gal_series number = found ? f->series[at].number : 0;

    if (!found && m->series_count < GAL_SERIES_MAX && family_reserve(f))
        number = number_make(m, metric);
    if (found || !number) {
        gal_free(labels);
        return number;
    }
    memmove(&f->series[at + 1], &f->series[at], (f->count - at) * sizeof(*f->series));
    f->series[at] = (struct series){labels, number};
    f->count++;
    m->series_count++;
    return number;
}

gal_series gal_metrics_series(struct gal_metrics *m, enum gal_metric metric,
                              const struct gal_str *labels)
{
    char *text = labels_render(metric, labels);
    gal_series number;

    if (!text)
        return 0;
    pthread_mutex_lock(&m->lock);
    number = series_make(m, metric, text);
    pthread_mutex_unlock(&m->lock);
    return number;
}

/* --- exposition --- */

static uint64_t sum_of(struct gal_metrics *m, unsigned cell)
{
    uint64_t sum = 0;

    for (struct gal_shard *s = m->shards; s; s = s->next) {
        struct chunk *chunk =
            atomic_load_explicit(&s->chunks[cell / CHUNK_CELLS], memory_order_acquire);
        if (chunk)
            sum += atomic_load_explicit(&chunk->cells[cell % CHUNK_CELLS], memory_order_relaxed);
    }
    return sum;
}

uint64_t gal_metrics_sum(struct gal_metrics *m, gal_series counter)
{
    uint64_t sum;

    if (!counter)
        return 0;
    GAL_ASSERT(counter >> LIST_SHIFT == NONE);
    pthread_mutex_lock(&m->lock);
    sum = sum_of(m, counter & CELL_MASK);
    pthread_mutex_unlock(&m->lock);
    return sum;
}

/* Each cell is read once. Classic buckets come before native ones, which makes the page agree with
 * itself while others write: a format's count is the sum of its own buckets. */
static void put_histogram(struct gal_metrics *m, struct gal_expo *e, const struct series *s)
{
    const struct gal_bucket_list *list = &gal_bucket_lists[s->number >> LIST_SHIFT];
    unsigned cell = s->number & CELL_MASK;
    uint64_t classic[GAL_BOUNDS_MAX + 1], native[GAL_NATIVE_MAX + 1];
    struct gal_expo_histogram h = {.list = list, .classic = classic};

    for (unsigned i = 0; i <= list->count; i++)
        classic[i] = sum_of(m, cell + i);
    h.sum = sum_of(m, cell + sum_cell(list));
    for (unsigned i = 0; e->format == GAL_EXPO_PROTOBUF && i <= list->native_count; i++)
        native[i] = sum_of(m, cell + zero_cell(list) + i);
    if (e->format == GAL_EXPO_PROTOBUF)
        h.native = native;
    gal_expo_histogram(e, s->labels, &h);
}

static void put_series(struct gal_metrics *m, struct gal_expo *e, const struct series *s)
{
    double gauge;

    if (e->type == GAL_EXPO_HISTOGRAM) {
        put_histogram(m, e, s);
    } else if (e->type == GAL_EXPO_COUNTER) {
        gal_expo_u64(e, s->labels, sum_of(m, s->number & CELL_MASK));
    } else {
        gauge =
            double_of(atomic_load_explicit(cell_of(&m->gauges, s->number), memory_order_relaxed));
        if (!isnan(gauge))
            gal_expo_f64(e, s->labels, gauge);
    }
}

void gal_metrics_render(struct gal_metrics *m, struct gal_expo *e)
{
    pthread_mutex_lock(&m->lock);
    for (enum gal_metric f = 0; f < GAL_METRIC_COUNT; f++) {
        if (m->families[f].count == 0)
            continue;
        gal_expo_family(e, rows[f].name, (enum gal_expo_type)rows[f].type, rows[f].help);
        for (size_t i = 0; i < m->families[f].count; i++)
            put_series(m, e, &m->families[f].series[i]);
    }
    pthread_mutex_unlock(&m->lock);
}
