/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that are one value or a list of values. */
#include "package/manifest_fields.h"

#include "base/name.h"

#include <math.h>
#include <stdlib.h>

bool gal_manifest_is_null(const struct gal_yaml *node)
{
    return node->type == GAL_YAML_SCALAR && !node->quoted &&
           (node->scalar.n == 0 || gal_str_is(node->scalar, "~") ||
            gal_str_is(node->scalar, "null") || gal_str_is(node->scalar, "Null") ||
            gal_str_is(node->scalar, "NULL"));
}

bool gal_word_in(const char *words, struct gal_str word, unsigned *place)
{
    struct gal_str rest = gal_str_of(words), one;
    for (unsigned i = 0; gal_str_cut(&rest, '|', &one); i++) {
        if (gal_str_eq(one, word)) {
            *place = i;
            return true;
        }
    }
    return false;
}

static size_t digits(const char *p)
{
    return strspn(p, "0123456789");
}

/* YAML's own grammar of decimal numbers. */
bool gal_manifest_number(struct gal_str text, double *out)
{
    const char *p = text.n ? text.p : "";
    p += *p == '-' || *p == '+';
    size_t whole = digits(p), places = 0;
    p += whole;
    if (*p == '.')
        p += 1 + (places = digits(p + 1));
    if (whole + places == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t n = digits(p);
        if (n == 0)
            return false;
        p += n;
    }
    if (p != text.p + text.n)
        return false;
    *out = strtod(text.p, NULL);
    return isfinite(*out);
}

/* --- what a text is made of --- */

static size_t characters(struct gal_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.n; count++) {
        size_t step = gal_utf8_next(s.p + i, s.n - i);
        i += step ? step : 1;
    }
    return count;
}

static bool has_control(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

static bool is_name(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool inner = i > 0 && (c == '-' || c == '_' || c == '.');
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || inner))
            return false;
    }
    return s.n > 0;
}

static bool is_version(struct gal_str s)
{
    struct gal_str part;
    unsigned parts = 0;
    bool is_open = s.n > 0 && s.p[s.n - 1] == '.';
    while (gal_str_cut(&s, '.', &part)) {
        uint64_t v;
        bool has_zero = part.n > 1 && part.p[0] == '0';
        if (has_zero || gal_str_u64(part, &v))
            return false;
        parts++;
    }
    return !is_open && parts == 3;
}

/* Relative, in plain parts: it can neither leave the package nor be written in two ways. */
static bool is_path(struct gal_str s)
{
    struct gal_str part;
    bool first = true;
    if (s.n == 0 || s.p[s.n - 1] == '/' || memchr(s.p, '\\', s.n) || has_control(s))
        return false;
    while (gal_str_cut(&s, '/', &part)) {
        if (part.n == 0 || part.n > 255 || gal_str_is(part, ".") || gal_str_is(part, "..") ||
            (first && gal_str_is(part, ".galley")))
            return false;
        first = false;
    }
    return true;
}

/* --- scalars --- */

static enum gal_status need_scalar(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const char *what)
{
    if (node->type == GAL_YAML_SCALAR)
        return GAL_OK;
    return gal_manifest_fail(r, node, "must be %s, not a %s", what,
                             node->type == GAL_YAML_LIST ? "list" : "mapping");
}

static enum gal_status check_length(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    const struct gal_field *f)
{
    size_t n = characters(node->scalar);
    if ((double)n < f->min)
        return gal_manifest_fail(r, node, "must not be empty");
    if ((double)n > f->max)
        return gal_manifest_fail(r, node, "is %zu characters long, at most %.0f are allowed", n,
                                 f->max);
    return GAL_OK;
}

static enum gal_status check_text(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f)
{
    struct gal_str s = node->scalar;
    double number;
    switch (f->kind) {
    case GAL_FIELD_NAME:
        if (!is_name(s))
            return gal_manifest_fail(
                r, node, "'%.*s' is no name: letters, digits, and inside - _ .", GAL_STR_SHOWN(s));
        return GAL_OK;
    case GAL_FIELD_VERSION:
        if (is_version(s))
            return GAL_OK;
        gal_manifest_fail(r, node, "'%.*s' is no version", GAL_STR_SHOWN(s));
        gal_err_hint(r->err, "MAJOR.MINOR.PATCH, as 2.1.0");
        return GAL_INVALID;
    case GAL_FIELD_PATH:
        if (is_path(s))
            return GAL_OK;
        gal_manifest_fail(r, node, "'%.*s' is no path within a package", GAL_STR_SHOWN(s));
        gal_err_hint(r->err, "relative, with / between its parts, without . and ..");
        return GAL_INVALID;
    case GAL_FIELD_OPERAND:
        if (!node->quoted && gal_manifest_number(s, &number))
            return GAL_OK;
        break;
    case GAL_FIELD_TEXT:
        return GAL_OK;
    default:
        break;
    }
    return has_control(s) ? gal_manifest_fail(r, node, "must be one line of plain text") : GAL_OK;
}

