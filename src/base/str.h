/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes: pointer and length, no terminator, no owner. Any thread. */
#ifndef GAL_BASE_STR_H
#define GAL_BASE_STR_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gal_str {
    const char *p; /* may be NULL when n is 0 */
    size_t n;      /* bytes */
};

#define GAL_STR(literal) ((struct gal_str){"" literal, sizeof(literal) - 1})
/* For printf's "%.*s". */
#define GAL_STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""
/* The same of what a peer has sent, at most 64 bytes of it. */
#define GAL_STR_SHOWN(s) (int)((s).n < 64 ? (s).n : 64), (s).n ? (s).p : ""

static inline struct gal_str gal_str_of(const char *nul_terminated)
{
    return (struct gal_str){nul_terminated, nul_terminated ? strlen(nul_terminated) : 0};
}
#ifdef __clang_analyzer__ /* which does not know that p is NULL only where n is 0 */
static inline bool gal_str_eq(struct gal_str a, struct gal_str b)
{
    return a.n == b.n && (a.n == 0 || (a.p && b.p && memcmp(a.p, b.p, a.n) == 0));
}
#else
static inline bool gal_str_eq(struct gal_str a, struct gal_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
#endif
static inline bool gal_str_is(struct gal_str a, const char *nul_terminated)
{
    return gal_str_eq(a, gal_str_of(nul_terminated));
}
bool gal_str_ieq(struct gal_str a, struct gal_str b); /* ASCII case folded */
bool gal_str_starts(struct gal_str s, struct gal_str prefix);
bool gal_str_ends(struct gal_str s, struct gal_str suffix);
struct gal_str gal_str_trim(struct gal_str s); /* spaces, tabs, CR, LF at both ends */
/* Cuts the part of *rest before `sep` (all of it when there is none) and moves *rest behind it.
 * Returns false when *rest was empty (NULL pointer) before the call. */
bool gal_str_cut(struct gal_str *rest, char sep, struct gal_str *part);
/* Whole decimal number, no sign for u64, no spaces; INVALID when it is not one or overflows. */
enum gal_status gal_str_u64(struct gal_str s, uint64_t *out);
enum gal_status gal_str_i64(struct gal_str s, int64_t *out);
/* Decimal digits without a NUL; return the end of what was written. Room for the longest is the
 * caller's matter. */
#define GAL_U64_CHARS_MAX 20
#define GAL_I64_CHARS_MAX 20
char *gal_u64_write(char *p, uint64_t v);
char *gal_i64_write(char *p, int64_t v);

bool gal_utf8_valid(struct gal_str s); /* RFC 3629: no surrogates, no overlong forms */
/* Bytes of the character at p, of which n bytes are there; 0 when they are not a whole one. */
size_t gal_utf8_next(const char *p, size_t n);

#endif
