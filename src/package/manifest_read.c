/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings over the table: which field a key is, in what order they are read, what is missing. */
#include "package/manifest_fields.h"

#include "base/name.h"

#include <stdarg.h>
#include <stdio.h>

/* --- errors --- */

#undef gal_manifest_fail /* the analyzer's, see base/status.h */
enum gal_status gal_manifest_fail(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const char *format, ...)
{
    char text[384];
    bool has_key = node->key.n > 0;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gal_fail(r->err, GAL_INVALID, "%s%s%.*s%s%s", r->where, has_key && r->where_n ? "." : "",
             GAL_STR_SHOWN(node->key), has_key || r->where_n ? ": " : "", text);
    gal_err_place(r->err, "%s:%u", r->path, node->line);
    return GAL_INVALID;
}

#undef gal_manifest_no_memory /* the analyzer's, see base/status.h */
enum gal_status gal_manifest_no_memory(struct gal_manifest_reader *r)
{
    return gal_arena_fail(r->arena, 0, r->path, r->err);
}

size_t gal_manifest_enter(struct gal_manifest_reader *r, struct gal_str name, size_t index)
{
    size_t before = r->where_n, room = sizeof r->where - before;
    int n;
    if (index == GAL_NO_INDEX)
        n = snprintf(r->where + before, room, "%s%.*s", before ? "." : "", GAL_STR_SHOWN(name));
    else
        n = snprintf(r->where + before, room, "[%zu]", index);
    r->where_n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
    return before;
}

void gal_manifest_leave(struct gal_manifest_reader *r, size_t before)
{
    r->where_n = before;
    r->where[before] = '\0';
}

/* --- mappings --- */

static const struct gal_field *find(enum gal_object object, struct gal_str name)
{
    for (size_t i = 0; i < gal_field_count; i++) {
        if (gal_fields[i].object == object && gal_str_is(name, gal_fields[i].name))
            return &gal_fields[i];
    }
    return NULL;
}

static enum gal_status refuse_unknown(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                      enum gal_object object)
{
    const char *near = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < gal_field_count; i++) {
        if (gal_fields[i].object != object)
            continue;
        size_t distance = gal_name_distance(node->key, gal_fields[i].name);
        if (distance < best) {
            best = distance;
            near = gal_fields[i].name;
        }
    }
    gal_manifest_fail(r, node, "unknown field");
    if (near)
        gal_err_hint(r->err, "did you mean %s?", near);
    else
        gal_err_hint(r->err, "`galley schema --text` lists the fields");
    return GAL_INVALID;
}

struct element {
    size_t size;
    size_t line_at; /* of its `unsigned line` */
};
static const struct element elements[GAL_OBJECT_COUNT] = {
    [GAL_OBJECT_FEATURE] = {sizeof(struct gal_feature), offsetof(struct gal_feature, line)},
    [GAL_OBJECT_RULE] = {sizeof(struct gal_rule_draft), offsetof(struct gal_rule_draft, line)},
    [GAL_OBJECT_OUTPUT] = {sizeof(struct gal_output), offsetof(struct gal_output, line)},
};

/* A mapping, or the scalar that stands for one of its fields. */
static enum gal_status read_child(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, void *base)
{
    if (node->type == GAL_YAML_MAP)
        return gal_manifest_object(r, node, f->child, base);
    if (node->type == GAL_YAML_SCALAR && f->words[0]) {
        const struct gal_field *only = find(f->child, gal_str_of(f->words));
        return gal_manifest_value(r, node, only, base);
    }
    gal_manifest_fail(r, node, f->words[0] ? "must be a %s, or a mapping" : "must be a mapping",
                      f->words);
    return GAL_INVALID;
}

static size_t count_children(const struct gal_yaml *node)
{
    size_t count = 0;
    for (const struct gal_yaml *n = node->child; n; n = n->next)
        count++;
    return count;
}

