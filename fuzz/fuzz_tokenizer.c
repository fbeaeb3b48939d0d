/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer.json, then "\n...\n" and a text: an error with a message, or rows of tokens that a
 * shorter row is the beginning of. A file that is no JSON is read as a vocab.txt. */
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gal_arena arena;

static enum gal_status tokens(struct gal_str file, struct gal_str text, size_t max_length,
                              struct gal_token_rows *rows, struct gal_err *err)
{
    const struct gal_tokenizer_options o = {.file = "f", .max_length = max_length};
    struct gal_tokenizer *t = NULL;
    enum gal_status st = file.n > 0 && file.p[0] == '{'
                             ? gal_tokenizer_read(file, &o, &arena, &t, err)
                             : gal_tokenizer_read_vocab(file, &o, &arena, &t, err);
    GAL_ASSERT((st == GAL_OK) == (t != NULL));
    if (st == GAL_OK)
        st = gal_token_rows_init(rows, t, 1, &arena, err);
    return st == GAL_OK ? gal_token_rows_add(rows, text, err) : st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memmem(data, size, "\n...\n", 5);
    size_t n = cut != NULL ? (size_t)(cut - data) : size, skip = cut != NULL ? n + 5 : size;
    struct gal_str file = {(const char *)data, n}, text = {(const char *)data + skip, size - skip};
    struct gal_token_rows whole, part;
    struct gal_err err;

    gal_arena_init(&arena, 4096, 0, 256u << 20);
    gal_err_clear(&err);
    if (tokens(file, text, (size_t)INT32_MAX, &whole, &err) == GAL_OK &&
        tokens(file, text, 40, &part, &err) == GAL_OK) {
        size_t length = gal_token_rows_length(&whole);
        GAL_ASSERT(length >= whole.count && part.count <= 40 && part.count <= whole.count);
    }
    GAL_ASSERT(err.code == GAL_OK || err.message[0] != '\0');
    gal_arena_release(&arena);
    return 0;
}
