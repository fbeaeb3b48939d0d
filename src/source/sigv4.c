/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sigv4.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/limits.h"
#include "source/sign.h"

#include <stdio.h>

#define SIGNED "host;x-amz-content-sha256;x-amz-date"

/* "2013-05-24T00:00:00.000Z" without what only people need. */
static void make_date(uint64_t wall_us, char out[GAL_SIGV4_DATE_SIZE])
{
    char text[GAL_TIMESTAMP_SIZE];
    size_t n = 0;
    gal_timestamp_format(wall_us, text);
    for (size_t i = 0; i < 19; i++) {
        if (text[i] != '-' && text[i] != ':')
            out[n++] = text[i];
    }
    out[n++] = 'Z';
    out[n] = '\0';
}

/* `name=value` where a part of the query has a name alone. */
static void put_query(struct gal_buf *out, struct gal_str query)
{
    struct gal_str part;
    bool first = true;
    while (gal_str_cut(&query, '&', &part)) {
        if (part.n == 0)
            continue;
        if (!first)
            gal_buf_putc(out, '&');
        first = false;
        gal_buf_put_str(out, part);
        if (!memchr(part.p, '=', part.n))
            gal_buf_putc(out, '=');
    }
}

static void put_canonical(struct gal_buf *out, const struct gal_sigv4 *how, const char *method,
                          struct gal_str url, const char *date)
{
    const char *token = how->keys->token;
    const char *mark = memmem(url.p, url.n, "://", 3);
    struct gal_str rest =
        mark ? (struct gal_str){mark + 3, url.n - (size_t)(mark + 3 - url.p)} : url;
    struct gal_str host, path = {NULL, 0};
    gal_str_cut(&rest, '/', &host);
    if (rest.p)
        gal_str_cut(&rest, '?', &path);
    gal_buf_printf(out, "%s\n/%.*s\n", method, GAL_STR_ARG(path));
    put_query(out, rest);
    gal_buf_printf(out, "\nhost:%.*s\nx-amz-content-sha256:" GAL_SIGV4_EMPTY "\nx-amz-date:%s\n",
                   GAL_STR_ARG(host), date);
    if (token)
        gal_buf_printf(out, "x-amz-security-token:%s\n", token);
    gal_buf_printf(out, "\n" SIGNED "%s\n" GAL_SIGV4_EMPTY, token ? ";x-amz-security-token" : "");
}

/* The key of the day, the region and the service. */
static enum gal_status make_key(const struct gal_sigv4 *how, struct gal_str day,
                                unsigned char key[GAL_HMAC_BYTES], struct gal_err *err)
{
    const struct gal_str steps[] = {day, gal_str_of(how->region), gal_str_of(how->service),
                                    GAL_STR("aws4_request")};
    char first[256];
    int n = snprintf(first, sizeof first, "AWS4%s", how->keys->secret);
    struct gal_str with = {first, (size_t)n};
    if (n >= (int)sizeof first)
        return gal_fail(err, GAL_INVALID, "the secret access key is too long");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        unsigned char next[GAL_HMAC_BYTES];
        enum gal_status status = gal_hmac_sha256(with, steps[i], next, err);
        if (status)
            return status;
        memcpy(key, next, sizeof next);
        with = (struct gal_str){(const char *)key, GAL_HMAC_BYTES};
    }
    return GAL_OK;
}

enum gal_status gal_sigv4_sign(const struct gal_sigv4 *how, const char *method, struct gal_str url,
                               struct gal_arena *arena, struct gal_sigv4_headers *out,
                               struct gal_err *err)
{
    char hash[GAL_SHA256_HEX_SIZE], scope[160];
    unsigned char key[GAL_HMAC_BYTES], sum[GAL_HMAC_BYTES];
    struct gal_buf text;
    gal_buf_init(&text, 4 * GAL_URL_BYTES_MAX);
    make_date(how->wall_us, out->date);
    put_canonical(&text, how, method, url, out->date);
    enum gal_status status = text.failed ? gal_fail(err, GAL_TOO_LARGE, "too long a URL to sign")
                                         : gal_sha256_bytes(gal_buf_str(&text), hash, err);
    snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", out->date, how->region, how->service);
    if (!status)
        status = make_key(how, (struct gal_str){out->date, 8}, key, err);
    gal_buf_clear(&text, 4 * GAL_URL_BYTES_MAX);
    gal_buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", out->date, scope, hash);
    if (!status)
        status = gal_hmac_sha256((struct gal_str){(const char *)key, sizeof key},
                                 gal_buf_str(&text), sum, err);
    gal_buf_clear(&text, 4 * GAL_URL_BYTES_MAX);
    if (!status)
        gal_hex_put(&text, sum, sizeof sum);
    out->authorization = gal_arena_printf(
        arena, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=" SIGNED "%s, Signature=%.*s",
        how->keys->id, scope, how->keys->token ? ";x-amz-security-token" : "",
        GAL_STR_ARG(gal_buf_str(&text)));
    if (!status && (text.failed || !out->authorization))
        status = gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_buf_release(&text);
    return status;
}
