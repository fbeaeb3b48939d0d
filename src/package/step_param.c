/* SPDX-License-Identifier: Apache-2.0 */
/* A step's parameters: held against the table of its kind, then read. */
#include "package/step_impl.h"

#include "base/name.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum gal_status gal_step_refuse(struct gal_step_compiler *c, unsigned line, const char *format, ...)
{
    char text[sizeof(c->err->message)];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)gal_fail(c->err, GAL_INVALID, "%s", text);
    if (c->err != NULL)
        gal_err_place(c->err, "%s:%u", c->context->path, line);
    return GAL_INVALID;
}

/* --- scalars --- */

bool gal_step_to_number(struct gal_str text, double *out)
{
    bool minus = text.n > 0 && text.p[0] == '-';
    struct gal_str word = {text.p + (minus || (text.n > 0 && text.p[0] == '+')), 0};
    char *end;

    word.n = text.n - (size_t)(word.p - text.p);
    if (gal_str_ieq(word, GAL_STR("nan")) || gal_str_ieq(word, GAL_STR(".nan")))
        *out = (double)NAN;
    else if (gal_str_ieq(word, GAL_STR("inf")) || gal_str_ieq(word, GAL_STR(".inf")))
        *out = minus ? -(double)INFINITY : (double)INFINITY;
    else {
        /* Decimal only: strtod knows more than YAML does. */
        if (text.n == 0 || strspn(text.p, "+-.0123456789eE") != text.n)
            return false;
        *out = strtod(text.p, &end);
        return end == text.p + text.n && isfinite(*out);
    }
    return true;
}

static bool to_integer(struct gal_str text, int64_t *out)
{
    double v;

    if (gal_str_i64(text, out) == GAL_OK)
        return true;
    if (!gal_step_to_number(text, &v) || !(fabs(v) <= 9007199254740992.0) || v != floor(v))
        return false;
    *out = (int64_t)v;
    return true;
}

static bool to_bool(const struct gal_yaml *n, bool *out)
{
    *out = gal_str_is(n->scalar, "true");
    return !n->quoted && (*out || gal_str_is(n->scalar, "false"));
}

/* Position of a word in "a|b|c"; "number" and "text" there stand for any of them. SIZE_MAX: none.
 */
static size_t choice_of(const char *type, struct gal_str word)
{
    struct gal_str rest = gal_str_of(type), part;
    double v;

    for (size_t i = 0; gal_str_cut(&rest, '|', &part); i++) {
        if (gal_str_is(part, "number") ? gal_step_to_number(word, &v)
                                       : gal_str_is(part, "text") || gal_str_eq(part, word))
            return i;
    }
    return SIZE_MAX;
}

/* --- checks --- */

static bool is_type(const struct gal_step_param *p, const char *type)
{
    return strcmp(p->type, type) == 0;
}

/* What is wrong with one scalar of a parameter; NULL: nothing. */
static const char *scalar_fault(const struct gal_step_param *p, const struct gal_yaml *n)
{
    double number;
    int64_t integer;
    bool flag;

    if (n->type != GAL_YAML_SCALAR)
        return "one value";
    if (is_type(p, "number") || is_type(p, "numbers"))
        return gal_step_to_number(n->scalar, &number) ? NULL : "a number";
    if (is_type(p, "integer"))
        return to_integer(n->scalar, &integer) ? NULL : "a whole number";
    if (is_type(p, "bool"))
        return to_bool(n, &flag) ? NULL : "true or false";
    if (is_type(p, "type"))
        return gal_dtype_parse(n->scalar) != GAL_DT_NONE ? NULL
                                                         : "a datatype such as FP32 or INT64";
    if (strchr(p->type, '|') != NULL)
        return choice_of(p->type, n->scalar) != SIZE_MAX ? NULL : p->type;
    if (is_type(p, "text") || is_type(p, "texts"))
        return NULL;
    return n->scalar.n > 0 ? NULL : "a name";
}

static bool takes_list(const struct gal_step_param *p)
{
    return is_type(p, "numbers") || is_type(p, "texts") || is_type(p, "features");
}

