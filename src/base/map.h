/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from byte strings to pointers: open addressing, keyed hash (SipHash-1-3 with a
 * process-wide random key, so that a peer cannot choose collisions). Keys and values are borrowed
 * and must outlive the map. Not thread-safe for writers; any number of readers without writers. */
#ifndef GAL_BASE_MAP_H
#define GAL_BASE_MAP_H

#include "base/str.h"

struct gal_map_slot;
struct gal_map {
    struct gal_map_slot *slots; /* owned */
    size_t cap, count;
};

void gal_map_init(struct gal_map *m);
void gal_map_release(struct gal_map *m);
void *gal_map_get(const struct gal_map *m, struct gal_str key); /* NULL when absent */
/* Replaces the value of an equal key. NO_MEMORY leaves the map as it was. value is not NULL. */
enum gal_status gal_map_set(struct gal_map *m, struct gal_str key, void *value);
uint64_t gal_hash_bytes(struct gal_str s);                       /* with the process's key */
uint64_t gal_siphash13(const uint64_t key[2], struct gal_str s); /* pure */

#endif
