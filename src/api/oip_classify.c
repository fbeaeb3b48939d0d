/* SPDX-License-Identifier: Apache-2.0 */
/* The classification extension: the best classes of each row, as text. */
#include "api/oip.h"
#include "text/json.h"

#define MINUS_INFINITY (-__builtin_inf())

/* One row of scores and the best of them, worst first: a heap of `count` indexes. */
struct best {
    const struct gal_tensor *t;
    size_t start; /* of the row in t */
    size_t *heap;
    size_t count;
};

static uint64_t uint_at(const struct gal_tensor *t, size_t i)
{
    switch (t->dtype) {
    case GAL_DT_UINT16:
        return ((const uint16_t *)t->data)[i];
    case GAL_DT_UINT32:
        return ((const uint32_t *)t->data)[i];
    case GAL_DT_UINT64:
        return ((const uint64_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i]; /* BOOL too */
    }
}

static bool is_uint(enum gal_dtype t)
{
    return t == GAL_DT_BOOL || t == GAL_DT_UINT8 || t == GAL_DT_UINT16 || t == GAL_DT_UINT32 ||
           t == GAL_DT_UINT64;
}

static int64_t int_at(const struct gal_tensor *t, size_t i)
{
    switch (t->dtype) {
    case GAL_DT_INT8:
        return ((const int8_t *)t->data)[i];
    case GAL_DT_INT16:
        return ((const int16_t *)t->data)[i];
    case GAL_DT_INT32:
        return ((const int32_t *)t->data)[i];
    default:
        return ((const int64_t *)t->data)[i];
    }
}

/* -1, 0, 1; NaN is below everything. */
static int order(const struct gal_tensor *t, size_t a, size_t b)
{
    if (gal_dtype_is_float(t->dtype)) {
        double x = gal_tensor_number(t, a), y = gal_tensor_number(t, b);
        bool nx = x != x, ny = y != y;
        return nx || ny ? ny - nx : (x > y) - (x < y);
    }
    if (is_uint(t->dtype))
        return (uint_at(t, a) > uint_at(t, b)) - (uint_at(t, a) < uint_at(t, b));
    return (int_at(t, a) > int_at(t, b)) - (int_at(t, a) < int_at(t, b));
}

/* Comes a behind b? Of equals the later does. */
static bool is_worse(const struct best *h, size_t a, size_t b)
{
    int o = order(h->t, h->start + a, h->start + b);

    return o < 0 || (o == 0 && a > b);
}

static void sift_down(struct best *h, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1, moved = h->heap[at];

        if (child >= h->count)
            return;
        if (child + 1 < h->count && is_worse(h, h->heap[child + 1], h->heap[child]))
            child++;
        if (is_worse(h, moved, h->heap[child]))
            return;
        h->heap[at] = h->heap[child];
        h->heap[child] = moved;
        at = child;
    }
}

/* The k best of n into h->heap, best first. */
static void pick(struct best *h, size_t n, size_t k)
{
    h->count = k;
    for (size_t i = 0; i < k; i++)
        h->heap[i] = i;
    for (size_t i = k / 2; i > 0; i--)
        sift_down(h, i - 1);
    for (size_t i = k; i < n && k > 0; i++) {
        if (is_worse(h, i, h->heap[0]))
            continue;
        h->heap[0] = i;
        sift_down(h, 0);
    }
    while (h->count > 1) { /* the worst goes to the end */
        size_t worst = h->heap[0];
        h->count--;
        h->heap[0] = h->heap[h->count];
        h->heap[h->count] = worst;
        sift_down(h, 0);
    }
}

/* --- text --- */

/* Shortest text that reads back to the same number. */
static char *write_score(char *p, const struct gal_tensor *t, size_t i)
{
    double d;

    if (is_uint(t->dtype))
        return gal_json_write_u64(p, uint_at(t, i));
    if (!gal_dtype_is_float(t->dtype))
        return gal_json_write_i64(p, int_at(t, i));
    d = gal_tensor_number(t, i);
    if (d != d || d == __builtin_inf() || d == MINUS_INFINITY) {
        const char *word = d != d ? "nan" : d > 0 ? "inf" : "-inf";
        memcpy(p, word, strlen(word));
        return p + strlen(word);
    }
    return t->dtype == GAL_DT_FP64 ? gal_json_write_f64(p, d) : gal_json_write_f32(p, (float)d);
}

