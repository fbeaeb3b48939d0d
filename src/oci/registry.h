/* SPDX-License-Identifier: Apache-2.0 */
/* A registry, by the OCI distribution specification 1.1 (and Docker's token authentication):
 * manifests and blobs there and back, by digest, verified. Credentials come from Docker's files
 * (oci/credentials.h). Blocking; one thread an object. */
#ifndef GAL_OCI_REGISTRY_H
#define GAL_OCI_REGISTRY_H

#include "net/fetch.h"
#include "oci/layout.h"
#include "oci/reference.h"

/* What happens to a blob; the words of progress. */
enum gal_transfer_step {
    GAL_TRANSFER_EXISTS,  /* where it goes: nothing moves */
    GAL_TRANSFER_MOUNTED, /* from another repository of the registry */
    GAL_TRANSFER_UPLOADING,
    GAL_TRANSFER_DOWNLOADING,
    GAL_TRANSFER_RESUMED, /* goes on behind what an earlier try had moved; then as before */
    GAL_TRANSFER_DONE,
    GAL_TRANSFER_FAILED
};

struct gal_registry_options {
    struct gal_fetch_options fetch; /* insecure: self-signed certificates are fine */
    bool plain_http;  /* only when the user asked; loopback hosts are tried with it untold */
    const char *user; /* NULL: from Docker's files */
    const char *password;
    char *const *env;  /* DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, HOME; may be NULL */
    unsigned parallel; /* blobs at once; 0: 4 */
    uint64_t chunk_bytes; /* of an upload at most in one request; 0: all (32 MiB where a server
                             refuses that) */
    bool reads; /* nothing is written: a mirror of the host (oci/mirror.h, by env) is asked first */
    const char *mount_from;  /* repository of the same registry that may have blobs already; NULL */
    struct gal_layout *have; /* its blobs are not fetched by gal_registry_pull; NULL */
    /* Calls come one at a time, from any thread. */
    void (*on_progress)(const struct gal_oci_descriptor *d, enum gal_transfer_step step,
                        uint64_t done, uint64_t total, void *ctx);
    void *ctx;
};

struct gal_registry;
/* For the repository of `ref`; asks /v2/ for what it wants to see of us. The options' texts are
 * borrowed as long as it is open. UNAVAILABLE: nobody there, or not trusted; says what to do. */
enum gal_status gal_registry_open(const struct gal_reference *ref,
                                  const struct gal_registry_options *options,
                                  struct gal_registry **out, struct gal_err *err);
void gal_registry_close(struct gal_registry *r); /* NULL is fine */
/* Are user and password, or what the files say, fine with it? UNAUTHENTICATED. For a reference of
 * which the host alone counts. */
enum gal_status gal_registry_login(struct gal_registry *r, struct gal_err *err);

/* Manifest or index by tag or digest, at most 4 MiB; what is asked for by digest has it, and what
 * the registry says of its own is held against the bytes (INVALID). Body and d's texts in the
 * arena. NOT_FOUND: no such tag (the hint names some that are there) or repository. */
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
/* Into a file: begun in PATH.part, resumed from it, verified, then renamed to PATH. INVALID: other
 * bytes than the digest's; PATH.part goes then. *moved: bytes that came; may be NULL. */
enum gal_status gal_registry_blob_file(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const char *path, uint64_t *moved, struct gal_err *err);
/* Uploads unless it is there, or can be mounted; goes on where a cut upload stands. *moved: bytes
 * that were sent; may be NULL. */
struct gal_blob_source {
    struct gal_str bytes; /* p NULL: from the file */
    const char *path;
    uint64_t offset;
};
enum gal_status gal_registry_push_blob(struct gal_registry *r, const struct gal_oci_descriptor *d,
                                       const struct gal_blob_source *source, uint64_t *moved,
                                       struct gal_err *err);
/* tag NULL: by its digest only. One with a subject is entered under the subject's fallback tag
 * where the registry has no referrers API. */
enum gal_status gal_registry_push_manifest(struct gal_registry *r, struct gal_str media_type,
                                           struct gal_str body, const char *tag,
                                           struct gal_err *err);
/* Manifests that have this one as subject: the referrers API, or its fallback tag. */
enum gal_status gal_registry_referrers(struct gal_registry *r, const char *digest,
                                       struct gal_arena *arena, struct gal_oci_index *out,
                                       struct gal_err *err);
/* Tags, sorted. NOT_FOUND: no such repository. */
enum gal_status gal_registry_tags(struct gal_registry *r, struct gal_arena *arena,
                                  struct gal_str **tags, size_t *count, struct gal_err *err);

struct gal_transfer {
    char digest[GAL_DIGEST_SIZE]; /* of the top manifest */
    uint64_t bytes_moved, bytes_all;
    size_t blobs_moved, blobs_all; /* without manifests */
};
/* All of a manifest or index of a layout to the registry under the tag (NULL: its digest only):
 * only what is missing moves, several blobs at once, manifests behind what they name. */
enum gal_status gal_registry_push(struct gal_registry *r, struct gal_layout *layout,
                                  const struct gal_oci_descriptor *top, const char *tag,
                                  struct gal_transfer *out, struct gal_err *err);
/* Into a layout directory at `dir` (made when missing; blobs that are there stay; half ones are
 * resumed; index.json names the manifest, under its tag, alone). Of an index the manifest for
 * `platform` comes, all of them when NULL. */
enum gal_status gal_registry_pull(struct gal_registry *r, const char *tag_or_digest,
                                  const struct gal_oci_platform *platform, const char *dir,
                                  struct gal_transfer *out, struct gal_err *err);

#endif
