/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/random.h>

#define SHA256_BYTES 32

static void write_hex(char *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static enum gal_status add_piece(struct gal_str piece, void *ctx)
{
    return EVP_DigestUpdate(ctx, piece.p, piece.n) == 1 ? GAL_OK : GAL_INTERNAL;
}

struct gal_sha256 {
    EVP_MD_CTX *md;
};

struct gal_sha256 *gal_sha256_new(void)
{
    struct gal_sha256 *s = gal_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->md = EVP_MD_CTX_new();
    if (s->md && EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) == 1)
        return s;
    gal_sha256_free(s);
    return NULL;
}

void gal_sha256_free(struct gal_sha256 *s)
{
    if (s)
        EVP_MD_CTX_free(s->md);
    gal_free(s);
}

enum gal_status gal_sha256_add(struct gal_sha256 *s, struct gal_str piece)
{
    return add_piece(piece, s->md);
}

enum gal_status gal_sha256_end(struct gal_sha256 *s, char hex[GAL_SHA256_HEX_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(s->md, digest, NULL) != 1 ||
        EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1)
        return GAL_INTERNAL;
    write_hex(hex, digest, SHA256_BYTES);
    hex[GAL_SHA256_HEX_SIZE - 1] = '\0';
    return GAL_OK;
}

/* Ends a digest whose pieces went in with `status`, and frees it. */
static enum gal_status finish(struct gal_sha256 *s, enum gal_status status,
                              char hex[GAL_SHA256_HEX_SIZE], struct gal_err *err)
{
    if (!status)
        status = s ? gal_sha256_end(s, hex) : GAL_INTERNAL;
    if (status == GAL_INTERNAL)
        gal_fail(err, status, "SHA-256 cannot be computed");
    gal_sha256_free(s);
    return status;
}

enum gal_status gal_sha256_file(const char *path, char hex[GAL_SHA256_HEX_SIZE],
                                struct gal_err *err)
{
    struct gal_sha256 *s = gal_sha256_new();
    gal_err_clear(err);
    return finish(s, s ? gal_file_scan(path, add_piece, s->md, err) : GAL_OK, hex, err);
}

enum gal_status gal_sha256_part(const char *path, uint64_t offset, uint64_t bytes,
                                char hex[GAL_SHA256_HEX_SIZE], struct gal_err *err)
{
    struct gal_sha256 *s = gal_sha256_new();
    gal_err_clear(err);
    return finish(s, s ? gal_file_scan_part(path, offset, bytes, add_piece, s->md, err) : GAL_OK,
                  hex, err);
}

struct both {
    EVP_MD_CTX *sha256, *sha1;
};

static enum gal_status add_to_both(struct gal_str piece, void *ctx)
{
    struct both *b = ctx;
    enum gal_status status = add_piece(piece, b->sha256);
    return status ? status : add_piece(piece, b->sha1);
}

enum gal_status gal_sha256_sha1_part(const char *path, uint64_t offset, uint64_t bytes,
                                     char sha256[GAL_SHA256_HEX_SIZE], char sha1[GAL_SHA1_HEX_SIZE],
                                     struct gal_err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct gal_sha256 *s = gal_sha256_new();
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    enum gal_status status = GAL_OK;
    gal_err_clear(err);
    if (!s || !md || EVP_DigestInit_ex(md, EVP_sha1(), NULL) != 1) {
        status = gal_fail(err, GAL_INTERNAL, "SHA-1 cannot be computed");
        gal_sha256_free(s);
        goto out;
    }
    status = gal_file_scan_part(path, offset, bytes, add_to_both, &(struct both){s->md, md}, err);
    status = finish(s, status, sha256, err);
    if (!status && EVP_DigestFinal_ex(md, digest, NULL) != 1)
        status = gal_fail(err, GAL_INTERNAL, "SHA-1 cannot be computed");
    if (!status) {
        write_hex(sha1, digest, GAL_SHA1_BYTES);
        sha1[GAL_SHA1_HEX_SIZE - 1] = '\0';
    }
out:
    EVP_MD_CTX_free(md);
    return status;
}

enum gal_status gal_sha256_bytes(struct gal_str bytes, char hex[GAL_SHA256_HEX_SIZE],
                                 struct gal_err *err)
{
    struct gal_sha256 *s = gal_sha256_new();
    gal_err_clear(err);
    return finish(s, s ? add_piece(bytes, s->md) : GAL_OK, hex, err);
}

enum gal_status gal_sha1_bytes(struct gal_str s, unsigned char out[GAL_SHA1_BYTES],
                               struct gal_err *err)
{
    gal_err_clear(err);
    if (EVP_Digest(s.p, s.n, out, NULL, EVP_sha1(), NULL) == 1)
        return GAL_OK;
    return gal_fail(err, GAL_INTERNAL, "SHA-1 cannot be computed");
}

enum gal_status gal_sha1_hex(struct gal_str s, char hex[GAL_SHA1_HEX_SIZE], struct gal_err *err)
{
    unsigned char digest[GAL_SHA1_BYTES];
    enum gal_status status = gal_sha1_bytes(s, digest, err);
    if (!status) {
        write_hex(hex, digest, GAL_SHA1_BYTES);
        hex[GAL_SHA1_HEX_SIZE - 1] = '\0';
    }
    return status;
}

void gal_rng_seed(struct gal_rng *r)
{
    size_t got = 0;
    do {
        ssize_t n = getrandom((char *)r->s + got, sizeof r->s - got, 0);
        GAL_ASSERT(n > 0 || errno == EINTR); /* Linux 3.17 and later always has entropy */
        got += n > 0 ? (size_t)n : 0;
    } while (got < sizeof r->s);
    r->s[0] |= 1; /* an all-zero state would stay zero for ever */
}

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021): xoshiro256**. */
uint64_t gal_rng_next(struct gal_rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void gal_uuid4(struct gal_rng *r, char out[GAL_UUID_SIZE])
{
    unsigned char bytes[16];
    uint64_t words[2] = {gal_rng_next(r), gal_rng_next(r)};
    memcpy(bytes, words, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* RFC 9562's variant */
    static const unsigned char group_bytes[] = {4, 2, 2, 2, 6};
    const unsigned char *from = bytes;
    for (size_t g = 0; g < sizeof group_bytes; g++) {
        write_hex(out, from, group_bytes[g]);
        from += group_bytes[g];
        out += 2 * (size_t)group_bytes[g];
        *out++ = '-';
    }
    out[-1] = '\0';
}
