/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/debian.h"

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>

struct asking {
    const char *root;
    const char *const *paths;
    size_t count;
    struct gal_arena *arena;
    const struct gal_debian_package **owners;
    struct gal_str status; /* dpkg's; the arena's */
    struct gal_err *err;
};

static enum gal_status no_memory(struct asking *a)
{
    return gal_fail(a->err, GAL_NO_MEMORY, "no memory for dpkg's database");
}

/* "Version: 1.2" of a paragraph; empty when it has none. */
static struct gal_str field(struct gal_str paragraph, const char *name)
{
    struct gal_str line, key;
    while (paragraph.n && gal_str_cut(&paragraph, '\n', &line)) {
        if (memchr(line.p, ':', line.n) && gal_str_cut(&line, ':', &key) && gal_str_is(key, name))
            return gal_str_trim(line);
    }
    return (struct gal_str){NULL, 0};
}

static bool next_paragraph(struct gal_str *rest, struct gal_str *paragraph)
{
    const char *end;
    while (rest->n && rest->p[0] == '\n')
        *rest = (struct gal_str){rest->p + 1, rest->n - 1};
    if (rest->n == 0)
        return false;
    end = memmem(rest->p, rest->n, "\n\n", 2);
    paragraph->p = rest->p;
    paragraph->n = end ? (size_t)(end - rest->p) + 1 : rest->n;
    *rest = (struct gal_str){rest->p + paragraph->n, rest->n - paragraph->n};
    return true;
}

/* "/usr/share/doc/NAME/copyright"; NULL when there is none. */
static const char *copyright_of(struct asking *a, struct gal_str name)
{
    struct gal_file_info info;
    const char *path =
        gal_arena_printf(a->arena, "%s/usr/share/doc/%.*s/copyright", a->root, GAL_STR_ARG(name));
    return path && !gal_file_stat(path, &info, NULL) && info.kind == GAL_FILE_REGULAR ? path : NULL;
}

/* name and architecture are those of a list's name; architecture may be empty. */
static struct gal_debian_package *package_of(struct asking *a, struct gal_str name,
                                             struct gal_str architecture)
{
    struct gal_str rest = a->status, paragraph;
    struct gal_debian_package *p;
    while (next_paragraph(&rest, &paragraph)) {
        if (!gal_str_eq(field(paragraph, "Package"), name) ||
            (architecture.n && !gal_str_eq(field(paragraph, "Architecture"), architecture)))
            continue;
        p = gal_arena_small(a->arena, sizeof *p);
        if (p)
            *p = (struct gal_debian_package){name, field(paragraph, "Version"),
                                             field(paragraph, "Architecture"), paragraph,
                                             copyright_of(a, name)};
        return p;
    }
    return NULL;
}

/* Packages name /lib/x or /usr/lib/x for the same file, where /lib is a link. */
static bool is_same_place(struct gal_str line, const char *path)
{
    static const struct gal_str usr = {"/usr", 4};
    struct gal_str wanted = gal_str_of(path);
    if (gal_str_starts(line, usr) && !gal_str_starts(wanted, usr))
        line = (struct gal_str){line.p + usr.n, line.n - usr.n};
    else if (gal_str_starts(wanted, usr) && !gal_str_starts(line, usr))
        wanted = (struct gal_str){wanted.p + usr.n, wanted.n - usr.n};
    return gal_str_eq(line, wanted);
}

/* Looks each line's last part up among the paths, for few of a list's lines are libraries. */
static void look(struct asking *a, struct gal_str list, struct gal_str file)
{
    struct gal_debian_package *p = NULL;
    struct gal_str line, name = file, architecture = {NULL, 0};
    name.n -= strlen(".list");
    if (memchr(name.p, ':', name.n)) {
        architecture = name;
        gal_str_cut(&architecture, ':', &name);
    }
    while (list.n && gal_str_cut(&list, '\n', &line)) {
        for (size_t i = 0; i < a->count; i++) {
            if (a->owners[i] || !a->paths[i] || !is_same_place(line, a->paths[i]))
                continue;
            if (!p) {
                const char *copy = gal_arena_strdup(a->arena, name);
                p = copy ? package_of(a, gal_str_of(copy), architecture) : NULL;
            }
            a->owners[i] = p;
        }
    }
}

static enum gal_status look_all(struct asking *a, const char *dir, char *const *names, size_t count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct gal_str name = gal_str_of(names[i]);
        struct gal_buf list;
        char *path;
        if (!gal_str_ends(name, GAL_STR(".list")))
            continue;
        path = gal_path_join(dir, names[i]);
        status = path ? gal_file_read(path, GAL_DPKG_LIST_MAX, &list, a->err) : no_memory(a);
        gal_free(path);
        if (status)
            break;
        look(a, gal_buf_str(&list), name);
        gal_buf_release(&list);
    }
    return status;
}

static enum gal_status read_status(struct asking *a, bool *there)
{
    const char *path = gal_arena_printf(a->arena, "%s/var/lib/dpkg/status", a->root);
    struct gal_file_info info;
    struct gal_buf text;
    enum gal_status status = path ? gal_file_stat(path, &info, a->err) : no_memory(a);
    *there = !status && info.kind == GAL_FILE_REGULAR;
    if (!*there)
        return status;
    status = gal_file_read(path, GAL_DPKG_STATUS_MAX, &text, a->err);
    if (status)
        return status;
    a->status.p = gal_arena_strdup(a->arena, gal_buf_str(&text));
    a->status.n = text.n;
    gal_buf_release(&text);
    return a->status.p ? GAL_OK : no_memory(a);
}

enum gal_status gal_debian_owners(const char *root, const char *const *paths, size_t count,
                                  struct gal_arena *arena, const struct gal_debian_package **owners,
                                  struct gal_err *err)
{
    struct asking a = {root, paths, count, arena, owners, {NULL, 0}, err};
    char **names = NULL;
    size_t name_count = 0;
    bool there = false;
    const char *dir = gal_arena_printf(arena, "%s/var/lib/dpkg/info", root);
    enum gal_status status = dir ? read_status(&a, &there) : no_memory(&a);
    for (size_t i = 0; i < count; i++)
        owners[i] = NULL;
    if (status || !there)
        return status;
    status = gal_dir_list(dir, &names, &name_count, err);
    if (!status)
        status = look_all(&a, dir, names, name_count);
    gal_free((void *)names);
    return status;
}
