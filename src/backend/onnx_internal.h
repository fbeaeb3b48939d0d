/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ONNX Runtime backend share: the engine, its errors, a session, and the
 * way of values in and out. Not for other parts. */
#ifndef GAL_BACKEND_ONNX_INTERNAL_H
#define GAL_BACKEND_ONNX_INTERNAL_H

#include "backend/backend.h"

#include <onnxruntime_c_api.h>

/* The oldest C API that has all that galley needs (GetOptionalContainedTypeInfo came last): one
 * binary runs on ONNX Runtime 1.15 and every later version. */
#define GAL_ORT_API_MIN 15
/* TensorTypeAndShape_HasShape and GetTensorElementTypeAndShapeDataReference: used where they are.
 */
#define GAL_ORT_API_RECENT 24

/* The engine: one a process, made at first use, for good. Read-only once made; any thread. */
struct gal_ort {
    const OrtApi *api;
    const OrtApi *recent; /* API GAL_ORT_API_RECENT; NULL when the engine is older */
    const char *version;  /* "1.29.0" */
    OrtEnv *env;
    OrtMemoryInfo *cpu;
    OrtRunOptions *run_options;  /* the defaults; read by all runs, which saves making them */
    OrtRunOptions *trim_options; /* the arena gives back what it does not use, behind the run */
    OrtAllocator *allocator;
};

/* library NULL: search, see onnx.h. UNAVAILABLE when there is none, or it is too old. */
enum gal_status gal_ort_get(const char *library, const struct gal_ort **out, struct gal_err *err);

/* Where an error came from: the same code of the engine means another thing in each. */
enum gal_ort_phase { GAL_ORT_LOAD, GAL_ORT_RUN };
/* Turns a status into ours, with the engine's words on one line, and releases it. NULL is OK. */
enum gal_status gal_ort_check(const struct gal_ort *ort, OrtStatus *status,
                              enum gal_ort_phase phase, struct gal_err *err);
/* The engine's words without newlines and without the names of its source files and functions.
 * Writes at most size bytes with the NUL. Pure. */
void gal_ort_clean(const char *message, char *out, size_t size);

enum gal_dtype gal_ort_dtype(ONNXTensorElementDataType type);
ONNXTensorElementDataType gal_ort_element(enum gal_dtype dtype); /* UNDEFINED for NONE */

/* The file's first level (ModelProto, and the graph's name). Text borrows from the file. */
struct gal_onnx_head {
    int64_t ir_version, model_version;
    struct gal_str producer, producer_version, domain, description, graph_name;
    struct gal_str opsets; /* "ai.onnx 17, ai.onnx.ml 3"; the arena's, NUL-terminated */
    struct gal_meta *meta; /* sorted by key; the arena's array */
    size_t meta_count;
};
enum gal_status gal_onnx_head_read(struct gal_str file, struct gal_arena *arena,
                                   struct gal_onnx_head *out, struct gal_err *err);

/* The texts that the encoder behind a text input knows, in its order: *values gets the first
 * GAL_PORT_VALUES_MAX (the arena's copies), *count how many there are; NULL and 0 when the input
 * runs into no encoder. NO_MEMORY alone can fail: a broken graph gives nothing. */
enum gal_status gal_onnx_categories(struct gal_str file, struct gal_str input,
                                    struct gal_arena *arena, const struct gal_str **values,
                                    size_t *count, struct gal_err *err);

/* Bytes of an ONNX model without inputs whose one output "y" is an empty sequence of tensors of
 * `element`: the C API cannot make this value, a model can. Returns the length. */
#define GAL_ORT_EMPTY_MAX 128
size_t gal_ort_empty_model(ONNXTensorElementDataType element, uint8_t out[GAL_ORT_EMPTY_MAX]);

struct gal_ort_session {
    const struct gal_ort *ort;
    size_t memory_bytes_max; /* of the session's arena; 0: no bound */
    _Atomic bool has_run;    /* since the last trim */
    _Atomic bool trims_next; /* the next run gives memory back */
    bool trims_always;       /* every run does */
    OrtSession *session;     /* owned */
    struct gal_model_info info;
    struct gal_port *ports; /* the same array as info.inputs, to be filled */
    OrtValue **empty;       /* an input that is a sequence of tensors: an empty one; owned */
    struct gal_arena arena; /* all text and arrays of the description */
};

/* Fills s->info, s->ports and s->empty (with NULL) from the session and the file's head. */
enum gal_status gal_ort_describe(struct gal_ort_session *s, const struct gal_onnx_head *head,
                                 struct gal_err *err);

/* Makes *out for a value that is not absent and no empty sequence. Numeric tensors are not copied:
 * `v` must stay. */
enum gal_status gal_ort_value_in(const struct gal_ort *ort, const struct gal_value *v,
                                 OrtValue **out, struct gal_err *err);
/* Fills *out (but for tensor.name) from `value`, which is of `kind` and is taken on success:
 * out->handle keeps it where bytes are borrowed. */
enum gal_status gal_ort_value_out(const struct gal_ort *ort, OrtValue *value, enum gal_kind kind,
                                  struct gal_arena *arena, struct gal_value *out,
                                  struct gal_err *err);
void gal_ort_value_release(const struct gal_ort *ort, struct gal_value *v);

/* The backend's slots load and free. */
enum gal_status gal_ort_load(const char *path, const struct gal_backend_options *options,
                             struct gal_session **out, struct gal_err *err);
void gal_ort_free(struct gal_session *session);

/* What a session is made from: bytes, or where path is not NULL the file. */
struct gal_ort_model {
    const char *path;
    struct gal_str bytes;
};
/* Makes a session whose arena is its own and takes at most bytes_max (0: no bound). NO_MEMORY when
 * the weights alone take more. */
enum gal_status gal_ort_session_make(const struct gal_ort *ort, const struct gal_ort_model *model,
                                     OrtSessionOptions *o, size_t bytes_max, OrtSession **out,
                                     struct gal_err *err);
/* Makes small inputs of zeros, empty texts and empty sequences, each open dimension 1: what a run
 * takes that is made for its side effect. INVALID when some input can have none. */
enum gal_status gal_ort_small_inputs(const struct gal_model_info *info, struct gal_arena *arena,
                                     struct gal_value **out, struct gal_err *err);

#endif
