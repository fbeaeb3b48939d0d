/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tokens: a text is cut at the added tokens that stand in it, first as it was written, then
 * as it is normalized; what lies between goes to the pieces and the model. */
#include "text/tokenizer_impl.h"

#include "base/limits.h"
#include "text/token_class.h"
#include "text/unicode.h"

void *gal_token_room(struct gal_token_memory *m, size_t keep, size_t bytes, struct gal_arena *arena,
                     struct gal_err *err)
{
    size_t room = 2 * m->bytes > bytes ? 2 * m->bytes : bytes;
    void *p;

    if (m->p != NULL && bytes <= m->bytes)
        return m->p;
    if (room < 256)
        room = 256;
    p = gal_arena_alloc(arena, room);
    if (p == NULL) {
        (void)gal_arena_fail(arena, room, "a text's tokens", err);
        return NULL;
    }
    if (keep > 0 && m->p != NULL)
        memcpy(p, m->p, keep);
    *m = (struct gal_token_memory){p, room};
    return p;
}

int32_t *gal_token_reserve(struct gal_token_rows *r, size_t n)
{
    struct gal_token_memory m = {r->ids, r->room * sizeof(*r->ids)};

    if (gal_token_room(&m, r->count * sizeof(*r->ids), (r->count + n) * sizeof(*r->ids), r->arena,
                       r->work->err) == NULL)
        return NULL;
    r->ids = m.p;
    r->room = m.bytes / sizeof(*r->ids);
    return r->ids + r->count;
}

/* --- added tokens in a text --- */

/* The last code point before `at`; at > 0. */
static uint32_t point_before(struct gal_str s, size_t at, size_t *bytes)
{
    size_t from = at - 1;

    while (from > 0 && ((unsigned char)s.p[from] & 0xc0u) == 0x80u)
        from--;
    return gal_utf8_take(s.p + from, at - from, bytes);
}

static bool stands_alone(struct gal_str s, size_t from, size_t to)
{
    size_t bytes;

    return (from == 0 || !gal_token_is(point_before(s, from, &bytes), GAL_TOKEN_WORD)) &&
           (to == s.n || !gal_token_is(gal_utf8_take(s.p + to, s.n - to, &bytes), GAL_TOKEN_WORD));
}

struct match {
    size_t from, to; /* with the white space that the token takes */
    const struct gal_added *token;
};

/* The next token from *at on, which moves behind it; white space before `least` is taken already.
 */
static bool next_match(const struct gal_tokenizer *t, const struct gal_trie *tokens,
                       struct gal_str s, size_t least, size_t *at, struct match *m)
{
    while (*at < s.n) {
        size_t bytes;
        int32_t i = gal_trie_longest(tokens, 0, s.p + *at, s.n - *at, &bytes);

        if (i == GAL_TRIE_NONE) {
            (*at)++;
            continue;
        }
        *m = (struct match){*at, *at + bytes, &t->added[i]};
        *at += bytes;
        if (m->token->single_word && !stands_alone(s, m->from, m->to))
            continue;
        while (m->token->lstrip && m->from > least &&
               gal_token_is_space(point_before(s, m->from, &bytes)))
            m->from -= bytes;
        while (m->token->rstrip && m->to < s.n &&
               gal_token_is_space(gal_utf8_take(s.p + m->to, s.n - m->to, &bytes)))
            m->to += bytes;
        return true;
    }
    return false;
}

static enum gal_status add_one(struct gal_token_rows *r, int32_t id)
{
    int32_t *ids = gal_token_reserve(r, 1);

    if (ids == NULL)
        return r->work->err != NULL ? r->work->err->code : GAL_NO_MEMORY;
    ids[0] = id;
    r->count++;
    return GAL_OK;
}

/* Spans between the tokens, and the tokens' numbers, in their order. */
static enum gal_status
between(struct gal_token_rows *r, const struct gal_trie *tokens, struct gal_str s,
        enum gal_status (*give)(struct gal_token_rows *r, struct gal_str span))
{
    bool from_start = r->work->from_start;
    size_t from = 0, at = 0;
    struct match m;
    enum gal_status st = GAL_OK;

    while (st == GAL_OK && tokens->node_count > 1 &&
           next_match(r->tokenizer, tokens, s, from, &at, &m)) {
        if (m.from > from)
            st = give(r, (struct gal_str){s.p + from, m.from - from});
        if (st == GAL_OK)
            st = add_one(r, m.token->id);
        from = m.to;
        r->work->from_start = false;
    }
    if (st == GAL_OK && from < s.n)
        st = give(r, (struct gal_str){s.p + from, s.n - from});
    r->work->from_start = from_start;
    return st;
}

