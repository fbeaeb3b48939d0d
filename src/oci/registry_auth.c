/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry wants to see: nothing, a password, or a token that a token server gives for one
 * repository (Docker's token authentication, with or without OAuth2). */
#include "base/base64.h"
#include "base/limits.h"
#include "net/loop.h"
#include "oci/registry_impl.h"
#include "text/json.h"

#include <stdio.h>

#define CLIENT_ID "galley"

/* The lock is held by callers of what is static here. */

static enum gal_status know_credential(struct gal_registry_shared *s, struct gal_err *err)
{
    struct gal_credential_places places = {.env = s->options.env, .clock = s->options.fetch.clock};
    enum gal_status status = GAL_OK;
    if (s->credential_known)
        return GAL_OK;
    if (s->options.user)
        s->credential = (struct gal_credential){
            .user = s->options.user, .password = s->options.password, .origin = "the options"};
    else
        status = gal_credentials_find(&places, s->ref.host, s->ref.repository, &s->arena,
                                      &s->credential, err);
    s->credential_known = status == GAL_OK;
    return status;
}

/* --- tokens --- */

static void put_escaped(struct gal_buf *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c)) {
            gal_buf_putc(out, *text);
        } else {
            gal_buf_putc(out, '%');
            gal_buf_putc(out, hex[c >> 4]);
            gal_buf_putc(out, hex[c & 15]);
        }
    }
}

static void put_pair(struct gal_buf *out, const char *key, const char *value)
{
    if (out->n && out->p[out->n - 1] != '?')
        gal_buf_putc(out, '&');
    gal_buf_puts(out, key);
    gal_buf_putc(out, '=');
    put_escaped(out, value);
}

/* The scopes that are wanted; a registry that named others in its challenge gets those. */
static void put_scopes(struct gal_buf *out, const struct gal_registry_shared *s, bool pushes,
                       bool joined)
{
    char own[320], from[320], both[700];
    snprintf(own, sizeof own, "repository:%s:%s", s->ref.repository, pushes ? "pull,push" : "pull");
    from[0] = '\0';
    if (pushes && s->options.mount_from)
        snprintf(from, sizeof from, "repository:%s:pull", s->options.mount_from);
    if (s->ref.repository[0] == '\0')
        return; /* a login: who we are, no more */
    if (joined) {
        snprintf(both, sizeof both, "%s%s%s", own, from[0] ? " " : "", from);
        put_pair(out, "scope", both);
        return;
    }
    put_pair(out, "scope", own);
    if (from[0])
        put_pair(out, "scope", from);
}

/* Asks with the password, or without any: GET, as all token servers know it. */
static enum gal_status ask_plain(struct gal_registry *r, bool pushes, struct gal_buf *url,
                                 struct gal_fetch_response *out, struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    gal_buf_puts(url, s->challenge.realm);
    gal_buf_putc(url, strchr(s->challenge.realm, '?') ? '&' : '?');
    if (s->challenge.service[0])
        put_pair(url, "service", s->challenge.service);
    put_scopes(url, s, pushes, false);
    put_pair(url, "client_id", CLIENT_ID);
    if (s->credential.user)
        put_pair(url, "account", s->credential.user);
    gal_buf_putc(url, '\0');
    if (url->failed)
        return gal_fail(err, GAL_TOO_LARGE, "the URL for a token is too long");
    struct gal_fetch_request q = {.url = url->p,
                                  .user = s->credential.user,
                                  .password = s->credential.password,
                                  .body_max = GAL_TOKEN_BYTES_MAX};
    return gal_fetch(r->fetcher, &q, out, err);
}

/* Asks with an identity token: OAuth2's refresh grant. */
static enum gal_status ask_oauth(struct gal_registry *r, bool pushes, struct gal_buf *body,
                                 struct gal_fetch_response *out, struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    struct gal_fetch_header form = {"Content-Type", "application/x-www-form-urlencoded"};
    put_pair(body, "grant_type", "refresh_token");
    put_pair(body, "service", s->challenge.service);
    put_scopes(body, s, pushes, true);
    put_pair(body, "client_id", CLIENT_ID);
    put_pair(body, "refresh_token", s->credential.identity_token);
    if (body->failed)
        return gal_fail(err, GAL_TOO_LARGE, "the request for a token is too long");
    struct gal_fetch_request q = {.method = "POST",
                                  .url = s->challenge.realm,
                                  .headers = &form,
                                  .header_count = 1,
                                  .body = gal_buf_str(body),
                                  .body_max = GAL_TOKEN_BYTES_MAX};
    return gal_fetch(r->fetcher, &q, out, err);
}

static enum gal_status take_token(struct gal_registry_shared *s,
                                  const struct gal_fetch_response *answer, struct gal_err *err)
{
    struct gal_arena arena;
    yyjson_val *root;
    const char *token = NULL;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    if (gal_json_read(gal_buf_str(&answer->body), &arena, GAL_JSON_DEPTH_MAX, &root, NULL) ==
        GAL_OK) {
        token = yyjson_get_str(yyjson_obj_get(root, "token"));
        if (!token || !token[0])
            token = yyjson_get_str(yyjson_obj_get(root, "access_token"));
    }
    gal_buf_clear(&s->token, 0);
    if (token && token[0] && strpbrk(token, " \r\n") == NULL) {
        gal_buf_puts(&s->token, token);
        gal_buf_putc(&s->token, '\0');
    }
    gal_arena_release(&arena);
    if (s->token.n == 0 || s->token.failed) {
        char shown[160];
        gal_buf_clear(&s->token, 0);
        return gal_fail(err, GAL_INVALID, "%s: its answer holds no token",
                        gal_fetch_shown(s->challenge.realm, shown, sizeof shown));
    }
    return GAL_OK;
}

