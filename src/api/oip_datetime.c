/* SPDX-License-Identifier: Apache-2.0 */
#include "api/oip_content.h"

#define NS_A_SECOND 1000000000

/* --- dates --- */

struct cursor {
    struct gal_str rest;
    bool wrong;
};

/* `digits` digits within [min, max]. */
static int64_t take_number(struct cursor *c, size_t digits, int64_t min, int64_t max)
{
    int64_t v = 0;

    for (size_t i = 0; i < digits; i++) {
        if (i >= c->rest.n || c->rest.p[i] < '0' || c->rest.p[i] > '9') {
            c->wrong = true;
            return min;
        }
        v = v * 10 + (c->rest.p[i] - '0');
    }
    c->rest.p += digits;
    c->rest.n -= digits;
    if (v >= min && v <= max)
        return v;
    c->wrong = true;
    return min;
}

static bool take_char(struct cursor *c, char wanted)
{
    if (c->rest.n == 0 || *c->rest.p != wanted)
        return false;
    c->rest.p++;
    c->rest.n--;
    return true;
}

static void need_char(struct cursor *c, char wanted)
{
    if (!take_char(c, wanted))
        c->wrong = true;
}

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day ends
 * one. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1, m = (month + 9) % 12;

    return 365 * y + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static int64_t take_date(struct cursor *c)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = take_number(c, 4, 1678, 2261), month, most;

    need_char(c, '-');
    month = take_number(c, 2, 1, 12);
    need_char(c, '-');
    most = days[month - 1];
    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        most = 29;
    return days_of(year, month, take_number(c, 2, 1, most));
}

/* Up to 9 digits behind the point. */
static int64_t take_fraction(struct cursor *c)
{
    int64_t ns = 0, scale = NS_A_SECOND / 10;

    if (c->rest.n == 0 || *c->rest.p < '0' || *c->rest.p > '9')
        c->wrong = true;
    while (scale > 0 && c->rest.n > 0 && *c->rest.p >= '0' && *c->rest.p <= '9') {
        ns += scale * (*c->rest.p - '0');
        scale /= 10;
        c->rest.p++;
        c->rest.n--;
    }
    return ns;
}

/* Seconds to take off. */
static int64_t take_zone(struct cursor *c)
{
    int64_t sign = 1, seconds;

    if (c->rest.n == 0 || take_char(c, 'Z'))
        return 0;
    if (take_char(c, '-'))
        sign = -1;
    else
        need_char(c, '+');
    seconds = take_number(c, 2, 0, 23) * 3600;
    (void)take_char(c, ':');
    return sign * (seconds + take_number(c, 2, 0, 59) * 60);
}

enum gal_status gal_datetime_parse(struct gal_str text, int64_t *ns)
{
    struct cursor c = {text, false};
    int64_t seconds = take_date(&c) * 86400, fraction = 0;

    if (take_char(&c, 'T') || take_char(&c, ' ')) {
        seconds += take_number(&c, 2, 0, 23) * 3600;
        need_char(&c, ':');
        seconds += take_number(&c, 2, 0, 59) * 60;
        if (take_char(&c, ':')) {
            seconds += take_number(&c, 2, 0, 59);
            if (take_char(&c, '.'))
                fraction = take_fraction(&c);
        }
        seconds -= take_zone(&c);
    }
    if (c.wrong || c.rest.n > 0)
        return GAL_INVALID;
    *ns = seconds * NS_A_SECOND + fraction;
    return GAL_OK;
}
