/* SPDX-License-Identifier: Apache-2.0 */
/* One value of the configuration: from text to number and bounds back to text. */
#include "server/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The first is what a bare number means, the second has the factor 1. */
static const struct unit byte_units[] = {
    {"", 1},           {"B", 1},         {"KB", 1000},      {"Ki", 1024},       {"KiB", 1024},
    {"MB", 1000000},   {"Mi", 1u << 20}, {"MiB", 1u << 20}, {"GB", 1000000000}, {"Gi", 1u << 30},
    {"GiB", 1u << 30}, {NULL, 0},
};
static const struct unit time_units[] = {
    {"", 1000000},   {"us", 1},          {"ms", 1000},        {"s", 1000000},
    {"m", 60000000}, {"h", 3600000000u}, {"d", 86400000000u}, {NULL, 0},
};

static enum gal_status refuse(struct gal_err *err, const char *text, const char *wanted)
{
    return gal_fail(err, GAL_INVALID, "'%s' is not %s", text, wanted);
}

static enum gal_status out_of_range(const struct gal_config_row *row, const char *text,
                                    struct gal_err *err)
{
    char range[64];

    return gal_fail(err, GAL_INVALID, "%s is out of range %s", text,
                    gal_config_range(row, range, sizeof(range)));
}

static const struct unit *unit_find(const struct unit *units, struct gal_str name)
{
    for (; units->name; units++) {
        if (gal_str_ieq(gal_str_of(units->name), name))
            return units;
    }
    return NULL;
}

/* "1.5s": digits, at most nine more behind a point, a unit. The result is whole: what lies below
 * one is cut. False when it is none or does not fit 64 bits. */
static bool parse_scaled(const char *text, const struct unit *units, uint64_t *out)
{
    struct gal_str s = gal_str_of(text);
    uint64_t whole, fraction = 0, scale = 1;
    size_t digits = strspn(s.p, "0123456789"), end = digits;
    const struct unit *unit;

    if (gal_str_u64((struct gal_str){s.p, digits}, &whole) != GAL_OK)
        return false;
    if (s.p[end] == '.') {
        size_t places = strspn(s.p + end + 1, "0123456789");
        if (places > 9 || gal_str_u64((struct gal_str){s.p + end + 1, places}, &fraction) != GAL_OK)
            return false;
        for (size_t i = 0; i < places; i++)
            scale *= 10;
        end += 1 + places;
    }
    unit = unit_find(units, gal_str_trim((struct gal_str){s.p + end, s.n - end}));
    if (!unit || __builtin_mul_overflow(whole, unit->factor, out))
        return false;
    return !__builtin_mul_overflow(fraction, unit->factor, &fraction) &&
           !__builtin_add_overflow(*out, fraction / scale, out);
}

static bool parse_bool(const char *text, uint64_t *out)
{
    static const char *const words[2][4] = {{"off", "false", "no", "0"},
                                            {"on", "true", "yes", "1"}};

    for (size_t value = 0; value < 2; value++) {
        for (size_t i = 0; i < 4; i++) {
            if (gal_str_ieq(gal_str_of(text), gal_str_of(words[value][i]))) {
                *out = value;
                return true;
            }
        }
    }
    return false;
}

