/* SPDX-License-Identifier: Apache-2.0 */
#include "source/url.h"

#include "base/limits.h"
#include "http/url.h"
#include "net/fetch.h"

#include <stdio.h>

#define PART_BYTES_MAX 200u
#define PLACE_PARTS 3u

static const struct {
    const char *prefix;
    enum gal_source_kind kind;
} schemes[] = {
    {"http://", GAL_SOURCE_HTTP},    {"https://", GAL_SOURCE_HTTP}, {"s3://", GAL_SOURCE_S3},
    {"gs://", GAL_SOURCE_GS},        {"az://", GAL_SOURCE_AZURE},   {"oci://", GAL_SOURCE_OCI},
    {"models:/", GAL_SOURCE_MLFLOW},
};

enum gal_source_kind gal_source_kind(struct gal_str text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (gal_str_starts(text, gal_str_of(schemes[i].prefix)))
            return schemes[i].kind;
    }
    return GAL_SOURCE_PATH;
}

static struct gal_str behind(struct gal_str s, size_t n)
{
    return (struct gal_str){s.p + n, s.n - n};
}

static bool is_plain(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    }
    return true;
}

/* --- the fragment --- */

static enum gal_status take_digest(struct gal_source_url *u, struct gal_str fragment,
                                   struct gal_err *err)
{
    struct gal_str prefix = GAL_STR("sha256=");
    struct gal_str hex = gal_str_starts(fragment, prefix) ? behind(fragment, prefix.n) : fragment;
    bool good = hex.n == GAL_SHA256_HEX_SIZE - 1 && hex.p != fragment.p;
    for (size_t i = 0; good && i < hex.n; i++) {
        char c = hex.p[i];
        bool upper = c >= 'A' && c <= 'F';
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || upper;
        u->sha256[i] = upper ? (char)(c - 'A' + 'a') : c;
    }
    u->sha256[good ? hex.n : 0] = '\0';
    if (good)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "'#%.*s' pins nothing", GAL_STR_SHOWN(fragment));
    gal_err_hint(err, "end the URL with #sha256= and 64 hexadecimal digits, or leave it out");
    return GAL_INVALID;
}

static enum gal_status take_fragment(struct gal_source_url *u, struct gal_err *err)
{
    const char *mark = u->text.n ? memchr(u->text.p, '#', u->text.n) : NULL;
    if (!mark)
        return GAL_OK;
    struct gal_str fragment = behind(u->text, (size_t)(mark + 1 - u->text.p));
    u->text.n = (size_t)(mark - u->text.p);
    return take_digest(u, fragment, err);
}

/* --- kinds --- */

static enum gal_status wrong(struct gal_err *err, struct gal_str text, const char *form)
{
    gal_fail(err, GAL_INVALID, "'%.*s' names no source", GAL_STR_SHOWN(text));
    gal_err_hint(err, "it has the form %s", form);
    return GAL_INVALID;
}

/* What is secret in a URL is secret in a wrong one too. */
static enum gal_status wrong_http(struct gal_err *err, struct gal_str text, const char *form)
{
    char url[GAL_URL_BYTES_MAX], shown[GAL_URL_BYTES_MAX];
    snprintf(url, sizeof url, "%.*s", GAL_STR_ARG(text));
    return wrong(err, gal_str_of(gal_fetch_shown(url, shown, sizeof shown)), form);
}

static bool is_host(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= 255;
}

static enum gal_status take_store(struct gal_source_url *u, size_t scheme, const char *form,
                                  struct gal_err *err)
{
    struct gal_str rest = behind(u->text, scheme);
    gal_str_cut(&rest, '/', &u->host);
    if (!is_host(u->host))
        return wrong(err, u->text, form);
    if (u->kind == GAL_SOURCE_AZURE) {
        if (!gal_str_cut(&rest, '/', &u->container) || !is_host(u->container))
            return wrong(err, u->text, form);
    }
    u->key = rest.p ? rest : (struct gal_str){"", 0};
    u->is_prefix = u->key.n == 0 || u->key.p[u->key.n - 1] == '/';
    return u->key.n <= 1024 ? GAL_OK : gal_fail(err, GAL_INVALID, "a key of more than 1024 bytes");
}

static enum gal_status take_http(struct gal_source_url *u, struct gal_err *err)
{
    struct gal_str rest = behind(u->text, gal_str_starts(u->text, GAL_STR("https")) ? 8 : 7), query;
    for (size_t i = 0; i < u->text.n; i++) {
        if (u->text.p[i] == ' ')
            return wrong_http(err, u->text, "https://HOST/PATH with spaces as %20");
    }
    gal_str_cut(&rest, '/', &u->host);
    query = rest;
    if (u->host.n == 0 || !rest.p || !gal_str_cut(&query, '?', &u->key) || u->key.n == 0 ||
        u->key.p[u->key.n - 1] == '/')
        return wrong_http(err, u->text, "https://HOST/PATH/model.onnx");
    return GAL_OK;
}

