/* SPDX-License-Identifier: Apache-2.0 */
#include "http/coding.h"

#include "base/limits.h"

#include <limits.h>
#include <zlib.h>

/* windowBits of zlib's manual: plus 16 means gzip, negative means raw. */
#define WINDOW_ZLIB 15
#define WINDOW_GZIP (15 + 16)
#define WINDOW_RAW (-15)
#define LEVEL_SPEED 1
#define PIECE_BYTES 65536u
#define INFLATE_FREE_BYTES 65536u /* decoded bytes that the ratio does not count */

enum gal_coding gal_coding_parse(struct gal_str value)
{
    value = gal_str_trim(value);
    if (value.n == 0 || gal_str_ieq(value, GAL_STR("identity")))
        return GAL_CODING_IDENTITY;
    if (gal_str_ieq(value, GAL_STR("gzip")) || gal_str_ieq(value, GAL_STR("x-gzip")))
        return GAL_CODING_GZIP;
    if (gal_str_ieq(value, GAL_STR("deflate")))
        return GAL_CODING_DEFLATE;
    return GAL_CODING_UNKNOWN;
}

const char *gal_coding_name(enum gal_coding c)
{
    static const char *const names[] = {"identity", "gzip", "deflate", "unknown"};
    GAL_ASSERT((unsigned)c <= GAL_CODING_UNKNOWN);
    return names[c];
}

/* The weight in thousandths of what stands behind the first `;`; 1000 when no q is there. A q that
 * cannot be read counts as 0: what is not understood is not used. */
static int weight(struct gal_str parameters)
{
    struct gal_str p;
    while (gal_str_cut(&parameters, ';', &p)) {
        p = gal_str_trim(p);
        if (p.n < 2 || (p.p[0] | 0x20) != 'q' || p.p[1] != '=')
            continue;
        int q = 0;
        int scale = 1000;
        for (size_t i = 2; i < p.n; i++) {
            if (i == 3 && p.p[i] == '.')
                continue;
            if (p.p[i] < '0' || p.p[i] > '9' || i > 6)
                return 0;
            q += (p.p[i] - '0') * scale;
            scale /= 10;
        }
        return q > 1000 ? 0 : q;
    }
    return 1000;
}

enum gal_coding gal_coding_choose(struct gal_str accept_encoding)
{
    int q[] = {[GAL_CODING_IDENTITY] = -1, [GAL_CODING_GZIP] = -1, [GAL_CODING_DEFLATE] = -1};
    int others = -1;
    struct gal_str item;
    while (gal_str_cut(&accept_encoding, ',', &item)) {
        struct gal_str name;
        if (!gal_str_cut(&item, ';', &name))
            continue;
        name = gal_str_trim(name);
        enum gal_coding c = gal_coding_parse(name);
        if (gal_str_is(name, "*"))
            others = weight(item);
        else if (name.n && c != GAL_CODING_UNKNOWN)
            q[c] = weight(item);
    }
    /* A star stands for what is not named; identity needs no naming, but gives way to either. */
    int gzip = q[GAL_CODING_GZIP] >= 0 ? q[GAL_CODING_GZIP] : others;
    int deflated = q[GAL_CODING_DEFLATE] >= 0 ? q[GAL_CODING_DEFLATE] : others;
    int identity = q[GAL_CODING_IDENTITY];
    if (gzip > 0 && gzip >= deflated && gzip >= identity)
        return GAL_CODING_GZIP;
    if (deflated > 0 && deflated >= identity)
        return GAL_CODING_DEFLATE;
    return GAL_CODING_IDENTITY;
}

static voidpf zlib_alloc(voidpf arena, uInt items, uInt size)
{
    return gal_arena_array(arena, items, size);
}

static void zlib_free(voidpf arena, voidpf p)
{
    (void)arena; /* all of it goes when the arena is cleared */
    (void)p;
}

static void attach(z_stream *z, struct gal_arena *arena)
{
    memset(z, 0, sizeof *z);
    z->zalloc = zlib_alloc;
    z->zfree = zlib_free;
    z->opaque = arena;
}

