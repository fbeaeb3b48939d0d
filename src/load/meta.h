/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of a model by the Open Inference Protocol (GET /v2/models/NAME), as far as
 * requests are made from it. Pure. */
#ifndef GAL_LOAD_META_H
#define GAL_LOAD_META_H

#include "base/limits.h"
#include "tensor/tensor.h"

struct gal_load_input {
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    int64_t shape[GAL_RANK_MAX]; /* -1: open */
};

struct gal_load_model {
    struct gal_str name;
    struct gal_str version; /* the last that is listed; empty: none is */
    struct gal_load_input *inputs;
    size_t input_count;
};

/* Everything lies in the arena or in `json`. INVALID names what is missing. */
enum gal_status gal_meta_parse(struct gal_str json, struct gal_arena *arena,
                               struct gal_load_model *out, struct gal_err *err);
/* The answer of GET /v2: whether it names the binary tensor extension. False for anything else. */
bool gal_meta_has_binary(struct gal_str json, struct gal_arena *arena);
/* The names of GET /v2/models ({"models": ["a", {"name": "b"}]}), or of Triton's repository index
 * ([{"name": "a"}]). INVALID when it is neither. */
enum gal_status gal_meta_names(struct gal_str json, struct gal_arena *arena, struct gal_str **names,
                               size_t *count, struct gal_err *err);

/* The same two from gRPC's ModelMetadataResponse and RepositoryIndexResponse (each name once). */
enum gal_status gal_meta_parse_grpc(struct gal_str message, struct gal_arena *arena,
                                    struct gal_load_model *out, struct gal_err *err);
enum gal_status gal_meta_names_grpc(struct gal_str message, struct gal_arena *arena,
                                    struct gal_str **names, size_t *count, struct gal_err *err);

/* "input:1x128" into name and sizes; a scalar is "input:". */
enum gal_status gal_shape_spec_parse(struct gal_str text, struct gal_str *name, int64_t *shape,
                                     size_t *rank, struct gal_err *err);

#endif
