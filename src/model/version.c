/* SPDX-License-Identifier: Apache-2.0 */
#include "model/catalog.h"

/* Parts of "3" or "3.0.1" and how many there are; 0 when it is no version. */
static unsigned parse(struct gal_str v, uint64_t parts[3])
{
    unsigned count = 0;
    struct gal_str part;
    bool is_open = v.n > 0 && v.p[v.n - 1] == '.';
    while (gal_str_cut(&v, '.', &part)) {
        bool has_zero = part.n > 1 && part.p[0] == '0';
        if (count == 3 || has_zero || gal_str_u64(part, &parts[count]))
            return 0;
        count++;
    }
    return is_open || count == 2 ? 0 : count;
}

static int compare_text(struct gal_str a, struct gal_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

int gal_version_compare(struct gal_str a, struct gal_str b)
{
    uint64_t x[3] = {0}, y[3] = {0};
    unsigned x_count = parse(a, x), y_count = parse(b, y);
    if (x_count == 0 && y_count == 0)
        return compare_text(a, b);
    if (x_count == 0 || y_count == 0)
        return x_count ? 1 : -1;
    for (unsigned i = 0; i < 3; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return (x_count > y_count) - (x_count < y_count);
}

bool gal_version_valid(struct gal_str v)
{
    uint64_t parts[3];
    return parse(v, parts) > 0;
}
