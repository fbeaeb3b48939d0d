/* SPDX-License-Identifier: Apache-2.0 */
/* What a package's manifest says of a value, as JSON Schema and as an example. */
#include "api/native.h"
#include "api/openapi.h"

#define VALUES_BYTES_MAX (8u << 20)

static void put_literal(struct gal_buf *out, const char *key, const struct gal_feature *f,
                        const struct gal_literal *v)
{
    gal_doc_raw(out, key, "");
    if (v->null)
        gal_buf_puts(out, "null");
    else if (f->type == GAL_FEATURE_BOOL)
        gal_buf_puts(out, v->integer ? "true" : "false");
    else if (f->integral)
        gal_buf_put_i64(out, v->integer);
    else if (f->type == GAL_FEATURE_NUMBER)
        gal_json_put_f64(out, v->number);
    else
        gal_json_put_str(out, v->text);
}

static void put_count(struct gal_buf *out, const char *key, uint64_t n)
{
    gal_doc_raw(out, key, "");
    gal_buf_put_u64(out, n);
}

static void put_bounds(struct gal_buf *out, const struct gal_feature *f)
{
    const struct {
        const char *key;
        const struct gal_literal *v;
    } bounds[] = {{"exclusiveMinimum", &f->gt},
                  {"minimum", &f->ge},
                  {"exclusiveMaximum", &f->lt},
                  {"maximum", &f->le}};

    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        if (bounds[i].v->set)
            put_literal(out, bounds[i].key, f, bounds[i].v);
    if (f->length_min > 0)
        put_count(out, "minLength", f->length_min);
    if (f->length_max != UINT64_MAX)
        put_count(out, "maxLength", f->length_max);
}

static void put_type(struct gal_buf *out, const struct gal_feature *f)
{
    const char *type = f->type == GAL_FEATURE_BOOL     ? "boolean"
                       : f->type != GAL_FEATURE_NUMBER ? "string"
                       : f->integral                   ? "integer"
                                                       : "number";

    if (!f->nullable) {
        gal_doc_text(out, "type", type);
        return;
    }
    gal_doc_open(out, "type", '[');
    gal_doc_text(out, NULL, type);
    gal_doc_text(out, NULL, "null");
    gal_doc_close(out, ']');
}

static void put_values(struct gal_buf *out, const struct gal_feature *f)
{
    if (f->value_count == 0)
        return;
    gal_doc_open(out, "enum", '[');
    for (size_t i = 0; i < f->value_count; i++)
        put_literal(out, NULL, f, &f->values[i]);
    if (f->nullable)
        gal_doc_raw(out, NULL, "null");
    gal_doc_close(out, ']');
}

/* Description and unit, "Sum of the payment (EUR)". */
static void put_words(struct gal_buf *out, const struct gal_feature *f)
{
    struct gal_buf text;

    if (f->description.n == 0 && f->unit.n == 0)
        return;
    gal_buf_init(&text, 8192);
    gal_buf_put_str(&text, f->description);
    if (f->unit.n > 0)
        gal_buf_printf(&text, f->description.n > 0 ? " (%.*s)" : "%.*s", GAL_STR_ARG(f->unit));
    gal_doc_str(out, "description", gal_buf_str(&text));
    gal_buf_release(&text);
}

void gal_doc_feature(struct gal_buf *out, const char *key, const struct gal_feature *f)
{
    gal_doc_open(out, key, '{');
    put_words(out, f);
    put_type(out, f);
    put_bounds(out, f);
    put_values(out, f);
    if (f->pattern != NULL) {
        gal_doc_raw(out, "pattern", "");
        gal_buf_puts(out, "\"^(?:");
        for (const char *p = f->pattern; *p != '\0'; p++) {
            if (*p == '"' || *p == '\\')
                gal_buf_putc(out, '\\');
            gal_buf_putc(out, *p);
        }
        gal_buf_puts(out, ")$\"");
    }
    if (f->absent.set)
        put_literal(out, "default", f, &f->absent);
    if (f->example.set) {
        gal_doc_open(out, "examples", '[');
        put_literal(out, NULL, f, &f->example);
        gal_doc_close(out, ']');
    }
    gal_doc_close(out, '}');
}

void gal_doc_feature_parameters(struct gal_buf *out, const struct gal_feature *f)
{
    const struct {
        const char *key;
        const struct gal_literal *v;
    } literals[] = {{"gt", &f->gt}, {"ge", &f->ge},          {"lt", &f->lt},
                    {"le", &f->le}, {"default", &f->absent}, {"example", &f->example}};
    struct gal_buf values;

    gal_doc_open(out, "parameters", '{');
    if (f->description.n > 0)
        gal_doc_str(out, "description", f->description);
    if (f->unit.n > 0)
        gal_doc_str(out, "unit", f->unit);
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
        if (literals[i].v->set)
            put_literal(out, literals[i].key, f, literals[i].v);
    if (f->length_min > 0)
        put_count(out, "min_length", f->length_min);
    if (f->length_max != UINT64_MAX)
        put_count(out, "max_length", f->length_max);
    if (f->pattern != NULL)
        gal_doc_text(out, "pattern", f->pattern);
    if (f->nullable)
        gal_doc_raw(out, "nullable", "true");
    if (f->value_count > 0) {
        gal_buf_init(&values, VALUES_BYTES_MAX);
        gal_buf_putc(&values, '[');
        for (size_t i = 0; i < f->value_count; i++)
            put_literal(&values, NULL, f, &f->values[i]);
        gal_buf_putc(&values, ']');
        gal_doc_str(out, "values", gal_buf_str(&values));
        gal_buf_release(&values);
    }
    gal_doc_close(out, '}');
}

bool gal_doc_feature_example(struct gal_buf *out, const struct gal_feature *f)
{
    const struct gal_literal *const choices[] = {&f->example, &f->absent, f->values, &f->ge,
                                                 &f->le};

    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        const struct gal_literal *v = choices[i];

        if (v == NULL || !v->set || v->null)
            continue;
        put_literal(out, NULL, f, v);
        return true;
    }
    if (f->gt.set && f->integral) {
        struct gal_literal next = f->gt;

        next.integer += next.integer < INT64_MAX;
        put_literal(out, NULL, f, &next);
        return true;
    }
    if (f->gt.set && f->lt.set) {
        struct gal_literal middle = f->gt;

        middle.number = f->gt.number + (f->lt.number - f->gt.number) / 2;
        put_literal(out, NULL, f, &middle);
        return true;
    }
    return false;
}

/* What the manifest says of an output; NULL: nothing. */
const struct gal_output *gal_doc_output(const struct gal_model *m, struct gal_str name)
{
    for (size_t i = 0; m->manifest != NULL && i < m->manifest->output_count; i++)
        if (gal_str_eq(m->manifest->outputs[i].name, name))
            return &m->manifest->outputs[i];
    return NULL;
}
