/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that make one number of one number: clip, log, exp, power, scale, sigmoid, round. Each is a
 * loop over a block of FP64, whatever the column holds. What is whole stays whole: clip and round
 * of integers do not pass through FP64. */
#include "package/step_impl.h"

#include <math.h>

struct pair {
    double a, b;
};

/* One column's. `apply` works on n values in place and returns how many went well: n, or the index
 * of one that has no result. stride 0: one pair for all values, 1: one each. */
struct number {
    size_t (*apply)(const struct number *p, double *v, size_t n, const struct pair *by,
                    size_t stride);
    const struct pair *pairs;
    size_t pair_count; /* 1, or a row's width */
    double low, high;  /* scale: the range that clip keeps */
    const char *fault; /* behind "'-5' ": why a value has no result */
    bool cut;
};

/* The values from element `at` on; all of one row where pairs differ. */
static enum gal_status run_piece(const struct gal_step *s, struct gal_step_run *r, void *out,
                                 size_t at, size_t n, const struct pair *by, size_t stride)
{
    const struct number *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    enum gal_dtype to = r->slots[s->out].tensor.dtype;
    double v[GAL_STEP_BLOCK];

    for (size_t i = 0; i < n; i += GAL_STEP_BLOCK) {
        size_t some = n - i < GAL_STEP_BLOCK ? n - i : GAL_STEP_BLOCK, good;

        gal_step_load(v, t, at + i, some);
        good = p->apply(p, v, some, by + i * stride, stride);
        if (good < some) {
            gal_step_load(v, t, at + i + good, 1);
            return gal_step_fail_at(r, s->in, at + i + good, "%g %s", v[0], p->fault);
        }
        gal_step_store(out, to, at + i, v, some);
    }
    return GAL_OK;
}

static enum gal_status run_number(const struct gal_step *s, struct gal_step_run *r)
{
    const struct number *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    enum gal_status st = GAL_OK;

    if (out == NULL)
        return gal_step_no_out(r);
    if (p->pair_count == 1)
        return run_piece(s, r, out, 0, t->count, p->pairs, 0);
    for (size_t row = 0; st == GAL_OK && row < r->rows; row++)
        st = run_piece(s, r, out, row * p->pair_count, p->pair_count, p->pairs, 1);
    return st;
}

/* --- parameters of several columns --- */

struct spread {
    double *values;
    size_t count;
};

static bool a_column(const struct spread *s, size_t columns)
{
    return s->count == 1 || s->count == columns;
}

/* Numbers of a parameter: one for all, one a column, or one a value of their rows. */
static enum gal_status read_spread(struct gal_step_compiler *c, const char *name, double untold,
                                   const size_t *slots, size_t columns, struct spread *out)
{
    size_t total = 0;
    bool open = false;
    enum gal_status st = gal_step_numbers(c, name, &out->values, &out->count);

    if (st != GAL_OK)
        return st;
    if (out->values == NULL) {
        out->values = gal_arena_small(c->arena, sizeof(double));
        if (out->values == NULL)
            return gal_step_no_memory(c->arena, c->err);
        out->values[0] = untold;
        out->count = 1;
    }
    for (size_t i = 0; i < columns; i++) {
        size_t width = gal_column_width(gal_step_column(c, slots[i]));

        open |= width == 0;
        total += width;
    }
    if (a_column(out, columns) || (!open && out->count == total))
        return GAL_OK;
    if (open || total == columns)
        return gal_step_refuse(c, gal_step_line(c, name),
                               "%s: `%s` has %zu numbers for %zu columns", c->kind->name, name,
                               out->count, columns);
    return gal_step_refuse(c, gal_step_line(c, name),
                           "%s: `%s` has %zu numbers for %zu columns of %zu values together",
                           c->kind->name, name, out->count, columns, total);
}

static double spread_at(const struct spread *s, size_t columns, size_t column, size_t place)
{
    return s->values[s->count == 1 ? 0 : s->count == columns ? column : place];
}

