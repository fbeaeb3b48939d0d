/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 (RFC 9112) over llhttp as protocol code: bytes in, requests out; responses in, bytes
 * out. No sockets, no clock, no allocation after gal_http1_new.
 *
 * The caller owns ONE contiguous input buffer. It appends what it reads and calls gal_http1_parse
 * with the buffer's base and fill; the base may move between calls (slices are kept as offsets
 * and become pointers when a step is returned). The request's bytes stay in the buffer until
 * gal_http1_next. A chunked body is compacted in place, so the body is one slice.
 *
 * States: HEAD -> BODY [headers complete] -> DONE [message complete] -> HEAD [gal_http1_next];
 *         any -> FAILED [parse error; only close is left].
 * Smuggling is refused: both Content-Length and Transfer-Encoding, either twice, obsolete line
 * folding, bare LF, spaces before the colon, a Host missing in HTTP/1.1 or sent twice. */
#ifndef GAL_HTTP_HTTP1_H
#define GAL_HTTP_HTTP1_H

#include "base/buf.h"
#include "http/message.h"

struct gal_http1;

struct gal_http1_limits {
    size_t head_bytes_max;
    size_t body_bytes_max;
};

enum gal_http1_step {
    GAL_HTTP1_MORE,  /* all bytes taken, more are needed */
    GAL_HTTP1_HEAD,  /* returned once a request, only when a body follows: `request` has all but
                        body; call parse again to go on (answer 100-continue first if asked) */
    GAL_HTTP1_DONE,  /* request complete; handle it, then call gal_http1_next */
    GAL_HTTP1_ERROR, /* err says why (its code's HTTP status is the answer); close after it */
};

/* The most bytes that one request can take in the buffer: head and body, and for a chunked body its
 * sizes, extensions and trailers, which may take as much as its data and a head's worth. A buffer
 * that can hold so many never fills up before a step other than MORE is returned. */
size_t gal_http1_bytes_max(const struct gal_http1_limits *limits);

enum gal_status gal_http1_new(struct gal_http1 **out, const struct gal_http1_limits *limits,
                              struct gal_err *err);
void gal_http1_free(struct gal_http1 *h);
/* Forgets everything: for use with another connection. */
void gal_http1_reset(struct gal_http1 *h, const struct gal_http1_limits *limits);

/* base[0, n) is all that the buffer holds; what was parsed before is not looked at again. */
enum gal_http1_step gal_http1_parse(struct gal_http1 *h, char *base, size_t n, struct gal_err *err);
/* Valid from HEAD or DONE until gal_http1_next, its slices until the buffer's base moves (the next
 * gal_http1_parse renews them); the codec owns it. After ERROR it has what was known of the head
 * when the head was whole, else it is blank (GAL_METHOD_OTHER, no headers), and keep_alive is
 * false. */
struct gal_http_request *gal_http1_request(struct gal_http1 *h);
/* Bytes that are still missing of a body of known length (from HEAD on), so that the caller
 * reserves once; 0 when unknown. */
size_t gal_http1_want(const struct gal_http1 *h);
/* Where the body begins in the buffer, as long as one of known length is coming; else 0. */
size_t gal_http1_body_at(const struct gal_http1 *h);
/* The caller has moved what has come of that body, and what follows will come, `gap` bytes further
 * back: the request takes as many more. */
void gal_http1_leave(struct gal_http1 *h, size_t gap);
/* Bytes that the request takes from the front of the buffer, with a body of known length from HEAD
 * on, else from DONE on; 0 before. */
size_t gal_http1_end(const struct gal_http1 *h);
/* True between the first byte of a request and the end of its head: which time limit applies. */
bool gal_http1_in_head(const struct gal_http1 *h);
/* After DONE: returns how many bytes the request took from the front of the buffer (the caller
 * shifts them out, base moves are fine) and makes ready for the next one. */
size_t gal_http1_next(struct gal_http1 *h);
/* True when EOF here is a clean end: no byte of a request has come (but for empty lines). */
bool gal_http1_idle(const struct gal_http1 *h);

/* Appends status line and headers with the blank line. `date` is an IMF-fixdate (empty: no Date).
 * For HEAD the caller sends no body, the head is the same. keep_alive false is said as
 * `Connection: close`, true only to a client of HTTP/1.0, which does not expect it. Content-Length
 * is always sent, but for 1xx, 204 and 304. req may be NULL. A full `out` has `failed` set. */
void gal_http1_write_head(struct gal_buf *out, const struct gal_http_response *r,
                          const struct gal_http_request *req, struct gal_str date, bool keep_alive);
/* "HTTP/1.1 100 Continue\r\n\r\n" */
struct gal_str gal_http1_continue(void);
/* IMF-fixdate (RFC 9110 5.6.7) of a wall time: 29 bytes and a NUL. */
#define GAL_HTTP_DATE_SIZE 30
void gal_http_date(uint64_t wall_us, char out[GAL_HTTP_DATE_SIZE]);

#endif
