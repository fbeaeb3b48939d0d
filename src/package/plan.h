/* SPDX-License-Identifier: Apache-2.0 */
/* All that a user's directory becomes when it is packed: files with digests, the lock, the SBOM,
 * the artifact's config and manifest. Depends on the files' bytes and names, the options, and
 * nothing else. */
#ifndef GAL_PACKAGE_PLAN_H
#define GAL_PACKAGE_PLAN_H

#include "base/digest.h"
#include "package/environment.h"
#include "package/pack.h"
#include "package/package_impl.h"

struct gal_plan_file {
    struct gal_package_file file;
    char sha1[GAL_SHA1_HEX_SIZE];
    struct gal_str bytes; /* of one that packing makes; p NULL: they lie in file.path */
};

struct gal_plan {
    struct gal_plan_file *files; /* sorted by name */
    size_t file_count;
    struct gal_environment environment; /* empty without a freeze list */
    struct gal_str config, manifest;    /* JSON */
    struct gal_oci_manifest oci;        /* the manifest as data */
    char digest[GAL_DIGEST_SIZE];
};

/* Reads all bytes. Everything lies in the arena. CONFLICT: galley.yaml has changed since it was
 * opened. */
enum gal_status gal_plan_make(struct gal_opened *o, const struct gal_pack_options *options,
                              struct gal_arena *arena, struct gal_plan *out, struct gal_err *err);

/* --- the documents; they append to out --- */
/* gal_json_put_member as people read it, with a space behind the colon. The bytes of lock and SBOM
 * are in the package's digest: they do not change. */
void gal_plan_put_member(struct gal_buf *out, const char *separator, const char *key,
                         struct gal_str value);
void gal_lock_write(struct gal_buf *out, const struct gal_manifest *m, const struct gal_plan *plan,
                    const struct gal_pack_options *options);
/* lock_sha256: makes the document's namespace unique. NO_MEMORY. */
enum gal_status gal_sbom_write(struct gal_buf *out, const struct gal_manifest *m,
                               const struct gal_plan *plan, int64_t epoch, const char *lock_sha256,
                               struct gal_err *err);
/* The config of a ModelPack, and its manifest with a layer a file. */
void gal_artifact_config(struct gal_buf *out, const struct gal_manifest *m,
                         const struct gal_plan *plan);
enum gal_status gal_artifact_manifest(struct gal_buf *out, const struct gal_manifest *m,
                                      struct gal_plan *plan, struct gal_arena *arena,
                                      struct gal_err *err);

#endif
