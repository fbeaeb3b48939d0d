/* SPDX-License-Identifier: Apache-2.0 */
/* The added_tokens of a tokenizer.json: texts that stand for themselves. */
#include "text/tokenizer_impl.h"

struct adding {
    int32_t next; /* number of the next token that model.vocab does not have */
    struct gal_added *added;
    struct gal_trie raw, normalized;
    struct gal_token_work work;
};

/* The library gives tokens beyond the vocabulary rising numbers, whatever the file says: a file
 * that says something else would mean other tokens here than there. */
static enum gal_status check_number(struct gal_token_reader *r, struct adding *k, const char *path,
                                    const struct gal_added *a, struct gal_str text)
{
    int32_t known = gal_trie_get(&r->t->vocab, text);

    if (known != GAL_TRIE_NONE && known != a->id)
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "id"),
                                "is %d, and model.vocab says %d", a->id, known);
    if (known == GAL_TRIE_NONE && a->id != k->next)
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "id"),
                                "is %d, and the next number is %d", a->id, k->next);
    if (a->id >= k->next)
        k->next = a->id + 1;
    return GAL_OK;
}

static enum gal_status read_one_added(struct gal_token_reader *r, const yyjson_val *v,
                                      const char *path, struct gal_added *a, struct gal_str *text)
{
    size_t id = SIZE_MAX;
    enum gal_status st =
        gal_token_keys(r, v, path, "id content single_word lstrip rstrip normalized special");

    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "id", INT32_MAX, &id);
    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "content", text);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "single_word", &a->single_word);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "lstrip", &a->lstrip);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "rstrip", &a->rstrip);
    if (st == GAL_OK && (id == SIZE_MAX || text->n == 0 || text->n > GAL_TOKEN_ADDED_BYTES_MAX))
        st = gal_token_refuse(r, GAL_INVALID, path, "has no number, or no text of 1 to %u bytes",
                              GAL_TOKEN_ADDED_BYTES_MAX);
    a->id = (int32_t)id;
    return st;
}

static enum gal_status add_token(struct gal_token_reader *r, struct adding *k, const yyjson_val *v,
                                 const char *path, bool specials)
{
    struct gal_added a = {0};
    struct gal_str content = {NULL, 0}, text;
    bool special = false, normalized = true;
    struct gal_trie *t;
    enum gal_status st = read_one_added(r, v, path, &a, &content);

    text = content;
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "special", &special);
    normalized = !special;
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "normalized", &normalized);
    if (st == GAL_OK && specials) /* the first time round: in the file's order */
        st = check_number(r, k, path, &a, content);
    if (st != GAL_OK || special != specials)
        return st;
    t = normalized ? &k->normalized : &k->raw;
    if (normalized)
        st = gal_token_normalize(r->t, &k->work, &r->temp, text, &text);
    if (st == GAL_OK && (text.n == 0 || text.n > 4 * content.n))
        st = gal_token_refuse(r, GAL_UNSUPPORTED, path, "is nothing, or too long, normalized");
    if (st == GAL_OK && gal_trie_get(t, text) == GAL_TRIE_NONE) { /* of two equal ones the first */
        k->added[r->t->added_count] = a;
        gal_trie_set(t, text, (int32_t)r->t->added_count++);
    }
    return st;
}

static enum gal_status add_tokens(struct gal_token_reader *r, struct adding *k, const yyjson_val *v,
                                  bool specials)
{
    yyjson_arr_iter iter;
    yyjson_val *item;
    size_t i = 0;
    enum gal_status st = GAL_OK;

    yyjson_arr_iter_init((yyjson_val *)v, &iter);
    while (st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL)
        st = add_token(r, k, item, gal_token_item(r, "added_tokens", i++), specials);
    return st;
}

enum gal_status gal_token_read_added(struct gal_token_reader *r, const yyjson_val *v)
{
    size_t count = yyjson_arr_size((yyjson_val *)v);
    struct adding k = {.next = (int32_t)r->t->vocab_count, .work = {.err = r->err}};
    size_t bytes = 0;
    yyjson_arr_iter iter;
    yyjson_val *item;
    enum gal_status st = GAL_OK;

    if (gal_token_absent(v))
        return GAL_OK;
    if (!yyjson_is_arr((yyjson_val *)v) || count > GAL_TOKEN_ADDED_MAX)
        return gal_token_refuse(r, GAL_INVALID, "added_tokens", "is not a list of at most %u",
                                GAL_TOKEN_ADDED_MAX);
    k.added = gal_arena_array(r->arena, count + 1, sizeof(*k.added));
    if (k.added == NULL)
        return gal_token_starved(r, count * sizeof(*k.added));
    r->t->added = k.added;
    yyjson_arr_iter_init((yyjson_val *)v, &iter);
    while ((item = yyjson_arr_iter_next(&iter)) != NULL)
        bytes += yyjson_get_len(gal_token_get(item, "content"));
    st = gal_trie_init(&k.raw, bytes, &r->temp, r->err);
    if (st == GAL_OK)
        st = gal_trie_init(&k.normalized, 4 * bytes, &r->temp, r->err);
    if (st == GAL_OK)
        st = add_tokens(r, &k, v, true);
    if (st == GAL_OK)
        st = add_tokens(r, &k, v, false);
    if (st == GAL_OK)
        st = gal_trie_copy(&k.raw, r->arena, &r->t->raw, r->err);
    return st == GAL_OK ? gal_trie_copy(&k.normalized, r->arena, &r->t->normalized, r->err) : st;
}
