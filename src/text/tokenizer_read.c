/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer.json as a whole: what each part of it may hold is in tokenizer_read_parts.c. */
#include "text/tokenizer_impl.h"

#include "base/limits.h"

#include <stdio.h>

/* --- errors, members --- */

enum gal_status gal_token_refuse(struct gal_token_reader *r, enum gal_status status,
                                 const char *path, const char *format, ...)
{
    char text[sizeof(r->err->message)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)gal_fail(r->err, status, "%s: %s", path, text);
    if (r->err != NULL)
        gal_err_place(r->err, "%s", r->options->file);
    return status;
}

enum gal_status gal_token_starved(struct gal_token_reader *r, size_t bytes)
{
    return gal_arena_fail(r->arena, bytes, "a tokenizer", r->err);
}

const char *gal_token_path(struct gal_token_reader *r, const char *path, const char *key)
{
    const char *out = gal_arena_printf(&r->temp, "%s.%s", path, key);

    return out != NULL ? out : path;
}

const char *gal_token_item(struct gal_token_reader *r, const char *path, size_t i)
{
    const char *out = gal_arena_printf(&r->temp, "%s[%zu]", path, i);

    return out != NULL ? out : path;
}

bool gal_token_absent(const yyjson_val *v)
{
    return v == NULL || yyjson_is_null((yyjson_val *)v);
}

yyjson_val *gal_token_get(const yyjson_val *v, const char *key)
{
    return yyjson_obj_get((yyjson_val *)v, key);
}

struct gal_str gal_token_str(const yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str((yyjson_val *)v), yyjson_get_len((yyjson_val *)v)};
}

static bool is_listed(struct gal_str key, const char *keys)
{
    struct gal_str rest = gal_str_of(keys), word;

    while (gal_str_cut(&rest, ' ', &word))
        if (gal_str_eq(word, key))
            return true;
    return false;
}

enum gal_status gal_token_keys(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *keys)
{
    yyjson_obj_iter iter;
    yyjson_val *key;

    if (!yyjson_is_obj((yyjson_val *)v))
        return gal_token_refuse(r, GAL_INVALID, path, "must be an object, not %s",
                                v != NULL ? gal_json_type_name(v) : "missing");
    yyjson_obj_iter_init((yyjson_val *)v, &iter);
    while ((key = yyjson_obj_iter_next(&iter)) != NULL)
        if (!is_listed(gal_token_str(key), keys))
            return gal_token_refuse(r, GAL_UNSUPPORTED, path, "'%.*s' is not supported",
                                    GAL_STR_SHOWN(gal_token_str(key)));
    return GAL_OK;
}

enum gal_status gal_token_flag(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, bool *out)
{
    const yyjson_val *m = gal_token_get(v, key);

    if (gal_token_absent(m))
        return GAL_OK;
    if (!yyjson_is_bool((yyjson_val *)m))
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, key),
                                "must be true or false, not %s", gal_json_type_name(m));
    *out = yyjson_get_bool((yyjson_val *)m);
    return GAL_OK;
}

enum gal_status gal_token_size(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, size_t max, size_t *out)
{
    const yyjson_val *m = gal_token_get(v, key);

    if (gal_token_absent(m))
        return GAL_OK;
    if (!yyjson_is_uint((yyjson_val *)m) || yyjson_get_uint((yyjson_val *)m) > max)
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, key),
                                "is not a whole number from 0 to %zu", max);
    *out = (size_t)yyjson_get_uint((yyjson_val *)m);
    return GAL_OK;
}

enum gal_status gal_token_text(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, struct gal_str *out)
{
    const yyjson_val *m = gal_token_get(v, key);

    if (gal_token_absent(m))
        return GAL_OK;
    if (!yyjson_is_str((yyjson_val *)m))
        return gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, key),
                                "must be a text, not %s", gal_json_type_name(m));
    *out = gal_token_str(m);
    return GAL_OK;
}

