/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol buffers' JSON as the tree of their text format, so that one reader serves both. */
#include "base/limits.h"
#include "text/json.h"
#include "text/pbtxt.h"

struct maker {
    struct gal_arena *arena;
    struct gal_err *err;
    size_t nodes;
};

static enum gal_status no_memory(struct maker *m)
{
    return gal_arena_fail(m->arena, sizeof(struct gal_pbtxt), "a configuration", m->err);
}

/* "input[0]" under "", "dims" under "input[0]". */
static const char *path_of(struct maker *m, const char *above, struct gal_str name)
{
    if (above[0] == '\0')
        return gal_arena_strdup(m->arena, name);
    return gal_arena_printf(m->arena, "%s.%.*s", above, GAL_STR_ARG(name));
}

static enum gal_status new_node(struct maker *m, struct gal_str name, const char *where,
                                struct gal_pbtxt **out)
{
    if (++m->nodes > GAL_PBTXT_NODES_MAX) {
        gal_fail(m->err, GAL_TOO_LARGE, "more than %u values in a configuration",
                 GAL_PBTXT_NODES_MAX);
        return GAL_TOO_LARGE;
    }
    struct gal_pbtxt *n = where ? gal_arena_small(m->arena, sizeof *n) : NULL;
    if (!n)
        return no_memory(m);
    *n = (struct gal_pbtxt){.line = 1, .name = name, .where = where};
    *out = n;
    return GAL_OK;
}

/* Numbers and bools become the words that the text format has for them. */
static enum gal_status put_scalar(struct maker *m, yyjson_val *v, struct gal_pbtxt *n)
{
    char *text = NULL;
    n->type = GAL_PBTXT_WORD;
    if (yyjson_is_str(v)) {
        n->type = GAL_PBTXT_TEXT;
        n->text = (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
        return GAL_OK;
    }
    if (yyjson_is_bool(v)) {
        n->text = yyjson_get_bool(v) ? GAL_STR("true") : GAL_STR("false");
        return GAL_OK;
    }
    if (yyjson_is_uint(v))
        text = gal_arena_printf(m->arena, "%llu", (unsigned long long)yyjson_get_uint(v));
    else if (yyjson_is_sint(v))
        text = gal_arena_printf(m->arena, "%lld", (long long)yyjson_get_sint(v));
    else
        text = gal_arena_printf(m->arena, "%.17g", yyjson_get_real(v));
    n->text = gal_str_of(text);
    return text ? GAL_OK : no_memory(m);
}

/* A container that is being gone through, and its next member. */
struct level {
    struct gal_pbtxt *node, **tail;
    yyjson_val *next; /* of an object the key */
    size_t left, index;
};

static void open_level(struct level *l, struct gal_pbtxt *n, yyjson_val *v)
{
    bool is_obj = yyjson_is_obj(v);
    n->type = is_obj ? GAL_PBTXT_MESSAGE : GAL_PBTXT_LIST;
    *l = (struct level){n, &n->child, unsafe_yyjson_get_first(v), unsafe_yyjson_get_len(v), 0};
}

/* The next member's node and value; *n NULL for a null. */
static enum gal_status take_member(struct maker *m, struct level *l, struct gal_pbtxt **n,
                                   yyjson_val **v)
{
    bool is_list = l->node->type == GAL_PBTXT_LIST;
    struct gal_str name = l->node->name;
    const char *where;
    *n = NULL;
    *v = is_list ? l->next : l->next + 1;
    if (is_list)
        where = gal_arena_printf(m->arena, "%s[%zu]", l->node->where, l->index++);
    else {
        name = (struct gal_str){yyjson_get_str(l->next), yyjson_get_len(l->next)};
        where = yyjson_is_null(*v) ? "" : path_of(m, l->node->where, name);
    }
    l->next = unsafe_yyjson_get_next(*v);
    l->left--;
    return yyjson_is_null(*v) ? GAL_OK : new_node(m, name, where, n);
}

static enum gal_status make(struct maker *m, yyjson_val *value, struct gal_pbtxt *root)
{
    struct level levels[GAL_PBTXT_DEPTH_MAX + 1];
    size_t depth = 1;
    enum gal_status status = GAL_OK;
    open_level(&levels[0], root, value);
    while (depth > 0 && !status) {
        struct level *l = &levels[depth - 1];
        struct gal_pbtxt *n;
        yyjson_val *v;
        if (l->left == 0) {
            depth--;
            continue;
        }
        status = take_member(m, l, &n, &v);
        if (status || !n)
            continue;
        *l->tail = n;
        l->tail = &n->next;
        if (yyjson_is_ctn(v))
            open_level(&levels[depth++], n, v); /* the parser has seen to the depth */
        else
            status = put_scalar(m, v, n);
    }
    return status;
}

enum gal_status gal_pbtxt_from_json(struct gal_str text, const char *name, struct gal_arena *arena,
                                    struct gal_pbtxt **root, struct gal_err *err)
{
    struct maker m = {arena, err, 0};
    struct gal_err why;
    yyjson_val *v;
    if (text.n > GAL_PBTXT_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "a configuration of more than %u bytes",
                        GAL_PBTXT_BYTES_MAX);
    enum gal_status status = gal_json_read(text, arena, GAL_PBTXT_DEPTH_MAX, &v, &why);
    if (status) {
        gal_fail(err, status, "%s", why.message);
        if (err)
            gal_err_place(err, "%s%s%s", name, why.place[0] ? ":" : "", why.place);
        return status;
    }
    if (!yyjson_is_obj(v)) {
        gal_fail(err, GAL_INVALID, "a configuration is a JSON object, not a %s",
                 gal_json_type_name(v));
        if (err)
            gal_err_place(err, "%s", name);
        return GAL_INVALID;
    }
    status = new_node(&m, (struct gal_str){NULL, 0}, "", root);
    return status ? status : make(&m, v, *root);
}

bool gal_pbtxt_is(const struct gal_pbtxt *n, const char *name)
{
    size_t k = 0;
    if (!n->where)
        return gal_str_is(n->name, name);
    for (size_t i = 0; i < n->name.n; i++, k++) {
        char c = n->name.p[i];
        if (c >= 'A' && c <= 'Z' && i > 0) {
            if (name[k] != '_')
                return false;
            k++;
            c = (char)(c - 'A' + 'a');
        }
        if (name[k] != c)
            return false;
    }
    return name[k] == '\0';
}
