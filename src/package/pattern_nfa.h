/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern taken apart: nodes that lead to nodes. Of pattern*.c alone. */
#ifndef GAL_PACKAGE_PATTERN_NFA_H
#define GAL_PACKAGE_PATTERN_NFA_H

#include "package/pattern.h"

#define GAL_CODE_POINT_MAX 0x10ffffu
#define GAL_NFA_NONE UINT16_MAX
#define GAL_NFA_RANGES_MAX 4096u

/* A node with ranges takes a character and goes on to `to`; without, it is passed for nothing, to
 * both `to` and `also` where they are there. */
struct gal_nfa_node {
    uint16_t to, also;
    uint16_t first, count; /* of its ranges */
};
struct gal_nfa_range {
    uint32_t low, high;
};

struct gal_nfa {
    struct gal_nfa_node *nodes; /* arena's, GAL_PATTERN_NODES_MAX */
    size_t node_count;
    struct gal_nfa_range *ranges; /* arena's, GAL_NFA_RANGES_MAX */
    size_t range_count;
    uint16_t start, end; /* end: matched */
};

enum gal_status gal_nfa_parse(struct gal_str text, struct gal_arena *arena, struct gal_nfa *out,
                              struct gal_err *err);
/* The code point at p, and its bytes; 0 when there is none. */
size_t gal_code_point(const char *p, size_t n, uint32_t *out);

#endif
