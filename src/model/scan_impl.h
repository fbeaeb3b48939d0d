/* SPDX-License-Identifier: Apache-2.0 */
/* What scan.c (paths) and scan_dir.c (one model's directory) share. Not for other parts. */
#ifndef GAL_MODEL_SCAN_IMPL_H
#define GAL_MODEL_SCAN_IMPL_H

#include "model/catalog.h"

#define GAL_MODEL_FILE "model.onnx"

/* What has been found so far. */
struct gal_found {
    struct gal_model **models; /* owned, with a reference each */
    size_t count, cap;
    const struct gal_scan_options *options;
    const struct gal_scan_path *path;    /* the one being looked at */
    const struct gal_manifest *manifest; /* of the package being added; NULL: none */
    struct gal_err *err;
};

/* A config.pbtxt that has been read. */
struct gal_found_config {
    char *path;      /* owned */
    const char *dir; /* the model's, borrowed */
    struct gal_buf text;
    bool is_json; /* a request's, in the file's place */
};

/* One more model, configured; `config` may be NULL. A configuration that is wrong goes to the
 * model's error. */
enum gal_status gal_found_add(struct gal_found *f, const char *name, const char *version,
                              const char *path, const struct gal_found_config *config);
/* Fills c for a model of this path: the base, the config.pbtxt, the path's own keys. */
enum gal_status gal_found_configure(const struct gal_found *f, const char *name,
                                    const struct gal_found_config *config,
                                    struct gal_model_config *c, struct gal_arena *arena,
                                    struct gal_err *err);
enum gal_status gal_found_no_memory(struct gal_found *f);

/* One model's directory, whose content is `entries`: its model.onnx or the versions of it that are
 * served. Adds nothing when it is none. */
enum gal_status gal_scan_model_dir(struct gal_found *f, const char *dir, const char *name,
                                   char *const *entries, size_t count);

/* x.galley, by its name alone. */
bool gal_scan_is_package_file(const char *path);
/* Adds the package at `path`; name and version: what it must be, NULL: what its manifest says. */
enum gal_status gal_scan_package(struct gal_found *f, const char *path, const char *name,
                                 const char *version);
/* Packages VERSION/ and VERSION.galley in a model's directory: those that are served. */
enum gal_status gal_scan_package_versions(struct gal_found *f, const char *dir, const char *name,
                                          char *const *entries, size_t count);

#endif