static enum gal_status add_number(struct gal_step_compiler *c, size_t slot, enum gal_dtype dtype,
                                  const struct number *number,
                                  enum gal_status (*run)(const struct gal_step *,
                                                         struct gal_step_run *))
{
    struct number *state = gal_arena_small(c->arena, sizeof(*state));
    struct gal_column column = *gal_step_column(c, slot);
    struct gal_step step = {.run = run, .in = slot, .out_more = SIZE_MAX, .state = state};

    if (state == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *state = *number;
    column.name = gal_step_to(c, slot);
    column.dtype = dtype;
    return gal_step_finish(c, &column, &step);
}

/* Adds one operation a column; a and b of its pairs come from two parameters. */
static enum gal_status add_spread(struct gal_step_compiler *c, struct number number,
                                  const struct spread *a, const struct spread *b)
{
    size_t *slots, columns, place = 0;
    enum gal_dtype told = gal_step_dtype(c, GAL_DT_NONE);
    enum gal_status st = gal_step_sources(c, &slots, &columns);

    for (size_t i = 0; st == GAL_OK && i < columns; i++) {
        const struct gal_column *column = gal_step_column(c, slots[i]);
        size_t width = gal_column_width(column);
        size_t n = a_column(a, columns) && a_column(b, columns) ? 1 : width;
        struct pair *pairs = gal_arena_array(c->arena, n, sizeof(*pairs));

        if (pairs == NULL)
            return gal_step_no_memory(c->arena, c->err);
        for (size_t j = 0; j < n; j++)
            pairs[j] = (struct pair){spread_at(a, columns, i, place + j),
                                     spread_at(b, columns, i, place + j)};
        place += width;
        number.pairs = pairs;
        number.pair_count = n;
        st = add_number(c, slots[i], told != GAL_DT_NONE ? told : gal_step_real(column->dtype),
                        &number, run_number);
    }
    return st;
}

/* Sources that are numbers, and a type that holds fractions. */
static enum gal_status take_sources(struct gal_step_compiler *c, size_t **slots, size_t *count)
{
    enum gal_dtype told = gal_step_dtype(c, GAL_DT_FP32);
    enum gal_status st = gal_step_sources(c, slots, count);

    for (size_t i = 0; st == GAL_OK && i < *count; i++)
        st = gal_step_want_numbers(c, (*slots)[i]);
    if (st == GAL_OK && !gal_dtype_is_float(told))
        st = gal_step_refuse(c, gal_step_line(c, "type"), "%s makes floats, and %s is none",
                             c->kind->name, gal_dtype_name(told));
    return st;
}

/* --- scale --- */

static size_t apply_standard(const struct number *p, double *v, size_t n, const struct pair *by,
                             size_t stride)
{
    (void)p;
    for (size_t i = 0; i < n; i++)
        v[i] = (v[i] - by[i * stride].a) / by[i * stride].b;
    return n;
}

static size_t apply_factor(const struct number *p, double *v, size_t n, const struct pair *by,
                           size_t stride)
{
    for (size_t i = 0; i < n; i++)
        v[i] = v[i] * by[i * stride].b + by[i * stride].a;
    for (size_t i = 0; p->cut && i < n; i++)
        v[i] = v[i] < p->low ? p->low : v[i] > p->high ? p->high : v[i];
    return n;
}

/* Divisors: nothing but more than 0; 0, the spread of a column of one value, divides by 1. */
static enum gal_status check_divisors(struct gal_step_compiler *c, const char *name,
                                      struct spread *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!(s->values[i] >= 0) || !isfinite(s->values[i]))
            return gal_step_refuse(c, gal_step_line(c, name), "%s: `%s` holds %g, which cannot be",
                                   c->kind->name, name, s->values[i]);
        if (s->values[i] == 0)
            s->values[i] = 1;
    }
    return GAL_OK;
}

