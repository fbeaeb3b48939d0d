/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece: the longest token of the vocabulary, then the longest that goes on from there. */
#include "text/tokenizer_impl.h"

#include "text/unicode.h"

/* Code points of a piece; no more are counted than `most` plus one. */
static size_t count_points(struct gal_str s, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n && n <= most; i++)
        n += ((unsigned char)s.p[i] & 0xc0u) != 0x80u;
    return n;
}

static enum gal_status wordpiece(struct gal_token_rows *r, struct gal_str piece)
{
    const struct gal_tokenizer *t = r->tokenizer;
    const struct gal_wordpiece *m = &t->wordpiece;
    bool known = piece.n <= m->chars_max || count_points(piece, m->chars_max) <= m->chars_max;
    int32_t *ids = gal_token_reserve(r, known ? piece.n : 1);
    uint32_t node = 0;
    size_t n = 0;

    if (ids == NULL)
        return r->work->err != NULL ? r->work->err->code : GAL_NO_MEMORY;
    for (size_t at = 0, bytes; known && at < piece.n; at += bytes) {
        bytes = 0;
        ids[n++] = node == UINT32_MAX
                       ? GAL_TRIE_NONE
                       : gal_trie_longest(&t->vocab, node, piece.p + at, piece.n - at, &bytes);
        known = bytes > 0;
        node = m->prefix;
    }
    if (!known) {
        ids[0] = m->unknown;
        n = 1;
    }
    r->count += n;
    return GAL_OK;
}

enum gal_status gal_token_model(struct gal_token_rows *r, struct gal_str piece)
{
    switch (r->tokenizer->model) {
    case GAL_MODEL_BPE:
        return gal_token_bpe(r, piece);
    case GAL_MODEL_UNIGRAM:
        return gal_token_unigram(r, piece);
    case GAL_MODEL_WORDPIECE:
        break;
    }
    return wordpiece(r, piece);
}
