/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fetch.h"

#include "base/digest.h"
#include "base/mem.h"
#include "net/fetch_internal.h"
#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_US 10000000u
#define STALL_TIMEOUT_US 30000000u
#define FIRST_WAIT_US 500000u
#define WAIT_PIECE_MS 100u
#define GETS_ON_BYTES (1u << 20) /* a try that moved so much does not count */

/* --- the fetcher --- */

static void fill_defaults(struct gal_fetch_options *o)
{
    o->connect_timeout_us = o->connect_timeout_us ? o->connect_timeout_us : CONNECT_TIMEOUT_US;
    o->stall_timeout_us = o->stall_timeout_us ? o->stall_timeout_us : STALL_TIMEOUT_US;
    o->tries = o->tries ? o->tries : GAL_FETCH_TRIES;
    o->tries = o->tries < GAL_FETCH_TRIES_MAX ? o->tries : GAL_FETCH_TRIES_MAX;
    o->clock = o->clock ? o->clock : &gal_clock_system;
}

/* Who is trusted when the options do not say, as curl's own program finds it; the library looks at
 * none of these. */
static void environment_trust(const char **file, const char **dir)
{
    const char *bundle = getenv("CURL_CA_BUNDLE");
    *dir = NULL;
    *file = bundle && bundle[0] ? bundle : NULL;
    if (*file)
        return;
    *file = getenv("SSL_CERT_FILE");
    *dir = getenv("SSL_CERT_DIR");
    *file = *file && (*file)[0] ? *file : NULL;
    *dir = *dir && (*dir)[0] ? *dir : NULL;
}

