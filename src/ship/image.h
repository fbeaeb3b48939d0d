/* SPDX-License-Identifier: Apache-2.0 */
/* A runnable image of galley and models, without a daemon, a Dockerfile or root: layers in the
 * order of how often they change (what ship/runtime.h and ship/models.h gather), configuration,
 * manifest, bill of materials. Deterministic: equal inputs and options, equal digest. One thread.
 */
#ifndef GAL_SHIP_IMAGE_H
#define GAL_SHIP_IMAGE_H

#include "ship/layer.h"
#include "ship/models.h"
#include "ship/runtime.h"
#include "ship/view.h"

#define GAL_SHIP_LABEL_MAX (4u << 20) /* of all labels, with galley.yaml and the freeze list */

#define GAL_SHIP_WARNINGS_MAX 8u

struct gal_ship_base {
    const struct gal_view *view; /* borrowed */
    struct gal_str name;         /* reference; empty: it came from a path, which names nothing */
};

/* Of the image's HEALTHCHECK, which Docker and podman heed; 0: 30 s, 10 s, 60 s, 3. */
struct gal_ship_health {
    bool is_off;
    uint64_t interval_s, timeout_s, start_s, retries;
};

struct gal_ship_options {
    struct gal_runtime_options runtime; /* uid, gid, has_base, epoch are filled from here */
    struct gal_models_options models;
    const struct gal_ship_base *base; /* NULL: none */
    struct gal_layer_options layers;
    struct gal_oci_platform platform; /* architecture empty: galley's */
    const char *source; /* where models are fetched from at the start; NULL: they are in it */
    const char *user;   /* "UID[:GID]", with a base a name too; NULL: 65532 */
    unsigned port;      /* 0: 8080 */
    struct gal_ship_health health;
    /* Only data, in /models, for who mounts it (KServe's modelcars, image volumes): nothing of
     * runtime, source, port and env counts. */
    bool data_only;
    const char *busybox; /* a static one, which a modelcar's sidecar runs sh, ln and sleep of */
    const struct gal_oci_annotation *labels; /* further ones; they win */
    const struct gal_str *env;               /* "NAME=VALUE", they win */
    size_t label_count, env_count;
    int64_t epoch;
};

struct gal_ship {
    struct gal_arena arena;
    struct gal_runtime runtime;
    struct gal_models models;
    const struct gal_ship_base *base;
    struct gal_cargo **cargo; /* of layers[i] */
    struct gal_layer *layers; /* on top of the base's */
    size_t layer_count;
    struct gal_oci_descriptor *descriptors; /* of all layers, the base's first */
    size_t descriptor_count;
    struct gal_str config, manifest, sbom; /* JSON */
    struct gal_oci_descriptor config_d, manifest_d, sbom_d;
    struct gal_oci_platform platform;
    const char *warnings[GAL_SHIP_WARNINGS_MAX];
    size_t warning_count;
    uint64_t bytes; /* of all blobs as they move */
};

/* To be released in any case. CONFLICT: the package's CUDA is not the base's (PKG-07), or libraries
 * do not fit together. */
enum gal_status gal_ship_build(const struct gal_ship_options *options, struct gal_ship *out,
                               struct gal_err *err);
void gal_ship_release(struct gal_ship *image);
/* An OCI layout at `path`; a tar has docker's manifest.json too, so that docker load, podman load,
 * ctr import and skopeo take it. `reference`: "registry.example.com/fraud:2.1.0", `tag` of it. */
enum gal_status gal_ship_write(const struct gal_ship *image, const char *path,
                               enum gal_layout_kind kind, const char *reference, const char *tag,
                               void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                               void *ctx, struct gal_err *err);
/* The manifest of the bill of materials as an artifact that refers to the image. */
enum gal_status gal_ship_sbom_manifest(const struct gal_ship *image, struct gal_buf *out,
                                       struct gal_err *err);

#endif