static enum gal_status read_text(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base)
{
    enum gal_status status = need_scalar(r, node, "a text");
    if (!status && gal_manifest_is_null(node) && node->scalar.n)
        status = gal_manifest_fail(r, node, "must be a text: put '%s' in quotes", node->scalar.p);
    if (!status)
        status = check_length(r, node, f);
    if (!status)
        status = check_text(r, node, f);
    if (!status && f->kind == GAL_FIELD_LINE)
        memcpy(base + f->at, &node->scalar.p, sizeof node->scalar.p);
    else if (!status)
        memcpy(base + f->at, &node->scalar, sizeof node->scalar);
    return status;
}

static enum gal_status read_word(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base)
{
    unsigned place;
    enum gal_status status = need_scalar(r, node, "a word");
    if (status)
        return status;
    if (!gal_word_in(f->words, node->scalar, &place))
        return gal_manifest_fail(r, node, "'%.*s' is none of %s", GAL_STR_SHOWN(node->scalar),
                                 f->words);
    if (f->kind == GAL_FIELD_TERM) {
        memcpy(base + f->at, &node->scalar, sizeof node->scalar);
    } else if (f->kind == GAL_FIELD_FLAG) {
        bool yes = true;
        memcpy(base + f->at, &yes, sizeof yes);
    } else {
        unsigned value = place + (unsigned)f->min; /* gcc's and clang's enum without a minus */
        memcpy(base + f->at, &value, sizeof value);
    }
    return GAL_OK;
}

static enum gal_status read_bool(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base)
{
    enum gal_status status = need_scalar(r, node, "true or false");
    bool yes = !status && gal_str_is(node->scalar, "true");
    if (status)
        return status;
    if (node->quoted || (!yes && !gal_str_is(node->scalar, "false")))
        return gal_manifest_fail(r, node, "'%.*s' is neither true nor false",
                                 GAL_STR_SHOWN(node->scalar));
    memcpy(base + f->at, &yes, sizeof yes);
    return GAL_OK;
}

static enum gal_status read_count(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, char *base)
{
    uint64_t v;
    enum gal_status status = need_scalar(r, node, "a whole number");
    if (status)
        return status;
    if (node->quoted || gal_str_u64(node->scalar, &v))
        return gal_manifest_fail(r, node, "'%.*s' is not a whole number from 0",
                                 GAL_STR_SHOWN(node->scalar));
    if ((double)v < f->min || (double)v > f->max) {
        gal_manifest_fail(r, node, "%.*s is out of range", GAL_STR_SHOWN(node->scalar));
        gal_err_hint(r->err, "%.0f to %.0f", f->min, f->max);
        return GAL_INVALID;
    }
    memcpy(base + f->at, &v, sizeof v);
    return GAL_OK;
}

static enum gal_status read_number(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_field *f, char *base)
{
    double v;
    enum gal_status status = need_scalar(r, node, "a number");
    if (status)
        return status;
    if (node->quoted || !gal_manifest_number(node->scalar, &v))
        return gal_manifest_fail(r, node, "'%.*s' is not a number", GAL_STR_SHOWN(node->scalar));
    if (v < f->min || v > f->max) {
        gal_manifest_fail(r, node, "%.*s is out of range", GAL_STR_SHOWN(node->scalar));
        gal_err_hint(r->err, "%g to %g", f->min, f->max);
        return GAL_INVALID;
    }
    memcpy(base + f->at, &v, sizeof v);
    return GAL_OK;
}

/* --- a feature's type --- */

static enum gal_status read_type(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base)
{
    struct gal_feature *feature =
        (struct gal_feature *)(void *)(base + f->at - offsetof(struct gal_feature, type));
    const char *near = NULL;
    size_t best = SIZE_MAX;
    enum gal_status status = need_scalar(r, node, "a type");
    for (size_t i = 0; !status && i < gal_type_name_count; i++) {
        const struct gal_type_name *t = &gal_type_names[i];
        size_t distance = gal_name_distance(node->scalar, t->name);
        if (gal_str_is(node->scalar, t->name)) {
            feature->type = t->type;
            feature->dtype = feature->declared = t->dtype;
            feature->integral = gal_dtype_is_int(t->dtype);
            return GAL_OK;
        }
        if (distance < best) {
            best = distance;
            near = t->name;
        }
    }
    if (status)
        return status;
    gal_manifest_fail(r, node, "'%.*s' is no type", GAL_STR_SHOWN(node->scalar));
    if (near)
        gal_err_hint(r->err, "did you mean %s?", near);
    else
        gal_err_hint(r->err, "float, double, int, bool, text, image, or a datatype as INT32");
    return GAL_INVALID;
}

/* --- lists --- */

