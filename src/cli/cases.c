/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cases.h"

#include "api/native.h"
#include "api/oip.h"
#include "base/limits.h"
#include "text/json.h"

#include <stdio.h>

#define CASES_MAX 100000u

struct reader {
    const struct gal_model *m;
    const char *path;
    double rtol, atol;
    struct gal_arena *arena;
    struct gal_err *err;
    struct gal_golden_case *cases;
    size_t count, cap;
};

static enum gal_status no_memory(const struct reader *r)
{
    return gal_arena_fail(r->arena, 0, "the inputs", r->err);
}

/* `where` ("line 3", "[4]", "") before the place that is there. */
static enum gal_status at(const struct reader *r, enum gal_status status, const char *where)
{
    char inner[sizeof r->err->place];
    if (!r->err)
        return status;
    memcpy(inner, r->err->place, sizeof inner);
    gal_err_place(r->err, "%s%s%s%s%s", r->path, where[0] ? ": " : "", where, inner[0] ? ": " : "",
                  inner);
    return status;
}

/* --- what an input may be --- */

static enum gal_status fits(const struct reader *r, const struct gal_port *p,
                            const struct gal_tensor *t)
{
    char want[96], got[96];
    if (p->dtype != t->dtype ||
        (p->shape_known && !gal_shape_fits(t->shape, t->rank, p->shape, p->rank)))
        return gal_fail(r->err, GAL_INVALID, "input '%.*s' is %s %s, got %s %s",
                        GAL_STR_SHOWN(p->name), gal_dtype_name(p->dtype),
                        p->shape_known ? gal_shape_format(p->shape, p->rank, want, sizeof want)
                                       : "of any shape",
                        gal_dtype_name(t->dtype),
                        gal_shape_format(t->shape, t->rank, got, sizeof got));
    return GAL_OK;
}

/* What a client could not send is no case. */
static enum gal_status check(const struct reader *r, const struct gal_value *inputs)
{
    const struct gal_manifest *manifest = r->m->manifest;
    struct gal_findings *findings;

    if (!manifest || manifest->feature_count == 0 ||
        manifest->feature_count != r->m->info->input_count)
        return GAL_OK;
    findings = gal_arena_small(r->arena, sizeof *findings);
    if (!findings)
        return no_memory(r);
    return gal_check_features(manifest, inputs, r->arena, findings, r->err);
}

/* --- a request --- */

static enum gal_status grow(struct reader *r)
{
    size_t cap = r->cap ? 2 * r->cap : 16;
    if (r->count == CASES_MAX)
        return gal_fail(r->err, GAL_TOO_LARGE, "more than %u requests", CASES_MAX);
    struct gal_golden_case *cases =
        gal_arena_grow(r->arena, r->cases, r->cap * sizeof *cases, cap * sizeof *cases);
    if (!cases)
        return no_memory(r);
    r->cases = cases;
    r->cap = cap;
    return GAL_OK;
}

/* `inputs` in the order of the ports. */
static enum gal_status add(struct reader *r, struct gal_value *inputs)
{
    enum gal_status status = check(r, inputs);
    struct gal_golden_case *c;
    const char *name;
    size_t n = 0;

    if (!status && r->count == r->cap)
        status = grow(r);
    if (status)
        return status;
    name = gal_arena_printf(r->arena, "case %zu", r->count);
    if (!name)
        return no_memory(r);
    for (size_t i = 0; i < r->m->info->input_count; i++) {
        if (inputs[i].kind == GAL_KIND_TENSOR)
            inputs[n++] = inputs[i];
    }
    c = &r->cases[r->count++];
    *c = (struct gal_golden_case){.name = gal_str_of(name),
                                  .inputs = inputs,
                                  .input_count = n,
                                  .rtol = r->rtol,
                                  .atol = r->atol};
    return GAL_OK;
}

static struct gal_value *room(const struct reader *r)
{
    size_t n = r->m->info->input_count;
    struct gal_value *inputs = gal_arena_array(r->arena, n + 1, sizeof *inputs);

    for (size_t i = 0; inputs && i < n; i++)
        inputs[i] = (struct gal_value){.kind = GAL_KIND_NONE};
    return inputs;
}

static enum gal_status read_oip(struct reader *r, struct gal_str text)
{
    const struct gal_model_info *info = r->m->info;
    struct gal_value *inputs = room(r);
    struct gal_oip_request request;
    enum gal_status status;

    if (!inputs)
        return no_memory(r);
    status =
        gal_oip_decode_model(r->m, text, (struct gal_str){NULL, 0}, r->arena, &request, r->err);
    for (size_t i = 0; !status && i < request.input_count; i++) {
        const struct gal_tensor *t = &request.inputs[i];
        size_t to = gal_port_find(info->inputs, info->input_count, t->name);
        if (to == SIZE_MAX)
            return gal_fail(r->err, GAL_INVALID, "the model has no input '%.*s'",
                            GAL_STR_SHOWN(t->name));
        status = fits(r, &info->inputs[to], t);
        inputs[to] = (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = *t};
    }
    return status ? status : add(r, inputs);
}

/* The first of what is wrong makes the error. */
static enum gal_status refuse(const struct reader *r, const struct gal_native *n)
{
    char place[160];
    const struct gal_native_error *e = &n->errors.at[0];

    gal_fail(r->err, GAL_INVALID, "%s", n->errors.count ? e->message : "this is no request");
    if (n->errors.count)
        gal_err_place(r->err, "%s", gal_native_error_place(e, place, sizeof place));
    return GAL_INVALID;
}

