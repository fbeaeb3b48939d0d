/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's inference request as plain data, the way from and to its JSON with
 * the binary tensor extension, and what its REST and gRPC forms share. Codecs are pure: bytes in,
 * structures out, memory from the arena. What the structures borrow (names, text, binary tensors)
 * lies in the arena or in the bytes given. */
#ifndef GAL_API_OIP_H
#define GAL_API_OIP_H

#include "api/infer.h"
#include "model/labels.h"
#include "text/json.h"

/* Where a tensor lies in a registered region; region.p NULL: it is in the message. */
struct gal_oip_place {
    struct gal_str region;
    uint64_t offset, bytes;
};

struct gal_oip_output {
    struct gal_str name;
    bool binary;                /* wanted as binary data */
    uint32_t classes;           /* `classification`: the best so many; 0: the tensor itself */
    struct gal_oip_place place; /* where its bytes go */
};

/* An input that could not be read, of a request that was read on. */
struct gal_oip_wrong {
    struct gal_str name;
    struct gal_err err;
};
#define GAL_OIP_WRONG_MAX 64u /* of a request; behind them it is not read on */

struct gal_oip_request {
    struct gal_str id;   /* p NULL: none was sent */
    uint64_t timeout_us; /* parameter `timeout`; 0: none */
    uint64_t priority;   /* parameter `priority`: 1 is the highest; 0: none */
    bool binary_output;  /* outputs that say nothing else are wanted as binary data */
    struct gal_tensor *inputs;
    struct gal_oip_place *input_places; /* as many as inputs; NULL: none is in shared memory. An
                                           input with a place has no data yet */
    size_t input_count;
    struct gal_oip_wrong *wrong; /* their places in inputs have the datatype NONE */
    size_t wrong_count;
    bool wrong_more;               /* one found no room there: behind it nothing was read */
    struct gal_str content_type;   /* MLServer's parameter of the request; p NULL: none */
    struct gal_str *content_types; /* of the inputs, each p NULL: none; NULL: no input has one */
    struct gal_oip_output *outputs;
    size_t output_count;                                           /* 0: all outputs */
    void (*encode)(struct gal_exchange *x, struct gal_infer *inf); /* gal_oip_run's */
};

/* Decodes a request for `model` (its name, for messages and to compare with `model_name`). `binary`
 * is what follows the JSON. null stands for absent in id, parameters and outputs. INVALID carries
 * the place, `inputs[0].data[3]`; UNSUPPORTED names a parameter that is valid but not here. */
enum gal_status gal_oip_decode(struct gal_str model, struct gal_str json, struct gal_str binary,
                               struct gal_arena *arena, struct gal_oip_request *out,
                               struct gal_err *err);

/* For a model: null is taken in the data of features that are nullable. Where it has features, an
 * input that is wrong is noted in out->wrong and the others are read all the same: INVALID then,
 * with the first in err, and gal_oip_run tells them all. What cannot be gone on behind is told
 * alone: out->wrong_count is 0 then. */
enum gal_status gal_oip_decode_model(const struct gal_model *m, struct gal_str json,
                                     struct gal_str binary, struct gal_arena *arena,
                                     struct gal_oip_request *out, struct gal_err *err);

/* The same without the short way for arrays of numbers, to compare with. */
enum gal_status gal_oip_decode_tree(struct gal_str model, struct gal_str json,
                                    struct gal_str binary, struct gal_arena *arena,
                                    struct gal_oip_request *out, struct gal_err *err);

/* One of the request's parameters; the error's place is its key. */
enum gal_status gal_oip_take_parameter(struct gal_str key, yyjson_val *v, struct gal_oip_request *r,
                                       struct gal_err *err);

/* A raw request (Inference-Header-Content-Length: 0): body is the bytes of the model's only input,
 * all outputs are binary. The first dimension, when it is open, is 1 if another one is open too;
 * one open dimension is computed from the size. BYTES: the body is the only element. */
enum gal_status gal_oip_decode_raw(const struct gal_model *m, struct gal_str body,
                                   struct gal_arena *arena, struct gal_oip_request *out,
                                   struct gal_err *err);

/* A request of that form, or is_raw: `binary` is all, for x->model. OK too when it has noted wrong
 * inputs: gal_oip_run refuses them. *req is all zero before. */
enum gal_status gal_oip_take(struct gal_exchange *x, struct gal_str json, struct gal_str binary,
                             bool is_raw, struct gal_oip_request *req, struct gal_err *err);

/* A content type of input number input_count, of at most inputs_max; read by gal_oip_fill_content.
 */
