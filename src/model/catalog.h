/* SPDX-License-Identifier: Apache-2.0 */
/* All models that are served at one moment: immutable once built, reference-counted, swapped whole.
 * A loop holds one reference and looks names up without a lock; a new catalog reaches it by
 * gal_loop_post. */
#ifndef GAL_MODEL_CATALOG_H
#define GAL_MODEL_CATALOG_H

#include "base/map.h"
#include "model/model.h"

struct gal_catalog_entry {
    struct gal_str name;
    struct gal_model **versions; /* newest first; owned references */
    size_t version_count;
};

struct gal_catalog {
    struct gal_catalog_entry *entries; /* sorted by name */
    size_t count;
    struct gal_map by_name;
    bool coming;       /* what it will hold is still being fetched. Set before it is shared */
    bool may_be_empty; /* models come by request: none is ready too. Set before it is shared */
    _Atomic uint32_t refs;
};

/* Takes a reference to each model. CONFLICT when a name and version come twice. */
enum gal_status gal_catalog_new(struct gal_model *const *models, size_t count,
                                struct gal_catalog **out, struct gal_err *err);
struct gal_catalog *gal_catalog_ref(struct gal_catalog *c);
void gal_catalog_unref(struct gal_catalog *c);
/* NULL when there is none. */
const struct gal_catalog_entry *gal_catalog_find(const struct gal_catalog *c, struct gal_str name);
/* version empty: the newest that takes requests (gal_model_takes), or the newest when none does.
 * Borrowed: take a reference to keep it beyond the turn. NOT_FOUND: "unknown model 'x'" / "unknown
 * version". */
enum gal_status gal_catalog_model(const struct gal_catalog *c, struct gal_str name,
                                  struct gal_str version, struct gal_model **out,
                                  struct gal_err *err);
/* The default model: the only one, or the one named `preferred` (may be empty). NOT_FOUND with a
 * hint that lists the names when there are several. */
enum gal_status gal_catalog_default(const struct gal_catalog *c, struct gal_str preferred,
                                    struct gal_model **out, struct gal_err *err);
/* True when every name has a newest version that is READY, or is its first request's to load, and
 * there is a name, or may_be_empty. The reason
 * names the first that has not. */
bool gal_catalog_ready(const struct gal_catalog *c, struct gal_err *reason);

/* Orders versions: integers by value, MAJOR.MINOR.PATCH by parts; mixed, 2 stands for 2.0.0 and
 * comes right below it. 0 only for equal text. What is no version comes first, by its bytes. */
int gal_version_compare(struct gal_str a, struct gal_str b);
bool gal_version_valid(struct gal_str v); /* 3 or 3.0.1: no signs, no leading zeros */

struct gal_scan_path {
    const char *path;
    const char *name; /* of its only model; NULL or empty: as found */
    /* The path's own keys: the last word on the configuration of each of its models. May be NULL.
     */
    enum gal_status (*configure)(struct gal_model_config *c, struct gal_arena *arena, void *ctx,
                                 struct gal_err *err);
    void *ctx;
};

struct gal_scan_options {
    const struct gal_scan_path *paths;
    size_t path_count;
    const char *name;                    /* of the only model of all; NULL or empty: as found */
    const struct gal_model_config *base; /* before config.pbtxt; NULL: gal_model_config_init's */
    bool may_be_empty;                   /* a PATH that holds no model is fine */
    /* A package's `serving` keys, below the path's own; NULL: they are passed over. */
    enum gal_status (*serving)(const struct gal_yaml *keys, const char *file,
                               struct gal_model_config *c, const void *ctx, struct gal_err *err);
    const void *serving_ctx;
    /* In the place of the config.pbtxt of the model of this name: a ModelConfig in JSON, which
     * errors call override_source. p NULL: of none. */
    const char *override_name;
    struct gal_str override_json;
    const char *override_source;
};

/* What PATHs hold, without loading anything: `x.onnx`; a package (x.galley, or a directory with a
 * galley.yaml), which names itself; a directory with model.onnx or with
 * VERSION/model.onnx, VERSION/galley.yaml or VERSION.galley (one model); a directory of such
 * directories and of packages, named by them. Without a
 * version directory the version is "1"; other content and names that begin with a dot are passed
 * over, links are followed. A directory with a config.pbtxt is a model as Triton knows it: its
 * versions are whole numbers, the file may be called otherwise, and one that cannot be read makes
 * the model's load fail, not the scan. Of the versions those are taken that the configuration
 * serves; a version that it lists and that is not there is taken, and fails to load.
 *
 * When all PATHs hold one model it is called as `name` says (for KServe's /mnt/models style
 * directories the caller gives INFERENCE_SERVICE_NAME). NOT_FOUND with what was looked for when a
 * PATH holds no model, CONFLICT for a model.onnx beside version directories, INVALID for
 * NAME/OTHER/model.onnx where OTHER is no version. New models are LOADING and configured, each with
 * one reference that the caller owns; *models is owned (gal_free). */
enum gal_status gal_catalog_scan(const struct gal_scan_options *options, struct gal_model ***models,
                                 size_t *count, struct gal_err *err);

#endif
