/* SPDX-License-Identifier: Apache-2.0 */
/* The post_processor of a tokenizer.json: what stands around a single text. */
#include "text/tokenizer_impl.h"

static enum gal_status put_special(struct gal_token_reader *r, bool before, int64_t id, size_t type,
                                   const char *path)
{
    struct gal_tokenizer *t = r->t;
    size_t *n = before ? &t->before_count : &t->behind_count;

    if (*n == GAL_TOKEN_SPECIALS_MAX)
        return gal_token_refuse(r, GAL_UNSUPPORTED, path, "more than %u special tokens",
                                GAL_TOKEN_SPECIALS_MAX);
    (before ? t->before : t->behind)[*n] = (int32_t)id;
    (before ? t->before_types : t->behind_types)[(*n)++] = (int32_t)type;
    return GAL_OK;
}

/* ["[CLS]", 101] */
static enum gal_status read_named(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                                  const char *key, bool before)
{
    const yyjson_val *m = gal_token_get(v, key);
    yyjson_val *id = yyjson_arr_get((yyjson_val *)m, 1);

    if (!yyjson_is_uint(id) || yyjson_get_uint(id) > INT32_MAX)
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, key),
                                "is not a token with its number");
    return put_special(r, before, (int64_t)yyjson_get_uint(id), 0, path);
}

static enum gal_status read_pair_of_specials(struct gal_token_reader *r, const yyjson_val *v,
                                             const char *path)
{
    enum gal_status st = gal_token_keys(r, v, path, "type sep cls trim_offsets add_prefix_space");

    if (st == GAL_OK)
        st = read_named(r, v, path, "cls", true);
    return st == GAL_OK ? read_named(r, v, path, "sep", false) : st;
}

/* The numbers that a special token of a template stands for. */
static enum gal_status read_special(struct gal_token_reader *r, const yyjson_val *root,
                                    struct gal_str name, size_t type, bool before, const char *path)
{
    yyjson_val *tokens = gal_token_get(root, "special_tokens");
    yyjson_val *ids = gal_token_get(yyjson_obj_getn(tokens, name.p, name.n), "ids");
    yyjson_arr_iter iter;
    yyjson_val *id;
    enum gal_status st = GAL_OK;

    if (name.p == NULL || !yyjson_is_arr(ids))
        return gal_token_refuse(r, GAL_INVALID, path, "'%.*s' is not among the special_tokens",
                                GAL_STR_SHOWN(name));
    yyjson_arr_iter_init(ids, &iter);
    while (st == GAL_OK && (id = yyjson_arr_iter_next(&iter)) != NULL) {
        if (!yyjson_is_uint(id) || yyjson_get_uint(id) > INT32_MAX)
            return gal_token_refuse(r, GAL_INVALID, path, "'%.*s' has no whole numbers",
                                    GAL_STR_SHOWN(name));
        st = put_special(r, before, (int64_t)yyjson_get_uint(id), type, path);
    }
    return st;
}

/* {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id": "A", "type_id"}} */
static enum gal_status read_piece(struct gal_token_reader *r, const yyjson_val *root,
                                  const yyjson_val *piece, const char *path, bool *seen)
{
    const yyjson_val *special = gal_token_get(piece, "SpecialToken");
    const yyjson_val *sequence = gal_token_get(piece, "Sequence");
    struct gal_str id = {NULL, 0};
    size_t type = 0;
    enum gal_status st = gal_token_keys(r, piece, path, "SpecialToken Sequence");

    if (st == GAL_OK)
        st = gal_token_keys(r, special != NULL ? special : sequence, path, "id type_id");
    if (st == GAL_OK)
        st = gal_token_text(r, special != NULL ? special : sequence, path, "id", &id);
    if (st == GAL_OK)
        st = gal_token_size(r, special != NULL ? special : sequence, path, "type_id", INT32_MAX,
                            &type);
    if (st != GAL_OK || special != NULL)
        return st == GAL_OK ? read_special(r, root, id, type, !*seen, path) : st;
    if (*seen || !gal_str_is(id, "A"))
        return gal_token_refuse(r, GAL_UNSUPPORTED, path, "is not the one sequence A");
    *seen = true;
    r->t->type = (int32_t)type;
    return GAL_OK;
}

static enum gal_status read_template(struct gal_token_reader *r, const yyjson_val *v,
                                     const char *path)
{
    const yyjson_val *list = gal_token_get(v, "single");
    const char *at = gal_token_path(r, path, "single");
    yyjson_arr_iter iter;
    yyjson_val *item;
    size_t i = 0;
    bool seen = false;
    enum gal_status st = gal_token_keys(r, v, path, "type single pair special_tokens");

    if (st == GAL_OK && !yyjson_is_arr((yyjson_val *)list))
        st = gal_token_refuse(r, GAL_INVALID, at, "is not a list");
    if (st != GAL_OK)
        return st;
    yyjson_arr_iter_init((yyjson_val *)list, &iter);
    while (st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL)
        st = read_piece(r, v, item, gal_token_item(r, at, i++), &seen);
    if (st == GAL_OK && !seen)
        st = gal_token_refuse(r, GAL_UNSUPPORTED, at, "has no sequence A");
    return st;
}

static enum gal_status read_one_post(struct gal_token_reader *r, const yyjson_val *v,
                                     const char *path, struct gal_str type)
{
    if (gal_str_is(type, "ByteLevel")) /* moves offsets only */
        return gal_token_keys(r, v, path, "type add_prefix_space trim_offsets use_regex");
    if (r->t->before_count + r->t->behind_count > 0)
        return gal_token_refuse(r, GAL_UNSUPPORTED, path, "is the second that adds tokens");
    if (gal_str_is(type, "BertProcessing") || gal_str_is(type, "RobertaProcessing"))
        return read_pair_of_specials(r, v, path);
    return gal_str_is(type, "TemplateProcessing") ? read_template(r, v, path)
                                                  : gal_token_refuse_type(r, path, type);
}

enum gal_status gal_token_read_post(struct gal_token_reader *r, // NOLINT(misc-no-recursion)
                                    const yyjson_val *v, const char *path)
{
    return gal_token_one_or_many(r, v, path, "processors", gal_token_read_post, read_one_post);
}