/* min and max to a factor and a summand, as MinMaxScaler keeps them (scale_ and min_). */
static enum gal_status read_range(struct gal_step_compiler *c, struct number *number,
                                  struct spread *min, struct spread *max, size_t columns)
{
    size_t n = min->count > max->count ? min->count : max->count, count;
    double *range, *sum = gal_arena_array(c->arena, n, sizeof(double));
    double *factor = gal_arena_array(c->arena, n, sizeof(double));
    enum gal_status st = gal_step_numbers(c, "range", &range, &count);

    if (st == GAL_OK && (sum == NULL || factor == NULL))
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK && range != NULL && (count != 2 || !(range[0] < range[1])))
        return gal_step_refuse(c, gal_step_line(c, "range"),
                               "scale: `range` is two rising numbers");
    if (min->count != max->count && min->count != 1 && max->count != 1)
        return gal_step_refuse(c, gal_step_line(c, "max"),
                               "scale: `min` and `max` differ in length");
    number->low = range != NULL ? range[0] : 0;
    number->high = range != NULL ? range[1] : 1;
    for (size_t i = 0; st == GAL_OK && i < n; i++) {
        double low = min->values[min->count == 1 ? 0 : i];
        double width = max->values[max->count == 1 ? 0 : i] - low;

        if (!(width >= 0) || !isfinite(width))
            return gal_step_refuse(c, gal_step_line(c, "max"), "scale: `max` is less than `min`");
        factor[i] = (number->high - number->low) / (width == 0 ? 1 : width);
        sum[i] = number->low - low * factor[i];
    }
    (void)columns;
    *min = (struct spread){sum, n};
    *max = (struct spread){factor, n};
    return st;
}

/* x = (y - sum) / factor is what a standard scale does with the same numbers. */
static void invert(struct number *number, bool *is_factor)
{
    *is_factor = !*is_factor;
    number->apply = *is_factor ? apply_factor : apply_standard;
    number->cut = false;
}

static const struct {
    const char *low, *high;
} scales[] = {{"mean", "std"}, {"min", "max"}, {"center", "scale"}};

/* Which of the three pairs of parameters is written. */
static enum gal_status choose_scale(struct gal_step_compiler *c, size_t *out)
{
    size_t found = 0;

    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
        bool low = gal_step_get(c, scales[i].low) != NULL;
        bool high = gal_step_get(c, scales[i].high) != NULL;

        if (low || high) {
            *out = i;
            found++;
        }
        if (i == 1 && low != high)
            return gal_step_refuse(c, c->line, "scale: `min` and `max` belong together");
    }
    if (found == 1)
        return GAL_OK;
    return gal_step_refuse(c, c->line,
                           "scale needs mean and std, min and max, or center and scale%s",
                           found > 1 ? ", not two of them" : "");
}

enum gal_status gal_step_make_scale(struct gal_step_compiler *c)
{
    struct number number = {.apply = apply_standard};
    struct spread a, b;
    size_t *slots, count, which = 0;
    bool back = false, is_factor = false;
    enum gal_status st = take_sources(c, &slots, &count);

    gal_step_bool(c, "clip", &number.cut);
    gal_step_bool(c, "invert", &back);
    if (st == GAL_OK)
        st = choose_scale(c, &which);
    if (st == GAL_OK)
        st = read_spread(c, scales[which].low, 0, slots, count, &a);
    if (st == GAL_OK)
        st = read_spread(c, scales[which].high, 1, slots, count, &b);
    if (st == GAL_OK && which == 1) {
        is_factor = true;
        number.apply = apply_factor;
        st = read_range(c, &number, &a, &b, count);
    } else if (st == GAL_OK)
        st = check_divisors(c, scales[which].high, &b);
    if (st == GAL_OK && back)
        invert(&number, &is_factor);
    return st == GAL_OK ? add_spread(c, number, &a, &b) : st;
}

/* --- log, exp, power, sigmoid: one number or two for all --- */

