/* SPDX-License-Identifier: Apache-2.0 */
/* A text through one tokenizer of each kind: tokens that the vocabulary has, and of a row that is
 * cut the first ones of the whole. */
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS                                                                                      \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"a\":2,\"##a\":3,\"\xc3\xa9\":4,\"'\":5,\"un\":6}"
#define ADDED                                                                                      \
    "\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\",\"special\":true,\"lstrip\":true},{\"id\":" \
    "7,\"content\":\"new York\",\"single_word\":true,\"rstrip\":true}],"
#define PIECES                                                                                     \
    "{" ADDED "\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"          \
    "\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"," WORDS "}}"
#define PAIRS                                                                                      \
    "{" ADDED "\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"     \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"[UNK]\"," WORDS ",\"merges\":[]}}"
#define SCORES                                                                                     \
    "{\"normalizer\":{\"type\":\"NFD\"},\"pre_tokenizer\":{\"type\":\"Metaspace\"},\"model\":{"    \
    "\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<pad>\",0],[\"a\",-1],[\"aa\",-1.5]]}}"
static const char *const files[] = {PIECES, PAIRS, SCORES};

static struct gal_token_rows run(const char *file, size_t most, struct gal_str text,
                                 struct gal_arena *arena)
{
    const struct gal_tokenizer_options o = {.file = "f", .max_length = most};
    struct gal_token_rows rows = {.count = 0};
    struct gal_tokenizer *t;
    struct gal_err err;

    GAL_ASSERT(gal_tokenizer_read(gal_str_of(file), &o, arena, &t, &err) == GAL_OK);
    GAL_ASSERT(gal_token_rows_init(&rows, t, 1, arena, &err) == GAL_OK);
    enum gal_status st = gal_token_rows_add(&rows, text, &err);
    GAL_ASSERT(st == GAL_OK || (rows.row_count == 0 && err.message[0] != '\0'));
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str text = {(const char *)data, size};

    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        struct gal_arena arena;

        gal_arena_init(&arena, 4096, 0, 256u << 20);
        struct gal_token_rows whole = run(files[f], 0, text, &arena);
        struct gal_token_rows part = run(files[f], 3, text, &arena);
        GAL_ASSERT(part.row_count == whole.row_count);
        for (size_t i = 0; i < whole.count && whole.row_count > 0; i++)
            GAL_ASSERT(whole.ids[i] >= 0 && whole.ids[i] <= 7 &&
                       (i >= 3 || part.ids[i] == whole.ids[i]));
        gal_arena_release(&arena);
    }
    return 0;
}
