/* SPDX-License-Identifier: Apache-2.0 */
#include "text/token_trie.h"

#include "base/map.h"

struct gal_trie_edge {
    uint32_t key;  /* node and byte */
    uint32_t node; /* behind it; 0: the place is free */
};

static enum gal_status take_memory(struct gal_trie *t, size_t nodes, struct gal_arena *arena,
                                   struct gal_err *err)
{
    unsigned bits = 4;

    while (((size_t)1 << bits) < 2 * nodes)
        bits++;
    t->mask = (uint32_t)(((size_t)1 << bits) - 1);
    t->shift = 64 - bits;
    t->edges = gal_arena_array(arena, (size_t)1 << bits, sizeof(*t->edges));
    t->values = gal_arena_array(arena, nodes, sizeof(*t->values));
    if (t->edges == NULL || t->values == NULL)
        return gal_arena_fail(arena, ((size_t)1 << bits) * sizeof(*t->edges), "a vocabulary", err);
    memset(t->edges, 0, ((size_t)1 << bits) * sizeof(*t->edges));
    t->node_count = 1;
    t->values[0] = GAL_TRIE_NONE;
    return GAL_OK;
}

enum gal_status gal_trie_init(struct gal_trie *t, size_t bytes, struct gal_arena *arena,
                              struct gal_err *err)
{
    *t = (struct gal_trie){.seed = gal_hash_bytes(GAL_STR("a vocabulary"))};
    if (bytes >= GAL_TRIE_NODES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "a vocabulary of more than %u bytes",
                        GAL_TRIE_NODES_MAX);
    return take_memory(t, bytes + 1, arena, err);
}

static uint32_t place_of(const struct gal_trie *t, uint32_t key)
{
    return (uint32_t)(((key ^ t->seed) * 0x9e3779b97f4a7c15u) >> t->shift);
}

/* Where an edge lies, or the free place where it would. */
static struct gal_trie_edge *find(const struct gal_trie *t, uint32_t key)
{
    uint32_t i = place_of(t, key);

    while (t->edges[i].node != 0 && t->edges[i].key != key)
        i = (i + 1) & t->mask;
    return &t->edges[i];
}

void gal_trie_set(struct gal_trie *t, struct gal_str text, int32_t value)
{
    uint32_t node = 0;

    for (size_t i = 0; i < text.n; i++) {
        uint32_t key = node << 8 | (unsigned char)text.p[i];
        struct gal_trie_edge *e = find(t, key);

        if (e->node == 0) {
            t->values[t->node_count] = GAL_TRIE_NONE;
            *e = (struct gal_trie_edge){key, t->node_count++};
        }
        node = e->node;
    }
    t->values[node] = value;
}

enum gal_status gal_trie_copy(const struct gal_trie *t, struct gal_arena *arena,
                              struct gal_trie *out, struct gal_err *err)
{
    struct gal_trie copy = *t;
    enum gal_status st = take_memory(&copy, t->node_count, arena, err);

    if (st != GAL_OK)
        return st;
    memcpy(copy.values, t->values, t->node_count * sizeof(*t->values));
    copy.node_count = t->node_count;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->edges[i].node != 0)
            *find(&copy, t->edges[i].key) = t->edges[i];
    *out = copy;
    return GAL_OK;
}

uint32_t gal_trie_step(const struct gal_trie *t, uint32_t node, unsigned char byte)
{
    return find(t, node << 8 | byte)->node;
}

uint32_t gal_trie_walk(const struct gal_trie *t, uint32_t node, struct gal_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        node = gal_trie_step(t, node, (unsigned char)text.p[i]);
        if (node == 0)
            return UINT32_MAX;
    }
    return node;
}

int32_t gal_trie_get(const struct gal_trie *t, struct gal_str text)
{
    uint32_t node = gal_trie_walk(t, 0, text);

    return node != UINT32_MAX ? t->values[node] : GAL_TRIE_NONE;
}

int32_t gal_trie_longest(const struct gal_trie *t, uint32_t node, const char *p, size_t n,
                         size_t *bytes)
{
    int32_t best = GAL_TRIE_NONE;

    *bytes = 0;
    for (size_t i = 0; i < n; i++) {
        node = gal_trie_step(t, node, (unsigned char)p[i]);
        if (node == 0)
            break;
        if (t->values[node] == GAL_TRIE_NONE)
            continue;
        best = t->values[node];
        *bytes = i + 1;
    }
    return best;
}
