/* SPDX-License-Identifier: Apache-2.0 */
#include "base/name.h"

#include <ctype.h>

#define NAME_BYTES_MAX 64u /* of a typed name that is compared with known ones */

static char folded(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (folded(a[i]) != folded(b[i]))
            return false;
    }
    return true;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1
 * each. Both names are at most NAME_BYTES_MAX bytes long. */
static size_t edits(struct gal_str a, struct gal_str b)
{
    size_t rows[3][NAME_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b.n; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *oldest = before;
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t differs = folded(a.p[i - 1]) != folded(b.p[j - 1]);
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + differs);
            if (i > 1 && j > 1 && same_name(a.p + i - 1, b.p + j - 2, 1) &&
                same_name(a.p + i - 2, b.p + j - 1, 1) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        before = last;
        last = now;
        now = oldest;
    }
    return last[b.n];
}

size_t gal_name_distance(struct gal_str typed, const char *known)
{
    struct gal_str name = gal_str_of(known);
    size_t longer = typed.n > name.n ? typed.n : name.n, distance;

    if (typed.n == 0 || longer > NAME_BYTES_MAX)
        return SIZE_MAX;
    distance = edits(typed, name);
    if (distance <= 3 && distance * 5 <= longer * 2)
        return distance;
    if (typed.n > 2 && typed.n < name.n && folded(name.p[name.n - typed.n - 1]) == '_' &&
        same_name(name.p + name.n - typed.n, typed.p, typed.n))
        return 4;
    return SIZE_MAX;
}

bool gal_name_same(struct gal_str a, const char *b)
{
    return a.n == strlen(b) && same_name(a.p, b, a.n);
}
