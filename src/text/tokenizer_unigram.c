/* SPDX-License-Identifier: Apache-2.0 */
/* Unigram: of all ways to cut a piece into tokens, the one whose scores have the largest sum
 * (Viterbi). What no token covers is unknown, at a price. */
#include "text/tokenizer_impl.h"

#include "text/unicode.h"

/* The best way to a place in the piece. */
struct way {
    double score;
    uint32_t from; /* UINT32_MAX: none yet */
    int32_t id;
};

static void try_way(struct way *to, double score, uint32_t from, int32_t id)
{
    if (to->from == UINT32_MAX || score > to->score)
        *to = (struct way){score, from, id};
}

static void go_on(const struct gal_tokenizer *t, struct gal_str s, size_t at, size_t bytes,
                  struct way *ways)
{
    const struct gal_unigram *m = &t->unigram;
    double so_far = ways[at].score;
    bool single = false;
    uint32_t node = 0;

    for (size_t i = at; i < s.n; i++) {
        int32_t id;

        node = gal_trie_step(&t->vocab, node, (unsigned char)s.p[i]);
        if (node == 0)
            break;
        id = t->vocab.values[node];
        if (id == GAL_TRIE_NONE)
            continue;
        try_way(&ways[i + 1], m->scores[id] + so_far, (uint32_t)at, id);
        single = single || i + 1 - at == bytes;
    }
    if (!single)
        try_way(&ways[at + bytes], m->unknown_score + so_far, (uint32_t)at, m->unknown);
}

/* From the end; a run of unknown ones is one token, which the vocabulary may know after all. */
static size_t read_back(const struct gal_tokenizer *t, struct gal_str s, const struct way *ways,
                        int32_t *ids)
{
    size_t n = 0, end = s.n;

    while (end > 0) {
        size_t from = ways[end].from;
        int32_t id = ways[end].id;

        if (id == t->unigram.unknown) {
            int32_t known;

            while (from > 0 && ways[from].id == id)
                from = ways[from].from;
            known = gal_trie_get(&t->vocab, (struct gal_str){s.p + from, end - from});
            id = known != GAL_TRIE_NONE ? known : id;
        }
        ids[n++] = id;
        end = from;
    }
    return n;
}

enum gal_status gal_token_unigram(struct gal_token_rows *r, struct gal_str piece)
{
    const struct gal_tokenizer *t = r->tokenizer;
    struct gal_token_work *w = r->work;
    int32_t *ids = gal_token_reserve(r, piece.n);
    struct way *ways =
        gal_token_room(&w->symbols, 0, (piece.n + 1) * sizeof(*ways), r->arena, w->err);
    size_t n;

    if (ids == NULL || ways == NULL)
        return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
    for (size_t i = 0; i <= piece.n; i++)
        ways[i].from = UINT32_MAX;
    ways[0] = (struct way){.from = UINT32_MAX};
    for (size_t i = 0, bytes; i < piece.n; i += bytes) {
        (void)gal_utf8_take(piece.p + i, piece.n - i, &bytes);
        go_on(t, piece, i, bytes, ways);
    }
    n = read_back(t, piece, ways, ids);
    for (size_t i = 0; i < n / 2; i++) {
        int32_t swap = ids[i];

        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = swap;
    }
    r->count += n;
    return GAL_OK;
}
