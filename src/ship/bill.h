/* SPDX-License-Identifier: Apache-2.0 */
/* Bills of materials (SPDX 2.3, JSON) of what goes into an image: packages (Debian's, the engine,
 * galley, the model) and their files with checksums. Deterministic. One thread. */
#ifndef GAL_SHIP_BILL_H
#define GAL_SHIP_BILL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"

#define GAL_SPDX_TYPE "application/spdx+json"

struct gal_bill_package {
    struct gal_str name, version, supplier; /* "Organization: Debian"; empty: not known, as all */
    struct gal_str licence;                 /* SPDX expression */
    struct gal_str purl;                    /* "pkg:deb/debian/libc6@2.36?arch=amd64" */
    const char *purpose;                    /* "LIBRARY", "APPLICATION", "OTHER" */
};

struct gal_bill_file {
    const char *path; /* in the image, without / in front */
    size_t package;
    char sha1[GAL_SHA1_HEX_SIZE], sha256[GAL_SHA256_HEX_SIZE];
};

struct gal_bill {
    struct gal_arena *arena;
    struct gal_bill_package *packages;
    struct gal_bill_file *files;
    size_t package_count, package_room, file_count, file_room;
    bool failed; /* memory was out, or a digest could not be computed */
};

/* Texts are borrowed. */
void gal_bill_init(struct gal_bill *b, struct gal_arena *arena);
/* Its number; that of an equal one when it is there. */
size_t gal_bill_package(struct gal_bill *b, struct gal_bill_package package);
void gal_bill_file(struct gal_bill *b, size_t package, const char *path, struct gal_str bytes);
/* All of another bill. */
void gal_bill_join(struct gal_bill *b, const struct gal_bill *other);
/* name: of the document. root NULL: the document describes all packages; else it describes this
 * one, which contains the others. Appends to out. */
enum gal_status gal_bill_write(struct gal_buf *out, const struct gal_bill *b, const char *name,
                               const struct gal_bill_package *root, int64_t epoch,
                               struct gal_err *err);
/* "pkg:deb/debian/NAME@VERSION?arch=ARCH" with what is to be escaped escaped; the arena's. */
struct gal_str gal_bill_purl(struct gal_arena *arena, const char *type, struct gal_str name,
                             struct gal_str version, struct gal_str arch);

#endif
