/* SPDX-License-Identifier: Apache-2.0 */
/* Texts to numbers of tokens, as a Hugging Face tokenizer.json says, or a vocab.txt of BERT's:
 * what the library `tokenizers` gives for the same file, id by id. A text is normalized, split,
 * looked up in the vocabulary, cut at the longest length and put between special tokens.
 *
 *   normalizers     BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, StripAccents, Strip, Prepend,
 *                   Replace (of a text), Precompiled, Sequence
 *   pre_tokenizers  BertPreTokenizer, ByteLevel, Metaspace, Punctuation (isolated), Whitespace,
 *                   WhitespaceSplit, Sequence
 *   models          WordPiece, BPE, Unigram
 *   post_processors BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel, Sequence
 *
 * Whatever else stands in the file is refused with its JSON path: what is passed over silently
 * would change embeddings. A tokenizer is immutable, in its arena: any thread. Time is linear in
 * the text for a given vocabulary (BPE: n log n), whatever the text. */
#ifndef GAL_TEXT_TOKENIZER_H
#define GAL_TEXT_TOKENIZER_H

#include "base/arena.h"

struct gal_tokenizer;

struct gal_tokenizer_options {
    const char *file;         /* its name, for places of errors */
    size_t max_length;        /* tokens of a text, special ones too; 0: as the file says */
    size_t pad_length;        /* every row is as long; 0: as the file says, or the longest's */
    size_t pad_multiple;      /* lengths are multiples of it; 0: as the file says */
    struct gal_str pad_token; /* empty: as the file says, else [PAD] or <pad> */
    bool keep_case;           /* of a vocab.txt: neither lower case nor accents taken off */
};

/* INVALID or UNSUPPORTED, with the JSON path in the message and the file as place. The tokenizer
 * lies in the arena; the text may go. */
enum gal_status gal_tokenizer_read(struct gal_str json, const struct gal_tokenizer_options *o,
                                   struct gal_arena *arena, struct gal_tokenizer **out,
                                   struct gal_err *err);
/* The same of a list of tokens, a line each, whose numbers are their lines': WordPiece as BERT has
 * it, [CLS] before and [SEP] behind. */
enum gal_status gal_tokenizer_read_vocab(struct gal_str lines,
                                         const struct gal_tokenizer_options *o,
                                         struct gal_arena *arena, struct gal_tokenizer **out,
                                         struct gal_err *err);

/* Rows of tokens as they are collected: numbers of all rows behind each other, without special
 * tokens and padding. Memory is the arena's; what is worked in is used again from text to text. */
struct gal_token_work;
struct gal_token_rows {
    const struct gal_tokenizer *tokenizer;
    struct gal_arena *arena;
    int32_t *ids;
    size_t count, room;
    size_t *ends; /* of row i in ids */
    size_t row_count;
    struct gal_token_work *work;
};
/* Room for `rows` rows. */
enum gal_status gal_token_rows_init(struct gal_token_rows *r, const struct gal_tokenizer *t,
                                    size_t rows, struct gal_arena *arena, struct gal_err *err);
/* One text more, up to the rows that were told. INVALID: no UTF-8; TOO_LARGE: more than
 * GAL_TOKENIZE_TEXT_BYTES_MAX. */
enum gal_status gal_token_rows_add(struct gal_token_rows *r, struct gal_str text,
                                   struct gal_err *err);
/* Tokens of the longest row, padded as the tokenizer is told. */
size_t gal_token_rows_length(const struct gal_token_rows *r);
/* Row i with special tokens, padded to `length`: ids, 1 for a token and 0 for padding, type ids. */
void gal_token_rows_put(const struct gal_token_rows *r, size_t row, size_t length, int64_t *ids,
                        int64_t *mask, int64_t *types);

#endif