enum gal_status gal_fetcher_new(const struct gal_fetch_options *options, struct gal_fetcher **out,
                                struct gal_err *err)
{
    const struct gal_curl *curl;
    const char *file = options->ca_file, *dir = NULL;
    struct gal_rng rng;
    *out = NULL;
    gal_err_clear(err);
    enum gal_status status = gal_curl_open(&curl, err);
    if (status)
        return status;
    struct gal_fetcher *f = gal_calloc(1, sizeof *f);
    if (!f)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    f->curl = curl;
    f->options = *options;
    fill_defaults(&f->options);
    f->options.user_agent =
        gal_strdup(options->user_agent ? options->user_agent : "galley/" GAL_VERSION);
    if (!file)
        environment_trust(&file, &dir);
    f->options.ca_file = file ? gal_strdup(file) : NULL;
    f->ca_dir = dir ? gal_strdup(dir) : NULL;
    f->easy = curl->easy_init();
    f->multi = curl->multi_init();
    gal_rng_seed(&rng);
    f->jitter = gal_rng_next(&rng);
    if (!f->options.user_agent || (file && !f->options.ca_file) || (dir && !f->ca_dir) ||
        !f->easy || !f->multi) {
        gal_fetcher_free(f);
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    *out = f;
    return GAL_OK;
}

void gal_fetcher_free(struct gal_fetcher *f)
{
    if (!f)
        return;
    f->curl->easy_cleanup(f->easy);
    f->curl->multi_cleanup(f->multi);
    gal_free((char *)f->options.user_agent);
    gal_free((char *)f->options.ca_file);
    gal_free(f->ca_dir);
    gal_free(f);
}

/* --- answers --- */

void gal_fetch_response_release(struct gal_fetch_response *r)
{
    gal_buf_release(&r->head);
    gal_buf_release(&r->body);
}

static struct gal_str find_header(struct gal_str rest, const char *name)
{
    struct gal_str line, key;
    while (gal_str_cut(&rest, '\n', &line)) {
        if (gal_str_cut(&line, ':', &key) && line.p && gal_str_ieq(key, gal_str_of(name)))
            return gal_str_trim(line);
    }
    return (struct gal_str){NULL, 0};
}

struct gal_str gal_fetch_header(const struct gal_fetch_response *r, const char *name)
{
    return find_header(gal_buf_str(&r->head), name);
}

struct gal_str gal_fetch_header_next(const struct gal_fetch_response *r, const char *name,
                                     struct gal_str after)
{
    const char *from = after.p ? after.p + after.n : r->head.p + r->head.n;
    return find_header((struct gal_str){from, (size_t)(r->head.p + r->head.n - from)}, name);
}

/* --- one try: hops until there is an answer that is no redirect --- */

static bool is_redirect(int http)
{
    return http == 301 || http == 302 || http == 303 || http == 307 || http == 308;
}

/* The next hop's URL and method; false when the answer names none. */
static enum gal_status follow(struct gal_fetch_run *r, const char *location)
{
    char origin[GAL_ORIGIN_SIZE], shown[160];
    int http = r->out->status;
    enum gal_status status = gal_fetch_origin(r->f->curl, location, origin, r->err);
    if (status)
        return status;
    if (strncmp(r->origin, "https:", 6) == 0 && strncmp(origin, "http:", 5) == 0)
        return gal_fail(r->err, GAL_FORBIDDEN, "%s: redirects to %s, which is not encrypted",
                        gal_fetch_shown(r->out->url, shown, sizeof shown), origin);
    if (http == 303 || (http < 303 && strcmp(r->method, "POST") == 0)) {
        r->method = strcmp(r->method, "HEAD") == 0 ? "HEAD" : "GET";
        r->has_body = false;
    }
    snprintf(r->out->url, sizeof r->out->url, "%s", location);
    memcpy(r->origin, origin, sizeof r->origin);
    r->same_origin = r->same_origin && strcmp(origin, r->first_origin) == 0;
    return GAL_OK;
}

static enum gal_status one_try(struct gal_fetch_run *r)
{
    char shown[160];
    if (!r->validator[0] && !r->q->immutable) /* what comes now may be something else */
        r->next = r->q->range_first;
    r->method = r->first_method;
    r->has_body = r->q->body.p || r->q->body_from_fd || strcmp(r->method, "POST") == 0 ||
                  strcmp(r->method, "PUT") == 0 || strcmp(r->method, "PATCH") == 0;
    r->same_origin = true;
    memcpy(r->origin, r->first_origin, sizeof r->origin);
    snprintf(r->out->url, sizeof r->out->url, "%s", r->q->url);
    for (unsigned hops = 0;; hops++) {
        const char *location = NULL;
        enum gal_status status = gal_fetch_hop(r);
        if (status || r->q->no_redirects || !is_redirect(r->out->status))
            return status;
        r->f->curl->easy_getinfo(r->f->easy, CURLINFO_REDIRECT_URL, &location);
        if (!location)
            return GAL_OK;
        if (hops == GAL_FETCH_REDIRECTS_MAX)
            status =
                gal_fail(r->err, GAL_UNAVAILABLE, "%s: redirects more than %u times",
                         gal_fetch_shown(r->q->url, shown, sizeof shown), GAL_FETCH_REDIRECTS_MAX);
        else
            status = follow(r, location);
        if (status)
            return r->failed = status;
    }
}

/* --- tries --- */

/* Could the next try end otherwise? */
static bool is_transient(const struct gal_fetch_run *r, enum gal_status status)
{
    int http = r->out->status;
    if (r->failed)
        return !r->piece_failed && (r->failed == GAL_DEADLINE || r->failed == GAL_CONFLICT);
    if (status == GAL_OK)
        return http == 429 || http == 500 || (http >= 502 && http <= 504);
    return r->code != CURLE_PEER_FAILED_VERIFICATION && r->code != CURLE_SSL_CACERT_BADFILE &&
           r->code != CURLE_URL_MALFORMAT && r->code != CURLE_OUT_OF_MEMORY &&
           r->code != CURLE_COULDNT_RESOLVE_PROXY;
}

/* How long until the next try; false: the server wants more patience than we have. */
static bool wait_of(struct gal_fetch_run *r, enum gal_status status, unsigned tried, uint64_t *us)
{
    curl_off_t seconds = 0;
    uint64_t jitter = r->f->jitter = r->f->jitter * 6364136223846793005u + 1442695040888963407u;
    *us = (uint64_t)FIRST_WAIT_US << (tried - 1 < 10 ? tried - 1 : 10);
    *us += (jitter >> 33) % (*us / 4);
    if (status == GAL_OK)
        r->f->curl->easy_getinfo(r->f->easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > (curl_off_t)(GAL_FETCH_RETRY_AFTER_US_MAX / 1000000))
        return false;
    if (seconds > 0)
        *us = (uint64_t)seconds * 1000000;
    return *us <= GAL_FETCH_RETRY_AFTER_US_MAX;
}

/* In pieces, so that who stops is not kept waiting. */
static enum gal_status wait_for(struct gal_fetch_run *r, uint64_t us)
{
    const struct gal_clock *clock = r->f->options.clock;
    uint64_t begin = gal_mono_us(clock);
    for (uint64_t gone = 0; gone < us; gone = gal_mono_us(clock) - begin) {
        uint64_t left_ms = (us - gone) / 1000 + 1;
        if (gal_fetch_stopped(r->f))
            return gal_fail(r->err, GAL_CANCELLED, "cancelled");
        r->f->curl->multi_poll(r->f->multi, NULL, 0,
                               (int)(left_ms < WAIT_PIECE_MS ? left_ms : WAIT_PIECE_MS), NULL);
    }
    return GAL_OK;
}

/* The last bytes had arrived although the end of the answer had not: nothing is left to ask for. */
static void take_whole(struct gal_fetch_run *r)
{
    uint64_t first, size;
    const struct gal_fetch_request *q = r->q;
    if (q->on_piece && r->out->status == 416 && r->next > q->range_first &&
        gal_content_range_parse(gal_fetch_header(r->out, "content-range"), &first, &size) &&
        size == r->next) {
        r->out->status = 206;
        gal_buf_clear(&r->out->body, 0);
    }
    /* That it came in parts is our own doing. */
    if (r->out->status == 206 && q->range_first == 0 && q->range_bytes == 0)
        r->out->status = 200;
}

static enum gal_status all_tries(struct gal_fetch_run *r)
{
    unsigned tried = 0;
    for (;;) {
        uint64_t before = r->next, us;
        enum gal_status status = one_try(r);
        r->out->tries++;
        if (r->next > before && r->next - before >= GETS_ON_BYTES)
            tried = 0;
        if (r->q->no_retry || !is_transient(r, status) || ++tried >= r->f->options.tries ||
            !wait_of(r, status, tried, &us))
            return status;
        status = wait_for(r, us);
        if (status)
            return status;
    }
}

enum gal_status gal_fetch(struct gal_fetcher *f, const struct gal_fetch_request *request,
                          struct gal_fetch_response *out, struct gal_err *err)
{
    size_t most = request->body_max ? request->body_max : GAL_FETCH_BODY_BYTES_MAX;
    struct gal_fetch_run r = {.f = f,
                              .q = request,
                              .out = out,
                              .next = request->range_first,
                              .first_method = request->method ? request->method : "GET",
                              .body_total = request->body.p         ? request->body.n
                                            : request->body_from_fd ? request->body_bytes
                                                                    : 0,
                              .err = err};
    enum gal_status status;
    gal_err_clear(err);
    memset(out, 0, sizeof *out);
    gal_buf_init(&out->head, GAL_FETCH_HEAD_BYTES_MAX);
    gal_buf_init(&out->body, most > GAL_FETCH_WORDS_BYTES_MAX ? most : GAL_FETCH_WORDS_BYTES_MAX);
    status = gal_fetch_check_headers(request, err);
    if (!status)
        status = gal_fetch_origin(f->curl, request->url, r.first_origin, err);
    if (status)
        return status;
    status = all_tries(&r);
    if (status)
        return status;
    gal_err_clear(err); /* of tries before the last */
    take_whole(&r);
    gal_fetch_tell(&r);
    if (!request->on_piece)
        out->bytes = out->body.n;
    return GAL_OK;
}
