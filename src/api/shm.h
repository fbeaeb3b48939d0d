/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in a client's memory (the system shared memory extension): regions by name, for the whole
 * process. Off unless the configuration allows it. A mapping lives until its last use has ended, so
 * that an inference under way outlives an unregister.
 * Thread: any; one lock, never held while a tensor is read. A client that shrinks its file while a
 * tensor is read must not stop the process (see shm.c). */
#ifndef GAL_API_SHM_H
#define GAL_API_SHM_H

#include "base/arena.h"

struct gal_shm;        /* all regions */
struct gal_shm_region; /* one, counted */

struct gal_shm *gal_shm_new(void); /* returns owned; NULL when memory is out */
void gal_shm_free(struct gal_shm *s);

/* Opens /dev/shm's `key` and maps byte_size bytes at offset. CONFLICT when the name is taken,
 * INVALID for a key or range that does not fit, NOT_FOUND when there is no such object. */
enum gal_status gal_shm_register(struct gal_shm *s, struct gal_str name, struct gal_str key,
                                 uint64_t offset, uint64_t byte_size, struct gal_err *err);
/* name empty: all. A name that is not there is fine, as with Triton. */
void gal_shm_unregister(struct gal_shm *s, struct gal_str name);

struct gal_shm_status {
    struct gal_str name, key;
    uint64_t offset, byte_size;
};
/* Copies of all rows (name empty) or of one (NOT_FOUND), by name, in the arena. */
enum gal_status gal_shm_status(struct gal_shm *s, struct gal_str name, struct gal_arena *arena,
                               struct gal_shm_status **out, size_t *count, struct gal_err *err);

/* The bytes [offset, offset + size) of a region, with a reference to it that the caller owns.
 * NOT_FOUND, or INVALID when they do not lie within. */
enum gal_status gal_shm_use(struct gal_shm *s, struct gal_str name, uint64_t offset, uint64_t size,
                            struct gal_shm_region **region, char **bytes, struct gal_err *err);
void gal_shm_region_unref(struct gal_shm_region *r); /* NULL is fine */

#endif
