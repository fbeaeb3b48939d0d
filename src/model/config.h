/* SPDX-License-Identifier: Apache-2.0 */
/* How one model is served: galley's own keys (configuration file, command line, environment) and
 * Triton's config.pbtxt (model/triton.h) end in this struct, which model/model.c turns into the
 * options of the parts below. Plain data; texts and arrays belong to the arena of whoever filled
 * it.
 *
 * Life: gal_model_config_init; then, each overwriting what came before, the defaults of the
 * process, the config.pbtxt, the model's own keys; then gal_model_config_settle, once. */
#ifndef GAL_MODEL_CONFIG_H
#define GAL_MODEL_CONFIG_H

#include "backend/backend.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/limits.h"
#include "image/plan.h"
#include "sched/policy.h"
#include "sched/sched.h"

#define GAL_BUCKETS_MAX 32u
#define GAL_PADDINGS_MAX 4u
#define GAL_WARMUPS_MAX 16u
#define GAL_VERSION_LIST_MAX 64u
#define GAL_VERSION_LABELS_MAX 16u
#define GAL_LABEL_BYTES_MAX 63u
#define GAL_NO_TIMEOUT UINT64_MAX /* of timeout_us: a request without a deadline */

/* Which numbered version directories of a model are served (Triton's version_policy). */
enum gal_version_choice { GAL_VERSIONS_ALL, GAL_VERSIONS_LATEST, GAL_VERSIONS_LISTED };

/* A name for a version (TensorFlow Serving's version labels). */
struct gal_version_label {
    char name[GAL_LABEL_BYTES_MAX + 1];
    char version[GAL_LABEL_BYTES_MAX + 1];
};

/* What a configuration says of the first dimension. */
enum gal_batch_told {
    GAL_BATCH_UNTOLD, /* the model's own open first dimension decides */
    GAL_BATCH_NONE,   /* `max_batch_size: 0`: shapes are whole, requests are not put together */
    GAL_BATCH_ROWS,   /* `max_batch_size: N`: the first dimension, which is not declared, is rows */
};

/* Requests whose size on a named axis differs are filled up to the next bucket, run together, and
 * cut back (model/pad.h). */
struct gal_padding {
    struct gal_str
        axis; /* the symbolic dimension's name in the model ("sequence"), or INPUT:INDEX */
    int64_t buckets[GAL_BUCKETS_MAX]; /* ascending; a longer request runs as it is */
    size_t bucket_count;
    double value;        /* what fills numeric inputs */
    struct gal_str mask; /* input that is filled with 0 whatever `value` is; empty: none */
};

/* One warm-up request: every sample runs `count` times before the model is ready. */
enum gal_warmup_source { GAL_WARMUP_ZEROS, GAL_WARMUP_RANDOM, GAL_WARMUP_FILE };
struct gal_warmup_input {
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    int64_t shape[GAL_RANK_MAX]; /* without the batch dimension where the model has one */
    enum gal_warmup_source from;
    const char *file; /* FILE: raw little-endian bytes, path resolved */
};
struct gal_warmup {
    struct gal_str name;
    size_t batch_size; /* rows, where a batch dimension is to be added; 0 stands for 1 */
    unsigned count;
    struct gal_warmup_input *inputs;
    size_t input_count;
    unsigned line; /* of the config.pbtxt */
};

/* An input or output as a config.pbtxt declares it, to be compared with the model. */
struct gal_declared {
    const struct gal_declared *next;
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    int64_t shape[GAL_RANK_MAX]; /* `dims`; -1: any */
    bool has_reshape;            /* the model has another shape (model/reshape.h) */
    size_t reshape_rank;
    int64_t reshape[GAL_RANK_MAX];
    const char *label_path; /* of an output's classes; NULL: none */
    const char *label_file; /* the same within the model's directory */
    bool is_output;
    bool optional;
    unsigned line;
};

/* A field of a config.pbtxt that is taken but changes nothing. */
struct gal_config_note {
    const struct gal_config_note *next;
    const char *field;  /* "optimization.priority" */
    const char *reason; /* why it has no effect */
    unsigned line;
};

/* When a package's files are held against their digests. */
enum gal_verify { GAL_VERIFY_BEFORE, GAL_VERIFY_AFTER, GAL_VERIFY_OFF };

struct gal_cache_config {
    bool on;
    uint64_t ttl_us; /* 0: for ever */
};

