/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/libraries.h"

#include "base/file.h"
#include "base/mem.h"

#include <glob.h>
#include <stdio.h>

#define INCLUDE_DEPTH_MAX 4u

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of libraries");
}

/* --- folders --- */

static enum gal_status add_dir(struct gal_libraries *l, const char *dir, struct gal_err *err)
{
    for (size_t i = 0; i < l->dir_count; i++) {
        if (strcmp(l->dirs[i], dir) == 0)
            return GAL_OK;
    }
    if (l->dir_count == l->dir_room) {
        size_t room = l->dir_room ? 2 * l->dir_room : 32;
        const char **dirs = gal_arena_array(&l->arena, room, sizeof *dirs);
        if (!dirs)
            return no_memory(err);
        if (l->dir_count)
            memcpy((void *)dirs, (const void *)l->dirs, l->dir_count * sizeof *dirs);
        l->dirs = dirs;
        l->dir_room = room;
    }
    l->dirs[l->dir_count] = gal_arena_strdup(&l->arena, gal_str_of(dir));
    return l->dirs[l->dir_count++] ? GAL_OK : no_memory(err);
}

static enum gal_status read_conf(struct gal_libraries *l, const char *path, unsigned depth,
                                 struct gal_err *err);

/* Files of a pattern, which may begin without a /: then it is of /etc. */
static enum gal_status read_included(struct gal_libraries *l, struct gal_str pattern,
                                     unsigned depth, struct gal_err *err)
{
    const char *full = gal_arena_printf(&l->arena, "%s%s%.*s", l->root,
                                        pattern.p[0] == '/' ? "" : "/etc/", GAL_STR_ARG(pattern));
    enum gal_status status = GAL_OK;
    glob_t found;
    if (!full)
        return no_memory(err);
    if (glob(full, 0, NULL, &found) != 0)
        return GAL_OK;
    for (size_t i = 0; i < found.gl_pathc && !status; i++)
        status = read_conf(l, found.gl_pathv[i], depth + 1, err);
    globfree(&found);
    return status;
}

static enum gal_status read_conf_line(struct gal_libraries *l, struct gal_str line, unsigned depth,
                                      struct gal_err *err)
{
    struct gal_str part = line;
    const char *dir;
    gal_str_cut(&line, '#', &part);
    part = gal_str_trim(part);
    if (gal_str_starts(part, GAL_STR("include ")) || gal_str_starts(part, GAL_STR("include\t"))) {
        struct gal_str pattern = gal_str_trim(
            (struct gal_str){part.p + strlen("include "), part.n - strlen("include ")});
        return pattern.n && depth < INCLUDE_DEPTH_MAX ? read_included(l, pattern, depth, err)
                                                      : GAL_OK;
    }
    if (part.n == 0 || part.p[0] != '/')
        return GAL_OK; /* "hwcap ..." of old */
    dir = gal_arena_printf(&l->arena, "%.*s", GAL_STR_ARG(part));
    return dir ? add_dir(l, dir, err) : no_memory(err);
}