static enum gal_status on_raw(struct gal_token_rows *r, struct gal_str span)
{
    struct gal_str text;
    enum gal_status st;

    if (r->count - r->work->row_from >= r->work->wanted)
        return GAL_OK;
    st = gal_token_normalize(r->tokenizer, r->work, r->arena, span, &text);
    return st == GAL_OK ? between(r, &r->tokenizer->normalized, text, gal_token_split) : st;
}

/* --- rows --- */

enum gal_status gal_token_rows_init(struct gal_token_rows *r, const struct gal_tokenizer *t,
                                    size_t rows, struct gal_arena *arena, struct gal_err *err)
{
    *r = (struct gal_token_rows){.tokenizer = t, .arena = arena};
    r->ends = gal_arena_array(arena, rows + 1, sizeof(*r->ends));
    r->work = gal_arena_small(arena, sizeof(*r->work));
    if (r->ends == NULL || r->work == NULL)
        return gal_arena_fail(arena, (rows + 1) * sizeof(*r->ends), "rows of tokens", err);
    memset(r->work, 0, sizeof(*r->work));
    return GAL_OK;
}

enum gal_status gal_token_rows_add(struct gal_token_rows *r, struct gal_str text,
                                   struct gal_err *err)
{
    const struct gal_tokenizer *t = r->tokenizer;
    size_t specials = t->before_count + t->behind_count, most = SIZE_MAX, n;
    size_t from = r->count;
    enum gal_status st;

    if (text.n > GAL_TOKENIZE_TEXT_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "a text of %zu bytes; at most %u are cut into tokens",
                        text.n, GAL_TOKENIZE_TEXT_BYTES_MAX);
    if (!gal_utf8_valid(text))
        return gal_fail(err, GAL_INVALID, "the text is no valid UTF-8");
    if (t->max_length > 0)
        most = t->max_length - specials;
    r->work->err = err;
    r->work->from_start = true;
    r->work->row_from = from;
    r->work->wanted = t->cut_left ? SIZE_MAX : most;
    st = between(r, &t->raw, text, on_raw);
    if (st != GAL_OK)
        return st;
    n = r->count - from;
    if (n > most && t->cut_left)
        memmove(r->ids + from, r->ids + r->count - most, most * sizeof(*r->ids));
    if (n > most)
        r->count = from + most;
    r->ends[r->row_count++] = r->count;
    return GAL_OK;
}

static size_t tokens_of(const struct gal_token_rows *r, size_t row, size_t *from)
{
    *from = row > 0 ? r->ends[row - 1] : 0;
    return r->ends[row] - *from;
}

size_t gal_token_rows_length(const struct gal_token_rows *r)
{
    const struct gal_tokenizer *t = r->tokenizer;
    size_t length = 0, from;

    for (size_t i = 0; i < r->row_count; i++) {
        size_t n = tokens_of(r, i, &from);

        length = n > length ? n : length;
    }
    length += t->before_count + t->behind_count;
    if (t->pad_length > length)
        length = t->pad_length;
    if (t->pad_multiple > 1 && length % t->pad_multiple != 0)
        length += t->pad_multiple - length % t->pad_multiple;
    return length;
}

void gal_token_rows_put(const struct gal_token_rows *r, size_t row, size_t length, int64_t *ids,
                        int64_t *mask, int64_t *types)
{
    const struct gal_tokenizer *t = r->tokenizer;
    size_t from, n = tokens_of(r, row, &from), at = 0;
    size_t whole = t->before_count + n + t->behind_count;

    if (t->pad_left)
        at = length - whole;
    for (size_t i = 0; i < length; i++) {
        ids[i] = t->pad_id;
        types[i] = t->pad_type;
        mask[i] = i >= at && i < at + whole;
    }
    for (size_t i = 0; i < t->before_count; i++, at++) {
        ids[at] = t->before[i];
        types[at] = t->before_types[i];
    }
    for (size_t i = 0; i < n; i++, at++) {
        ids[at] = r->ids[from + i];
        types[at] = t->type;
    }
    for (size_t i = 0; i < t->behind_count; i++, at++) {
        ids[at] = t->behind[i];
        types[at] = t->behind_types[i];
    }
}
