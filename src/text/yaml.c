/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's events become a tree without recursion: a stack of the open lists and maps, at most
 * GAL_YAML_DEPTH_MAX of them. */
#include "text/yaml.h"

#include "base/limits.h"
#include "base/map.h"

#include <yaml.h>

/* A list or map that is open. */
struct level {
    struct gal_yaml *node;
    struct gal_yaml **tail; /* where the next child is linked */
    struct gal_map keys;    /* MAP: keys seen so far */
    struct gal_str key;     /* MAP: key that waits for its value */
    bool has_key;
};

struct builder {
    yaml_parser_t parser;
    const char *name;
    struct gal_arena *arena;
    struct gal_err *err;
    struct gal_yaml *root;
    enum gal_status status; /* of add_node that gave NULL */
    size_t nodes;
    size_t depth; /* levels in use */
    struct level levels[GAL_YAML_DEPTH_MAX];
};

static enum gal_status refuse(struct builder *b, size_t line, enum gal_status status,
                              const char *what)
{
    gal_fail(b->err, status, "%s", what);
    gal_err_place(b->err, "%s:%zu", b->name, line + 1); /* libyaml counts from 0 */
    return status;
}

static enum gal_status refuse_syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return refuse(b, p->problem_mark.line, GAL_NO_MEMORY, "out of memory");
    gal_fail(b->err, GAL_INVALID, "invalid YAML: %s%s%s", p->problem ? p->problem : "unreadable",
             p->context ? " " : "", p->context ? p->context : "");
    gal_err_place(b->err, "%s:%zu", b->name, p->problem_mark.line + 1);
    return GAL_INVALID;
}

/* Puts a node where the document is: below the innermost open level, or at the root. */
static void attach(struct builder *b, struct gal_yaml *node)
{
    struct level *top = b->depth ? &b->levels[b->depth - 1] : NULL;
    if (!top) {
        b->root = node;
        return;
    }
    if (top->node->type == GAL_YAML_MAP) {
        node->key = top->key;
        top->has_key = false;
    }
    *top->tail = node;
    top->tail = &node->next;
}

/* NULL with b->status when it cannot. */
static struct gal_yaml *add_node(struct builder *b, enum gal_yaml_type type, size_t line)
{
    if (++b->nodes > GAL_YAML_NODES_MAX) {
        b->status = refuse(b, line, GAL_TOO_LARGE, "too many values in one file");
        return NULL;
    }
    struct gal_yaml *node = gal_arena_small(b->arena, sizeof *node);
    if (!node) {
        b->status = gal_arena_fail(b->arena, sizeof *node, b->name, b->err);
        return NULL;
    }
    *node = (struct gal_yaml){.type = type, .line = (unsigned)line + 1};
    attach(b, node);
    return node;
}

/* True when the next node of the innermost level is a map's key. */
static bool wants_key(const struct builder *b)
{
    const struct level *top = b->depth ? &b->levels[b->depth - 1] : NULL;
    return top && top->node->type == GAL_YAML_MAP && !top->has_key;
}

static enum gal_status take_key(struct builder *b, struct gal_str key, size_t line)
{
    struct level *top = &b->levels[b->depth - 1];
    if (gal_map_get(&top->keys, key)) {
        gal_fail(b->err, GAL_INVALID, "the key '%.*s' stands twice", GAL_STR_ARG(key));
        gal_err_place(b->err, "%s:%zu", b->name, line + 1);
        return GAL_INVALID;
    }
    if (gal_map_set(&top->keys, key, top))
        return refuse(b, line, GAL_NO_MEMORY, "out of memory");
    top->key = key;
    top->has_key = true;
    return GAL_OK;
}

