/* SPDX-License-Identifier: Apache-2.0 */
/* The file as a whole: reading it, and what its parts say of each other. */
#include "package/manifest_fields.h"

#include "base/map.h"

#include <math.h>

size_t gal_manifest_feature(const struct gal_manifest *m, struct gal_str name)
{
    for (size_t i = 0; i < m->feature_count; i++) {
        if (gal_str_eq(m->features[i].name, name))
            return i;
    }
    return SIZE_MAX;
}

bool gal_feature_moves(const struct gal_feature *f)
{
    return f->type == GAL_FEATURE_NUMBER && f->value_count == 0;
}

/* An error about `field` of entry `index` of a list. */
static enum gal_status fail_in(struct gal_manifest_reader *r, const struct gal_yaml *root,
                               const char *list, size_t index, const char *field, const char *what)
{
    const struct gal_yaml *n = gal_yaml_get(root, list)->child;
    for (size_t i = 0; i < index; i++)
        n = n->next;
    const struct gal_yaml *at = gal_yaml_get(n, field);
    gal_manifest_enter(r, gal_str_of(list), GAL_NO_INDEX);
    gal_manifest_enter(r, gal_str_of(""), index);
    return gal_manifest_fail(r, at ? at : n, "%s", what);
}

/* --- names --- */

static enum gal_status check_features(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                      const struct gal_manifest *m, struct gal_map *names)
{
    for (size_t i = 0; i < m->feature_count; i++) {
        const struct gal_feature *f = &m->features[i];
        if (gal_map_get(names, f->name))
            return fail_in(r, root, "features", i, "name", "another feature has this name");
        if (gal_map_set(names, f->name, (void *)(uintptr_t)f))
            return gal_manifest_no_memory(r);
    }
    return GAL_OK;
}

/* The output that `section` looks at is one of those that are answered. */
static enum gal_status check_judged(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                    const struct gal_manifest *m, const struct gal_map *names,
                                    const char *section, struct gal_str output)
{
    if (m->output_count == 0 || output.n == 0 || gal_map_get(names, output))
        return GAL_OK;
    const struct gal_yaml *n = gal_yaml_get(gal_yaml_get(root, section), "output");
    gal_manifest_enter(r, gal_str_of(section), GAL_NO_INDEX);
    return gal_manifest_fail(r, n, "'%.*s' is none of the outputs", GAL_STR_SHOWN(output));
}

static enum gal_status check_outputs(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                     const struct gal_manifest *m)
{
    struct gal_map names;
    enum gal_status status = GAL_OK;
    gal_map_init(&names);
    for (size_t i = 0; i < m->output_count && !status; i++) {
        if (gal_map_get(&names, m->outputs[i].name))
            status = fail_in(r, root, "outputs", i, "name", "stands twice");
        else if (gal_map_set(&names, m->outputs[i].name, r))
            status = gal_manifest_no_memory(r);
    }
    if (!status)
        status = check_judged(r, root, m, &names, "confidence", m->confidence_of);
    if (!status)
        status = check_judged(r, root, m, &names, "stability", m->stability.output);
    gal_map_release(&names);
    return status;
}

/* --- stability --- */

/* Nothing but a number may move, and not one of a list. */
static const char *immovable(const struct gal_feature *f)
{
    if (!f)
        return "is no feature";
    return gal_feature_moves(f) ? NULL : "is not a number that may move";
}

static enum gal_status check_stability(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                       const struct gal_manifest *m, const struct gal_map *names)
{
    const struct gal_yaml *node = gal_yaml_get(root, "stability");
    size_t moving = m->stability.feature_count;
    if (!node)
        return GAL_OK;
    for (size_t i = 0; i < m->stability.feature_count; i++) {
        struct gal_str name = m->stability.features[i];
        const char *problem = immovable(gal_map_get(names, name));
        if (!problem)
            continue;
        gal_manifest_enter(r, GAL_STR("stability"), GAL_NO_INDEX);
        return gal_manifest_fail(r, gal_yaml_get(node, "features"), "'%.*s' %s",
                                 GAL_STR_SHOWN(name), problem);
    }
    for (size_t i = 0; moving == 0 && i < m->feature_count; i++)
        moving += gal_feature_moves(&m->features[i]);
    return moving > 0 ? GAL_OK
                      : gal_manifest_fail(r, node, "there is no feature whose number may move");
}

/* --- rules --- */

struct rule_names {
    const struct gal_manifest *m;
    const struct gal_map *names;
};

/* A feature by name that is one number a row. */
static size_t find_operand(void *ctx, struct gal_str name, const char **problem)
{
    const struct rule_names *n = ctx;
    const struct gal_feature *f = gal_map_get(n->names, name);
    *problem = !f ? "is no feature"
               : f->rank > 0 || f->type == GAL_FEATURE_TEXT || f->type == GAL_FEATURE_IMAGE
                   ? "is not a feature of one number"
                   : NULL;
    return *problem ? SIZE_MAX : (size_t)(f - n->m->features);
}

static enum gal_status read_side(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                 const struct rule_names *names, struct gal_str text, size_t index,
                                 const char *side, struct gal_expression *out)
{
    struct gal_err err;
    gal_err_clear(&err);
    enum gal_status status =
        gal_expression_read(text, find_operand, (void *)(uintptr_t)names, r->arena, out, &err);
    if (status == GAL_INVALID)
        return fail_in(r, root, "rules", index, side, err.message);
    return status ? gal_manifest_no_memory(r) : GAL_OK;
}

/* The first feature of a side; empty: it has none. */
static struct gal_str first_feature(const struct gal_manifest *m, const struct gal_expression *e)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->terms[i].kind == GAL_TERM_FEATURE)
            return m->features[e->terms[i].feature].name;
    }
    return (struct gal_str){NULL, 0};
}

