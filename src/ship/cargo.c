/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/cargo.h"

#include <stdlib.h>

void gal_cargo_init(struct gal_cargo *c, const char *name, const char *created_by,
                    struct gal_arena *arena)
{
    *c = (struct gal_cargo){.name = name, .created_by = created_by, .arena = arena};
}

static void add(struct gal_cargo *c, struct gal_cargo_item item)
{
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 16;
        struct gal_cargo_item *items = gal_arena_array(c->arena, room, sizeof *items);
        if (items && c->count)
            memcpy(items, c->items, c->count * sizeof *items);
        c->failed = c->failed || !items;
        if (!items)
            return;
        c->items = items;
        c->room = room;
    }
    item.path = gal_arena_strdup(c->arena, gal_str_of(item.path));
    if (item.target)
        item.target = gal_arena_strdup(c->arena, gal_str_of(item.target));
    c->failed = c->failed || !item.path || (item.type == GAL_TAR_SYMLINK && !item.target);
    c->bytes += item.size;
    c->items[c->count++] = item;
}

void gal_cargo_put(struct gal_cargo *c, const char *path, unsigned mode, struct gal_str bytes)
{
    if (!bytes.p)
        bytes = GAL_STR("");
    add(c, (struct gal_cargo_item){
               .path = path, .type = GAL_TAR_FILE, .mode = mode, .bytes = bytes, .size = bytes.n});
}

void gal_cargo_put_file(struct gal_cargo *c, const char *path, unsigned mode, const char *file,
                        uint64_t offset, uint64_t size, const char *sha256)
{
    struct gal_cargo_item item = {.path = path,
                                  .type = GAL_TAR_FILE,
                                  .mode = mode,
                                  .file = file,
                                  .offset = offset,
                                  .size = size};
    if (sha256 && strlen(sha256) == sizeof item.sha256 - 1)
        memcpy(item.sha256, sha256, sizeof item.sha256);
    add(c, item);
}

void gal_cargo_put_dir(struct gal_cargo *c, const char *path, unsigned mode)
{
    add(c, (struct gal_cargo_item){.path = path, .type = GAL_TAR_DIR, .mode = mode});
}

void gal_cargo_put_link(struct gal_cargo *c, const char *path, const char *target)
{
    add(c, (struct gal_cargo_item){
               .path = path, .type = GAL_TAR_SYMLINK, .target = target, .mode = 0777});
}

/* --- sealing --- */

static bool has(const struct gal_cargo *c, struct gal_str path)
{
    for (size_t i = c->count; i-- > 0;) {
        if (gal_str_is(path, c->items[i].path))
            return true;
    }
    return false;
}

static void add_parents(struct gal_cargo *c)
{
    size_t count = c->count;
    for (size_t i = 0; i < count && !c->failed; i++) {
        struct gal_str path = gal_str_of(c->items[i].path);
        while (path.n && path.p[path.n - 1] != '/')
            path.n--;
        if (path.n == 0)
            continue;
        path.n--;
        if (!has(c, path)) {
            const char *copy = gal_arena_strdup(c->arena, path);
            c->failed = c->failed || !copy;
            if (copy)
                gal_cargo_put_dir(c, copy, 0755);
            count = c->count; /* it has parents too */
        }
    }
}

/* By bytes, so that a directory stands in front of what is in it. */
static int compare(const void *a, const void *b)
{
    return strcmp(((const struct gal_cargo_item *)a)->path,
                  ((const struct gal_cargo_item *)b)->path);
}

static enum gal_status fill_digest(struct gal_cargo_item *item, struct gal_err *err)
{
    if (item->type != GAL_TAR_FILE || item->sha256[0])
        return GAL_OK;
    if (item->bytes.p)
        return gal_sha256_bytes(item->bytes, item->sha256, err);
    return gal_sha256_part(item->file, item->offset, item->size, item->sha256, err);
}

enum gal_status gal_cargo_seal(struct gal_cargo *c, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    add_parents(c);
    if (c->failed)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the layer %s", c->name);
    if (c->count)
        qsort(c->items, c->count, sizeof *c->items, compare);
    for (size_t i = 0; i < c->count && !status; i++) {
        if (!gal_tar_path_safe(c->items[i].path))
            return gal_fail(err, GAL_INVALID, "%.200s cannot be a path in an image",
                            c->items[i].path);
        if (i > 0 && strcmp(c->items[i - 1].path, c->items[i].path) == 0)
            return gal_fail(err, GAL_INVALID, "%.200s is twice in the layer %s", c->items[i].path,
                            c->name);
        status = fill_digest(&c->items[i], err);
    }
    return status;
}
