/* SPDX-License-Identifier: Apache-2.0 */
/* A growable run of bytes with a maximum that is fixed at init. Failing writes set `failed` and
 * leave the content as it was, so that a writer may append many pieces and look once at the end.
 * Not thread-safe. */
#ifndef GAL_BASE_BUF_H
#define GAL_BASE_BUF_H

#include "base/budget.h"
#include "base/str.h"

struct gal_buf {
    char *p;                   /* owned; NULL until the first byte */
    size_t n;                  /* bytes in use */
    size_t cap;                /* bytes owned */
    size_t max;                /* n never passes it */
    bool failed;               /* a write did not fit (max) or memory was out */
    bool starved;              /* it was memory, or the budget */
    struct gal_budget *budget; /* borrowed; NULL: none. Set by the owner behind init */
};

void gal_buf_init(struct gal_buf *b, size_t max);
void gal_buf_release(struct gal_buf *b);
/* n = 0, failed and starved false; memory beyond keep_max bytes is given back. */
void gal_buf_clear(struct gal_buf *b, size_t keep_max);
/* Makes room for `bytes` more behind n and returns where they go, NULL when it cannot. The caller
 * writes there and adds to n. */
char *gal_buf_reserve_more(struct gal_buf *b, size_t bytes); /* when there is none yet */
static inline char *gal_buf_reserve(struct gal_buf *b, size_t bytes)
{
    return b->p && bytes <= b->cap - b->n ? b->p + b->n : gal_buf_reserve_more(b, bytes);
}
void gal_buf_put(struct gal_buf *b, const void *p, size_t n);
void gal_buf_puts(struct gal_buf *b, const char *nul_terminated);
void gal_buf_put_str(struct gal_buf *b, struct gal_str s);
void gal_buf_putc(struct gal_buf *b, char c);
void gal_buf_put_u64(struct gal_buf *b, uint64_t v);
void gal_buf_put_i64(struct gal_buf *b, int64_t v);
/* As a JSON string: in quotes, escaped (control bytes and DEL too); each byte that is not part of
 * valid UTF-8 becomes U+FFFD. Whole or not at all. */
void gal_buf_put_quoted(struct gal_buf *b, struct gal_str s);
/* Needs room for a NUL behind its text, within max. */
void gal_buf_printf(struct gal_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first `bytes` (at most n) and moves the rest to the front. */
void gal_buf_shift(struct gal_buf *b, size_t bytes);
static inline struct gal_str gal_buf_str(const struct gal_buf *b)
{
    return (struct gal_str){b->p, b->n};
}

#endif
