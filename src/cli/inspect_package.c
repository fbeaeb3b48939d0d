/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect_package.h"

#include "cli/print.h"
#include "package/golden.h"
#include "text/json.h"

#include <inttypes.h>

#define VALUES_SHOWN 8u
#define GOLDEN_BYTES_MAX (1u << 30)

/* --- what both forms need --- */

static const char *type_of(const struct gal_feature *f)
{
    switch (f->type) {
    case GAL_FEATURE_TEXT:
        return "text";
    case GAL_FEATURE_IMAGE:
        return "image";
    case GAL_FEATURE_BOOL:
        return "bool";
    default:
        return gal_dtype_name(f->declared);
    }
}

/* SIZE_MAX: they cannot be read. */
static size_t golden_cases(struct gal_package *p)
{
    struct gal_golden *golden = NULL;
    struct gal_arena arena;
    size_t count = SIZE_MAX;

    gal_arena_init(&arena, 65536, 0, GOLDEN_BYTES_MAX);
    if (gal_package_golden(p, &arena, &golden, NULL) == GAL_OK && golden)
        count = golden->case_count;
    gal_arena_release(&arena);
    return count;
}

/* --- text --- */

static void print_literal(FILE *out, const struct gal_feature *f, const struct gal_literal *v)
{
    if (v->null)
        fputs("null", out);
    else if (f->type == GAL_FEATURE_TEXT || v->text.n)
        gal_print_text(out, v->text);
    else if (f->integral)
        fprintf(out, "%" PRId64, v->integer);
    else
        fprintf(out, "%.9g", v->number);
}

static void print_bound(FILE *out, const struct gal_feature *f, const char *sign,
                        const struct gal_literal *v)
{
    if (!v->set)
        return;
    fprintf(out, ", %s ", sign);
    print_literal(out, f, v);
}

static void print_outlier(FILE *out, const struct gal_feature *f)
{
    const char *what = f->outlier == GAL_OUTLIER_REFUSE ? "refused" : "flagged";

    if (f->outlier == GAL_OUTLIER_NONE)
        return;
    fprintf(out, ", %s where", what);
    if (f->outlier_below.set) {
        fputs(" below ", out);
        print_literal(out, f, &f->outlier_below);
    }
    if (f->outlier_above.set) {
        fputs(f->outlier_below.set ? " or above " : " above ", out);
        print_literal(out, f, &f->outlier_above);
    }
}

static void print_feature(FILE *out, const struct gal_feature *f, int width)
{
    fputs("    ", out);
    gal_print_text(out, f->name);
    fprintf(out, "%*s  %s", (int)f->name.n < width ? width - (int)f->name.n : 0, "", type_of(f));
    for (size_t d = 0; d < f->rank; d++) {
        if (f->shape[d] < 0)
            fputs(d ? "x?" : " ?", out);
        else
            fprintf(out, "%s%" PRId64, d ? "x" : " ", f->shape[d]);
    }
    if (f->unit.n) {
        fputs(" in ", out);
        gal_print_text(out, f->unit);
    }
    print_bound(out, f, ">", &f->gt);
    print_bound(out, f, ">=", &f->ge);
    print_bound(out, f, "<", &f->lt);
    print_bound(out, f, "<=", &f->le);
    if (f->length_min > 0)
        fprintf(out, ", at least %" PRIu64 " long", f->length_min);
    if (f->type == GAL_FEATURE_TEXT && f->length_max != UINT64_MAX)
        fprintf(out, ", at most %" PRIu64 " long", f->length_max);
    for (size_t i = 0; i < f->value_count && i < VALUES_SHOWN; i++) {
        fputs(i ? ", " : ", one of ", out);
        print_literal(out, f, &f->values[i]);
    }
    if (f->value_count > VALUES_SHOWN)
        fprintf(out, " and %zu more", (size_t)(f->value_count - VALUES_SHOWN));
    if (f->pattern)
        fprintf(out, ", like %s", f->pattern);
    print_outlier(out, f);
    fputs(f->nullable ? ", may be null" : "", out);
    if (f->absent.set) {
        fputs(", default ", out);
        print_literal(out, f, &f->absent);
    }
    fputc('\n', out);
}

static void print_features(FILE *out, const struct gal_manifest *m)
{
    int width = 8;

    for (size_t i = 0; i < m->feature_count; i++)
        width = (int)m->features[i].name.n > width ? (int)m->features[i].name.n : width;
    if (m->feature_count)
        fprintf(out, "  features%s\n",
                m->unknown_features == GAL_UNKNOWN_IGNORE ? " (others are ignored)" : "");
    for (size_t i = 0; i < m->feature_count; i++)
        print_feature(out, &m->features[i], width < 40 ? width : 40);
    if (m->rule_count)
        fputs("  rules\n", out);
    for (size_t i = 0; i < m->rule_count; i++)
        fprintf(out, "    %s\n", m->rules[i].message ? m->rules[i].message : "(without words)");
}