static enum gal_status settle_rule(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                   const struct gal_manifest *m, const struct gal_map *names,
                                   const struct gal_rule_draft *draft, struct gal_rule *rule,
                                   size_t index)
{
    const struct rule_names known = {m, names};
    enum gal_status status = read_side(r, root, &known, draft->left, index, "left", &rule->left);
    if (!status)
        status = read_side(r, root, &known, draft->right, index, "right", &rule->right);
    if (status)
        return status;
    rule->op = draft->op;
    rule->line = draft->line;
    rule->field = draft->field;
    if (rule->field.n && !gal_map_get(names, rule->field))
        return fail_in(r, root, "rules", index, "field", "is no feature");
    if (rule->field.n == 0)
        rule->field = first_feature(m, &rule->left);
    if (rule->field.n == 0)
        rule->field = first_feature(m, &rule->right);
    if (!first_feature(m, &rule->left).n && !first_feature(m, &rule->right).n)
        return fail_in(r, root, "rules", index, "left", "a rule needs a feature");
    rule->message = draft->message;
    if (!rule->message) {
        static const char *const words[] = {
            [GAL_RULE_LT] = "less than", [GAL_RULE_LE] = "at most",  [GAL_RULE_GT] = "greater than",
            [GAL_RULE_GE] = "at least",  [GAL_RULE_EQ] = "equal to", [GAL_RULE_NE] = "other than",
        };
        rule->message = gal_arena_printf(r->arena, "%s must be %s %s", draft->left.p,
                                         words[draft->op], draft->right.p);
    }
    return rule->message ? GAL_OK : gal_manifest_no_memory(r);
}

static enum gal_status settle_rules(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                    struct gal_manifest_draft *d, const struct gal_map *names)
{
    enum gal_status status = GAL_OK;
    if (d->rule_count == 0)
        return GAL_OK;
    struct gal_rule *rules = gal_arena_array(r->arena, d->rule_count, sizeof *rules);
    if (!rules)
        return gal_manifest_no_memory(r);
    for (size_t i = 0; i < d->rule_count && !status; i++)
        status = settle_rule(r, root, &d->m, names, &d->rules[i], &rules[i], i);
    d->m.rules = rules;
    d->m.rule_count = d->rule_count;
    return status;
}

/* --- pairs --- */

static struct gal_str find_pair(const struct gal_pair *pairs, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (gal_str_is(pairs[i].key, key))
            return pairs[i].value;
    }
    return (struct gal_str){NULL, 0};
}

static enum gal_status settle_pairs(struct gal_manifest_reader *r, const struct gal_yaml *root,
                                    struct gal_manifest *m)
{
    static const struct gal_field path = {.kind = GAL_FIELD_PATH, .min = 1, .max = 512};
    const struct gal_yaml *provenance = gal_yaml_get(root, "provenance");
    const struct gal_yaml *freeze = provenance ? gal_yaml_get(provenance, "freeze") : NULL;
    m->owner = find_pair(m->metadata, m->metadata_count, "owner");
    m->licence = find_pair(m->metadata, m->metadata_count, "licence");
    if (m->licence.n == 0)
        m->licence = find_pair(m->metadata, m->metadata_count, "license");
    if (!freeze)
        return GAL_OK;
    size_t before = gal_manifest_enter(r, GAL_STR("provenance"), GAL_NO_INDEX);
    enum gal_status status = gal_manifest_value(r, freeze, &path, (char *)&m->freeze_file);
    gal_manifest_leave(r, before);
    return status;
}

/* --- the file --- */

static enum gal_status settle(struct gal_manifest_reader *r, const struct gal_yaml *root,
                              struct gal_manifest_draft *d)
{
    struct gal_map names;
    gal_map_init(&names);
    enum gal_status status = check_features(r, root, &d->m, &names);
    if (!status)
        status = settle_rules(r, root, d, &names);
    if (!status)
        status = check_stability(r, root, &d->m, &names);
    gal_map_release(&names);
    if (!status)
        status = check_outputs(r, root, &d->m);
    if (!status)
        status = settle_pairs(r, root, &d->m);
    return status;
}

enum gal_status gal_manifest_read(struct gal_str text, const char *path, struct gal_arena *arena,
                                  struct gal_manifest **out, struct gal_err *err)
{
    struct gal_manifest_reader r = {.path = path, .arena = arena, .err = err};
    struct gal_yaml *root;
    *out = NULL;
    enum gal_status status = gal_yaml_parse(text, path, arena, &root, err);
    if (status)
        return status;
    if (root->type != GAL_YAML_MAP) {
        gal_manifest_fail(&r, root, "a manifest is a mapping of fields to values");
        gal_err_hint(err, "`galley schema --text` lists the fields");
        return GAL_INVALID;
    }
    struct gal_manifest_draft *d = gal_arena_small(arena, sizeof *d);
    if (!d)
        return gal_manifest_no_memory(&r);
    *d = (struct gal_manifest_draft){
        .m = {.model_format = GAL_STR("onnx"),
              .rtol = 1e-5,
              .atol = 1e-6,
              .confidence_min = (double)NAN,
              .stability = {.noise = 0.01, .samples = 16, .agreement_min = 1}}};
    d->m.path = gal_arena_strdup(arena, gal_str_of(path));
    if (!d->m.path)
        return gal_manifest_no_memory(&r);
    status = gal_manifest_object(&r, root, GAL_OBJECT_TOP, d);
    if (!status)
        status = settle(&r, root, d);
    if (!status)
        *out = &d->m;
    return status;
}
