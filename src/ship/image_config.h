/* SPDX-License-Identifier: Apache-2.0 */
/* An image's configuration (image-spec 1.1, config.md; Docker's Healthcheck beside it) as plain
 * data, written in one fixed order of keys. Pure; any thread. */
#ifndef GAL_SHIP_IMAGE_CONFIG_H
#define GAL_SHIP_IMAGE_CONFIG_H

#include "base/buf.h"
#include "oci/descriptor.h"

struct gal_ship_step {
    struct gal_str created; /* empty: the configuration's */
    struct gal_str created_by, comment;
    bool empty_layer;
};

struct gal_ship_config {
    struct gal_oci_platform platform;
    int64_t epoch;       /* `created`, seconds since 1970 */
    struct gal_str user; /* "65532:65532"; empty: none, as all texts here */
    struct gal_str working_dir;
    const struct gal_str *env, *entrypoint, *cmd, *ports; /* "PATH=/bin", "8080/tcp" */
    size_t env_count, entrypoint_count, cmd_count, port_count;
    const struct gal_str *health; /* "CMD", "galley", "health"; NULL: none */
    size_t health_count;
    uint64_t health_interval_s, health_timeout_s, health_start_s, health_retries;
    const struct gal_oci_annotation *labels; /* written sorted */
    size_t label_count;
    const struct gal_ship_step *steps;
    size_t step_count;
    const struct gal_str *diff_ids;
    size_t diff_id_count;
};

/* Appends to out. Equal content gives equal bytes. NO_MEMORY. */
enum gal_status gal_ship_config_write(struct gal_buf *out, const struct gal_ship_config *c,
                                      struct gal_err *err);

#endif
