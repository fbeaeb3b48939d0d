/* SPDX-License-Identifier: Apache-2.0 */
#include "load/objective.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[GAL_OBJECTIVE_COUNT] = {"p50",  "p90", "p95",    "p99", "p99.9",
                                                       "mean", "max", "errors", "rate"};

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
    int kind = 0;

    (void)gal_str_cut(&value, '=', &name);
    while (kind < GAL_OBJECTIVE_COUNT && !gal_str_is(name, names[kind]))
        kind++;
    if (kind == GAL_OBJECTIVE_COUNT)
        return gal_fail(err, GAL_INVALID, "'%.*s' is no objective", GAL_STR_ARG(name));
    (void)snprintf(o->text, sizeof o->text, "%.*s", GAL_STR_ARG(part));
    (void)snprintf(o->name, sizeof o->name, "%s", names[kind]);
    o->kind = (enum gal_objective_kind)kind;
    if (kind == GAL_OBJECTIVE_ERRORS)
        return share(value, &o->bound, err);
    if (kind != GAL_OBJECTIVE_RATE)
        return gal_time_parse(value, &o->bound, err);
    if (number(&value, &o->bound) && value.n == 0)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "'%.*s': rate takes requests a second", GAL_STR_ARG(part));
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

double gal_objective_value(const struct gal_objective *o, const struct gal_load_summary *s)
{
    const struct gal_latencies *l = &s->latency;
    const double values[GAL_OBJECTIVE_COUNT] = {
        [GAL_OBJECTIVE_P50] = (double)l->p50,
        [GAL_OBJECTIVE_P90] = (double)l->p90,
        [GAL_OBJECTIVE_P95] = (double)l->p95,
        [GAL_OBJECTIVE_P99] = (double)l->p99,
        [GAL_OBJECTIVE_P999] = (double)l->p999,
        [GAL_OBJECTIVE_MEAN] = l->mean,
        [GAL_OBJECTIVE_MAX] = (double)l->max,
        [GAL_OBJECTIVE_ERRORS] =
            s->counts.offered ? (double)s->failed / (double)s->counts.offered : 1,
        [GAL_OBJECTIVE_RATE] = s->rate,
    };
    return values[o->kind];
}

bool gal_objective_kept(const struct gal_objective *o, const struct gal_load_summary *s)
{
    double value = gal_objective_value(o, s);

    if (o->kind == GAL_OBJECTIVE_RATE)
        return value >= o->bound;
    return value <= o->bound && (o->kind == GAL_OBJECTIVE_ERRORS || s->latency.count > 0);
}
