/* SPDX-License-Identifier: Apache-2.0 */
/* OCI content descriptors, manifests and indexes as plain data (image-spec 1.1): read from JSON
 * with bounds, written in one fixed order of keys so that equal content has equal bytes.
 * Texts lie in the arena or are borrowed. Any thread. */
#ifndef GAL_OCI_DESCRIPTOR_H
#define GAL_OCI_DESCRIPTOR_H

#include "base/arena.h"
#include "base/buf.h"

#define GAL_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define GAL_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define GAL_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define GAL_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define GAL_OCI_LAYER_TAR "application/vnd.oci.image.layer.v1.tar"
#define GAL_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define GAL_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define GAL_DIGEST_SIZE 72 /* "sha256:" + 64 hex + NUL */

struct gal_oci_annotation {
    struct gal_str key, value;
};

struct gal_oci_platform {
    struct gal_str os, architecture, variant; /* empty: not told */
};

struct gal_oci_descriptor {
    struct gal_str media_type;
    char digest[GAL_DIGEST_SIZE]; /* "sha256:..."; other algorithms are refused */
    uint64_t size;
    struct gal_str artifact_type; /* empty: none */
    struct gal_oci_platform platform;
    const struct gal_oci_annotation *annotations; /* written sorted by key */
    size_t annotation_count;
};

struct gal_oci_manifest {
    struct gal_str media_type, artifact_type;
    struct gal_oci_descriptor config;
    const struct gal_oci_descriptor *layers;
    size_t layer_count;
    bool has_subject;
    struct gal_oci_descriptor subject;
    const struct gal_oci_annotation *annotations;
    size_t annotation_count;
};

struct gal_oci_index {
    const struct gal_oci_descriptor *manifests;
    size_t manifest_count;
    struct gal_str artifact_type;
    bool has_subject;
    struct gal_oci_descriptor subject;
    const struct gal_oci_annotation *annotations;
    size_t annotation_count;
};

/* INVALID names the field: "manifest: layers[2].size". Docker's schema 2 media types are read as
 * their OCI counterparts (media_type keeps the words of the text). An object that has a member
 * twice is INVALID: readers differ in which they take. */
enum gal_status gal_oci_manifest_read(struct gal_str json, struct gal_arena *arena,
                                      struct gal_oci_manifest *out, struct gal_err *err);
enum gal_status gal_oci_index_read(struct gal_str json, struct gal_arena *arena,
                                   struct gal_oci_index *out, struct gal_err *err);
void gal_oci_manifest_write(struct gal_buf *out, const struct gal_oci_manifest *m);
void gal_oci_index_write(struct gal_buf *out, const struct gal_oci_index *x);
/* Is it an index or a manifest, by mediaType or shape? False: neither. */
bool gal_oci_is_index(struct gal_str json);

/* "sha256:..." of bytes. Empty, which equals no digest, when memory is out. */
void gal_oci_digest(struct gal_str bytes, char out[GAL_DIGEST_SIZE]);
bool gal_oci_digest_valid(struct gal_str text);
/* Descriptor of bytes in memory. */
struct gal_oci_descriptor gal_oci_describe(struct gal_str media_type, struct gal_str bytes);
/* Empty when absent. */
struct gal_str gal_oci_annotation(const struct gal_oci_descriptor *d, const char *key);

#endif
