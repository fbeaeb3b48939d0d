/* SPDX-License-Identifier: Apache-2.0 */
/* What words of the text format say. */
#include "text/pbtxt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* Digits in base 8, 10 or 16, as C writes them. */
static bool magnitude(const char *text, uint64_t *out)
{
    char *end;
    bool is_octal = text[0] == '0' && isdigit((unsigned char)text[1]);
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, is_hex ? 16 : is_octal ? 8 : 10);
    *out = v;
    return errno == 0 && *end == '\0';
}

/* JSON has 64-bit integers, inf and nan as text. */
static bool has_number(const struct gal_pbtxt *n)
{
    return n->type == GAL_PBTXT_WORD ||
           (n->where && n->type == GAL_PBTXT_TEXT && strlen(n->text.p) == n->text.n);
}

bool gal_pbtxt_u64(const struct gal_pbtxt *n, uint64_t *out)
{
    return has_number(n) && magnitude(n->text.p, out);
}

bool gal_pbtxt_i64(const struct gal_pbtxt *n, int64_t *out)
{
    uint64_t v;
    if (!has_number(n))
        return false;
    bool minus = n->text.p[0] == '-';
    if (!magnitude(n->text.p + minus, &v) || v > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool gal_pbtxt_f64(const struct gal_pbtxt *n, double *out)
{
    uint64_t whole;
    char *end;
    if (!has_number(n))
        return false;
    bool minus = n->text.p[0] == '-';
    const char *text = n->text.p + minus;
    if (magnitude(text, &whole)) { /* octal too, which strtod does not know */
        *out = minus ? -(double)whole : (double)whole;
        return true;
    }
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return false;
    *out = strtod(text, &end);
    if (minus)
        *out = -*out;
    if (end == text)
        return false;
    if ((*end == 'f' || *end == 'F') && text[0] != 'i' && text[0] != 'I')
        end++;
    return *end == '\0';
}

bool gal_pbtxt_bool(const struct gal_pbtxt *n, bool *out)
{
    static const char *const words[2][4] = {{"false", "False", "f", "0"},
                                            {"true", "True", "t", "1"}};
    for (size_t v = 0; n->type == GAL_PBTXT_WORD && v < 2; v++) {
        for (size_t i = 0; i < 4; i++) {
            if (gal_str_is(n->text, words[v][i])) {
                *out = v == 1;
                return true;
            }
        }
    }
    return false;
}

const struct gal_pbtxt *gal_pbtxt_get(const struct gal_pbtxt *message, const char *name)
{
    for (const struct gal_pbtxt *n = message->child; n; n = n->next) {
        if (gal_pbtxt_is(n, name))
            return n;
    }
    return NULL;
}
