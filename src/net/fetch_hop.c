/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with one server, by libcurl's multi interface: between its steps the caller's stop
 * flag, progress and stalls are looked at. */
#include "net/fetch_internal.h"

#include <stdio.h>

#define POLL_MS 100
#define PROGRESS_US 200000u
#define STALL_RATE 1024u     /* bytes a second */
#define ANSWER_PATIENCE 10u  /* times the stall limit, when all was sent */
#define BUFFER_BYTES 524288L /* the most that libcurl takes: fewer calls */

bool gal_fetch_stopped(const struct gal_fetcher *f)
{
    return (f->options.stop && atomic_load(f->options.stop)) ||
           (f->options.also_stop && atomic_load(f->options.also_stop));
}

void gal_fetch_tell(struct gal_fetch_run *r)
{
    const struct gal_fetch_request *q = r->q;
    uint64_t received = r->next > q->range_first ? r->next - q->range_first : 0;
    if (!q->on_progress)
        return;
    if (r->has_body && r->body_total > 0) /* what comes back is not of interest */
        q->on_progress(r->sent, r->body_total, q->ctx);
    else if (r->out->status < 300)
        q->on_progress(q->on_piece ? received : r->out->body.n, r->total, q->ctx);
}

/* --- what is asked --- */

static bool add_header(struct gal_fetch_run *r, struct curl_slist **list, const char *name,
                       const char *value)
{
    char line[GAL_URL_BYTES_MAX]; /* tokens are as long as URLs */
    int n = snprintf(line, sizeof line, value[0] ? "%s: %s" : "%s;", name, value);
    struct curl_slist *more = n < (int)sizeof line ? r->f->curl->slist_append(*list, line) : NULL;
    *list = more ? more : *list;
    return more != NULL;
}

/* Which part of the resource: what the caller wants of it, less what has arrived. */
static bool add_range(struct gal_fetch_run *r, struct curl_slist **list)
{
    const struct gal_fetch_request *q = r->q;
    bool resumes = r->next > q->range_first;
    char range[64];
    if (q->range_first == 0 && q->range_bytes == 0 && !resumes)
        return true;
    if (q->range_bytes)
        snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)r->next,
                 (unsigned long long)(q->range_first + q->range_bytes - 1));
    else
        snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)r->next);
    return add_header(r, list, "Range", range) &&
           (!resumes || !r->validator[0] || add_header(r, list, "If-Range", r->validator));
}

static enum gal_status make_headers(struct gal_fetch_run *r, struct curl_slist **list)
{
    const struct gal_fetch_request *q = r->q;
    bool fits = add_range(r, list);
    for (size_t i = 0; i < q->header_count && fits; i++) {
        bool is_for_body = gal_str_starts(gal_str_of(q->headers[i].name), GAL_STR("Content-"));
        if ((r->same_origin || gal_fetch_header_travels(q->headers[i].name)) &&
            (r->has_body || !is_for_body))
            fits = add_header(r, list, q->headers[i].name, q->headers[i].value);
    }
    return fits ? GAL_OK : gal_fail(r->err, GAL_TOO_LARGE, "a header of the request is too long");
}

static CURLcode set_body(struct gal_fetch_run *r)
{
    const struct gal_curl *curl = r->f->curl;
    CURL *e = r->f->easy;
    CURLcode c = CURLE_OK;
    if (r->has_body) {
        c |= curl->easy_setopt(e, CURLOPT_UPLOAD, 1L);
        c |= curl->easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_total);
        c |= curl->easy_setopt(e, CURLOPT_READFUNCTION, gal_fetch_on_read);
        c |= curl->easy_setopt(e, CURLOPT_READDATA, r);
        c |= curl->easy_setopt(e, CURLOPT_SEEKFUNCTION, gal_fetch_on_seek);
        c |= curl->easy_setopt(e, CURLOPT_SEEKDATA, r);
    }
    if (strcmp(r->method, "HEAD") == 0)
        c |= curl->easy_setopt(e, CURLOPT_NOBODY, 1L);
    else if (r->has_body || strcmp(r->method, "GET") != 0)
        c |= curl->easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
    return c;
}