/* Who asks for a token over an open line would show the password to all. */
static enum gal_status check_realm(const struct gal_registry_shared *s, struct gal_err *err)
{
    bool is_open = strncmp(s->challenge.realm, "https://", 8) != 0;
    char shown[160];
    if (!is_open || strncmp(s->base, "http://", 7) == 0)
        return GAL_OK;
    return gal_fail(err, GAL_FORBIDDEN, "%s: its token server %s is not encrypted", s->ref.host,
                    gal_fetch_shown(s->challenge.realm, shown, sizeof shown));
}

static enum gal_status fetch_token(struct gal_registry *r, bool pushes, struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    struct gal_fetch_response answer;
    struct gal_buf text;
    enum gal_status status = check_realm(s, err);
    if (status)
        return status;
    gal_buf_init(&text, GAL_URL_BYTES_MAX + GAL_TOKEN_BYTES_MAX);
    memset(&answer, 0, sizeof answer);
    if (s->credential.identity_token)
        status = ask_oauth(r, pushes, &text, &answer, err);
    else
        status = ask_plain(r, pushes, &text, &answer, err);
    if (!status && (answer.status == 401 || answer.status == 403 ||
                    (answer.status == 400 && s->credential.identity_token)))
        status = gal_registry_denied(r, err);
    else if (!status && answer.status != 200)
        status =
            gal_fetch_failed(&(struct gal_fetch_request){.url = s->challenge.realm}, &answer, err);
    if (!status)
        status = take_token(s, &answer, err);
    if (!status) {
        s->token_pushes = pushes;
        s->token_turn++;
    }
    gal_fetch_response_release(&answer);
    gal_buf_release(&text);
    return status;
}

/* --- passes --- */

static enum gal_status write_basic(const struct gal_registry_shared *s,
                                   struct gal_registry_pass *out, struct gal_err *err)
{
    struct gal_buf pair, text;
    enum gal_status status = GAL_OK;
    gal_buf_init(&pair, 4096);
    gal_buf_init(&text, sizeof out->header - 1);
    gal_buf_puts(&pair, s->credential.user);
    gal_buf_putc(&pair, ':');
    gal_buf_puts(&pair, s->credential.password ? s->credential.password : "");
    gal_buf_puts(&text, "Basic ");
    gal_base64_put(&text, gal_buf_str(&pair));
    if (pair.failed || text.failed)
        status = gal_fail(err, GAL_TOO_LARGE, "%s: the password is too long", s->ref.host);
    else
        snprintf(out->header, sizeof out->header, "%.*s", GAL_STR_ARG(gal_buf_str(&text)));
    gal_buf_release(&pair);
    gal_buf_release(&text);
    return status;
}

static enum gal_status make_pass(struct gal_registry *r, bool pushes, struct gal_registry_pass *out,
                                 struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    const char *token = s->credential.registry_token;
    enum gal_status status = GAL_OK;
    if (s->challenge.kind == GAL_CHALLENGE_BASIC)
        return s->credential.user ? write_basic(s, out, err) : GAL_OK;
    if (!token && (s->token.n == 0 || (pushes && !s->token_pushes)))
        status = fetch_token(r, pushes, err);
    if (status)
        return status;
    if (!token)
        token = s->token.p;
    if (snprintf(out->header, sizeof out->header, "Bearer %s", token) >= (int)sizeof out->header)
        return gal_fail(err, GAL_TOO_LARGE, "%s: its token is too long", s->ref.host);
    out->turn = s->token_turn;
    return GAL_OK;
}

enum gal_status gal_registry_authorize(struct gal_registry *r, bool pushes,
                                       struct gal_registry_pass *out, struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    enum gal_status status = GAL_OK;
    out->header[0] = '\0';
    out->turn = 0;
    pthread_mutex_lock(&s->lock);
    if (s->challenge.kind != GAL_CHALLENGE_NONE) {
        status = know_credential(s, err);
        if (!status)
            status = make_pass(r, pushes, out, err);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

void gal_registry_refused(struct gal_registry *r, const struct gal_fetch_response *answer,
                          const struct gal_registry_pass *pass)
{
    struct gal_registry_shared *s = r->shared;
    struct gal_challenge wanted = {.kind = GAL_CHALLENGE_NONE};
    for (struct gal_str h = gal_fetch_header(answer, "www-authenticate"); h.p;
         h = gal_fetch_header_next(answer, "www-authenticate", h))
        gal_challenge_parse(h, &wanted);
    pthread_mutex_lock(&s->lock);
    if (wanted.kind != GAL_CHALLENGE_NONE)
        s->challenge = wanted;
    if (pass->turn == s->token_turn)
        gal_buf_clear(&s->token, 0);
    pthread_mutex_unlock(&s->lock);
}

enum gal_status gal_registry_denied(struct gal_registry *r, struct gal_err *err)
{
    const struct gal_registry_shared *s = r->shared;
    const struct gal_credential *c = &s->credential;
    const char *slash = s->ref.repository[0] ? "/" : "";
    if (!c->origin)
        gal_fail(err, GAL_UNAUTHENTICATED,
                 "%s%s%s: not for everybody, and no credentials are known", s->ref.host, slash,
                 s->ref.repository);
    else if (c->user)
        gal_fail(err, GAL_UNAUTHENTICATED, "%s%s%s: the password of %s (from %s) is not accepted",
                 s->ref.host, slash, s->ref.repository, c->user, c->origin);
    else
        gal_fail(err, GAL_UNAUTHENTICATED, "%s%s%s: the token from %s is not accepted", s->ref.host,
                 slash, s->ref.repository, c->origin);
    gal_err_hint(err, "galley login %s", s->ref.host);
    return GAL_UNAUTHENTICATED;
}
