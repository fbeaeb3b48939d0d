/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and SHA-1 (over OpenSSL's EVP), random bytes and identifiers. Any thread. */
#ifndef GAL_BASE_DIGEST_H
#define GAL_BASE_DIGEST_H

#include "base/str.h"

#define GAL_SHA256_HEX_SIZE 65
#define GAL_SHA1_BYTES 20
#define GAL_UUID_SIZE 37

enum gal_status gal_sha256_file(const char *path, char hex[GAL_SHA256_HEX_SIZE],
                                struct gal_err *err);
enum gal_status gal_sha256_bytes(struct gal_str s, char hex[GAL_SHA256_HEX_SIZE],
                                 struct gal_err *err);
/* A part of a file: IO when the file ends before it. */
enum gal_status gal_sha256_part(const char *path, uint64_t offset, uint64_t bytes,
                                char hex[GAL_SHA256_HEX_SIZE], struct gal_err *err);
/* The same in one pass with SHA-1, for documents that must name it (SPDX). */
#define GAL_SHA1_HEX_SIZE 41
enum gal_status gal_sha256_sha1_part(const char *path, uint64_t offset, uint64_t bytes,
                                     char sha256[GAL_SHA256_HEX_SIZE], char sha1[GAL_SHA1_HEX_SIZE],
                                     struct gal_err *err);
/* Piece by piece, for what is seen once. One thread an object. */
struct gal_sha256;
struct gal_sha256 *gal_sha256_new(void); /* NULL when memory is out */
enum gal_status gal_sha256_add(struct gal_sha256 *s, struct gal_str piece);
/* Digest of all pieces since the last call, or new. */
enum gal_status gal_sha256_end(struct gal_sha256 *s, char hex[GAL_SHA256_HEX_SIZE]);
void gal_sha256_free(struct gal_sha256 *s); /* NULL is fine */
/* Only where a protocol or format asks for it (RFC 6455 4.2.2): nobody is to rely on it. */
enum gal_status gal_sha1_bytes(struct gal_str s, unsigned char out[GAL_SHA1_BYTES],
                               struct gal_err *err);
enum gal_status gal_sha1_hex(struct gal_str s, char hex[GAL_SHA1_HEX_SIZE], struct gal_err *err);
/* xoshiro256** state of one thread or loop: fast identifiers that need not be secret. */
struct gal_rng {
    uint64_t s[4];
};
void gal_rng_seed(struct gal_rng *r); /* from the system's entropy */
uint64_t gal_rng_next(struct gal_rng *r);
/* RFC 9562 version 4, lower case, NUL-terminated. */
void gal_uuid4(struct gal_rng *r, char out[GAL_UUID_SIZE]);

#endif
