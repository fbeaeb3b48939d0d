/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases against a session. */
#include "package/golden.h"

#include "base/limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define PROOF_BYTES_MAX (1ull << 30) /* of one case's outputs */

/* --- two elements --- */

/* How far apart: 0 for the same; infinity where no number tells. */
static double distance(double want, double got)
{
    if (want == got || (isnan(want) && isnan(got)))
        return 0;
    return isfinite(want) && isfinite(got) ? fabs(want - got) : INFINITY;
}

static bool same_bytes(const struct gal_tensor *want, const struct gal_tensor *got, size_t i)
{
    size_t size = gal_dtype_size(want->dtype);

    if (want->dtype == GAL_DT_BYTES)
        return gal_str_eq(((const struct gal_str *)want->data)[i],
                          ((const struct gal_str *)got->data)[i]);
    return memcmp((const char *)want->data + i * size, (const char *)got->data + i * size, size) ==
           0;
}

static void show(const struct gal_tensor *t, size_t i, char out[64])
{
    const struct gal_str *s;
    int64_t whole = 0;
    size_t size = gal_dtype_size(t->dtype);

    if (gal_dtype_is_float(t->dtype)) {
        (void)snprintf(out, 64, "%.9g", gal_tensor_number(t, i));
    } else if (t->dtype == GAL_DT_BYTES) {
        s = &((const struct gal_str *)t->data)[i];
        (void)snprintf(out, 64, "\"%.*s\"", (int)(s->n < 60 ? s->n : 60), s->n ? s->p : "");
    } else {
        memcpy(&whole, (const char *)t->data + i * size, size);
        if (size < 8 &&
            (t->dtype == GAL_DT_INT8 || t->dtype == GAL_DT_INT16 || t->dtype == GAL_DT_INT32)) {
            unsigned shift = (unsigned)(8 - size) * 8;
            whole = (int64_t)((uint64_t)whole << shift) >> shift;
        }
        if (t->dtype == GAL_DT_UINT64)
            (void)snprintf(out, 64, "%" PRIu64, (uint64_t)whole);
        else
            (void)snprintf(out, 64, "%" PRId64, whole);
    }
}

static bool same_form(const struct gal_value *want, const struct gal_value *got)
{
    return got->kind == GAL_KIND_TENSOR && want->tensor.dtype == got->tensor.dtype &&
           gal_shape_fits(got->tensor.shape, got->tensor.rank, want->tensor.shape,
                          want->tensor.rank);
}

bool gal_golden_compare(const struct gal_value *want, const struct gal_value *got, double rtol,
                        double atol, struct gal_difference *d)
{
    const struct gal_tensor *w = &want->tensor, *g = &got->tensor;
    double worst = 0;
    bool beyond = false;

    if (!same_form(want, got))
        return false;
    d->elements += w->count;
    for (size_t i = 0; i < w->count; i++) {
        double a = gal_dtype_is_float(w->dtype) ? gal_tensor_number(w, i) : 0;
        double b = gal_dtype_is_float(w->dtype) ? gal_tensor_number(g, i) : 0;
        double apart = gal_dtype_is_float(w->dtype) ? distance(a, b)
                       : same_bytes(w, g, i)        ? 0
                                                    : INFINITY;
        double rel = apart == 0 ? 0 : fabs(a) > 0 && isfinite(a) ? apart / fabs(a) : INFINITY;
        bool wrong = apart > atol + (isfinite(a) ? rtol * fabs(a) : 0);
        d->abs_max = apart > d->abs_max ? apart : d->abs_max;
        d->rel_max = rel > d->rel_max ? rel : d->rel_max;
        d->differing += wrong;
        if ((wrong && !beyond) || (wrong == beyond && apart > worst)) {
            worst = apart;
            show(w, i, d->want);
            show(g, i, d->got);
            if (wrong)
                d->worst_element = i;
        }
        beyond = beyond || wrong;
    }
    return !beyond;
}

/* --- a case --- */

