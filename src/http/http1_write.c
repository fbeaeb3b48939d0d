/* SPDX-License-Identifier: Apache-2.0 */
/* The writer. A head is at most a sum of known lengths, so it is reserved once and copied. */
#include "http/http1.h"

#include "base/clock.h"
#include "base/word.h"

static const struct gal_str ok_line = {"HTTP/1.1 200 OK\r\n", 17};

/* Room beside the headers: the status line with the longest reason, Date, Content-Length,
 * Connection and the blank line are less. */
#define HEAD_ROOM 256

static char *put(char *to, const char *p, size_t n)
{
    memcpy(to, p, n);
    return to + n;
}

#define PUT_LITERAL(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_status(char *to, int status)
{
    if (status == 200)
        return put(to, ok_line.p, ok_line.n);
    const char *reason = gal_http_reason(status);
    to = PUT_LITERAL(to, "HTTP/1.1 ");
    to = gal_u64_write(to, (unsigned)status);
    *to++ = ' ';
    to = put(to, reason, strlen(reason));
    return PUT_LITERAL(to, "\r\n");
}

/* A header that would end its line early is not sent: nobody can smuggle lines into an answer. */
static bool is_clean(struct gal_str s)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= s.n; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        if (gal_word_zero(word) | gal_word_zero(word ^ GAL_EACH_BYTE('\r')) |
            gal_word_zero(word ^ GAL_EACH_BYTE('\n')))
            return false;
    }
    for (; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return false;
    return true;
}

static char *put_header(char *to, const struct gal_header *h)
{
    if (h->name.n == 0 || !is_clean(h->name) || !is_clean(h->value))
        return to;
    to = put(to, h->name.p, h->name.n);
    to = PUT_LITERAL(to, ": ");
    if (h->value.n)
        to = put(to, h->value.p, h->value.n);
    return PUT_LITERAL(to, "\r\n");
}

static bool has_length(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

void gal_http1_write_head(struct gal_buf *out, const struct gal_http_response *r,
                          const struct gal_http_request *req, struct gal_str date, bool keep_alive)
{
    GAL_ASSERT(r->status >= 100 && r->status <= 999);
    size_t room = HEAD_ROOM + date.n;
    for (size_t i = 0; i < r->header_count; i++)
        room += r->headers[i].name.n + r->headers[i].value.n + 4;
    char *start = gal_buf_reserve(out, room);
    if (!start)
        return;
    char *to = put_status(start, r->status);
    for (size_t i = 0; i < r->header_count; i++)
        to = put_header(to, &r->headers[i]);
    if (has_length(r->status)) {
        to = PUT_LITERAL(to, "Content-Length: ");
        to = gal_u64_write(to, r->body_bytes);
        to = PUT_LITERAL(to, "\r\n");
    }
    if (date.n) {
        to = PUT_LITERAL(to, "Date: ");
        to = put(to, date.p, date.n);
        to = PUT_LITERAL(to, "\r\n");
    }
    if (r->status == 101 || (r->status == 426 && keep_alive && !r->close))
        to = PUT_LITERAL(to, "Connection: Upgrade\r\n");
    else if (!keep_alive || r->close)
        to = PUT_LITERAL(to, "Connection: close\r\n");
    else if (req && req->version_minor == 0)
        to = PUT_LITERAL(to, "Connection: keep-alive\r\n");
    to = PUT_LITERAL(to, "\r\n");
    out->n += (size_t)(to - start);
}

struct gal_str gal_http1_continue(void)
{
    return GAL_STR("HTTP/1.1 100 Continue\r\n\r\n");
}

void gal_http_date(uint64_t wall_us, char out[GAL_HTTP_DATE_SIZE])
{
    static const char weekdays[] = "Thu, Fri, Sat, Sun, Mon, Tue, Wed, ";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char iso[GAL_TIMESTAMP_SIZE]; /* 2024-01-15T14:23:41.123Z */
    gal_timestamp_format(wall_us, iso);
    size_t month = (size_t)(iso[5] - '0') * 10 + (size_t)(iso[6] - '0') - 1;
    char *to = put(out, weekdays + wall_us / 86400000000 % 7 * 5, 5);
    to = put(to, iso + 8, 2);
    *to++ = ' ';
    to = put(to, months + month * 3, 3);
    *to++ = ' ';
    to = put(to, iso, 4);
    *to++ = ' ';
    to = put(to, iso + 11, 8);
    to = PUT_LITERAL(to, " GMT");
    *to = '\0';
}
