/* SPDX-License-Identifier: Apache-2.0 */
#include "package/draft.h"

#include "text/json.h"

#include <ctype.h>
#include <math.h>

#define COMMENT_COLUMN 36u
#define VALUES_SHOWN 64u /* of a suggestion; what counts is written whole */

/* --- YAML --- */

/* Words that YAML readers take for something else than text. */
static bool is_word(struct gal_str s)
{
    static const char *const words[] = {"null", "true", "false", "yes",      "no",
                                        "on",   "off",  "nan",   "infinity", "inf"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (gal_str_ieq(s, gal_str_of(words[i])))
            return true;
    }
    return false;
}

/* 1.0.0, 3.11.7: two dots or more make it no number. */
static bool is_version(struct gal_str s)
{
    size_t dots = 0;

    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        if (!isdigit((unsigned char)s.p[i]) && s.p[i] != '.')
            return false;
    }
    return dots > 1 && s.p[s.n - 1] != '.';
}

/* True when a scalar needs no quotes, wherever it stands. */
static bool is_plain(struct gal_str s)
{
    if (is_version(s))
        return true;
    if (s.n == 0 || s.n > 200 || is_word(s) || !(isalpha((unsigned char)s.p[0]) || s.p[0] == '_'))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!isalnum((unsigned char)s.p[i]) && !strchr("_-./+@ ", s.p[i]))
            return false;
    }
    return s.p[s.n - 1] != ' ';
}

void gal_draft_put_scalar(struct gal_buf *out, struct gal_str s)
{
    if (is_plain(s))
        gal_buf_put_str(out, s);
    else
        gal_buf_put_quoted(out, s);
}

static void put_list(struct gal_buf *out, const struct gal_str *items, size_t count)
{
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? ", " : "");
        gal_draft_put_scalar(out, items[i]);
    }
    gal_buf_putc(out, ']');
}

static void put_shape(struct gal_buf *out, const int64_t *shape, size_t rank)
{
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < rank; i++) {
        gal_buf_puts(out, i ? ", " : "");
        gal_buf_put_i64(out, shape[i]);
    }
    gal_buf_putc(out, ']');
}

