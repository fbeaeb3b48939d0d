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

#endif
