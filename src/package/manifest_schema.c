/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema of galley.yaml out of the table of its fields. It knows less than the reader: what
 * fields say of each other is the reader's, but for the plainest. */
#include "package/manifest_fields.h"
#include "package/steps.h"
#include "text/json.h"

#define NAME_PATTERN "^[0-9A-Za-z][-0-9A-Za-z._]*$"
#define LINE_PATTERN "^[^\\u0000-\\u001f\\u007f]*$"
#define VERSION_PATTERN "^(0|[1-9][0-9]*)\\\\.(0|[1-9][0-9]*)\\\\.(0|[1-9][0-9]*)$"
/* No empty part, no . and .., not .galley, no backslash, no control character. */
#define PATH_PATTERN                                                                               \
    "^(?!(.*/)?\\\\.{0,2}(/|$))(?!\\\\.galley(/|$))[^\\\\\\\\\\u0000-\\u001f\\u007f]+$"
#define QUANTITY_PATTERN "^[0-9]+(\\\\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"

static const char *const object_names[GAL_OBJECT_COUNT] = {
    [GAL_OBJECT_NONE] = "",
    [GAL_OBJECT_TOP] = "manifest",
    [GAL_OBJECT_MODEL] = "model",
    [GAL_OBJECT_FEATURE] = "feature",
    [GAL_OBJECT_OUTLIER] = "outlier",
    [GAL_OBJECT_RULE] = "rule",
    [GAL_OBJECT_OUTPUT] = "output",
    [GAL_OBJECT_GOLDEN] = "golden",
    [GAL_OBJECT_CONFIDENCE] = "confidence",
    [GAL_OBJECT_STABILITY] = "stability",
};

static void put_words(struct gal_buf *out, const char *words)
{
    struct gal_str rest = gal_str_of(words), one;
    gal_buf_puts(out, "\"enum\":[");
    for (bool first = true; gal_str_cut(&rest, '|', &one); first = false) {
        gal_buf_puts(out, first ? "" : ",");
        gal_json_put_str(out, one);
    }
    gal_buf_putc(out, ']');
}

static void put_types(struct gal_buf *out)
{
    gal_buf_puts(out, "\"enum\":[");
    for (size_t i = 0; i < gal_type_name_count; i++)
        gal_buf_printf(out, "%s\"%s\"", i ? "," : "", gal_type_names[i].name);
    gal_buf_putc(out, ']');
}

/* {"required":["a","b"]} of the names in "a|b". */
static void put_not_both(struct gal_buf *out, const char *a, const char *b)
{
    gal_buf_printf(out, "{\"not\":{\"required\":[\"%s\",\"%s\"]}}", a, b);
}

/* Features of one kind of type (or, `others`, of all else) have none of the fields. */
static void put_only(struct gal_buf *out, enum gal_feature_type type, bool others,
                     const char *fields)
{
    struct gal_str rest = gal_str_of(fields), one;
    bool first = true;
    gal_buf_puts(out, "{\"if\":{\"properties\":{\"type\":{\"enum\":[");
    for (size_t i = 0; i < gal_type_name_count; i++) {
        if ((gal_type_names[i].type == type) == others)
            continue;
        gal_buf_printf(out, "%s\"%s\"", first ? "" : ",", gal_type_names[i].name);
        first = false;
    }
    gal_buf_puts(out, "]}}},\"then\":{\"properties\":{");
    for (first = true; gal_str_cut(&rest, '|', &one); first = false)
        gal_buf_printf(out, "%s\"%.*s\":false", first ? "" : ",", GAL_STR_ARG(one));
    gal_buf_puts(out, "}}}");
}

static void put_feature_rules(struct gal_buf *out)
{
    gal_buf_puts(out, ",\"allOf\":[");
    put_not_both(out, "gt", "ge");
    gal_buf_putc(out, ',');
    put_not_both(out, "lt", "le");
    gal_buf_putc(out, ',');
    put_only(out, GAL_FEATURE_NUMBER, true, "gt|ge|lt|le|outlier|unit");
    gal_buf_putc(out, ',');
    put_only(out, GAL_FEATURE_TEXT, true, "min_length|max_length|pattern");
    gal_buf_putc(out, ',');
    put_only(out, GAL_FEATURE_IMAGE, false, "values|default|example");
    gal_buf_putc(out, ']');
}

