/* SPDX-License-Identifier: Apache-2.0 */
/* The files beside an ONNX model that hold its weights, each once. */
#include "package/draft.h"

#include "backend/onnx.h"

struct found {
    struct gal_arena *arena;
    struct gal_str *names;
    size_t count;
    struct gal_err *err;
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

static enum gal_status take(struct gal_str name, void *ctx)
{
    struct found *f = ctx;
    char *copy;

    for (size_t i = 0; i < f->count; i++) {
        if (gal_str_eq(f->names[i], name))
            return GAL_OK;
    }
    if (!is_inside(name))
        return gal_fail(f->err, GAL_INVALID, "its weights lie outside its directory: %.*s",
                        GAL_STR_SHOWN(name));
    if (f->count == GAL_DRAFT_EXTERNAL_MAX)
        return gal_fail(f->err, GAL_TOO_LARGE, "its weights lie in more than %u files",
                        GAL_DRAFT_EXTERNAL_MAX);
    copy = gal_arena_strdup(f->arena, name);
    if (!copy)
        return gal_arena_fail(f->arena, name.n, "a file's name", f->err);
    f->names[f->count++] = (struct gal_str){copy, name.n};
    return GAL_OK;
}

enum gal_status gal_draft_external(struct gal_str file, struct gal_arena *arena,
                                   const struct gal_str **names, size_t *count, struct gal_err *err)
{
    struct found f = {.arena = arena, .err = err};
    enum gal_status status;

    f.names = gal_arena_array(arena, GAL_DRAFT_EXTERNAL_MAX, sizeof(*f.names));
    if (!f.names)
        return gal_arena_fail(arena, 0, "names of files", err);
    status = gal_onnx_external_files(file, take, &f);
    *names = f.names;
    *count = f.count;
    return status;
}