static enum gal_status read_item(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base, char *item)
{
    static const struct gal_field path = {.kind = GAL_FIELD_PATH, .min = 1, .max = 512},
                                  text = {.kind = GAL_FIELD_COLUMN, .min = 1, .max = 256};
    int64_t size;
    switch (f->kind) {
    case GAL_FIELD_PATHS:
        return read_text(r, node, &path, item);
    case GAL_FIELD_TEXTS:
        return read_text(r, node, &text, item);
    case GAL_FIELD_LITERALS:
        return gal_manifest_literal(r, node, (struct gal_feature *)(void *)base, false,
                                    (struct gal_literal *)(void *)item);
    default:
        if (node->type != GAL_YAML_SCALAR || node->quoted || gal_str_i64(node->scalar, &size) ||
            size < -1 || size == 0 || size > INT32_MAX)
            return gal_manifest_fail(r, node, "must be a size from 1, or -1 for any");
        memcpy(item, &size, sizeof size);
        return GAL_OK;
    }
}

static enum gal_status read_list(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                 const struct gal_field *f, char *base)
{
    size_t size = f->kind == GAL_FIELD_LITERALS ? sizeof(struct gal_literal)
                  : f->kind == GAL_FIELD_SHAPE  ? sizeof(int64_t)
                                                : sizeof(struct gal_str);
    if (node->type != GAL_YAML_LIST)
        return gal_manifest_fail(r, node, "must be a list, as [a, b]");
    return gal_manifest_list(r, node, f, base, size, read_item);
}

/* --- what others read --- */

static enum gal_status read_steps(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, char *base)
{
    size_t count = 0, before = gal_manifest_enter(r, node->key, GAL_NO_INDEX);
    enum gal_status status = GAL_OK;
    if (node->type != GAL_YAML_LIST) {
        gal_manifest_leave(r, before);
        return gal_manifest_fail(r, node, "must be a list of steps");
    }
    for (const struct gal_yaml *n = node->child; n && !status; n = n->next, count++) {
        size_t inner = gal_manifest_enter(r, n->key, count);
        if ((double)count >= f->max)
            status = gal_manifest_fail(r, n, "more than %.0f steps", f->max);
        else if (n->type != GAL_YAML_MAP || !n->child || n->child->next)
            status = gal_manifest_fail(r, n, "must be one step, as `- clip: {...}`");
        gal_manifest_leave(r, inner);
    }
    gal_manifest_leave(r, before);
    if (!status && count > 0)
        memcpy(base + f->at, (const void *)&node, sizeof(void *));
    return status;
}

static enum gal_status read_map(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                const struct gal_field *f, char *base)
{
    if (node->type != GAL_YAML_MAP)
        return gal_manifest_fail(r, node, "must be a mapping");
    memcpy(base + f->at, (const void *)&node, sizeof(void *));
    return GAL_OK;
}

static enum gal_status read_literal(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                    const struct gal_field *f, char *base)
{
    return gal_manifest_literal(r, node, (struct gal_feature *)(void *)base, f->words[0] != '\0',
                                (struct gal_literal *)(void *)(base + f->at));
}

static enum gal_status read_pairs(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                  const struct gal_field *f, char *base)
{
    const struct gal_pair *pairs;
    size_t count;
    enum gal_status status = gal_manifest_pairs(r, node, f->words, &pairs, &count);
    if (status)
        return status;
    memcpy(base + f->at, (const void *)&pairs, sizeof(void *));
    memcpy(base + f->count_at, &count, sizeof count);
    return GAL_OK;
}

enum gal_status gal_manifest_value(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const struct gal_field *f, char *base)
{
    typedef enum gal_status (*read_fn)(struct gal_manifest_reader *, const struct gal_yaml *,
                                       const struct gal_field *, char *);
    static const read_fn readers[GAL_FIELD_KIND_COUNT] = {
        [GAL_FIELD_TEXT] = read_text,     [GAL_FIELD_LINE] = read_text,
        [GAL_FIELD_NAME] = read_text,     [GAL_FIELD_COLUMN] = read_text,
        [GAL_FIELD_OPERAND] = read_text,  [GAL_FIELD_VERSION] = read_text,
        [GAL_FIELD_PATH] = read_text,     [GAL_FIELD_PATHS] = read_list,
        [GAL_FIELD_TEXTS] = read_list,    [GAL_FIELD_TERM] = read_word,
        [GAL_FIELD_WORD] = read_word,     [GAL_FIELD_FLAG] = read_word,
        [GAL_FIELD_BOOL] = read_bool,     [GAL_FIELD_COUNT] = read_count,
        [GAL_FIELD_NUMBER] = read_number, [GAL_FIELD_TYPE] = read_type,
        [GAL_FIELD_SHAPE] = read_list,    [GAL_FIELD_LITERAL] = read_literal,
        [GAL_FIELD_LITERALS] = read_list, [GAL_FIELD_STEPS] = read_steps,
        [GAL_FIELD_MAP] = read_map,       [GAL_FIELD_PAIRS] = read_pairs,
    };
    return readers[f->kind](r, node, f, base);
}
