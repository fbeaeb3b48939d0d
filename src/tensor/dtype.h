/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's datatypes. Any thread. */
#ifndef GAL_TENSOR_DTYPE_H
#define GAL_TENSOR_DTYPE_H

#include "base/str.h"

enum gal_dtype {
    GAL_DT_NONE, /* a type that the protocol does not know */
    GAL_DT_BOOL,
    GAL_DT_UINT8,
    GAL_DT_UINT16,
    GAL_DT_UINT32,
    GAL_DT_UINT64,
    GAL_DT_INT8,
    GAL_DT_INT16,
    GAL_DT_INT32,
    GAL_DT_INT64,
    GAL_DT_FP16,
    GAL_DT_FP32,
    GAL_DT_FP64,
    GAL_DT_BYTES,
    GAL_DT_BF16,
    GAL_DT_COUNT
};

const char *gal_dtype_name(enum gal_dtype t);        /* "FP32"; "NONE" for GAL_DT_NONE */
enum gal_dtype gal_dtype_parse(struct gal_str name); /* GAL_DT_NONE when unknown */
/* Bytes an element in memory; for BYTES sizeof(struct gal_str), for NONE 0. */
size_t gal_dtype_size(enum gal_dtype t);
bool gal_dtype_is_float(enum gal_dtype t);
bool gal_dtype_is_int(enum gal_dtype t); /* signed or unsigned, not BOOL */

/* IEEE 754 binary16 and bfloat16, round to nearest even; NaN stays NaN, overflow is infinity. */
float gal_fp16_to_fp32(uint16_t h);
uint16_t gal_fp16_from_fp32(float f);
uint16_t gal_fp16_from_fp64(double d); /* one rounding */
float gal_bf16_to_fp32(uint16_t b);
uint16_t gal_bf16_from_fp32(float f);
uint16_t gal_bf16_from_fp64(double d); /* one rounding */

#endif
