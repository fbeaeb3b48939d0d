/* SPDX-License-Identifier: Apache-2.0 */
/* Where packages and models come from: a URL or a path becomes a local path. What is fetched lies
 * in a cache that processes share: content by digest or by URL and validator, complete or not there
 * at all (PATH.part, checked, then renamed), bounded, the least lately used goes first, what a
 * process uses stays. Blocking, on a loader's or the command line's thread. */
#ifndef GAL_SOURCE_SOURCE_H
#define GAL_SOURCE_SOURCE_H

#include "base/arena.h"
#include "oci/registry.h"

enum gal_source_kind {
    GAL_SOURCE_PATH,   /* a file or directory, or file:// */
    GAL_SOURCE_HTTP,   /* http:// https:// ; #sha256=HEX pins it */
    GAL_SOURCE_S3,     /* s3://BUCKET/KEY: an object, or a prefix that ends in / (a directory) */
    GAL_SOURCE_GS,     /* gs://BUCKET/OBJECT */
    GAL_SOURCE_AZURE,  /* az://ACCOUNT/CONTAINER/BLOB */
    GAL_SOURCE_OCI,    /* oci://REFERENCE */
    GAL_SOURCE_MLFLOW, /* models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS */
};
enum gal_source_kind gal_source_kind(struct gal_str text);

struct gal_source_options {
    const char *cache_dir; /* NULL: $XDG_CACHE_HOME/galley, $HOME/.cache/galley, /tmp/galley-UID */
    uint64_t cache_bytes_max;             /* 0: 10 GiB */
    unsigned parallel;                    /* ranges of one object at once; 0: 4 */
    struct gal_registry_options registry; /* fetch options are used by all kinds */
    char *const *env; /* AWS_*, GOOGLE_APPLICATION_CREDENTIALS, AZURE_*, MLFLOW_*, ... */
    /* what: the origin, or of several that come apart from each other the file */
    void (*on_progress)(const char *what, uint64_t done, uint64_t total, void *ctx);
    void *ctx;
};

/* A source that is in place. While it is held the cache keeps it. */
struct gal_source;
/* NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE, INVALID (a digest that differs, says both). Nothing
 * partial is ever handed out. */
enum gal_status gal_source_open(struct gal_str text, const struct gal_source_options *options,
                                struct gal_source **out, struct gal_err *err);
/* The text as logs and errors may show it: a URL's user, password and query are secrets
 * (net/fetch.h, gal_fetch_shown). Returns out, or text where there is nothing to hide. */
const char *gal_source_shown(const char *text, char *out, size_t size);
const char *gal_source_path(const struct gal_source *s);   /* local file or directory */
const char *gal_source_origin(const struct gal_source *s); /* resolved: with version or digest */
/* Is the origin still the same? For those that watch: *changed. */
enum gal_status gal_source_changed(struct gal_source *s, bool *changed, struct gal_err *err);
void gal_source_close(struct gal_source *s); /* NULL is fine */
/* Where options and environment put the cache; in the arena. */
enum gal_status gal_source_cache_dir(const struct gal_source_options *options,
                                     struct gal_arena *arena, const char **out,
                                     struct gal_err *err);

/* What an image sets of its own: whatever else names a source stands above it. */
#define GAL_MODEL_DEFAULT "MODEL_DEFAULT"
/* MODEL_SOURCE, MODEL_PATH, MODEL_NAME, MODEL_VERSION, MODEL_BUCKET, MODEL_S3_BUCKET,
 * MODEL_VOLUME_PATH, AWS_DEFAULT_REGION (requirements WGT-01 to WGT-05), then MODEL_DEFAULT, to one
 * source text in the arena; *out NULL when none is set. INVALID: "Unknown MODEL_SOURCE: x". */
enum gal_status gal_source_from_env(char *const *env, struct gal_arena *arena, const char **out,
                                    struct gal_err *err);

#endif