/* "pick: probabilities -> fraud_probability", as far as a step says from and to. */
static void print_step(FILE *out, const struct gal_yaml *step)
{
    static const char *const from[] = {"feature", "output", "from"};
    const struct gal_yaml *body = step->child, *v;

    fputs("    ", out);
    gal_print_text(out, body ? body->key : step->scalar);
    for (size_t i = 0; body && i < sizeof from / sizeof *from; i++) {
        v = gal_yaml_get(body, from[i]);
        if (v && v->type == GAL_YAML_SCALAR) {
            fputs(" ", out);
            gal_print_text(out, v->scalar);
        }
    }
    v = body ? gal_yaml_get(body, "to") : NULL;
    if (v && v->type == GAL_YAML_SCALAR) {
        fputs(" -> ", out);
        gal_print_text(out, v->scalar);
    }
    fputc('\n', out);
}

static void print_steps(FILE *out, const char *title, const struct gal_yaml *list)
{
    if (list && list->child)
        fprintf(out, "  %s\n", title);
    for (const struct gal_yaml *c = list ? list->child : NULL; c; c = c->next)
        print_step(out, c);
}

static void print_pairs(FILE *out, const char *title, const struct gal_pair *pairs, size_t count)
{
    if (count)
        fprintf(out, "  %s\n", title);
    for (size_t i = 0; i < count; i++) {
        fputs("    ", out);
        gal_print_text(out, pairs[i].key);
        fputs(": ", out);
        gal_print_text(out, pairs[i].value);
        fputc('\n', out);
    }
}

static void print_outputs(FILE *out, const struct gal_manifest *m)
{
    if (m->output_count)
        fputs("  answers\n", out);
    for (size_t i = 0; i < m->output_count; i++) {
        fputs("    ", out);
        gal_print_text(out, m->outputs[i].name);
        if (m->outputs[i].description.n) {
            fputs(": ", out);
            gal_print_text(out, m->outputs[i].description);
        }
        fputc('\n', out);
    }
}

/* When an answer is in doubt, and what becomes of it. */
static void print_doubts(FILE *out, const struct gal_manifest *m)
{
    static const char *const ends[] = {
        [GAL_DOUBT_FLAG] = "flagged", [GAL_DOUBT_REFUSE] = "refused"};
    const struct gal_stability *s = &m->stability;

    if (m->confidence_of.n) {
        fprintf(out, "  %s when ", ends[m->confidence_action]);
        gal_print_text(out, m->confidence_of);
        fprintf(out, " is below %g\n", m->confidence_min);
    }
    if (s->output.n) {
        fprintf(out, "  %s when ", ends[s->action]);
        gal_print_text(out, s->output);
        fprintf(out,
                " stays in less than %g %% of %llu copies whose numbers are up to %g %% other\n",
                s->agreement_min * 100, (unsigned long long)s->samples, s->noise * 100);
    }
}

static void print_golden(FILE *out, struct gal_package *p)
{
    const struct gal_manifest *m = p->manifest;
    size_t cases = m->golden_file.n ? golden_cases(p) : 0;

    fputs("  golden cases ", out);
    if (m->golden_file.n == 0)
        fputs("none\n", out);
    else if (cases == SIZE_MAX)
        fprintf(out, "in %.*s, which cannot be read: see `galley verify`\n",
                GAL_STR_ARG(m->golden_file));
    else
        fprintf(out, "%zu in %.*s, rtol %g, atol %g\n", cases, GAL_STR_ARG(m->golden_file), m->rtol,
                m->atol);
}

void gal_inspect_print_package(FILE *out, struct gal_package *p)
{
    const struct gal_manifest *m = p->manifest;

    fprintf(out, "  package      %s%s\n", p->digest[0] ? p->digest : "not packed",
            p->is_sealed ? "" : ", not sealed");
    if (m->description.n) {
        fputs("  about        ", out);
        gal_print_text(out, m->description);
        fputc('\n', out);
    }
    print_features(out, m);
    print_steps(out, "before the model", m->before);
    print_steps(out, "behind the model", m->after);
    print_outputs(out, m);
    print_doubts(out, m);
    print_golden(out, p);
    if (m->require_cuda)
        fputs("  requires     cuda\n", out);
    print_pairs(out, "resources", m->resources, m->resource_count);
    print_pairs(out, "about it", m->metadata, m->metadata_count);
    print_pairs(out, "made with", m->provenance, m->provenance_count);
}

/* --- JSON --- */

static void put_literal(struct gal_buf *out, const char *separator, const char *key,
                        const struct gal_feature *f, const struct gal_literal *v)
{
    if (!v->set)
        return;
    gal_buf_puts(out, separator);
    if (key)
        gal_json_put_key(out, key);
    if (v->null)
        gal_buf_puts(out, "null");
    else if (f->type == GAL_FEATURE_TEXT || f->type == GAL_FEATURE_IMAGE)
        gal_json_put_str(out, v->text);
    else if (f->type == GAL_FEATURE_BOOL)
        gal_buf_puts(out, v->number != 0 ? "true" : "false");
    else if (f->integral)
        gal_json_put_i64(out, v->integer);
    else
        gal_json_put_f64(out, v->number);
}

