/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/sign.h"

#include "base/base64.h"
#include "text/json.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PAYLOAD_DEPTH_MAX 8u
#define PEM_BYTES_MAX 65536u
#define SIGNATURE_BYTES_MAX 160u /* DER of two 256-bit numbers takes 72 */

void gal_sign_tag(const char *digest, char out[GAL_DIGEST_SIZE + 4])
{
    (void)snprintf(out, GAL_DIGEST_SIZE + 4, "sha256-%.64s.sig", digest + 7);
}

/* --- payload --- */

void gal_sign_payload(const char *name, const char *digest, struct gal_buf *out)
{
    gal_buf_puts(out, "{\"critical\":{\"identity\":{\"docker-reference\":");
    gal_json_put_str(out, gal_str_of(name));
    gal_buf_puts(out, "},\"image\":{\"docker-manifest-digest\":");
    gal_json_put_str(out, gal_str_of(digest));
    gal_buf_puts(out, "},\"type\":\"cosign container image signature\"},\"optional\":null}");
}

enum gal_status gal_sign_names(struct gal_str payload, const char *digest, struct gal_err *err)
{
    struct gal_arena arena;
    yyjson_val *root = NULL, *named;

    gal_arena_init(&arena, 4096, 0, PEM_BYTES_MAX * 4);
    enum gal_status status = gal_json_read(payload, &arena, PAYLOAD_DEPTH_MAX, &root, err);
    if (!status) {
        named = yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(root, "critical"), "image"),
                               "docker-manifest-digest");
        if (!yyjson_is_str(named))
            status = gal_fail(err, GAL_INVALID, "the signed payload names no manifest digest");
        else if (strcmp(yyjson_get_str(named), digest) != 0)
            status = gal_fail(err, GAL_INVALID, "the signature is of %.71s, not of %s",
                              yyjson_get_str(named), digest);
    }
    gal_arena_release(&arena);
    return status;
}

/* --- keys --- */

/* A BIO's bytes behind out. */
static enum gal_status take_text(BIO *bio, struct gal_buf *out, struct gal_err *err)
{
    char *text = NULL;
    long n = BIO_get_mem_data(bio, &text);

    if (n <= 0)
        return gal_fail(err, GAL_INTERNAL, "OpenSSL could not write a key");
    gal_buf_put(out, text, (size_t)n);
    return out->failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for a key") : GAL_OK;
}

static enum gal_status write_private(EVP_PKEY *key, const char *password, BIO *bio,
                                     struct gal_buf *out, struct gal_err *err)
{
    bool locked = password && password[0];
    int n = locked ? (int)strlen(password) : 0;

    if (PEM_write_bio_PKCS8PrivateKey(bio, key, locked ? EVP_aes_256_cbc() : NULL, password, n,
                                      NULL, NULL) != 1)
        return gal_fail(err, GAL_INTERNAL, "OpenSSL could not write the private key");
    return take_text(bio, out, err);
}

enum gal_status gal_sign_keys(const char *password, struct gal_buf *private_pem,
                              struct gal_buf *public_pem, struct gal_err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *secret = BIO_new(BIO_s_mem()), *public = BIO_new(BIO_s_mem());
    enum gal_status status = GAL_OK;

    if (!key || !secret || !public)
        status = gal_fail(err, GAL_INTERNAL, "OpenSSL could not make a key");
    if (!status)
        status = write_private(key, password, secret, private_pem, err);
    if (!status && PEM_write_bio_PUBKEY(public, key) != 1)
        status = gal_fail(err, GAL_INTERNAL, "OpenSSL could not write the public key");
    if (!status)
        status = take_text(public, public_pem, err);
    BIO_free(secret);
    BIO_free(public);
    EVP_PKEY_free(key);
    return status;
}

/* OpenSSL asks for the password here. */
static int give_password(char *out, int size, int writing, void *password)
{
    size_t n = password ? strlen(password) : 0;

    (void)writing;
    if (n == 0 || n > (size_t)size)
        return -1;
    memcpy(out, password, n);
    return (int)n;
}

