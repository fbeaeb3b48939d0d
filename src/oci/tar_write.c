/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX.1-1988 ustar headers, and POSIX.1-2001 pax records for what does not fit into them. */
#include "oci/tar.h"

#include "base/limits.h"

#include <stdio.h>

#define NAME_MAX_USTAR 100u
#define PREFIX_MAX_USTAR 155u
#define OCTAL11_MAX ((UINT64_C(1) << 33) - 1)
#define OCTAL7_MAX ((UINT64_C(1) << 21) - 1)

/* A header as it lies on the tape; all members are characters. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, target[100],
        magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == GAL_TAR_BLOCK, "a header is one block");

static void put_octal(char *field, size_t width, uint64_t v)
{
    field[width - 1] = '\0';
    for (size_t i = width - 1; i-- > 0; v >>= 3)
        field[i] = (char)('0' + (v & 7));
}

static bool is_ascii(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    }
    return true;
}

/* Where a long name is cut into prefix and name: the slash's place; 0 when it cannot be. */
static size_t find_cut(struct gal_str name)
{
    for (size_t i = name.n - 1; i > 0; i--) {
        if (name.p[i] == '/' && i <= PREFIX_MAX_USTAR && name.n - i - 1 <= NAME_MAX_USTAR &&
            name.n - i - 1 > 0)
            return i;
    }
    return 0;
}

static bool put_name(struct header *h, struct gal_str name)
{
    if (!is_ascii(name))
        return false;
    if (name.n <= NAME_MAX_USTAR) {
        memcpy(h->name, name.p, name.n);
        return true;
    }
    size_t cut = find_cut(name);
    if (cut == 0)
        return false;
    memcpy(h->prefix, name.p, cut);
    memcpy(h->name, name.p + cut + 1, name.n - cut - 1);
    return true;
}

static void put_checksum(struct header *h)
{
    unsigned sum = 0;
    memset(h->checksum, ' ', sizeof h->checksum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += ((const unsigned char *)h)[i];
    put_octal(h->checksum, 7, sum);
}

/* "27 path=...\n": its length counts its own digits. */
static void put_record(struct gal_buf *out, const char *key, struct gal_str value)
{
    size_t bare = strlen(key) + value.n + 3; /* space, =, newline */
    size_t n = bare + 1;
    char digits[24];
    while (n != bare + (size_t)snprintf(digits, sizeof digits, "%zu", n))
        n = bare + strlen(digits);
    gal_buf_puts(out, digits);
    gal_buf_putc(out, ' ');
    gal_buf_puts(out, key);
    gal_buf_putc(out, '=');
    gal_buf_put_str(out, value);
    gal_buf_putc(out, '\n');
}

static void put_number_record(struct gal_buf *out, const char *key, int64_t v)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%lld", (long long)v);
    put_record(out, key, gal_str_of(digits));
}

static void start_header(struct header *h, char type)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    h->type = type;
    put_octal(h->major, sizeof h->major, 0);
    put_octal(h->minor, sizeof h->minor, 0);
}

/* The pax header in front of the entry, which holds the records. */
static void put_pax(struct gal_buf *out, struct gal_str records, struct gal_str path)
{
    struct header h;
    start_header(&h, 'x');
    size_t skip = 0;
    for (size_t i = 0; i + 1 < path.n; i++)
        skip = path.p[i] == '/' ? i + 1 : skip;
    struct gal_str base = {path.p + skip, path.n - skip};
    if (!is_ascii(base) || base.n > 80)
        base = GAL_STR("long");
    (void)snprintf(h.name, sizeof h.name, "PaxHeaders/%.*s", GAL_STR_ARG(base));
    put_octal(h.mode, sizeof h.mode, 0644);
    put_octal(h.uid, sizeof h.uid, 0);
    put_octal(h.gid, sizeof h.gid, 0);
    put_octal(h.size, sizeof h.size, records.n);
    put_octal(h.mtime, sizeof h.mtime, 0);
    put_checksum(&h);
    gal_buf_put(out, &h, sizeof h);
    gal_buf_put_str(out, records);
    gal_tar_put_padding(out, records.n);
}

