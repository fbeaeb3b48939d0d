/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX Runtime behind the backend interface, by its C API. The library is opened with dlopen at
 * first use: options->library, GALLEY's own search (beside the executable, ../lib, the build's
 * ONNX Runtime), then the system's libonnxruntime.so.1. One environment a process, for good. Its
 * telemetry (official builds from 1.29 on) is turned off, which is done through the process's
 * environment: ask for the version once before other threads may call getenv. */
#ifndef GAL_BACKEND_ONNX_H
#define GAL_BACKEND_ONNX_H

#include "backend/backend.h"

extern const struct gal_backend_ops gal_backend_onnx;

/* The file's IR version and opset imports, read from its first level only (ModelProto fields 1 and
 * 8), without loading weights. `out` text lies in the arena. INVALID when it is no ONNX file or
 * ends early. Pure over the bytes. */
enum gal_status gal_onnx_opsets(struct gal_str file, struct gal_arena *arena, int64_t *ir_version,
                                struct gal_str *out, struct gal_err *err);
/* The files beside it that a model keeps tensors in (external data), each by the path that the
 * model has for it, relative to its own folder; the same may come more than once. A status other
 * than OK from on_file ends it and is returned. What is no model has none. */
enum gal_status gal_onnx_external_files(struct gal_str file,
                                        enum gal_status (*on_file)(struct gal_str name, void *ctx),
                                        void *ctx);

#endif
