/* SPDX-License-Identifier: Apache-2.0 */
/* Writes small ONNX models, so that a test says in its own lines what its model is. Nothing here
 * reports errors: a test's memory does not run out, and what does not fit fails the test. */
#ifndef TESTS_SUPPORT_ONNX_MODEL_H
#define TESTS_SUPPORT_ONNX_MODEL_H

#include "base/buf.h"

/* onnx.proto's element types. */
enum { ONNX_FLOAT = 1, ONNX_INT32 = 6, ONNX_INT64 = 7, ONNX_STRING = 8, ONNX_BOOL = 9 };
/* onnx.proto's TypeProto fields. */
enum { ONNX_TENSOR = 1, ONNX_SEQUENCE = 4, ONNX_MAP = 5, ONNX_OPTIONAL = 9 };

struct onnx_model {
    struct gal_buf graph;      /* what has been added so far */
    struct gal_buf rest;       /* metadata and opsets */
    struct gal_buf attributes; /* for the next node */
};

void onnx_model_begin(struct onnx_model *m);
void onnx_model_release(struct onnx_model *m);

/* A tensor type with sizes as text: "3,-1,n" (-1: open, a name: symbolic), "" a scalar, NULL no
 * rank. */
void onnx_type_tensor(struct gal_buf *type, int element, const char *shape);
/* Makes *type the element of a sequence or optional. */
void onnx_type_wrap(struct gal_buf *type, int kind);
void onnx_type_map(struct gal_buf *type, int key, int element);

/* Takes *type (releases it). */
void onnx_model_input(struct onnx_model *m, const char *name, struct gal_buf *type);
void onnx_model_output(struct onnx_model *m, const char *name, struct gal_buf *type);
/* The same for a tensor. */
void onnx_input(struct onnx_model *m, const char *name, int element, const char *shape);
void onnx_output(struct onnx_model *m, const char *name, int element, const char *shape);

/* Attributes of the node that is added next. */
void onnx_attr_int(struct onnx_model *m, const char *name, int64_t value);
void onnx_attr_int_list(struct onnx_model *m, const char *name, const int64_t *values, size_t n);
void onnx_attr_string_list(struct onnx_model *m, const char *name, const char *const *values,
                           size_t n);
/* Names separated by commas. domain "" is ai.onnx. */
void onnx_node(struct onnx_model *m, const char *domain, const char *op, const char *inputs,
               const char *outputs);
/* An initializer: raw little-endian bytes, or (location not NULL) the first `bytes` of another
 * file, all of it when that is 0. */
void onnx_initializer(struct onnx_model *m, const char *name, int element, const char *shape,
                      const void *raw, size_t bytes, const char *location);
void onnx_meta(struct onnx_model *m, const char *key, const char *value);

/* The whole file: ir 8, ai.onnx 17, ai.onnx.ml 3, producer "tests 1.0". out is initialised here. */
void onnx_model_end(struct onnx_model *m, struct gal_buf *out);
/* Ends it and writes it to a new file in the test's folder; returns the path (a static buffer a
 * call, valid until the fourth call from now). */
const char *onnx_model_write(struct onnx_model *m, const char *name);

/* x[-1,n] -> y[-1,n] by Identity: what most tests need. */
const char *onnx_identity_model(int element, const char *shape, const char *name);
/* Writes bytes to NAME in a folder of this process's own, made at first use; the path as above. */
const char *test_file_write(const char *name, struct gal_str bytes);
const char *test_folder(void);

#endif