struct gal_model_config {
    struct gal_policy policy; /* rows_max is settled from what stands below; 0: found from the
                                 model */
    bool rows_told; /* the user says that requests may share a call: rows are not tried (rows.h) */
    bool batching;  /* requests may run together where the model allows it */
    enum gal_batch_told batch_told;
    size_t
        max_batch_size; /* rows of a call; 0: found from the model, see gal_model_config_settle */
    enum gal_sched_mode mode;
    bool base_minds_queue; /* gal_model_config_minds_queue of the process's settings: a model whose
                              own contradict them is no error then, its log says so */
    unsigned workers;      /* calls of this model at once; 0: one a core */
    uint64_t inline_us_max;
    bool one_core; /* the server has one loop on one core */
    struct gal_backend_options backend;
    unsigned warmup_runs; /* made-up inferences; samples below come in their place */
    struct gal_warmup warmup[GAL_WARMUPS_MAX];
    size_t warmup_count;
    struct gal_padding padding[GAL_PADDINGS_MAX];
    size_t padding_count;
    struct gal_image_config image; /* encoded images as an input */
    struct gal_cache_config cache;
    enum gal_verify verify;
    bool lazy;           /* loaded by its first request, not before */
    uint64_t timeout_us; /* deadline of a request that brings none; 0: the server's */
    enum gal_version_choice versions;
    bool versions_told;      /* false: `versions` is nobody's wish */
    uint64_t version_latest; /* LATEST: how many */
    uint64_t version_list[GAL_VERSION_LIST_MAX];
    size_t version_list_count;
    struct gal_version_label labels[GAL_VERSION_LABELS_MAX];
    size_t label_count;
    /* of a config.pbtxt alone */
    const char *source;    /* its path, or NULL */
    bool queue_policies;   /* it has some: what a request's parameter `timeout` does is their matter
                              alone, as in Triton; else it is a deadline */
    const char *file_name; /* default_model_filename; NULL: model.onnx */
    const struct gal_declared *declared; /* in the file's order */
    unsigned max_batch_line;             /* where max_batch_size stands; 0: nowhere */
    const struct gal_meta *parameters;   /* as written */
    size_t parameter_count;
    const struct gal_config_note *notes;
    char digest[GAL_SHA256_HEX_SIZE]; /* of all of it: equal where nothing differs; by _settle */
};

/* What galley does untold: gal_policy_init's policy with rows_max 0 (found from the model), workers
 * as the CPU quota allows, inline where cheap, GAL_WARMUP_RUNS. */
void gal_model_config_init(struct gal_model_config *c);
/* The last step: policy.rows_max becomes max_batch_size, or 1 without batching; preferred sizes
 * beyond it are an error, default_level 0 becomes the least urgent, and the digest is made. `pbtxt`
 * is the config.pbtxt's text (may be empty). INVALID names the key. */
enum gal_status gal_model_config_settle(struct gal_model_config *c, struct gal_str pbtxt,
                                        struct gal_err *err);
/* Names of the settings that need a queue, where the schedule is inline: they have no effect.
 * Returns how many. _settle refuses them, but for base_minds_queue. */
#define GAL_UNHEARD_MAX (GAL_POLICY_NEEDS_MAX + 1u)
size_t gal_model_config_unheard(const struct gal_model_config *c,
                                const char *names[GAL_UNHEARD_MAX]);
/* True when it says inline, or has a setting that needs a queue. */
bool gal_model_config_minds_queue(const struct gal_model_config *c);
/* Compares declared inputs, outputs and max_batch_size with what the model has: INVALID with the
 * config.pbtxt's line as place. */
enum gal_status gal_model_config_check(const struct gal_model_config *c,
                                       const struct gal_model_info *info, struct gal_err *err);
/* What is declared of that input or output; NULL: nothing. */
const struct gal_declared *gal_model_config_declared(const struct gal_model_config *c,
                                                     struct gal_str name, bool is_output);
/* True when this version directory (a whole number) is served, where `newer` served ones are newer
 * than it. */
bool gal_model_config_serves(const struct gal_model_config *c, uint64_t version, size_t newer);
/* "all", "latest:2" or "1,3" into c; INVALID says what is wrong. */
enum gal_status gal_model_config_versions(struct gal_model_config *c, struct gal_str text,
                                          struct gal_err *err);
/* "stable=1,canary=2" into c, empty for none: names and versions of letters, digits, '-', '_' and
 * '.', each name once and none "latest", which is built in. INVALID says what is wrong. */
enum gal_status gal_model_config_labels(struct gal_model_config *c, struct gal_str text,
                                        struct gal_err *err);
/* NULL: no such label. */
const struct gal_version_label *gal_model_config_label(const struct gal_model_config *c,
                                                       struct gal_str name);
/* Appends the configuration as a JSON object: galley's keys (durations in microseconds), the same
 * text for the same configuration. */
void gal_model_config_json(struct gal_buf *out, const struct gal_model_config *c);

#endif
