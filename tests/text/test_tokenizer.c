/* SPDX-License-Identifier: Apache-2.0 */
/* What a tokenizer.json may hold, bounds, failing memory. That the numbers are the library's is
 * test_tokenizers.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

#define VOCAB                                                                                      \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"un\":4,\"##able\":5,\"able\":6," \
    "\"a\":7,\"##a\":8,\",\":9}"
#define PIECES "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"," VOCAB "}"
#define BERT                                                                                       \
    "\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"                    \
    "\"BertPreTokenizer\"},"
#define ENDS                                                                                       \
    "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",2],\"sep\":[\"[SEP]\",3]}" \
    ","
#define ADDED(more) "\"added_tokens\":[{\"id\":3,\"content\":\"[SEP]\",\"special\":true}" more "],"
#define WHOLE "{" BERT ENDS ADDED("") PIECES "}"
#define BPE(more)                                                                                  \
    "{\"model\":{\"type\":\"BPE\"," more "\"vocab\":{\"<pad>\":0,\"a\":1,\"b\":2,\"ab\":3},"       \
    "\"merges\":[[\"a\",\"b\"]]}}"
#define UNIGRAM                                                                                    \
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<pad>\",0],[\"a\",-1.5]]}}"

static struct gal_arena arena, batch;
static struct gal_err err;
static const struct gal_tokenizer_options plain = {.file = "t.json"};

static int start(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_arena_init(&batch, 65536, 64u << 20, 256u << 20);
    gal_err_clear(&err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    gal_arena_release(&batch);
    return 0;
}

static struct gal_tokenizer *read_with(const char *json, const struct gal_tokenizer_options *o)
{
    struct gal_tokenizer *t;

    if (gal_tokenizer_read(gal_str_of(json), o, &arena, &t, &err) != GAL_OK)
        fail_msg("%s: %s", err.place, err.message);
    return t;
}

/* The ids of a text, "2 4 5 3". */
static const char *ids_of(const struct gal_tokenizer *t, const char *text, char *out, size_t size)
{
    struct gal_token_rows rows;
    int64_t ids[64], mask[64], types[64];
    size_t length, n = 0;

    assert_int_equal(gal_token_rows_init(&rows, t, 1, &batch, &err), GAL_OK);
    assert_int_equal(gal_token_rows_add(&rows, gal_str_of(text), &err), GAL_OK);
    length = gal_token_rows_length(&rows);
    assert_true(length <= 64);
    gal_token_rows_put(&rows, 0, length, ids, mask, types);
    out[0] = '\0';
    for (size_t i = 0; i < length; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? " " : "", (long long)ids[i]);
    return out;
}

static void words_become_pieces_between_special_tokens(void **state)
{
    const struct gal_tokenizer *t = read_with(WHOLE, &plain);
    char out[256];

    (void)state;
    assert_string_equal(ids_of(t, "Unable, a", out, sizeof(out)), "2 4 5 9 7 3");
    assert_string_equal(ids_of(t, "", out, sizeof(out)), "2 3");
    assert_string_equal(ids_of(t, "a[SEP]zz", out, sizeof(out)), "2 7 3 1 3");
    assert_string_equal(ids_of(read_with(BPE(""), &plain), "abba", out, sizeof(out)), "3 2 1");
    assert_string_equal(ids_of(read_with(UNIGRAM, &plain), "aaxxa", out, sizeof(out)), "1 1 0 1");
}

static void lengths_are_cut_and_filled_as_told(void **state)
{
    const struct gal_tokenizer_options o = {.file = "t", .max_length = 4, .pad_multiple = 3};
    const struct gal_tokenizer_options fixed = {
        .file = "t", .pad_length = 6, .pad_token = GAL_STR("[UNK]")};
    char out[256];

    (void)state;
    assert_string_equal(ids_of(read_with(WHOLE, &o), "a a a a", out, sizeof(out)), "2 7 7 3 0 0");
    assert_string_equal(ids_of(read_with(WHOLE, &fixed), "a", out, sizeof(out)), "2 7 3 1 1 1");
}

static void a_vocabulary_of_lines_is_bert_s(void **state)
{
    static const char lines[] = "[PAD]\r\n[UNK]\n[CLS]\n[SEP]\na\n##b\n";
    struct gal_tokenizer *t;
    char out[64];

    (void)state;
    assert_int_equal(gal_tokenizer_read_vocab(GAL_STR("[PAD]\n"), &plain, &arena, &t, &err),
                     GAL_INVALID);
    assert_string_equal(err.message, "vocabulary: has no line [UNK]");
    assert_int_equal(gal_tokenizer_read_vocab(gal_str_of(lines), &plain, &arena, &t, &err), GAL_OK);
    assert_string_equal(ids_of(t,
                               "\xc3\x81"
                               "B c",
                               out, sizeof(out)),
                        "2 4 5 1 3");
}