/* Text within a comment, on one line. */
static void put_words(struct gal_buf *out, const char *text)
{
    for (; *text; text++)
        gal_buf_putc(out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

/* Ends the line that began at `start` with a comment, in a column of its own where it fits. */
static void put_comment(struct gal_buf *out, size_t start, const char *text)
{
    if (text && text[0]) {
        size_t width = out->n - start;
        do
            gal_buf_putc(out, ' ');
        while (++width < COMMENT_COLUMN);
        gal_buf_puts(out, "# ");
        put_words(out, text);
    }
    gal_buf_putc(out, '\n');
}

static void put_field(struct gal_buf *out, const char *before, struct gal_str value,
                      const char *comment)
{
    size_t start = out->n;

    gal_buf_puts(out, before);
    gal_draft_put_scalar(out, value);
    put_comment(out, start, comment);
}

static void put_line(struct gal_buf *out, const char *text, const char *comment)
{
    size_t start = out->n;

    gal_buf_puts(out, text);
    put_comment(out, start, comment);
}

/* --- the file's parts --- */

static void put_head(struct gal_buf *out, const struct gal_draft *d)
{
    gal_buf_puts(out, "# What this package is and does. `galley init` wrote it from ");
    put_words(out, d->made_from ? d->made_from : "a model");
    gal_buf_puts(out, ".\n# Every line may be changed; `galley verify` says whether it still holds "
                      "together. All fields: galley schema.\n\n");
    put_line(out, "galley: 1", "version of this format");
    put_field(out, "name: ", d->name, "of the model in URLs, metrics and logs");
    put_field(out, "version: ", d->version,
              "MAJOR.MINOR.PATCH: raise it with every change that is served");
    if (d->description.n)
        put_field(out, "description: ", d->description, NULL);
    else
        put_line(out, "# description: ", "what the model predicts, for people");
}

static void put_model(struct gal_buf *out, const struct gal_draft *d)
{
    size_t start;

    if (d->model_file_count == 0) {
        put_field(out, "model: ", d->model_file, "the model's file, beside this one");
        return;
    }
    put_line(out, "model:", NULL);
    put_field(out, "  file: ", d->model_file, "the model's file, beside this one");
    start = out->n;
    gal_buf_puts(out, "  files: ");
    put_list(out, d->model_files, d->model_file_count);
    put_comment(out, start, "its weights");
}

static void put_values(struct gal_buf *out, const struct gal_draft_feature *f)
{
    bool whole = f->value_count <= VALUES_SHOWN || !f->values_open;
    size_t start = out->n;

    gal_buf_puts(out, f->values_open ? "    # values: " : "    values: ");
    put_list(out, f->values, whole ? f->value_count : VALUES_SHOWN);
    put_comment(out, start,
                f->values_open
                    ? "what the model's encoder knows; as a field it refuses all else"
                    : "what the model's encoder knows; take it out to let others through");
}

static bool is_float(const struct gal_draft_feature *f)
{
    return gal_str_starts(gal_str_of(f->type), GAL_STR("FP")) || strcmp(f->type, "float") == 0 ||
           strcmp(f->type, "double") == 0 || strcmp(f->type, "half") == 0 ||
           strcmp(f->type, "BF16") == 0;
}

/* Six digits are enough for a percentile; of whole numbers the bounds are whole. */
static void put_outlier(struct gal_buf *out, const struct gal_draft_feature *f)
{
    size_t start = out->n;

    if (is_float(f))
        gal_buf_printf(out, "    outlier: {below: %.6g, above: %.6g, action: flag}",
                       f->outlier_below, f->outlier_above);
    else
        gal_buf_printf(out, "    outlier: {below: %.0f, above: %.0f, action: flag}",
                       floor(f->outlier_below), ceil(f->outlier_above));
    put_comment(out, start, f->outlier_note);
}

static void put_feature(struct gal_buf *out, const struct gal_draft_feature *f, bool first)
{
    size_t start;
    bool is_number = strcmp(f->type, "text") != 0 && strcmp(f->type, "bool") != 0;

    if (f->like_before && !f->values && !f->nullable && f->example.n == 0 && !f->has_outlier) {
        gal_buf_puts(out, "  - {name: ");
        gal_draft_put_scalar(out, f->name);
        gal_buf_printf(out, ", type: %s}\n", f->type);
        return;
    }
    put_field(out, "  - name: ", f->name, first && !f->note ? "as requests call it" : f->note);
    start = out->n;
    gal_buf_printf(out, "    type: %s", f->type);
    put_comment(out, start,
                first ? "float, double, int, bool, text, image, or INT32, FP16, ..." : NULL);
    if (f->rank) {
        start = out->n;
        gal_buf_puts(out, "    shape: ");
        put_shape(out, f->shape, f->rank);
        put_comment(out, start, "of one row; -1: any size");
    }
    if (f->nullable)
        put_line(out, "    nullable: true", "the model fills in for null");
    if (f->values)
        put_values(out, f);
    if (f->example.n) {
        start = out->n;
        gal_buf_puts(out, "    example: ");
        gal_buf_put_str(out, f->example);
        put_comment(out, start, first ? "for documents and the playground" : NULL);
    }
    if (f->has_outlier)
        put_outlier(out, f);
    if (first && is_number && f->rank == 0)
        gal_buf_printf(
            out,
            "    # ge: 0                         # bounds: gt ge lt le; beyond: 422\n"
            "%s"
            "    # default: 0                    # stands for the feature where it is "
            "left out\n"
            "    # description: ...              # and unit: for people\n",
            f->has_outlier ? "" : "    # outlier: {above: 1000, action: flag}   # or refuse\n");
}

static void put_features(struct gal_buf *out, const struct gal_draft *d)
{
    gal_buf_putc(out, '\n');
    if (d->feature_count == 0) {
        gal_buf_puts(out, "# No features: the model's inputs are taken as they are");
        if (d->no_features) {
            gal_buf_puts(out, ", because ");
            put_words(out, d->no_features);
        }
        gal_buf_puts(out, ".\n");
        return;
    }
    gal_buf_puts(out,
                 "# What a prediction takes, in the order of the model's inputs.\nfeatures:\n");
    for (size_t i = 0; i < d->feature_count; i++)
        put_feature(out, &d->features[i], i == 0);
    put_line(out, "unknown_features: refuse", "or ignore: other names in a request");
    if (d->has_image)
        gal_buf_puts(out,
                     "\n# Pictures instead of numbers: make the feature `type: image` without a "
                     "shape, and decode it:\n"
                     "# before:\n"
                     "#   - image: {feature: NAME, width: 224, height: 224, layout: nchw, to: "
                     "NAME}\n");
    if (d->tokenizer.n) {
        gal_buf_puts(
            out, "\n# Texts instead of tokens: let the one feature be {name: text, type: text}, "
                 "and cut it:\n# before:\n#   - tokenize: {feature: text, file: ");
        gal_draft_put_scalar(out, d->tokenizer);
        gal_buf_puts(out, "}\n# A vector of each token becomes the text's one:\n# after:\n"
                          "#   - pool: {output: ");
        gal_draft_put_scalar(out, d->output_count ? d->outputs[0].name : GAL_STR("NAME"));
        gal_buf_puts(out, ", method: mean, to: embedding}\n"
                          "#   - normalize: {output: embedding}\n");
    }
}

static void put_after(struct gal_buf *out, const struct gal_draft *d)
{
    bool any = false;
    size_t start;

    for (size_t i = 0; i < d->output_count; i++) {
        const struct gal_draft_output *o = &d->outputs[i];
        if (o->unzip.n == 0)
            continue;
        gal_buf_puts(out, any ? "" : "\n# Steps from the model's outputs to the answer.\nafter:\n");
        any = true;
        start = out->n;
        gal_buf_puts(out, "  - unzip: {output: ");
        gal_draft_put_scalar(out, o->unzip);
        gal_buf_puts(out, ", to: ");
        gal_draft_put_scalar(out, o->name);
        gal_buf_putc(out, '}');
        put_comment(out, start, "a list of maps, class to probability, as a tensor");
    }
    if (d->probabilities.n == 0)
        return;
    if (!any)
        gal_buf_puts(out, "\n# Steps from the model's outputs to the answer, for a decision:\n"
                          "# after:\n");
    gal_buf_puts(out, "#  - pick: {output: ");
    gal_draft_put_scalar(out, d->probabilities);
    gal_buf_puts(out, ", index: 1, to: probability}\n"
                      "#  - threshold: {output: probability, above: 0.5, to: decision}\n"
                      "#  - bands: {output: probability, to: confidence, bands: [{above: 0.9, is: "
                      "high}, {below: 0.1, is: high}], else: medium}\n"
                      "# stability: {output: decision, noise: 0.01}   # flags decisions that turn "
                      "when numbers move a little\n");
}

static void put_outputs(struct gal_buf *out, const struct gal_draft *d)
{
    if (d->output_count == 0)
        return;
    gal_buf_puts(out, "\n# What is answered, in this order.\noutputs:\n");
    for (size_t i = 0; i < d->output_count; i++) {
        const struct gal_draft_output *o = &d->outputs[i];
        size_t start = out->n;
        gal_buf_puts(out, o->labels ? "  - {name: " : "  - ");
        gal_draft_put_scalar(out, o->name);
        if (o->labels) {
            gal_buf_puts(out, ", labels: ");
            put_list(out, o->labels, o->label_count);
            gal_buf_putc(out, '}');
        }
        put_comment(out, start, o->note);
    }
}

static void put_golden(struct gal_buf *out, const struct gal_draft *d)
{
    size_t start;

    gal_buf_puts(out, "\n# Golden cases: the package proves itself by them before it serves.\n");
    if (d->golden_file.n == 0) {
        gal_buf_puts(out,
                     "# golden: {file: golden.json}        # `galley record` makes the file\n");
        return;
    }
    put_line(out, "golden:", d->golden_note);
    put_field(out, "  file: ", d->golden_file, NULL);
    start = out->n;
    gal_buf_puts(out, "  rtol: ");
    gal_json_put_f64(out, d->rtol);
    put_comment(out, start, "|got - wanted| <= atol + rtol * |wanted|");
    gal_buf_puts(out, "  atol: ");
    gal_json_put_f64(out, d->atol);
    gal_buf_putc(out, '\n');
}

static void put_pairs(struct gal_buf *out, const char *title, const struct gal_draft_pairs *pairs)
{
    gal_buf_puts(out, title);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct gal_draft_pair *p = &pairs->at[i];
        size_t start = out->n;
        gal_buf_puts(out, "  ");
        gal_draft_put_scalar(out, p->key);
        gal_buf_puts(out, ": ");
        if (p->literal)
            gal_buf_put_str(out, p->value);
        else
            gal_draft_put_scalar(out, p->value);
        put_comment(out, start, p->note);
    }
}

static void put_rest(struct gal_buf *out, const struct gal_draft *d)
{
    if (d->serving.count)
        put_pairs(out, "\n# How it is served: keys of docs/configuration.md.\nserving:\n",
                  &d->serving);
    else
        gal_buf_puts(out, "\n# How it is served: keys of docs/configuration.md.\n"
                          "# serving: {max_batch_size: 64, max_queue_delay: 2ms}\n");
    gal_buf_puts(out, "# resources: {cpu: \"1\", memory: 512Mi}   # of a replica in Kubernetes\n"
                      "# require: cuda                   # a start without it fails\n");
    if (d->metadata.count)
        put_pairs(out, "\n# Anything to know of the model.\nmetadata:\n", &d->metadata);
    gal_buf_puts(out, d->metadata.count ? "" : "\n# Anything to know of the model.\n# metadata:\n");
    gal_buf_puts(out, "#  owner: my-team\n#  licence: Apache-2.0\n"
                      "#  training_data: ...\n#  metrics: {auc_roc: 0.94}\n");
    if (d->provenance.count)
        put_pairs(out, "\n# What made the model.\nprovenance:\n", &d->provenance);
    if (d->file_count) {
        size_t start = out->n + 1;
        gal_buf_puts(out, "\nfiles: ");
        put_list(out, d->files, d->file_count);
        put_comment(out, start, "further files that go into the package");
    } else {
        gal_buf_puts(out, "\n# files: [README.md]              # further files that go into the "
                          "package\n");
    }
}

void gal_draft_write(const struct gal_draft *d, struct gal_buf *out)
{
    put_head(out, d);
    put_model(out, d);
    put_features(out, d);
    put_after(out, d);
    put_outputs(out, d);
    put_golden(out, d);
    put_rest(out, d);
}

/* --- small things --- */

void gal_draft_pair(struct gal_draft_pairs *pairs, struct gal_str key, struct gal_str value,
                    const char *note)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (gal_str_eq(pairs->at[i].key, key))
            return;
    }
    if (value.n && pairs->count < GAL_DRAFT_PAIRS_MAX)
        pairs->at[pairs->count++] =
            (struct gal_draft_pair){.key = key, .value = value, .note = note};
}

struct gal_str gal_draft_name(struct gal_str text, struct gal_arena *arena)
{
    char *name = gal_arena_strdup(arena, text);
    size_t n = 0;

    for (size_t i = 0; name && i < text.n && n < 100; i++) {
        char c = (char)tolower((unsigned char)text.p[i]);
        if (isalnum((unsigned char)c) || (n > 0 && strchr("-_.", c)))
            name[n++] = c;
        else if (n > 0 && name[n - 1] != '-')
            name[n++] = '-';
    }
    while (n > 0 && strchr("-_.", name[n - 1]))
        n--;
    return n ? (struct gal_str){name, n} : GAL_STR("model");
}

const char *gal_draft_type(enum gal_dtype t)
{
    switch (t) {
    case GAL_DT_FP32:
        return "float";
    case GAL_DT_FP64:
        return "double";
    case GAL_DT_INT64:
        return "int";
    case GAL_DT_BOOL:
        return "bool";
    case GAL_DT_BYTES:
        return "text";
    default:
        return gal_dtype_name(t);
    }
}
