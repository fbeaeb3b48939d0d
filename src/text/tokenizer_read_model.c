/* SPDX-License-Identifier: Apache-2.0 */
/* The `model` of a tokenizer.json: WordPiece, BPE, Unigram. */
#include "text/tokenizer_impl.h"

#include "base/map.h"

#include <math.h>

/* --- vocabularies --- */

/* {"token": number, ...} */
static enum gal_status read_vocab(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_trie vocab;
    yyjson_obj_iter iter;
    yyjson_val *key;
    size_t bytes = 0;
    enum gal_status st;

    if (!yyjson_is_obj((yyjson_val *)v))
        return gal_token_refuse(r, GAL_INVALID, "model.vocab", "is not an object of numbers");
    r->t->vocab_count = yyjson_obj_size((yyjson_val *)v);
    yyjson_obj_iter_init((yyjson_val *)v, &iter);
    while ((key = yyjson_obj_iter_next(&iter)) != NULL)
        bytes += yyjson_get_len(key);
    st = gal_trie_init(&vocab, bytes, &r->temp, r->err);
    yyjson_obj_iter_init((yyjson_val *)v, &iter);
    while (st == GAL_OK && (key = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *id = yyjson_obj_iter_get_val(key);

        if (!yyjson_is_uint(id) || yyjson_get_uint(id) > INT32_MAX)
            return gal_token_refuse(r, GAL_INVALID, "model.vocab",
                                    "'%.*s' has no whole number of its own",
                                    GAL_STR_SHOWN(gal_token_str(key)));
        gal_trie_set(&vocab, gal_token_str(key), (int32_t)yyjson_get_uint(id));
    }
    return st == GAL_OK ? gal_trie_copy(&vocab, r->arena, &r->t->vocab, r->err) : st;
}

static enum gal_status read_unknown(struct gal_token_reader *r, const yyjson_val *v, int32_t *out)
{
    struct gal_str token = {NULL, 0};
    enum gal_status st = gal_token_text(r, v, "model", "unk_token", &token);

    *out = GAL_TRIE_NONE;
    if (st != GAL_OK || token.n == 0) /* "" is in GPT-2's file, whose bytes are all known */
        return st;
    *out = gal_trie_get(&r->t->vocab, token);
    return *out != GAL_TRIE_NONE
               ? GAL_OK
               : gal_token_refuse(r, GAL_INVALID, "model.unk_token", "'%.*s' is not in model.vocab",
                                  GAL_STR_SHOWN(token));
}

/* --- WordPiece --- */

static enum gal_status read_wordpiece(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_wordpiece *m = &r->t->wordpiece;
    struct gal_str prefix = GAL_STR("##");
    enum gal_status st = gal_token_keys(
        r, v, "model", "type unk_token continuing_subword_prefix max_input_chars_per_word vocab");

    r->t->model = GAL_MODEL_WORDPIECE;
    m->chars_max = 100;
    if (st == GAL_OK)
        st = gal_token_size(r, v, "model", "max_input_chars_per_word", GAL_WORD_CHARS_MAX,
                            &m->chars_max);
    if (st == GAL_OK)
        st = gal_token_text(r, v, "model", "continuing_subword_prefix", &prefix);
    if (st == GAL_OK)
        st = read_vocab(r, gal_token_get(v, "vocab"));
    if (st == GAL_OK)
        st = read_unknown(r, v, &m->unknown);
    if (st == GAL_OK && m->unknown == GAL_TRIE_NONE)
        st = gal_token_refuse(r, GAL_INVALID, "model.unk_token", "is missing");
    if (st == GAL_OK)
        m->prefix = gal_trie_walk(&r->t->vocab, 0, prefix);
    return st;
}

/* --- BPE --- */

/* "left right", or ["left", "right"]. */
static bool take_pair(const yyjson_val *v, struct gal_str *left, struct gal_str *right)
{
    yyjson_val *a = yyjson_arr_get((yyjson_val *)v, 0), *b = yyjson_arr_get((yyjson_val *)v, 1);
    const char *space;

    if (yyjson_is_str((yyjson_val *)v)) {
        struct gal_str both = gal_token_str(v);

        space = memchr(both.p, ' ', both.n);
        if (space == NULL)
            return false;
        *left = (struct gal_str){both.p, (size_t)(space - both.p)};
        *right = (struct gal_str){space + 1, both.n - left->n - 1};
        return memchr(right->p, ' ', right->n) == NULL;
    }
    if (!yyjson_is_str(a) || !yyjson_is_str(b) || yyjson_arr_size((yyjson_val *)v) != 2)
        return false;
    *left = gal_token_str(a);
    *right = gal_token_str(b);
    return true;
}

static enum gal_status read_merge(struct gal_token_reader *r, const yyjson_val *v, size_t rank)
{
    struct gal_bpe *m = &r->t->bpe;
    struct gal_str left, right;
    int32_t a, b, both = GAL_TRIE_NONE;
    uint32_t node;
    struct gal_merge *place;

    if (!take_pair(v, &left, &right))
        return gal_token_refuse(r, GAL_INVALID, gal_token_item(r, "model.merges", rank),
                                "is not a pair of tokens");
    a = gal_trie_get(&r->t->vocab, left);
    b = gal_trie_get(&r->t->vocab, right);
    node = gal_trie_walk(&r->t->vocab, 0, left);
    if (node != UINT32_MAX)
        node = gal_trie_walk(&r->t->vocab, node, right);
    if (node != UINT32_MAX)
        both = r->t->vocab.values[node];
    if (a == GAL_TRIE_NONE || b == GAL_TRIE_NONE || both == GAL_TRIE_NONE)
        return gal_token_refuse(r, GAL_INVALID, gal_token_item(r, "model.merges", rank),
                                "'%.*s' and '%.*s', or both as one, are not in model.vocab",
                                GAL_STR_SHOWN(left), GAL_STR_SHOWN(right));
    place = gal_merge_find(m, gal_merge_pair(a, b));
    *place = (struct gal_merge){gal_merge_pair(a, b), (uint32_t)rank, both};
    return GAL_OK;
}

static enum gal_status read_merges(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_bpe *m = &r->t->bpe;
    size_t count = yyjson_arr_size((yyjson_val *)v), rank = 0;
    unsigned bits = 4;
    yyjson_arr_iter iter;
    yyjson_val *item;
    enum gal_status st = GAL_OK;

    if (!yyjson_is_arr((yyjson_val *)v) || count > GAL_TRIE_NODES_MAX)
        return gal_token_refuse(r, GAL_INVALID, "model.merges", "is not a list of pairs");
    while (((size_t)1 << bits) < 2 * count)
        bits++;
    m->mask = (uint32_t)(((size_t)1 << bits) - 1);
    m->shift = 64 - bits;
    m->seed = gal_hash_bytes(GAL_STR("merges"));
    m->merges = gal_arena_array(r->arena, (size_t)1 << bits, sizeof(*m->merges));
    if (m->merges == NULL)
        return gal_token_starved(r, ((size_t)1 << bits) * sizeof(*m->merges));
    memset(m->merges, 0xff, ((size_t)1 << bits) * sizeof(*m->merges));
    yyjson_arr_iter_init((yyjson_val *)v, &iter);
    while (st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL)
        st = read_merge(r, item, rank++);
    return st;
}

/* Settings that change tokens and that no common file turns on. */
static enum gal_status refuse_on(struct gal_token_reader *r, const yyjson_val *v, const char *key)
{
    const yyjson_val *m = gal_token_get(v, key);

    if (gal_token_absent(m) || yyjson_is_false((yyjson_val *)m) ||
        (yyjson_is_str((yyjson_val *)m) && yyjson_get_len((yyjson_val *)m) == 0) ||
        (yyjson_is_num((yyjson_val *)m) && yyjson_get_num((yyjson_val *)m) == 0))
        return GAL_OK;
    return gal_token_refuse(r, GAL_UNSUPPORTED, gal_token_path(r, "model", key),
                            "is set, which is not supported");
}

static enum gal_status read_bpe(struct gal_token_reader *r, const yyjson_val *v)
{
    static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                                      "byte_fallback"};
    struct gal_bpe *m = &r->t->bpe;
    enum gal_status st =
        gal_token_keys(r, v, "model",
                       "type dropout unk_token continuing_subword_prefix end_of_word_suffix "
                       "fuse_unk byte_fallback ignore_merges vocab merges");

    r->t->model = GAL_MODEL_BPE;
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]) && st == GAL_OK; i++)
        st = refuse_on(r, v, off[i]);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, "model", "fuse_unk", &m->fuse_unknown);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, "model", "ignore_merges", &m->ignore_merges);
    if (st == GAL_OK)
        st = read_vocab(r, gal_token_get(v, "vocab"));
    if (st == GAL_OK)
        st = read_unknown(r, v, &m->unknown);
    return st == GAL_OK ? read_merges(r, gal_token_get(v, "merges")) : st;
}

