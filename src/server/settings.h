/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration turned into the options that the parts take. Immutable; a reload makes new ones
 * and keeps the old until the process ends, so that loops may still look at them. */
#ifndef GAL_SERVER_SETTINGS_H
#define GAL_SERVER_SETTINGS_H

#include "cache/redis_url.h"
#include "net/tls.h"
#include "server/config.h"
#include "server/front.h"
#include "server/sources.h"

struct gal_settings {
    struct gal_settings *older; /* owned */
    struct gal_front_options front;
    struct gal_api_options api;
    struct gal_model_options model;
    struct gal_model_config model_base; /* of every model, before its own */
    uint64_t request_memory_max;        /* bytes, of all requests at once */
    size_t cache_bytes;                 /* of the response cache */
    struct gal_redis_url redis;
    bool has_redis;
    struct gal_tls_options tls;     /* texts are config's; the rest of it is a server's */
    uint64_t tls_check_interval_us; /* 0: not by itself */
    uint64_t drain_delay_us, grace_us;
    unsigned threads;
    bool explicit_control;           /* clients load and unload models */
    struct gal_sources *sources;     /* owned; NULL: none are held (server/sources.h) */
    const char *name;                /* of a single model; "" when not set; config's */
    const struct gal_config *config; /* borrowed */
    struct gal_config *own_config;   /* owned: the same, when a reload made it; else NULL */
};

/* Borrows config (its texts are used as they are). */
enum gal_status gal_settings_new(const struct gal_config *config, struct gal_settings **out,
                                 struct gal_err *err);
void gal_settings_free(struct gal_settings *s); /* and all older ones; NULL is fine */

#endif
