/* SPDX-License-Identifier: Apache-2.0 */
/* The normalizer and the pre_tokenizer of a tokenizer.json. Sequences may hold sequences; the
 * document's depth is bounded. */
#include "text/tokenizer_impl.h"

#include "base/base64.h"
#include "text/unicode.h"

#include <stdio.h>

enum gal_status gal_token_type(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               struct gal_str *type)
{
    *type = (struct gal_str){NULL, 0};
    if (!yyjson_is_obj((yyjson_val *)v))
        return gal_token_refuse(r, GAL_INVALID, path, "must be an object, not %s",
                                gal_json_type_name(v));
    return gal_token_text(r, v, path, "type", type);
}

enum gal_status gal_token_refuse_type(struct gal_token_reader *r, const char *path,
                                      struct gal_str type)
{
    return gal_token_refuse(r, GAL_UNSUPPORTED, gal_token_path(r, path, "type"),
                            "'%.*s' is not supported", GAL_STR_SHOWN(type));
}

static enum gal_status each( // NOLINT(misc-no-recursion)
    struct gal_token_reader *r, const yyjson_val *v, const char *path, const char *key,
    enum gal_status (*read)(struct gal_token_reader *r, const yyjson_val *v, const char *path))
{
    const yyjson_val *list = gal_token_get(v, key);
    const char *at = gal_token_path(r, path, key);
    yyjson_arr_iter iter;
    yyjson_val *item;
    size_t i = 0;
    enum gal_status st = GAL_OK;

    if (!yyjson_is_arr((yyjson_val *)list))
        return gal_token_refuse(r, GAL_INVALID, at, "is not a list");
    yyjson_arr_iter_init((yyjson_val *)list, &iter);
    while (st == GAL_OK && (item = yyjson_arr_iter_next(&iter)) != NULL)
        st = read(r, item, gal_token_item(r, at, i++));
    return st;
}

enum gal_status gal_token_one_or_many( // NOLINT(misc-no-recursion)
    struct gal_token_reader *r, const yyjson_val *v, const char *path, const char *list,
    enum gal_status (*self)(struct gal_token_reader *r, const yyjson_val *v, const char *path),
    enum gal_status (*one)(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                           struct gal_str type))
{
    struct gal_str type;
    char keys[32];
    enum gal_status st;

    if (gal_token_absent(v))
        return GAL_OK;
    st = gal_token_type(r, v, path, &type);
    if (st != GAL_OK)
        return st;
    if (!gal_str_is(type, "Sequence"))
        return one(r, v, path, type);
    (void)snprintf(keys, sizeof(keys), "type %s", list);
    st = gal_token_keys(r, v, path, keys);
    return st == GAL_OK ? each(r, v, path, list, self) : st;
}

/* --- normalizer --- */

enum gal_status gal_token_add_normal(struct gal_token_reader *r, const struct gal_normal *n,
                                     const char *path)
{
    if (r->t->normal_count == GAL_TOKEN_OPS_MAX)
        return gal_token_refuse(r, GAL_UNSUPPORTED, path, "more than %u operations",
                                GAL_TOKEN_OPS_MAX);
    r->t->normals[r->t->normal_count++] = *n;
    return GAL_OK;
}

static enum gal_status points_of(struct gal_token_reader *r, struct gal_str s, const uint32_t **out,
                                 size_t *count)
{
    uint32_t *p = gal_arena_array(r->arena, s.n + 1, sizeof(*p));

    if (p == NULL)
        return gal_token_starved(r, s.n * sizeof(*p));
    *count = 0;
    for (size_t i = 0, bytes; i < s.n; i += bytes)
        p[(*count)++] = gal_utf8_take(s.p + i, s.n - i, &bytes);
    *out = p;
    return GAL_OK;
}

static enum gal_status read_bert(struct gal_token_reader *r, const yyjson_val *v, const char *path)
{
    struct gal_normal n = {.kind = GAL_NORMAL_BERT, .clean = true, .cjk = true, .lower = true};
    enum gal_status st =
        gal_token_keys(r, v, path, "type clean_text handle_chinese_chars strip_accents lowercase");

    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "clean_text", &n.clean);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "handle_chinese_chars", &n.cjk);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "lowercase", &n.lower);
    n.accents = n.lower;
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "strip_accents", &n.accents);
    return st == GAL_OK ? gal_token_add_normal(r, &n, path) : st;
}

static enum gal_status read_strip(struct gal_token_reader *r, const yyjson_val *v, const char *path)
{
    struct gal_normal n = {.kind = GAL_NORMAL_STRIP, .left = true, .right = true};
    enum gal_status st = gal_token_keys(r, v, path, "type strip_left strip_right");

    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "strip_left", &n.left);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "strip_right", &n.right);
    return st == GAL_OK ? gal_token_add_normal(r, &n, path) : st;
}

