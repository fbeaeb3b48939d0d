/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config.h"

#include "model/image_port.h"

#include <stdio.h>

#define JSON_BYTES_MAX (4u << 20)
#define INLINE_US_MAX 200u /* inline_limit untold */

void gal_model_config_init(struct gal_model_config *c)
{
    memset(c, 0, sizeof *c);
    gal_policy_init(&c->policy);
    c->policy.rows_max = 0;
    c->batching = true;
    c->mode = GAL_SCHED_AUTO;
    c->inline_us_max = INLINE_US_MAX;
    c->backend.intra_op_threads = 1;
    c->backend.inter_op_threads = 1;
    c->warmup_runs = GAL_WARMUP_RUNS;
    c->versions = GAL_VERSIONS_ALL;
}

/* ---- settling ---- */

static size_t needs_queue(const struct gal_policy *p, const char *names[GAL_UNHEARD_MAX])
{
    size_t n = gal_policy_needs_queue(p, names);
    if (p->target_us > 0)
        names[n++] = "latency_target";
    return n;
}

size_t gal_model_config_unheard(const struct gal_model_config *c,
                                const char *names[GAL_UNHEARD_MAX])
{
    return c->mode == GAL_SCHED_INLINE ? needs_queue(&c->policy, names) : 0;
}

bool gal_model_config_minds_queue(const struct gal_model_config *c)
{
    const char *names[GAL_UNHEARD_MAX];
    return c->mode == GAL_SCHED_INLINE || needs_queue(&c->policy, names) > 0;
}

static enum gal_status check_schedule(const struct gal_model_config *c, struct gal_err *err)
{
    const char *names[GAL_UNHEARD_MAX];
    char list[128] = "";
    size_t n = gal_model_config_unheard(c, names), at = 0;
    if (n == 0 || c->base_minds_queue)
        return GAL_OK;
    for (size_t i = 0; i < n; i++) /* all five take 94 bytes */
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0      ? ""
                               : i + 1 < n ? ", "
                                           : " and ",
                               names[i]);
    gal_fail(err, GAL_INVALID, "with schedule inline nothing waits in a queue: %s %s no effect",
             list, n > 1 ? "have" : "has");
    gal_err_hint(err, "set schedule to auto or workers, or leave %s out", n > 1 ? "them" : "it");
    return GAL_INVALID;
}

static enum gal_status settle_policy(struct gal_model_config *c, struct gal_err *err)
{
    struct gal_policy *p = &c->policy;
    bool together = c->batching && c->batch_told != GAL_BATCH_NONE;
    size_t most = c->max_batch_size ? c->max_batch_size : GAL_BATCH_ROWS_MAX;
    p->rows_max = together ? c->max_batch_size : 1;
    if (!together)
        p->preferred_count = 0;
    if (p->preferred_count > 0 && p->preferred[p->preferred_count - 1] > most)
        return gal_fail(err, GAL_INVALID,
                        "a preferred batch size of %zu is more than max_batch_size, %zu",
                        p->preferred[p->preferred_count - 1], most);
    if (p->default_level == 0)
        p->default_level = p->levels;
    if (p->default_level > p->levels)
        return gal_fail(err, GAL_INVALID, "default priority %u is none of %u priority %s",
                        p->default_level, p->levels, p->levels == 1 ? "level" : "levels");
    struct gal_policy copy = *p;
    copy.rows_max = together ? most : 1;
    return gal_policy_check(&copy, err);
}

enum gal_status gal_model_config_settle(struct gal_model_config *c, struct gal_str pbtxt,
                                        struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status = settle_policy(c, err);
    if (!status)
        status = check_schedule(c, err);
    if (status)
        return status;
    gal_buf_init(&text, JSON_BYTES_MAX);
    gal_model_config_json(&text, c);
    gal_buf_put_str(&text, pbtxt);
    status = text.failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for a configuration's digest")
                         : gal_sha256_bytes(gal_buf_str(&text), c->digest, err);
    gal_buf_release(&text);
    return status;
}

/* ---- versions ---- */

bool gal_model_config_serves(const struct gal_model_config *c, uint64_t version, size_t newer)
{
    if (c->versions == GAL_VERSIONS_ALL)
        return true;
    if (c->versions == GAL_VERSIONS_LATEST)
        return newer < c->version_latest;
    for (size_t i = 0; i < c->version_list_count; i++) {
        if (c->version_list[i] == version)
            return true;
    }
    return false;
}

static enum gal_status read_list(struct gal_model_config *c, struct gal_str text,
                                 struct gal_err *err)
{
    struct gal_str rest = text, part;
    c->versions = GAL_VERSIONS_LISTED;
    c->version_list_count = 0;
    while (rest.n && gal_str_cut(&rest, ',', &part)) {
        uint64_t v;
        if (c->version_list_count == GAL_VERSION_LIST_MAX)
            return gal_fail(err, GAL_INVALID, "more than %u versions are listed",
                            GAL_VERSION_LIST_MAX);
        if (gal_str_u64(gal_str_trim(part), &v))
            return gal_fail(err, GAL_INVALID,
                            "'%.*s' is no choice of versions: all, latest, latest:2 or 1,3",
                            text.n < 64 ? (int)text.n : 64, text.p);
        c->version_list[c->version_list_count++] = v;
    }
    return GAL_OK;
}