static enum gal_status read_conf(struct gal_libraries *l, const char *path, unsigned depth,
                                 struct gal_err *err)
{
    struct gal_file_info info;
    struct gal_buf text;
    struct gal_str rest, line;
    enum gal_status status = gal_file_stat(path, &info, err);
    if (status || info.kind != GAL_FILE_REGULAR)
        return status;
    status = gal_file_read(path, GAL_LOADER_FILE_MAX, &text, err);
    if (status)
        return status;
    rest = gal_buf_str(&text);
    while (!status && rest.n && gal_str_cut(&rest, '\n', &line))
        status = read_conf_line(l, line, depth, err);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_libraries_init(struct gal_libraries *l, const char *root,
                                   const char *const *dirs, size_t dir_count, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    const char *conf;
    char real[GAL_PATH_SIZE];
    size_t n;
    *l = (struct gal_libraries){.root = ""};
    gal_arena_init(&l->arena, 65536, 0, 256u << 20);
    if (root && gal_path_real(root, real, NULL) == GAL_OK)
        root = real; /* what lies in it is compared by its real path */
    n = root ? strlen(root) : 0;
    while (n && root[n - 1] == '/')
        n--;
    l->items = gal_arena_array(&l->arena, GAL_LIBRARIES_MAX, sizeof *l->items);
    l->root = gal_arena_strdup(&l->arena, (struct gal_str){root, n});
    conf = l->root ? gal_arena_printf(&l->arena, "%s/etc/ld.so.conf", l->root) : NULL;
    if (!l->items || !conf)
        return no_memory(err);
    for (size_t i = 0; i < dir_count && !status; i++)
        status = add_dir(l, dirs[i], err);
    l->own_dirs = l->dir_count;
    return status ? status : read_conf(l, conf, 0, err);
}

void gal_libraries_release(struct gal_libraries *l)
{
    for (size_t i = 0; i < l->count; i++)
        gal_file_unmap(l->items[i].bytes);
    gal_arena_release(&l->arena);
    l->count = 0;
}

/* --- a search --- */

struct search {
    struct gal_libraries *l;
    struct gal_str name;
    unsigned machine;
    struct gal_library found; /* bytes.p NULL: not yet */
    struct gal_err *err;
};

static bool lies_in(struct gal_str path, struct gal_str root)
{
    return gal_str_starts(path, root) && (root.n == 0 || path.p[root.n] == '/');
}

/* A file that is no library of the machine is passed by, as the loader does. */
static enum gal_status try_file(struct search *s, const char *path)
{
    struct gal_library *f = &s->found;
    struct gal_file_info info;
    char real[GAL_PATH_SIZE];
    enum gal_status status;
    if (gal_path_real_in(s->l->root, path + strlen(s->l->root), real, NULL) ||
        gal_file_stat(real, &info, NULL) || info.kind != GAL_FILE_REGULAR)
        return GAL_OK;
    status = gal_file_map(real, &f->bytes, s->err);
    if (status)
        return status;
    if (gal_elf_read(f->bytes, &s->l->arena, &f->elf, NULL) || f->elf.machine != s->machine) {
        gal_file_unmap(f->bytes);
        f->bytes = (struct gal_str){NULL, 0};
        return GAL_OK;
    }
    f->path = gal_arena_strdup(&s->l->arena, gal_str_of(real));
    f->found = gal_arena_strdup(&s->l->arena, gal_str_of(path + strlen(s->l->root)));
    if (f->path && f->found)
        return GAL_OK;
    gal_file_unmap(f->bytes);
    f->bytes = (struct gal_str){NULL, 0};
    return no_memory(s->err);
}

static enum gal_status try_dir(struct search *s, const char *dir)
{
    char path[GAL_PATH_SIZE];
    int n;
    if (s->found.bytes.p)
        return GAL_OK;
    n = snprintf(path, sizeof path, "%s%s/%.*s", s->l->root, dir, GAL_STR_ARG(s->name));
    return n < (int)sizeof path ? try_file(s, path) : GAL_OK;
}

/* "A:$ORIGIN/../lib": $ORIGIN is the folder of the asking file, below the root. */
static enum gal_status try_paths(struct search *s, struct gal_str paths, const char *asker)
{
    enum gal_status status = GAL_OK;
    struct gal_str dir, origin = gal_str_of(asker), root = gal_str_of(s->l->root);
    char path[GAL_PATH_SIZE];
    if (lies_in(origin, root)) /* a binary that is added may lie elsewhere */
        origin = (struct gal_str){origin.p + root.n, origin.n - root.n};
    while (origin.n && origin.p[origin.n - 1] != '/')
        origin.n--;
    while (!status && paths.n && gal_str_cut(&paths, ':', &dir)) {
        static const struct gal_str words[] = {{"$ORIGIN", 7}, {"${ORIGIN}", 9}};
        bool has_origin = false;
        for (size_t i = 0; i < 2 && !has_origin; i++) {
            has_origin = gal_str_starts(dir, words[i]);
            if (has_origin)
                dir = (struct gal_str){dir.p + words[i].n, dir.n - words[i].n};
        }
        if (snprintf(path, sizeof path, "%.*s%.*s", has_origin ? (int)origin.n : 0,
                     origin.p ? origin.p : "", GAL_STR_ARG(dir)) < (int)sizeof path)
            status = try_dir(s, path);
    }
    return status;
}

/* What loaders have built in: Debian's folders, then everybody's. */
static enum gal_status try_standard(struct search *s)
{
    static const struct {
        const char *architecture, *triplet;
    } known[] = {
        {"amd64", "x86_64-linux-gnu"},        {"arm64", "aarch64-linux-gnu"},
        {"riscv64", "riscv64-linux-gnu"},     {"ppc64le", "powerpc64le-linux-gnu"},
        {"loong64", "loongarch64-linux-gnu"},
    };
    static const char *const dirs[] = {"/lib64", "/usr/lib64", "/lib", "/usr/lib"};
    struct gal_elf e = {.machine = s->machine};
    const char *architecture = gal_elf_architecture(&e);
    enum gal_status status = GAL_OK;
    char path[64];
    for (size_t i = 0; i < sizeof known / sizeof *known && architecture && !status; i++) {
        if (strcmp(known[i].architecture, architecture) != 0)
            continue;
        snprintf(path, sizeof path, "/lib/%s", known[i].triplet);
        status = try_dir(s, path);
        snprintf(path, sizeof path, "/usr/lib/%s", known[i].triplet);
        status = status ? status : try_dir(s, path);
    }
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs && !status; i++)
        status = try_dir(s, dirs[i]);
    return status;
}

