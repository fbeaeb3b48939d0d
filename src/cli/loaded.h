/* SPDX-License-Identifier: Apache-2.0 */
/* A model of a PATH loaded for a command: no workers, no warm-up, one request at a time. */
#ifndef GAL_CLI_LOADED_H
#define GAL_CLI_LOADED_H

#include "model/catalog.h"
#include "server/config.h"

struct gal_loading {
    const char *path;
    struct gal_str name, version; /* which of several; empty: the only one, the newest */
    bool unproven;                /* a package's digests and golden cases are the caller's matter */
};

/* The catalog has a reference, which the caller gives back, failed or not; the model is borrowed
 * from it. The error's place is the model's path. */
enum gal_status gal_cli_load(const struct gal_config *config, const struct gal_loading *what,
                             struct gal_catalog **catalog, struct gal_model **model,
                             struct gal_err *err);
/* One model of a scan. */
enum gal_status gal_cli_load_model(struct gal_model *m, const struct gal_config *config,
                                   bool unproven, struct gal_err *err);

#endif