static size_t apply_log(const struct number *p, double *v, size_t n, const struct pair *by,
                        size_t stride)
{
    (void)stride;
    for (size_t i = 0; i < n; i++) {
        if (v[i] + by->a <= 0)
            return i;
        v[i] = by->a == 1 ? log1p(v[i]) : log(v[i] + by->a);
    }
    for (size_t i = 0; p->cut && i < n; i++)
        v[i] /= by->b;
    return n;
}

static size_t apply_exp(const struct number *p, double *v, size_t n, const struct pair *by,
                        size_t stride)
{
    (void)stride;
    for (size_t i = 0; i < n; i++) {
        double x = p->cut ? v[i] * by->b : v[i];

        v[i] = by->a == 1 ? expm1(x) : exp(x) - by->a;
    }
    return n;
}

static enum gal_status make_log(struct gal_step_compiler *c, const char *shift,
                                struct number number)
{
    double by = 0, base = 0;
    struct spread a = {&by, 1}, b = {&base, 1};
    size_t *slots, count;
    enum gal_status st = take_sources(c, &slots, &count);

    (void)gal_step_number(c, shift, &by);
    number.cut = gal_step_number(c, "base", &base);
    if (st == GAL_OK && number.cut && (!(base > 0) || base == 1 || !isfinite(base)))
        return gal_step_refuse(c, gal_step_line(c, "base"),
                               "%s: %g is no base: it is more than 0 and not 1", c->kind->name,
                               base);
    base = log(base);
    return st == GAL_OK ? add_spread(c, number, &a, &b) : st;
}

enum gal_status gal_step_make_log(struct gal_step_compiler *c)
{
    return make_log(c, "plus", (struct number){.apply = apply_log, .fault = "has no logarithm"});
}

enum gal_status gal_step_make_exp(struct gal_step_compiler *c)
{
    return make_log(c, "minus", (struct number){.apply = apply_exp});
}

static size_t apply_yeo_johnson(const struct number *p, double *v, size_t n, const struct pair *by,
                                size_t stride)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        double by_i = by[i * stride].a, two = 2 - by_i;

        if (v[i] >= 0)
            v[i] = by_i == 0 ? log1p(v[i]) : (pow(v[i] + 1, by_i) - 1) / by_i;
        else if (v[i] < 0)
            v[i] = two == 0 ? -log1p(-v[i]) : -(pow(1 - v[i], two) - 1) / two;
    }
    return n;
}

static size_t apply_box_cox(const struct number *p, double *v, size_t n, const struct pair *by,
                            size_t stride)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        double by_i = by[i * stride].a;

        if (v[i] <= 0)
            return i;
        v[i] = by_i == 0 ? log(v[i]) : (pow(v[i], by_i) - 1) / by_i;
    }
    return n;
}

static size_t apply_power(const struct number *p, double *v, size_t n, const struct pair *by,
                          size_t stride)
{
    (void)p;
    for (size_t i = 0; i < n; i++) {
        double raised = pow(v[i], by[i * stride].a);

        if (isnan(raised) && !isnan(v[i]))
            return i;
        v[i] = raised;
    }
    return n;
}

enum gal_status gal_step_make_power(struct gal_step_compiler *c)
{
    static size_t (*const methods[])(const struct number *, double *, size_t, const struct pair *,
                                     size_t) = {apply_yeo_johnson, apply_box_cox, apply_power};
    static const char *const faults[] = {"", "is not more than 0: Box-Cox knows no such value",
                                         "has no such power"};
    size_t *slots, count, method = gal_step_choice(c, "method", 0);
    struct spread a;
    enum gal_status st = take_sources(c, &slots, &count);

    if (st == GAL_OK)
        st = read_spread(c, "lambdas", 1, slots, count, &a);
    if (st != GAL_OK)
        return st;
    return add_spread(c, (struct number){.apply = methods[method], .fault = faults[method]}, &a,
                      &a);
}