struct prover {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model_info *info;
    struct gal_arena *arena;
    struct gal_err *err;
    struct gal_proof *proof;
};

static const char *known_names(struct gal_arena *arena, const struct gal_port *ports, size_t count)
{
    const char *text = "";

    for (size_t i = 0; i < count && text; i++)
        text =
            gal_arena_printf(arena, "%s%s%.*s", text, i ? ", " : "", GAL_STR_SHOWN(ports[i].name));
    return text ? text : "";
}

static enum gal_status place_inputs(struct prover *p, const struct gal_golden_case *c,
                                    struct gal_value *inputs)
{
    for (size_t i = 0; i < p->info->input_count; i++)
        inputs[i] =
            (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = p->info->inputs[i].name};
    for (size_t i = 0; i < c->input_count; i++) {
        size_t at = gal_port_find(p->info->inputs, p->info->input_count, c->inputs[i].tensor.name);
        if (at == SIZE_MAX)
            return gal_fail(p->err, GAL_INVALID,
                            "golden case '%.*s' has an input %.*s, which the model has not: it "
                            "takes %.160s",
                            GAL_STR_SHOWN(c->name), GAL_STR_SHOWN(c->inputs[i].tensor.name),
                            known_names(p->arena, p->info->inputs, p->info->input_count));
        inputs[at] = c->inputs[i];
    }
    for (size_t i = 0; i < p->info->input_count; i++) {
        if (inputs[i].kind == GAL_KIND_NONE && !p->info->inputs[i].optional)
            return gal_fail(p->err, GAL_INVALID, "golden case '%.*s' lacks the input %.*s",
                            GAL_STR_SHOWN(c->name), GAL_STR_SHOWN(p->info->inputs[i].name));
    }
    return GAL_OK;
}

static enum gal_status place_outputs(struct prover *p, const struct gal_golden_case *c,
                                     size_t *wanted)
{
    for (size_t i = 0; i < c->output_count; i++) {
        wanted[i] =
            gal_port_find(p->info->outputs, p->info->output_count, c->outputs[i].tensor.name);
        if (wanted[i] == SIZE_MAX)
            return gal_fail(p->err, GAL_INVALID,
                            "golden case '%.*s' has an output %.*s, which the model has not: it "
                            "gives %.160s",
                            GAL_STR_SHOWN(c->name), GAL_STR_SHOWN(c->outputs[i].tensor.name),
                            known_names(p->arena, p->info->outputs, p->info->output_count));
    }
    return GAL_OK;
}

static struct gal_difference *difference_of(struct prover *p, struct gal_str output)
{
    for (size_t i = 0; i < p->proof->output_count; i++) {
        if (gal_str_eq(p->proof->outputs[i].output, output))
            return &p->proof->outputs[i];
    }
    struct gal_difference *d = &p->proof->outputs[p->proof->output_count++];
    *d = (struct gal_difference){
        .output = output, .worst_case = SIZE_MAX, .worst_element = SIZE_MAX};
    return d;
}

static enum gal_status refuse(struct prover *p, const struct gal_golden_case *c,
                              const struct gal_value *want, const struct gal_value *got,
                              const struct gal_difference *d)
{
    char a[96], b[96];

    if (!same_form(want, got))
        return gal_fail(p->err, GAL_INVALID,
                        "golden case '%.*s' is not reproduced: %.*s is %s %s, recorded as %s %s",
                        GAL_STR_SHOWN(c->name), GAL_STR_SHOWN(want->tensor.name),
                        got->kind == GAL_KIND_TENSOR ? gal_dtype_name(got->tensor.dtype)
                                                     : "no tensor",
                        gal_shape_format(got->tensor.shape, got->tensor.rank, a, sizeof a),
                        gal_dtype_name(want->tensor.dtype),
                        gal_shape_format(want->tensor.shape, want->tensor.rank, b, sizeof b));
    return gal_fail(p->err, GAL_INVALID,
                    "golden case '%.*s' is not reproduced: %.*s[%zu] is %s, recorded as %s; "
                    "tolerance rtol %g, atol %g",
                    GAL_STR_SHOWN(c->name), GAL_STR_SHOWN(want->tensor.name), d->worst_element,
                    d->got, d->want, c->rtol, c->atol);
}