int32_t gal_token_id(const struct gal_tokenizer *t, struct gal_str token)
{
    int32_t id = gal_trie_get(&t->vocab, token);
    int32_t added;

    if (id != GAL_TRIE_NONE)
        return id;
    added = t->raw.node_count > 0 ? gal_trie_get(&t->raw, token) : GAL_TRIE_NONE;
    if (added == GAL_TRIE_NONE && t->normalized.node_count > 0)
        added = gal_trie_get(&t->normalized, token);
    return added != GAL_TRIE_NONE ? t->added[added].id : GAL_TRIE_NONE;
}

/* --- lengths --- */

static enum gal_status read_direction(struct gal_token_reader *r, const yyjson_val *v,
                                      const char *path, bool *left)
{
    struct gal_str text = GAL_STR("Right");
    enum gal_status st = gal_token_text(r, v, path, "direction", &text);

    *left = gal_str_is(text, "Left");
    if (st == GAL_OK && !*left && !gal_str_is(text, "Right"))
        st = gal_token_refuse(r, GAL_INVALID, gal_token_path(r, path, "direction"),
                              "is neither Left nor Right");
    return st;
}

static enum gal_status read_truncation(struct gal_token_reader *r, const yyjson_val *v)
{
    static const char path[] = "truncation";
    struct gal_str strategy = GAL_STR("LongestFirst");
    size_t stride = 0;
    enum gal_status st;

    if (gal_token_absent(v))
        return GAL_OK;
    st = gal_token_keys(r, v, path, "direction max_length strategy stride");
    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "max_length", INT32_MAX, &r->t->max_length);
    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "stride", INT32_MAX, &stride);
    if (st == GAL_OK)
        st = gal_token_text(r, v, path, "strategy", &strategy);
    if (st == GAL_OK && !gal_str_is(strategy, "LongestFirst") && !gal_str_is(strategy, "OnlyFirst"))
        st = gal_token_refuse(r, GAL_UNSUPPORTED, "truncation.strategy",
                              "'%.*s' is not supported for single texts", GAL_STR_SHOWN(strategy));
    if (st == GAL_OK && r->t->max_length == 0)
        st = gal_token_refuse(r, GAL_INVALID, "truncation.max_length", "is not more than 0");
    return st == GAL_OK ? read_direction(r, v, path, &r->t->cut_left) : st;
}

static enum gal_status read_strategy(struct gal_token_reader *r, const yyjson_val *v)
{
    const yyjson_val *s = gal_token_get(v, "strategy");

    if (gal_token_absent(s) ||
        (yyjson_is_str((yyjson_val *)s) && gal_str_is(gal_token_str(s), "BatchLongest")))
        return GAL_OK;
    if (!yyjson_is_obj((yyjson_val *)s))
        return gal_token_refuse(r, GAL_UNSUPPORTED, "padding.strategy",
                                "is neither BatchLongest nor {\"Fixed\": length}");
    enum gal_status st = gal_token_keys(r, s, "padding.strategy", "Fixed");
    return st == GAL_OK ? gal_token_size(r, s, "padding.strategy", "Fixed", GAL_TOKENIZE_LENGTH_MAX,
                                         &r->t->pad_length)
                        : st;
}

static enum gal_status read_padding(struct gal_token_reader *r, const yyjson_val *v)
{
    static const char path[] = "padding";
    size_t id = 0, type = 0;
    enum gal_status st;

    if (gal_token_absent(v))
        return GAL_OK;
    st = gal_token_keys(r, v, path,
                        "strategy direction pad_to_multiple_of pad_id pad_type_id pad_token");
    if (st == GAL_OK)
        st = read_strategy(r, v);
    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "pad_to_multiple_of", GAL_TOKENIZE_LENGTH_MAX,
                            &r->t->pad_multiple);
    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "pad_id", INT32_MAX, &id);
    if (st == GAL_OK)
        st = gal_token_size(r, v, path, "pad_type_id", INT32_MAX, &type);
    r->t->pad_id = (int32_t)id;
    r->t->pad_type = (int32_t)type;
    return st == GAL_OK ? read_direction(r, v, path, &r->t->pad_left) : st;
}

/* --- options over what the file says --- */

static enum gal_status take_pad_token(struct gal_token_reader *r, bool told)
{
    struct gal_str token = r->options->pad_token;
    int32_t id = GAL_TRIE_NONE;