static size_t apply_sigmoid(const struct number *p, double *v, size_t n, const struct pair *by,
                            size_t stride)
{
    (void)p, (void)by, (void)stride;
    for (size_t i = 0; i < n; i++) { /* e^x of what is not positive: no overflow */
        double e = exp(-fabs(v[i]));

        v[i] = v[i] >= 0 ? 1 / (1 + e) : e / (1 + e);
    }
    return n;
}

enum gal_status gal_step_make_sigmoid(struct gal_step_compiler *c)
{
    double zero = 0;
    struct spread none = {&zero, 1};
    size_t *slots, count;
    enum gal_status st = take_sources(c, &slots, &count);

    return st == GAL_OK ? add_spread(c, (struct number){.apply = apply_sigmoid}, &none, &none) : st;
}

/* --- round --- */

static size_t apply_round(const struct number *p, double *v, size_t n, const struct pair *by,
                          size_t stride)
{
    (void)stride;
    for (size_t i = 0; !p->cut && i < n; i++) {
        double rounded = rint(v[i] * by->a) / by->a;

        v[i] = isfinite(rounded) ? rounded : v[i]; /* too large to have such digits */
    }
    for (size_t i = 0; p->cut && i < n; i++)
        v[i] = rint(v[i] / by->a) * by->a;
    return n;
}

static enum gal_status run_same(const struct gal_step *s, struct gal_step_run *r)
{
    r->slots[s->out] = r->slots[s->in];
    return GAL_OK;
}

enum gal_status gal_step_make_round(struct gal_step_compiler *c)
{
    int64_t digits = 0;
    size_t *slots, count;
    enum gal_status st = gal_step_sources(c, &slots, &count);
    struct pair *by = gal_arena_small(c->arena, sizeof(*by));
    struct number number = {.apply = apply_round, .pairs = by, .pair_count = 1};

    if (by == NULL)
        return gal_step_no_memory(c->arena, c->err);
    (void)gal_step_integer(c, "digits", &digits);
    if (st == GAL_OK && (digits < -15 || digits > 15))
        return gal_step_refuse(c, gal_step_line(c, "digits"), "round: `digits` is from -15 to 15");
    number.cut = digits < 0;
    *by = (struct pair){pow(10, (double)(digits < 0 ? -digits : digits)), 0};
    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        enum gal_dtype dtype = gal_step_column(c, slots[i])->dtype;
        bool whole = !gal_dtype_is_float(dtype);

        st = gal_step_want_numbers(c, slots[i]);
        if (st == GAL_OK && whole && digits < 0)
            st = gal_step_refuse(c, gal_step_line(c, "digits"),
                                 "round: whole numbers have no fewer digits; cast them to FP64");
        if (st == GAL_OK)
            st = add_number(c, slots[i], dtype, &number, whole ? run_same : run_number);
    }
    return st;
}

/* --- clip --- */

static size_t apply_clip(const struct number *p, double *v, size_t n, const struct pair *by,
                         size_t stride)
{
    (void)p;
    for (size_t i = 0; i < n; i++) { /* NaN passes */
        double low = by[i * stride].a, high = by[i * stride].b;

        v[i] = v[i] < low ? low : v[i] > high ? high : v[i];
    }
    return n;
}

// NOLINTBEGIN(bugprone-macro-parentheses): a type
#define GAL_CLIP(type, min, max)                                                                   \
    do {                                                                                           \
        const type *from_ = t->data;                                                               \
        type *to_ = out;                                                                           \
        for (size_t i = 0; i < t->count; i++) {                                                    \
            const struct pair *by_ = &p->pairs[p->pair_count == 1 ? 0 : i % p->pair_count];        \
            type low_ = (type)(by_->a <= (double)(min) ? (type)(min) : (type)by_->a);              \
            type high_ = (type)(by_->b >= (double)(max) ? (type)(max) : (type)by_->b);             \
            to_[i] = from_[i] < low_ ? low_ : from_[i] > high_ ? high_ : from_[i];                 \
        }                                                                                          \
    } while (0)