static CURLcode set_trust(struct gal_fetch_run *r)
{
    const struct gal_curl *curl = r->f->curl;
    const struct gal_fetch_options *o = &r->f->options;
    const struct gal_fetch_request *q = r->q;
    CURL *e = r->f->easy;
    CURLcode c = CURLE_OK;
    if (o->ca_file)
        c |= curl->easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
    if (r->f->ca_dir)
        c |= curl->easy_setopt(e, CURLOPT_CAPATH, r->f->ca_dir);
    if (o->insecure) {
        c |= curl->easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        c |= curl->easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (q->user && r->same_origin) {
        c |= curl->easy_setopt(e, CURLOPT_USERNAME, q->user);
        c |= curl->easy_setopt(e, CURLOPT_PASSWORD, q->password ? q->password : "");
        if (q->sigv4)
            c |= curl->easy_setopt(e, CURLOPT_AWS_SIGV4, q->sigv4);
        else
            c |= curl->easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    }
    return c;
}

static enum gal_status set_up(struct gal_fetch_run *r, const struct curl_slist *headers)
{
    const struct gal_curl *curl = r->f->curl;
    const struct gal_fetch_options *o = &r->f->options;
    CURL *e = r->f->easy;
    CURLcode c = CURLE_OK;
    curl->easy_reset(e);
    r->f->error[0] = '\0';
    c |= curl->easy_setopt(e, CURLOPT_ERRORBUFFER, r->f->error);
    c |= curl->easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    c |= curl->easy_setopt(e, CURLOPT_URL, r->out->url);
    c |= curl->easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* what is signed is what is sent */
    c |= curl->easy_setopt(e, CURLOPT_USERAGENT, o->user_agent);
    c |= curl->easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    c |= curl->easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    c |= curl->easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(o->connect_timeout_us / 1000));
    c |= curl->easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    c |= curl->easy_setopt(e, CURLOPT_HEADERFUNCTION, gal_fetch_on_head);
    c |= curl->easy_setopt(e, CURLOPT_HEADERDATA, r);
    c |= curl->easy_setopt(e, CURLOPT_WRITEFUNCTION, gal_fetch_on_body);
    c |= curl->easy_setopt(e, CURLOPT_WRITEDATA, r);
    c |= set_body(r);
    c |= set_trust(r);
    /* Refused by some versions in the try behind one that reached nobody: then as it is. */
    (void)curl->easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    (void)curl->easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
    return c == CURLE_OK ? GAL_OK
                         : gal_fail(r->err, GAL_UNAVAILABLE, "libcurl refuses its options");
}

/* --- what happens --- */

/* Between two steps. False: the exchange is over, r->failed says why. */
static bool watch(struct gal_fetch_run *r)
{
    const struct gal_fetch_options *o = &r->f->options;
    uint64_t now_us = gal_mono_us(o->clock), limit_us = o->stall_timeout_us;
    char shown[160];
    if (gal_fetch_stopped(r->f)) {
        r->failed = gal_fail(r->err, GAL_CANCELLED, "%s %s: cancelled", r->method,
                             gal_fetch_shown(r->out->url, shown, sizeof shown));
        return false;
    }
    if (now_us - r->shown_us >= PROGRESS_US) {
        r->shown_us = now_us;
        gal_fetch_tell(r);
    }
    if (r->body_total > 0 && r->sent == r->body_total && !r->begun)
        limit_us *= ANSWER_PATIENCE;
    if (now_us - r->mark_us < limit_us)
        return true;
    if (r->moved - r->mark_moved < limit_us / 1000000 * STALL_RATE) {
        r->failed =
            gal_fail(r->err, GAL_DEADLINE, "%s %s: fewer than %u bytes a second moved for %llu s",
                     r->method, gal_fetch_shown(r->out->url, shown, sizeof shown), STALL_RATE,
                     (unsigned long long)(limit_us / 1000000));
        return false;
    }
    r->mark_us = now_us;
    r->mark_moved = r->moved;
    return true;
}

static void drive(struct gal_fetch_run *r)
{
    const struct gal_curl *curl = r->f->curl;
    int running = 1, left = 0;
    r->code = CURLE_FAILED_INIT;
    if (curl->multi_add_handle(r->f->multi, r->f->easy) != CURLM_OK)
        return;
    while (running && watch(r)) {
        if (curl->multi_perform(r->f->multi, &running) != CURLM_OK ||
            (running && curl->multi_poll(r->f->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK))
            break;
    }
    for (const CURLMsg *m; (m = curl->multi_info_read(r->f->multi, &left));) {
        if (m->msg == CURLMSG_DONE)
            r->code = m->data.result;
    }
    curl->multi_remove_handle(r->f->multi, r->f->easy);
}

enum gal_status gal_fetch_hop(struct gal_fetch_run *r)
{
    const struct gal_curl *curl = r->f->curl;
    struct curl_slist *headers = NULL;
    long http = 0;
    r->begun = r->cut = r->piece_failed = false;
    r->sent = r->moved = r->mark_moved = 0;
    r->mark_us = gal_mono_us(r->f->options.clock);
    r->code = CURLE_OK;
    r->out->status = 0;
    gal_buf_clear(&r->out->head, GAL_FETCH_HEAD_BYTES_MAX);
    gal_buf_clear(&r->out->body, GAL_FETCH_WORDS_BYTES_MAX);
    r->failed = make_headers(r, &headers);
    if (!r->failed)
        r->failed = set_up(r, headers);
    if (!r->failed)
        drive(r);
    /* The list is libcurl's as long as the handle names it. */
    curl->easy_setopt(r->f->easy, CURLOPT_HTTPHEADER, NULL);
    curl->slist_free_all(headers);
    if (r->failed)
        return r->failed;
    curl->easy_getinfo(r->f->easy, CURLINFO_RESPONSE_CODE, &http);
    if (r->code == CURLE_OK || r->cut) {
        r->out->status = (int)http;
        return GAL_OK;
    }
    /* A server that refuses a body before it has all of it, and hangs up: its answer counts. */
    if (http >= 300 && r->code != CURLE_PARTIAL_FILE && r->has_body) {
        r->out->status = (int)http;
        return GAL_OK;
    }
    return gal_fetch_no_answer(r);
}
