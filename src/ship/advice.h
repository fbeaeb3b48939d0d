/* SPDX-License-Identifier: Apache-2.0 */
/* Which format a model is best kept in, and how its weights best reach the servers: rules of thumb
 * (requirements FMT-14, WGT-15), as pure functions of what is known. Texts are static. Any thread.
 */
#ifndef GAL_SHIP_ADVICE_H
#define GAL_SHIP_ADVICE_H

#include "base/str.h"

#define GAL_BAKE_BYTES_MAX UINT64_C(500000000)   /* weights below this size are baked into images */
#define GAL_MOUNT_BYTES_MIN UINT64_C(1000000000) /* above this a shared copy pays */

/* What a model is kept in. */
enum gal_form {
    GAL_FORM_UNKNOWN,
    GAL_FORM_ONNX,
    GAL_FORM_PICKLE,      /* scikit-learn's .pkl, .pickle, .joblib */
    GAL_FORM_TORCH,       /* .pt, .pth */
    GAL_FORM_SAVED_MODEL, /* a directory with saved_model.pb */
    GAL_FORM_KERAS,       /* .keras, .h5 */
    GAL_FORM_TFLITE,
    GAL_FORM_BOOSTER, /* XGBoost's .json and .ubj, LightGBM's .txt */
    GAL_FORM_MLFLOW,  /* a directory with MLmodel */
};
/* Where it is to go. */
enum gal_use {
    GAL_USE_SERVER,
    GAL_USE_PYTHON,
    GAL_USE_EDGE,
    GAL_USE_REGISTRY,
    GAL_USE_LANGUAGES,
    GAL_USE_COUNT,
};

struct gal_advice {
    const char *choice; /* "onnx", "bake": one word */
    const char *reason;
    const char *how; /* a command or a setting */
};

/* What is known of how a model lives. */
struct gal_delivery {
    uint64_t bytes;         /* of weights */
    bool is_air_gapped;     /* nothing can be fetched where it runs */
    bool is_tracked;        /* versions side by side: experiments, A/B, rollback */
    bool is_frequent;       /* it changes more often than the server does */
    bool many_environments; /* one image for several, each with its model */
    bool is_shared;         /* several servers of one machine or cluster use the same weights */
};

/* By the last part of a path; UNKNOWN: no model's. */
enum gal_form gal_form_of(struct gal_str name);
const char *gal_form_name(enum gal_form form); /* "scikit-learn's pickle" */
const char *gal_use_name(enum gal_use use);    /* "server", as the option has it */
struct gal_advice gal_advise_format(enum gal_form form, enum gal_use use);
struct gal_advice gal_advise_delivery(const struct gal_delivery *d);

#endif
