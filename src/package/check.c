/* SPDX-License-Identifier: Apache-2.0 */
/* An inference's columns against the manifest: what is wrong, in words. */
#include "package/check_impl.h"

#include <stdio.h>
#include <stdlib.h>

/* --- words --- */

static const char *const types[GAL_VERDICT_COUNT] = {
    [GAL_VERDICT_FINE] = "",           [GAL_VERDICT_NULL] = "null",
    [GAL_VERDICT_WHOLE] = "type",      [GAL_VERDICT_LOW] = "range",
    [GAL_VERDICT_HIGH] = "range",      [GAL_VERDICT_SHORT] = "length",
    [GAL_VERDICT_LONG] = "length",     [GAL_VERDICT_VALUE] = "value",
    [GAL_VERDICT_PATTERN] = "pattern", [GAL_VERDICT_UTF8] = "type",
    [GAL_VERDICT_OUTLIER] = "outlier",
};

static const char *bound_message(const struct gal_feature *f, bool is_low, struct gal_arena *arena)
{
    const struct gal_literal *strict = is_low ? &f->gt : &f->lt, *loose = is_low ? &f->ge : &f->le;
    const char *name = f->name.p;
    if (strict->set)
        return gal_arena_printf(arena, "%s must be %s than %s", name, is_low ? "greater" : "less",
                                strict->text.p);
    if (loose->set)
        return gal_arena_printf(arena, "%s must be at %s %s", name, is_low ? "least" : "most",
                                loose->text.p);
    return gal_arena_printf(arena, "%s must fit %s", name, gal_dtype_name(f->declared));
}

static const char *length_message(const struct gal_feature *f, bool is_low, struct gal_arena *arena)
{
    uint64_t n = is_low ? f->length_min : f->length_max;
    return gal_arena_printf(arena, "%s must have at %s %llu character%s", f->name.p,
                            is_low ? "least" : "most", (unsigned long long)n, n == 1 ? "" : "s");
}

static const char *values_message(const struct gal_feature *f, struct gal_arena *arena)
{
    char names[256];
    size_t n = 0, i;
    names[0] = '\0';
    for (i = 0; i < f->value_count && n + f->values[i].text.n + 3 < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", i ? ", " : "",
                              GAL_STR_ARG(f->values[i].text));
    if (i < f->value_count)
        return gal_arena_printf(arena, "%s must be one of %zu values: %s, ...", f->name.p,
                                f->value_count, names);
    return gal_arena_printf(arena, "%s must be one of %s", f->name.p, names);
}

const char *gal_check_message(const struct gal_feature *f, enum gal_verdict v,
                              struct gal_arena *arena)
{
    const char *text = NULL;
    if (v == GAL_VERDICT_OUTLIER)
        text = f->outlier_message ? f->outlier_message
                                  : gal_arena_printf(arena, "%s value suspicious", f->name.p);
    else if (f->message)
        text = f->message;
    else if (v == GAL_VERDICT_LOW || v == GAL_VERDICT_HIGH)
        text = bound_message(f, v == GAL_VERDICT_LOW, arena);
    else if (v == GAL_VERDICT_SHORT || v == GAL_VERDICT_LONG)
        text = length_message(f, v == GAL_VERDICT_SHORT, arena);
    else if (v == GAL_VERDICT_VALUE)
        text = values_message(f, arena);
    else if (v == GAL_VERDICT_PATTERN)
        text = gal_arena_printf(arena, "%s must match %s", f->name.p, f->pattern);
    else if (v == GAL_VERDICT_WHOLE)
        text = gal_arena_printf(arena, "%s must be a whole number", f->name.p);
    else if (v == GAL_VERDICT_NULL)
        text = gal_arena_printf(arena, "%s must be a number, not NaN", f->name.p);
    else
        text = gal_arena_printf(arena, "%s must be UTF-8 text", f->name.p);
    return text ? text : "out of memory";
}

/* --- findings --- */

static size_t rows_of(const struct gal_tensor *t)
{
    return t->rank > 0 ? (size_t)t->shape[0] : 1;
}

void gal_check_add(struct gal_findings *out, struct gal_finding finding)
{
    bool flag = finding.flag;

    out->flagged += flag;
    out->refused += !flag;
    if (out->count == GAL_FINDINGS_MAX) {
        out->more = true;
        if (flag || out->refused > 1)
            return;
        out->count--; /* the first that is refused is told, come what may */
    }
    out->at[out->count++] = finding;
}

static void add(struct gal_findings *out, size_t feature, size_t row, size_t element,
                enum gal_verdict v, const char *message, bool flag)
{
    gal_check_add(out, (struct gal_finding){feature, row, element, types[v], message, flag});
}