/* --- Unigram --- */

static enum gal_status read_scored(struct gal_token_reader *r, const yyjson_val *v, size_t i,
                                   struct gal_str *token, double *score)
{
    yyjson_val *text = yyjson_arr_get((yyjson_val *)v, 0);
    yyjson_val *number = yyjson_arr_get((yyjson_val *)v, 1);

    if (!yyjson_is_str(text) || !yyjson_is_num(number) || yyjson_arr_size((yyjson_val *)v) != 2)
        return gal_token_refuse(r, GAL_INVALID, gal_token_item(r, "model.vocab", i),
                                "is not a token with its score");
    *token = gal_token_str(text);
    *score = yyjson_get_num(number);
    return GAL_OK;
}

static enum gal_status read_scores(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_unigram *m = &r->t->unigram;
    size_t count = yyjson_arr_size((yyjson_val *)v), i = 0, bytes = 0;
    double *scores = gal_arena_array(r->arena, count + 1, sizeof(*scores)), least = INFINITY;
    struct gal_trie vocab;
    struct gal_str token;
    yyjson_arr_iter iter;
    yyjson_val *item;
    enum gal_status st = GAL_OK;

    if (scores == NULL)
        return gal_token_starved(r, count * sizeof(*scores));
    yyjson_arr_iter_init((yyjson_val *)v, &iter);
    while (st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL) {
        st = read_scored(r, item, i, &token, &scores[i]);
        bytes += st == GAL_OK ? token.n : 0;
        i++;
    }
    if (st == GAL_OK)
        st = gal_trie_init(&vocab, bytes, &r->temp, r->err);
    yyjson_arr_iter_init((yyjson_val *)v, &iter);
    for (i = 0; st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL; i++) {
        gal_trie_set(&vocab, gal_token_str(yyjson_arr_get(item, 0)), (int32_t)i);
        least = scores[i] < least ? scores[i] : least;
    }
    r->t->vocab_count = count;
    m->scores = scores;
    m->unknown_score = least - 10.0; /* the library's price of an unknown character */
    return st == GAL_OK ? gal_trie_copy(&vocab, r->arena, &r->t->vocab, r->err) : st;
}

