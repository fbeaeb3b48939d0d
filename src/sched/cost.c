/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/cost.h"

#define WEIGHT_SAMPLES 16u
#define SAMPLE_FACTOR_MAX 8.0
#define GRAIN_NS 1000.0 /* the clock's: it must not pin a mean at 0 */
#define NS_MAX 1e18
#define SPREAD_SAMPLES 64u

/* Mean over `samples` earlier values and this one, the old ones fading. */
static double fold(double mean, uint64_t samples, double value)
{
    if (samples == 0)
        return value;
    double most = mean * SAMPLE_FACTOR_MAX + GRAIN_NS;
    if (value > most)
        value = most;
    uint64_t weight = samples + 1 < WEIGHT_SAMPLES ? samples + 1 : WEIGHT_SAMPLES;
    return mean + (value - mean) / (double)weight;
}

static double size_rows(unsigned i)
{
    return (double)(UINT64_C(1) << i);
}

/* The last size that is not above rows. */
static unsigned size_below(size_t rows)
{
    unsigned i = 0;
    while (i + 1 < GAL_COST_SIZES && ((size_t)2 << i) <= rows)
        i++;
    return i;
}

static unsigned size_nearest(size_t rows)
{
    unsigned i = size_below(rows);
    size_t below = (size_t)1 << i;
    bool up = i + 1 < GAL_COST_SIZES && rows - below >= 2 * below - rows;
    return up ? i + 1 : i;
}

static double estimate(const struct gal_cost *c, size_t rows)
{
    unsigned i = size_below(rows);
    if (i + 1 == GAL_COST_SIZES)
        return c->curve[i] * ((double)rows / size_rows(i));
    double share = ((double)rows - size_rows(i)) / size_rows(i);
    double ns = c->curve[i] + (c->curve[i + 1] - c->curve[i]) * share;
    return ns < c->curve[i + 1] ? ns : c->curve[i + 1]; /* rounding must not make it fall */
}

/* The known sizes, as points of a curve. */
struct points {
    double x[GAL_COST_SIZES], y[GAL_COST_SIZES];
    unsigned count;
};

/* Neighbours that fall are levelled to their weighted mean, until none does (pool adjacent
 * violators). */
static struct points level_points(const struct gal_cost *c)
{
    struct points p = {.count = 0};
    unsigned run[GAL_COST_SIZES]; /* points that share a level */
    double level[GAL_COST_SIZES], weight[GAL_COST_SIZES];
    unsigned runs = 0;
    for (unsigned i = 0; i < GAL_COST_SIZES; i++) {
        if (c->samples[i] == 0)
            continue;
        p.x[p.count++] = size_rows(i);
        run[runs] = 1;
        level[runs] = c->ns[i];
        weight[runs] = (double)(c->samples[i] < WEIGHT_SAMPLES ? c->samples[i] : WEIGHT_SAMPLES);
        runs++;
        while (runs > 1 && level[runs - 2] > level[runs - 1]) {
            double sum = weight[runs - 2] + weight[runs - 1];
            level[runs - 2] =
                (level[runs - 2] * weight[runs - 2] + level[runs - 1] * weight[runs - 1]) / sum;
            weight[runs - 2] = sum;
            run[runs - 2] += run[runs - 1];
            runs--;
        }
    }
    unsigned k = 0;
    for (unsigned r = 0; r < runs; r++)
        for (unsigned i = 0; i < run[r]; i++)
            p.y[k++] = level[r];
    return p;
}

/* On the line through points a and b. */
static double line_at(const struct points *p, unsigned a, unsigned b, double x)
{
    return p->y[a] + (p->y[b] - p->y[a]) * ((x - p->x[a]) / (p->x[b] - p->x[a]));
}

static double below_points(const struct points *p, double x)
{
    double share = p->y[0] * (x / p->x[0]);
    if (p->count == 1)
        return share;
    unsigned b = 1;
    while (b + 1 < p->count && p->x[b] < 4.0 * p->x[0])
        b++;
    double y = line_at(p, 0, b, x);
    return y > share ? y : share;
}

static double above_points(const struct points *p, double x)
{
    unsigned last = p->count - 1;
    if (last == 0)
        return p->y[0] * (x / p->x[0]);
    unsigned a = last - 1;
    while (a > 0 && p->x[a] * 4.0 > p->x[last])
        a--;
    return line_at(p, a, last, x);
}

static void draw_curve(struct gal_cost *c)
{
    struct points p = level_points(c);
    unsigned next = 0; /* the first point at or above x */
    for (unsigned i = 0; i < GAL_COST_SIZES; i++) {
        double x = size_rows(i);
        while (next < p.count && p.x[next] < x)
            next++;
        if (next == p.count)
            c->curve[i] = above_points(&p, x);
        else if (next == 0)
            c->curve[i] = below_points(&p, x);
        else
            c->curve[i] = line_at(&p, next - 1, next, x);
        if (i > 0 && c->curve[i] < c->curve[i - 1]) /* by rounding */
            c->curve[i] = c->curve[i - 1];
    }
}

/* Slower to forget than the means: a quiet second must not end the caution. */
static void note_spread(struct gal_cost *c, double value, double expected)
{
    if (expected <= 0.0)
        return;
    double off = value > expected ? value / expected - 1.0 : 1.0 - value / expected;
    if (off > 1.0)
        off = 1.0;
    if (c->spread_samples < SPREAD_SAMPLES)
        c->spread_samples++;
    c->spread += (off - c->spread) / (double)c->spread_samples;
}