static enum gal_status search_all(struct search *s, const char *asker, const struct gal_elf *elf)
{
    const struct gal_libraries *l = s->l;
    enum gal_status status = GAL_OK;
    if (elf && elf->runpath.n == 0)
        status = try_paths(s, elf->rpath, asker);
    for (size_t i = 0; i < l->own_dirs && !status; i++)
        status = try_dir(s, l->dirs[i]);
    if (elf && !status)
        status = try_paths(s, elf->runpath, asker);
    for (size_t i = l->own_dirs; i < l->dir_count && !status; i++)
        status = try_dir(s, l->dirs[i]);
    return status ? status : try_standard(s);
}

/* --- the walk --- */

const struct gal_library *gal_libraries_find(const struct gal_libraries *l, struct gal_str name)
{
    for (size_t i = 0; i < l->count; i++) {
        if (gal_str_eq(l->items[i].name, name))
            return &l->items[i];
    }
    return NULL;
}

static enum gal_status keep(struct search *s, const char *asker, bool is_loader)
{
    struct gal_libraries *l = s->l;
    struct gal_library *item;
    if (l->count == GAL_LIBRARIES_MAX) {
        gal_file_unmap(s->found.bytes);
        return gal_fail(s->err, GAL_TOO_LARGE, "more than %u libraries", GAL_LIBRARIES_MAX);
    }
    item = &l->items[l->count++];
    *item = s->found;
    item->name = s->name;
    item->is_loader = is_loader;
    item->asker = gal_str_of(asker);
    return GAL_OK;
}

static enum gal_status need(struct gal_libraries *l, struct gal_str name, const char *asker,
                            const struct gal_elf *elf, unsigned machine, struct gal_err *err)
{
    struct search s = {.l = l, .name = name, .machine = machine, .err = err};
    enum gal_status status;
    if (gal_libraries_find(l, name))
        return GAL_OK;
    if (name.n == 0 || memchr(name.p, '/', name.n))
        return gal_fail(err, GAL_UNSUPPORTED, "%s needs %.*s, which is not a library's name", asker,
                        GAL_STR_SHOWN(name));
    status = search_all(&s, asker, elf);
    if (status)
        return status;
    if (s.found.bytes.p)
        return keep(&s, asker, false);
    gal_fail(err, GAL_NOT_FOUND,
             "%.*s, which %s needs, was not found in %s/etc/ld.so.conf's and "
             "the standard folders",
             GAL_STR_SHOWN(name), asker, l->root);
    gal_err_hint(err, "install it, or name its folder: --library-path DIR");
    return GAL_NOT_FOUND;
}

