/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of text/tokenizer share. A text goes span by span (what lies between added
 * tokens): normalized to code points and back to UTF-8, split by one operation after the other,
 * each piece given to the model, whose numbers go into the rows. */
#ifndef GAL_TEXT_TOKENIZER_IMPL_H
#define GAL_TEXT_TOKENIZER_IMPL_H

#include "text/json.h"
#include "text/token_charsmap.h"
#include "text/token_trie.h"
#include "text/tokenizer.h"

#define GAL_TOKEN_OPS_MAX 16u      /* normalizers, and pre-tokenizers, of a file */
#define GAL_TOKEN_SPECIALS_MAX 16u /* before, and behind, a text */
#define GAL_TOKEN_ADDED_BYTES_MAX 128u
#define GAL_TOKEN_ADDED_MAX 16384u
#define GAL_WORD_CHARS_MAX                                                                         \
    1000u /* max_input_chars_per_word: a word's work grows with its square                         \
           */

enum gal_normal_kind {
    GAL_NORMAL_BERT,
    GAL_NORMAL_LOWER,
    GAL_NORMAL_COMPOSE,   /* after one of the decompositions */
    GAL_NORMAL_DECOMPOSE, /* canonical, or compatible */
    GAL_NORMAL_ACCENTS,
    GAL_NORMAL_STRIP,
    GAL_NORMAL_PREPEND,
    GAL_NORMAL_REPLACE,
    GAL_NORMAL_CHARSMAP,
};
struct gal_normal {
    enum gal_normal_kind kind;
    bool clean, cjk, accents, lower; /* BERT */
    bool compatible;                 /* DECOMPOSE */
    bool left, right;                /* STRIP */
    const uint32_t *from, *to;       /* REPLACE; PREPEND has only `to` */
    size_t from_count, to_count;
    struct gal_charsmap charsmap;
};

enum gal_split_kind {
    GAL_SPLIT_BERT,
    GAL_SPLIT_WHITESPACE,       /* words, and runs of what is neither word nor space */
    GAL_SPLIT_WHITESPACE_ALONE, /* what lies between white space */
    GAL_SPLIT_PUNCTUATION,
    GAL_SPLIT_BYTES,
    GAL_SPLIT_METASPACE,
};
struct gal_split {
    enum gal_split_kind kind;
    bool prefix;       /* BYTES: a space before; METASPACE: a mark before */
    bool prefix_first; /* METASPACE: only at the text's beginning */
    bool cut;          /* BYTES: by GPT-2's expression; METASPACE: before each mark */
    struct gal_str mark;
};

struct gal_added {
    int32_t id;
    bool single_word, lstrip, rstrip;
};

struct gal_merge {
    uint64_t pair; /* left and right; UINT64_MAX: the place is free */
    uint32_t rank;
    int32_t id;
};

struct gal_wordpiece {
    uint32_t prefix; /* node of "##" in the vocabulary; UINT32_MAX: nothing goes on a word */
    int32_t unknown;
    size_t chars_max;
};
struct gal_bpe {
    struct gal_merge *merges;
    uint32_t mask;
    unsigned shift;
    uint64_t seed;
    int32_t unknown; /* GAL_TRIE_NONE: what is unknown is left out */
    bool fuse_unknown, ignore_merges;
};
struct gal_unigram {
    const double *scores; /* by id */
    int32_t unknown;      /* GAL_TRIE_NONE */
    double unknown_score;
};

struct gal_tokenizer {
    struct gal_normal normals[GAL_TOKEN_OPS_MAX];
    size_t normal_count;
    struct gal_split splits[GAL_TOKEN_OPS_MAX];
    size_t split_count;
    struct gal_trie vocab;
    size_t vocab_count; /* tokens */
    enum gal_token_model_kind { GAL_MODEL_WORDPIECE, GAL_MODEL_BPE, GAL_MODEL_UNIGRAM } model;
    union {
        struct gal_wordpiece wordpiece;
        struct gal_bpe bpe;
        struct gal_unigram unigram;
    };
    const struct gal_added *added; /* the tries' values are their indexes */
    size_t added_count;
    struct gal_trie raw, normalized; /* added tokens: looked for before, and behind, normalizing */
    int32_t before[GAL_TOKEN_SPECIALS_MAX], behind[GAL_TOKEN_SPECIALS_MAX];
    int32_t before_types[GAL_TOKEN_SPECIALS_MAX], behind_types[GAL_TOKEN_SPECIALS_MAX];
    size_t before_count, behind_count;
    int32_t type;        /* of the text's own tokens */
    size_t max_length;   /* 0: none */
    bool cut_left;       /* the end is kept */
    size_t pad_length;   /* 0: the longest's */
    size_t pad_multiple; /* 0: any */
    bool pad_left;
    int32_t pad_id, pad_type;
};

/* A run of memory that grows in an arena and is used again. */
struct gal_token_memory {
    void *p;
    size_t bytes;
};
/* At least `bytes` of it; what was in it is kept for its first `keep` bytes. NULL with err. */
void *gal_token_room(struct gal_token_memory *m, size_t keep, size_t bytes, struct gal_arena *arena,
                     struct gal_err *err);

