/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration: a tree within its bounds, or an error with a message. */
#include "base/limits.h"
#include "text/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nodes below `n`, each looked at; depth is bounded by the parser. */
static size_t visit(const struct gal_yaml *n, unsigned depth)
{
    size_t count = 1;
    GAL_ASSERT(depth <= GAL_YAML_DEPTH_MAX);
    GAL_ASSERT(n->type == GAL_YAML_SCALAR ? !n->child : n->scalar.n == 0);
    GAL_ASSERT(n->line >= 1 && (!n->scalar.p || strlen(n->scalar.p) == n->scalar.n));
    for (const struct gal_yaml *c = n->child; c; c = c->next) {
        count += visit(c, depth + 1);
        GAL_ASSERT(n->type == GAL_YAML_LIST || gal_utf8_valid(c->key));
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_arena arena;
    struct gal_yaml *root;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_err_clear(&err);
    if (gal_yaml_parse((struct gal_str){(const char *)data, size}, "f", &arena, &root, &err))
        GAL_ASSERT(err.code != GAL_OK && err.message[0]);
    else
        GAL_ASSERT(visit(root, 0) <= GAL_YAML_NODES_MAX);
    gal_arena_release(&arena);
    return 0;
}