/* --- values --- */

static void put_text(struct gal_buf *out, const struct gal_field *f, const char *pattern)
{
    gal_buf_puts(out, "\"type\":\"string\"");
    if (f->min > 0)
        gal_buf_printf(out, ",\"minLength\":%.0f", f->min);
    if (f->max > 0)
        gal_buf_printf(out, ",\"maxLength\":%.0f", f->max);
    if (pattern)
        gal_buf_printf(out, ",\"pattern\":\"%s\"", pattern);
}

static void put_list(struct gal_buf *out, const struct gal_field *f, const char *item)
{
    gal_buf_puts(out, "\"type\":\"array\"");
    if (f->min > 0)
        gal_buf_printf(out, ",\"minItems\":%.0f", f->min);
    gal_buf_printf(out, ",\"maxItems\":%.0f,\"items\":%s", f->max, item);
}

static void put_keys(struct gal_buf *out, const struct gal_manifest_parts *parts)
{
    gal_buf_puts(out, "\"type\":\"object\"");
    if (parts->serving_count == 0)
        return;
    gal_buf_puts(out, ",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < parts->serving_count; i++) {
        const struct gal_manifest_key *k = &parts->serving[i];
        gal_buf_printf(out, "%s\"%s\":{\"description\":", i ? "," : "", k->name);
        gal_json_put_str(out, gal_str_of(k->help));
        gal_buf_printf(out, ",%s}", k->schema);
    }
    gal_buf_putc(out, '}');
}

static void put_pairs(struct gal_buf *out, const struct gal_field *f)
{
    struct gal_str rest = gal_str_of(f->words), one;
    gal_buf_puts(out, "\"type\":\"object\"");
    if (!f->words[0])
        return;
    gal_buf_puts(out, ",\"additionalProperties\":false,\"properties\":{");
    for (bool first = true; gal_str_cut(&rest, '|', &one); first = false)
        gal_buf_printf(out,
                       "%s\"%.*s\":{\"type\":[\"string\",\"number\"],\"minimum\":0,\"pattern\":"
                       "\"" QUANTITY_PATTERN "\"}",
                       first ? "" : ",", GAL_STR_ARG(one));
    gal_buf_putc(out, '}');
}

static void put_child(struct gal_buf *out, const struct gal_field *f)
{
    if (f->words[0]) /* a scalar may stand for it */
        gal_buf_printf(out,
                       "\"anyOf\":[{\"$ref\":\"#/$defs/%s/properties/%s\"},"
                       "{\"$ref\":\"#/$defs/%s\"}]",
                       object_names[f->child], f->words, object_names[f->child]);
    else
        gal_buf_printf(out, "\"$ref\":\"#/$defs/%s\"", object_names[f->child]);
}

static void put_text_kind(struct gal_buf *out, const struct gal_field *f)
{
    switch (f->kind) {
    case GAL_FIELD_NAME:
        put_text(out, f, NAME_PATTERN);
        break;
    case GAL_FIELD_VERSION:
        put_text(out, f, VERSION_PATTERN);
        break;
    case GAL_FIELD_PATH:
        put_text(out, f, PATH_PATTERN);
        break;
    case GAL_FIELD_LINE:
    case GAL_FIELD_COLUMN:
        put_text(out, f, LINE_PATTERN);
        break;
    default:
        put_text(out, f, NULL);
    }
}

static void put_range(struct gal_buf *out, const struct gal_field *f)
{
    gal_buf_printf(
        out, "\"type\":\"%s\",\"minimum\":", f->kind == GAL_FIELD_COUNT ? "integer" : "number");
    gal_json_put_f64(out, f->min);
    gal_buf_puts(out, ",\"maximum\":");
    gal_json_put_f64(out, f->max);
}

