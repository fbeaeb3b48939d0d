/* SPDX-License-Identifier: Apache-2.0 */
#include "load/sweep.h"

struct parse {
    struct gal_sweep *out;
    uint64_t min, max;
    struct gal_err *err;
};

static enum gal_status number(const struct parse *p, struct gal_str s, uint64_t *out)
{
    uint64_t unit = 1;

    if (s.n > 1 && (s.p[s.n - 1] == 'k' || s.p[s.n - 1] == 'M')) {
        unit = s.p[s.n - 1] == 'k' ? 1000 : 1000000;
        s.n--;
    }
    if (gal_str_u64(s, out) != GAL_OK || *out > UINT64_MAX / unit)
        return gal_fail(p->err, GAL_INVALID, "'%.*s' is not a whole number", GAL_STR_ARG(s));
    *out *= unit;
    if (*out < p->min || *out > p->max)
        return gal_fail(p->err, GAL_INVALID, "%llu is not within %llu..%llu",
                        (unsigned long long)*out, (unsigned long long)p->min,
                        (unsigned long long)p->max);
    return GAL_OK;
}

static enum gal_status add(const struct parse *p, uint64_t value)
{
    if (p->out->count == GAL_SWEEP_MAX)
        return gal_fail(p->err, GAL_TOO_LARGE, "there are more than %u numbers", GAL_SWEEP_MAX);
    p->out->at[p->out->count++] = value;
    return GAL_OK;
}

/* "8..50" is 8, 16, 32, 50. */
static enum gal_status doubling(const struct parse *p, struct gal_str from, struct gal_str to)
{
    uint64_t value, last;
    enum gal_status status = number(p, from, &value);

    if (status == GAL_OK)
        status = number(p, to, &last);
    if (status == GAL_OK && (value > last || value == 0))
        return gal_fail(p->err, GAL_INVALID, "'%.*s..%.*s' does not go up from 1 or more",
                        GAL_STR_ARG(from), GAL_STR_ARG(to));
    for (; status == GAL_OK && value<last; value = value> last / 2 ? last : value * 2)
        status = add(p, value);
    return status == GAL_OK ? add(p, last) : status;
}

static enum gal_status stepping(const struct parse *p, struct gal_str part)
{
    const struct parse any = {p->out, 1, p->max, p->err}; /* a step may be below the minimum */
    struct gal_str whole = part, piece;
    uint64_t value, last, step;
    enum gal_status status;

    (void)gal_str_cut(&part, ':', &piece);
    status = number(p, piece, &value);
    if (status != GAL_OK)
        return status;
    (void)gal_str_cut(&part, ':', &piece);
    status = number(p, piece, &last);
    if (status != GAL_OK)
        return status;
    if (!gal_str_cut(&part, ':', &piece) || part.p)
        return gal_fail(p->err, GAL_INVALID, "'%.*s' is not FROM:TO:STEP", GAL_STR_ARG(whole));
    status = number(&any, piece, &step);
    if (status == GAL_OK && value > last)
        return gal_fail(p->err, GAL_INVALID, "'%.*s' does not go up", GAL_STR_ARG(whole));
    for (; status == GAL_OK && value <= last; value += step) {
        status = add(p, value);
        if (step > last - value)
            break;
    }
    return status;
}

static enum gal_status one_part(const struct parse *p, struct gal_str part)
{
    const char *dots = part.n ? memmem(part.p, part.n, "..", 2) : NULL;
    uint64_t value;
    enum gal_status status;

    if (dots) {
        size_t n = (size_t)(dots - part.p);
        return doubling(p, (struct gal_str){part.p, n}, (struct gal_str){dots + 2, part.n - n - 2});
    }
    if (part.n && memchr(part.p, ':', part.n))
        return stepping(p, part);
    status = number(p, part, &value);
    return status == GAL_OK ? add(p, value) : status;
}

enum gal_status gal_sweep_parse(struct gal_str text, uint64_t min, uint64_t max,
                                struct gal_sweep *out, struct gal_err *err)
{
    const struct parse p = {out, min, max, err};
    struct gal_str rest = text, part;
    enum gal_status status = GAL_OK;
    bool more = text.n > 0;

    out->count = 0;
    if (!more)
        status = gal_fail(err, GAL_INVALID, "a number is missing");
    while (status == GAL_OK && more) {
        const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
        part = comma ? (struct gal_str){rest.p, (size_t)(comma - rest.p)} : rest;
        status = one_part(&p, part);
        more = comma != NULL;
        if (more)
            rest = (struct gal_str){comma + 1, rest.n - part.n - 1};
    }
    if (status != GAL_OK)
        gal_err_hint(err, "8; 1,2,4; 8..64 doubles; 1000:50000:5000 goes in steps; 50k is 50000");
    return status;
}
