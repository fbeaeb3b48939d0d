#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: make_token_classes.py > src/text/token_class_table.c

Which code points the library `tokenizers` takes for what: its parts follow different editions of Unicode (8, 9 and 16), so
each is asked about every code point. Needs the package tokenizers.
"""
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
DROPPED, MARK, PUNCTUATION, LETTER, NUMBER, WORD, MOVES, COMBINING = (1 << i for i in range(8))


def bert(**on):
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**off, **on})


def main():
    combining = normalizers.StripAccents()
    clean, strip, nfkd = bert(clean_text=True), bert(strip_accents=True), normalizers.NFKD()
    words, pieces = pre_tokenizers.Whitespace(), pre_tokenizers.BertPreTokenizer()
    letter, number = (pre_tokenizers.Split(Regex(r), "isolated") for r in (r"\p{L}", r"\p{N}"))

    def moves(s):
        """Decomposes, or changes places with a mark of class 1 behind it or of class 230 before it."""
        if nfkd.normalize_str(s) != s:
            return True
        return any(nfkd.normalize_str(t) != t for t in ("a" + s + "\u0334", "a\u0301" + s))

    def flags(c):
        s = chr(c)
        inside = f"a{s}b"
        return (DROPPED * (clean.normalize_str(s) == "") | MARK * (strip.normalize_str(s) == "")
                | PUNCTUATION * (len(pieces.pre_tokenize_str(inside)) == 3)
                | LETTER * (len(letter.pre_tokenize_str(f"\0{s}\0")) == 3)
                | NUMBER * (len(number.pre_tokenize_str(f"\0{s}\0")) == 3)
                | WORD * (len(words.pre_tokenize_str(inside)) == 1) | MOVES * moves(s)
                | COMBINING * (combining.normalize_str(s) == ""))

    ranges = []
    for c in POINTS:
        f = flags(c)
        if ranges and ranges[-1][2] == f and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c, f])
    ranges = [r for r in ranges if r[2]]
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by tests/text/make_token_classes.py: first, last, classes. */")
    print('#include "text/token_class.h"\n')
    print("/* clang-format off */")
    print("const struct gal_token_range gal_token_ranges[] = {")
    for i in range(0, len(ranges), 6):
        print("".join("{0x%x,0x%x,%d}," % tuple(r) for r in ranges[i:i + 6]))
    print("};")
    print("/* clang-format on */")
    print("const size_t gal_token_range_count = sizeof(gal_token_ranges) / sizeof(gal_token_ranges[0]);")


main()