/* Fields of e that fit go into h, the others become records. */
static void fill(struct header *h, struct gal_buf *records, const struct gal_tar_entry *e,
                 struct gal_str path, struct gal_str target)
{
    uint64_t mtime = e->mtime >= 0 && (uint64_t)e->mtime <= OCTAL11_MAX ? (uint64_t)e->mtime : 0;
    if (!put_name(h, path))
        put_record(records, "path", path);
    if (target.n > 0 && target.n <= sizeof h->target && is_ascii(target))
        memcpy(h->target, target.p, target.n);
    else if (target.n > 0)
        put_record(records, "linkpath", target);
    put_octal(h->mode, sizeof h->mode, e->mode & 07777);
    put_octal(h->uid, sizeof h->uid, e->uid <= OCTAL7_MAX ? e->uid : 0);
    put_octal(h->gid, sizeof h->gid, e->gid <= OCTAL7_MAX ? e->gid : 0);
    put_octal(h->size, sizeof h->size, e->size <= OCTAL11_MAX ? e->size : 0);
    put_octal(h->mtime, sizeof h->mtime, mtime);
    if (e->uid > OCTAL7_MAX)
        put_number_record(records, "uid", (int64_t)e->uid);
    if (e->gid > OCTAL7_MAX)
        put_number_record(records, "gid", (int64_t)e->gid);
    if (e->size > OCTAL11_MAX)
        put_number_record(records, "size", (int64_t)e->size);
    if (mtime != (uint64_t)e->mtime)
        put_number_record(records, "mtime", e->mtime);
}

enum gal_status gal_tar_put_header(struct gal_buf *out, const struct gal_tar_entry *e,
                                   struct gal_err *err)
{
    static const char types[] = {[GAL_TAR_FILE] = '0',
                                 [GAL_TAR_DIR] = '5',
                                 [GAL_TAR_SYMLINK] = '2',
                                 [GAL_TAR_HARDLINK] = '1'};
    struct gal_str path = gal_str_of(e->path), target = gal_str_of(e->target);
    char with_slash[GAL_TAR_NAME_BYTES_MAX + 2];
    struct header h;
    struct gal_buf records;
    if (path.n == 0 || path.n > GAL_TAR_NAME_BYTES_MAX || target.n > GAL_TAR_NAME_BYTES_MAX ||
        (unsigned)e->type >= sizeof types || e->size > INT64_MAX)
        return gal_fail(err, GAL_INVALID, "\"%.*s\" cannot be put into a tar", GAL_STR_SHOWN(path));
    if (e->type == GAL_TAR_DIR && path.p[path.n - 1] != '/') {
        memcpy(with_slash, path.p, path.n);
        with_slash[path.n] = '/';
        path = (struct gal_str){with_slash, path.n + 1};
    }
    gal_buf_init(&records, 4 * GAL_TAR_NAME_BYTES_MAX);
    start_header(&h, types[e->type]);
    fill(&h, &records, e, path, target);
    put_checksum(&h);
    if (records.n > 0)
        put_pax(out, gal_buf_str(&records), path);
    gal_buf_put(out, &h, sizeof h);
    bool failed = out->failed || records.failed;
    gal_buf_release(&records);
    return failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for a tar's header") : GAL_OK;
}

size_t gal_tar_padding(uint64_t size)
{
    return (size_t)((GAL_TAR_BLOCK - size % GAL_TAR_BLOCK) % GAL_TAR_BLOCK);
}

void gal_tar_put_padding(struct gal_buf *out, uint64_t size)
{
    static const char zeros[GAL_TAR_BLOCK];
    gal_buf_put(out, zeros, gal_tar_padding(size));
}

void gal_tar_put_end(struct gal_buf *out)
{
    static const char zeros[2 * GAL_TAR_BLOCK];
    gal_buf_put(out, zeros, sizeof zeros);
}