/* models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS */
static enum gal_status take_mlflow(struct gal_source_url *u, struct gal_err *err)
{
    const char *form = "models:/NAME/VERSION, models:/NAME/STAGE or models:/NAME@ALIAS";
    struct gal_str rest = behind(u->text, 8);
    const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
    const char *at = rest.n ? memrchr(rest.p, '@', rest.n) : NULL;
    const char *cut = slash ? slash : at;
    if (!cut)
        return wrong(err, u->text, form);
    u->key = (struct gal_str){rest.p, (size_t)(cut - rest.p)};
    struct gal_str last = behind(rest, u->key.n + 1);
    *(slash ? &u->version : &u->alias) = last;
    if (u->key.n == 0 || last.n == 0 || memchr(last.p, '/', last.n))
        return wrong(err, u->text, form);
    return GAL_OK;
}

static enum gal_status take_path(struct gal_source_url *u, struct gal_err *err)
{
    const char *mark = u->text.n > 3 ? memmem(u->text.p, u->text.n, "://", 3) : NULL;
    struct gal_str scheme = {u->text.p, mark ? (size_t)(mark - u->text.p) : 0};
    u->key = u->text;
    if (gal_str_starts(u->text, GAL_STR("file:///")))
        u->key = behind(u->text, 7);
    else if (gal_str_starts(u->text, GAL_STR("file:")))
        return wrong(err, u->text, "file:///PATH");
    else if (mark && is_host(scheme)) {
        gal_fail(err, GAL_INVALID, "'%.*s://' is no source galley knows", GAL_STR_SHOWN(scheme));
        gal_err_hint(err,
                     "a path, file://, http://, https://, s3://, gs://, az://, oci:// or models:/");
        return GAL_INVALID;
    }
    return u->key.n ? GAL_OK : gal_fail(err, GAL_INVALID, "an empty path names nothing to serve");
}

enum gal_status gal_source_url_parse(struct gal_str text, struct gal_source_url *out,
                                     struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    *out = (struct gal_source_url){.kind = gal_source_kind(text), .text = text};
    gal_err_clear(err);
    if (text.n > GAL_URL_BYTES_MAX - 1 || !is_plain(text))
        return gal_fail(err, GAL_INVALID,
                        "a source is text of at most %u bytes without control bytes",
                        GAL_URL_BYTES_MAX - 1);
    if (out->kind != GAL_SOURCE_PATH && out->kind != GAL_SOURCE_OCI)
        status = take_fragment(out, err);
    if (status)
        return status;
    switch (out->kind) {
    case GAL_SOURCE_HTTP:
        return take_http(out, err);
    case GAL_SOURCE_S3:
        return take_store(out, 5, "s3://BUCKET/KEY", err);
    case GAL_SOURCE_GS:
        return take_store(out, 5, "gs://BUCKET/OBJECT", err);
    case GAL_SOURCE_AZURE:
        return take_store(out, 5, "az://ACCOUNT/CONTAINER/BLOB", err);
    case GAL_SOURCE_MLFLOW:
        return take_mlflow(out, err);
    case GAL_SOURCE_OCI:
        out->key = behind(text, 6);
        return out->key.n ? GAL_OK : wrong(err, text, "oci://HOST/REPOSITORY:TAG");
    case GAL_SOURCE_PATH:
        break;
    }
    return take_path(out, err);
}

/* --- names of files --- */

bool gal_source_name_safe(struct gal_str path)
{
    struct gal_str rest = path, part;
    if (path.n == 0 || path.n > 1024 || !is_plain(path) || path.p[path.n - 1] == '/')
        return false;
    while (gal_str_cut(&rest, '/', &part)) {
        if (part.n == 0 || part.n > 255 || gal_str_is(part, ".") || gal_str_is(part, ".."))
            return false;
    }
    return true;
}

static void put_part(struct gal_buf *out, struct gal_str part)
{
    size_t n = part.n < PART_BYTES_MAX ? part.n : PART_BYTES_MAX;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)part.p[i];
        bool bad = c < 0x20 || c == 0x7f || c == '\\' || (i == 0 && c == '.');
        gal_buf_putc(out, bad ? '_' : (char)c);
    }
}

void gal_source_place(struct gal_buf *out, struct gal_str key, bool is_dir, struct gal_str fallback)
{
    struct gal_str parts[PLACE_PARTS], rest = key, part;
    size_t count = 0, most = is_dir ? PLACE_PARTS - 1 : PLACE_PARTS;
    while (gal_str_cut(&rest, '/', &part)) {
        if (part.n == 0)
            continue;
        if (count == most) {
            memmove(parts, parts + 1, (most - 1) * sizeof parts[0]);
            count--;
        }
        parts[count++] = part;
    }
    if (count < most) { /* the bucket may be the model's name, or what stands above its version */
        memmove(parts + 1, parts, count * sizeof parts[0]);
        parts[0] = fallback;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            gal_buf_putc(out, '/');
        put_part(out, parts[i]);
    }
}

void gal_source_put_key(struct gal_buf *out, struct gal_str key)
{
    struct gal_str rest = key, part;
    bool first = true;
    while (gal_str_cut(&rest, '/', &part)) {
        if (!first)
            gal_buf_putc(out, '/');
        first = false;
        gal_url_put_segment(out, part);
    }
}