static enum gal_status check_param(struct gal_step_compiler *c, const struct gal_step_param *p,
                                   const struct gal_yaml *n)
{
    const char *fault = NULL;
    bool list = n->type == GAL_YAML_LIST && takes_list(p);
    unsigned line = n->line;

    if (is_type(p, "bands")) /* its maker looks at it */
        return n->type == GAL_YAML_LIST
                   ? GAL_OK
                   : gal_step_refuse(c, line, "%s: `%s` is a list", c->kind->name, p->name);
    if (list && n->child == NULL)
        return gal_step_refuse(c, line, "%s: `%s` is empty", c->kind->name, p->name);
    if (!list)
        fault = scalar_fault(p, n);
    for (const struct gal_yaml *i = list ? n->child : NULL; i != NULL && fault == NULL;
         i = i->next) {
        fault = scalar_fault(p, i);
        line = i->line;
        if (fault != NULL)
            n = i;
    }
    if (fault == NULL)
        return GAL_OK;
    if (n->type == GAL_YAML_SCALAR)
        return gal_step_refuse(c, line, "%s: `%s`: '%.*s' is not %s", c->kind->name, p->name,
                               GAL_STR_SHOWN(n->scalar), fault);
    return gal_step_refuse(c, line, "%s: `%s` takes %s", c->kind->name, p->name,
                           takes_list(p) ? "a list" : fault);
}

/* Columns have one parameter, which may be written as what they are. */
static bool same_param(const struct gal_step_param *p, struct gal_str key)
{
    bool many = is_type(p, "features"), one = is_type(p, "feature");

    if ((many || one) && (gal_str_is(key, "output") || gal_str_is(key, "feature")))
        return strcmp(p->name, "from") != 0;
    if (many && (gal_str_is(key, "outputs") || gal_str_is(key, "features")))
        return strcmp(p->name, "from") != 0;
    return gal_str_is(key, p->name);
}

static const struct gal_step_param *param_of(const struct gal_step_kind *kind, struct gal_str key)
{
    for (size_t i = 0; i < kind->param_count; i++)
        if (same_param(&kind->params[i], key))
            return &kind->params[i];
    return NULL;
}

static enum gal_status refuse_param(struct gal_step_compiler *c, const struct gal_yaml *n)
{
    struct gal_str names[16];
    size_t count = 0, best = SIZE_MAX;
    const char *nearest = NULL;
    char text[160];
    enum gal_status st;

    for (size_t i = 0; i < c->kind->param_count; i++) {
        size_t d = gal_name_distance(n->key, c->kind->params[i].name);

        if (count < sizeof(names) / sizeof(names[0]))
            names[count++] = gal_str_of(c->kind->params[i].name);
        if (d < best) {
            best = d;
            nearest = c->kind->params[i].name;
        }
    }
    st = gal_step_refuse(c, n->line, "%s has no parameter '%.*s'", c->kind->name,
                         GAL_STR_SHOWN(n->key));
    if (c->err == NULL)
        return st;
    if (nearest != NULL)
        gal_err_hint(c->err, "did you mean '%s'?", nearest);
    else
        gal_err_hint(c->err, "it takes %s", gal_step_list(names, count, text, sizeof(text)));
    return st;
}

enum gal_status gal_step_check_params(struct gal_step_compiler *c)
{
    enum gal_status st = GAL_OK;

    if (c->node->type != GAL_YAML_MAP) {
        st = gal_step_refuse(c, c->line, "%s needs its parameters", c->kind->name);
        if (c->err != NULL)
            gal_err_hint(c->err, "as in: - %s: {%s: ...}", c->kind->name, c->kind->params[0].name);
        return st;
    }
    for (const struct gal_yaml *n = c->node->child; st == GAL_OK && n != NULL; n = n->next) {
        const struct gal_step_param *p = param_of(c->kind, n->key);

        st = p == NULL ? refuse_param(c, n) : check_param(c, p, n);
        for (const struct gal_yaml *o = c->node->child; st == GAL_OK && o != n; o = o->next)
            if (param_of(c->kind, o->key) == p)
                st = gal_step_refuse(c, n->line, "%s: '%.*s' and '%.*s' are the same",
                                     c->kind->name, GAL_STR_SHOWN(o->key), GAL_STR_SHOWN(n->key));
    }
    for (size_t i = 0; st == GAL_OK && i < c->kind->param_count; i++) {
        const struct gal_step_param *p = &c->kind->params[i];
        bool is_column = is_type(p, "features") || (is_type(p, "feature"));

        if (p->required && gal_step_get(c, p->name) == NULL)
            st = gal_step_refuse(c, c->line, "%s needs `%s`", c->kind->name,
                                 is_column && !c->kind->before ? "output" : p->name);
    }
    return st;
}

/* --- getters --- */

const struct gal_yaml *gal_step_get(const struct gal_step_compiler *c, const char *name)
{
    const struct gal_step_param *p = param_of(c->kind, gal_str_of(name));

    for (const struct gal_yaml *n = c->node->child; p != NULL && n != NULL; n = n->next)
        if (same_param(p, n->key))
            return n;
    return NULL;
}