static enum gal_status check_curve(EVP_PKEY *key, struct gal_err *err)
{
    char curve[64] = "";
    size_t n;

    if (EVP_PKEY_is_a(key, "EC") == 1 &&
        EVP_PKEY_get_group_name(key, curve, sizeof curve, &n) == 1 &&
        (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "P-256") == 0))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "the key is no ECDSA key on the curve P-256");
    gal_err_hint(err, "galley image keygen makes a pair");
    return GAL_INVALID;
}

static enum gal_status read_key(struct gal_str pem, bool is_private, const char *password,
                                EVP_PKEY **out, struct gal_err *err)
{
    static const char sigstore[] = "ENCRYPTED SIGSTORE PRIVATE KEY";
    *out = NULL;
    if (pem.n > PEM_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "a key of %zu bytes is none", pem.n);
    if (is_private && memmem(pem.p, pem.n, sigstore, sizeof sigstore - 1)) {
        gal_fail(err, GAL_UNSUPPORTED, "cosign's own encrypted key format is not read");
        gal_err_hint(err, "use a PKCS #8 key: galley image keygen; cosign verifies with its .pub");
        return GAL_UNSUPPORTED;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    void *secret = (void *)(uintptr_t)password; /* OpenSSL hands it on to give_password, unread */
    if (bio)
        *out = is_private ? PEM_read_bio_PrivateKey(bio, NULL, give_password, secret)
                          : PEM_read_bio_PUBKEY(bio, NULL, give_password, NULL);
    BIO_free(bio);
    if (*out)
        return check_curve(*out, err);
    if (is_private && memmem(pem.p, pem.n, "ENCRYPTED", 9)) {
        gal_fail(err, GAL_UNAUTHENTICATED, "the private key does not open with this password");
        gal_err_hint(err, "set COSIGN_PASSWORD");
        return GAL_UNAUTHENTICATED;
    }
    return gal_fail(err, GAL_INVALID, "no %s key in PEM form", is_private ? "private" : "public");
}

/* --- signatures --- */

enum gal_status gal_sign(struct gal_str private_pem, const char *password, struct gal_str payload,
                         struct gal_arena *arena, struct gal_str *out, struct gal_err *err)
{
    unsigned char der[SIGNATURE_BYTES_MAX];
    size_t n = sizeof der;
    struct gal_buf text;
    EVP_PKEY *key;
    EVP_MD_CTX *md = NULL;
    enum gal_status status = read_key(private_pem, true, password, &key, err);

    gal_buf_init(&text, 1024);
    if (!status) {
        md = EVP_MD_CTX_new();
        if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
            EVP_DigestSign(md, der, &n, (const unsigned char *)payload.p, payload.n) != 1)
            status = gal_fail(err, GAL_INTERNAL, "OpenSSL could not sign");
    }
    if (!status) {
        gal_base64_put(&text, (struct gal_str){(const char *)der, n});
        *out = (struct gal_str){gal_arena_strdup(arena, gal_buf_str(&text)), text.n};
        if (!out->p)
            status = gal_fail(err, GAL_NO_MEMORY, "no memory for a signature");
    }
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_sign_check(struct gal_str public_pem, struct gal_str payload,
                               struct gal_str signature, struct gal_err *err)
{
    struct gal_arena arena;
    struct gal_str der;
    EVP_PKEY *key = NULL;
    EVP_MD_CTX *md = NULL;

    gal_arena_init(&arena, 1024, 0, PEM_BYTES_MAX);
    enum gal_status status = gal_base64_decode(signature, &arena, &der, err);
    if (!status)
        status = read_key(public_pem, false, NULL, &key, err);
    if (!status) {
        md = EVP_MD_CTX_new();
        if (!md || EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) != 1)
            status = gal_fail(err, GAL_INTERNAL, "OpenSSL could not begin to verify");
        else if (EVP_DigestVerify(md, (const unsigned char *)der.p, der.n,
                                  (const unsigned char *)payload.p, payload.n) != 1)
            status = gal_fail(err, GAL_UNAUTHENTICATED, "the signature is not this key's");
    }
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    gal_arena_release(&arena);
    return status;
}
