/* SPDX-License-Identifier: Apache-2.0 */
/* Texts in one form, over utf8proc: normalization, lower case, white space. What Python's
 * unicodedata.normalize, str.lower, str.strip and " ".join(str.split()) give. Any thread. */
#ifndef GAL_TEXT_UNICODE_H
#define GAL_TEXT_UNICODE_H

#include "base/arena.h"

enum gal_unicode_form { GAL_UNICODE_AS_IS, GAL_NFC, GAL_NFD, GAL_NFKC, GAL_NFKD };

/* Done in this order, whatever is asked for. */
struct gal_unicode_plan {
    enum gal_unicode_form form;
    bool lower;
    bool collapse; /* each run of white space becomes one space */
    bool strip;    /* none at the ends */
};

/* out borrows from `in` where nothing changes, else it lies in the arena. INVALID: not UTF-8. */
enum gal_status gal_unicode_apply(const struct gal_unicode_plan *plan, struct gal_str in,
                                  struct gal_arena *arena, struct gal_str *out,
                                  struct gal_err *err);

/* --- one code point: what normalization is made of. Pure --- */
#define GAL_UNICODE_DECOMPOSED_MAX 18u
/* The full decomposition (canonical, or compatible) into out; returns how many. */
size_t gal_unicode_decompose(uint32_t c, bool compatible, uint32_t out[GAL_UNICODE_DECOMPOSED_MAX]);
unsigned gal_unicode_combining(uint32_t c);           /* canonical combining class; 0: a starter */
uint32_t gal_unicode_compose(uint32_t a, uint32_t b); /* the two as one; 0: they make none */
uint32_t gal_unicode_lower(uint32_t c);               /* of one code point, without context */
/* Does a character as people see them end between a and b? Asked for each place of a text in its
 * order; *state is 0 at first. */
bool gal_unicode_ends_grapheme(uint32_t a, uint32_t b, int32_t *state);
/* The code point at p, of n > 0 bytes of valid UTF-8, and its bytes. */
uint32_t gal_utf8_take(const char *p, size_t n, size_t *bytes);
size_t gal_utf8_put(uint32_t c, char out[4]); /* bytes written */

#endif
