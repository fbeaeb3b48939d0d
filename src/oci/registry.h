/* SPDX-License-Identifier: Apache-2.0 */
/* A registry, by the OCI distribution specification 1.1 (and Docker's token authentication):
 * manifests and blobs there and back, by digest, verified. Credentials come from Docker's files
 * (oci/credentials.h). Blocking; one thread an object. */
#ifndef GAL_OCI_REGISTRY_H
#define GAL_OCI_REGISTRY_H

#include "net/fetch.h"
#include "oci/layout.h"
#include "oci/reference.h"

struct gal_registry_options {
    struct gal_fetch_options fetch;
    bool plain_http;      /* only when the user asked; loopback hosts are tried with it untold */
    const char *user;     /* NULL: from Docker's files */
    const char *password;
    char *const *env;     /* DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, HOME; may be NULL */
    unsigned parallel;    /* blobs at once; 0: 4 */
    void (*on_progress)(const struct gal_oci_descriptor *d, uint64_t done, uint64_t total,
                        const char *word, void *ctx); /* "uploading", "exists", "mounted",
                        "downloading", "resumed"; calls come one at a time */
    void *ctx;
};

struct gal_registry;
/* For the repository of `ref`. */
enum gal_status gal_registry_open(const struct gal_reference *ref,
                                  const struct gal_registry_options *options,
                                  struct gal_registry **out, struct gal_err *err);
void gal_registry_close(struct gal_registry *r); /* NULL is fine */

/* Manifest or index by tag or digest (a digest is verified); body in the arena. NOT_FOUND. */
enum gal_status gal_registry_manifest(struct gal_registry *r, const char *tag_or_digest,
                                      struct gal_arena *arena, struct gal_oci_descriptor *d,
                                      struct gal_str *body, struct gal_err *err);
/* HEAD: OK with *there. */
enum gal_status gal_registry_has_blob(struct gal_registry *r, const char *digest, bool *there,
                                      struct gal_err *err);
/* Whole blob into memory, at most bytes_max, verified. */
enum gal_status gal_registry_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                  size_t bytes_max, struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err);
/* Into a file: begun in PATH.part, resumed from it, verified, then renamed to PATH. */
enum gal_status gal_registry_blob_file(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const char *path, struct gal_err *err);
/* Uploads unless it is there; from memory or from part of a file. `from`: a repository of the same
 * host that may have it (mounted); NULL. *moved: bytes that were sent. */
struct gal_blob_source {
    struct gal_str bytes; /* p NULL: from the file */
    const char *path;
    uint64_t offset;
};
enum gal_status gal_registry_push_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const struct gal_blob_source *source, const char *from,
                                       uint64_t *moved, struct gal_err *err);
/* tag NULL: by its digest only. */
enum gal_status gal_registry_push_manifest(struct gal_registry *r, struct gal_str media_type,
                                           struct gal_str body, const char *tag,
                                           struct gal_err *err);
/* Manifests that have this one as subject: the referrers API, or its fallback tag. */
enum gal_status gal_registry_referrers(struct gal_registry *r, const char *digest,
                                       struct gal_arena *arena, struct gal_oci_index *out,
                                       struct gal_err *err);
/* Tags, sorted. */
enum gal_status gal_registry_tags(struct gal_registry *r, struct gal_arena *arena,
                                  struct gal_str **tags, size_t *count, struct gal_err *err);

struct gal_transfer {
    char digest[GAL_DIGEST_SIZE]; /* of the top manifest */
    uint64_t bytes_moved, bytes_all;
    size_t blobs_moved, blobs_all;
};
/* All of a manifest or index of a layout to the registry under the tag of `ref`: only what is
 * missing moves, several blobs at once. */
enum gal_status gal_registry_push(struct gal_registry *r, struct gal_layout *layout,
                                  const struct gal_oci_descriptor *top, const char *tag,
                                  struct gal_transfer *out, struct gal_err *err);
/* Into a layout directory at `dir` (made when missing; blobs that are there stay; half ones are
 * resumed; index.json gets the manifest under its reference). */
enum gal_status gal_registry_pull(struct gal_registry *r, const char *tag_or_digest,
                                  const struct gal_oci_platform *platform, const char *dir,
                                  struct gal_transfer *out, struct gal_err *err);

#endif
