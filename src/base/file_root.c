/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as they are seen from within a directory that stands for `/`. */
#include "base/file_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40u /* as the kernel */

struct walk {
    char *out;       /* root, and what has been walked below it */
    size_t n, floor; /* of out; of root, which .. does not leave */
    char rest[2 * GAL_PATH_SIZE];
    unsigned links;
};

static void go_up(struct walk *w)
{
    while (w->n > w->floor && w->out[w->n - 1] != '/')
        w->n--;
    if (w->n > w->floor)
        w->n--;
    w->out[w->n] = '\0';
}

/* What the link at `out` says comes before what is left. Returns errno's value. */
static int follow(struct walk *w)
{
    char target[GAL_PATH_SIZE], rest[2 * GAL_PATH_SIZE];
    ssize_t n = readlink(w->out, target, sizeof target - 1);

    if (n < 0)
        return errno;
    if (++w->links > LINKS_MAX)
        return ELOOP;
    target[n] = '\0';
    if (snprintf(rest, sizeof rest, "%s/%s", target, w->rest) >= (int)sizeof rest)
        return ENAMETOOLONG;
    memcpy(w->rest, rest, strlen(rest) + 1);
    if (target[0] == '/')
        w->n = w->floor;
    else
        go_up(w);
    w->out[w->n] = '\0';
    return 0;
}

static int step(struct walk *w, const char *name, size_t n)
{
    struct stat st;

    if (n == 0 || (n == 1 && name[0] == '.'))
        return 0;
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        go_up(w);
        return 0;
    }
    if (w->n + 1 + n >= GAL_PATH_SIZE)
        return ENAMETOOLONG;
    w->out[w->n] = '/';
    memcpy(w->out + w->n + 1, name, n);
    w->n += n + 1;
    w->out[w->n] = '\0';
    if (lstat(w->out, &st) != 0)
        return errno;
    return S_ISLNK(st.st_mode) ? follow(w) : 0;
}

enum gal_status gal_path_real_in(const char *root, const char *path, char out[GAL_PATH_SIZE],
                                 struct gal_err *err)
{
    struct walk w = {.out = out, .n = strlen(root), .floor = strlen(root)};
    int code = gal_file_fails()                                      ? EIO
               : w.n < GAL_PATH_SIZE && strlen(path) < sizeof w.rest ? 0
                                                                     : ENAMETOOLONG;

    if (code != 0)
        return gal_file_errno(err, path, code);
    memcpy(out, root, w.n + 1);
    memcpy(w.rest, path, strlen(path) + 1);
    while (code == 0 && w.rest[0] != '\0') {
        char name[GAL_PATH_SIZE];
        size_t n = strcspn(w.rest, "/"), behind = n + (w.rest[n] == '/');

        if (n >= sizeof name)
            return gal_file_errno(err, path, ENAMETOOLONG);
        memcpy(name, w.rest, n);
        memmove(w.rest, w.rest + behind, strlen(w.rest + behind) + 1);
        code = step(&w, name, n);
    }
    if (code != 0)
        return gal_file_errno(err, path, code);
    if (w.n == 0)
        memcpy(out, "/", 2);
    return GAL_OK;
}
