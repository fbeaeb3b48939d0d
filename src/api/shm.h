/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in a client's memory (the system shared memory extension): regions by name, for the whole
 * process. Off unless the configuration allows it. A region lives until its last use has ended, so
 * that an inference under way outlives an unregister.
 *
 * Nothing is mapped. A mapping's pages vanish when the client shrinks its file, and the signal that
 * follows would end the process; the client could also change bytes that have been checked. So
 * tensors are copied by pread and pwrite, which end in an error instead.
 *
 * Thread: any; one lock, never held while a tensor is read. */
#ifndef GAL_API_SHM_H
#define GAL_API_SHM_H

#include "base/arena.h"

struct gal_shm;        /* all regions */
struct gal_shm_region; /* one, counted */

struct gal_shm *gal_shm_new(void);    /* returns owned; NULL when memory is out */
void gal_shm_free(struct gal_shm *s); /* NULL is fine */

/* Opens /dev/shm's `key` ("/name" or "name"). CONFLICT when the name is taken, INVALID for a key or
 * a range that does not fit, NOT_FOUND when there is no such object, TOO_LARGE beyond
 * GAL_SHM_REGIONS_MAX. */
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

/* A region that holds the bytes [offset, offset + size), with a reference that the caller owns.
 * NOT_FOUND, or INVALID when they do not lie within. */
enum gal_status gal_shm_use(struct gal_shm *s, struct gal_str name, uint64_t offset, uint64_t size,
                            struct gal_shm_region **region, struct gal_err *err);
/* Copies `size` bytes from or to the region's offset, within it. INVALID when the client has
 * shrunk its file. */
enum gal_status gal_shm_read(const struct gal_shm_region *r, uint64_t offset, void *to, size_t size,
                             struct gal_err *err);
enum gal_status gal_shm_write(const struct gal_shm_region *r, uint64_t offset, const void *from,
                              size_t size, struct gal_err *err);
void gal_shm_region_unref(struct gal_shm_region *r); /* NULL is fine */

#endif
