/* SPDX-License-Identifier: Apache-2.0 */
/* Texts with numbers, walked byte by byte: the longest text at a place is found in one pass. Edges
 * lie in one hash table. Built once in an arena, immutable then: any thread. */
#ifndef GAL_TEXT_TOKEN_TRIE_H
#define GAL_TEXT_TOKEN_TRIE_H

#include "base/arena.h"

#define GAL_TRIE_NODES_MAX (1u << 24) /* an edge is a node and a byte in 32 bits */
#define GAL_TRIE_NONE (-1)

struct gal_trie_edge;
struct gal_trie {
    struct gal_trie_edge *edges;
    int32_t *values; /* by node; GAL_TRIE_NONE: no text ends here */
    uint32_t node_count, mask;
    unsigned shift;
    uint64_t seed;
};

/* Room for texts of `bytes` bytes in all. NO_MEMORY, TOO_LARGE. */
enum gal_status gal_trie_init(struct gal_trie *t, size_t bytes, struct gal_arena *arena,
                              struct gal_err *err);
/* A text that is there gets the new value; value >= 0. The texts' bytes in all are at most what
 * init was told. */
void gal_trie_set(struct gal_trie *t, struct gal_str text, int32_t value);
/* As small as it can be, in another arena. */
enum gal_status gal_trie_copy(const struct gal_trie *t, struct gal_arena *arena,
                              struct gal_trie *out, struct gal_err *err);
/* The node behind an edge; 0: there is none. The root is 0. */
uint32_t gal_trie_step(const struct gal_trie *t, uint32_t node, unsigned char byte);
/* The node that a text leads to from `node`; UINT32_MAX: none. */
uint32_t gal_trie_walk(const struct gal_trie *t, uint32_t node, struct gal_str text);
/* GAL_TRIE_NONE: it is not there. */
int32_t gal_trie_get(const struct gal_trie *t, struct gal_str text);
/* The longest text that begins at p, from `node` on; *bytes 0 and GAL_TRIE_NONE: none. */
int32_t gal_trie_longest(const struct gal_trie *t, uint32_t node, const char *p, size_t n,
                         size_t *bytes);

#endif