static enum gal_status read_prepend(struct gal_token_reader *r, const yyjson_val *v,
                                    const char *path)
{
    struct gal_normal n = {.kind = GAL_NORMAL_PREPEND};
    struct gal_str text = {NULL, 0};
    enum gal_status st = gal_token_keys(r, v, path, "type prepend");

    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "prepend", &text);
    if (st == GAL_OK)
        st = points_of(r, text, &n.to, &n.to_count);
    return st == GAL_OK ? gal_token_add_normal(r, &n, path) : st;
}

static enum gal_status read_replace(struct gal_token_reader *r, const yyjson_val *v,
                                    const char *path)
{
    struct gal_normal n = {.kind = GAL_NORMAL_REPLACE};
    struct gal_str from = {NULL, 0}, to = {NULL, 0};
    const yyjson_val *pattern = gal_token_get(v, "pattern");
    const char *at = gal_token_path(r, path, "pattern");
    enum gal_status st = gal_token_keys(r, v, path, "type pattern content");

    if (st == GAL_OK)
        st = gal_token_keys(r, pattern, at, "String");
    if (st == GAL_OK)
        st = gal_token_text(r, pattern, at, "String", &from);
    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "content", &to);
    if (st == GAL_OK && from.n == 0)
        st = gal_token_refuse(r, GAL_INVALID, at, "is empty");
    if (st == GAL_OK)
        st = points_of(r, from, &n.from, &n.from_count);
    if (st == GAL_OK)
        st = points_of(r, to, &n.to, &n.to_count);
    return st == GAL_OK ? gal_token_add_normal(r, &n, path) : st;
}

/* SentencePiece's own table. */
static enum gal_status read_precompiled(struct gal_token_reader *r, const yyjson_val *v,
                                        const char *path)
{
    struct gal_normal n = {.kind = GAL_NORMAL_CHARSMAP};
    const char *at = gal_token_path(r, path, "precompiled_charsmap");
    struct gal_str text = {NULL, 0}, bytes;
    struct gal_err why;
    enum gal_status st = gal_token_keys(r, v, path, "type precompiled_charsmap");

    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "precompiled_charsmap", &text);
    if (st == GAL_OK && text.n == 0)
        return GAL_OK; /* none: texts stay as they are */
    gal_err_clear(&why);
    if (st == GAL_OK) {
        st = gal_base64_decode(text, r->arena, &bytes, &why);
        if (st == GAL_OK)
            st = gal_charsmap_open(bytes, &n.charsmap, &why);
        if (st != GAL_OK)
            return gal_token_refuse(r, st, at, "%s", why.message);
    }
    return st == GAL_OK ? gal_token_add_normal(r, &n, path) : st;
}

/* Those without settings: one or two operations. */
static enum gal_status read_plain(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                                  struct gal_str type)
{
    struct gal_normal n = {.kind = GAL_NORMAL_DECOMPOSE};
    bool composes = gal_str_is(type, "NFC") || gal_str_is(type, "NFKC");
    enum gal_status st = gal_token_keys(r, v, path, "type");

    n.compatible = gal_str_is(type, "NFKC") || gal_str_is(type, "NFKD");
    if (gal_str_is(type, "Lowercase"))
        n.kind = GAL_NORMAL_LOWER;
    else if (gal_str_is(type, "StripAccents"))
        n.kind = GAL_NORMAL_ACCENTS;
    else if (!composes && !n.compatible && !gal_str_is(type, "NFD"))
        return gal_token_refuse_type(r, path, type);
    if (st == GAL_OK)
        st = gal_token_add_normal(r, &n, path);
    n.kind = GAL_NORMAL_COMPOSE;
    return st == GAL_OK && composes ? gal_token_add_normal(r, &n, path) : st;
}

static enum gal_status read_one_normalizer(struct gal_token_reader *r, const yyjson_val *v,
                                           const char *path, struct gal_str type)
{
    if (gal_str_is(type, "BertNormalizer"))
        return read_bert(r, v, path);
    if (gal_str_is(type, "Strip"))
        return read_strip(r, v, path);
    if (gal_str_is(type, "Precompiled"))
        return read_precompiled(r, v, path);
    if (gal_str_is(type, "Prepend"))
        return read_prepend(r, v, path);
    return gal_str_is(type, "Replace") ? read_replace(r, v, path) : read_plain(r, v, path, type);
}

enum gal_status gal_token_read_normalizer(struct gal_token_reader *r, // NOLINT(misc-no-recursion)
                                          const yyjson_val *v, const char *path)
{
    return gal_token_one_or_many(r, v, path, "normalizers", gal_token_read_normalizer,
                                 read_one_normalizer);
}

/* --- pre_tokenizer --- */

