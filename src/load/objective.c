/* SPDX-License-Identifier: Apache-2.0 */
#include "load/objective.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    double quantile;
} latencies[] = {{"p50", 0.5},     {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99},
                 {"p99.9", 0.999}, {"max", 1},   {"mean", -1}};

/* A decimal number in front of *s, above or at 0; moves *s behind it. */
static bool number(struct gal_str *s, double *out)
{
    char text[32], *end;
    size_t n = 0;

    while (n < s->n && ((s->p[n] >= '0' && s->p[n] <= '9') || s->p[n] == '.'))
        n++;
    if (n == 0 || n >= sizeof text)
        return false;
    memcpy(text, s->p, n);
    text[n] = '\0';
    *out = strtod(text, &end);
    *s = (struct gal_str){s->p + n, s->n - n};
    return *end == '\0';
}

enum gal_status gal_time_parse(struct gal_str text, double *ns, struct gal_err *err)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    struct gal_str rest = text;

    if (number(&rest, ns) && *ns > 0) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (gal_str_is(rest, units[i].unit)) {
                *ns *= units[i].ns;
                return GAL_OK;
            }
        }
    }
    return gal_fail(err, GAL_INVALID, "'%.*s' is not a time such as 200us, 20ms or 1.5s",
                    GAL_STR_ARG(text));
}

static enum gal_status share(struct gal_str text, double *out, struct gal_err *err)
{
    struct gal_str rest = text;

    if (number(&rest, out)) {
        if (gal_str_is(rest, "%"))
            *out /= 100;
        if ((rest.n == 0 || gal_str_is(rest, "%")) && *out <= 1)
            return GAL_OK;
    }
    return gal_fail(err, GAL_INVALID, "'%.*s' is not a share such as 0.1%% or 0.001",
                    GAL_STR_ARG(text));
}

static enum gal_status one(struct gal_str part, struct gal_objective *o, struct gal_err *err)
{
    struct gal_str value = part, name;

    (void)gal_str_cut(&value, '=', &name);
    (void)snprintf(o->text, sizeof o->text, "%.*s", GAL_STR_ARG(part));
    (void)snprintf(o->name, sizeof o->name, "%.*s", GAL_STR_ARG(name));
    if (gal_str_is(name, "errors")) {
        o->kind = GAL_OBJECTIVE_ERRORS;
        return share(value, &o->bound, err);
    }
    if (gal_str_is(name, "rate")) {
        o->kind = GAL_OBJECTIVE_RATE;
        if (number(&value, &o->bound) && value.n == 0)
            return GAL_OK;
        return gal_fail(err, GAL_INVALID, "'%.*s': rate takes requests a second",
                        GAL_STR_ARG(part));
    }
    o->kind = GAL_OBJECTIVE_LATENCY;
    for (size_t i = 0; i < sizeof latencies / sizeof latencies[0]; i++) {
        if (gal_str_is(name, latencies[i].name)) {
            o->quantile = latencies[i].quantile;
            return gal_time_parse(value, &o->bound, err);
        }
    }
    return gal_fail(err, GAL_INVALID, "'%.*s' is no objective", GAL_STR_ARG(name));
}

enum gal_status gal_objectives_parse(struct gal_str text, struct gal_objectives *out,
                                     struct gal_err *err)
{
    struct gal_str part;
    enum gal_status status = GAL_OK;

    out->count = 0;
    if (text.n == 0)
        status = gal_fail(err, GAL_INVALID, "an objective is missing");
    while (status == GAL_OK && text.n && gal_str_cut(&text, ',', &part)) {
        if (out->count == GAL_OBJECTIVES_MAX)
            return gal_fail(err, GAL_TOO_LARGE, "there are more than %u objectives",
                            GAL_OBJECTIVES_MAX);
        status = one(part, &out->at[out->count++], err);
    }
    if (status != GAL_OK && err && !err->hint[0])
        gal_err_hint(err, "p50, p90, p95, p99, p99.9, mean, max=TIME, errors=SHARE, rate=NUMBER, "
                          "with commas between");
    return status;
}

double gal_objective_value(const struct gal_objective *o, const struct gal_load_result *r)
{
    const struct gal_load_counts *c = &r->counts;

    switch (o->kind) {
    case GAL_OBJECTIVE_ERRORS:
        return c->offered ? (double)gal_load_failed(c) / (double)c->offered : 1;
    case GAL_OBJECTIVE_RATE:
        return gal_load_rate(r);
    case GAL_OBJECTIVE_LATENCY:
        break;
    }
    return o->quantile < 0 ? gal_histogram_mean(&r->latency)
                           : (double)gal_histogram_quantile(&r->latency, o->quantile);
}

bool gal_objective_kept(const struct gal_objective *o, const struct gal_load_result *r)
{
    double value = gal_objective_value(o, r);

    if (o->kind == GAL_OBJECTIVE_RATE)
        return value >= o->bound;
    if (o->kind == GAL_OBJECTIVE_LATENCY && r->latency.count == 0)
        return false;
    return value <= o->bound;
}
