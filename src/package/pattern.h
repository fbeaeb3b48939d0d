/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions over whole texts, for `pattern:`. What POSIX, JSON Schema and most languages
 * read alike: characters, ., [a-z], [^a-z], \d \w \s and their opposites, escaped punctuation,
 * (...) and (?:...), |, * + ? {n} {n,} {n,m}; ^ in front and $ at the end change nothing. In UTF-8,
 * a character a code point. Compiled into a table once, which the bounds below keep small; matching
 * takes no memory and one look a character, whatever the text. Immutable; any thread. */
#ifndef GAL_PACKAGE_PATTERN_H
#define GAL_PACKAGE_PATTERN_H

#include "base/arena.h"

#define GAL_PATTERN_BYTES_MAX 256u
#define GAL_PATTERN_NODES_MAX 2048u
#define GAL_PATTERN_STATES_MAX 1024u
#define GAL_PATTERN_CELLS_MAX 65536u /* states by classes of characters */

struct gal_pattern;

/* The arena holds it. INVALID says what is wrong, without a place; TOO_LARGE: beyond the bounds. */
enum gal_status gal_pattern_new(struct gal_str text, struct gal_arena *arena,
                                struct gal_pattern **out, struct gal_err *err);
/* Is the whole text one that the expression describes? False for what is no UTF-8. */
bool gal_pattern_fits(const struct gal_pattern *p, struct gal_str text);

#endif