// NOLINTEND(bugprone-macro-parentheses)

/* Whole numbers stay what they are: 2^63 - 1 has no FP64. */
static enum gal_status run_clip_whole(const struct gal_step *s, struct gal_step_run *r)
{
    const struct number *p = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);

    if (out == NULL)
        return gal_step_no_out(r);
    switch (t->dtype) {
    case GAL_DT_INT64:
        GAL_CLIP(int64_t, INT64_MIN, INT64_MAX);
        break;
    case GAL_DT_INT32:
        GAL_CLIP(int32_t, INT32_MIN, INT32_MAX);
        break;
    case GAL_DT_INT16:
        GAL_CLIP(int16_t, INT16_MIN, INT16_MAX);
        break;
    case GAL_DT_INT8:
        GAL_CLIP(int8_t, INT8_MIN, INT8_MAX);
        break;
    case GAL_DT_UINT64:
        GAL_CLIP(uint64_t, 0, UINT64_MAX);
        break;
    case GAL_DT_UINT32:
        GAL_CLIP(uint32_t, 0, UINT32_MAX);
        break;
    case GAL_DT_UINT16:
        GAL_CLIP(uint16_t, 0, UINT16_MAX);
        break;
    default:
        GAL_CLIP(uint8_t, 0, UINT8_MAX);
        break;
    }
    return GAL_OK;
}

/* Bounds of whole numbers are whole, and the datatype's own stand for those beyond. */
static bool fits_whole(double low, double high, enum gal_dtype t)
{
    double bits = (double)gal_dtype_size(t) * 8;
    bool is_signed = t >= GAL_DT_INT8 && t <= GAL_DT_INT64;
    double least = is_signed ? -ldexp(1, (int)bits - 1) : 0;
    double most = is_signed ? ldexp(1, (int)bits - 1) : ldexp(1, (int)bits);

    return (low == floor(low) || !isfinite(low)) && (high == floor(high) || !isfinite(high)) &&
           low < most && high >= least;
}

enum gal_status gal_step_make_clip(struct gal_step_compiler *c)
{
    struct spread low, high;
    size_t *slots, count, first = c->slot_count;
    enum gal_status st = take_sources(c, &slots, &count);

    if (st == GAL_OK && gal_step_get(c, "min") == NULL && gal_step_get(c, "max") == NULL)
        st = gal_step_refuse(c, c->line, "clip needs min, max or both");
    if (st == GAL_OK)
        st = read_spread(c, "min", -(double)INFINITY, slots, count, &low);
    if (st == GAL_OK)
        st = read_spread(c, "max", (double)INFINITY, slots, count, &high);
    if (st == GAL_OK)
        st = add_spread(c, (struct number){.apply = apply_clip}, &low, &high);
    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        struct gal_step *step = &c->steps[c->step_count - count + i];
        const struct number *number = step->state;
        enum gal_dtype dtype = gal_step_column(c, slots[i])->dtype;

        c->slots[first + i].column.dtype = dtype; /* not a float's: as it was */
        if (!gal_dtype_is_float(dtype))
            step->run = run_clip_whole;
        for (size_t j = 0; j < number->pair_count; j++) {
            struct pair by = number->pairs[j];

            if (!(by.a <= by.b))
                return gal_step_refuse(c, c->line, "clip: min %g and max %g leave nothing", by.a,
                                       by.b);
            if (!gal_dtype_is_float(dtype) && !fits_whole(by.a, by.b, dtype))
                return gal_step_refuse(c, c->line, "clip: '%.*s' is %s: %g and %g do not bound it",
                                       GAL_STR_SHOWN(gal_step_column(c, slots[i])->name),
                                       gal_dtype_name(dtype), by.a, by.b);
        }
    }
    return st;
}
