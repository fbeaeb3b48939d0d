/* SPDX-License-Identifier: Apache-2.0 */
/* Most texts are ASCII and need a look only; the others go through an array of code points. */
#include "text/unicode.h"

#include <utf8proc.h>

/* --- ASCII --- */

static bool ascii_space(unsigned char b)
{
    return b == ' ' || (b >= 0x09 && b <= 0x0d) || (b >= 0x1c && b <= 0x1f);
}

static bool ascii_upper(unsigned char b)
{
    return b >= 'A' && b <= 'Z';
}

static bool is_ascii(struct gal_str s)
{
    unsigned char all = 0;

    for (size_t i = 0; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return all < 0x80;
}

static struct gal_str strip_ascii(struct gal_str s)
{
    while (s.n > 0 && ascii_space((unsigned char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && ascii_space((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Does lower or collapse change a byte? */
static bool changes(const struct gal_unicode_plan *plan, struct gal_str s)
{
    bool before = false;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        bool space = ascii_space(b);

        if ((plan->lower && ascii_upper(b)) || (plan->collapse && space && (before || b != ' ')))
            return true;
        before = space;
    }
    return false;
}

static enum gal_status apply_ascii(const struct gal_unicode_plan *plan, struct gal_str in,
                                   struct gal_arena *arena, struct gal_str *out,
                                   struct gal_err *err)
{
    struct gal_str s = plan->strip ? strip_ascii(in) : in;
    bool before = false;
    size_t n = 0;
    char *p;

    *out = s;
    if (!changes(plan, s))
        return GAL_OK;
    p = gal_arena_small(arena, s.n);
    if (p == NULL)
        return gal_arena_fail(arena, s.n, "a text", err);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        bool space = ascii_space(b);

        if (plan->collapse && space && before)
            continue;
        before = space;
        p[n++] = (char)(plan->collapse && space         ? ' '
                        : plan->lower && ascii_upper(b) ? b + ('a' - 'A')
                                                        : b);
    }
    *out = (struct gal_str){p, n};
    return GAL_OK;
}

/* --- code points --- */

struct points {
    utf8proc_int32_t *p;
    size_t n;
};

/* White space as Python has it: bidirectional classes B, S and WS, and category Zs. */
static bool is_space(utf8proc_int32_t c)
{
    return (c < 0x80 && ascii_space((unsigned char)c)) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static utf8proc_option_t options_of(enum gal_unicode_form form)
{
    static const int options[] = {
        [GAL_UNICODE_AS_IS] = 0,
        [GAL_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
        [GAL_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
        [GAL_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [GAL_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };

    return (utf8proc_option_t)options[form];
}

/* In the form that is asked for; room for a code point more for each that lower case makes two of.
 */
static enum gal_status take_points(const struct gal_unicode_plan *plan, struct gal_str in,
                                   struct gal_arena *arena, struct points *out, struct gal_err *err)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)in.p;
    utf8proc_option_t options = options_of(plan->form);
    utf8proc_ssize_t n = utf8proc_decompose(bytes, (utf8proc_ssize_t)in.n, NULL, 0, options);

    if (n < 0)
        return gal_fail(err, GAL_INVALID, "is no valid UTF-8");
    out->p = gal_arena_array(arena, 2 * (size_t)n + 1, sizeof(*out->p));
    if (out->p == NULL)
        return gal_arena_fail(arena, 2 * (size_t)n * sizeof(*out->p), "a text", err);
    n = utf8proc_decompose(bytes, (utf8proc_ssize_t)in.n, out->p, n, options);
    if (n > 0 && plan->form != GAL_UNICODE_AS_IS)
        n = utf8proc_normalize_utf32(out->p, n, options);
    out->n = n > 0 ? (size_t)n : 0;
    return n >= 0 ? GAL_OK : gal_fail(err, GAL_INVALID, "cannot be normalized");
}

/* --- lower case --- */

static bool is_cased(utf8proc_int32_t c)
{
    return utf8proc_islower(c) || utf8proc_isupper(c) ||
           utf8proc_category(c) == UTF8PROC_CATEGORY_LT;
}

/* What stands between letters without ending the word. */
static bool is_ignored(utf8proc_int32_t c)
{
    static const utf8proc_int32_t signs[] = {0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,
                                             0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                             0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (signs[i] == c)
            return true;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

/* A sigma behind a letter and before none. */
static bool is_final(const struct points *s, size_t at)
{
    size_t i = at;

    while (i > 0 && is_ignored(s->p[i - 1]))
        i--;
    if (i == 0 || !is_cased(s->p[i - 1]))
        return false;
    for (i = at + 1; i < s->n && is_ignored(s->p[i]); i++)
        ;
    return i == s->n || !is_cased(s->p[i]);
}

/* The two that are no matter of one code point: I with a dot, and sigma at a word's end. */
static enum gal_status lower(struct points *s, struct gal_arena *arena, struct gal_err *err)
{
    struct points out = {gal_arena_array(arena, 2 * s->n + 1, sizeof(*out.p)), 0};

    if (out.p == NULL)
        return gal_arena_fail(arena, 2 * s->n * sizeof(*out.p), "a text", err);
    for (size_t i = 0; i < s->n; i++) {
        utf8proc_int32_t c = s->p[i];

        if (c == 0x130) {
            out.p[out.n++] = 'i';
            out.p[out.n++] = 0x307;
        } else if (c == 0x3a3)
            out.p[out.n++] = is_final(s, i) ? 0x3c2 : 0x3c3;
        else
            out.p[out.n++] = utf8proc_tolower(c);
    }
    *s = out;
    return GAL_OK;
}

static void fold_spaces(const struct gal_unicode_plan *plan, struct points *s)
{
    size_t n = 0, from = 0;
    bool before = false;

    while (plan->strip && from < s->n && is_space(s->p[from]))
        from++;
    while (plan->strip && s->n > from && is_space(s->p[s->n - 1]))
        s->n--;
    for (size_t i = from; i < s->n; i++) {
        bool space = is_space(s->p[i]);

        if (plan->collapse && space && before)
            continue;
        before = space;
        s->p[n++] = plan->collapse && space ? ' ' : s->p[i];
    }
    s->n = n;
}

enum gal_status gal_unicode_apply(const struct gal_unicode_plan *plan, struct gal_str in,
                                  struct gal_arena *arena, struct gal_str *out, struct gal_err *err)
{
    struct points s = {NULL, 0};
    utf8proc_uint8_t *p;
    size_t n = 0;
    enum gal_status st;

    if (is_ascii(in))
        return apply_ascii(plan, in, arena, out, err);
    st = take_points(plan, in, arena, &s, err);
    if (st == GAL_OK && plan->lower)
        st = lower(&s, arena, err);
    if (st != GAL_OK)
        return st;
    fold_spaces(plan, &s);
    p = gal_arena_small(arena, 4 * s.n);
    if (p == NULL)
        return gal_arena_fail(arena, 4 * s.n, "a text", err);
    for (size_t i = 0; i < s.n; i++)
        n += (size_t)utf8proc_encode_char(s.p[i], p + n);
    gal_arena_trim(arena, p, 4 * s.n, n);
    *out = (struct gal_str){(const char *)p, n};
    return GAL_OK;
}

/* --- one code point --- */

size_t gal_unicode_decompose(uint32_t c, bool compatible, uint32_t out[GAL_UNICODE_DECOMPOSED_MAX])
{
    utf8proc_int32_t points[GAL_UNICODE_DECOMPOSED_MAX];
    int class_before = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, points, GAL_UNICODE_DECOMPOSED_MAX,
        (utf8proc_option_t)(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0)),
        &class_before);

    if (n < 1 || n > (utf8proc_ssize_t)GAL_UNICODE_DECOMPOSED_MAX) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)points[i];
    return (size_t)n;
}

unsigned gal_unicode_combining(uint32_t c)
{
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

uint32_t gal_unicode_compose(uint32_t a, uint32_t b)
{
    utf8proc_int32_t two[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(two, 2, (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));

    return n == 1 ? (uint32_t)two[0] : 0;
}

uint32_t gal_unicode_lower(uint32_t c)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

bool gal_unicode_ends_grapheme(uint32_t a, uint32_t b, int32_t *state)
{
    return utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, state);
}

uint32_t gal_utf8_take(const char *p, size_t n, size_t *bytes)
{
    const unsigned char *b = (const unsigned char *)p;

    if (b[0] < 0x80 || n < 2) {
        *bytes = 1;
        return b[0];
    }
    if (b[0] < 0xe0 || n < 3) {
        *bytes = 2;
        return (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
    }
    if (b[0] < 0xf0 || n < 4) {
        *bytes = 3;
        return (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
    }
    *bytes = 4;
    return (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 | (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
}

size_t gal_utf8_put(uint32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}
