/* SPDX-License-Identifier: Apache-2.0 */
/* A normalized span in pieces: each operation cuts what the one before has left, down to the
 * model. Depth is the number of operations. */
#include "text/tokenizer_impl.h"

#include "text/token_class.h"
#include "text/unicode.h"

/* Where an operation stands. */
struct level {
    struct gal_token_rows *rows;
    size_t next;   /* operation that takes the pieces; beyond the last: the model */
    bool is_first; /* what it cuts begins where the text does */
};

static enum gal_status cut(struct gal_token_rows *r, size_t op, struct gal_str piece, bool first);

static bool is_full(const struct gal_token_rows *r)
{
    return r->count - r->work->row_from >= r->work->wanted;
}

static enum gal_status give(const struct level *l, struct gal_str whole, size_t from, size_t to)
{
    if (from == to || is_full(l->rows))
        return GAL_OK;
    return cut(l->rows, l->next, (struct gal_str){whole.p + from, to - from},
               l->is_first && from == 0);
}

static uint32_t point_at(struct gal_str s, size_t at, size_t *bytes)
{
    return gal_utf8_take(s.p + at, s.n - at, bytes);
}

/* --- by classes of characters --- */

enum side { SIDE_SPACE, SIDE_ALONE, SIDE_WORD, SIDE_OTHER };

static enum side side_of(enum gal_split_kind kind, uint32_t c)
{
    switch (kind) {
    case GAL_SPLIT_BERT:
        return gal_token_is_space(c)                    ? SIDE_SPACE
               : gal_token_is(c, GAL_TOKEN_PUNCTUATION) ? SIDE_ALONE
                                                        : SIDE_WORD;
    case GAL_SPLIT_WHITESPACE:
        return gal_token_is_space(c)             ? SIDE_SPACE
               : gal_token_is(c, GAL_TOKEN_WORD) ? SIDE_WORD
                                                 : SIDE_OTHER;
    case GAL_SPLIT_PUNCTUATION:
        return gal_token_is(c, GAL_TOKEN_PUNCTUATION) ? SIDE_ALONE : SIDE_WORD;
    default:
        return gal_token_is_space(c) ? SIDE_SPACE : SIDE_WORD;
    }
}

/* Runs of one side; white space falls away. */
static enum gal_status by_class(const struct level *l, enum gal_split_kind kind, struct gal_str s)
{
    enum gal_status st = GAL_OK;
    size_t from = 0;
    enum side before = SIDE_SPACE;

    for (size_t i = 0, bytes; i < s.n && st == GAL_OK; i += bytes) {
        enum side side = side_of(kind, point_at(s, i, &bytes));

        if (side == before && side != SIDE_ALONE)
            continue;
        if (before != SIDE_SPACE)
            st = give(l, s, from, i);
        from = i;
        before = side;
    }
    return st == GAL_OK && before != SIDE_SPACE ? give(l, s, from, s.n) : st;
}

/* --- byte-level --- */

/* Bytes of 's 't 're 've 'm 'll 'd at p; 0: none of them. */
static size_t contraction(const char *p, size_t n)
{
    if (n < 2 || p[0] != '\'')
        return 0;
    if (p[1] == 's' || p[1] == 't' || p[1] == 'm' || p[1] == 'd')
        return 2;
    return n >= 3 && ((p[1] == 'r' && p[2] == 'e') || (p[1] == 'v' && p[2] == 'e') ||
                      (p[1] == 'l' && p[2] == 'l'))
               ? 3
               : 0;
}

static unsigned word_class(uint32_t c)
{
    if (gal_token_is_space(c))
        return 0;
    return (gal_token_classes(c) & (GAL_TOKEN_LETTER | GAL_TOKEN_NUMBER)) | 1u;
}

/* End of the piece of GPT-2's expression at `at`: contractions, then letters, numbers or others
 * with a space before them, then white space but for the last one before a word. */
static size_t gpt_end(struct gal_str s, size_t at)
{
    size_t bytes, from = at, last = at;
    size_t short_form = contraction(s.p + at, s.n - at);
    uint32_t c = point_at(s, at, &bytes);
    unsigned k;

    if (short_form > 0)
        return at + short_form;
    if (c == ' ' && at + 1 < s.n && word_class(point_at(s, at + 1, &bytes)) != 0)
        from = at + 1;
    k = word_class(point_at(s, from, &bytes));
    while (from < s.n && word_class(point_at(s, from, &bytes)) == k) {
        last = from;
        from += bytes;
    }
    return k == 0 && from < s.n && last > at ? last : from;
}

