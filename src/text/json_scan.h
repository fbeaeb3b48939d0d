/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of text/json.h share: stepping over JSON that is not parsed yet, and handing
 * text to yyjson. Text that is not JSON may give any answer here; yyjson refuses it. */
#ifndef GAL_TEXT_JSON_SCAN_H
#define GAL_TEXT_JSON_SCAN_H

#include "base/word.h"
#include "text/json.h"

/* Offset of the first quote, bracket or brace from `at`; n when there is none. */
static inline size_t gal_json_next_mark(struct gal_str text, size_t at)
{
    for (; text.n - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t w;
        memcpy(&w, text.p + at, sizeof w);
        uint64_t folded = w | GAL_EACH_BYTE(0x20); /* brackets become braces */
        uint64_t hits = gal_word_zero(w ^ GAL_EACH_BYTE('"')) |
                        gal_word_zero(folded ^ GAL_EACH_BYTE('{')) |
                        gal_word_zero(folded ^ GAL_EACH_BYTE('}'));
        if (hits)
            return at + (size_t)__builtin_ctzll(hits) / 8;
    }
    for (; at < text.n; at++) {
        char folded = (char)(text.p[at] | 0x20);
        if (text.p[at] == '"' || folded == '{' || folded == '}')
            break;
    }
    return at;
}

/* Offset behind the string that begins at the quote `at`; n when it does not end. */
static inline size_t gal_json_skip_string(struct gal_str text, size_t at)
{
    at++;
    while (at < text.n) {
        if (text.n - at >= sizeof(uint64_t)) {
            uint64_t w;
            memcpy(&w, text.p + at, sizeof w);
            uint64_t hits =
                gal_word_zero(w ^ GAL_EACH_BYTE('"')) | gal_word_zero(w ^ GAL_EACH_BYTE('\\'));
            if (!hits) {
                at += sizeof w;
                continue;
            }
            at += (size_t)__builtin_ctzll(hits) / 8;
        }
        if (text.p[at] == '"')
            return at + 1;
        at += text.p[at] == '\\' ? 2 : 1;
    }
    return text.n;
}

/* yyjson's document of text.n bytes at text.p, in memory of the arena; NULL with *why filled. When
 * it was memory, *refused is how much. `flags` may hold YYJSON_READ_INSITU. */
yyjson_doc *gal_json_parse(struct gal_str text, yyjson_read_flag flags, struct gal_arena *arena,
                           yyjson_read_err *why, size_t *refused);

#endif