enum gal_status gal_oip_note_content(struct gal_oip_request *req, struct gal_str type,
                                     size_t inputs_max, struct gal_arena *arena,
                                     struct gal_err *err);
/* An output may ask for what it has anyway: UNSUPPORTED for anything else. */
enum gal_status gal_oip_check_output_content(struct gal_str type, struct gal_err *err);
/* What an output of this datatype has, in answers to requests with content types. */
struct gal_str gal_oip_output_content(enum gal_dtype dtype);
/* Whether the request, or one of its inputs, has a content type. */
bool gal_oip_has_content(const struct gal_oip_request *req);
/* gal_infer_set for all inputs of a request that has content types: np, str, base64, datetime of an
 * input; np, str, pd of the request (docs/content-types.md). INVALID carries the place. */
enum gal_status gal_oip_fill_content(struct gal_exchange *x, struct gal_infer *inf,
                                     const struct gal_oip_request *req, struct gal_err *err);

/* The answer's body: JSON (in `out`), then the binary outputs (in the backend's memory or the
 * arena), unpadded. */
struct gal_oip_answer {
    const struct gal_str *parts; /* parts[0] is the JSON */
    size_t part_count;
    bool binary; /* some output is binary: the header length must be told */
};

/* Appends to out, which must be empty. Sequences become one output an item, NAME.0, NAME.1, ...;
 * maps and sequences of maps a matrix of their values with their keys as parameter `labels`;
 * an absent optional is left out. */
enum gal_status gal_oip_encode(const struct gal_model *m, const struct gal_oip_request *req,
                               const struct gal_infer *inf, struct gal_arena *arena,
                               struct gal_buf *out, struct gal_oip_answer *answer,
                               struct gal_err *err);

/* Appends the model's configuration as Triton's ModelConfig in JSON: the fields' names as in the
 * file, integers as numbers, enums by name. A READY model's; also for one without a config.pbtxt.
 */
void gal_oip_put_config(struct gal_buf *out, const struct gal_model *m);

/* What the protocol's REST and gRPC forms share behind their decoders. Resolves the model (name,
 * version as in gal_infer_resolve), looks whether the protocol can carry its inputs, and makes
 * room. NULL with err filled when not. */
struct gal_infer *gal_oip_open(struct gal_exchange *x, struct gal_str name, struct gal_str version,
                               struct gal_err *err);
/* Fetches the request's inputs from their places and runs (or refuses what was noted); ends in
 * encode and finish, or in fail. Before encode the outputs with classes have become BYTES of rank 1
 * or 2, and those with a place have been written there: its `bytes` is how many, and encode leaves
 * them out. req lives in the exchange's arena and becomes inf->state. */
void gal_oip_run(struct gal_exchange *x, struct gal_infer *inf, struct gal_oip_request *req,
                 void (*encode)(struct gal_exchange *x, struct gal_infer *inf));

/* --- what gal_oip_run is made of --- */

/* oip_place.c: data of inputs that lie in shared memory, copied into the arena. UNSUPPORTED when
 * there is none, NOT_FOUND and INVALID as in api/shm.h, with inputs[i] as place. */
enum gal_status gal_oip_fetch(struct gal_exchange *x, struct gal_oip_request *req,
                              struct gal_err *err);
/* Takes hold of the regions of outputs before the run. */
enum gal_status gal_oip_hold(struct gal_exchange *x, const struct gal_oip_request *req,
                             struct gal_err *err);
/* Writes outputs to their places; after the run. */
enum gal_status gal_oip_store(struct gal_exchange *x, struct gal_oip_request *req,
                              const struct gal_infer *inf, struct gal_err *err);
/* oip_classify.c: the `classes` best of each row of v (all when it has fewer), best first, equal
 * ones in their order: BYTES, "score:index" or "score:index:label". Rows are v's first dimension
 * where `batched`, else v is one row. UNSUPPORTED for what has no order. */
enum gal_status gal_oip_classify(const struct gal_value *v, bool batched, uint32_t classes,
                                 const struct gal_labels *labels, struct gal_arena *arena,
                                 struct gal_value *out, struct gal_err *err);

/* The model of the route's parameters when it is READY; NULL, and the exchange has failed, when
 * not. */
const struct gal_model *gal_oip_ready_model(struct gal_exchange *x);

/* Appends `,"inputs":[{"name", "datatype", "shape"}, ...]`, or "outputs": ports as model metadata
 * shows them, with `parameters` of what a package's manifest says. */
void gal_oip_put_ports(struct gal_buf *out, const struct gal_model *m, bool inputs);

#endif
