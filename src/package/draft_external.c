/* SPDX-License-Identifier: Apache-2.0 */
/* The files beside an ONNX model that hold its weights. Field numbers: onnx.proto of the ONNX
 * project. */
#include "package/draft.h"

#include "text/protobuf.h"

enum {
    MODEL_GRAPH = 7,
    GRAPH_INITIALIZER = 5,
    TENSOR_EXTERNAL = 13,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2
};

struct found {
    struct gal_arena *arena;
    struct gal_str *names;
    size_t count;
};

/* Within the model's directory, by its plain name. */
static bool is_inside(struct gal_str name)
{
    struct gal_str rest = name, part;

    if (name.n == 0 || name.n > GAL_DRAFT_PATH_BYTES_MAX || name.p[0] == '/' ||
        memchr(name.p, '\0', name.n))
        return false;
    while (rest.n && gal_str_cut(&rest, '/', &part)) {
        if (gal_str_is(part, "..") || gal_str_is(part, ".") || part.n == 0)
            return false;
    }
    return true;
}

static enum gal_status take(struct found *f, struct gal_str name, struct gal_err *err)
{
    char *copy;

    for (size_t i = 0; i < f->count; i++) {
        if (gal_str_eq(f->names[i], name))
            return GAL_OK;
    }
    if (!is_inside(name))
        return gal_fail(err, GAL_INVALID, "its weights lie outside its directory: %.*s",
                        GAL_STR_SHOWN(name));
    if (f->count == GAL_DRAFT_EXTERNAL_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "its weights lie in more than %u files",
                        GAL_DRAFT_EXTERNAL_MAX);
    copy = gal_arena_strdup(f->arena, name);
    if (!copy)
        return gal_arena_fail(f->arena, name.n, "a file's name", err);
    f->names[f->count++] = (struct gal_str){copy, name.n};
    return GAL_OK;
}

static enum gal_status read_entry(struct gal_str entry, struct found *f, struct gal_err *err)
{
    struct gal_str key = {NULL, 0}, value = {NULL, 0};
    struct gal_pb_field p;

    while (gal_pb_next(&entry, &p) == GAL_PB_FIELD) {
        if (p.wire == GAL_PB_BYTES && p.number == ENTRY_KEY)
            key = p.bytes;
        else if (p.wire == GAL_PB_BYTES && p.number == ENTRY_VALUE)
            value = p.bytes;
    }
    return gal_str_is(key, "location") ? take(f, value, err) : GAL_OK;
}

static enum gal_status read_graph(struct gal_str graph, struct found *f, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    struct gal_pb_field p, t;

    while (status == GAL_OK && gal_pb_next(&graph, &p) == GAL_PB_FIELD) {
        struct gal_str tensor = p.bytes;
        if (p.number != GRAPH_INITIALIZER || p.wire != GAL_PB_BYTES)
            continue;
        while (status == GAL_OK && gal_pb_next(&tensor, &t) == GAL_PB_FIELD) {
            if (t.number == TENSOR_EXTERNAL && t.wire == GAL_PB_BYTES)
                status = read_entry(t.bytes, f, err);
        }
    }
    return status;
}

enum gal_status gal_draft_external(struct gal_str file, struct gal_arena *arena,
                                   const struct gal_str **names, size_t *count, struct gal_err *err)
{
    struct found f = {.arena = arena};
    enum gal_status status = GAL_OK;
    struct gal_pb_field p;

    f.names = gal_arena_array(arena, GAL_DRAFT_EXTERNAL_MAX, sizeof(*f.names));
    if (!f.names)
        return gal_arena_fail(arena, 0, "names of files", err);
    while (status == GAL_OK && gal_pb_next(&file, &p) == GAL_PB_FIELD) {
        if (p.number == MODEL_GRAPH && p.wire == GAL_PB_BYTES)
            status = read_graph(p.bytes, &f, err);
    }
    *names = f.names;
    *count = f.count;
    return status;
}
