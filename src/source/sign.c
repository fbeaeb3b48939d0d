/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sign.h"

#include "base/base64.h"
#include "base/file.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

static enum gal_status failed(struct gal_err *err, const char *what)
{
    return gal_fail(err, GAL_INTERNAL, "OpenSSL gives no %s", what);
}

enum gal_status gal_hmac_sha256(struct gal_str key, struct gal_str data,
                                unsigned char out[GAL_HMAC_BYTES], struct gal_err *err)
{
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, (const unsigned char *)data.p, data.n,
              out, &n) ||
        n != GAL_HMAC_BYTES)
        return failed(err, "HMAC");
    return GAL_OK;
}

static enum gal_status on_piece(struct gal_str piece, void *ctx)
{
    return EVP_DigestUpdate(ctx, piece.p, piece.n) == 1 ? GAL_OK : GAL_INTERNAL;
}

enum gal_status gal_md5_file(const char *path, char hex[33], struct gal_err *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    enum gal_status status = GAL_OK;
    gal_err_clear(err);
    if (!c || EVP_DigestInit_ex(c, EVP_md5(), NULL) != 1)
        status = failed(err, "MD5");
    if (!status)
        status = gal_file_scan(path, on_piece, c, err);
    if (!status && (EVP_DigestFinal_ex(c, sum, &n) != 1 || n != 16))
        status = failed(err, "MD5");
    EVP_MD_CTX_free(c);
    for (unsigned i = 0; !status && i < 16; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[status ? 0 : 32] = '\0';
    return status;
}

static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

enum gal_status gal_rs256(struct gal_str pem, struct gal_str data, struct gal_buf *out,
                          struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = 0;
    if (!key || EVP_PKEY_base_id(key) != EVP_PKEY_RSA)
        status = gal_fail(err, GAL_INVALID, "the private key is no RSA key in PEM");
    else if (!c || EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) != 1 ||
             EVP_DigestSign(c, NULL, &n, (const unsigned char *)data.p, data.n) != 1)
        status = failed(err, "signature");
    char *room = status ? NULL : gal_buf_reserve(out, n);
    if (!status && !room)
        status = gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (!status &&
        EVP_DigestSign(c, (unsigned char *)room, &n, (const unsigned char *)data.p, data.n) != 1)
        status = failed(err, "signature");
    if (!status)
        out->n += n;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return status;
}

void gal_base64url_put(struct gal_buf *out, struct gal_str bytes)
{
    size_t from = out->n;
    gal_base64_put(out, bytes);
    if (out->failed)
        return;
    while (out->n > from && out->p[out->n - 1] == '=')
        out->n--;
    for (size_t i = from; i < out->n; i++) {
        char c = out->p[i];
        out->p[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
}

void gal_hex_put(struct gal_buf *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        gal_buf_putc(out, digits[bytes[i] >> 4]);
        gal_buf_putc(out, digits[bytes[i] & 15]);
    }
}
