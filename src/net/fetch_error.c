/* SPDX-License-Identifier: Apache-2.0 */
/* What is said when there was no answer, or not the one that was wanted. */
#include "net/fetch_internal.h"

#include <stdio.h>

#define WORDS_SHOWN 160

static const struct reason {
    int http;
    enum gal_status status;
    const char *text;
} reasons[] = {
    {301, GAL_UNAVAILABLE, "Moved Permanently"},
    {302, GAL_UNAVAILABLE, "Found"},
    {303, GAL_UNAVAILABLE, "See Other"},
    {304, GAL_UNAVAILABLE, "Not Modified"},
    {307, GAL_UNAVAILABLE, "Temporary Redirect"},
    {308, GAL_UNAVAILABLE, "Permanent Redirect"},
    {400, GAL_INVALID, "Bad Request"},
    {401, GAL_UNAUTHENTICATED, "Unauthorized"},
    {403, GAL_FORBIDDEN, "Forbidden"},
    {404, GAL_NOT_FOUND, "Not Found"},
    {405, GAL_UNSUPPORTED, "Method Not Allowed"},
    {407, GAL_UNAUTHENTICATED, "Proxy Authentication Required"},
    {408, GAL_DEADLINE, "Request Timeout"},
    {409, GAL_CONFLICT, "Conflict"},
    {410, GAL_NOT_FOUND, "Gone"},
    {412, GAL_CONFLICT, "Precondition Failed"},
    {413, GAL_TOO_LARGE, "Content Too Large"},
    {416, GAL_INVALID, "Range Not Satisfiable"},
    {429, GAL_OVERLOADED, "Too Many Requests"},
    {500, GAL_UNAVAILABLE, "Internal Server Error"},
    {501, GAL_UNSUPPORTED, "Not Implemented"},
    {502, GAL_UNAVAILABLE, "Bad Gateway"},
    {503, GAL_UNAVAILABLE, "Service Unavailable"},
    {504, GAL_DEADLINE, "Gateway Timeout"},
};

static const struct reason *reason_of(int http)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].http == http)
            return &reasons[i];
    }
    return NULL;
}

enum gal_status gal_fetch_status(int http_status)
{
    const struct reason *r = reason_of(http_status);
    if (r)
        return r->status;
    if (http_status >= 200 && http_status < 300)
        return GAL_OK;
    return http_status >= 400 && http_status < 500 ? GAL_INVALID : GAL_UNAVAILABLE;
}

/* The start of a body that people can read, on one line; empty when it is a page or no text. */
static void words_of(const struct gal_fetch_response *r, char out[WORDS_SHOWN + 1])
{
    struct gal_str body = gal_str_trim(gal_buf_str(&r->body));
    struct gal_str type = gal_fetch_header(r, "content-type");
    size_t n = 0;
    out[0] = '\0';
    if (type.n && memmem(type.p, type.n, "html", 4))
        return;
    for (size_t i = 0; i < body.n;) {
        size_t bytes = gal_utf8_next(body.p + i, body.n - i);
        if (bytes == 0 || n + bytes > WORDS_SHOWN)
            break;
        if (bytes == 1 && ((unsigned char)body.p[i] < 0x20 || body.p[i] == 0x7f))
            out[n++] = ' ';
        else
            for (size_t j = 0; j < bytes; j++)
                out[n++] = body.p[i + j];
        i += bytes;
    }
    out[n] = '\0';
}

enum gal_status gal_fetch_failed(const struct gal_fetch_request *request,
                                 const struct gal_fetch_response *r, struct gal_err *err)
{
    const struct reason *reason = reason_of(r->status);
    char shown[160], words[WORDS_SHOWN + 1];
    enum gal_status status = gal_fetch_status(r->status);
    words_of(r, words);
    return gal_fail(err, status == GAL_OK ? GAL_UNAVAILABLE : status, "%s %s: %d%s%s%s%s",
                    request->method ? request->method : "GET",
                    gal_fetch_shown(r->url[0] ? r->url : request->url, shown, sizeof shown),
                    r->status, reason ? " " : "", reason ? reason->text : "", words[0] ? ": " : "",
                    words);
}

/* What to do about it, where that is known. */
static void put_hint(struct gal_err *err, CURLcode code, const char *why)
{
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        gal_err_hint(err, "its certificate is not trusted here; SSL_CERT_FILE=FILE names the "
                          "authority's (PEM)");
    else if (code == CURLE_SSL_CACERT_BADFILE)
        gal_err_hint(err, "the file of trusted certificates has to be PEM");
    else if (code == CURLE_SSL_CONNECT_ERROR && strstr(why, "wrong version number"))
        gal_err_hint(err, "the other side speaks no TLS on that port");
}

enum gal_status gal_fetch_no_answer(struct gal_fetch_run *r)
{
    const char *why = r->f->error[0] ? r->f->error : r->f->curl->easy_strerror(r->code);
    char shown[160];
    enum gal_status status = r->code == CURLE_OPERATION_TIMEDOUT ? GAL_DEADLINE
                             : r->code == CURLE_OUT_OF_MEMORY    ? GAL_NO_MEMORY
                             : r->code == CURLE_URL_MALFORMAT    ? GAL_INVALID
                                                                 : GAL_UNAVAILABLE;
    gal_fail(r->err, status, "%s %s: %s", r->method,
             gal_fetch_shown(r->out->url, shown, sizeof shown), why);
    if (r->err)
        put_hint(r->err, r->code, why);
    return status;
}

bool gal_content_range_parse(struct gal_str text, uint64_t *first, uint64_t *size)
{
    struct gal_str unit, range, from;
    text = gal_str_trim(text);
    *first = *size = 0;
    if (!gal_str_cut(&text, ' ', &unit) || !gal_str_ieq(unit, GAL_STR("bytes")) ||
        !gal_str_cut(&text, '/', &range) || text.p == NULL)
        return false;
    if (!gal_str_is(text, "*") && gal_str_u64(text, size) != GAL_OK)
        return false;
    if (gal_str_is(range, "*"))
        return true;
    return gal_str_cut(&range, '-', &from) && gal_str_u64(from, first) == GAL_OK;
}