/* A byte's character, as UTF-8 of at most two bytes. */
uint32_t gal_token_byte_char(unsigned char byte)
{
    if ((byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae)
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143u : 0x121u + (byte - 0x7fu);
}

static enum gal_status give_bytes(const struct level *l, struct gal_str s, bool first)
{
    struct gal_token_work *w = l->rows->work;
    char *out = gal_token_room(&w->mapped, 0, 2 * s.n, l->rows->arena, w->err);
    size_t n = 0;

    if (out == NULL)
        return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
    for (size_t i = 0; i < s.n; i++)
        n += gal_utf8_put(gal_token_byte_char((unsigned char)s.p[i]), out + n);
    return cut(l->rows, l->next, (struct gal_str){out, n}, first);
}

static enum gal_status by_bytes(const struct level *l, const struct gal_split *o, struct gal_str s)
{
    struct gal_token_work *w = l->rows->work;
    enum gal_status st = GAL_OK;

    if (o->prefix && s.p[0] != ' ') {
        char *copy = gal_token_room(&w->levels[l->next - 1], 0, s.n + 1, l->rows->arena, w->err);

        if (copy == NULL)
            return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
        copy[0] = ' ';
        memcpy(copy + 1, s.p, s.n);
        s = (struct gal_str){copy, s.n + 1};
    }
    if (!o->cut)
        return give_bytes(l, s, l->is_first);
    for (size_t i = 0, end; i < s.n && st == GAL_OK && !is_full(l->rows); i = end) {
        end = gpt_end(s, i);
        st = give_bytes(l, (struct gal_str){s.p + i, end - i}, l->is_first && i == 0);
    }
    return st;
}

/* --- SentencePiece's mark for a space --- */

static enum gal_status by_mark(const struct level *l, const struct gal_split *o, struct gal_str s)
{
    struct gal_token_work *w = l->rows->work;
    size_t n = 0, from = 0;
    char *text =
        gal_token_room(&w->levels[l->next - 1], 0, (s.n + 1) * o->mark.n, l->rows->arena, w->err);
    enum gal_status st = GAL_OK;

    if (text == NULL)
        return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
    if ((o->prefix || (o->prefix_first && l->is_first)) && s.p[0] != ' ' &&
        !gal_str_starts(s, o->mark)) {
        memcpy(text, o->mark.p, o->mark.n);
        n = o->mark.n;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != ' ') {
            text[n++] = s.p[i];
            continue;
        }
        memcpy(text + n, o->mark.p, o->mark.n);
        n += o->mark.n;
    }
    s = (struct gal_str){text, n};
    for (size_t i = gal_str_starts(s, o->mark) ? o->mark.n : 0;
         o->cut && i + o->mark.n <= n && st == GAL_OK;) {
        if (memcmp(text + i, o->mark.p, o->mark.n) != 0) {
            i++;
            continue;
        }
        st = give(l, s, from, i);
        from = i;
        i += o->mark.n;
    }
    return st == GAL_OK ? give(l, s, from, n) : st;
}

static enum gal_status cut(struct gal_token_rows *r, // NOLINT(misc-no-recursion): OPS_MAX deep
                           size_t op, struct gal_str piece, bool first)
{
    const struct gal_tokenizer *t = r->tokenizer;
    const struct level l = {r, op + 1, first};

    if (op == t->split_count)
        return gal_token_model(r, piece);
    if (t->splits[op].kind == GAL_SPLIT_BYTES)
        return by_bytes(&l, &t->splits[op], piece);
    if (t->splits[op].kind == GAL_SPLIT_METASPACE)
        return by_mark(&l, &t->splits[op], piece);
    return by_class(&l, t->splits[op].kind, piece);
}

enum gal_status gal_token_split(struct gal_token_rows *r, struct gal_str span)
{
    return span.n > 0 ? cut(r, 0, span, r->work->from_start) : GAL_OK;
}
