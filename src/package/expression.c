/* SPDX-License-Identifier: Apache-2.0 */
#include "package/expression.h"

#include "package/check_impl.h"
#include "package/manifest_fields.h"

struct reader {
    struct gal_str rest; /* what has not been read */
    struct gal_str text;
    gal_expression_find find;
    void *ctx;
    struct gal_err *err;
    struct gal_term terms[GAL_EXPRESSION_TERMS_MAX];
    size_t count;
    size_t waiting; /* values that no operation has taken yet */
};

/* --- terms --- */

static enum gal_status add(struct reader *r, struct gal_term term)
{
    if (r->count == GAL_EXPRESSION_TERMS_MAX)
        return gal_fail(r->err, GAL_INVALID, "has more than %u features, numbers and signs",
                        GAL_EXPRESSION_TERMS_MAX);
    if (term.kind == GAL_TERM_NUMBER || term.kind == GAL_TERM_FEATURE)
        r->waiting++;
    else if (term.kind != GAL_TERM_NEGATE)
        r->waiting--;
    if (r->waiting > GAL_EXPRESSION_DEPTH_MAX)
        return gal_fail(r->err, GAL_INVALID, "is nested too deeply");
    r->terms[r->count++] = term;
    return GAL_OK;
}

static enum gal_status add_feature(struct reader *r, struct gal_str name)
{
    const char *problem = "is no feature";
    size_t feature = r->find(r->ctx, name, &problem);
    if (feature == SIZE_MAX)
        return gal_fail(r->err, GAL_INVALID, "'%.*s' %s", GAL_STR_SHOWN(name), problem);
    return add(r, (struct gal_term){.kind = GAL_TERM_FEATURE, .feature = feature});
}

/* --- letters --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* The next letter that is no space; 0 at the end. */
static char peek(struct reader *r)
{
    while (r->rest.n > 0 && (*r->rest.p == ' ' || *r->rest.p == '\t'))
        r->rest = (struct gal_str){r->rest.p + 1, r->rest.n - 1};
    return r->rest.n > 0 ? *r->rest.p : '\0';
}

static struct gal_str take(struct reader *r, size_t n)
{
    struct gal_str token = {r->rest.p, n};
    r->rest = (struct gal_str){r->rest.p + n, r->rest.n - n};
    return token;
}

static enum gal_status fail_here(struct reader *r, const char *wanted)
{
    peek(r);
    if (r->rest.n == 0)
        return gal_fail(r->err, GAL_INVALID, "ends where %s should be", wanted);
    size_t n = r->rest.n < 8 ? r->rest.n : 8;
    while (n > 0 && n < r->rest.n && ((unsigned char)r->rest.p[n] & 0xc0) == 0x80)
        n--; /* never half a character */
    return gal_fail(r->err, GAL_INVALID, "'%.*s' at place %zu, where %s should be", (int)n,
                    r->rest.p, r->text.n - r->rest.n + 1, wanted);
}

/* Digits, letters, dots, and the sign behind an e: the reader of numbers says whether it is one. */
static size_t number_length(struct gal_str s)
{
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.' || is_letter(s.p[n]) ||
                       (n > 0 && (s.p[n] == '+' || s.p[n] == '-') &&
                        (s.p[n - 1] == 'e' || s.p[n - 1] == 'E'))))
        n++;
    return n;
}

static enum gal_status read_number(struct reader *r)
{
    char copy[64];
    struct gal_str token = take(r, number_length(r->rest));
    double v;
    if (token.n >= sizeof copy)
        return gal_fail(r->err, GAL_INVALID, "has a number of %zu letters", token.n);
    memcpy(copy, token.p, token.n);
    copy[token.n] = '\0';
    if (!gal_manifest_number((struct gal_str){copy, token.n}, &v))
        return gal_fail(r->err, GAL_INVALID, "'%s' is no number", copy);
    return add(r, (struct gal_term){.kind = GAL_TERM_NUMBER, .number = v});
}

static enum gal_status read_name(struct reader *r)
{
    size_t n = 0;
    if (*r->rest.p != '`') {
        while (n < r->rest.n &&
               (is_letter(r->rest.p[n]) || is_digit(r->rest.p[n]) || r->rest.p[n] == '.'))
            n++;
        return add_feature(r, take(r, n));
    }
    take(r, 1);
    const char *end = memchr(r->rest.p, '`', r->rest.n);
    if (!end)
        return gal_fail(r->err, GAL_INVALID, "has a backtick without its other one");
    struct gal_str name = take(r, (size_t)(end - r->rest.p));
    take(r, 1);
    return add_feature(r, name);
}

/* --- grammar --- */

static enum gal_status read_sum(struct reader *r, size_t depth);