static enum gal_status on_scalar(struct builder *b, const yaml_event_t *e)
{
    size_t line = e->start_mark.line;
    if (e->data.scalar.anchor)
        return refuse(b, line, GAL_INVALID, "anchors are not supported");
    if (e->data.scalar.tag)
        return refuse(b, line, GAL_INVALID, "tags are not supported");
    struct gal_str raw = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (raw.n > 0 && memchr(raw.p, '\0', raw.n))
        return refuse(b, line, GAL_INVALID, "a text holds a NUL character");
    struct gal_str text = {gal_arena_strdup(b->arena, raw), raw.n};
    if (!text.p)
        return gal_arena_fail(b->arena, raw.n + 1, b->name, b->err);
    if (wants_key(b))
        return take_key(b, text, line);
    struct gal_yaml *node = add_node(b, GAL_YAML_SCALAR, line);
    if (!node)
        return b->status;
    node->scalar = text;
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return GAL_OK;
}

static enum gal_status open_level(struct builder *b, enum gal_yaml_type type, const yaml_event_t *e,
                                  bool decorated)
{
    size_t line = e->start_mark.line;
    if (decorated)
        return refuse(b, line, GAL_INVALID, "anchors and tags are not supported");
    if (wants_key(b))
        return refuse(b, line, GAL_INVALID, "a key must be text");
    if (b->depth == GAL_YAML_DEPTH_MAX)
        return refuse(b, line, GAL_INVALID, "nested too deep");
    struct gal_yaml *node = add_node(b, type, line);
    if (!node)
        return b->status;
    struct level *top = &b->levels[b->depth++];
    *top = (struct level){.node = node, .tail = &node->child};
    gal_map_init(&top->keys);
    return GAL_OK;
}

static void close_level(struct builder *b)
{
    gal_map_release(&b->levels[--b->depth].keys);
}

static enum gal_status on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(b, GAL_YAML_LIST, e,
                          e->data.sequence_start.anchor || e->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return open_level(b, GAL_YAML_MAP, e,
                          e->data.mapping_start.anchor || e->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_level(b);
        return GAL_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, e->start_mark.line, GAL_INVALID, "aliases are not supported");
    case YAML_DOCUMENT_START_EVENT:
        return b->root ? refuse(b, e->start_mark.line, GAL_INVALID, "more than one document")
                       : GAL_OK;
    default:
        return GAL_OK;
    }
}

static enum gal_status read_events(struct builder *b)
{
    enum gal_status status = GAL_OK;
    for (bool end = false; !end && !status;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&b->parser, &e))
            return refuse_syntax(b);
        end = e.type == YAML_STREAM_END_EVENT;
        status = on_event(b, &e);
        yaml_event_delete(&e);
    }
    return status;
}

/* An empty document is an empty map. */
static enum gal_status finish(struct builder *b, struct gal_yaml **root)
{
    const struct gal_yaml *r = b->root;
    bool empty = !r || (r->type == GAL_YAML_SCALAR && r->scalar.n == 0 && !r->quoted);
    if (empty && !add_node(b, GAL_YAML_MAP, 0))
        return b->status;
    *root = b->root;
    return GAL_OK;
}

enum gal_status gal_yaml_parse(struct gal_str text, const char *name, struct gal_arena *arena,
                               struct gal_yaml **root, struct gal_err *err)
{
    struct builder b = {.name = name, .arena = arena, .err = err};
    if (text.n > GAL_YAML_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: larger than %u bytes", name, GAL_YAML_BYTES_MAX);
    if (!yaml_parser_initialize(&b.parser))
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", name);
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    enum gal_status status = read_events(&b);
    if (!status)
        status = finish(&b, root);
    while (b.depth > 0)
        close_level(&b);
    yaml_parser_delete(&b.parser);
    return status;
}

const struct gal_yaml *gal_yaml_get(const struct gal_yaml *map, const char *key)
{
    if (map->type != GAL_YAML_MAP)
        return NULL;
    for (const struct gal_yaml *n = map->child; n; n = n->next)
        if (gal_str_is(n->key, key))
            return n;
    return NULL;
}
