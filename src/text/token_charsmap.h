/* SPDX-License-Identifier: Apache-2.0 */
/* The table of replacements that a SentencePiece model carries (`precompiled_charsmap`): a double
 * array trie of Darts-clone, whose values are places in a run of NUL-terminated texts. Borrows its
 * bytes; immutable, any thread. Whatever the bytes hold, a look-up stays within them. */
#ifndef GAL_TEXT_TOKEN_CHARSMAP_H
#define GAL_TEXT_TOKEN_CHARSMAP_H

#include "base/str.h"

struct gal_charsmap {
    const unsigned char *units; /* of 4 bytes, little-endian; not aligned */
    size_t unit_count;
    struct gal_str texts;
};

/* INVALID: the parts do not fit the bytes. */
enum gal_status gal_charsmap_open(struct gal_str bytes, struct gal_charsmap *out,
                                  struct gal_err *err);
/* What stands for a text: the replacement of its shortest beginning that has one, as the library
 * does it. False: none has. */
bool gal_charsmap_find(const struct gal_charsmap *m, struct gal_str s, struct gal_str *out);

#endif