/* --- what is refused --- */

static const struct refused {
    const char *json, *message; /* how the message begins */
} refused[] = {
    {"{}", "model: is missing"},
    {"[]", "tokenizer: must be an object, not array"},
    {"{\"x\":1," PIECES "}", "tokenizer: 'x' is not supported"},
    {"{\"model\":{\"type\":\"WordLevel\"}}", "model.type: 'WordLevel' is not supported"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":-1}}}", "model.vocab: 'a' has no whole"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", "model.unk_token: is missing"},
    {"{\"model\":{\"type\":\"WordPiece\",\"max_input_chars_per_word\":5000}}",
     "model.max_input_chars_per_word: is not a whole number from 0 to 1000"},
    {BPE("\"dropout\":0.1,"), "model.dropout: is set"},
    {BPE("\"byte_fallback\":true,"), "model.byte_fallback: is set"},
    {BPE("\"unk_token\":\"?\","), "model.unk_token: '?' is not in model.vocab"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
     "model.merges[0]: 'a' and 'b'"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}",
     "model.merges[0]: is not a pair"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]],\"unk_id\":1}}",
     "model.unk_id: is no token"},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}}", "model.unk_id: is no token"},
    {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Nmt\"}"
     "]}," PIECES "}",
     "normalizer.normalizers[1].type: 'Nmt' is not supported"},
    {"{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},\"content\":\"\"}," PIECES
     "}",
     "normalizer.pattern: 'Regex' is not supported"},
    {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\"}]}," PIECES
     "}",
     "pre_tokenizer.pretokenizers[0].type: 'Split' is not supported"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}," PIECES "}",
     "pre_tokenizer.replacement: is not one character"},
    {"{\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Removed\"}," PIECES "}",
     "pre_tokenizer.behavior: 'Removed' is not supported"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," PIECES "}",
     "post_processor.single: has no sequence A"},
    {"{\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
     "\"[CLS]\",\"type_id\":0}}]}," PIECES "}",
     "post_processor.single[0]: '[CLS]' is not among"},
    {"{" ADDED(",{\"id\":12,\"content\":\"new\"}") PIECES "}",
     "added_tokens[1].id: is 12, and the next number is 10"},
    {"{\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}," PIECES "}",
     "normalizer.precompiled_charsmap: is no table"},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"add_prefix_space\":false}," PIECES "}",
     "pre_tokenizer.add_prefix_space: is false, and"},
    {"{" ADDED(",{\"id\":7,\"content\":\"un\"}") PIECES "}", "added_tokens[1].id: is 7, and"},
    {"{\"truncation\":{\"max_length\":1}," ENDS PIECES "}",
     "truncation.max_length: 1 has no room for 2 special tokens"},
    {"{\"truncation\":{\"max_length\":9,\"strategy\":\"OnlySecond\"}," PIECES "}",
     "truncation.strategy: 'OnlySecond'"},
    {"{\"padding\":{\"strategy\":{\"Fixed\":-1}}," PIECES "}", "padding.strategy.Fixed: is not a"},
    {"{\"padding\":{\"direction\":\"Up\"}," PIECES "}", "padding.direction: is neither"},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
     "padding: is null, and the vocabulary has no [PAD]"},
};

static void what_is_not_supported_is_told_by_its_path(void **state)
{
    struct gal_tokenizer *t;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        enum gal_status st;

        gal_err_clear(&err);
        st = gal_tokenizer_read(gal_str_of(refused[i].json), &plain, &arena, &t, &err);
        assert_true(st == GAL_INVALID || st == GAL_UNSUPPORTED);
        assert_null(t);
        if (strncmp(err.message, refused[i].message, strlen(refused[i].message)) != 0)
            fail_msg("%s\nsays: %s\nnot: %s", refused[i].json, err.message, refused[i].message);
        assert_string_equal(err.place, "t.json");
    }
    assert_int_equal(gal_tokenizer_read(GAL_STR("{\"a\":}"), &plain, &arena, &t, &err),
                     GAL_INVALID);
    assert_string_equal(err.place, "t.json:1:6");
}

/* --- bounds --- */

static enum gal_status add(struct gal_token_rows *rows, const struct gal_tokenizer *t,
                           struct gal_str text)
{
    assert_int_equal(gal_token_rows_init(rows, t, 1, &batch, &err), GAL_OK);
    return gal_token_rows_add(rows, text, &err);
}

static void a_text_is_bounded_and_must_be_utf_8(void **state)
{
    const struct gal_tokenizer *t = read_with(WHOLE, &plain);
    size_t size = GAL_TOKENIZE_TEXT_BYTES_MAX + 1;
    char *text = test_malloc(size);
    struct gal_token_rows rows;

    (void)state;
    memset(text, 'a', size);
    assert_int_equal(add(&rows, t, (struct gal_str){text, size}), GAL_TOO_LARGE);
    assert_int_equal(add(&rows, t, (struct gal_str){text, size - 1}), GAL_OK);
    assert_int_equal(rows.count, 1); /* one word, too long to be known */
    text[7] = (char)0xc3;
    assert_int_equal(add(&rows, t, (struct gal_str){text, 20}), GAL_INVALID);
    test_free(text);
}

