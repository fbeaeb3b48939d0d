/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of scope MODEL (server/config.def) as a model's configuration. What wins: the keys of a
 * model's own entry in `models:`, then its config.pbtxt, then the command line, the environment and
 * the top of the file. */
#ifndef GAL_SERVER_MODEL_KEYS_H
#define GAL_SERVER_MODEL_KEYS_H

#include "model/catalog.h"
#include "server/config.h"
#include "server/sources.h"

/* max_request_memory; untold, half of what the cgroup or the machine has. */
uint64_t gal_model_keys_request_memory(const struct gal_config *c);
/* The base of every model's configuration, not settled; checks also every entry of `models:` on top
 * of it. INVALID names the key and where it stands. Borrows nothing. */
enum gal_status gal_model_keys_base(const struct gal_config *c, struct gal_model_config *out,
                                    struct gal_err *err);
/* The `serving` keys of a package's manifest, `file`, into c, but for those that the configuration
 * ctx, a gal_config, says itself: gal_scan_options.serving. INVALID names the line. */
enum gal_status gal_model_keys_serving(const struct gal_yaml *serving, const char *file,
                                       struct gal_model_config *c, const void *ctx,
                                       struct gal_err *err);
/* gal_catalog_scan over the configuration's paths, each with its own keys. how: its may_be_empty
 * and override count, the rest is filled here; NULL: neither. within: a model's path; only the
 * paths of the configuration that it lies in are looked at. NULL: all. */
enum gal_status gal_model_keys_scan(const struct gal_config *c, const char *name,
                                    const struct gal_model_config *base,
                                    const struct gal_scan_options *how,
                                    const struct gal_sources *sources, const char *within,
                                    struct gal_model ***models, size_t *count, struct gal_err *err);

#endif
