/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of numbers to tensors, by the rules of tensor_json.c. Elements are at most as wide as the
 * numbers, so that they take their place from the front. */
#include "codec/tensor_json.h"

/* Inlined with constants: one loop a width. Little-endian: the low bytes come first. */
static inline bool run_int(const struct gal_json_numbers *numbers, size_t size, int64_t min,
                           uint64_t max)
{
    const char *from = numbers->values;
    char *to = numbers->values;
    bool fits = numbers->kind != GAL_JSON_REAL;

    for (size_t i = 0; fits && i < numbers->count; i++, to += size) {
        uint64_t bits;

        memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
        if (numbers->kind == GAL_JSON_UNSIGNED || (int64_t)bits >= 0)
            fits = bits <= max;
        else
            fits = (int64_t)bits >= min;
        memcpy(to, &bits, size);
    }
    return fits;
}

/* All become doubles. */
static void widen(struct gal_json_numbers *numbers)
{
    char *at = numbers->values;

    for (size_t i = 0; i < numbers->count; i++, at += sizeof(double)) {
        uint64_t bits;
        double real;

        memcpy(&bits, at, sizeof(bits));
        real = numbers->kind == GAL_JSON_SIGNED ? (double)(int64_t)bits : (double)bits;
        memcpy(at, &real, sizeof(real));
    }
    numbers->kind = GAL_JSON_REAL;
}

/* Whole blocks pass through arrays of their own, in which nothing overlaps: vectors. */
static bool run_fp32(const struct gal_json_numbers *numbers)
{
    enum { BLOCK = 16 };
    const char *from = numbers->values;
    char *to = numbers->values;
    uint32_t largest = 0;

    for (size_t left = numbers->count; left > 0;) {
        double real[BLOCK] = {0};
        float narrow[BLOCK];
        size_t n = left < BLOCK ? left : BLOCK;

        if (n == BLOCK)
            memcpy(real, from, sizeof(real));
        else
            memcpy(real, from, n * sizeof(*real));
        for (size_t i = 0; i < BLOCK; i++) {
            uint32_t bits;

            narrow[i] = (float)real[i];
            memcpy(&bits, &narrow[i], sizeof(bits));
            bits &= 0x7fffffffu;
            largest = bits > largest ? bits : largest;
        }
        memcpy(to, narrow, n * sizeof(*narrow));
        from += n * sizeof(*real);
        to += n * sizeof(*narrow);
        left -= n;
    }
    return largest < 0x7f800000u; /* infinity's */
}

static bool run_16(const struct gal_json_numbers *numbers, uint16_t (*convert)(double),
                   uint16_t infinity)
{
    const char *from = numbers->values;
    char *to = numbers->values;
    bool fits = true;

    for (size_t i = 0; i < numbers->count; i++) {
        double real;
        uint16_t narrow;

        memcpy(&real, from + i * sizeof(real), sizeof(real));
        narrow = convert(real);
        fits &= (narrow & 0x7fff) != infinity;
        memcpy(to + i * sizeof(narrow), &narrow, sizeof(narrow));
    }
    return fits;
}

static bool convert(struct gal_json_numbers *numbers, enum gal_dtype dtype)
{
    if (gal_dtype_is_float(dtype) && numbers->kind != GAL_JSON_REAL)
        widen(numbers);
    switch (dtype) {
    case GAL_DT_BOOL: /* -0 is not 0 there */
        return numbers->kind == GAL_JSON_UNSIGNED && run_int(numbers, 1, 0, 1);
    case GAL_DT_UINT8:
        return run_int(numbers, 1, 0, UINT8_MAX);
    case GAL_DT_UINT16:
        return run_int(numbers, 2, 0, UINT16_MAX);
    case GAL_DT_UINT32:
        return run_int(numbers, 4, 0, UINT32_MAX);
    case GAL_DT_UINT64:
        return run_int(numbers, 8, 0, UINT64_MAX);
    case GAL_DT_INT8:
        return run_int(numbers, 1, INT8_MIN, INT8_MAX);
    case GAL_DT_INT16:
        return run_int(numbers, 2, INT16_MIN, INT16_MAX);
    case GAL_DT_INT32:
        return run_int(numbers, 4, INT32_MIN, INT32_MAX);
    case GAL_DT_INT64:
        return run_int(numbers, 8, INT64_MIN, INT64_MAX);
    case GAL_DT_FP16:
        return run_16(numbers, gal_fp16_from_fp64, 0x7c00);
    case GAL_DT_BF16:
        return run_16(numbers, gal_bf16_from_fp64, 0x7f80);
    case GAL_DT_FP32:
        return run_fp32(numbers);
    case GAL_DT_FP64:
        return true;
    case GAL_DT_BYTES:
    case GAL_DT_NONE:
    case GAL_DT_COUNT:
        break;
    }
    return false;
}

bool gal_tensor_from_numbers(struct gal_json_numbers *numbers, struct gal_tensor *t)
{
    t->data = NULL;
    if (numbers->count != t->count || !gal_levels_fit(t, numbers->lens, numbers->depth) ||
        !convert(numbers, t->dtype))
        return false;
    t->data = numbers->values;
    return true;
}