/* The first output that is wrong makes the error; all are counted. */
static enum gal_status compare(struct prover *p, size_t index, const struct gal_golden_case *c,
                               const struct gal_value *outputs)
{
    enum gal_status status = GAL_OK;

    for (size_t i = 0; i < c->output_count; i++) {
        struct gal_difference one = {.worst_element = SIZE_MAX},
                              *all = difference_of(p, c->outputs[i].tensor.name);
        bool good = gal_golden_compare(&c->outputs[i], &outputs[i], c->rtol, c->atol, &one);
        bool is_worst = good ? all->worst_case == SIZE_MAX && one.abs_max >= all->abs_max
                             : all->worst_case == SIZE_MAX || one.abs_max > all->abs_max;
        all->elements += one.elements;
        all->differing += one.differing;
        if (is_worst) {
            memcpy(all->want, one.want, sizeof all->want);
            memcpy(all->got, one.got, sizeof all->got);
        }
        if (is_worst && !good) {
            all->worst_case = index;
            all->worst_element = one.worst_element;
        }
        all->abs_max = one.abs_max > all->abs_max ? one.abs_max : all->abs_max;
        all->rel_max = one.rel_max > all->rel_max ? one.rel_max : all->rel_max;
        if (!good && !status)
            status = refuse(p, c, &c->outputs[i], &outputs[i], &one);
    }
    return status;
}

static enum gal_status run_case(struct prover *p, size_t index, const struct gal_golden_case *c)
{
    struct gal_arena run;
    struct gal_value *inputs, *outputs;
    size_t *wanted;
    enum gal_status status;

    gal_arena_init(&run, 65536, 0, PROOF_BYTES_MAX);
    inputs = gal_arena_array(&run, p->info->input_count + 1, sizeof *inputs);
    outputs = gal_arena_array(&run, c->output_count + 1, sizeof *outputs);
    wanted = gal_arena_array(&run, c->output_count + 1, sizeof *wanted);
    if (!inputs || !outputs || !wanted)
        status = gal_fail(p->err, GAL_NO_MEMORY, "no memory for a golden case");
    else
        status = place_inputs(p, c, inputs);
    if (!status)
        status = place_outputs(p, c, wanted);
    if (!status) {
        status = p->ops->run(p->session, inputs, wanted, c->output_count, &run, outputs, p->err);
        if (status && p->err) {
            char why[sizeof p->err->message];
            memcpy(why, p->err->message, sizeof why);
            gal_fail(p->err, status, "golden case '%.*s' cannot be run: %.300s",
                     GAL_STR_SHOWN(c->name), why);
        }
        if (!status) {
            status = compare(p, index, c, outputs);
            for (size_t i = 0; i < c->output_count; i++)
                p->ops->release_output(p->session, &outputs[i]);
        }
    }
    gal_arena_release(&run);
    return status;
}

enum gal_status gal_golden_prove(const struct gal_golden *g, const struct gal_backend_ops *ops,
                                 struct gal_session *session, struct gal_arena *arena,
                                 struct gal_proof *proof, struct gal_err *err)
{
    struct gal_proof own;
    struct prover p = {ops, session, ops->info(session), arena, err, proof ? proof : &own};
    enum gal_status status = GAL_OK;

    *p.proof = (struct gal_proof){.cases = g->case_count};
    p.proof->outputs = gal_arena_array(arena, p.info->output_count + 1, sizeof *p.proof->outputs);
    if (!p.proof->outputs)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a proof");
    for (size_t i = 0; i < g->case_count; i++) {
        enum gal_status one = run_case(&p, i, &g->cases[i]);
        p.proof->failed_cases += one != GAL_OK;
        if (one && !status) {
            status = one;
            p.err = NULL; /* the first reason stays */
        }
    }
    return status;
}