static uInt slice(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

/* RFC 1950 2.2: method 8, and the first two bytes are a multiple of 31. */
static bool has_zlib_header(struct gal_str in)
{
    if (in.n < 2)
        return false;
    unsigned cmf = (unsigned char)in.p[0];
    unsigned flg = (unsigned char)in.p[1];
    return (cmf & 15) == 8 && (cmf >> 4) <= 7 && (cmf * 256 + flg) % 31 == 0;
}

static int window_of(enum gal_coding c, struct gal_str in)
{
    if (c == GAL_CODING_GZIP)
        return WINDOW_GZIP;
    return has_zlib_header(in) ? WINDOW_ZLIB : WINDOW_RAW;
}

static size_t decoded_max(size_t coded, size_t bytes_max)
{
    if (coded > (bytes_max - 1) / GAL_INFLATE_RATIO_MAX)
        return bytes_max;
    size_t max = coded * GAL_INFLATE_RATIO_MAX + INFLATE_FREE_BYTES;
    return max < bytes_max ? max : bytes_max;
}

/* gzip ends with its length (mod 2^32), which is right for every body that we take; what lies is
 * found out by inflate. One byte more than the maximum shows that there is more. */
static size_t first_guess(enum gal_coding c, struct gal_str in, size_t max)
{
    size_t guess = in.n * 4 + 64;
    if (c == GAL_CODING_GZIP && in.n >= 18) {
        const unsigned char *tail = (const unsigned char *)in.p + in.n - 4;
        guess =
            (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    }
    return guess < max ? guess + 1 : max + 1;
}

static enum gal_status grow(struct gal_arena *arena, char **to, size_t *cap, size_t max,
                            struct gal_err *err)
{
    size_t more = *cap < max / 2 ? *cap * 2 : max + 1;
    char *p = gal_arena_grow(arena, *to, *cap, more);
    if (!p)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to decode a body of %zu bytes", more);
    *to = p;
    *cap = more;
    return GAL_OK;
}

static enum gal_status inflate_all(z_stream *z, struct gal_str in, size_t max,
                                   struct gal_arena *arena, char *to, size_t cap,
                                   struct gal_str *out, struct gal_err *err)
{
    size_t taken = 0;
    size_t made = 0;
    for (;;) {
        z->next_in = (z_const Bytef *)in.p + taken;
        z->avail_in = slice(in.n - taken);
        z->next_out = (Bytef *)to + made;
        z->avail_out = slice(cap - made);
        uInt had = z->avail_in;
        uInt room = z->avail_out;
        int rc = inflate(z, Z_NO_FLUSH);
        taken += had - z->avail_in;
        made += room - z->avail_out;
        if (made > max)
            return gal_fail(err, GAL_TOO_LARGE, "the decoded body is larger than %zu bytes", max);
        if (rc == Z_STREAM_END)
            break;
        if (rc == Z_MEM_ERROR)
            return gal_fail(err, GAL_NO_MEMORY, "no memory to decode a body");
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return gal_fail(err, GAL_INVALID, "the coded body is broken at byte %zu: %s", taken,
                            z->msg ? z->msg : "bad data");
        if (made == cap) {
            enum gal_status status = grow(arena, &to, &cap, max, err);
            if (status != GAL_OK)
                return status;
        } else if (taken == in.n) {
            return gal_fail(err, GAL_INVALID, "the coded body ends early, after %zu bytes", in.n);
        }
    }
    if (taken != in.n)
        return gal_fail(err, GAL_INVALID, "%zu bytes follow the end of the coded body",
                        in.n - taken);
    *out = (struct gal_str){to, made};
    return GAL_OK;
}

enum gal_status gal_inflate(enum gal_coding c, struct gal_str in, size_t bytes_max,
                            struct gal_arena *arena, struct gal_str *out, struct gal_err *err)
{
    GAL_ASSERT(c == GAL_CODING_GZIP || c == GAL_CODING_DEFLATE);
    size_t max = decoded_max(in.n, bytes_max);
    size_t cap = first_guess(c, in, max);
    char *to = gal_arena_alloc(arena, cap);
    z_stream z;
    attach(&z, arena);
    if (!to || inflateInit2(&z, window_of(c, in)) != Z_OK)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to decode a body");
    enum gal_status status = inflate_all(&z, in, max, arena, to, cap, out, err);
    (void)inflateEnd(&z);
    return status;
}

/* Takes all of z's input (and ends the stream with Z_FINISH). Room is made piece by piece: zlib's
 * own bound is more than the input, and most bodies become much smaller. */
static enum gal_status deflate_some(z_stream *z, int flush, struct gal_buf *out)
{
    int rc;
    do {
        size_t want = deflateBound(z, z->avail_in);
        if (want > PIECE_BYTES)
            want = PIECE_BYTES;
        if (want > out->max - out->n)
            want = out->max - out->n;
        char *to = want ? gal_buf_reserve(out, want) : NULL;
        if (!to)
            return GAL_TOO_LARGE;
        z->next_out = (Bytef *)to;
        z->avail_out = slice(want);
        rc = deflate(z, flush);
        out->n += slice(want) - z->avail_out;
        if (rc == Z_STREAM_ERROR)
            return GAL_INTERNAL;
    } while (z->avail_in || (flush == Z_FINISH && rc != Z_STREAM_END));
    return GAL_OK;
}

enum gal_status gal_deflate(enum gal_coding c, const struct gal_str *parts, size_t count,
                            struct gal_arena *arena, struct gal_buf *out, struct gal_err *err)
{
    GAL_ASSERT(c == GAL_CODING_GZIP || c == GAL_CODING_DEFLATE);
    z_stream z;
    attach(&z, arena);
    int window = c == GAL_CODING_GZIP ? WINDOW_GZIP : WINDOW_ZLIB;
    if (deflateInit2(&z, LEVEL_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to code a body");
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < count && status == GAL_OK; i++) {
        size_t done = 0;
        while (done < parts[i].n && status == GAL_OK) {
            z.next_in = (z_const Bytef *)parts[i].p + done;
            z.avail_in = slice(parts[i].n - done);
            done += z.avail_in;
            status = deflate_some(&z, Z_NO_FLUSH, out);
        }
    }
    if (status == GAL_OK)
        status = deflate_some(&z, Z_FINISH, out);
    (void)deflateEnd(&z);
    if (status != GAL_OK)
        return gal_fail(err, status, "the coded body does not fit");
    return GAL_OK;
}
