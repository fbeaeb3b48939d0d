/* SPDX-License-Identifier: Apache-2.0 */
/* How one model is served: galley's own keys (configuration file, command line, environment) and
 * Triton's config.pbtxt end in this struct, which model/model.c turns into the options of the parts
 * below. Plain data; the texts belong to the arena of whoever filled it. */
#ifndef GAL_MODEL_CONFIG_H
#define GAL_MODEL_CONFIG_H

#include "backend/backend.h"
#include "sched/policy.h"
#include "sched/sched.h"

#define GAL_BUCKETS_MAX 32u
#define GAL_PADDINGS_MAX 4u
#define GAL_WARMUPS_MAX 16u

/* Which numbered version directories of a model are served (Triton's version_policy). */
enum gal_version_choice { GAL_VERSIONS_ALL, GAL_VERSIONS_LATEST, GAL_VERSIONS_LISTED };

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
struct gal_warmup_input {
    struct gal_str name;
    enum gal_dtype dtype;
    size_t rank;
    int64_t shape[8]; /* without the batch dimension where the model has one */
    enum { GAL_WARMUP_ZEROS, GAL_WARMUP_RANDOM, GAL_WARMUP_FILE } from;
    const char *file; /* FILE: raw little-endian bytes, path resolved */
};
struct gal_warmup {
    struct gal_str name;
    size_t batch_size; /* 0: no batch dimension is added */
    unsigned count;
    struct gal_warmup_input *inputs;
    size_t input_count;
};

struct gal_cache_config {
    bool on;
    uint64_t ttl_us; /* 0: for ever */
};

struct gal_model_config {
    struct gal_policy policy; /* rows_max 0: found from the model */
    bool rows_told; /* the user says that requests may share a call: rows are not tried (rows.h) */
    enum gal_sched_mode mode;
    unsigned workers; /* calls of this model at once; 0: one a core */
    uint64_t inline_us_max;
    bool one_core; /* the server has one loop on one core */
    struct gal_backend_options backend;
    unsigned warmup_runs; /* made-up inferences; samples below come in their place */
    struct gal_warmup warmup[GAL_WARMUPS_MAX];
    size_t warmup_count;
    struct gal_padding padding[GAL_PADDINGS_MAX];
    size_t padding_count;
    struct gal_cache_config cache;
    uint64_t timeout_us; /* deadline of a request that brings none; 0: the server's */
    enum gal_version_choice versions;
    uint64_t version_latest; /* LATEST: how many */
    uint64_t version_list[64];
    size_t version_list_count;
    const char *source; /* path of the config.pbtxt, or NULL */
};

/* What galley does untold: gal_policy_init's policy with rows_max 0, workers as the CPU quota
 * allows, inline where cheap, GAL_WARMUP_RUNS. */
void gal_model_config_init(struct gal_model_config *c);

#endif