/* What would take hours in a square of the length: the test's time limit tells. */
static void hostile_texts_take_linear_time(void **state)
{
    static const char *const units[] = {
        "\xcc\x81\xcc\xa3", "\xcc\xa3\xcc\x81", "\xe4\xb8\xad", "a", " ", ",", "un", "[SEP", "ab"};
    const struct gal_tokenizer *tokenizers[] = {
        read_with(WHOLE, &plain), read_with(BPE(""), &plain), read_with(UNIGRAM, &plain),
        read_with(
            "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}," PIECES
            "}",
            &plain)};
    char *text = test_malloc(GAL_TOKENIZE_TEXT_BYTES_MAX);

    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t n = 0, unit = strlen(units[i]);

        for (; n + unit <= GAL_TOKENIZE_TEXT_BYTES_MAX / 2; n += unit)
            memcpy(text + n, units[i], unit);
        for (size_t k = 0; k < sizeof(tokenizers) / sizeof(tokenizers[0]); k++) {
            struct gal_token_rows rows;

            assert_int_equal(add(&rows, tokenizers[k], (struct gal_str){text, n}), GAL_OK);
            gal_arena_clear(&batch);
        }
    }
    test_free(text);
}

static void steady_state_takes_no_memory(void **state)
{
    const struct gal_tokenizer *t = read_with(WHOLE, &plain);
    uint64_t before = 0;

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct gal_token_rows rows;

        if (round == 2)
            before = gal_alloc_count();
        assert_int_equal(gal_token_rows_init(&rows, t, 200, &batch, &err), GAL_OK);
        for (int i = 0; i < 200; i++)
            assert_int_equal(
                gal_token_rows_add(&rows, GAL_STR("\xc3\x9cnable, a [SEP] unable zz"), &err),
                GAL_OK);
        gal_arena_clear(&batch);
    }
    assert_int_equal(gal_alloc_count(), before);
}

/* --- failing memory --- */

static enum gal_status whole_way(struct gal_arena *keep, struct gal_arena *work, const char *json)
{
    struct gal_tokenizer *t;
    struct gal_token_rows rows;
    enum gal_status st = gal_tokenizer_read(gal_str_of(json), &plain, keep, &t, &err);
    char text[6000];

    memset(text, 'a', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 7)
        text[i] = i % 2 ? ' ' : ',';
    memcpy(text, "\xcc\x81\xcc\xa3\xc3\x9c", 6);
    if (st == GAL_OK)
        st = gal_token_rows_init(&rows, t, 2, work, &err);
    if (st == GAL_OK)
        st = gal_token_rows_add(&rows, (struct gal_str){text, sizeof(text)}, &err);
    return st == GAL_OK ? gal_token_rows_add(&rows, GAL_STR("[SEP] a"), &err) : st;
}

static void every_failing_allocation_is_an_error(void **state)
{
    static const char *const files[] = {
        WHOLE, BPE(""), UNIGRAM,
        "{\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}," PIECES
        "}"};

    (void)state;
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        enum gal_status st = GAL_NO_MEMORY;

        for (uint64_t i = 1; st != GAL_OK; i++) {
            struct gal_arena keep, work;

            assert_true(i < 1000);
            gal_arena_init(&keep, 256, 0, 64u << 20);
            gal_arena_init(&work, 256, 0, 64u << 20);
            gal_err_clear(&err);
            gal_alloc_fail_at(i, 1);
            st = whole_way(&keep, &work, files[f]);
            gal_alloc_fail_at(0, 0);
            if (st != GAL_OK) {
                assert_int_equal(st, GAL_NO_MEMORY);
                assert_int_equal(err.code, st);
                assert_true(err.message[0] != '\0');
            }
            gal_arena_release(&keep);
            gal_arena_release(&work);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_become_pieces_between_special_tokens, start, stop),
        cmocka_unit_test_setup_teardown(lengths_are_cut_and_filled_as_told, start, stop),
        cmocka_unit_test_setup_teardown(a_vocabulary_of_lines_is_bert_s, start, stop),
        cmocka_unit_test_setup_teardown(what_is_not_supported_is_told_by_its_path, start, stop),
        cmocka_unit_test_setup_teardown(a_text_is_bounded_and_must_be_utf_8, start, stop),
        cmocka_unit_test_setup_teardown(hostile_texts_take_linear_time, start, stop),
        cmocka_unit_test_setup_teardown(steady_state_takes_no_memory, start, stop),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_an_error, start, stop),
    };

    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
