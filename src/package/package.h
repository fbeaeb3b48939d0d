/* SPDX-License-Identifier: Apache-2.0 */
/* A package: a directory with a galley.yaml, or a `.galley` file (an OCI image layout in a tar, its
 * artifact by the CNCF ModelPack specification; oci/layout.h). Both open to the same thing: a
 * manifest, files with digests, one digest of all.
 *
 * A directory that `galley unpack` or `galley pull` made, or that lies in an image, holds
 * .galley/manifest.json, the OCI manifest: its files are held against it. A directory that a user
 * wrote has none, and its digest is that which packing it gives. Open packages are immutable; any
 * thread. */
#ifndef GAL_PACKAGE_PACKAGE_H
#define GAL_PACKAGE_PACKAGE_H

#include "oci/layout.h"
#include "package/manifest.h"

/* What a file is for; decides its layer's media type. */
enum gal_file_role { GAL_ROLE_WEIGHT, GAL_ROLE_CONFIG, GAL_ROLE_DOC, GAL_ROLE_CODE, GAL_ROLE_DATA };

struct gal_package_file {
    struct gal_str name;          /* "model.onnx", "docs/card.md": '/' between parts, sorted */
    enum gal_file_role role;
    uint64_t size;
    char digest[GAL_DIGEST_SIZE]; /* empty: a user's directory, not yet computed */
    const char *path;             /* the file that holds it: of its own, or the .galley file */
    uint64_t offset;              /* in path */
};

struct gal_package {
    const char *path; /* as it was opened */
    bool is_dir, is_sealed; /* sealed: digests are known and binding */
    const struct gal_manifest *manifest;
    struct gal_str manifest_text; /* galley.yaml */
    const struct gal_package_file *files;
    size_t file_count;
    char digest[GAL_DIGEST_SIZE]; /* of the OCI manifest; empty until gal_package_digest of a user's
                                     directory */
};

/* True when a path looks like one: *.galley, or a directory with a galley.yaml. Reads nothing. */
bool gal_package_is(const char *path);
/* Reads and checks the manifest and the list of files, not the files' bytes. NOT_FOUND, INVALID. */
enum gal_status gal_package_open(const char *path, struct gal_package **out, struct gal_err *err);
void gal_package_close(struct gal_package *p); /* NULL is fine; maps go with it */
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
/* Fills p->digest and the files' of a directory that is not sealed: reads all bytes. */
enum gal_status gal_package_digest(struct gal_package *p, struct gal_err *err);

/* --- packing --- */
struct gal_pack_report {
    char digest[GAL_DIGEST_SIZE];
    uint64_t bytes;
    size_t files;
};
/* DIR to a .galley file: deterministic. The lock of provenance (lock.json) and the SBOM (SPDX 2.3,
 * sbom.spdx.json) are made and go in as files. */
enum gal_status gal_pack(struct gal_package *p, const char *out_path,
                         void (*on_progress)(uint64_t done, uint64_t total, void *ctx), void *ctx,
                         struct gal_pack_report *report, struct gal_err *err);
/* A package's files into a new directory, sealed. Nothing is written outside it; on failure nothing
 * stays. */
enum gal_status gal_unpack(struct gal_package *p, const char *dir, struct gal_err *err);

#endif