enum gal_status gal_token_add_split(struct gal_token_reader *r, const struct gal_split *s,
                                    const char *path)
{
    if (r->t->split_count == GAL_TOKEN_OPS_MAX)
        return gal_token_refuse(r, GAL_UNSUPPORTED, path, "more than %u operations",
                                GAL_TOKEN_OPS_MAX);
    for (size_t i = 0; i < r->t->split_count; i++)
        if (s->kind == GAL_SPLIT_BYTES && r->t->splits[i].kind == GAL_SPLIT_BYTES)
            return gal_token_refuse(r, GAL_UNSUPPORTED, path, "is the second ByteLevel");
    r->t->splits[r->t->split_count++] = *s;
    return GAL_OK;
}

static enum gal_status read_byte_level(struct gal_token_reader *r, const yyjson_val *v,
                                       const char *path)
{
    struct gal_split s = {.kind = GAL_SPLIT_BYTES, .prefix = true, .cut = true};
    enum gal_status st = gal_token_keys(r, v, path, "type add_prefix_space trim_offsets use_regex");

    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "add_prefix_space", &s.prefix);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "use_regex", &s.cut);
    return st == GAL_OK ? gal_token_add_split(r, &s, path) : st;
}

static enum gal_status read_metaspace(struct gal_token_reader *r, const yyjson_val *v,
                                      const char *path)
{
    struct gal_split s = {.kind = GAL_SPLIT_METASPACE, .cut = true};
    struct gal_str mark = GAL_STR("\xe2\x96\x81"), scheme = GAL_STR("always");
    char *copy;
    bool space = true; /* what older files say in place of the scheme */
    enum gal_status st = gal_token_keys(
        r, v, path, "type replacement prepend_scheme split str_rep add_prefix_space");

    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "replacement", &mark);
    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "prepend_scheme", &scheme);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "split", &s.cut);
    if (st == GAL_OK)
        st = gal_token_flag(r, v, path, "add_prefix_space", &space);
    if (st == GAL_OK && !space && !gal_str_is(scheme, "never"))
        st = gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "add_prefix_space"),
                              "is false, and prepend_scheme is not never");
    if (st == GAL_OK && (mark.n == 0 || gal_utf8_next(mark.p, mark.n) != mark.n))
        st = gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "replacement"),
                              "is not one character");
    s.prefix = gal_str_is(scheme, "always");
    s.prefix_first = gal_str_is(scheme, "first");
    if (st == GAL_OK && !s.prefix && !s.prefix_first && !gal_str_is(scheme, "never"))
        st = gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "prepend_scheme"),
                              "is none of always, first, never");
    if (st != GAL_OK)
        return st;
    copy = gal_arena_strdup(r->arena, mark);
    if (copy == NULL)
        return gal_token_starved(r, mark.n);
    s.mark = (struct gal_str){copy, mark.n};
    return gal_token_add_split(r, &s, path);
}

static enum gal_status read_classes(struct gal_token_reader *r, const yyjson_val *v,
                                    const char *path, struct gal_str type)
{
    struct gal_split s = {.kind = GAL_SPLIT_BERT};
    struct gal_str behaviour = GAL_STR("Isolated");
    bool punctuation = gal_str_is(type, "Punctuation");
    enum gal_status st;

    if (gal_str_is(type, "Whitespace"))
        s.kind = GAL_SPLIT_WHITESPACE;
    else if (gal_str_is(type, "WhitespaceSplit"))
        s.kind = GAL_SPLIT_WHITESPACE_ALONE;
    else if (punctuation)
        s.kind = GAL_SPLIT_PUNCTUATION;
    else if (!gal_str_is(type, "BertPreTokenizer"))
        return gal_token_refuse_type(r, path, type);
    st = gal_token_keys(r, v, path, punctuation ? "type behavior" : "type");
    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "behavior", &behaviour);
    if (st == GAL_OK && !gal_str_is(behaviour, "Isolated"))
        st = gal_token_refuse(r, GAL_UNSUPPORTED, gal_token_path(r, path, "behavior"),
                              "'%.*s' is not supported", GAL_STR_SHOWN(behaviour));
    return st == GAL_OK ? gal_token_add_split(r, &s, path) : st;
}

static enum gal_status read_one_split(struct gal_token_reader *r, const yyjson_val *v,
                                      const char *path, struct gal_str type)
{
    if (gal_str_is(type, "ByteLevel"))
        return read_byte_level(r, v, path);
    return gal_str_is(type, "Metaspace") ? read_metaspace(r, v, path)
                                         : read_classes(r, v, path, type);
}

enum gal_status gal_token_read_split(struct gal_token_reader *r, // NOLINT(misc-no-recursion)
                                     const yyjson_val *v, const char *path)
{
    return gal_token_one_or_many(r, v, path, "pretokenizers", gal_token_read_split, read_one_split);
}
