/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases of two packages: which there are, whether they ask the same, what came out. */
#include "package/diff_impl.h"

#include "package/golden.h"

#include <math.h>
#include <stdio.h>

#define WHAT_SIZE 200u
#define TEXT_SIZE 200u

static const struct gal_str absent = {NULL, 0};

static enum gal_status read_cases(const struct gal_differ *d, struct gal_package *p,
                                  struct gal_golden **out)
{
    enum gal_status status;
    char place[sizeof d->err->place];

    status = gal_package_golden(p, d->arena, out, d->err);
    if (status && d->err && d->err->place[0]) { /* of which of both */
        memcpy(place, d->err->place, sizeof place);
        gal_err_place(d->err, "%s/%s", p->path, place);
    }
    return status;
}

static const struct gal_golden_case *find_case(const struct gal_golden *g, struct gal_str name)
{
    for (size_t i = 0; i < g->case_count; i++) {
        if (gal_str_eq(g->cases[i].name, name))
            return &g->cases[i];
    }
    return NULL;
}

static const struct gal_value *find_value(const struct gal_value *values, size_t count,
                                          struct gal_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (gal_str_eq(values[i].tensor.name, name))
            return &values[i];
    }
    return NULL;
}

/* "FP32 [2,3]" of a tensor. */
static struct gal_str form(const struct gal_value *v, char out[TEXT_SIZE])
{
    char shape[TEXT_SIZE - 20];
    if (!v)
        return absent;
    (void)snprintf(out, TEXT_SIZE, "%s %s", gal_dtype_name(v->tensor.dtype),
                   gal_shape_format(v->tensor.shape, v->tensor.rank, shape, sizeof shape));
    return gal_str_of(out);
}

/* One tensor of both: what it was and has become where it differs most, and how much that is. */
static enum gal_status diff_value(const struct gal_differ *d, const struct gal_golden_case *c,
                                  const struct gal_value *a, const struct gal_value *b)
{
    struct gal_difference exact = {.worst_element = SIZE_MAX}, kind = exact;
    char what[WHAT_SIZE], x[TEXT_SIZE], y[TEXT_SIZE];
    const struct gal_value *one = a ? a : b;
    bool same = a && b && gal_golden_compare(a, b, 0, 0, &exact);
    if (same)
        return GAL_OK;
    (void)snprintf(what, sizeof what, "%.*s.%.*s", GAL_STR_SHOWN(c->name),
                   GAL_STR_SHOWN(one->tensor.name));
    if (!a || !b || exact.elements == 0)
        return gal_diff_add(d, GAL_SECTION_GOLDEN, gal_str_of(what), form(a, x), form(b, y));
    bool within = gal_golden_compare(a, b, c->rtol, c->atol, &kind);
    (void)snprintf(x, sizeof x, "%s", exact.want);
    size_t n =
        (size_t)snprintf(y, sizeof y, "%s (%llu of %llu differ", exact.got,
                         (unsigned long long)exact.differing, (unsigned long long)exact.elements);
    if (n < sizeof y && isfinite(exact.abs_max))
        n += (size_t)snprintf(y + n, sizeof y - n, ", by at most %.3g", exact.abs_max);
    if (n < sizeof y)
        (void)snprintf(y + n, sizeof y - n, "%s)", within ? ", within tolerance" : "");
    return gal_diff_add(d, GAL_SECTION_GOLDEN, gal_str_of(what), gal_str_of(x), gal_str_of(y));
}

static enum gal_status diff_values(const struct gal_differ *d, const struct gal_golden_case *c,
                                   const struct gal_value *a, size_t a_count,
                                   const struct gal_value *b, size_t b_count)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < a_count && !status; i++)
        status = diff_value(d, c, &a[i], find_value(b, b_count, a[i].tensor.name));
    for (size_t i = 0; i < b_count && !status; i++) {
        if (!find_value(a, a_count, b[i].tensor.name))
            status = diff_value(d, c, NULL, &b[i]);
    }
    return status;
}

static enum gal_status add_case(const struct gal_differ *d, const struct gal_golden_case *a,
                                const struct gal_golden_case *b)
{
    char text[TEXT_SIZE];
    const struct gal_golden_case *c = a ? a : b;
    (void)snprintf(text, sizeof text, "a case of %zu inputs and %zu outputs", c->input_count,
                   c->output_count);
    return gal_diff_add(d, GAL_SECTION_GOLDEN, c->name, a ? gal_str_of(text) : absent,
                        b ? gal_str_of(text) : absent);
}

enum gal_status gal_diff_golden(const struct gal_differ *d)
{
    struct gal_golden *a, *b;
    enum gal_status status = read_cases(d, d->a, &a);
    if (!status)
        status = read_cases(d, d->b, &b);
    if (status || !a || !b)
        return status; /* that there are none shows in the manifest */
    for (size_t i = 0; i < a->case_count && !status; i++) {
        const struct gal_golden_case *c = &a->cases[i], *o = find_case(b, c->name);
        if (!o) {
            status = add_case(d, c, NULL);
            continue;
        }
        status = diff_values(d, c, c->inputs, c->input_count, o->inputs, o->input_count);
        if (!status)
            status = diff_values(d, c, c->outputs, c->output_count, o->outputs, o->output_count);
    }
    for (size_t i = 0; i < b->case_count && !status; i++) {
        if (!find_case(a, b->cases[i].name))
            status = add_case(d, NULL, &b->cases[i]);
    }
    return status;
}
