/* SPDX-License-Identifier: Apache-2.0 */
/* One answer of a model with the key that it answers: one piece of memory, immutable, counted by
 * references. A hit borrows its outputs from here until its answer is written. Any thread; the
 * fields of the cache are guarded by its lock. */
#ifndef GAL_CACHE_ENTRY_H
#define GAL_CACHE_ENTRY_H

#include "backend/backend.h"
#include "base/buf.h"
#include "cache/hash.h"

struct gal_cache_model;

struct gal_cache_entry {
    struct gal_str key;              /* behind the struct, as all that is pointed to */
    const struct gal_value *outputs; /* without handles */
    size_t output_count;
    size_t bytes; /* of the whole piece */
    _Atomic uint32_t refs;
    /* the cache's, while it is in there */
    struct gal_hash128 hash;
    struct gal_cache_model *model;
    uint64_t expires_us;                   /* monotonic; 0: never */
    struct gal_cache_entry *next;          /* in its bucket */
    struct gal_cache_entry *older, *newer; /* by last use */
};

/* What an answer takes; 0 when an output has a datatype without a form or is nested deeper than a
 * sequence of maps, or when the sum overflows. */
#define GAL_CACHE_DEPTH_MAX 2u
size_t gal_cache_entry_size(struct gal_str key, const struct gal_value *outputs, size_t count);
/* Copies key and outputs; one reference, the caller's. UNSUPPORTED for outputs without a size. */
enum gal_status gal_cache_entry_new(struct gal_str key, const struct gal_value *outputs,
                                    size_t count, struct gal_cache_entry **out,
                                    struct gal_err *err);
struct gal_cache_entry *gal_cache_entry_ref(struct gal_cache_entry *e);
void gal_cache_entry_unref(struct gal_cache_entry *e); /* NULL is fine */

/* --- in another process's memory --- */

/* What an answer is called there: all that decides it, model included. */
struct gal_cache_name {
    struct gal_str model, version, sha256; /* of the model's file */
    struct gal_str key;
};
struct gal_hash128 gal_cache_name_hash(const struct gal_cache_name *name, struct gal_buf *scratch);

/* Appends the portable form: format's version, name in full, time of expiry (wall clock, 0: never),
 * outputs. */
void gal_cache_entry_pack(const struct gal_cache_entry *e, const struct gal_cache_name *name,
                          uint64_t expires_wall_us, struct gal_buf *out);
/* Reads it. The outputs borrow from `packed` and the arena and are those of the model's `ports`
 * that are `wanted`: INVALID for anything else, whatever the bytes are; NOT_FOUND when they are
 * well made but answer another name. */
enum gal_status gal_cache_entry_unpack(struct gal_str packed, const struct gal_cache_name *name,
                                       const struct gal_port *ports, const size_t *wanted,
                                       size_t count, struct gal_arena *arena,
                                       struct gal_value *outputs, uint64_t *expires_wall_us,
                                       struct gal_err *err);

#endif
