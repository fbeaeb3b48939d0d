/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that count buckets: bucketize by edges, hash by what a text is. */
#include "package/step_impl.h"

#include "base/limits.h"

#include <math.h>

/* --- bucketize --- */

struct edges {
    double *at; /* rising, as the column's datatype would hold them */
    size_t count;
    bool right;
};

/* How many edges lie below v, or on it. */
static size_t bucket_of(const struct edges *e, double v)
{
    size_t low = 0, high = e->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (e->right ? e->at[middle] < v : e->at[middle] <= v)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum gal_status run_bucketize(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    void *out = gal_step_out(r, s->out, t);
    double v[GAL_STEP_BLOCK];

    if (out == NULL)
        return gal_step_no_out(r);
    for (size_t at = 0, n; (n = gal_step_block(v, t, at)) > 0; at += n) {
        for (size_t i = 0; i < n; i++) {
            if (isnan(v[i]))
                return gal_step_fail_at(r, s->in, at + i,
                                        "NaN belongs to no bucket: impute comes before");
            v[i] = (double)bucket_of(s->state, v[i]);
        }
        gal_step_store(out, r->slots[s->out].tensor.dtype, at, v, n);
    }
    return GAL_OK;
}

/* Can it count to `most`? */
static enum gal_status check_counts(struct gal_step_compiler *c, enum gal_dtype dtype, double most)
{
    int bits = (int)gal_dtype_size(dtype) * 8;
    double holds = dtype == GAL_DT_FP16 || dtype == GAL_DT_BF16
                       ? (dtype == GAL_DT_FP16 ? 2048 : 256)
                   : dtype == GAL_DT_FP32 ? 16777216
                   : dtype == GAL_DT_BOOL ? 1
                                          : ldexp(1, bits - 1);

    if (dtype != GAL_DT_BYTES && most <= holds)
        return GAL_OK;
    return gal_step_refuse(c, gal_step_line(c, "type"), "%s: %s does not count to %.0f",
                           c->kind->name, gal_dtype_name(dtype), most);
}

enum gal_status gal_step_make_bucketize(struct gal_step_compiler *c)
{
    struct edges *e = gal_arena_small(c->arena, sizeof(*e));
    struct gal_step step = {.run = run_bucketize, .out_more = SIZE_MAX, .state = e};
    struct gal_column column;
    enum gal_status st = gal_step_source(c, &step.in);

    if (e == NULL)
        return gal_step_no_memory(c->arena, c->err);
    e->right = false;
    gal_step_bool(c, "right", &e->right);
    if (st == GAL_OK)
        st = gal_step_want_numbers(c, step.in);
    if (st == GAL_OK)
        st = gal_step_numbers(c, "edges", &e->at, &e->count);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    for (size_t i = 0; i < e->count; i++) {
        if (isnan(e->at[i]) || (i > 0 && !(e->at[i - 1] < e->at[i])))
            return gal_step_refuse(c, gal_step_line(c, "edges"),
                                   "bucketize: `edges` rise, and %g does not", e->at[i]);
    }
    for (size_t i = 0; i < e->count; i++)
        e->at[i] = gal_step_narrow(e->at[i], column.dtype);
    column.name = gal_step_to(c, step.in);
    column.dtype = gal_step_dtype(c, GAL_DT_INT64);
    column.labels = NULL;
    st = check_counts(c, column.dtype, (double)e->count);
    return st == GAL_OK ? gal_step_finish(c, &column, &step) : st;
}

/* --- MurmurHash3 --- */

static uint32_t turn(uint32_t v, unsigned by)
{
    return (v << by) | (v >> (32 - by));
}

static uint32_t mix(uint32_t k)
{
    return turn(k * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32_t gal_murmur3_32(struct gal_str s, uint32_t seed)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t whole = s.n & ~(size_t)3;
    uint32_t h = seed, k = 0;

    for (size_t i = 0; i < whole; i += 4) {
        k = (uint32_t)p[i] | (uint32_t)p[i + 1] << 8 | (uint32_t)p[i + 2] << 16 |
            (uint32_t)p[i + 3] << 24;
        h = turn(h ^ mix(k), 13) * 5 + 0xe6546b64u;
    }
    k = 0;
    for (size_t i = s.n; i > whole; i--)
        k = k << 8 | p[i - 1];
    if (s.n > whole)
        h ^= mix(k);
    h ^= (uint32_t)s.n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* --- hash --- */

struct hash {
    struct gal_str prefix;
    uint32_t seed;
    uint64_t buckets;
    bool vector, alternate;
};

/* FeatureHasher takes the number as signed and its size as the bucket. */
static uint64_t bucket_of_hash(const struct hash *h, uint32_t v)
{
    int64_t number = (int32_t)v;

    if (number == INT32_MIN)
        return (uint64_t)(INT32_MAX - ((int64_t)h->buckets - 1)) % h->buckets;
    return (uint64_t)(number < 0 ? -number : number) % h->buckets;
}

/* Prefix and text behind each other; `*room` is scratch of the arena. */
static enum gal_status join(const struct hash *h, struct gal_str text, char **room, size_t *cap,
                            struct gal_step_run *r, struct gal_str *out)
{
    size_t n;

    *out = text;
    if (h->prefix.n == 0)
        return GAL_OK;
    if (__builtin_add_overflow(h->prefix.n, text.n, &n))
        n = SIZE_MAX;
    if (n > *cap) {
        *room = gal_arena_small(r->arena, n);
        *cap = *room != NULL ? n : 0;
        if (*room == NULL)
            return gal_step_no_memory(r->arena, r->err);
        memcpy(*room, h->prefix.p, h->prefix.n);
    }
    if (text.n > 0 && *room != NULL)
        memcpy(*room + h->prefix.n, text.p, text.n);
    *out = (struct gal_str){*room, n};
    return GAL_OK;
}

static enum gal_status run_hash(const struct gal_step *s, struct gal_step_run *r)
{
    const struct hash *h = s->state;
    const struct gal_tensor *t = gal_step_in(r, s->in);
    char *out = gal_step_out(r, s->out, t), *room = NULL;
    enum gal_dtype dtype = r->slots[s->out].tensor.dtype;
    size_t cap = 0;

    if (out == NULL)
        return gal_step_no_out(r);
    if (h->vector)
        memset(out, 0, r->slots[s->out].tensor.count * gal_dtype_size(dtype));
    for (size_t i = 0; i < t->count; i++) {
        struct gal_str text;
        enum gal_status st = join(h, ((const struct gal_str *)t->data)[i], &room, &cap, r, &text);
        uint32_t v;
        double value;

        if (st != GAL_OK)
            return st;
        v = gal_murmur3_32(text, h->seed);
        value = !h->vector                               ? (double)bucket_of_hash(h, v)
                : h->alternate && (v & 0x80000000u) != 0 ? -1
                                                         : 1;
        gal_step_store(out, dtype, h->vector ? i * h->buckets + bucket_of_hash(h, v) : i, &value,
                       1);
    }
    return GAL_OK;
}

static enum gal_status read_hash(struct gal_step_compiler *c, struct hash *h)
{
    int64_t buckets = 0, seed = 0;
    struct gal_str prefix = {NULL, 0};
    char *copy;

    (void)gal_step_integer(c, "buckets", &buckets);
    (void)gal_step_integer(c, "seed", &seed);
    gal_step_text(c, "prefix", &prefix);
    copy = gal_arena_strdup(c->arena, prefix);
    if (copy == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *h = (struct hash){.prefix = {copy, prefix.n},
                       .seed = (uint32_t)seed,
                       .buckets = (uint64_t)buckets,
                       .vector = gal_step_choice(c, "as", 0) == 1,
                       .alternate = true};
    gal_step_bool(c, "alternate_sign", &h->alternate);
    if (buckets < 1 || buckets > (h->vector ? (int64_t)GAL_STEP_WIDTH_MAX : INT32_MAX))
        return gal_step_refuse(c, gal_step_line(c, "buckets"), "hash: `buckets` is from 1 to %lld",
                               h->vector ? (long long)GAL_STEP_WIDTH_MAX : (long long)INT32_MAX);
    if (seed < INT32_MIN || seed > (int64_t)UINT32_MAX)
        return gal_step_refuse(c, gal_step_line(c, "seed"), "hash: `seed` has 32 bits");
    return GAL_OK;
}

enum gal_status gal_step_make_hash(struct gal_step_compiler *c)
{
    struct hash *h = gal_arena_small(c->arena, sizeof(*h));
    struct gal_step step = {.run = run_hash, .out_more = SIZE_MAX, .state = h};
    struct gal_column column = {.rank = 0};
    int64_t width;
    enum gal_status st = gal_step_source(c, &step.in);

    if (h == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_text(c, step.in);
    if (st == GAL_OK)
        st = read_hash(c, h);
    if (st == GAL_OK && h->vector)
        st = gal_step_want_single(c, step.in);
    if (st != GAL_OK)
        return st;
    column = *gal_step_column(c, step.in);
    column.labels = NULL;
    column.name = gal_step_to(c, step.in);
    column.dtype = gal_step_dtype(c, h->vector ? GAL_DT_FP32 : GAL_DT_INT64);
    width = (int64_t)h->buckets;
    if (h->vector) {
        column.rank = 1;
        column.shape = &width;
        if (!gal_dtype_is_float(column.dtype) &&
            (column.dtype < GAL_DT_INT8 || column.dtype > GAL_DT_INT64))
            st = gal_step_refuse(c, gal_step_line(c, "type"), "hash: %s does not hold -1",
                                 gal_dtype_name(column.dtype));
    } else
        st = check_counts(c, column.dtype, (double)h->buckets);
    return st == GAL_OK ? gal_step_finish(c, &column, &step) : st;
}
