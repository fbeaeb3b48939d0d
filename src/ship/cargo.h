/* SPDX-License-Identifier: Apache-2.0 */
/* What one layer of an image holds, before it is a tar: files from memory or from parts of files,
 * directories, links. Owned by root, times and order fixed: equal content makes equal layers,
 * whatever the folder, the umask and the day. One thread. */
#ifndef GAL_SHIP_CARGO_H
#define GAL_SHIP_CARGO_H

#include "base/arena.h"
#include "base/digest.h"
#include "oci/tar.h"

struct gal_cargo_item {
    const char *path; /* "opt/galley/bin/galley": neither / in front nor behind */
    enum gal_tar_type type;
    const char *target; /* of a link */
    unsigned mode;
    struct gal_str bytes; /* of a file in memory (borrowed); p NULL: of `file` */
    const char *file;     /* borrowed */
    uint64_t offset, size;
    char sha256[GAL_SHA256_HEX_SIZE]; /* empty: not known yet */
};

struct gal_cargo {
    const char *name;       /* "runtime": in progress and history */
    const char *created_by; /* the history's line */
    struct gal_arena *arena;
    struct gal_cargo_item *items;
    size_t count, room;
    uint64_t bytes; /* of all files */
    bool failed;    /* memory was out */
};

/* Texts are copied into the arena; bytes and file are borrowed until the layer is made. */
void gal_cargo_init(struct gal_cargo *c, const char *name, const char *created_by,
                    struct gal_arena *arena);
void gal_cargo_put(struct gal_cargo *c, const char *path, unsigned mode, struct gal_str bytes);
/* sha256 NULL: not known. */
void gal_cargo_put_file(struct gal_cargo *c, const char *path, unsigned mode, const char *file,
                        uint64_t offset, uint64_t size, const char *sha256);
void gal_cargo_put_dir(struct gal_cargo *c, const char *path, unsigned mode);
void gal_cargo_put_link(struct gal_cargo *c, const char *path, const char *target);
/* Adds the directories above what is there (0755), sorts, fills digests. INVALID: a path twice, or
 * one that leads out; what reading says. */
enum gal_status gal_cargo_seal(struct gal_cargo *c, struct gal_err *err);

#endif
