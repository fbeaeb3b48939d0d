/* SPDX-License-Identifier: Apache-2.0 */
/* Large weights of an ONNX model where they lie: a file in which each begins at an address that a
 * processor likes can be mapped, and the engine reads them there instead of copying them twice.
 * Field numbers: onnx.proto of the ONNX project (ModelProto, GraphProto, TensorProto). Only
 * initializers of the outermost graph are looked at. Pure over the bytes, any thread. */
#ifndef GAL_BACKEND_ONNX_WEIGHTS_H
#define GAL_BACKEND_ONNX_WEIGHTS_H

#include "backend/backend.h"
#include "base/buf.h"

#define GAL_ONNX_ALIGNMENT 64u               /* bytes; a cache line */
#define GAL_ONNX_WEIGHT_MIN 4096u            /* smaller ones are copied as ever */
#define GAL_ONNX_WEIGHTS_MIN (1u << 20)      /* what total_min is outside tests */
#define GAL_ONNX_FILE_MAX ((1ull << 31) - 1) /* of one protobuf message */

/* total_min, here and below: a model with fewer bytes of large weights stays as it is. */
/* Whether gal_onnx_align would write other bytes: the weights are worth it, and one begins where it
 * should not. False for what is no model. */
bool gal_onnx_is_ragged(struct gal_str file, uint64_t total_min);
/* The same model with each weight of GAL_ONNX_WEIGHT_MIN bytes or more at a multiple of
 * GAL_ONNX_ALIGNMENT from the file's front: spaces at the end of the tensor's doc_string before it
 * move it there. Nothing else changes; twice gives what once gives. Hands the bytes on in pieces,
 * some of `file`; a status of `write` other than OK ends it and is returned. What is no model, or
 * not worth it, is handed on as it is. */
enum gal_status gal_onnx_align(struct gal_str file, uint64_t total_min,
                               enum gal_status (*write)(struct gal_str piece, void *ctx),
                               void *ctx);

/* A file that holds a model, and the files that the model has external data in. */
struct gal_onnx_place {
    struct gal_str name;                  /* of the file */
    uint64_t offset;                      /* the model begins here */
    const struct gal_backend_part *parts; /* the others */
    size_t part_count;
};

/* The model without its large weights: each is told as external data of the file at `place`, and so
 * is external data of its parts. A weight that no element of its type may begin at stays. Appends
 * to out and returns the bytes of weights that lie outside; 0 (out is then as before) when they are
 * not worth it, or when external data is not in a part, as a whole. */
uint64_t gal_onnx_slim(struct gal_str file, const struct gal_onnx_place *place, uint64_t total_min,
                       struct gal_buf *out);

#endif