static enum gal_status read_element(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    const struct gal_field *f, char *base, char *item)
{
    (void)base;
    if (f->child == GAL_OBJECT_FEATURE)
        ((struct gal_feature *)(void *)item)->length_max = UINT64_MAX;
    memcpy(item + elements[f->child].line_at, &node->line, sizeof node->line);
    enum gal_status status = read_child(r, node, f, item);
    if (!status && f->child == GAL_OBJECT_FEATURE)
        status = gal_manifest_feature_done(r, node, (struct gal_feature *)(void *)item);
    return status;
}

enum gal_status gal_manifest_list(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, char *base, size_t size,
                                  enum gal_status (*read_item)(struct gal_manifest_reader *r,
                                                               const struct gal_yaml *node,
                                                               const struct gal_field *f,
                                                               char *base, char *item))
{
    size_t count = count_children(node), i = 0;
    enum gal_status status = GAL_OK;
    if ((double)count < f->min)
        return gal_manifest_fail(r, node, "must not be empty: leave it out instead");
    if ((double)count > f->max)
        return gal_manifest_fail(r, node, "%zu entries, at most %.0f are allowed", count, f->max);
    char *items = count ? gal_arena_array(r->arena, count, size) : NULL;
    if (count && !items)
        return gal_manifest_no_memory(r);
    if (count)
        memset(items, 0, count * size);
    size_t before = gal_manifest_enter(r, node->key, GAL_NO_INDEX);
    for (const struct gal_yaml *n = node->child; items && n && !status; n = n->next, i++) {
        size_t inner = gal_manifest_enter(r, n->key, i);
        status = read_item(r, n, f, base, items + i * size);
        gal_manifest_leave(r, inner);
    }
    gal_manifest_leave(r, before);
    memcpy(base + f->at, &items, sizeof items);
    memcpy(base + f->count_at, &count, sizeof count);
    return status;
}

static enum gal_status read_objects(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    const struct gal_field *f, char *base)
{
    if (node->type != GAL_YAML_LIST)
        return gal_manifest_fail(r, node, "must be a list");
    return gal_manifest_list(r, node, f, base, elements[f->child].size, read_element);
}

static enum gal_status read_field(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, void *base)
{
    if (f->kind == GAL_FIELD_OBJECTS)
        return read_objects(r, node, f, base);
    if (f->kind != GAL_FIELD_OBJECT)
        return gal_manifest_value(r, node, f, base);
    if (node->type == GAL_YAML_SCALAR)
        return read_child(r, node, f, base); /* an error about it names it as the node does */
    size_t before = gal_manifest_enter(r, node->key, GAL_NO_INDEX);
    struct gal_yaml nameless = *node;
    nameless.key = GAL_STR("");
    enum gal_status status = read_child(r, &nameless, f, base);
    gal_manifest_leave(r, before);
    return status;
}

static enum gal_status check_needed(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    enum gal_object object)
{
    for (size_t i = 0; i < gal_field_count; i++) {
        const struct gal_field *f = &gal_fields[i];
        if (f->object != object || !(f->flags & GAL_FIELD_NEEDED) || gal_yaml_get(node, f->name))
            continue;
        struct gal_yaml nameless = *node;
        nameless.key = GAL_STR("");
        gal_manifest_fail(r, &nameless, "needs `%s`", f->name);
        gal_err_hint(r->err, "%s", f->help);
        return GAL_INVALID;
    }
    return GAL_OK;
}

enum gal_status gal_manifest_object(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    enum gal_object object, void *base)
{
    enum gal_status status = GAL_OK;
    for (const struct gal_yaml *n = node->child; n; n = n->next) {
        if (!find(object, n->key))
            return refuse_unknown(r, n, object);
    }
    status = check_needed(r, node, object);
    for (unsigned pass = GAL_FIELD_FIRST;; pass = 0) {
        for (const struct gal_yaml *n = node->child; n && !status; n = n->next) {
            const struct gal_field *f = find(object, n->key);
            if ((f->flags & GAL_FIELD_FIRST) == pass)
                status = read_field(r, n, f, base);
        }
        if (pass == 0)
            return status;
    }
}
