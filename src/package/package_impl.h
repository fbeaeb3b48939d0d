/* SPDX-License-Identifier: Apache-2.0 */
/* What an open package is, for the files of package/package, pack and unpack. */
#ifndef GAL_PACKAGE_PACKAGE_IMPL_H
#define GAL_PACKAGE_PACKAGE_IMPL_H

#include "base/file_write.h"
#include "package/package.h"

#include <pthread.h>

/* A run of bytes that has to have a digest: a layer, a file of a sealed directory. */
struct gal_sealed_part {
    const char *label; /* "model.onnx", "layer 2" */
    const char *path;
    uint64_t offset, size;
    char digest[GAL_DIGEST_SIZE];
};

struct gal_package_map;

struct gal_opened {
    struct gal_package package; /* first: a package is one of these */
    struct gal_arena arena;
    struct gal_layout *layout;      /* NULL: a directory of files */
    struct gal_str oci_text;        /* the OCI manifest of what is sealed */
    struct gal_str oci_config;      /* and its config's bytes */
    struct gal_oci_manifest oci;    /* the manifest, read */
    struct gal_package_file *files; /* package.files, while they are collected */
    size_t file_cap;
    struct gal_sealed_part *parts;
    size_t part_count;
    bool one_by_one;                 /* each file has a layer of its own */
    struct gal_file_writer *scratch; /* what came out of compressed layers; NULL: none */
    uint64_t scratch_bytes;
    struct gal_file_writer *aligned; /* the model as packing writes it; NULL: as it is */
    uint64_t aligned_bytes;
    struct gal_package_map *maps;
    pthread_mutex_t lock; /* maps */
};

static inline struct gal_opened *gal_opened_of(struct gal_package *p)
{
    return (struct gal_opened *)p;
}

/* "PATH: message" of what an inner call said, unless the path is there. Returns status. */
enum gal_status gal_package_name_path(const struct gal_opened *o, enum gal_status status,
                                      struct gal_err *err);
enum gal_status gal_package_no_memory(const struct gal_opened *o, struct gal_err *err);
#ifdef __clang_analyzer__
#define gal_package_no_memory(...)                                                                 \
    gal_fail_known((gal_package_no_memory)(__VA_ARGS__), GAL_NO_MEMORY)
#endif

/* --- collecting files --- */
/* Texts of f are borrowed or the arena's. */
enum gal_status gal_package_add(struct gal_opened *o, const struct gal_package_file *f,
                                struct gal_err *err);
/* INVALID: not a name that a file of a package may have. */
enum gal_status gal_package_check_name(const struct gal_opened *o, struct gal_str name,
                                       struct gal_err *err);
/* Sorts the files. INVALID: a name twice, or one that is a directory of another. */
enum gal_status gal_package_settle(struct gal_opened *o, struct gal_err *err);

/* What the manifest names beside itself. `what`: "the model", for errors. A status other than OK
 * ends it and is returned. */
enum gal_status gal_package_named(const struct gal_manifest *m,
                                  enum gal_status (*on_part)(struct gal_str name, const char *what,
                                                             enum gal_file_role role, void *ctx),
                                  void *ctx);
/* By its extension. */
enum gal_file_role gal_role_of(struct gal_str name);

/* --- the three forms --- */
enum gal_status gal_package_open_layout(struct gal_opened *o, struct gal_err *err);
enum gal_status gal_package_open_sealed(struct gal_opened *o, struct gal_err *err);
enum gal_status gal_package_open_dir(struct gal_opened *o, struct gal_err *err);
/* Reads galley.yaml's text, which has been found, into package.manifest. */
enum gal_status gal_package_read_manifest(struct gal_opened *o, struct gal_str text,
                                          struct gal_err *err);
/* The OCI manifest of a model: its artifact type and config, no more. */
enum gal_status gal_package_read_oci(struct gal_opened *o, struct gal_str text,
                                     struct gal_err *err);
/* "application/vnd.cncf.model.doc.v1.raw": what it is for, whether it is the file itself. INVALID
 * with what is wrong. */
enum gal_status gal_layer_type(struct gal_str media_type, enum gal_file_role *role, bool *is_raw,
                               struct gal_err *err);

#endif
