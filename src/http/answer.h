/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 answers, as a client reads them, over llhttp: bytes in, one verdict an answer out. Built
 * for clients that want the status and little else: nothing is buffered but a body that is asked
 * for, and the bytes may come in pieces of any size. No sockets, no clock, no allocation after
 * gal_answer_new but by the body's buffer.
 *
 * States: HEAD -> BODY [end of the head] -> DONE [gal_answer_feed, gal_answer_end]
 *         DONE -> HEAD [gal_answer_next];  any -> FAILED [gal_answer_feed, gal_answer_end]
 * Interim answers (1xx) are read over. */
#ifndef GAL_HTTP_ANSWER_H
#define GAL_HTTP_ANSWER_H

#include "base/buf.h"

struct gal_answer;

enum gal_answer_step {
    GAL_ANSWER_MORE, /* all bytes taken, more are needed */
    GAL_ANSWER_DONE, /* the answer is whole; then gal_answer_next */
    GAL_ANSWER_ERROR /* err says why; close */
};

/* A head of more bytes is an error. */
enum gal_status gal_answer_new(struct gal_answer **out, size_t head_bytes_max, struct gal_err *err);
void gal_answer_free(struct gal_answer *a); /* NULL is fine */
/* For another connection. The body's buffer is forgotten. */
void gal_answer_reset(struct gal_answer *a);
/* The bodies that come are appended to `body` (borrowed; NULL: thrown away) as far as it holds
 * them: one that is cut has body->failed set, and the answer is read to its end. */
void gal_answer_keep(struct gal_answer *a, struct gal_buf *body);

/* p[0, n) are the next bytes; *taken says how many belong to this answer (all, but behind DONE). */
enum gal_answer_step gal_answer_feed(struct gal_answer *a, const char *p, size_t n, size_t *taken,
                                     struct gal_err *err);
/* The peer has closed: DONE when that is how the body ends, ERROR else. */
enum gal_answer_step gal_answer_end(struct gal_answer *a, struct gal_err *err);
/* After DONE: makes ready for the next answer. */
void gal_answer_next(struct gal_answer *a);
/* True when no byte of an answer has come. */
bool gal_answer_idle(const struct gal_answer *a);

/* After DONE. */
int gal_answer_status(const struct gal_answer *a);          /* 200 */
bool gal_answer_keep_alive(const struct gal_answer *a);     /* the connection may be used again */
uint64_t gal_answer_body_bytes(const struct gal_answer *a); /* as sent, without chunks' framing */

#endif
