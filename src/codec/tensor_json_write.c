/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors to JSON. Room is reserved for a chunk of numbers at a time, and the loop over them writes
 * without looking at the buffer. */
#include "codec/tensor_json.h"

#include "base/decimal.h"
#include "base/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 256u /* elements a reservation: bounds what is reserved and not used */

/* --- FP16 and BF16: the shortest decimal that reads back the same --- */

static double from_16(uint16_t h, bool bf16)
{
    return (double)(bf16 ? gal_bf16_to_fp32(h) : gal_fp16_to_fp32(h));
}

static uint16_t to_16(double d, bool bf16)
{
    return bf16 ? gal_bf16_from_fp64(d) : gal_fp16_from_fp64(d);
}

/* The double nearest to digits * 10^exponent. Exact powers of ten up to 10^22 make one correctly
 * rounded operation of it; beyond them (BF16 only) the library does it. */
static double decimal(long digits, int exponent)
{
    char text[32];

    if (exponent > -GAL_POW10_COUNT && exponent < GAL_POW10_COUNT)
        return exponent < 0 ? (double)digits / gal_pow10[-exponent]
                            : (double)digits * gal_pow10[exponent];
    snprintf(text, sizeof(text), "%lde%d", digits, exponent);
    return strtod(text, NULL);
}

/* A double whose own shortest text is the shortest text that reads back to h. v > 0, finite. */
static double shortest_16(double v, uint16_t h, bool bf16)
{
    uint64_t bits;
    int exponent; /* of v's first digit */

    memcpy(&bits, &v, sizeof(bits));
    exponent = ((int)(bits >> 52) - 1023) * 1233 / 4096; /* log10(2) */
    while (v < decimal(1, exponent))
        exponent--;
    while (v >= decimal(1, exponent + 1))
        exponent++;
    for (int digits = 1; digits <= 5; digits++) {
        int scale = exponent - digits + 1;
        double x = v / decimal(1, scale);
        long near = (long)(x + 0.5), other = (double)near > x ? near - 1 : near + 1;

        if (to_16(decimal(near, scale), bf16) == h)
            return decimal(near, scale);
        /* The numbers that round to a power of two reach further up than down. */
        if (to_16(decimal(other, scale), bf16) == h)
            return decimal(other, scale);
    }
    return v;
}

static char *write_16(char *p, uint16_t h, bool bf16)
{
    double v = from_16(h, bf16);

    if (!(fabs(v) > 0) || isinf(v))
        return gal_json_write_f64(p, v);
    v = v < 0 ? -shortest_16(-v, h & 0x7fff, bf16) : shortest_16(v, h, bf16);
    return gal_json_write_f64(p, v);
}

/* --- runs --- */

#define WRITE_EACH(type, call)                                                                     \
    for (const type *v = (const type *)data + from, *end = v + n; v < end; v++) {                  \
        p = call;                                                                                  \
        *p++ = ',';                                                                                \
    }

/* n numbers from index `from`, a comma behind each; room is there. */
static char *write_numbers(char *p, enum gal_dtype dtype, const void *data, size_t from, size_t n)
{
    switch (dtype) {
    case GAL_DT_UINT8:
        WRITE_EACH(uint8_t, gal_json_write_u64(p, *v))
        break;
    case GAL_DT_UINT16:
        WRITE_EACH(uint16_t, gal_json_write_u64(p, *v))
        break;
    case GAL_DT_UINT32:
        WRITE_EACH(uint32_t, gal_json_write_u64(p, *v))
        break;
    case GAL_DT_UINT64:
        WRITE_EACH(uint64_t, gal_json_write_u64(p, *v))
        break;
    case GAL_DT_INT8:
        WRITE_EACH(int8_t, gal_json_write_i64(p, *v))
        break;
    case GAL_DT_INT16:
        WRITE_EACH(int16_t, gal_json_write_i64(p, *v))
        break;
    case GAL_DT_INT32:
        WRITE_EACH(int32_t, gal_json_write_i64(p, *v))
        break;
    case GAL_DT_INT64:
        WRITE_EACH(int64_t, gal_json_write_i64(p, *v))
        break;
    case GAL_DT_FP16:
        WRITE_EACH(uint16_t, write_16(p, *v, false))
        break;
    case GAL_DT_BF16:
        WRITE_EACH(uint16_t, write_16(p, *v, true))
        break;
    case GAL_DT_FP32:
        return gal_json_write_f32s(p, (const float *)data + from, n);
    default:
        WRITE_EACH(double, gal_json_write_f64(p, *v))
        break;
    }
    return p;
}