enum gal_status gal_model_config_versions(struct gal_model_config *c, struct gal_str text,
                                          struct gal_err *err)
{
    struct gal_str word = {NULL, 0}, rest = text;
    gal_str_cut(&rest, ':', &word);
    c->versions_told = true;
    if (gal_str_is(text, "all")) {
        c->versions = GAL_VERSIONS_ALL;
        return GAL_OK;
    }
    if (!gal_str_is(word, "latest"))
        return text.n ? read_list(c, text, err)
                      : gal_fail(err, GAL_INVALID, "versions are all, latest, latest:2 or 1,3");
    c->versions = GAL_VERSIONS_LATEST;
    c->version_latest = 1;
    if (word.n == text.n)
        return GAL_OK;
    if (gal_str_u64(rest, &c->version_latest) || c->version_latest == 0)
        return gal_fail(err, GAL_INVALID, "'%.*s': latest takes a number from 1, as in latest:2",
                        text.n < 64 ? (int)text.n : 64, text.p);
    return GAL_OK;
}

static bool take_word(struct gal_str s, char out[GAL_LABEL_BYTES_MAX + 1])
{
    for (size_t i = 0; i < s.n; i++) {
        char p = s.p[i];
        if (!((p >= '0' && p <= '9') || (p >= 'A' && p <= 'Z') || (p >= 'a' && p <= 'z') ||
              p == '-' || p == '_' || p == '.'))
            return false;
    }
    if (s.n == 0 || s.n > GAL_LABEL_BYTES_MAX)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static enum gal_status add_label(struct gal_model_config *c, struct gal_str part,
                                 struct gal_err *err)
{
    struct gal_str name = {NULL, 0}, rest = part;
    struct gal_version_label *l = &c->labels[c->label_count];
    gal_str_cut(&rest, '=', &name);
    name = gal_str_trim(name);
    if (!take_word(name, l->name) || !take_word(gal_str_trim(rest), l->version))
        return gal_fail(err, GAL_INVALID, "'%.*s' is no label and version, as in stable=1",
                        part.n < 80 ? (int)part.n : 80, part.p);
    if (gal_str_is(name, "latest"))
        return gal_fail(err, GAL_INVALID,
                        "the label 'latest' is built in: it is the newest version");
    if (gal_model_config_label(c, name))
        return gal_fail(err, GAL_INVALID, "the label '%.*s' is given twice", (int)name.n, name.p);
    c->label_count++;
    return GAL_OK;
}

enum gal_status gal_model_config_labels(struct gal_model_config *c, struct gal_str text,
                                        struct gal_err *err)
{
    struct gal_str rest = text, part;
    c->label_count = 0;
    while (rest.n && gal_str_cut(&rest, ',', &part)) {
        if (c->label_count == GAL_VERSION_LABELS_MAX)
            return gal_fail(err, GAL_INVALID, "more than %u labels are given",
                            GAL_VERSION_LABELS_MAX);
        if (add_label(c, gal_str_trim(part), err))
            return GAL_INVALID;
    }
    return GAL_OK;
}

const struct gal_version_label *gal_model_config_label(const struct gal_model_config *c,
                                                       struct gal_str name)
{
    for (size_t i = 0; i < c->label_count; i++) {
        if (gal_str_is(name, c->labels[i].name))
            return &c->labels[i];
    }
    return NULL;
}

/* ---- against the model ---- */

static enum gal_status refuse(const struct gal_model_config *c, unsigned line, struct gal_err *err,
                              const char *format, ...) __attribute__((format(printf, 4, 5)));
static enum gal_status refuse(const struct gal_model_config *c, unsigned line, struct gal_err *err,
                              const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gal_fail(err, GAL_INVALID, "%s", text);
    gal_err_place(err, "%s:%u", c->source ? c->source : "config.pbtxt", line);
    return GAL_INVALID;
}

/* True when each size of the model is open or the declared one. `rows`: the model has a first
 * dimension that is not declared. */
static bool shape_fits(const struct gal_port *p, const struct gal_declared *d, bool rows)
{
    if (!p->shape_known)
        return true;
    const int64_t *shape = d->has_reshape ? d->reshape : d->shape;
    size_t rank = d->has_reshape ? d->reshape_rank : d->rank;
    if (p->rank != rank + rows || (rows && p->shape[0] >= 0))
        return false;
    for (size_t i = 0; i < rank; i++) {
        int64_t size = p->shape[i + rows];
        if (size >= 0 && size != shape[i])
            return false;
    }
    return true;
}

static enum gal_status check_shape(const struct gal_model_config *c, const struct gal_declared *d,
                                   const struct gal_port *p, const char *kind, struct gal_err *err)
{
    char model[96], told[96];
    bool rows = c->batch_told == GAL_BATCH_ROWS;
    if (shape_fits(p, d, rows) || (c->batch_told == GAL_BATCH_UNTOLD && shape_fits(p, d, true)))
        return GAL_OK;
    gal_shape_format(p->shape, p->rank, model, sizeof model);
    if (d->has_reshape)
        gal_shape_format(d->reshape, d->reshape_rank, told, sizeof told);
    else
        gal_shape_format(d->shape, d->rank, told, sizeof told);
    refuse(c, d->line, err, "%s '%.*s' has %s %s, but the model has the shape %s", kind,
           GAL_STR_ARG(d->name), d->has_reshape ? "the reshape" : "dims", told, model);
    if (rows)
        gal_err_hint(err, "with max_batch_size above 0 the model's first dimension is the batch "
                          "and is not listed in dims");
    else
        gal_err_hint(err, "with max_batch_size: 0 dims list every dimension, the batch too; -1 is "
                          "any size");
    return GAL_INVALID;
}

static enum gal_status check_declared(const struct gal_model_config *c,
                                      const struct gal_declared *d,
                                      const struct gal_model_info *info, struct gal_err *err)
{
    const struct gal_port *ports = d->is_output ? info->outputs : info->inputs;
    size_t count = d->is_output ? info->output_count : info->input_count;
    const char *kind = d->is_output ? "output" : "input";
    size_t i = gal_port_find(ports, count, d->name);
    if (i == SIZE_MAX) {
        refuse(c, d->line, err, "the model has no %s '%.*s'", kind, GAL_STR_ARG(d->name));
        gal_err_hint(err, "its first %s is '%.100s'; galley inspect shows all", kind,
                     count ? ports[0].name.p : "");
        return GAL_INVALID;
    }
    const struct gal_port *p = &ports[i];
    if (p->kind != GAL_KIND_TENSOR)
        return refuse(c, d->line, err,
                      "%s '%s' is a %s in the model, which config.pbtxt has no "
                      "words for: leave it out",
                      kind, p->name.p, p->type_text);
    if (p->dtype != d->dtype)
        return refuse(c, d->line, err, "%s '%s' is %s in the model, not %s", kind, p->name.p,
                      gal_dtype_name(p->dtype), gal_dtype_name(d->dtype));
    if (d->optional && !p->optional)
        return refuse(c, d->line, err, "input '%s' is not optional in the model", p->name.p);
    return check_shape(c, d, p, kind, err);
}

const struct gal_declared *gal_model_config_declared(const struct gal_model_config *c,
                                                     struct gal_str name, bool is_output)
{
    for (const struct gal_declared *d = c->declared; d; d = d->next) {
        if (d->is_output == is_output && gal_str_eq(d->name, name))
            return d;
    }
    return NULL;
}

/* Who declares inputs declares all that must be given. */
static enum gal_status check_missing(const struct gal_model_config *c,
                                     const struct gal_model_info *info, struct gal_err *err)
{
    const struct gal_declared *first = c->declared;
    while (first && first->is_output)
        first = first->next;
    for (size_t i = 0; first && i < info->input_count; i++) {
        const struct gal_port *p = &info->inputs[i];
        if (!p->optional && !gal_model_config_declared(c, p->name, false))
            return refuse(c, first->line, err,
                          "the model's input '%s' is not declared: declare all inputs or none",
                          p->name.p);
    }
    return GAL_OK;
}

static enum gal_status check_batch(const struct gal_model_config *c, const char *kind,
                                   const struct gal_port *ports, size_t count, struct gal_err *err)
{
    char shape[96];
    for (size_t i = 0; i < count; i++) {
        const struct gal_port *p = &ports[i];
        if (p->kind != GAL_KIND_TENSOR || !p->shape_known || p->optional ||
            (p->rank > 0 && p->shape[0] < 0))
            continue;
        refuse(c, c->max_batch_line, err,
               "max_batch_size: %zu needs an open first dimension, but %s '%s' of the model has "
               "the shape %s",
               c->max_batch_size, kind, p->name.p,
               gal_shape_format(p->shape, p->rank, shape, sizeof shape));
        gal_err_hint(err, "use max_batch_size: 0 and list all dimensions, or export the model "
                          "with a dynamic first dimension");
        return GAL_INVALID;
    }
    return GAL_OK;
}

enum gal_status gal_model_config_check(const struct gal_model_config *c,
                                       const struct gal_model_info *info, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (const struct gal_declared *d = c->declared; d && !status; d = d->next)
        status = check_declared(c, d, info, err);
    if (!status)
        status = check_missing(c, info, err);
    if (!status && c->batch_told == GAL_BATCH_ROWS)
        status = check_batch(c, "input", info->inputs, info->input_count, err);
    if (!status && c->batch_told == GAL_BATCH_ROWS)
        status = check_batch(c, "output", info->outputs, info->output_count, err);
    if (!status)
        status = gal_image_check(&c->image, info, err);
    return status;
}
