/* SPDX-License-Identifier: Apache-2.0 */
/* Loads models on threads of its own, beside the loops: several at once, never on the path of a
 * request. One loader loads one catalog's models and then ends. */
#ifndef GAL_SERVER_LOADER_H
#define GAL_SERVER_LOADER_H

#include "base/log.h"
#include "model/catalog.h"
#include "watch/metrics.h"

struct gal_loader;

struct gal_loader_options {
    struct gal_model_options model; /* copied */
    unsigned threads;               /* at most this many loads at once */
    struct gal_metrics *metrics;    /* borrowed */
    struct gal_shard *shard;        /* of home's thread */
    struct gal_log *log;            /* borrowed; may be NULL */
    struct gal_loop *home;          /* on_end runs here */
    void (*on_end)(struct gal_loader *l, void *ctx);
    void *ctx;
};

/* Starts loading those of the models that are LOADING; takes a reference to each. on_end is posted
 * to home when the last has ended, well or not. */
enum gal_status gal_loader_start(const struct gal_loader_options *options,
                                 struct gal_model *const *models, size_t count,
                                 struct gal_loader **out, struct gal_err *err);
/* Waits for its threads (a load under way is not interrupted). NULL is fine. */
void gal_loader_free(struct gal_loader *l);
/* Begins no further load; loads under way go on. Any thread. */
void gal_loader_stop(struct gal_loader *l);
/* Sets the gauges of a model whose load has ended, or leaves them out when it is gone. */
void gal_loader_show(struct gal_metrics *metrics, const struct gal_model *m, bool gone);

#endif
