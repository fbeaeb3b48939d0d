/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-pair encoding: characters, of which the pair that was learned first is joined, again and
 * again. Pairs wait in a heap, so that a piece of n characters takes n log n steps. */
#include "text/tokenizer_impl.h"

#include "text/unicode.h"

struct symbol {
    int32_t id;
    uint32_t before, next; /* UINT32_MAX: none */
    bool gone;
};
struct pair {
    uint32_t rank, at; /* of the left symbol */
    int32_t id;        /* what they become */
};
struct word {
    const struct gal_bpe *bpe;
    struct symbol *symbols;
    uint32_t count;
    struct pair *heap; /* least rank first, of equal ones the leftmost */
    size_t heap_count;
};

static enum gal_status fail(const struct gal_token_rows *r)
{
    return r->work->err != NULL ? r->work->err->code : GAL_NO_MEMORY;
}

/* --- the heap --- */

static bool is_before(const struct pair *a, const struct pair *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_put(struct word *w, struct pair pair)
{
    size_t i = w->heap_count++;

    while (i > 0 && is_before(&pair, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = pair;
}

static struct pair heap_take(struct word *w)
{
    struct pair least = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < w->heap_count; i = child) {
        if (child + 1 < w->heap_count && is_before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!is_before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return least;
}

/* --- joining --- */

static const struct gal_merge *merge_of(const struct word *w, uint32_t left)
{
    uint32_t right = left != UINT32_MAX ? w->symbols[left].next : UINT32_MAX;
    const struct gal_merge *m;

    if (right == UINT32_MAX)
        return NULL;
    m = gal_merge_find(w->bpe, gal_merge_pair(w->symbols[left].id, w->symbols[right].id));
    return m->pair != UINT64_MAX ? m : NULL;
}

static void look_at(struct word *w, uint32_t left)
{
    const struct gal_merge *m = merge_of(w, left);

    if (m != NULL)
        heap_put(w, (struct pair){m->rank, left, m->id});
}

static void join(struct word *w, uint32_t left, int32_t id)
{
    struct symbol *a = &w->symbols[left], *b = &w->symbols[a->next];

    a->id = id;
    a->next = b->next;
    b->gone = true;
    if (a->next != UINT32_MAX)
        w->symbols[a->next].before = left;
    look_at(w, a->before);
    look_at(w, left);
}

static void join_all(struct word *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        look_at(w, i);
    while (w->heap_count > 0) {
        struct pair top = heap_take(w);
        const struct gal_merge *m = w->symbols[top.at].gone ? NULL : merge_of(w, top.at);

        if (m != NULL && m->id == top.id) /* else the pair is no more what it was */
            join(w, top.at, top.id);
    }
}

/* --- a piece --- */

static void add_symbol(struct word *w, int32_t id)
{
    w->symbols[w->count] = (struct symbol){
        .id = id, .before = w->count > 0 ? w->count - 1 : UINT32_MAX, .next = UINT32_MAX};
    if (w->count > 0)
        w->symbols[w->count - 1].next = w->count;
    w->count++;
}

static void add_symbols(struct word *w, const struct gal_trie *vocab, struct gal_str piece)
{
    bool unknown = false;

    for (size_t i = 0, bytes; i < piece.n; i += bytes) {
        int32_t id;

        (void)gal_utf8_take(piece.p + i, piece.n - i, &bytes);
        id = gal_trie_get(vocab, (struct gal_str){piece.p + i, bytes});
        if (id == GAL_TRIE_NONE) {
            if (w->bpe->unknown != GAL_TRIE_NONE && !(unknown && w->bpe->fuse_unknown))
                add_symbol(w, w->bpe->unknown);
            unknown = true;
            continue;
        }
        unknown = false;
        add_symbol(w, id);
    }
}

enum gal_status gal_token_bpe(struct gal_token_rows *r, struct gal_str piece)
{
    const struct gal_tokenizer *t = r->tokenizer;
    struct gal_token_work *k = r->work;
    struct word w = {.bpe = &t->bpe};
    int32_t *ids = gal_token_reserve(r, piece.n);
    int32_t whole = t->bpe.ignore_merges ? gal_trie_get(&t->vocab, piece) : GAL_TRIE_NONE;

    if (ids != NULL && whole != GAL_TRIE_NONE) {
        ids[0] = whole;
        r->count++;
        return GAL_OK;
    }
    w.symbols = gal_token_room(&k->symbols, 0, piece.n * sizeof(*w.symbols), r->arena, k->err);
    /* Each symbol is put in once at first, and each join, of which there are fewer, puts in two. */
    w.heap = gal_token_room(&k->heap, 0, 3 * piece.n * sizeof(*w.heap), r->arena, k->err);
    if (ids == NULL || w.symbols == NULL || w.heap == NULL)
        return fail(r);
    add_symbols(&w, &t->vocab, piece);
    join_all(&w);
    for (uint32_t i = 0; i < w.count; i++)
        if (!w.symbols[i].gone)
            r->ids[r->count++] = w.symbols[i].id;
    return GAL_OK;
}
