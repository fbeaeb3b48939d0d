/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a config.pbtxt: a tree within its bounds, or an error with a message and a place. */
#include "base/limits.h"
#include "text/pbtxt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nodes below `n`, each looked at; depth is bounded by the parser. */
static size_t visit(const struct gal_pbtxt *n, unsigned depth)
{
    bool is_scalar = n->type == GAL_PBTXT_TEXT || n->type == GAL_PBTXT_WORD;
    size_t count = 1;
    int64_t i;
    uint64_t u;
    double d;
    bool b;
    GAL_ASSERT(depth <= GAL_PBTXT_DEPTH_MAX);
    GAL_ASSERT(n->line >= 1 && strlen(n->name.p) == n->name.n);
    GAL_ASSERT(is_scalar ? !n->child && n->text.p[n->text.n] == '\0' : n->text.n == 0);
    GAL_ASSERT(n->type != GAL_PBTXT_WORD || strlen(n->text.p) == n->text.n);
    GAL_ASSERT(!gal_pbtxt_u64(n, &u) || (gal_pbtxt_f64(n, &d) && d >= 0));
    GAL_ASSERT(!gal_pbtxt_i64(n, &i) || gal_pbtxt_f64(n, &d));
    (void)gal_pbtxt_bool(n, &b);
    for (const struct gal_pbtxt *c = n->child; c; c = c->next)
        count += visit(c, depth + 1);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;
    struct gal_pbtxt *root;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_err_clear(&err);
    if (gal_pbtxt_parse((struct gal_str){(const char *)data, size}, "f", &arena, &root, &err))
        GAL_ASSERT(err.code != GAL_OK && err.message[0] && !root);
    else
        GAL_ASSERT(visit(root, 0) <= GAL_PBTXT_NODES_MAX);
    gal_arena_release(&arena);
    return 0;
}