static bool put_class(const struct gal_tensor *t, size_t at, size_t index,
                      const struct gal_labels *labels, struct gal_arena *arena, struct gal_str *out)
{
    struct gal_str label = {NULL, 0};
    char *text, *end;

    if (labels != NULL && labels->names != NULL && index < labels->count)
        label = labels->names[index];
    text = gal_arena_small(arena, GAL_JSON_NUMBER_MAX + GAL_U64_CHARS_MAX + 2 + label.n);
    if (text == NULL)
        return false;
    end = write_score(text, t, at);
    *end++ = ':';
    end = gal_u64_write(end, index);
    if (label.n > 0) {
        *end++ = ':';
        memcpy(end, label.p, label.n);
        end += label.n;
    }
    *out = (struct gal_str){text, (size_t)(end - text)};
    return true;
}

/* --- values --- */

/* A label a column, where the model's own maps bring them. */
static enum gal_status labels_of_maps(const struct gal_tensor *keys, struct gal_arena *arena,
                                      struct gal_labels *out, struct gal_err *err)
{
    struct gal_str *names = gal_arena_array(arena, keys->count, sizeof(*names));

    for (size_t i = 0; names != NULL && i < keys->count; i++) {
        char *text;

        if (keys->dtype == GAL_DT_BYTES) {
            names[i] = ((const struct gal_str *)keys->data)[i];
            continue;
        }
        text = gal_arena_small(arena, GAL_JSON_NUMBER_MAX);
        if (text == NULL)
            names = NULL;
        else
            names[i] = (struct gal_str){text, (size_t)(write_score(text, keys, i) - text)};
    }
    *out = (struct gal_labels){names, keys->count};
    return names != NULL ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for labels");
}

static enum gal_status fail_kind(const struct gal_value *v, const char *type, struct gal_err *err)
{
    return gal_fail(err, GAL_UNSUPPORTED,
                    "class result not available for output '%.*s' due to unsupported type '%s'",
                    GAL_STR_ARG(v->tensor.name), type);
}

static enum gal_status classify(const struct gal_tensor *t, bool batched, uint32_t classes,
                                const struct gal_labels *labels, struct gal_arena *arena,
                                struct gal_value *out, struct gal_err *err)
{
    size_t rows = batched && t->rank > 0 ? (size_t)t->shape[0] : 1;
    size_t row = rows > 0 ? t->count / rows : 0, k = classes < row ? classes : row;
    int64_t *shape = gal_arena_small(arena, 2 * sizeof(*shape));
    struct best h = {.t = t, .heap = gal_arena_array(arena, k + 1, sizeof(size_t))};
    struct gal_str *texts = gal_arena_array(arena, rows * k + 1, sizeof(*texts));
    bool done = shape != NULL && h.heap != NULL && texts != NULL;

    for (size_t r = 0; done && r < rows; r++) {
        h.start = r * row;
        pick(&h, row, k);
        for (size_t i = 0; done && i < k; i++)
            done = put_class(t, h.start + h.heap[i], h.heap[i], labels, arena, &texts[r * k + i]);
    }
    if (!done)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the classes of output '%.*s'",
                        GAL_STR_ARG(t->name));
    shape[0] = (int64_t)(batched && t->rank > 0 ? rows : k);
    shape[1] = (int64_t)k;
    *out = (struct gal_value){.kind = GAL_KIND_TENSOR,
                              .tensor = {.name = t->name,
                                         .dtype = GAL_DT_BYTES,
                                         .rank = batched && t->rank > 0 ? 2 : 1,
                                         .shape = shape,
                                         .count = rows * k,
                                         .data = texts}};
    return GAL_OK;
}

enum gal_status gal_oip_classify(const struct gal_value *v, bool batched, uint32_t classes,
                                 const struct gal_labels *labels, struct gal_arena *arena,
                                 struct gal_value *out, struct gal_err *err)
{
    struct gal_tensor keys, scores;
    struct gal_labels own;
    enum gal_status st;

    if (v->kind == GAL_KIND_TENSOR) {
        if (v->tensor.dtype == GAL_DT_BYTES || gal_dtype_size(v->tensor.dtype) == 0)
            return fail_kind(v, gal_dtype_name(v->tensor.dtype), err);
        return classify(&v->tensor, batched, classes, labels, arena, out, err);
    }
    if (v->kind == GAL_KIND_NONE)
        return fail_kind(v, "none", err);
    st = gal_value_zipmap(v, arena, &keys, &scores, err);
    if (st == GAL_OK)
        st = labels_of_maps(&keys, arena, &own, err);
    return st == GAL_OK ? classify(&scores, true, classes, &own, arena, out, err) : st;
}
