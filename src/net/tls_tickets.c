/* SPDX-License-Identifier: Apache-2.0 */
/* Session tickets (RFC 5077, RFC 8446 4.6.1): the session travels with the client, sealed with a
 * key that all loops share, so the server remembers nothing of it. */
#include "base/clock.h"
#include "base/mem.h"
#include "net/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>

#define NAME_BYTES 16
#define KEY_BYTES 32

struct key {
    unsigned char name[NAME_BYTES], cipher[KEY_BYTES], mac[KEY_BYTES];
    uint64_t since_us;
    bool valid;
};

struct gal_tls_tickets {
    atomic_uint refs;
    const struct gal_clock *clock;
    pthread_mutex_t lock; /* held to look a key up: no call of anybody else's */
    struct key now, before;
};

enum gal_status gal_tls_tickets_new(const struct gal_clock *clock, struct gal_tls_tickets **out,
                                    struct gal_err *err)
{
    struct gal_tls_tickets *t = gal_calloc(1, sizeof(*t));

    if (t == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the keys of TLS sessions");
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        gal_free(t);
        return gal_fail(err, GAL_NO_MEMORY, "no lock for the keys of TLS sessions");
    }
    atomic_init(&t->refs, 1);
    t->clock = clock;
    *out = t;
    return GAL_OK;
}

struct gal_tls_tickets *gal_tls_tickets_ref(struct gal_tls_tickets *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void gal_tls_tickets_unref(struct gal_tls_tickets *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(&t->now, sizeof(t->now));
    OPENSSL_cleanse(&t->before, sizeof(t->before));
    gal_free(t);
}

static bool make_key(struct key *k, uint64_t now_us)
{
    k->since_us = now_us;
    k->valid = RAND_bytes(k->name, sizeof(k->name)) == 1 &&
               RAND_priv_bytes(k->cipher, sizeof(k->cipher)) == 1 &&
               RAND_priv_bytes(k->mac, sizeof(k->mac)) == 1;
    return k->valid;
}

/* Called with the lock. Without randomness the old key seals on: OpenSSL then fails every handshake
 * anyway. */
static void turn_over(struct gal_tls_tickets *t)
{
    uint64_t now_us = gal_mono_us(t->clock);
    struct key fresh;

    if (t->before.valid && now_us - t->before.since_us >= 2 * (uint64_t)GAL_TLS_TICKET_US)
        OPENSSL_cleanse(&t->before, sizeof(t->before));
    if (t->now.valid && now_us - t->now.since_us < GAL_TLS_TICKET_US)
        return;
    if (!make_key(&fresh, now_us))
        return;
    if (t->now.valid && now_us - t->now.since_us < 2 * (uint64_t)GAL_TLS_TICKET_US)
        t->before = t->now;
    t->now = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
}

/* name NULL: the key that seals. False: none. */
static bool find_key(struct gal_tls_tickets *t, const unsigned char *name, struct key *out,
                     bool *is_old)
{
    bool found = true;

    pthread_mutex_lock(&t->lock);
    turn_over(t);
    *is_old = false;
    if (name == NULL || memcmp(name, t->now.name, NAME_BYTES) == 0)
        *out = t->now;
    else if (t->before.valid && memcmp(name, t->before.name, NAME_BYTES) == 0) {
        *out = t->before;
        *is_old = true;
    } else
        found = false;
    pthread_mutex_unlock(&t->lock);
    return found && out->valid;
}

static bool set_mac(EVP_MAC_CTX *mac, struct key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's callback. Sealing: 1 done, 0 no ticket. Opening: 0 unknown key (a whole handshake
 * follows), 1 known, 2 known and to be renewed: in TLS 1.3 a client uses a ticket once. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seals)
{
    struct gal_tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct key k;
    bool is_old;
    int rc;

    if (!find_key(t, seals ? NULL : name, &k, &is_old))
        return 0;
    if (seals) {
        memcpy(name, k.name, NAME_BYTES);
        rc = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
             EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv) == 1;
    } else {
        rc = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.cipher, iv) == 1;
    }
    rc = rc && set_mac(mac, &k);
    OPENSSL_cleanse(&k, sizeof(k));
    if (!rc)
        return 0;
    return is_old || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

enum gal_status gal_tls_tickets_use(struct gal_tls_tickets *t, SSL_CTX *ctx, struct gal_err *err)
{
    SSL_CTX_set_app_data(ctx, t);
    if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1)
        return gal_fail(err, GAL_INTERNAL, "OpenSSL takes no keys for sessions");
    SSL_CTX_set_timeout(ctx, GAL_TLS_TICKET_US / 1000000);
    return GAL_OK;
}