static void put_feature(struct gal_buf *out, const struct gal_feature *f)
{
    static const char *const actions[] = {"", "refuse", "flag"};

    gal_json_put_member(out, "{", "name", f->name);
    gal_json_put_member(out, ",", "type", gal_str_of(type_of(f)));
    gal_buf_puts(out, ",\"shape\":[");
    for (size_t d = 0; d < f->rank; d++) {
        gal_buf_puts(out, d ? "," : "");
        gal_json_put_i64(out, f->shape[d]);
    }
    gal_buf_putc(out, ']');
    if (f->description.n)
        gal_json_put_member(out, ",", "description", f->description);
    if (f->unit.n)
        gal_json_put_member(out, ",", "unit", f->unit);
    put_literal(out, ",", "gt", f, &f->gt);
    put_literal(out, ",", "ge", f, &f->ge);
    put_literal(out, ",", "lt", f, &f->lt);
    put_literal(out, ",", "le", f, &f->le);
    for (size_t i = 0; i < f->value_count; i++)
        put_literal(out, i ? "," : ",\"values\":[", NULL, f, &f->values[i]);
    gal_buf_puts(out, f->value_count ? "]" : "");
    if (f->pattern)
        gal_json_put_member(out, ",", "pattern", gal_str_of(f->pattern));
    if (f->outlier != GAL_OUTLIER_NONE) {
        gal_json_put_member(out, ",\"outlier\":{", "action", gal_str_of(actions[f->outlier]));
        put_literal(out, ",", "below", f, &f->outlier_below);
        put_literal(out, ",", "above", f, &f->outlier_above);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, f->nullable ? ",\"nullable\":true" : "");
    put_literal(out, ",", "default", f, &f->absent);
    gal_buf_putc(out, '}');
}

static void put_steps(struct gal_buf *out, const char *key, const struct gal_yaml *list)
{
    const char *separator = "";

    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_buf_putc(out, '[');
    for (const struct gal_yaml *c = list ? list->child : NULL; c; c = c->next, separator = ",") {
        gal_buf_puts(out, separator);
        gal_json_put_str(out, c->child ? c->child->key : c->scalar);
    }
    gal_buf_putc(out, ']');
}

static void put_pairs(struct gal_buf *out, const char *key, const struct gal_pair *pairs,
                      size_t count)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_buf_putc(out, '{');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, pairs[i].key);
        gal_buf_putc(out, ':');
        gal_json_put_str(out, pairs[i].value);
    }
    gal_buf_putc(out, '}');
}

static void put_golden(struct gal_buf *out, struct gal_package *p)
{
    const struct gal_manifest *m = p->manifest;
    size_t cases = m->golden_file.n ? golden_cases(p) : 0;

    if (m->golden_file.n == 0) {
        gal_buf_puts(out, ",\"golden\":null");
        return;
    }
    gal_json_put_member(out, ",\"golden\":{", "file", m->golden_file);
    gal_buf_puts(out, ",\"cases\":");
    if (cases == SIZE_MAX)
        gal_buf_puts(out, "null");
    else
        gal_json_put_u64(out, cases);
    gal_buf_puts(out, ",\"rtol\":");
    gal_json_put_f64(out, m->rtol);
    gal_buf_puts(out, ",\"atol\":");
    gal_json_put_f64(out, m->atol);
    gal_buf_putc(out, '}');
}

void gal_inspect_put_package(struct gal_buf *out, struct gal_package *p)
{
    const struct gal_manifest *m = p->manifest;

    gal_json_put_member(out, "{", "path", gal_str_of(p->path));
    if (p->digest[0])
        gal_json_put_member(out, ",", "digest", gal_str_of(p->digest));
    gal_buf_puts(out, p->is_sealed ? ",\"sealed\":true" : ",\"sealed\":false");
    gal_json_put_member(out, ",", "description", m->description);
    gal_buf_puts(out, ",\"features\":[");
    for (size_t i = 0; i < m->feature_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_feature(out, &m->features[i]);
    }
    gal_buf_putc(out, ']');
    put_steps(out, "before", m->before);
    put_steps(out, "after", m->after);
    gal_buf_puts(out, ",\"outputs\":[");
    for (size_t i = 0; i < m->output_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, m->outputs[i].name);
    }
    gal_buf_putc(out, ']');
    put_golden(out, p);
    gal_buf_puts(out, m->require_cuda ? ",\"require\":\"cuda\"" : "");
    put_pairs(out, "resources", m->resources, m->resource_count);
    put_pairs(out, "metadata", m->metadata, m->metadata_count);
    put_pairs(out, "provenance", m->provenance, m->provenance_count);
    gal_buf_putc(out, '}');
}