    if (token.n > 0)
        id = gal_token_id(r->t, token);
    else if (told)
        return GAL_OK;
    else if ((id = gal_token_id(r->t, GAL_STR("[PAD]"))) == GAL_TRIE_NONE)
        id = gal_token_id(r->t, GAL_STR("<pad>"));
    if (id != GAL_TRIE_NONE) {
        r->t->pad_id = id;
        return GAL_OK;
    }
    if (token.n > 0)
        return gal_token_refuse(r, GAL_INVALID, "model.vocab", "has no pad_token '%.*s'",
                                GAL_STR_SHOWN(token));
    enum gal_status st = gal_token_refuse(r, GAL_INVALID, "padding",
                                          "is null, and the vocabulary has no [PAD] and no <pad>");
    if (r->err != NULL)
        gal_err_hint(r->err, "name the token that fills short rows: `pad_token`");
    return st;
}

static enum gal_status take_options(struct gal_token_reader *r, bool padding_told)
{
    const struct gal_tokenizer_options *o = r->options;
    struct gal_tokenizer *t = r->t;
    size_t specials = t->before_count + t->behind_count;

    if (o->max_length > 0)
        t->max_length = o->max_length;
    if (o->pad_length > 0)
        t->pad_length = o->pad_length;
    if (o->pad_multiple > 0)
        t->pad_multiple = o->pad_multiple;
    if (t->max_length > 0 && t->max_length < specials)
        return gal_token_refuse(r, GAL_INVALID, "truncation.max_length",
                                "%zu has no room for %zu special tokens", t->max_length, specials);
    return take_pad_token(r, padding_told);
}

/* --- the document --- */

static enum gal_status read_document(struct gal_token_reader *r, const yyjson_val *root)
{
    enum gal_status st = gal_token_keys(r, root, "tokenizer",
                                        "version truncation padding added_tokens normalizer "
                                        "pre_tokenizer post_processor decoder model");

    if (st == GAL_OK)
        st = gal_token_read_model(r, gal_token_get(root, "model"));
    if (st == GAL_OK)
        st = gal_token_read_normalizer(r, gal_token_get(root, "normalizer"), "normalizer");
    if (st == GAL_OK)
        st = gal_token_read_split(r, gal_token_get(root, "pre_tokenizer"), "pre_tokenizer");
    if (st == GAL_OK)
        st = gal_token_read_added(r, gal_token_get(root, "added_tokens"));
    if (st == GAL_OK)
        st = gal_token_read_post(r, gal_token_get(root, "post_processor"), "post_processor");
    if (st == GAL_OK)
        st = read_truncation(r, gal_token_get(root, "truncation"));
    if (st == GAL_OK)
        st = read_padding(r, gal_token_get(root, "padding"));
    return st == GAL_OK ? take_options(r, !gal_token_absent(gal_token_get(root, "padding"))) : st;
}

static enum gal_status begin(struct gal_token_reader *r, size_t bytes)
{
    r->t = gal_arena_alloc(r->arena, sizeof(*r->t));
    if (r->t == NULL)
        return gal_token_starved(r, sizeof(*r->t));
    memset(r->t, 0, sizeof(*r->t));
    return bytes <= GAL_TOKENIZER_BYTES_MAX
               ? GAL_OK
               : gal_token_refuse(r, GAL_TOO_LARGE, "tokenizer", "more than %u bytes",
                                  GAL_TOKENIZER_BYTES_MAX);
}

enum gal_status gal_tokenizer_read(struct gal_str json, const struct gal_tokenizer_options *o,
                                   struct gal_arena *arena, struct gal_tokenizer **out,
                                   struct gal_err *err)
{
    struct gal_token_reader r = {.options = o, .arena = arena, .err = err};
    yyjson_val *root = NULL;
    enum gal_status st = begin(&r, json.n);