static void put_kind(struct gal_buf *out, const struct gal_field *f,
                     const struct gal_manifest_parts *parts)
{
    switch (f->kind) {
    case GAL_FIELD_TERM:
    case GAL_FIELD_WORD:
    case GAL_FIELD_FLAG:
        put_words(out, f->words);
        break;
    case GAL_FIELD_BOOL:
        gal_buf_puts(out, "\"type\":\"boolean\"");
        break;
    case GAL_FIELD_COUNT:
    case GAL_FIELD_NUMBER:
        put_range(out, f);
        break;
    case GAL_FIELD_TYPE:
        put_types(out);
        break;
    case GAL_FIELD_OPERAND:
        gal_buf_puts(out, "\"type\":[\"string\",\"number\"]");
        break;
    case GAL_FIELD_LITERAL:
        gal_buf_printf(out, "\"type\":[\"number\",\"string\",\"boolean\"%s]",
                       f->words[0] ? ",\"null\"" : "");
        break;
    case GAL_FIELD_LITERALS:
        put_list(out, f, "{\"type\":[\"number\",\"string\",\"boolean\"]},\"uniqueItems\":true");
        break;
    case GAL_FIELD_SHAPE:
        put_list(out, f, "{\"type\":\"integer\",\"minimum\":-1,\"not\":{\"const\":0}}");
        break;
    case GAL_FIELD_PATHS:
        put_list(out, f, "{\"type\":\"string\",\"pattern\":\"" PATH_PATTERN "\"}");
        break;
    case GAL_FIELD_TEXTS:
        put_list(out, f, "{\"type\":\"string\",\"minLength\":1}");
        break;
    case GAL_FIELD_STEPS:
        put_list(out, f,
                 f->words[0] == 'b' ? "{\"$ref\":\"#/$defs/step_before\"}"
                                    : "{\"$ref\":\"#/$defs/step_after\"}");
        break;
    case GAL_FIELD_MAP:
        put_keys(out, parts);
        break;
    case GAL_FIELD_PAIRS:
        put_pairs(out, f);
        break;
    case GAL_FIELD_OBJECT:
        put_child(out, f);
        break;
    case GAL_FIELD_OBJECTS:
        put_list(out, f, "{");
        put_child(out, f);
        gal_buf_putc(out, '}');
        break;
    default:
        put_text_kind(out, f);
    }
}

/* --- mappings --- */

static void put_object(struct gal_buf *out, enum gal_object object,
                       const struct gal_manifest_parts *parts)
{
    bool first = true;
    gal_buf_puts(out, "\"type\":\"object\",\"additionalProperties\":false,\"required\":[");
    for (size_t i = 0; i < gal_field_count; i++) {
        if (gal_fields[i].object != object || !(gal_fields[i].flags & GAL_FIELD_NEEDED))
            continue;
        gal_buf_printf(out, "%s\"%s\"", first ? "" : ",", gal_fields[i].name);
        first = false;
    }
    gal_buf_puts(out, "],\"properties\":{");
    first = true;
    for (size_t i = 0; i < gal_field_count; i++) {
        const struct gal_field *f = &gal_fields[i];
        if (f->object != object)
            continue;
        gal_buf_printf(out, "%s\"%s\":{\"description\":", first ? "" : ",", f->name);
        gal_json_put_str(out, gal_str_of(f->help));
        gal_buf_putc(out, ',');
        put_kind(out, f, parts);
        gal_buf_putc(out, '}');
        first = false;
    }
    gal_buf_putc(out, '}');
    if (object == GAL_OBJECT_FEATURE)
        put_feature_rules(out);
    if (object == GAL_OBJECT_OUTLIER)
        gal_buf_puts(out, ",\"anyOf\":[{\"required\":[\"above\"]},{\"required\":[\"below\"]}]");
}

/* --- steps --- */

#define SCALAR "{\"type\":[\"string\",\"number\",\"boolean\"]}"

/* Names under which a parameter may stand; its own is the first. */
static size_t names_of(const struct gal_step_param *p, const char *names[4])
{
    static const char *const more[] = {"feature", "output", "outputs"};
    size_t count = 1, from = strcmp(p->type, "features") == 0 ? 0 : 1;
    size_t to = strcmp(p->type, "features") == 0 ? 3 : strcmp(p->type, "feature") == 0 ? 2 : 0;
    names[0] = p->name;
    for (size_t i = from; i < to; i++) {
        if (strcmp(more[i], p->name) != 0)
            names[count++] = more[i];
    }
    return count;
}

