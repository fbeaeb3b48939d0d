/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's callbacks: heads and bodies that come, bodies that go. One that fails says so in
 * r->failed and returns what makes libcurl end the exchange. */
#include "net/fetch_internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static bool is_success(const struct gal_fetch_run *r)
{
    return r->out->status >= 200 && r->out->status < 300;
}

size_t gal_fetch_on_head(char *p, size_t one, size_t n, void *ctx)
{
    struct gal_fetch_run *r = ctx;
    struct gal_buf *head = &r->out->head;
    struct gal_str rest = gal_str_trim((struct gal_str){p, one * n}), name;
    if (gal_str_starts(rest, GAL_STR("HTTP/"))) { /* interim answers have heads too */
        gal_buf_clear(head, GAL_FETCH_HEAD_BYTES_MAX);
        return one * n;
    }
    if (rest.n == 0 || !gal_str_cut(&rest, ':', &name) || rest.p == NULL)
        return one * n;
    gal_buf_put_str(head, gal_str_trim(name));
    gal_buf_puts(head, ": ");
    gal_buf_put_str(head, gal_str_trim(rest));
    gal_buf_putc(head, '\n');
    if (!head->failed)
        return one * n;
    r->failed = gal_fail(r->err, head->starved ? GAL_NO_MEMORY : GAL_TOO_LARGE,
                         "%s: the answer's head is larger than %u bytes", r->origin,
                         GAL_FETCH_HEAD_BYTES_MAX);
    return 0;
}

/* What tells this content from a later one, byte for byte: a strong ETag, or a date. */
static struct gal_str validator_of(const struct gal_fetch_run *r)
{
    struct gal_str tag = gal_fetch_header(r->out, "etag");
    if (tag.n == 0 || gal_str_starts(tag, GAL_STR("W/")))
        tag = gal_fetch_header(r->out, "last-modified");
    return tag.n < sizeof r->validator ? tag : (struct gal_str){NULL, 0};
}

/* An answer of part of the resource has to be of the part that was asked for, of what the parts
 * before it were of. */
static bool check_range(struct gal_fetch_run *r)
{
    struct gal_str text = gal_fetch_header(r->out, "content-range"), tag = validator_of(r);
    uint64_t first, size;
    char shown[160];
    if (!gal_content_range_parse(text, &first, &size) || first != r->next) {
        r->failed = gal_fail(r->err, GAL_INVALID,
                             "%s: bytes from %llu on were asked for, \"%.*s\" were answered",
                             gal_fetch_shown(r->out->url, shown, sizeof shown),
                             (unsigned long long)r->next, GAL_STR_SHOWN(text));
        return false;
    }
    if ((r->validator[0] && tag.n && !gal_str_is(tag, r->validator)) ||
        (r->size && size && size != r->size)) {
        r->validator[0] = '\0';
        r->size = 0;
        r->next = r->q->range_first;
        r->failed = gal_fail(r->err, GAL_CONFLICT, "%s: changed while it was fetched",
                             gal_fetch_shown(r->out->url, shown, sizeof shown));
        return false;
    }
    r->size = size;
    return true;
}

/* The first byte of a body: the head is known. */
static bool begin_body(struct gal_fetch_run *r)
{
    const struct gal_curl *curl = r->f->curl;
    long http = 0;
    curl_off_t length = -1;
    curl->easy_getinfo(r->f->easy, CURLINFO_RESPONSE_CODE, &http);
    curl->easy_getinfo(r->f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    r->out->status = (int)http;
    r->begun = true;
    gal_buf_clear(&r->out->body, GAL_FETCH_WORDS_BYTES_MAX);
    r->total = 0;
    if (!is_success(r))
        return true;
    if (http == 206 && !check_range(r))
        return false;
    if (http != 206)
        r->next = 0;
    if (length >= 0)
        r->total = (uint64_t)length + (http == 206 ? r->next - r->q->range_first : 0);
    struct gal_str tag = validator_of(r);
    snprintf(r->validator, sizeof r->validator, "%.*s", GAL_STR_ARG(tag));
    return true;
}

/* Into memory, as far as it may go. */
static bool keep(struct gal_fetch_run *r, struct gal_str piece)
{
    struct gal_buf *body = &r->out->body;
    size_t most = r->q->body_max ? r->q->body_max : GAL_FETCH_BODY_BYTES_MAX;
    char shown[160];
    if (!is_success(r)) {
        size_t room = GAL_FETCH_WORDS_BYTES_MAX - body->n;
        r->cut = piece.n > room;
        gal_buf_put(body, piece.p, piece.n < room ? piece.n : room);
        return !r->cut;
    }
    if (piece.n > most - body->n)
        r->failed = gal_fail(r->err, GAL_TOO_LARGE, "%s: the answer is larger than %zu bytes",
                             gal_fetch_shown(r->out->url, shown, sizeof shown), most);
    else
        gal_buf_put(body, piece.p, piece.n);
    if (!r->failed && body->failed)
        r->failed = gal_fail(r->err, GAL_NO_MEMORY, "out of memory");
    return !r->failed;
}

size_t gal_fetch_on_body(char *p, size_t one, size_t n, void *ctx)
{
    struct gal_fetch_run *r = ctx;
    struct gal_str piece = {p, one * n};
    if (piece.n == 0)
        return 0;
    if (!r->begun && !begin_body(r))
        return 0;
    r->moved += piece.n;
    if (!is_success(r) || !r->q->on_piece)
        return keep(r, piece) ? piece.n : 0;
    r->out->bytes += piece.n;
    r->failed = r->q->on_piece(r->next, piece, r->q->ctx);
    r->piece_failed = r->failed != GAL_OK;
    if (r->failed)
        return 0;
    r->next += piece.n;
    return piece.n;
}

size_t gal_fetch_on_read(char *p, size_t one, size_t n, void *ctx)
{
    struct gal_fetch_run *r = ctx;
    const struct gal_fetch_request *q = r->q;
    uint64_t left = r->body_total - r->sent;
    size_t take = one * n < left ? one * n : (size_t)left;
    ssize_t got = (ssize_t)take;
    if (take == 0)
        return 0;
    if (q->body.p) {
        memcpy(p, q->body.p + r->sent, take);
    } else {
        do
            got = pread(q->body_fd, p, take, (off_t)(q->body_offset + r->sent));
        while (got < 0 && errno == EINTR);
    }
    if (got <= 0) {
        r->failed = gal_fail(r->err, GAL_IO, "what is sent cannot be read: %s",
                             got < 0 ? strerror(errno) : "the file ends early");
        return CURL_READFUNC_ABORT;
    }
    r->sent += (uint64_t)got;
    r->moved += (uint64_t)got;
    return (size_t)got;
}

int gal_fetch_on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct gal_fetch_run *r = ctx;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->body_total)
        return CURL_SEEKFUNC_FAIL;
    r->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}