static enum gal_status read_native(struct reader *r, yyjson_val *v)
{
    struct gal_native *n = gal_arena_alloc(r->arena, sizeof *n);
    struct gal_value *inputs = room(r);
    enum gal_status status = GAL_OK;

    if (!n || !inputs)
        return no_memory(r);
    *n = (struct gal_native){.form = GAL_NATIVE_FEATURES, .data = v, .rows = 1};
    if (yyjson_is_obj(v)) /* else it is a row, an array of values */
        status = gal_native_envelope(v, false, r->arena, n);
    if (!status)
        status = gal_native_decode(r->m, n, r->arena, inputs, r->err);
    if (status)
        return n->errors.count ? refuse(r, n) : status;
    return add(r, inputs);
}

/* --- the file --- */

static enum gal_status read_array(struct reader *r, yyjson_val *list, const char *before)
{
    yyjson_val *item;
    size_t i, n;
    char where[64];

    yyjson_arr_foreach(list, i, n, item)
    {
        enum gal_status status;
        snprintf(where, sizeof where, "%s[%zu]", before, i);
        if (yyjson_is_arr(yyjson_obj_get(item, "inputs")))
            status = gal_fail(r->err, GAL_UNSUPPORTED,
                              "requests of the Open Inference Protocol stand in no array: put one "
                              "on each line");
        else
            status = read_native(r, item);
        if (status)
            return at(r, status, where);
    }
    return GAL_OK;
}

/* What one text holds, the file or a line of it. */
static enum gal_status read_text(struct reader *r, struct gal_str text, yyjson_val *root,
                                 const char *where)
{
    yyjson_val *first = yyjson_arr_get_first(root);

    if (yyjson_is_obj(first) || yyjson_is_arr(first))
        return read_array(r, root, where);
    enum gal_status status = yyjson_is_arr(yyjson_obj_get(root, "inputs")) ? read_oip(r, text)
                             : yyjson_is_ctn(root)
                                 ? read_native(r, root)
                                 : gal_fail(r->err, GAL_INVALID, "expected an object or an array");
    return status ? at(r, status, where) : GAL_OK;
}

static struct gal_str take_line(struct gal_str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    struct gal_str line = {rest->p, n};

    n += end != NULL;
    *rest = (struct gal_str){rest->p + n, rest->n - n};
    return gal_str_trim(line);
}

static enum gal_status read_lines(struct reader *r, struct gal_str text)
{
    enum gal_status status = GAL_OK;
    char where[32];

    for (size_t number = 1; !status && text.n > 0; number++) {
        struct gal_str line = take_line(&text);
        yyjson_val *root;
        snprintf(where, sizeof where, "line %zu", number);
        if (line.n == 0)
            continue;
        status = gal_json_read(line, r->arena, GAL_JSON_DEPTH_MAX, &root, r->err);
        status = status ? at(r, status, where) : read_text(r, line, root, where);
    }
    return status;
}

/* Its first line that is not empty is JSON by itself: *out. Fails for want of memory alone. */
static enum gal_status has_lines(const struct reader *r, struct gal_str text, bool *out)
{
    struct gal_str line = {NULL, 0};
    yyjson_val *root;
    enum gal_status status;

    while (line.n == 0 && text.n > 0)
        line = take_line(&text);
    *out = false;
    if (gal_str_trim(text).n == 0)
        return GAL_OK;
    status = gal_json_read(line, r->arena, GAL_JSON_DEPTH_MAX, &root, NULL);
    *out = status == GAL_OK;
    return status == GAL_INVALID ? GAL_OK : status;
}

/* One document, or one on each line. */
static enum gal_status read_file(struct reader *r, struct gal_str text, enum gal_status status,
                                 yyjson_val *root)
{
    bool lines = false;

    if (!status)
        return read_text(r, text, root, "");
    if (status == GAL_INVALID && has_lines(r, text, &lines) != GAL_OK)
        return at(r, no_memory(r), "");
    return lines ? read_lines(r, text) : at(r, status, "");
}

enum gal_status gal_cases_read(struct gal_str text, const char *path, const struct gal_model *m,
                               double rtol, double atol, struct gal_arena *arena,
                               struct gal_golden **out, struct gal_err *err)
{
    struct reader r = {
        .m = m, .path = path, .rtol = rtol, .atol = atol, .arena = arena, .err = err};
    yyjson_val *root = NULL;
    enum gal_status status = gal_json_read(text, arena, GAL_JSON_DEPTH_MAX, &root, err);

    *out = NULL;
    if (!status && yyjson_is_arr(yyjson_obj_get(root, "cases")))
        return gal_golden_read(text, path, rtol, atol, arena, out, err);
    status = read_file(&r, text, status, root);
    if (!status && r.count == 0)
        status = at(&r, gal_fail(err, GAL_INVALID, "there are no requests in it"), "");
    *out = status ? NULL : gal_arena_small(arena, sizeof **out);
    if (!status && !*out)
        status = no_memory(&r);
    if (!status)
        **out = (struct gal_golden){r.cases, r.count};
    return status;
}

void gal_cases_tolerate(struct gal_golden *g, double rtol, double atol)
{
    /* They lie in the arena of who has made them, which may change them. */
    struct gal_golden_case *cases = (struct gal_golden_case *)g->cases;

    for (size_t i = 0; i < g->case_count; i++) {
        cases[i].rtol = rtol;
        cases[i].atol = atol;
    }
}