struct gal_token_points {
    uint32_t *p;
    size_t n;
};
struct gal_token_work {
    struct gal_token_memory points[2], text, mapped, symbols, heap;
    struct gal_token_memory levels[GAL_TOKEN_OPS_MAX]; /* what a split makes, by its place */
    struct gal_err *err;
    bool from_start; /* the span begins where the text does */
    size_t row_from,
        wanted; /* the row's first token in ids; tokens that are not cut off, or SIZE_MAX */
};

/* --- a span's way --- */
/* Normalized, as UTF-8 in the work's memory or the span itself. */
enum gal_status gal_token_normalize(const struct gal_tokenizer *t, struct gal_token_work *w,
                                    struct gal_arena *arena, struct gal_str span,
                                    struct gal_str *out);
/* Splits and looks up. */
enum gal_status gal_token_split(struct gal_token_rows *r, struct gal_str span);
/* The model's tokens of a piece, which is not empty. */
enum gal_status gal_token_model(struct gal_token_rows *r, struct gal_str piece);
enum gal_status gal_token_bpe(struct gal_token_rows *r, struct gal_str piece);
enum gal_status gal_token_unigram(struct gal_token_rows *r, struct gal_str piece);
/* Room for n numbers more; NULL with err. */
int32_t *gal_token_reserve(struct gal_token_rows *r, size_t n);
static inline struct gal_merge *gal_merge_find(const struct gal_bpe *b, uint64_t pair)
{
    uint32_t i = (uint32_t)(((pair ^ b->seed) * 0x9e3779b97f4a7c15u) >> b->shift);

    while (b->merges[i].pair != pair && b->merges[i].pair != UINT64_MAX)
        i = (i + 1) & b->mask;
    return &b->merges[i];
}
static inline uint64_t gal_merge_pair(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}
/* The printable character that stands for a byte in byte-level vocabularies. Pure. */
uint32_t gal_token_byte_char(unsigned char byte);

/* --- reading --- */
struct gal_token_reader {
    struct gal_tokenizer *t;
    const struct gal_tokenizer_options *options;
    struct gal_arena *arena; /* of the tokenizer */
    struct gal_arena temp;   /* of the document */
    struct gal_err *err;
};
/* UNSUPPORTED (or INVALID) at a path of the document. */
enum gal_status gal_token_refuse(struct gal_token_reader *r, enum gal_status status,
                                 const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
enum gal_status gal_token_starved(struct gal_token_reader *r, size_t bytes);
/* "path.key", "path[i]"; never NULL. */
const char *gal_token_path(struct gal_token_reader *r, const char *path, const char *key);
const char *gal_token_item(struct gal_token_reader *r, const char *path, size_t i);
/* An object with no other keys than those of the list, "a b c". */
enum gal_status gal_token_keys(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *keys);
/* Members; each leaves *out as it is where the key is missing or null. */
enum gal_status gal_token_flag(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, bool *out);
enum gal_status gal_token_size(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, size_t max, size_t *out);
enum gal_status gal_token_text(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               const char *key, struct gal_str *out);
bool gal_token_absent(const yyjson_val *v); /* NULL, or null */
yyjson_val *gal_token_get(const yyjson_val *v, const char *key);
struct gal_str gal_token_str(const yyjson_val *v);
/* A vocabulary's number of a token; GAL_TRIE_NONE: it has none. */
int32_t gal_token_id(const struct gal_tokenizer *t, struct gal_str token);

/* `type` of an object. */
enum gal_status gal_token_type(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                               struct gal_str *type);
enum gal_status gal_token_refuse_type(struct gal_token_reader *r, const char *path,
                                      struct gal_str type);
/* An object of one type by `one`; a Sequence, each item of whose `list` is read by `self`; nothing.
 */
enum gal_status gal_token_one_or_many(
    struct gal_token_reader *r, const yyjson_val *v, const char *path, const char *list,
    enum gal_status (*self)(struct gal_token_reader *r, const yyjson_val *v, const char *path),
    enum gal_status (*one)(struct gal_token_reader *r, const yyjson_val *v, const char *path,
                           struct gal_str type));
/* The parts of the document. */
enum gal_status gal_token_read_normalizer(struct gal_token_reader *r, const yyjson_val *v,
                                          const char *path);
enum gal_status gal_token_read_split(struct gal_token_reader *r, const yyjson_val *v,
                                     const char *path);
enum gal_status gal_token_read_model(struct gal_token_reader *r, const yyjson_val *v);
enum gal_status gal_token_read_post(struct gal_token_reader *r, const yyjson_val *v,
                                    const char *path);
enum gal_status gal_token_read_added(struct gal_token_reader *r, const yyjson_val *v);
enum gal_status gal_token_add_normal(struct gal_token_reader *r, const struct gal_normal *n,
                                     const char *path);
enum gal_status gal_token_add_split(struct gal_token_reader *r, const struct gal_split *s,
                                    const char *path);

#endif
