/* SPDX-License-Identifier: Apache-2.0 */
/* A package: a directory with a galley.yaml, or a `.galley` file (an OCI image layout in a tar, its
 * artifact by the CNCF ModelPack specification; oci/layout.h), or a directory that is such a
 * layout, as a pull leaves it. All open to the same thing: a manifest, files with digests, one
 * digest of all.
 *
 * A directory that `galley unpack` made, or that lies in an image, holds .galley/manifest.json, the
 * OCI manifest: its files are held against it. A directory that a user wrote has none, and its
 * digest is that which packing it (with its golden cases proved) gives. Files in a user's directory
 * may be links to what lies in it, never out of it. Open packages are immutable but for
 * gal_package_digest; any thread. */
#ifndef GAL_PACKAGE_PACKAGE_H
#define GAL_PACKAGE_PACKAGE_H

#include "oci/layout.h"
#include "package/environment.h"
#include "package/manifest.h"

#define GAL_MODEL_ARTIFACT "application/vnd.cncf.model.manifest.v1+json"
#define GAL_MODEL_CONFIG "application/vnd.cncf.model.config.v1+json"
#define GAL_SEAL_DIR ".galley"
#define GAL_SEAL_MANIFEST ".galley/manifest.json"
#define GAL_SEAL_CONFIG ".galley/config.json"
#define GAL_LOCK_FILE "lock.json"
#define GAL_SBOM_FILE "sbom.spdx.json"

/* What a file is for; decides its layer's media type. */
enum gal_file_role { GAL_ROLE_WEIGHT, GAL_ROLE_CONFIG, GAL_ROLE_DOC, GAL_ROLE_CODE, GAL_ROLE_DATA };
const char *gal_role_name(enum gal_file_role role); /* "weight" */
struct gal_str
gal_role_media_type(enum gal_file_role role); /* of a layer that is the file itself */

struct gal_package_file {
    struct gal_str name; /* "model.onnx", "docs/card.md": '/' between parts, sorted */
    enum gal_file_role role;
    uint64_t size;
    char digest[GAL_DIGEST_SIZE]; /* empty: not yet computed (a user's directory, others' layers of
                                     several files) */
    const char *path;             /* the file that holds it: of its own, or the .galley file */
    uint64_t offset;              /* in path */
    struct gal_str media_type;    /* of the layer that holds it */
};

struct gal_package {
    const char *path;                    /* as it was opened */
    bool is_dir, is_sealed;              /* sealed: digests are known and binding */
    const struct gal_manifest *manifest; /* NULL only after gal_package_open_bare */
    struct gal_str manifest_text;        /* galley.yaml */
    const struct gal_package_file *files;
    size_t file_count;
    char digest[GAL_DIGEST_SIZE]; /* of the OCI manifest; empty until gal_package_digest of a user's
                                     directory */
};

/* True when a path looks like one: *.galley, a directory with a galley.yaml or with a layout's
 * index. Reads nothing. */
bool gal_package_is(const char *path);
/* Reads and checks the manifest and the list of files, not the files' bytes. NOT_FOUND, INVALID. */
enum gal_status gal_package_open(const char *path, struct gal_package **out, struct gal_err *err);
/* The same of a ModelPack that others have made, which may have no galley.yaml: to list and unpack
 * it. */
enum gal_status gal_package_open_bare(const char *path, struct gal_package **out,
                                      struct gal_err *err);
void gal_package_close(struct gal_package *p); /* NULL is fine; maps go with it */
/* Bytes that the files of so many compressed bytes may unpack to: no bombs. */
uint64_t gal_package_unpacked_max(uint64_t size);
/* NULL: no such file. */
const struct gal_package_file *gal_package_find(const struct gal_package *p, struct gal_str name);
/* Its bytes, mapped until the package is closed. */
enum gal_status gal_package_bytes(struct gal_package *p, const struct gal_package_file *f,
                                  struct gal_str *out, struct gal_err *err);
/* Reads every file and holds it against its digest (several at once). INVALID names the file and
 * both digests. A package that is not sealed has nothing to be held against: OK. */
enum gal_status gal_package_check(struct gal_package *p, unsigned threads,
                                  void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                                  void *ctx, struct gal_err *err);
/* Fills p->digest and the files' of a directory that is not sealed: reads all bytes. Nobody else
 * uses p meanwhile. */
enum gal_status gal_package_digest(struct gal_package *p, struct gal_err *err);
/* The OCI manifest and its config as they stand in a sealed package whose files have a layer each:
 * what GAL_SEAL_MANIFEST and GAL_SEAL_CONFIG hold where its files are put somewhere. False: it is
 * not such a one. */
bool gal_package_seal(struct gal_package *p, struct gal_str *manifest, struct gal_str *config);
/* What its freeze list tells; empty when it has none. Memory from the arena. */
enum gal_status gal_package_environment(struct gal_package *p, struct gal_arena *arena,
                                        struct gal_environment *out, struct gal_err *err);

#endif