unsigned gal_step_line(const struct gal_step_compiler *c, const char *name)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    return n != NULL ? n->line : c->line;
}

bool gal_step_number(const struct gal_step_compiler *c, const char *name, double *out)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    return n != NULL && gal_step_to_number(n->scalar, out);
}

bool gal_step_integer(const struct gal_step_compiler *c, const char *name, int64_t *out)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    return n != NULL && to_integer(n->scalar, out);
}

void gal_step_bool(const struct gal_step_compiler *c, const char *name, bool *out)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    if (n != NULL)
        (void)to_bool(n, out);
}

void gal_step_text(const struct gal_step_compiler *c, const char *name, struct gal_str *out)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    if (n != NULL)
        *out = n->scalar;
}

size_t gal_step_choice(const struct gal_step_compiler *c, const char *name, size_t untold)
{
    const struct gal_yaml *n = gal_step_get(c, name);

    return n != NULL ? choice_of(param_of(c->kind, gal_str_of(name))->type, n->scalar) : untold;
}

/* The scalars of a parameter: its list's, or itself. */
static const struct gal_yaml *first_of(const struct gal_yaml *n, size_t *count)
{
    const struct gal_yaml *first = n != NULL && n->type == GAL_YAML_LIST ? n->child : n;

    *count = 0;
    for (const struct gal_yaml *i = first; i != NULL; i = i->next) {
        ++*count;
        if (first == n)
            break;
    }
    return first;
}

enum gal_status gal_step_numbers(struct gal_step_compiler *c, const char *name, double **out,
                                 size_t *count)
{
    const struct gal_yaml *n = first_of(gal_step_get(c, name), count);

    *out = NULL;
    if (n == NULL)
        return GAL_OK;
    *out = gal_arena_array(c->arena, *count, sizeof(**out));
    if (*out == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; i < *count; i++, n = n->next)
        (void)gal_step_to_number(n->scalar, &(*out)[i]);
    return GAL_OK;
}

enum gal_status gal_step_texts(struct gal_step_compiler *c, const char *name, struct gal_str **out,
                               size_t *count)
{
    const struct gal_yaml *n = first_of(gal_step_get(c, name), count);

    *out = NULL;
    if (n == NULL)
        return GAL_OK;
    *out = gal_arena_array(c->arena, *count, sizeof(**out));
    if (*out == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; i < *count; i++, n = n->next) {
        (*out)[i] = (struct gal_str){gal_arena_strdup(c->arena, n->scalar), n->scalar.n};
        if ((*out)[i].p == NULL)
            return gal_step_no_memory(c->arena, c->err);
    }
    return GAL_OK;
}

enum gal_dtype gal_step_dtype(const struct gal_step_compiler *c, enum gal_dtype untold)
{
    const struct gal_yaml *n = gal_step_get(c, "type");

    return n != NULL ? gal_dtype_parse(n->scalar) : untold;
}

/* --- columns --- */

enum gal_status gal_step_sources(struct gal_step_compiler *c, size_t **slots, size_t *count)
{
    const char *name = "feature";
    const struct gal_yaml *n;
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < c->kind->param_count; i++)
        if (is_type(&c->kind->params[i], "features") || is_type(&c->kind->params[i], "feature"))
            name = c->kind->params[i].name;
    n = first_of(gal_step_get(c, name), count);
    *slots = gal_arena_array(c->arena, *count, sizeof(**slots));
    if (*slots == NULL)
        return gal_step_no_memory(c->arena, c->err);
    for (size_t i = 0; st == GAL_OK && i < *count; i++, n = n->next)
        st = gal_step_find(c, n->scalar, n->line, &(*slots)[i]);
    if (st == GAL_OK && *count > 1 && gal_step_get(c, "to") != NULL &&
        strcmp(c->kind->name, "assemble") != 0)
        st = gal_step_refuse(c, gal_step_line(c, "to"), "%s: `to` names what one column becomes",
                             c->kind->name);
    return st;
}

enum gal_status gal_step_source(struct gal_step_compiler *c, size_t *slot)
{
    size_t *slots, count;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    if (st == GAL_OK)
        *slot = slots[0];
    return st;
}

struct gal_str gal_step_to(const struct gal_step_compiler *c, size_t slot)
{
    struct gal_str to = gal_step_column(c, slot)->name;

    gal_step_text(c, "to", &to);
    return to;
}
