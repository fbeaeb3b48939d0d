/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_handshake.h"

#include "base/digest.h"

/* RFC 6455 1.3: behind the key it makes what only a server of this protocol would answer. */
#define KEY_SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_CHARS 24u /* base64 of 16 bytes */

/* NULL when it was not sent. */
static const struct gal_str *find(const struct gal_http_request *req, struct gal_str name)
{
    for (size_t i = 0; i < req->header_count; i++)
        if (gal_str_ieq(req->headers[i].name, name))
            return &req->headers[i].value;
    return NULL;
}

/* Looks through all headers of the name, which are lists of tokens (RFC 9110 5.6.1). */
static bool has_token(const struct gal_http_request *req, struct gal_str name, struct gal_str token,
                      bool any_case)
{
    for (size_t i = 0; i < req->header_count; i++) {
        struct gal_str rest = req->headers[i].value, part;

        if (!gal_str_ieq(req->headers[i].name, name))
            continue;
        while (gal_str_cut(&rest, ',', &part)) {
            part = gal_str_trim(part);
            if (any_case ? gal_str_ieq(part, token) : gal_str_eq(part, token))
                return true;
        }
    }
    return false;
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool key_usable(struct gal_str key)
{
    if (key.n != KEY_CHARS || key.p[KEY_CHARS - 2] != '=' || key.p[KEY_CHARS - 1] != '=')
        return false;
    for (size_t i = 0; i < KEY_CHARS - 2; i++)
        if (!is_base64(key.p[i]))
            return false;
    return true;
}

static void write_base64(char *out, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16;
        v |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        v |= i + 2 < n ? bytes[i + 2] : 0;
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = '\0';
}

static enum gal_status accept_key(struct gal_str key, char out[GAL_WS_ACCEPT_SIZE],
                                  struct gal_err *err)
{
    char text[KEY_CHARS + sizeof(KEY_SUFFIX) - 1];
    unsigned char digest[GAL_SHA1_BYTES];
    enum gal_status st;

    memcpy(text, key.p, KEY_CHARS);
    memcpy(text + KEY_CHARS, KEY_SUFFIX, sizeof(KEY_SUFFIX) - 1);
    st = gal_sha1_bytes((struct gal_str){text, sizeof(text)}, digest, err);
    if (st == GAL_OK)
        write_base64(out, digest, sizeof(digest));
    return st;
}

static enum gal_status check_upgrade(const struct gal_http_request *req, struct gal_err *err)
{
    const struct gal_str *version = find(req, GAL_STR("Sec-WebSocket-Version"));

    if (req->version_major != 1 || req->version_minor < 1 || req->method != GAL_METHOD_GET ||
        !has_token(req, GAL_STR("Connection"), GAL_STR("upgrade"), true) ||
        !has_token(req, GAL_STR("Upgrade"), GAL_STR("websocket"), true)) {
        gal_fail(err, GAL_UPGRADE, "this URL speaks WebSocket");
        gal_err_hint(err, "connect with a WebSocket client over HTTP/1.1, or POST to .../infer");
        return GAL_UPGRADE;
    }
    if (version == NULL || !gal_str_eq(*version, GAL_WS_VERSION)) {
        gal_fail(err, GAL_UPGRADE, "Sec-WebSocket-Version '%.*s' is not spoken here",
                 version != NULL && version->n < 32 ? (int)version->n : 0,
                 version != NULL ? version->p : "");
        gal_err_hint(err, "send 13");
        return GAL_UPGRADE;
    }
    return GAL_OK;
}

enum gal_status gal_ws_handshake_read(const struct gal_http_request *req, struct gal_str protocol,
                                      struct gal_ws_handshake *out, struct gal_err *err)
{
    const struct gal_str *key = find(req, GAL_STR("Sec-WebSocket-Key"));
    enum gal_status st = check_upgrade(req, err);

    if (st != GAL_OK)
        return st;
    if (req->body.n > 0)
        return gal_fail(err, GAL_INVALID, "a WebSocket handshake has no body");
    if (key == NULL || !key_usable(*key))
        return gal_fail(err, GAL_INVALID,
                        key == NULL ? "the header Sec-WebSocket-Key is missing"
                                    : "the header Sec-WebSocket-Key is not 16 bytes in base64");
    out->has_protocol = has_token(req, GAL_STR("Sec-WebSocket-Protocol"), protocol, false);
    return accept_key(*key, out->accept, err);
}