/* The loader is asked for by its path, and by libraries by its name. */
static enum gal_status add_loader(struct gal_libraries *l, const char *asker,
                                  const struct gal_elf *elf, struct gal_err *err)
{
    struct gal_str path = elf->interpreter, name = path;
    struct search s = {.l = l, .machine = elf->machine, .err = err};
    char full[GAL_PATH_SIZE];
    enum gal_status status;
    if (path.n == 0)
        return GAL_OK;
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] == '/')
            name = (struct gal_str){path.p + i + 1, path.n - i - 1};
    }
    s.name = name;
    if (gal_libraries_find(l, name))
        return GAL_OK;
    snprintf(full, sizeof full, "%s%.*s", l->root, GAL_STR_ARG(path));
    status = try_file(&s, full);
    if (!status && !s.found.bytes.p)
        return gal_fail(err, GAL_NOT_FOUND, "%s, the loader of %s, is missing", full, asker);
    return status ? status : keep(&s, asker, true);
}

static enum gal_status need_all(struct gal_libraries *l, const char *path,
                                const struct gal_elf *elf, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < elf->library_count && !status; i++)
        status = need(l, elf->libraries[i], path, elf, elf->machine, err);
    return status;
}

/* Needs of what has been found, which may find more. */
static enum gal_status close_over(struct gal_libraries *l, size_t from, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = from; i < l->count && !status; i++)
        status = need_all(l, l->items[i].path, &l->items[i].elf, err);
    return status;
}

enum gal_status gal_libraries_add(struct gal_libraries *l, const char *path, struct gal_str bytes,
                                  struct gal_err *err)
{
    struct gal_elf elf;
    size_t from = l->count;
    const char *asker = gal_arena_strdup(&l->arena, gal_str_of(path));
    enum gal_status status = asker ? gal_elf_read(bytes, &l->arena, &elf, err) : no_memory(err);
    if (status) {
        gal_err_place(err, "%s", path);
        return status;
    }
    status = add_loader(l, asker, &elf, err);
    if (!status)
        status = need_all(l, asker, &elf, err);
    return status ? status : close_over(l, from, err);
}

enum gal_status gal_libraries_add_named(struct gal_libraries *l, const char *name, unsigned machine,
                                        struct gal_err *err)
{
    size_t from = l->count;
    const char *copy = gal_arena_strdup(&l->arena, gal_str_of(name));
    enum gal_status status =
        copy ? need(l, gal_str_of(copy), "galley", NULL, machine, err) : no_memory(err);
    return status ? status : close_over(l, from, err);
}

/* --- versions --- */

static bool offers(const struct gal_elf *e, struct gal_str version)
{
    for (size_t i = 0; i < e->offer_count; i++) {
        if (gal_str_eq(e->offers[i].name, version))
            return true;
    }
    return false;
}

static enum gal_status check_one(const struct gal_libraries *l, const char *path,
                                 const struct gal_elf *e, struct gal_err *err)
{
    for (size_t i = 0; i < e->need_count; i++) {
        const struct gal_elf_version *v = &e->needs[i];
        const struct gal_library *from = gal_libraries_find(l, v->file);
        if (!from || from->elf.offer_count == 0 || offers(&from->elf, v->name))
            continue;
        gal_fail(err, GAL_CONFLICT, "%s needs %.*s of %.*s, which %s does not offer: it is older",
                 path, GAL_STR_SHOWN(v->name), GAL_STR_SHOWN(v->file), from->path);
        gal_err_hint(err, "take libraries of the system that it was built on: --sysroot DIR");
        return GAL_CONFLICT;
    }
    return GAL_OK;
}

enum gal_status gal_libraries_check(const struct gal_libraries *l, const char *path,
                                    const struct gal_elf *elf, struct gal_err *err)
{
    enum gal_status status = check_one(l, path, elf, err);
    for (size_t i = 0; i < l->count && !status; i++)
        status = check_one(l, l->items[i].path, &l->items[i].elf, err);
    return status;
}
