/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of galley.yaml as text for people. */
#include "package/manifest_fields.h"
#include "package/steps.h"

#include <stdio.h>

/* What a user writes, in a few words. */
static const char *form_of(const struct gal_field *f, char out[96])
{
    static const char *const forms[GAL_FIELD_KIND_COUNT] = {
        [GAL_FIELD_TEXT] = "text",
        [GAL_FIELD_LINE] = "text",
        [GAL_FIELD_NAME] = "name",
        [GAL_FIELD_COLUMN] = "name",
        [GAL_FIELD_OPERAND] = "expression",
        [GAL_FIELD_VERSION] = "version",
        [GAL_FIELD_PATH] = "path",
        [GAL_FIELD_PATHS] = "list of paths",
        [GAL_FIELD_TEXTS] = "list of texts",
        [GAL_FIELD_BOOL] = "true or false",
        [GAL_FIELD_NUMBER] = "number",
        [GAL_FIELD_TYPE] = "type",
        [GAL_FIELD_SHAPE] = "list of sizes",
        [GAL_FIELD_LITERAL] = "value",
        [GAL_FIELD_LITERALS] = "list of values",
        [GAL_FIELD_STEPS] = "list of steps",
        [GAL_FIELD_MAP] = "mapping",
        [GAL_FIELD_PAIRS] = "mapping",
        [GAL_FIELD_OBJECT] = "mapping",
        [GAL_FIELD_OBJECTS] = "list",
    };
    if (f->kind == GAL_FIELD_WORD || f->kind == GAL_FIELD_TERM || f->kind == GAL_FIELD_FLAG)
        snprintf(out, 96, "%s", f->words);
    else if (f->kind == GAL_FIELD_COUNT && f->min == f->max)
        snprintf(out, 96, "%.0f", f->min);
    else if (f->kind == GAL_FIELD_COUNT)
        snprintf(out, 96, "%.0f to %.0f", f->min, f->max);
    else if (f->kind == GAL_FIELD_OBJECT && f->words[0])
        snprintf(out, 96, "%s, or mapping", f->words);
    else
        snprintf(out, 96, "%s", forms[f->kind]);
    return out;
}

static void put_row(struct gal_buf *out, const char *name, const char *form, const char *help,
                    bool needed)
{
    gal_buf_printf(out, "  %-17s %-16s %s%s\n", name, form, help, needed ? " (needed)" : "");
}

static void put_object(struct gal_buf *out, enum gal_object object, const char *title)
{
    char form[96];
    gal_buf_printf(out, "\n%s\n", title);
    for (size_t i = 0; i < gal_field_count; i++) {
        const struct gal_field *f = &gal_fields[i];
        if (f->object == object)
            put_row(out, f->name, form_of(f, form), f->help, f->flags & GAL_FIELD_NEEDED);
    }
}

static void put_steps(struct gal_buf *out, const struct gal_manifest_parts *parts, bool before)
{
    gal_buf_printf(out, "\n%s[], steps\n", before ? "before" : "after");
    for (size_t i = 0; i < parts->step_count; i++) {
        const struct gal_step_kind *k = &parts->steps[i];
        if (before ? !k->before : !k->after)
            continue;
        gal_buf_printf(out, "  %s: %s\n", k->name, k->text);
        for (size_t p = 0; p < k->param_count; p++)
            gal_buf_printf(out, "    %-15s %-16s %s%s\n", k->params[p].name, k->params[p].type,
                           k->params[p].text, k->params[p].required ? " (needed)" : "");
    }
}

void gal_manifest_describe(struct gal_buf *out, const struct gal_manifest_parts *parts)
{
    gal_buf_puts(out, "Fields of galley.yaml");
    put_object(out, GAL_OBJECT_TOP, "");
    put_object(out, GAL_OBJECT_MODEL, "model, where it is a mapping");
    put_object(out, GAL_OBJECT_FEATURE, "features[]");
    put_object(out, GAL_OBJECT_OUTLIER, "features[].outlier");
    put_object(out, GAL_OBJECT_RULE, "rules[]");
    put_object(out, GAL_OBJECT_OUTPUT, "outputs[], where it is a mapping");
    put_object(out, GAL_OBJECT_GOLDEN, "golden, where it is a mapping");
    put_object(out, GAL_OBJECT_CONFIDENCE, "confidence");
    put_object(out, GAL_OBJECT_STABILITY, "stability");
    if (parts->step_count > 0) {
        put_steps(out, parts, true);
        put_steps(out, parts, false);
    }
    gal_buf_puts(out, "\nserving\n");
    for (size_t i = 0; i < parts->serving_count; i++)
        gal_buf_printf(out, "  %-24s %s\n", parts->serving[i].name, parts->serving[i].help);
}
