/* SPDX-License-Identifier: Apache-2.0 */
/* One case of the ONNX project's backend tests: a folder with model.onnx and, in
 * test_data_set_N/, input_I.pb and output_I.pb (TensorProto, SequenceProto or OptionalProto, as the
 * model's type says). */
#ifndef TESTS_SUPPORT_ONNX_CASE_H
#define TESTS_SUPPORT_ONNX_CASE_H

#include "backend/backend.h"

/* |got - expected| <= atol + RTOL * |expected|: the ONNX project's runner's own defaults. */
#define ONNX_CASE_RTOL 1e-3
#define ONNX_CASE_ATOL 1e-7

/* Loads the model and runs all its data sets. OK: every output is as expected. Else the backend's
 * status; INTERNAL when an output differs, with where and how in the message. */
enum gal_status onnx_case_run(const struct gal_backend_ops *ops,
                              const struct gal_backend_options *options, const char *dir,
                              double atol, struct gal_err *err);

/* Decodes a .pb file's bytes, whose type is the port's. Text borrows from the file, all else is the
 * arena's. Data sets of before ONNX 1.17 say UINT16 where they mean BF16: the port decides. */
enum gal_status onnx_case_decode(struct gal_str file, const struct gal_port *port,
                                 struct gal_arena *arena, struct gal_value *out,
                                 struct gal_err *err);

/* OK when both are the same kind, datatype and shape, and all elements are close. */
enum gal_status onnx_case_compare(const struct gal_value *expected, const struct gal_value *got,
                                  double rtol, double atol, struct gal_err *err);

#endif