/* A number, a feature, a sum in parentheses, or one of these behind a minus. */
static enum gal_status read_one(struct reader *r, // NOLINT(misc-no-recursion): depth is bounded
                                size_t depth)
{
    char c = peek(r);
    if (depth == GAL_EXPRESSION_DEPTH_MAX)
        return gal_fail(r->err, GAL_INVALID, "is nested too deeply");
    if (is_digit(c) || c == '.')
        return read_number(r);
    if (is_letter(c) || c == '`')
        return read_name(r);
    if (c != '-' && c != '+' && c != '(')
        return fail_here(r, "a feature or a number");
    take(r, 1);
    enum gal_status status = c == '(' ? read_sum(r, depth + 1) : read_one(r, depth + 1);
    if (status || c == '+')
        return status;
    if (c == '-')
        return add(r, (struct gal_term){.kind = GAL_TERM_NEGATE});
    if (peek(r) != ')')
        return fail_here(r, "a ) or a sign");
    take(r, 1);
    return GAL_OK;
}

static enum gal_status read_product(struct reader *r, // NOLINT(misc-no-recursion): bounded
                                    size_t depth)
{
    enum gal_status status = read_one(r, depth);
    for (char c = peek(r); !status && (c == '*' || c == '/'); c = peek(r)) {
        take(r, 1);
        status = read_one(r, depth);
        if (!status)
            status =
                add(r, (struct gal_term){.kind = c == '*' ? GAL_TERM_MULTIPLY : GAL_TERM_DIVIDE});
    }
    return status;
}

static enum gal_status read_sum(struct reader *r, // NOLINT(misc-no-recursion): bounded
                                size_t depth)
{
    enum gal_status status = read_product(r, depth);
    for (char c = peek(r); !status && (c == '+' || c == '-'); c = peek(r)) {
        take(r, 1);
        status = read_product(r, depth);
        if (!status)
            status = add(r, (struct gal_term){.kind = c == '+' ? GAL_TERM_ADD : GAL_TERM_SUBTRACT});
    }
    return status;
}

enum gal_status gal_expression_read(struct gal_str text, gal_expression_find find, void *ctx,
                                    struct gal_arena *arena, struct gal_expression *out,
                                    struct gal_err *err)
{
    struct reader r = {.rest = text, .text = text, .find = find, .ctx = ctx, .err = err};
    const char *problem = NULL;
    size_t whole = find(ctx, text, &problem);
    enum gal_status status = GAL_OK;
    if (whole != SIZE_MAX)
        r.terms[r.count++] = (struct gal_term){.kind = GAL_TERM_FEATURE, .feature = whole};
    else
        status = read_sum(&r, 0);
    peek(&r);
    if (!status && whole == SIZE_MAX && r.rest.n > 0)
        status = fail_here(&r, "a sign or the end");
    if (status)
        return status;
    struct gal_term *terms = gal_arena_array(arena, r.count, sizeof *terms);
    if (!terms)
        return gal_arena_fail(arena, r.count * sizeof *terms, "a rule", err);
    memcpy(terms, r.terms, r.count * sizeof *terms);
    *out = (struct gal_expression){terms, r.count};
    return GAL_OK;
}

/* --- values --- */

size_t gal_expression_feature(const struct gal_expression *e)
{
    return e->count == 1 && e->terms[0].kind == GAL_TERM_FEATURE ? e->terms[0].feature : SIZE_MAX;
}

static void load(const struct gal_term *t, const struct gal_value *values, size_t first,
                 size_t count, double *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = t->kind == GAL_TERM_NUMBER
                    ? t->number
                    : gal_tensor_number(&values[t->feature].tensor, first + i);
}

/* a = a OP b, row by row. */
static void combine(enum gal_term_kind kind, double *a, const double *b, size_t count)
{
    for (size_t i = 0; kind == GAL_TERM_ADD && i < count; i++)
        a[i] += b[i];
    for (size_t i = 0; kind == GAL_TERM_SUBTRACT && i < count; i++)
        a[i] -= b[i];
    for (size_t i = 0; kind == GAL_TERM_MULTIPLY && i < count; i++)
        a[i] *= b[i];
    for (size_t i = 0; kind == GAL_TERM_DIVIDE && i < count; i++)
        a[i] /= b[i];
}

void gal_expression_values(const struct gal_expression *e, const struct gal_value *values,
                           size_t first, size_t count, double out[GAL_EXPRESSION_ROWS])
{
    if (e->count == 1) {
        load(&e->terms[0], values, first, count, out);
        return;
    }
    double stack[GAL_EXPRESSION_DEPTH_MAX][GAL_EXPRESSION_ROWS];
    size_t top = 0; /* the reader has seen to its bounds, and that no operator lacks a value */
    for (size_t k = 0; k < e->count; k++) {
        const struct gal_term *t = &e->terms[k];
        if (t->kind == GAL_TERM_NUMBER || t->kind == GAL_TERM_FEATURE) {
            load(t, values, first, count, stack[top++]);
        } else if (t->kind == GAL_TERM_NEGATE) {
            GAL_ASSERT(top >= 1);
            for (size_t i = 0; i < count; i++)
                stack[top - 1][i] = -stack[top - 1][i];
        } else {
            GAL_ASSERT(top >= 2);
            top--;
            combine(t->kind, stack[top - 1], stack[top], count);
        }
    }
    memcpy(out, stack[0], count * sizeof *out);
}