static bool parse_share(const char *text, double *out)
{
    uint64_t word;
    char *end;

    if (parse_bool(text, &word)) {
        *out = (double)word;
        return true;
    }
    if (!text[0] || strspn(text, "0123456789.eE-+") != strlen(text))
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

/* True when `text` is one of the words of "a|b|c". */
static bool word_in(struct gal_str words, struct gal_str text)
{
    struct gal_str word;

    while (gal_str_cut(&words, '|', &word)) {
        if (gal_str_eq(word, text))
            return true;
    }
    return false;
}

static enum gal_status parse_text(const struct gal_config_row *row, const char *text,
                                  struct gal_err *err)
{
    if (strchr(row->arg, '|') && !word_in(gal_str_of(row->arg), gal_str_of(text)))
        return gal_fail(err, GAL_INVALID, "'%s' is none of %s", text, row->arg);
    if (strlen(text) > row->max)
        return gal_fail(err, GAL_INVALID, "the text is longer than %llu bytes",
                        (unsigned long long)row->max);
    if (strlen(text) < row->min)
        return gal_fail(err, GAL_INVALID, "the text is shorter than %llu bytes",
                        (unsigned long long)row->min);
    return GAL_OK;
}

static enum gal_status parse_word(const struct gal_config_row *row, const char *text, uint64_t *out,
                                  struct gal_err *err)
{
    enum gal_log_level level;
    enum gal_log_format format;

    if (row->type == GAL_CONF_LEVEL) {
        if (gal_log_level_parse(gal_str_of(text), &level) != GAL_OK)
            return refuse(err, text, "a level: debug, info, warn, error or off");
        *out = level;
    } else if (gal_str_ieq(gal_str_of(text), GAL_STR("auto"))) {
        *out = GAL_CONF_FORMAT_AUTO;
    } else {
        if (gal_log_format_parse(gal_str_of(text), &format) != GAL_OK)
            return refuse(err, text, "a format: json, console or auto");
        *out = format;
    }
    return GAL_OK;
}

static enum gal_status parse_bytes(const char *text, uint64_t *out, struct gal_err *err)
{
    size_t n = strlen(text);

    if (parse_scaled(text, byte_units, out))
        return GAL_OK;
    refuse(err, text, "a size such as 65536, 64KB or 64KiB");
    if (n > 1 && strchr("kKmMgG", text[n - 1]))
        gal_err_hint(err, "%sB counts in thousands, %siB in 1024s", text, text);
    return GAL_INVALID;
}

static enum gal_status parse_number(const struct gal_config_row *row, const char *text,
                                    uint64_t *out, struct gal_err *err)
{
    switch (row->type) {
    case GAL_CONF_BYTES:
        if (parse_bytes(text, out, err) != GAL_OK)
            return GAL_INVALID;
        break;
    case GAL_CONF_DURATION:
        if (!parse_scaled(text, time_units, out))
            return refuse(err, text, "a time such as 250ms, 10s or 2m");
        break;
    default:
        if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
            return refuse(err, text,
                          row->type == GAL_CONF_PORT ? "a port's number, or off"
                                                     : "a whole number");
        if (gal_str_u64(gal_str_of(text), out) != GAL_OK)
            return out_of_range(row, text, err);
    }
    return *out < row->min || *out > row->max ? out_of_range(row, text, err) : GAL_OK;
}

size_t gal_config_list(const char *text, uint64_t *out, size_t room)
{
    struct gal_str rest = gal_str_of(text), part;
    size_t count = 0;

    while (rest.n && gal_str_cut(&rest, ',', &part)) {
        uint64_t v = 0;
        if (gal_str_u64(gal_str_trim(part), &v) == GAL_OK && count < room)
            out[count] = v;
        count++;
    }
    return count;
}

static enum gal_status parse_list(const struct gal_config_row *row, const char *text,
                                  struct gal_err *err)
{
    struct gal_str rest = gal_str_of(text), part;
    uint64_t last = 0, v;
    size_t count = 0;

    if (rest.n && rest.p[rest.n - 1] == ',')
        return refuse(err, text, "a list of whole numbers such as 4,8,16");
    while (rest.n && gal_str_cut(&rest, ',', &part)) {
        if (gal_str_u64(gal_str_trim(part), &v) != GAL_OK)
            return refuse(err, text, "a list of whole numbers such as 4,8,16");
        if (v < row->min || v > row->max)
            return out_of_range(row, text, err);
        if (v <= last)
            return gal_fail(err, GAL_INVALID, "%s: the numbers must ascend", text);
        if (++count > GAL_CONF_LIST_MAX)
            return gal_fail(err, GAL_INVALID, "%s: more than %u numbers", text, GAL_CONF_LIST_MAX);
        last = v;
    }
    return GAL_OK;
}

enum gal_status gal_config_parse(const struct gal_config_row *row, const char *text,
                                 struct gal_config_value *out, struct gal_err *err)
{
    out->text = text;
    switch (row->type) {
    case GAL_CONF_TEXT:
        return parse_text(row, text, err);
    case GAL_CONF_LIST:
        return parse_list(row, text, err);
    case GAL_CONF_LEVEL:
    case GAL_CONF_FORMAT:
        return parse_word(row, text, &out->number, err);
    case GAL_CONF_BOOL:
        return parse_bool(text, &out->number) ? GAL_OK : refuse(err, text, "on or off");
    case GAL_CONF_SHARE:
        if (!parse_share(text, &out->share))
            return refuse(err, text, "a share: on, off or a number from 0 to 1");
        return out->share < 0 || out->share > 1 ? out_of_range(row, text, err) : GAL_OK;
    case GAL_CONF_PORT:
        if (gal_str_ieq(gal_str_of(text), GAL_STR("off"))) {
            out->number = GAL_CONF_PORT_OFF;
            return GAL_OK;
        }
        return parse_number(row, text, &out->number, err);
    default:
        return parse_number(row, text, &out->number, err);
    }
}

/* The largest unit that divides n; of units of one factor the longest name. */
static const char *scaled(uint64_t n, const struct unit *units, char out[24])
{
    const struct unit *best = &units[1];

    for (const struct unit *u = units; u->name; u++) {
        if (u->name[0] && n % u->factor == 0 && u->factor >= best->factor)
            best = u;
    }
    snprintf(out, 24, "%llu%s", (unsigned long long)(n / best->factor), best->name);
    return out;
}

char *gal_config_range(const struct gal_config_row *row, char *out, size_t size)
{
    unsigned long long min = row->min, max = row->max;
    char low[24], high[24];

    out[0] = '\0';
    if (row->type == GAL_CONF_COUNT || row->type == GAL_CONF_SHARE || row->type == GAL_CONF_LIST)
        snprintf(out, size, "%llu..%llu", min, max);
    else if (row->type == GAL_CONF_PORT)
        snprintf(out, size, "%llu..%llu, off", min, max);
    else if (row->type == GAL_CONF_BYTES)
        snprintf(out, size, "%s..%s", scaled(min, byte_units, low), scaled(max, byte_units, high));
    else if (row->type == GAL_CONF_DURATION)
        snprintf(out, size, "%s..%s", min ? scaled(min, time_units, low) : "0",
                 scaled(max, time_units, high));
    else if (row->type == GAL_CONF_TEXT && !strchr(row->arg, '|'))
        snprintf(out, size, "at most %llu bytes", max);
    return out;
}
