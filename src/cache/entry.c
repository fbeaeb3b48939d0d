/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/entry.h"

#include "base/limits.h"
#include "base/mem.h"

#include <stdatomic.h>

#define ALIGN 16u /* of each piece: what every datatype and struct wants */

static bool add(size_t *sum, size_t n)
{
    return n <= SIZE_MAX - ALIGN &&
           !__builtin_add_overflow(*sum, (n + ALIGN - 1) / ALIGN * ALIGN, sum);
}

/* Bytes of a tensor's elements as they lie here: BYTES as structs with their text behind them. */
static bool data_size(const struct gal_tensor *t, size_t *bytes)
{
    if (__builtin_mul_overflow(t->count, gal_dtype_size(t->dtype), bytes))
        return false;
    for (size_t i = 0; t->dtype == GAL_DT_BYTES && i < t->count; i++)
        if (__builtin_add_overflow(*bytes, ((const struct gal_str *)t->data)[i].n, bytes))
            return false;
    return true;
}

static bool add_tensor(size_t *sum, const struct gal_tensor *t)
{
    size_t bytes;
    return gal_dtype_size(t->dtype) > 0 && data_size(t, &bytes) && add(sum, bytes) &&
           add(sum, t->rank * sizeof(*t->shape));
}

/* A value's parts one below the other: sequences hold maps, maps hold tensors, no deeper. */
static bool add_value(size_t *sum, const struct gal_value *v, unsigned depth)
{
    if (!add(sum, v->tensor.name.n))
        return false;
    if (v->kind == GAL_KIND_NONE)
        return true;
    if (v->kind == GAL_KIND_TENSOR)
        return add_tensor(sum, &v->tensor);
    if (depth == GAL_CACHE_DEPTH_MAX || !add(sum, v->count * sizeof(*v->items)))
        return false;
    for (size_t i = 0; i < v->count; i++)
        if (!add_value(sum, &v->items[i], depth + 1))
            return false;
    return true;
}

size_t gal_cache_entry_size(struct gal_str key, const struct gal_value *outputs, size_t count)
{
    size_t sum = 0;

    if (!add(&sum, sizeof(struct gal_cache_entry)) || !add(&sum, key.n) ||
        !add(&sum, count * sizeof(*outputs)))
        return 0;
    for (size_t i = 0; i < count; i++)
        if (!add_value(&sum, &outputs[i], 0))
            return 0;
    return sum;
}

static char *take(char **at, size_t n)
{
    char *p = *at;
    *at += (n + ALIGN - 1) / ALIGN * ALIGN;
    return p;
}

static char *copy(char **at, const void *from, size_t n)
{
    char *to = take(at, n);
    if (n > 0)
        memcpy(to, from, n);
    return to;
}

static const void *copy_texts(char **at, const struct gal_tensor *t)
{
    const struct gal_str *from = t->data;
    size_t bytes = 0;
    (void)data_size(t, &bytes); /* it has been found to fit */
    struct gal_str *to = (struct gal_str *)(void *)take(at, bytes);
    char *text = (char *)(to + t->count);

    for (size_t i = 0; i < t->count; i++) {
        to[i] = (struct gal_str){text, from[i].n};
        if (from[i].n > 0)
            memcpy(text, from[i].p, from[i].n);
        text += from[i].n;
    }
    return to;
}

static void copy_value(char **at, const struct gal_value *from, struct gal_value *to);

static const struct gal_value *copy_values(char **at, const struct gal_value *from, size_t count)
{
    struct gal_value *to = (struct gal_value *)(void *)take(at, count * sizeof(*to));

    for (size_t i = 0; i < count; i++)
        copy_value(at, &from[i], &to[i]);
    return to;
}

static void copy_value(char **at, const struct gal_value *from, struct gal_value *to)
{
    const struct gal_tensor *t = &from->tensor;

    *to = (struct gal_value){.kind = from->kind};
    to->tensor.name = (struct gal_str){copy(at, t->name.p, t->name.n), t->name.n};
    if (from->kind == GAL_KIND_TENSOR) {
        to->tensor = (struct gal_tensor){to->tensor.name, t->dtype, t->rank, NULL, t->count, NULL};
        to->tensor.shape = (const int64_t *)(void *)copy(at, t->shape, t->rank * sizeof(*t->shape));
        if (t->dtype == GAL_DT_BYTES)
            to->tensor.data = copy_texts(at, t);
        else
            to->tensor.data = copy(at, t->data, t->count * gal_dtype_size(t->dtype));
    } else if (from->kind != GAL_KIND_NONE) {
        to->count = from->count;
        to->items = (struct gal_value *)copy_values(at, from->items, from->count);
    }
}

enum gal_status gal_cache_entry_new(struct gal_str key, const struct gal_value *outputs,
                                    size_t count, struct gal_cache_entry **out, struct gal_err *err)
{
    size_t bytes = gal_cache_entry_size(key, outputs, count);
    struct gal_cache_entry *e;
    char *at;

    *out = NULL;
    if (bytes == 0)
        return gal_fail(err, GAL_UNSUPPORTED, "an output has a form that is not cached");
    at = gal_alloc(bytes);
    if (at == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an answer of %zu bytes", bytes);
    e = (struct gal_cache_entry *)(void *)take(&at, sizeof(*e));
    *e = (struct gal_cache_entry){.output_count = count, .bytes = bytes, .refs = 1};
    e->key = (struct gal_str){copy(&at, key.p, key.n), key.n};
    e->outputs = copy_values(&at, outputs, count);
    GAL_ASSERT((size_t)(at - (char *)e) == bytes);
    *out = e;
    return GAL_OK;
}

struct gal_cache_entry *gal_cache_entry_ref(struct gal_cache_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void gal_cache_entry_unref(struct gal_cache_entry *e)
{
    if (e != NULL && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        gal_free(e);
}