/* What a call of rows tells of that size: by the curve, but no more than in proportion to the rows.
 * A curve that is wrong beside the size, and steep, would else drag it down without an end. */
static double size_share(const struct gal_cost *c, unsigned i, size_t rows, double expected)
{
    double even = size_rows(i) / (double)rows;
    if (expected <= 0.0 || c->curve[i] <= 0.0)
        return even;
    double share = c->curve[i] / expected;
    if (even < 1.0)
        return share < even ? even : share < 1.0 ? share : 1.0;
    return share > even ? even : share > 1.0 ? share : 1.0;
}

void gal_cost_observe(struct gal_cost *c, size_t rows, uint64_t cost_ns)
{
    if (rows == 0)
        rows = 1;
    unsigned i = size_nearest(rows);
    double value = (double)cost_ns < NS_MAX ? (double)cost_ns : NS_MAX;
    double expected = estimate(c, rows);
    note_spread(c, value, expected);
    value *= size_share(c, i, rows, expected);
    c->ns[i] = fold(c->ns[i], c->samples[i], value);
    c->samples[i]++;
    c->seen[i] = ++c->total;
    for (unsigned k = 0; k < GAL_COST_SIZES; k++) {
        bool contradicts = k < i ? c->ns[k] > c->ns[i] : c->ns[k] < c->ns[i];
        if (c->samples[k] > 0 && contradicts)
            c->ns[k] = fold(c->ns[k], WEIGHT_SAMPLES, c->ns[i]);
    }
    draw_curve(c);
}

static bool is_known(const struct gal_cost *c)
{
    for (unsigned i = 0; i < GAL_COST_SIZES; i++)
        if (c->samples[i] > 0)
            return true;
    return false;
}

uint64_t gal_cost_estimate_ns(const struct gal_cost *c, size_t rows)
{
    if (!is_known(c))
        return 0;
    double ns = estimate(c, rows ? rows : 1);
    if (ns >= NS_MAX)
        return (uint64_t)NS_MAX;
    return ns < 1.0 ? 1 : (uint64_t)ns;
}

uint64_t gal_cost_estimate_us(const struct gal_cost *c, size_t rows)
{
    uint64_t ns = gal_cost_estimate_ns(c, rows);
    return ns == 0 ? 0 : ns < 1000 ? 1 : (ns + 500) / 1000;
}

/* The largest size that one of the last calls had; 0, one row, also when none had. */
static unsigned largest_fresh(const struct gal_cost *c)
{
    unsigned i = GAL_COST_SIZES - 1;
    while (i > 0 && (c->samples[i] == 0 || c->total - c->seen[i] >= GAL_COST_FRESH))
        i--;
    return i;
}

uint64_t gal_cost_hope_ns(const struct gal_cost *c, size_t rows)
{
    size_t largest = (size_t)1 << largest_fresh(c);
    return gal_cost_estimate_ns(c, rows > largest && rows <= 2 * largest ? largest : rows);
}

uint64_t gal_cost_most_us(const struct gal_cost *c, size_t rows)
{
    uint64_t ns = gal_cost_hope_ns(c, rows);
    double factor = 1.0 + 3.0 * c->spread;
    double us = (double)ns / 1000.0 * (factor < 2.0 ? factor : 2.0);
    return ns == 0 ? 0 : (uint64_t)us + 1;
}

bool gal_cost_is_inline(const struct gal_cost *c, size_t rows, uint64_t inline_us_max)
{
    uint64_t us = gal_cost_estimate_us(c, rows);
    return us > 0 && us <= inline_us_max;
}

static bool is_within_most(const struct gal_cost *c, size_t rows, uint64_t us)
{
    return gal_cost_most_us(c, rows) <= us;
}

/* The largest rows up to rows_max that holds; at least `least`, which need not be tried. */
static size_t most_rows(const struct gal_cost *c, uint64_t us, size_t least, size_t rows_max,
                        bool (*holds)(const struct gal_cost *c, size_t rows, uint64_t us))
{
    size_t low = least;
    size_t high = rows_max;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (holds(c, middle, us))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

size_t gal_cost_rows_within(const struct gal_cost *c, uint64_t us, size_t rows_max)
{
    return most_rows(c, us, 0, rows_max, gal_cost_is_inline);
}

static bool is_hoped(const struct gal_cost *c, size_t rows, uint64_t us)
{
    uint64_t ns = gal_cost_hope_ns(c, rows);
    return ns > 0 && ns / 1000 <= us;
}

size_t gal_cost_rows_hoped(const struct gal_cost *c, uint64_t us, size_t rows_max)
{
    return most_rows(c, us, 0, rows_max, is_hoped);
}

size_t gal_cost_rows_within_most(const struct gal_cost *c, uint64_t us, size_t rows_max)
{
    return most_rows(c, us, 1, rows_max, is_within_most);
}

uint64_t gal_cost_saved_ns(const struct gal_cost *c)
{
    unsigned i = largest_fresh(c);
    if (i == 0 || c->samples[0] == 0 || c->total - c->seen[0] >= GAL_COST_FRESH)
        return UINT64_MAX;
    double saved = c->curve[0] - c->curve[i] / size_rows(i);
    return saved > 0.0 ? (uint64_t)(saved < NS_MAX ? saved : NS_MAX) : 0;
}

double gal_cost_rate(const struct gal_cost *c, size_t rows)
{
    uint64_t ns = gal_cost_estimate_ns(c, rows);
    return ns == 0 ? 0.0 : (double)rows * 1e9 / (double)ns;
}
