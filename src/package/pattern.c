/* SPDX-License-Identifier: Apache-2.0 */
/* A table over sets of nodes: which set a character leads to from which. */
#include "package/pattern_nfa.h"

#include "base/map.h"

#include <stdlib.h>

struct gal_pattern {
    uint32_t *bounds; /* ascending; class k holds the code points from bounds[k] to the next */
    size_t class_count;
    uint16_t ascii[128]; /* their classes */
    uint16_t *next;      /* [state][class]; state 0 is the dead one, 1 the first */
    bool *accepts;       /* by state */
    size_t state_count;
};

/* A set of nodes, as bits. */
#define SET_WORDS (GAL_PATTERN_NODES_MAX / 64)
struct set {
    uint64_t bits[SET_WORDS];
};

struct builder {
    struct gal_nfa nfa;
    struct gal_pattern *pattern;
    struct gal_arena scratch;
    struct gal_map known;    /* a set's bytes to its state, and 1 */
    const struct set **sets; /* by state */
    size_t set_bytes;
    struct gal_err *err;
};

static enum gal_status no_memory(const struct builder *b)
{
    return gal_fail(b->err, GAL_NO_MEMORY, "no memory for a pattern");
}

static enum gal_status too_large(const struct builder *b)
{
    return gal_fail(b->err, GAL_TOO_LARGE,
                    "the pattern is too large: it takes more than %u states or %u cells",
                    GAL_PATTERN_STATES_MAX, GAL_PATTERN_CELLS_MAX);
}

/* --- classes of characters --- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static size_t class_of(const struct gal_pattern *p, uint32_t c)
{
    size_t low = 0, high = p->class_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p->bounds[middle] <= c)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static enum gal_status find_classes(struct builder *b, struct gal_arena *arena)
{
    struct gal_pattern *p = b->pattern;
    size_t count = 0, kept = 0;
    p->bounds = gal_arena_array(arena, 2 * b->nfa.range_count + 1, sizeof *p->bounds);
    if (!p->bounds)
        return no_memory(b);
    p->bounds[count++] = 0;
    for (size_t i = 0; i < b->nfa.range_count; i++) {
        p->bounds[count++] = b->nfa.ranges[i].low;
        p->bounds[count++] = b->nfa.ranges[i].high + 1;
    }
    qsort(p->bounds, count, sizeof *p->bounds, by_value);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || p->bounds[i] != p->bounds[i - 1])
            p->bounds[kept++] = p->bounds[i];
    }
    p->class_count = kept;
    for (uint32_t c = 0; c < 128; c++)
        p->ascii[c] = (uint16_t)class_of(p, c);
    return GAL_OK;
}

/* --- states --- */

/* Adds a node and all that it leads to for nothing. */
static void close_over(const struct builder *b, struct set *s, uint16_t first)
{
    uint16_t stack[GAL_PATTERN_NODES_MAX];
    size_t depth = 0;
    stack[depth++] = first;
    s->bits[first / 64] |= UINT64_C(1) << first % 64;
    while (depth > 0) {
        const struct gal_nfa_node *n = &b->nfa.nodes[stack[--depth]];
        const uint16_t ways[2] = {n->to, n->also};
        for (size_t i = 0; n->count == 0 && i < 2; i++) {
            uint16_t to = ways[i];
            if (to == GAL_NFA_NONE || s->bits[to / 64] >> to % 64 & 1)
                continue;
            s->bits[to / 64] |= UINT64_C(1) << to % 64;
            stack[depth++] = to;
        }
    }
}

/* The state of a set; a new one where it is not known. */
static enum gal_status state_of(struct builder *b, const struct set *s, size_t *out)
{
    struct gal_pattern *p = b->pattern;
    size_t *known = gal_map_get(&b->known, (struct gal_str){(const char *)s, b->set_bytes});
    if (known) {
        *out = *known;
        return GAL_OK;
    }
    if (p->state_count == GAL_PATTERN_STATES_MAX ||
        (p->state_count + 1) * p->class_count > GAL_PATTERN_CELLS_MAX)
        return too_large(b);
    void *copy = gal_arena_alloc(&b->scratch, b->set_bytes);
    size_t *number = gal_arena_small(&b->scratch, sizeof *number);
    if (!copy || !number)
        return no_memory(b);
    memcpy(copy, s, b->set_bytes);
    *number = *out = p->state_count;
    if (gal_map_set(&b->known, (struct gal_str){copy, b->set_bytes}, number))
        return no_memory(b);
    b->sets[p->state_count] = copy;
    p->accepts[p->state_count++] = s->bits[b->nfa.end / 64] >> b->nfa.end % 64 & 1;
    return GAL_OK;
}

