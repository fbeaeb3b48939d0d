/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of sources: a directory that processes share. Below ROOT/e, KEY is a complete entry, or
 * is not there; KEY.part is one that is being fetched (or was, when a process ended); KEY.lock is
 * locked (flock) shared by whoever uses the entry, exclusively by who removes it; KEY.fetch
 * exclusively by who fetches. KEY.gone is being removed: what goes is renamed first, so that a
 * removal that is cut off leaves nothing that looks whole. The time of KEY.lock is the last use.
 * ROOT/lock is held while room is made. In an entry, `origin` has the source's name and version,
 * and `d` what was fetched (GAL_SHELF_FILES); what else is in a part is its fetcher's.
 *
 *     absent -> fetching [gal_shelf_begin] -> complete [gal_shelf_finish]; complete -> absent
 *     [gal_shelf_room, gal_shelf_remove: only what nobody holds]
 *
 * Lock order: ROOT/lock, then KEY.lock without waiting; KEY.lock, then KEY.fetch. One thread a
 * hold. */
#ifndef GAL_SOURCE_SHELF_H
#define GAL_SOURCE_SHELF_H

#include "base/buf.h"

#define GAL_SHELF_FILES "d"

struct gal_shelf_hold {
    char *dir;     /* the entry's place; owned */
    char *part;    /* while it is fetched; owned */
    char *lock;    /* KEY.lock; owned */
    int lock_fd;   /* -1: none */
    int fetch_fd;  /* -1: not fetching */
    bool complete; /* dir is there */
};

/* Makes ROOT; locks the entry as in use. h is zeroed by the call; release it in any case. */
enum gal_status gal_shelf_take(const char *root, const char *key, struct gal_shelf_hold *h,
                               struct gal_err *err);
/* Waits while another process fetches the same. After it the entry is complete, or h->part is a
 * directory that is the caller's alone, with what an earlier try left. `origin` is noted in it. */
enum gal_status gal_shelf_begin(struct gal_shelf_hold *h, const char *origin, struct gal_err *err);
/* All of part is on the disk: it becomes the entry, with its origin. */
enum gal_status gal_shelf_finish(struct gal_shelf_hold *h, const char *origin, struct gal_err *err);
/* Empties part: what is in it is of no use. */
enum gal_status gal_shelf_restart(struct gal_shelf_hold *h, struct gal_err *err);
void gal_shelf_release(struct gal_shelf_hold *h); /* a zeroed one with fds -1 is fine */

/* Room for `bytes` more of h below bytes_max: what was used least lately goes. TOO_LARGE when it
 * cannot be, because the entry is larger or because all else is in use. */
enum gal_status gal_shelf_room(const char *root, const struct gal_shelf_hold *h, uint64_t bytes,
                               uint64_t bytes_max, struct gal_err *err);

struct gal_shelf_entry {
    char key[72];
    uint64_t bytes;
    int64_t used_ns; /* since 1970 */
    bool complete;
    bool in_use; /* by a process, which may be fetching it */
    char origin[512];
};
/* What is there, most lately used first; *out is owned (gal_free). A root that is not there has
 * none. */
enum gal_status gal_shelf_list(const char *root, struct gal_shelf_entry **out, size_t *count,
                               struct gal_err *err);
/* Where a complete entry has what was fetched. Owned; NULL: no memory. */
char *gal_shelf_files(const char *root, const char *key);
/* CONFLICT: it is in use. NOT_FOUND. */
enum gal_status gal_shelf_remove(const char *root, const char *key, struct gal_err *err);

#endif
