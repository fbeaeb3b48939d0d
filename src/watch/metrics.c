/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/metrics.h"

#include "base/mem.h"
#include "text/json.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

/* A series is its first cell's index, with its bucket list in the bits above: what a writer needs
 * to know is in the number itself. Cells lie in chunks that never move, so that a scrape may read
 * a shard that grows. A series lies within one chunk. */
#define CHUNK_CELLS 1024u
#define CHUNKS_MAX 512u
#define LIST_SHIFT 24
#define CELL_MASK ((1u << LIST_SHIFT) - 1)
#define LABELS_BYTES_MAX 4096u /* of one series, escaped */
#define BOUNDS_MAX 17u

enum list { NONE, HTTP, INFERENCE };
enum type { COUNTER, GAUGE, HISTOGRAM };

/* Upper bounds in microseconds. A histogram's cells: one a bound, one for what is above them all,
 * the sum of what was observed. */
static const struct {
    size_t count;
    uint64_t us[BOUNDS_MAX];
} lists[] = {
    [NONE] = {0, {0}},
    [HTTP] = {15,
              {250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
               2500000, 5000000, 10000000}},
    [INFERENCE] = {17,
                   {10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
                    250000, 500000, 1000000, 2500000}},
};

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

void gal_shard_observe_us(struct gal_shard *s, gal_series histogram, uint64_t us)
{
    enum list list = (enum list)(histogram >> LIST_SHIFT);
    _Atomic uint64_t *cells = histogram ? cell_of(s, histogram) : NULL;
    size_t bucket = 0;

    if (!cells)
        return;
    GAL_ASSERT(list != NONE);
    while (bucket < lists[list].count && us > lists[list].us[bucket])
        bucket++;
    bump(&cells[bucket], 1);
    bump(&cells[lists[list].count + 1], us);
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

/* The format's escapes; what is not UTF-8 would spoil the whole page, so it becomes `?`. */
static void put_label_value(struct gal_buf *out, struct gal_str value)
{
    bool valid = gal_utf8_valid(value);

    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '\\' || c == '"')
            gal_buf_putc(out, '\\');
        if (c == '\n')
            gal_buf_puts(out, "\\n");
        else
            gal_buf_putc(out, valid || (unsigned char)c < 0x80 ? c : '?');
    }
}

/* Returns owned text, NULL when it is too long or memory is out. */
static char *labels_render(enum gal_metric metric, const struct gal_str *values)
{
    struct gal_str rest = gal_str_of(rows[metric].labels), name;
    struct gal_buf b;
    char *text = NULL;

    gal_buf_init(&b, LABELS_BYTES_MAX);
    for (size_t i = 0; rest.n && gal_str_cut(&rest, ',', &name); i++) {
        GAL_ASSERT(values);
        gal_buf_puts(&b, i ? "," : "");
        gal_buf_put_str(&b, name);
        gal_buf_puts(&b, "=\"");
        put_label_value(&b, values[i]);
        gal_buf_puts(&b, "\"");
    }
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
    unsigned cells = list == NONE ? 1 : (unsigned)lists[list].count + 2;
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

/* Microseconds as seconds, exactly. */
static void put_seconds(struct gal_buf *out, uint64_t us)
{
    uint64_t fraction = us % 1000000;
    int digits = 6;

    gal_buf_put_u64(out, us / 1000000);
    if (fraction == 0)
        return;
    for (; fraction % 10 == 0; digits--)
        fraction /= 10;
    gal_buf_printf(out, ".%0*llu", digits, (unsigned long long)fraction);
}

static void put_double(struct gal_buf *out, double v)
{
    if (fabs(v) < 1e15 && v == trunc(v))
        gal_buf_put_i64(out, (int64_t)v);
    else if (isfinite(v))
        gal_json_put_f64(out, v);
    else
        gal_buf_puts(out, v > 0 ? "+Inf" : "-Inf");
}

/* `name_suffix{labels} `, ready for the value. */
static void put_name(struct gal_buf *out, const char *name, const char *suffix, const char *labels)
{
    gal_buf_puts(out, name);
    gal_buf_puts(out, suffix);
    if (labels[0]) {
        gal_buf_putc(out, '{');
        gal_buf_puts(out, labels);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ' ');
}

/* Each cell is read once and the count is the buckets' sum, so that a page agrees with itself
 * while others write. */
static void put_histogram(struct gal_metrics *m, struct gal_buf *out, enum gal_metric metric,
                          const struct series *s)
{
    enum list list = rows[metric].list;
    unsigned cell = s->number & CELL_MASK;
    uint64_t count = 0;

    for (unsigned i = 0; i <= lists[list].count; i++) {
        count += sum_of(m, cell + i);
        gal_buf_puts(out, rows[metric].name);
        gal_buf_puts(out, "_bucket{");
        gal_buf_puts(out, s->labels);
        gal_buf_puts(out, s->labels[0] ? ",le=\"" : "le=\"");
        if (i < lists[list].count)
            put_seconds(out, lists[list].us[i]);
        else
            gal_buf_puts(out, "+Inf");
        gal_buf_puts(out, "\"} ");
        gal_buf_put_u64(out, count);
        gal_buf_putc(out, '\n');
    }
    put_name(out, rows[metric].name, "_sum", s->labels);
    put_seconds(out, sum_of(m, cell + (unsigned)lists[list].count + 1));
    gal_buf_putc(out, '\n');
    put_name(out, rows[metric].name, "_count", s->labels);
    gal_buf_put_u64(out, count);
    gal_buf_putc(out, '\n');
}

static void put_series(struct gal_metrics *m, struct gal_buf *out, enum gal_metric metric,
                       const struct series *s)
{
    double gauge = 0;

    if (rows[metric].type == HISTOGRAM) {
        put_histogram(m, out, metric, s);
        return;
    }
    if (rows[metric].type == GAUGE)
        gauge =
            double_of(atomic_load_explicit(cell_of(&m->gauges, s->number), memory_order_relaxed));
    if (isnan(gauge))
        return;
    put_name(out, rows[metric].name, "", s->labels);
    if (rows[metric].type == GAUGE)
        put_double(out, gauge);
    else
        gal_buf_put_u64(out, sum_of(m, s->number & CELL_MASK));
    gal_buf_putc(out, '\n');
}

void gal_metrics_render(struct gal_metrics *m, struct gal_buf *out)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};

    pthread_mutex_lock(&m->lock);
    for (enum gal_metric f = 0; f < GAL_METRIC_COUNT; f++) {
        if (m->families[f].count == 0)
            continue;
        gal_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[f].name, rows[f].help,
                       rows[f].name, type_names[rows[f].type]);
        for (size_t i = 0; i < m->families[f].count; i++)
            put_series(m, out, f, &m->families[f].series[i]);
    }
    pthread_mutex_unlock(&m->lock);
}