static void put_param(struct gal_buf *out, const struct gal_step_param *p, const char *name)
{
    static const char *const schemas[][2] = {
        {"number", "\"type\":\"number\""},
        {"integer", "\"type\":\"integer\""},
        {"numbers", "\"type\":[\"array\",\"number\"],\"items\":{\"type\":\"number\"}"},
        {"text", "\"type\":[\"string\",\"number\",\"boolean\"]"},
        {"texts", "\"anyOf\":[" SCALAR ",{\"type\":\"array\",\"items\":" SCALAR "}]"},
        {"bands", "\"type\":\"array\",\"items\":{\"type\":\"object\"}"},
        {"type", "\"type\":\"string\""},
        {"bool", "\"type\":\"boolean\""},
        {"feature", "\"type\":\"string\""},
        {"column", "\"type\":\"string\""},
        {"features", "\"type\":[\"array\",\"string\"],\"items\":{\"type\":\"string\"}"},
    };
    gal_buf_printf(out, "\"%s\":{\"description\":", name);
    gal_json_put_str(out, gal_str_of(p->text));
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        if (strcmp(p->type, schemas[i][0]) == 0)
            gal_buf_printf(out, ",%s", schemas[i][1]);
    }
    unsigned place;
    if (strchr(p->type, '|') && gal_word_in(p->type, GAL_STR("number"), &place)) {
        gal_buf_puts(out, ",\"anyOf\":[{\"type\":\"number\"},{");
        put_words(out, p->type);
        gal_buf_puts(out, "}]");
    } else if (strchr(p->type, '|') && gal_word_in(p->type, GAL_STR("text"), &place)) {
        gal_buf_puts(out, ",\"type\":[\"string\",\"number\",\"boolean\"]");
    } else if (strchr(p->type, '|')) {
        gal_buf_putc(out, ',');
        put_words(out, p->type);
    }
    gal_buf_putc(out, '}');
}

static void put_step(struct gal_buf *out, const struct gal_step_kind *k)
{
    const char *names[4];
    gal_buf_printf(out, "\"%s\":{\"description\":", k->name);
    gal_json_put_str(out, gal_str_of(k->text));
    gal_buf_puts(out, ",\"type\":\"object\",\"additionalProperties\":false,\"allOf\":[{}");
    for (size_t i = 0; i < k->param_count; i++) {
        size_t count = k->params[i].required ? names_of(&k->params[i], names) : 0;
        for (size_t n = 0; n < count; n++)
            gal_buf_printf(out, "%s{\"required\":[\"%s\"]}", n ? "," : ",{\"anyOf\":[", names[n]);
        gal_buf_puts(out, count ? "]}" : "");
    }
    gal_buf_puts(out, "],\"properties\":{");
    for (size_t i = 0; i < k->param_count; i++) {
        for (size_t n = 0, count = names_of(&k->params[i], names); n < count; n++) {
            gal_buf_puts(out, i || n ? "," : "");
            put_param(out, &k->params[i], names[n]);
        }
    }
    gal_buf_puts(out, "}}");
}

static void put_steps(struct gal_buf *out, const struct gal_manifest_parts *parts, bool before)
{
    bool first = true;
    gal_buf_printf(out,
                   ",\"step_%s\":{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,"
                   "\"additionalProperties\":%s,\"properties\":{",
                   before ? "before" : "after", parts->step_count ? "false" : "true");
    for (size_t i = 0; i < parts->step_count; i++) {
        const struct gal_step_kind *k = &parts->steps[i];
        if (before ? !k->before : !k->after)
            continue;
        gal_buf_puts(out, first ? "" : ",");
        put_step(out, k);
        first = false;
    }
    gal_buf_puts(out, "}}");
}

void gal_manifest_schema(struct gal_buf *out, const struct gal_manifest_parts *parts)
{
    gal_buf_puts(out,
                 "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
                 "\"title\":\"galley.yaml\",\"description\":\"A model's package for galley\",");
    put_object(out, GAL_OBJECT_TOP, parts);
    gal_buf_puts(out, ",\"$defs\":{");
    for (unsigned o = GAL_OBJECT_TOP + 1; o < GAL_OBJECT_COUNT; o++) {
        gal_buf_printf(out, "%s\"%s\":{", o > GAL_OBJECT_TOP + 1 ? "," : "", object_names[o]);
        put_object(out, (enum gal_object)o, parts);
        gal_buf_putc(out, '}');
    }
    put_steps(out, parts, true);
    put_steps(out, parts, false);
    gal_buf_puts(out, "}}");
}