static enum gal_status read_unigram(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_unigram *m = &r->t->unigram;
    const yyjson_val *vocab = gal_token_get(v, "vocab");
    size_t unknown = SIZE_MAX;
    enum gal_status st = gal_token_keys(r, v, "model", "type unk_id vocab byte_fallback");

    r->t->model = GAL_MODEL_UNIGRAM;
    if (st == GAL_OK)
        st = refuse_on(r, v, "byte_fallback");
    if (st == GAL_OK && (!yyjson_is_arr((yyjson_val *)vocab) ||
                         yyjson_arr_size((yyjson_val *)vocab) > GAL_TRIE_NODES_MAX))
        st = gal_token_refuse(r, GAL_INVALID, "model.vocab", "is not a list of tokens");
    if (st == GAL_OK)
        st = gal_token_size(r, v, "model", "unk_id", GAL_TRIE_NODES_MAX, &unknown);
    if (st == GAL_OK && unknown >= yyjson_arr_size((yyjson_val *)vocab))
        st = gal_token_refuse(r, GAL_INVALID, "model.unk_id", "is no token of model.vocab");
    m->unknown = (int32_t)unknown;
    return st == GAL_OK ? read_scores(r, vocab) : st;
}

enum gal_status gal_token_read_model(struct gal_token_reader *r, const yyjson_val *v)
{
    struct gal_str type = {NULL, 0};
    enum gal_status st;

    if (!yyjson_is_obj((yyjson_val *)v))
        return gal_token_refuse(r, GAL_INVALID, "model", "is missing");
    st = gal_token_text(r, v, "model", "type", &type);
    if (st != GAL_OK)
        return st;
    if (type.p == NULL) /* older files leave it to what else is there */
        type = gal_token_get(v, "merges") != NULL                     ? GAL_STR("BPE")
               : yyjson_is_arr(gal_token_get(v, "vocab"))             ? GAL_STR("Unigram")
               : gal_token_get(v, "max_input_chars_per_word") != NULL ? GAL_STR("WordPiece")
                                                                      : GAL_STR("");
    if (gal_str_is(type, "WordPiece"))
        return read_wordpiece(r, v);
    if (gal_str_is(type, "BPE"))
        return read_bpe(r, v);
    if (gal_str_is(type, "Unigram"))
        return read_unigram(r, v);
    return gal_token_refuse(r, GAL_UNSUPPORTED, "model.type", "'%.*s' is not supported",
                            GAL_STR_SHOWN(type));
}
