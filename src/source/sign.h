/* SPDX-License-Identifier: Apache-2.0 */
/* What object stores want signed or summed, over OpenSSL: HMAC-SHA-256, MD5 (only because stores
 * tell it), RSA signatures of JSON web tokens. Any thread. */
#ifndef GAL_SOURCE_SIGN_H
#define GAL_SOURCE_SIGN_H

#include "base/buf.h"

#define GAL_HMAC_BYTES 32

enum gal_status gal_hmac_sha256(struct gal_str key, struct gal_str data,
                                unsigned char out[GAL_HMAC_BYTES], struct gal_err *err);
/* 32 hex digits and a NUL. */
enum gal_status gal_md5_file(const char *path, char hex[33], struct gal_err *err);
/* RS256 (RFC 7518 3.3) with a private key in PEM; appends the signature's bytes. */
enum gal_status gal_rs256(struct gal_str pem, struct gal_str data, struct gal_buf *out,
                          struct gal_err *err);
/* Appends base64url without padding (RFC 7515). */
void gal_base64url_put(struct gal_buf *out, struct gal_str bytes);
void gal_hex_put(struct gal_buf *out, const unsigned char *bytes, size_t n);

#endif
