/* SPDX-License-Identifier: Apache-2.0 */
/* The step tokenize: texts to the numbers, the mask and the type numbers that language models take,
 * by a tokenizer.json or vocab.txt of the package. Rows are as long as the longest of the batch. */
#include "base/limits.h"
#include "package/step_impl.h"

#include "text/tokenizer.h"

struct tokenize {
    struct gal_tokenizer *tokenizer;
    size_t types; /* the third column's slot */
};

static enum gal_status refuse_row(const struct gal_step *s, struct gal_step_run *r, size_t row,
                                  enum gal_status st, const struct gal_err *why)
{
    if (st != GAL_INVALID && st != GAL_TOO_LARGE)
        return gal_fail(r->err, st, "%s", why->message);
    (void)gal_step_fail_at(r, s->in, row, "%s", why->message);
    if (r->err != NULL)
        r->err->code = st;
    return st;
}

static enum gal_status run_tokenize(const struct gal_step *s, struct gal_step_run *r)
{
    const struct tokenize *k = s->state;
    const struct gal_str *texts = gal_step_in(r, s->in)->data;
    struct gal_token_rows rows;
    int64_t shape[2] = {(int64_t)r->rows, 0}, *ids, *mask, *types;
    const struct gal_tensor like = {.rank = 2, .shape = shape};
    size_t length;
    enum gal_status st = gal_token_rows_init(&rows, k->tokenizer, r->rows, r->arena, r->err);

    for (size_t i = 0; st == GAL_OK && i < r->rows; i++) {
        struct gal_err why;

        gal_err_clear(&why);
        st = gal_token_rows_add(&rows, texts[i], &why);
        if (st != GAL_OK)
            return refuse_row(s, r, i, st, &why);
    }
    if (st != GAL_OK)
        return st;
    length = gal_token_rows_length(&rows);
    shape[1] = (int64_t)length;
    ids = gal_step_out(r, s->out, &like);
    mask = ids != NULL ? gal_step_out(r, s->out_more, &like) : NULL;
    types = mask != NULL ? gal_step_out(r, k->types, &like) : NULL;
    if (types == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; i < r->rows; i++)
        gal_token_rows_put(&rows, i, length, ids + i * length, mask + i * length,
                           types + i * length);
    return GAL_OK;
}

static enum gal_status read_length(struct gal_step_compiler *c, const char *name, size_t *out)
{
    int64_t v;

    if (!gal_step_integer(c, name, &v))
        return GAL_OK;
    if (v < 1 || v > GAL_TOKENIZE_LENGTH_MAX)
        return gal_step_refuse(c, gal_step_line(c, name), "tokenize: `%s` is from 1 to %u tokens",
                               name, GAL_TOKENIZE_LENGTH_MAX);
    *out = (size_t)v;
    return GAL_OK;
}

static enum gal_status read_tokenizer(struct gal_step_compiler *c, struct tokenize *k)
{
    struct gal_tokenizer_options o = {0};
    struct gal_str file = {NULL, 0}, bytes;
    enum gal_status st = read_length(c, "max_length", &o.max_length);

    gal_step_text(c, "file", &file);
    gal_step_text(c, "pad_token", &o.pad_token);
    gal_step_bool(c, "cased", &o.keep_case);
    if (st == GAL_OK)
        st = read_length(c, "length", &o.pad_length);
    if (st == GAL_OK)
        st = read_length(c, "multiple", &o.pad_multiple);
    if (st == GAL_OK && gal_step_get(c, "cased") != NULL && !gal_str_ends(file, GAL_STR(".txt")))
        st =
            gal_step_refuse(c, gal_step_line(c, "cased"),
                            "tokenize: `cased` is of a vocab.txt; a tokenizer.json says it itself");
    if (st != GAL_OK)
        return st;
    if (c->context->file == NULL)
        return gal_step_refuse(c, c->line, "tokenize reads a file, and there is no package");
    st = c->context->file(file, &bytes, c->context->ctx, c->err);
    if (st == GAL_NOT_FOUND)
        return gal_step_refuse(c, gal_step_line(c, "file"),
                               "tokenize: the package holds no file %.*s", GAL_STR_SHOWN(file));
    o.file = gal_arena_strdup(c->arena, file);
    if (o.file == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st != GAL_OK)
        return st;
    return gal_str_ends(file, GAL_STR(".txt"))
               ? gal_tokenizer_read_vocab(bytes, &o, c->arena, &k->tokenizer, c->err)
               : gal_tokenizer_read(bytes, &o, c->arena, &k->tokenizer, c->err);
}

enum gal_status gal_step_make_tokenize(struct gal_step_compiler *c)
{
    static const char *const keys[] = {"ids", "mask", "types"};
    static const char *const untold[] = {"input_ids", "attention_mask", "token_type_ids"};
    static const int64_t open = -1;
    struct tokenize *k = gal_arena_small(c->arena, sizeof(*k));
    struct gal_step step = {.run = run_tokenize, .state = k};
    size_t *slots[3];
    enum gal_status st = gal_step_source(c, &step.in);

    if (k == NULL)
        return gal_step_no_memory(c->arena, c->err);
    if (st == GAL_OK)
        st = gal_step_want_text(c, step.in);
    if (st == GAL_OK)
        st = gal_step_want_single(c, step.in);
    if (st == GAL_OK)
        st = read_tokenizer(c, k);
    c->pads = true;
    slots[0] = &step.out;
    slots[1] = &step.out_more;
    slots[2] = &k->types;
    for (size_t i = 0; st == GAL_OK && i < 3; i++) {
        struct gal_column column = {
            .name = gal_str_of(untold[i]), .dtype = GAL_DT_INT64, .rank = 1, .shape = &open};

        gal_step_text(c, keys[i], &column.name);
        st = gal_step_make(c, &column, slots[i]);
    }
    return st == GAL_OK ? gal_step_add(c, &step) : st;
}
