/* SPDX-License-Identifier: Apache-2.0 */
/* What runs a model file. A backend describes a model and runs it; ONNX Runtime is the first
 * (backend/onnx.h), backend/fake.h is for tests. One session serves all threads: `run` is called
 * by any number of threads at once and must not write to the session without care of its own. */
#ifndef GAL_BACKEND_BACKEND_H
#define GAL_BACKEND_BACKEND_H

#include "base/arena.h"
#include "tensor/tensor.h"

#define GAL_BACKEND_ABI 2

/* One input or output of a model. Owned by the session's description. */
struct gal_port {
    struct gal_str name;      /* NUL-terminated */
    enum gal_kind kind;       /* TENSOR, SEQUENCE, MAP */
    enum gal_dtype dtype;     /* TENSOR: element; SEQUENCE and MAP: element or value type */
    enum gal_dtype key_dtype; /* MAP and SEQUENCE of maps: INT64 or BYTES; else NONE */
    bool of_maps;             /* SEQUENCE of maps (ZipMap's output) */
    bool optional;            /* input: may be left out */
    bool shape_known;         /* false: the model tells no rank */
    const char *type_text;    /* the model's own words: "tensor(float)", "seq(map(string,float))" */
    size_t rank;
    const int64_t *shape;         /* -1 for a size that the model leaves open */
    const char *const *dims;      /* symbolic names, "" when none; rank entries */
    const struct gal_str *values; /* BYTES input: texts that the model's encoder knows; NULL when it
                                     has none. At most GAL_PORT_VALUES_MAX stand here */
    size_t value_count;           /* how many it knows; may be more than stand in values */
};
#define GAL_PORT_VALUES_MAX 256u

struct gal_meta {
    struct gal_str key, value;
};

struct gal_model_info {
    const char *platform; /* "onnxruntime_onnx" */
    const struct gal_port *inputs;
    size_t input_count;
    const struct gal_port *outputs;
    size_t output_count;
    size_t own_count; /* outputs behind output_count in outputs, which nobody is told of: the server
                         asks for them to judge an answer (a package's stability) */
    const char *producer; /* "skl2onnx 1.17", empty when unknown */
    const char *graph_name, *description, *domain;
    int64_t model_version;       /* the file's own number, 0 when unset */
    int64_t ir_version;          /* 0 when unknown */
    struct gal_str opsets;       /* "ai.onnx 17, ai.onnx.ml 3" */
    const struct gal_meta *meta; /* custom metadata, sorted by key */
    size_t meta_count;
};

/* How far the engine may rewrite a model's graph before it runs. */
enum gal_graph_level { GAL_GRAPH_ALL, GAL_GRAPH_EXTENDED, GAL_GRAPH_BASIC, GAL_GRAPH_OFF };

/* One of the engine's own settings, by its name there. NUL-terminated. */
struct gal_backend_entry {
    const char *key, *value;
};

/* A file that a model has weights in, as part of the one file that holds all of them. */
struct gal_backend_part {
    struct gal_str name;   /* as the model calls it: relative to its own place */
    uint64_t offset, size; /* in that file */
};

/* All zero is what a model gets untold. Texts and entries are borrowed for the call. */
struct gal_backend_options {
    unsigned intra_op_threads; /* threads inside one inference; 1 unless the user asks */
    unsigned inter_op_threads;
    size_t memory_bytes_max; /* of the model's weights and of what its inferences take for tensors
                                of their own, all that run at once; 0: no bound */
    struct gal_str bytes;    /* the model's own, in place of the file's; p NULL: path is the file */
    const char *place; /* the file that holds `bytes` (or path), from place_offset on, and that
                          is never written to: large weights are mapped from it; NULL: copied */
    uint64_t place_offset;
    const struct gal_backend_part *parts; /* of place: the model's other files */
    size_t part_count;
    bool share_weights;  /* weights are used as they lie in `place` (or path), by all processes that
                            map it, and not once more in an order that is quicker for batches */
    const char *library; /* path of the backend's shared library; NULL: search */
    enum gal_graph_level graph_level;
    bool parallel;       /* operators that do not need each other run at once; also when
                            inter_op_threads is more than 1 */
    bool no_mem_pattern; /* memory is not planned ahead */
    bool no_mem_arena;   /* memory goes back to the system at once */
    bool shrink_arena;   /* memory goes back to the system behind each run */
    const struct gal_backend_entry *entries; /* session settings, "session.set_denormal_as_zero" */
    size_t entry_count;
};

struct gal_session; /* a backend's loaded model */

/* Slots are called by any thread unless said otherwise; none is optional. */
struct gal_backend_ops {
    unsigned abi;     /* GAL_BACKEND_ABI */
    const char *name; /* "onnxruntime" */
    /* Version text of the engine, "1.29.0"; loads the engine when needed. */
    enum gal_status (*version)(const struct gal_backend_options *options, const char **out,
                               struct gal_err *err);
    /* Loads `path`; the path is borrowed for the call. A broken file is INVALID, a missing one
     * NOT_FOUND, a missing engine UNAVAILABLE; the message has the engine's own words. */
    enum gal_status (*load)(const char *path, const struct gal_backend_options *options,
                            struct gal_session **out, struct gal_err *err);
    void (*free)(struct gal_session *session); /* NULL is fine; no run may be under way */
    const struct gal_model_info *(*info)(const struct gal_session *session);
    /* Runs once. inputs: input_count values in the order of info->inputs; an absent optional one
     * has kind NONE. wanted: output_count indexes into info->outputs (own ones too), none twice.
     * outputs: filled, in the order of wanted; names and shapes from the arena, bytes the session's
     * (behind handle) or the arena's; give each back with release_output, in any thread, before the
     * arena is cleared. Inputs must stay until run returns. On failure nothing is to be released.
     * Calls no allocator of galley's beyond the arena. INVALID: the engine refused the input (its
     * words in the message); NO_MEMORY: also what memory_bytes_max does not let through, and the
     * session serves on; INTERNAL. */
    enum gal_status (*run)(struct gal_session *session, const struct gal_value *inputs,
                           const size_t *wanted, size_t output_count, struct gal_arena *arena,
                           struct gal_value *outputs, struct gal_err *err);
    void (*release_output)(struct gal_session *session, struct gal_value *output);
    /* Gives memory back that a burst of large runs left with the session and with the process's
     * allocator: for a while without large runs, and of no effect when nothing ran since the last
     * time. Blocks, for about as long as one small inference, which the engine may need for it.
     * Other runs may be under way. Best effort: there is nothing to do about a failure. */
    void (*trim)(struct gal_session *session);
};

/* Index of a port by name; SIZE_MAX when there is none. */
size_t gal_port_find(const struct gal_port *ports, size_t count, struct gal_str name);

#endif