static void check_column(const struct gal_manifest *m, size_t feature, const struct gal_tensor *t,
                         struct gal_arena *arena, struct gal_findings *out)
{
    const struct gal_feature *f = &m->features[feature];
    size_t rows = rows_of(t), a_row = rows && t->count > rows ? t->count / rows : 1;
    const char *messages[GAL_VERDICT_COUNT] = {NULL};
    if (gal_check_at_once(f, t))
        return;
    for (size_t i = 0; i < t->count; i++) {
        enum gal_verdict v = gal_check_element(f, t, i);
        if (v == GAL_VERDICT_FINE)
            continue;
        if (!messages[v])
            messages[v] = gal_check_message(f, v, arena);
        add(out, feature, i / a_row, i % a_row, v, messages[v],
            v == GAL_VERDICT_OUTLIER && f->outlier == GAL_OUTLIER_FLAG);
    }
}

/* --- all --- */

static int by_row(const void *a, const void *b)
{
    const struct gal_finding *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    if (x->feature != y->feature)
        return x->feature < y->feature ? -1 : 1;
    return (x->element > y->element) - (x->element < y->element);
}

/* "instance 3: a must be ...; instance 4: ..." as far as there is room. */
enum gal_status gal_check_tell(const struct gal_findings *f, size_t rows, struct gal_err *err)
{
    char text[sizeof err->message];
    size_t n = 0, told = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct gal_finding *one = &f->at[i];
        char part[400], where[40] = "";
        if (one->flag)
            continue;
        if (rows > 1)
            snprintf(where, sizeof where, "instance %zu: ", one->row);
        int size = snprintf(part, sizeof part, "%s%s%s", told ? "; " : "", where, one->message);
        if (told && n + (size_t)size + 16 > sizeof text)
            break;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", part);
        if (n >= sizeof text)
            n = sizeof text - 1;
        told++;
    }
    gal_fail(err, GAL_INVALID, "%s", text);
    if (told < f->refused)
        gal_err_hint(err, "and %zu more", f->refused - told);
    return GAL_INVALID;
}

enum gal_status gal_check_features(const struct gal_manifest *m, const struct gal_value *values,
                                   struct gal_arena *arena, struct gal_findings *out,
                                   struct gal_err *err)
{
    const struct gal_tensor *first = NULL;
    out->count = out->refused = out->flagged = 0;
    out->more = false;
    for (size_t i = 0; i < m->feature_count; i++) {
        const struct gal_tensor *t = &values[i].tensor;
        if (values[i].kind != GAL_KIND_TENSOR)
            continue;
        if (t->dtype != m->features[i].dtype)
            return gal_fail(err, GAL_INVALID, "%.*s must be %s, got %s",
                            GAL_STR_SHOWN(m->features[i].name),
                            gal_dtype_name(m->features[i].dtype), gal_dtype_name(t->dtype));
        if (!first)
            first = t;
        if (rows_of(t) != rows_of(first))
            return gal_fail(err, GAL_INVALID, "%.*s has %zu rows, other features have %zu",
                            GAL_STR_SHOWN(m->features[i].name), rows_of(t), rows_of(first));
        check_column(m, i, t, arena, out);
    }
    for (size_t i = 0; i < m->rule_count; i++)
        gal_check_rule(m, &m->rules[i], values, out);
    if (out->count > 1)
        qsort(out->at, out->count, sizeof *out->at, by_row);
    return out->refused ? gal_check_tell(out, first ? rows_of(first) : 1, err) : GAL_OK;
}

/* --- defaults --- */

static enum gal_status fill_column(const struct gal_feature *f, size_t rows, struct gal_value *v,
                                   struct gal_arena *arena, struct gal_err *err)
{
    size_t size = gal_dtype_size(f->dtype), rank = f->rank ? f->rank + 1 : 2, count;
    int64_t *shape = gal_arena_array(arena, rank, sizeof *shape);
    if (!shape)
        return gal_arena_fail(arena, rank * sizeof *shape, f->name.p, err);
    shape[0] = (int64_t)rows;
    shape[1] = 1;
    if (f->rank)
        memcpy(shape + 1, f->shape, f->rank * sizeof *shape);
    enum gal_status status = gal_shape_count(shape, rank, f->dtype, &count, err);
    if (status)
        return status;
    char *data = gal_arena_array(arena, count, size);
    if (!data)
        return gal_arena_fail(arena, count * size, f->name.p, err);
    for (size_t i = 0; i < count; i++)
        gal_check_put(f, &f->absent, data + i * size);
    *v = (struct gal_value){.kind = GAL_KIND_TENSOR,
                            .tensor = {.name = f->name,
                                       .dtype = f->dtype,
                                       .rank = rank,
                                       .shape = shape,
                                       .count = count,
                                       .data = data}};
    return GAL_OK;
}

enum gal_status gal_check_fill(const struct gal_manifest *m, size_t rows, struct gal_value *values,
                               struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < m->feature_count && !status; i++) {
        if (values[i].kind == GAL_KIND_NONE && m->features[i].absent.set)
            status = fill_column(&m->features[i], rows, &values[i], arena, err);
    }
    return status;
}
