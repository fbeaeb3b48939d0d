/* SPDX-License-Identifier: Apache-2.0 */
/* What the writers of binary32 numbers share: for json_float.c (one number) and json_floats.c
 * (many). Pure. */
#ifndef GAL_TEXT_JSON_FLOAT_H
#define GAL_TEXT_JSON_FLOAT_H

#include "base/word.h"
#include "text/json.h"

/* Digits of a number, d1 (not '0') to d9, '0' behind the last one that counts. */
struct gal_digits {
    uint64_t eight; /* d1 lowest: as they lie in memory */
    char ninth;
    int count; /* without zeros at the end; 1 or more */
    int dot;   /* the point is behind so many of them; may be negative or beyond them */
};

/* Digits d1d2d3 with the point behind the first `dot` of them, or as d1.d2d3e12 when that takes
 * many zeros: the layout of yyjson's doubles. Returns the end; what is written beyond it stays
 * within GAL_JSON_NUMBER_MAX. */
char *gal_digits_write(char *p, struct gal_digits d);

/* gal_json_write_f32s without what some processors have beyond the architecture's least: the same
 * bytes, slower. */
char *gal_json_write_f32s_plain(char *p, const float *v, size_t n);

/* floor(log10(2^e)) and floor(log2(10^e)), for all e that occur. */
static inline int gal_floor_log10_pow2(int e)
{
    return e * 1262611 >> 22;
}
static inline int gal_floor_log2_pow10(int e)
{
    return e * 1741647 >> 19;
}

#endif
