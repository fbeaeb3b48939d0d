/* SPDX-License-Identifier: Apache-2.0 */
/* Who a request goes to, and what others may see of it. */
#include "net/fetch_internal.h"

#include <stdio.h>

enum gal_status gal_fetch_origin(const struct gal_curl *curl, const char *url,
                                 char out[GAL_ORIGIN_SIZE], struct gal_err *err)
{
    char *scheme = NULL, *host = NULL, *port = NULL, shown[160];
    enum gal_status status = GAL_OK;
    CURLU *u = curl->url();
    if (!u)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    CURLUcode code = strlen(url) < GAL_URL_BYTES_MAX
                         ? curl->url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
                         : CURLUE_MALFORMED_INPUT;
    if (!code)
        code = curl->url_get(u, CURLUPART_SCHEME, &scheme, 0);
    if (!code)
        code = curl->url_get(u, CURLUPART_HOST, &host, 0);
    if (!code && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        code = CURLUE_UNSUPPORTED_SCHEME;
    if (!code)
        code = curl->url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (code || strlen(host) > 255) {
        status = gal_fail(err, GAL_INVALID, "%s: not a URL of http or https",
                          gal_fetch_shown(url, shown, sizeof shown));
        gal_err_hint(err, "as in https://host/path, with %%20 for spaces");
    } else {
        snprintf(out, GAL_ORIGIN_SIZE, "%s://%s:%s", scheme, host, port);
    }
    curl->free(scheme);
    curl->free(host);
    curl->free(port);
    curl->url_cleanup(u);
    return status;
}

bool gal_fetch_header_travels(const char *name)
{
    static const char *const prefixes[] = {"accept", "content-", "if-"};
    struct gal_str s = gal_str_of(name);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        struct gal_str prefix = gal_str_of(prefixes[i]);
        if (s.n >= prefix.n && gal_str_ieq((struct gal_str){s.p, prefix.n}, prefix))
            return true;
    }
    return gal_str_ieq(s, GAL_STR("range"));
}

enum gal_status gal_fetch_check_headers(const struct gal_fetch_request *q, struct gal_err *err)
{
    for (size_t i = 0; i < q->header_count; i++) {
        if (q->headers[i].name[0] == '\0' || strpbrk(q->headers[i].name, ":\r\n ") ||
            strpbrk(q->headers[i].value, "\r\n"))
            return gal_fail(err, GAL_INVALID, "a header of the request holds a line break");
    }
    return GAL_OK;
}

char *gal_fetch_shown(const char *url, char *out, size_t size)
{
    const char *authority = strstr(url, "://");
    size_t scheme = authority ? (size_t)(authority - url) + 3 : 0;
    size_t n = strcspn(url, "?#"), host;
    scheme = scheme <= n ? scheme : 0;
    host = scheme + strcspn(url + scheme, "/?#");
    for (size_t i = host; i > scheme; i--) {
        if (url[i - 1] == '@') {
            snprintf(out, size, "%.*s%.*s", (int)scheme, url, (int)(n - i), url + i);
            return out;
        }
    }
    snprintf(out, size, "%.*s", (int)n, url);
    return out;
}

enum gal_status gal_fetch_resolve(const struct gal_fetcher *f, const char *base,
                                  const char *location, char *out, size_t size, struct gal_err *err)
{
    const struct gal_curl *curl = f->curl;
    char *url = NULL, shown[160];
    CURLU *u = curl->url();
    if (!u)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    CURLUcode code = curl->url_set(u, CURLUPART_URL, base, 0);
    if (!code)
        code = curl->url_set(u, CURLUPART_URL, location, 0);
    if (!code)
        code = curl->url_get(u, CURLUPART_URL, &url, 0);
    bool fits = !code && snprintf(out, size, "%s", url) < (int)size;
    curl->free(url);
    curl->url_cleanup(u);
    if (fits)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "%s: not a place to go on from %s",
                    gal_fetch_shown(location, shown, 80), base);
}

bool gal_fetch_same_origin(const struct gal_fetcher *f, const char *a, const char *b)
{
    char one[GAL_ORIGIN_SIZE], other[GAL_ORIGIN_SIZE];
    return gal_fetch_origin(f->curl, a, one, NULL) == GAL_OK &&
           gal_fetch_origin(f->curl, b, other, NULL) == GAL_OK && strcmp(one, other) == 0;
}