    gal_arena_init(&r.temp, 65536, 0, GAL_TOKENIZER_ARENA_MAX);
    if (st == GAL_OK)
        st = gal_json_read(json, &r.temp, GAL_JSON_DEPTH_MAX, &root, err);
    if (st == GAL_INVALID && root == NULL && err != NULL) {
        char at[sizeof(err->place)];

        (void)snprintf(at, sizeof(at), "%s", err->place);
        gal_err_place(err, "%s:%s", o->file, at);
    }
    if (st == GAL_OK)
        st = read_document(&r, root);
    gal_arena_release(&r.temp);
    *out = st == GAL_OK ? r.t : NULL;
    return st;
}

/* --- vocab.txt --- */

static enum gal_status read_lines(struct gal_token_reader *r, struct gal_str lines)
{
    struct gal_trie vocab;
    struct gal_str rest = lines, line;
    int32_t n = 0;
    enum gal_status st = gal_trie_init(&vocab, lines.n, &r->temp, r->err);

    while (st == GAL_OK && gal_str_cut(&rest, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0 && rest.n == 0)
            break; /* behind the last line's end */
        gal_trie_set(&vocab, line, n++);
    }
    if (st == GAL_OK && !gal_utf8_valid(lines))
        st = gal_token_refuse(r, GAL_INVALID, "vocabulary", "is no valid UTF-8");
    return st == GAL_OK ? gal_trie_copy(&vocab, r->arena, &r->t->vocab, r->err) : st;
}

/* Tokens that BERT's vocabularies have, as they stand in a text or around it. */
static enum gal_status take_specials(struct gal_token_reader *r)
{
    static const char *const names[] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    struct gal_tokenizer *t = r->t;
    struct gal_added *added = gal_arena_array(r->arena, 5, sizeof(*added));
    struct gal_trie raw;
    enum gal_status st = gal_trie_init(&raw, 64, &r->temp, r->err);

    if (added == NULL)
        return gal_token_starved(r, 5 * sizeof(*added));
    for (size_t i = 0; st == GAL_OK && i < 5; i++) {
        int32_t id = gal_trie_get(&t->vocab, gal_str_of(names[i]));

        if (id == GAL_TRIE_NONE && i < 4)
            return gal_token_refuse(r, GAL_INVALID, "vocabulary", "has no line %s", names[i]);
        if (id == GAL_TRIE_NONE)
            continue;
        added[t->added_count] = (struct gal_added){.id = id};
        gal_trie_set(&raw, gal_str_of(names[i]), (int32_t)t->added_count++);
    }
    t->added = added;
    return st == GAL_OK ? gal_trie_copy(&raw, r->arena, &t->raw, r->err) : st;
}

enum gal_status gal_tokenizer_read_vocab(struct gal_str lines,
                                         const struct gal_tokenizer_options *o,
                                         struct gal_arena *arena, struct gal_tokenizer **out,
                                         struct gal_err *err)
{
    struct gal_token_reader r = {.options = o, .arena = arena, .err = err};
    enum gal_status st = begin(&r, lines.n);
    struct gal_tokenizer *t = r.t;

    gal_arena_init(&r.temp, 65536, 0, GAL_TOKENIZER_ARENA_MAX);
    if (st == GAL_OK)
        st = read_lines(&r, lines);
    if (st == GAL_OK)
        st = take_specials(&r);
    if (st == GAL_OK) {
        t->normals[t->normal_count++] = (struct gal_normal){.kind = GAL_NORMAL_BERT,
                                                            .clean = true,
                                                            .cjk = true,
                                                            .accents = !o->keep_case,
                                                            .lower = !o->keep_case};
        t->splits[t->split_count++] = (struct gal_split){.kind = GAL_SPLIT_BERT};
        t->wordpiece = (struct gal_wordpiece){gal_trie_walk(&t->vocab, 0, GAL_STR("##")),
                                              gal_trie_get(&t->vocab, GAL_STR("[UNK]")), 100};
        t->before[t->before_count++] = gal_trie_get(&t->vocab, GAL_STR("[CLS]"));
        t->behind[t->behind_count++] = gal_trie_get(&t->vocab, GAL_STR("[SEP]"));
        st = take_options(&r, false);
    }
    gal_arena_release(&r.temp);
    *out = st == GAL_OK ? t : NULL;
    return st;
}