static void put_bools(const uint8_t *v, size_t n, struct gal_buf *out)
{
    for (size_t i = 0; i < n; i++)
        gal_buf_puts(out, v[i] ? "true," : "false,");
}

static enum gal_status put_texts(const struct gal_tensor *t, size_t from, size_t n,
                                 struct gal_buf *out, struct gal_err *err)
{
    const struct gal_str *v = (const struct gal_str *)t->data + from;

    for (size_t i = 0; i < n; i++) {
        if (!gal_utf8_valid(v[i])) {
            gal_fail(err, GAL_INVALID, "element %zu of '%.*s' is not UTF-8 text, which JSON needs",
                     from + i, GAL_STR_ARG(t->name));
            if (err != NULL)
                gal_err_hint(err, "ask for binary data");
            return GAL_INVALID;
        }
        gal_json_put_str(out, v[i]);
        gal_buf_putc(out, ',');
    }
    return GAL_OK;
}

/* n elements, a comma behind each. */
static enum gal_status put_run(const struct gal_tensor *t, size_t from, size_t n,
                               struct gal_buf *out, struct gal_err *err)
{
    if (n == 0)
        return GAL_OK; /* data may be NULL */
    if (t->dtype == GAL_DT_BYTES)
        return put_texts(t, from, n, out, err);
    if (gal_dtype_size(t->dtype) == 0)
        return gal_fail(err, GAL_UNSUPPORTED, "'%.*s' has a datatype without a form in JSON",
                        GAL_STR_ARG(t->name));
    if (t->dtype == GAL_DT_BOOL) {
        put_bools((const uint8_t *)t->data + from, n, out);
        return GAL_OK;
    }
    while (n > 0) {
        size_t chunk = n < CHUNK ? n : CHUNK;
        char *p = gal_buf_reserve(out, chunk * (GAL_JSON_NUMBER_MAX + 1));

        if (p == NULL)
            return GAL_OK; /* out->failed tells */
        out->n += (size_t)(write_numbers(p, t->dtype, t->data, from, chunk) - p);
        from += chunk;
        n -= chunk;
    }
    return GAL_OK;
}

/* Ends a list whose last element may have left a comma. */
static void close_list(struct gal_buf *out)
{
    if (out->n > 0 && out->p[out->n - 1] == ',')
        out->n--;
    gal_buf_putc(out, ']');
}

static enum gal_status put_list(const struct gal_tensor *t, size_t from, size_t n,
                                struct gal_buf *out, struct gal_err *err)
{
    enum gal_status st;

    gal_buf_putc(out, '[');
    st = put_run(t, from, n, out, err);
    close_list(out);
    return st;
}

enum gal_status gal_slice_to_json(const struct gal_tensor *t, size_t from, const int64_t *shape,
                                  size_t rank, struct gal_buf *out, struct gal_err *err)
{
    size_t stride = 1;

    if (rank == 0)
        return gal_element_to_json(t, from, out, err);
    if (rank == 1)
        return put_list(t, from, (size_t)shape[0], out, err);
    for (size_t d = 1; d < rank; d++)
        stride *= (size_t)shape[d];
    gal_buf_putc(out, '[');
    for (int64_t i = 0; i < shape[0] && !out->failed; i++, from += stride) {
        enum gal_status st = gal_slice_to_json(t, from, shape + 1, rank - 1, out, err);

        if (st != GAL_OK)
            return st;
        gal_buf_putc(out, ',');
    }
    close_list(out);
    return GAL_OK;
}

enum gal_status gal_tensor_to_json(const struct gal_tensor *t, bool nested, struct gal_buf *out,
                                   struct gal_err *err)
{
    if (nested)
        return gal_slice_to_json(t, 0, t->shape, t->rank, out, err);
    return put_list(t, 0, t->count, out, err);
}

enum gal_status gal_element_to_json(const struct gal_tensor *t, size_t index, struct gal_buf *out,
                                    struct gal_err *err)
{
    enum gal_status st = put_run(t, index, 1, out, err);

    if (st == GAL_OK && !out->failed)
        out->n--; /* the comma */
    return st;
}