static bool takes(const struct builder *b, const struct gal_nfa_node *n, uint32_t c)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct gal_nfa_range *r = &b->nfa.ranges[n->first + i];
        if (r->low <= c && c <= r->high)
            return true;
    }
    return false;
}

/* The set that a character of the class leads to. */
static void step(const struct builder *b, const struct set *from, size_t class, struct set *to)
{
    uint32_t c = b->pattern->bounds[class]; /* stands for all of its class */
    memset(to, 0, b->set_bytes);
    for (size_t w = 0; w < b->set_bytes / 8; w++) {
        for (uint64_t bits = from->bits[w]; bits; bits &= bits - 1) {
            const struct gal_nfa_node *n = &b->nfa.nodes[w * 64 + (size_t)__builtin_ctzll(bits)];
            if (n->count > 0 && takes(b, n, c))
                close_over(b, to, n->to);
        }
    }
}

static enum gal_status build_states(struct builder *b)
{
    struct gal_pattern *p = b->pattern;
    struct set now, to;
    size_t number;
    memset(&now, 0, sizeof now);
    enum gal_status status = state_of(b, &now, &number); /* the dead state: the empty set */
    close_over(b, &now, b->nfa.start);
    if (!status)
        status = state_of(b, &now, &number);
    for (size_t s = 0; !status && s < p->state_count; s++) {
        for (size_t k = 0; k < p->class_count && !status; k++) {
            step(b, b->sets[s], k, &to);
            status = state_of(b, &to, &number);
            p->next[s * p->class_count + k] = (uint16_t)number;
        }
    }
    return status;
}

static enum gal_status build(struct builder *b, struct gal_arena *arena)
{
    struct gal_pattern *p = b->pattern;
    size_t rows;
    enum gal_status status = find_classes(b, arena);
    if (status)
        return status;
    rows = GAL_PATTERN_CELLS_MAX / p->class_count;
    rows = rows < GAL_PATTERN_STATES_MAX ? rows : GAL_PATTERN_STATES_MAX;
    b->set_bytes = (b->nfa.node_count + 63) / 64 * 8;
    b->sets = gal_arena_array(&b->scratch, rows + 1, sizeof(void *));
    p->accepts = gal_arena_array(&b->scratch, rows + 1, sizeof *p->accepts);
    p->next = gal_arena_array(&b->scratch, (rows + 1) * p->class_count, sizeof *p->next);
    if (!b->sets || !p->accepts || !p->next)
        return no_memory(b);
    status = build_states(b);
    if (status)
        return status;
    const void *accepts = p->accepts, *next = p->next;
    size_t cells = p->state_count * p->class_count;
    p->accepts = gal_arena_array(arena, p->state_count, sizeof *p->accepts);
    p->next = gal_arena_array(arena, cells, sizeof *p->next);
    if (!p->accepts || !p->next)
        return no_memory(b);
    memcpy(p->accepts, accepts, p->state_count * sizeof *p->accepts);
    memcpy(p->next, next, cells * sizeof *p->next);
    return GAL_OK;
}

enum gal_status gal_pattern_new(struct gal_str text, struct gal_arena *arena,
                                struct gal_pattern **out, struct gal_err *err)
{
    struct builder b = {.err = err, .pattern = gal_arena_small(arena, sizeof *b.pattern)};
    if (!b.pattern)
        return no_memory(&b);
    *b.pattern = (struct gal_pattern){.state_count = 0};
    gal_arena_init(&b.scratch, 65536, 0, 16u << 20);
    gal_map_init(&b.known);
    enum gal_status status = gal_nfa_parse(text, &b.scratch, &b.nfa, err);
    if (!status)
        status = build(&b, arena);
    gal_map_release(&b.known);
    gal_arena_release(&b.scratch);
    *out = status ? NULL : b.pattern;
    return status;
}

bool gal_pattern_fits(const struct gal_pattern *p, struct gal_str text)
{
    size_t state = 1;
    for (size_t i = 0; i < text.n && state != 0;) {
        uint32_t c = (unsigned char)text.p[i];
        size_t class, bytes = 1;
        if (c < 128) {
            class = p->ascii[c];
        } else {
            bytes = gal_code_point(text.p + i, text.n - i, &c);
            if (bytes == 0)
                return false;
            class = class_of(p, c);
        }
        state = p->next[state * p->class_count + class];
        i += bytes;
    }
    return p->accepts[state];
}
