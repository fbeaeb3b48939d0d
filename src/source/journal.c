/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "source/download_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* "galley 1 BOOT IDENTITY CHUNKS\n" */
static enum gal_status make_header(const char *identity, size_t chunks, char out[256],
                                   struct gal_err *err)
{
    char hash[GAL_SHA256_HEX_SIZE];
    struct gal_buf boot;
    struct gal_str id = {"", 0};
    enum gal_status status = gal_sha256_bytes(gal_str_of(identity ? identity : ""), hash, err);
    if (status)
        return status;
    bool known = gal_file_read("/proc/sys/kernel/random/boot_id", 64, &boot, NULL) == GAL_OK;
    if (known)
        id = gal_str_trim(gal_buf_str(&boot));
    (void)snprintf(out, 256, "galley 1 %.*s %s %zu\n", GAL_STR_SHOWN(id), hash, chunks);
    if (id.n == 0 || !identity)
        out[0] = '?'; /* never equal to another's */
    if (known)
        gal_buf_release(&boot);
    return GAL_OK;
}

static bool matches(const char *path, const char *header, size_t chunks, char *done)
{
    struct gal_buf text;
    size_t n = strlen(header);
    if (header[0] == '?' || gal_file_read(path, n + chunks, &text, NULL) != GAL_OK)
        return false;
    bool same = text.n == n + chunks && memcmp(text.p, header, n) == 0;
    if (same)
        memcpy(done, text.p + n, chunks);
    gal_buf_release(&text);
    return same;
}

static enum gal_status begin(const char *path, const char *header, size_t chunks,
                             struct gal_journal *j, struct gal_err *err)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
    j->header = strlen(header);
    j->fd = open(path, flags, 0666);
    if (j->fd >= 0 && (ftruncate(j->fd, 0) == 0 || errno == EINVAL) &&
        pwrite(j->fd, header, j->header, 0) == (ssize_t)j->header &&
        pwrite(j->fd, j->done, chunks, (off_t)j->header) == (ssize_t)chunks)
        return GAL_OK;
    return gal_fail(err, errno == ENOSPC ? GAL_TOO_LARGE : GAL_IO, "cannot write %.200s: %s", path,
                    strerror(errno));
}

enum gal_status gal_journal_open(const char *dir, const char *identity, size_t chunks,
                                 struct gal_journal *out, bool *fresh, struct gal_err *err)
{
    char header[256], *path = gal_path_join(dir, "journal");
    *out = (struct gal_journal){.fd = -1, .done = gal_alloc(chunks + 1)};
    enum gal_status status = path && out->done ? make_header(identity, chunks, header, err)
                                               : gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (!status) {
        memset(out->done, '0', chunks + 1);
        *fresh = !matches(path, header, chunks, out->done);
        status = begin(path, header, chunks, out, err);
    }
    gal_free(path);
    if (status)
        gal_journal_close(out);
    return status;
}

void gal_journal_mark(struct gal_journal *j, size_t chunk)
{
    j->done[chunk] = '1';
    (void)!pwrite(j->fd, "1", 1, (off_t)(j->header + chunk));
}

void gal_journal_close(struct gal_journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    gal_free(j->done);
    *j = (struct gal_journal){.fd = -1};
}
