/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"
#include "base/word.h"

#include <stdarg.h>
#include <stdio.h>

#define CAP_FIRST 256u

void gal_buf_init(struct gal_buf *b, size_t max)
{
    *b = (struct gal_buf){.max = max};
}

void gal_buf_release(struct gal_buf *b)
{
    struct gal_budget *budget = b->budget;
    gal_free(b->p);
    gal_budget_release(budget, gal_budget_counts(b->cap));
    gal_buf_init(b, b->max);
    b->budget = budget;
}

void gal_buf_clear(struct gal_buf *b, size_t keep_max)
{
    b->n = 0;
    b->failed = b->starved = false;
    if (b->cap > keep_max)
        gal_buf_release(b);
}

/* Makes cap at least `need`, doubling. */
static bool grow(struct gal_buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : CAP_FIRST;
    while (cap < need)
        cap = cap <= SIZE_MAX / 2 ? 2 * cap : SIZE_MAX;
    if (cap > b->max)
        cap = b->max;
    size_t more = gal_budget_counts(cap) - gal_budget_counts(b->cap);
    if (!gal_budget_charge(b->budget, more)) {
        b->starved = true;
        return false;
    }
    char *p = gal_realloc(b->p, cap);
    if (!p) {
        gal_budget_release(b->budget, more);
        b->starved = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

char *gal_buf_reserve_more(struct gal_buf *b, size_t bytes)
{
    /* One byte at least, so that the answer is never a NULL that means success. */
    if (bytes > b->max - b->n || b->max == 0 || !grow(b, b->n + (bytes ? bytes : 1))) {
        b->failed = true;
        return NULL;
    }
    return b->p + b->n;
}

void gal_buf_put(struct gal_buf *b, const void *p, size_t n)
{
    char *to = n ? gal_buf_reserve(b, n) : NULL;
    if (!to)
        return;
    memcpy(to, p, n);
    b->n += n;
}

void gal_buf_puts(struct gal_buf *b, const char *nul_terminated)
{
    gal_buf_put(b, nul_terminated, strlen(nul_terminated));
}

void gal_buf_put_str(struct gal_buf *b, struct gal_str s)
{
    gal_buf_put(b, s.p, s.n);
}

void gal_buf_putc(struct gal_buf *b, char c)
{
    char *to = gal_buf_reserve(b, 1);
    if (!to)
        return;
    *to = c;
    b->n++;
}

void gal_buf_put_u64(struct gal_buf *b, uint64_t v)
{
    char digits[GAL_U64_CHARS_MAX];
    gal_buf_put(b, digits, (size_t)(gal_u64_write(digits, v) - digits));
}

void gal_buf_put_i64(struct gal_buf *b, int64_t v)
{
    char digits[GAL_I64_CHARS_MAX];
    gal_buf_put(b, digits, (size_t)(gal_i64_write(digits, v) - digits));
}

void gal_buf_printf(struct gal_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *to = n >= 0 ? gal_buf_reserve(b, (size_t)n + 1) : NULL;
    if (to)
        b->n += (size_t)vsnprintf(to, (size_t)n + 1, format, again);
    else
        b->failed = true;
    va_end(again);
    va_end(args);
}

void gal_buf_shift(struct gal_buf *b, size_t bytes)
{
    GAL_ASSERT(bytes <= b->n);
    b->n -= bytes;
    if (b->n > 0 && bytes > 0)
        memmove(b->p, b->p + bytes, b->n);
}

/* Escape letter of a character that must not stand bare in a JSON string: 'u' for \u00XX, 0 for
 * one that may. DEL is escaped too, terminals act on it. */
static char escape_of(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    default:
        return c < 0x20 || c == 0x7f ? 'u' : 0;
    }
}

static void put_escape(struct gal_buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char letter = escape_of(c);
    char text[6] = {'\\', letter, '0', '0', hex[c >> 4], hex[c & 15]};
    if (c >= 0x80)
        gal_buf_puts(b, "\xef\xbf\xbd");
    else
        gal_buf_put(b, text, letter == 'u' ? 6 : 2);
}

/* True when the eight bytes at p are ASCII that may stand in a JSON string as it is. */
static bool is_clean_word(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    uint64_t control = (w - GAL_EACH_BYTE(0x20)) & ~w;
    return ((w | control) & GAL_EACH_BYTE(0x80)) == 0 &&
           gal_word_zero(w ^ GAL_EACH_BYTE('"')) == 0 &&
           gal_word_zero(w ^ GAL_EACH_BYTE('\\')) == 0 &&
           gal_word_zero(w ^ GAL_EACH_BYTE(0x7f)) == 0;
}

/* Bytes at p that may stand in a JSON string as they are. */
static size_t clean_run(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (n - i >= sizeof(uint64_t) && is_clean_word(p + i)) {
            i += sizeof(uint64_t);
            continue;
        }
        unsigned char c = (unsigned char)p[i];
        size_t step = c >= 0x80 ? gal_utf8_next(p + i, n - i) : !escape_of(c);
        if (step == 0)
            break;
        i += step;
    }
    return i;
}

void gal_buf_put_quoted(struct gal_buf *b, struct gal_str s)
{
    size_t before = b->n;
    gal_buf_putc(b, '"');
    for (size_t i = 0; i < s.n && !b->failed;) {
        size_t run = clean_run(s.p + i, s.n - i);
        gal_buf_put(b, s.p + i, run);
        i += run;
        if (i < s.n)
            put_escape(b, (unsigned char)s.p[i++]);
    }
    gal_buf_putc(b, '"');
    if (b->failed)
        b->n = before;
}
