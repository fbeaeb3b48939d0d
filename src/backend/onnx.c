/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's slots: version, info, run, trim. */
#include "backend/onnx.h"

#include "backend/onnx_internal.h"
#include "base/mem.h"

#include <stdatomic.h>

/* Ports that run's arrays hold on the stack; more are taken from the arena. */
#define PORTS_ON_STACK 16
#define TRIM_BYTES_MAX (64u << 20) /* of the inputs of a run that is made to trim */

static struct gal_ort_session *own(struct gal_session *s)
{
    return (struct gal_ort_session *)s;
}

static enum gal_status onnx_version(const struct gal_backend_options *options, const char **out,
                                    struct gal_err *err)
{
    const struct gal_ort *ort;
    enum gal_status status = gal_ort_get(options->library, &ort, err);
    *out = status ? NULL : ort->version;
    return status;
}

static const struct gal_model_info *onnx_info(const struct gal_session *session)
{
    return &((const struct gal_ort_session *)session)->info;
}

/* ---- run ---- */

/* What one call hands to the engine; arrays on the caller's stack or in the arena. */
struct feed {
    const char **in_names;
    OrtValue **in_values;
    bool *is_own; /* in_values[i] is released behind the run */
    size_t in_count;
    const char **out_names;
    OrtValue **out_values;
};

static enum gal_status feed_in(const struct gal_ort_session *s, const struct gal_value *inputs,
                               struct feed *f, struct gal_err *err)
{
    for (size_t i = 0; i < s->info.input_count; i++) {
        OrtValue *value = NULL;
        /* The engine does not look whether an input is missing: its operators would meet a null. */
        if (inputs[i].kind == GAL_KIND_NONE && !s->info.inputs[i].optional)
            return gal_fail(err, GAL_INVALID, "input '%.100s' is missing",
                            s->info.inputs[i].name.p);
        if (inputs[i].kind == GAL_KIND_NONE)
            continue; /* a default of the file, or an empty optional */
        if (inputs[i].kind == GAL_KIND_SEQUENCE && inputs[i].count == 0)
            value = s->empty[i];
        bool is_own = !value;
        enum gal_status status = value ? GAL_OK : gal_ort_value_in(s->ort, &inputs[i], &value, err);
        if (status) {
            gal_err_place(err, "%.100s", s->info.inputs[i].name.p);
            return status;
        }
        f->in_names[f->in_count] = s->info.inputs[i].name.p;
        f->in_values[f->in_count] = value;
        f->is_own[f->in_count++] = is_own;
    }
    return GAL_OK;
}

/* Takes each value of the run into outputs; on failure nothing is left to release. */
static enum gal_status take_outputs(const struct gal_ort_session *s, const size_t *wanted,
                                    size_t count, struct feed *f, struct gal_arena *arena,
                                    struct gal_value *outputs, struct gal_err *err)
{
    const OrtApi *api = s->ort->api;
    enum gal_status status = GAL_OK;
    size_t i = 0;
    for (; i < count; i++) {
        const struct gal_port *port = &s->info.outputs[wanted[i]];
        int has_value = 1;
        if (port->optional)
            status = gal_ort_check(s->ort, api->HasValue(f->out_values[i], &has_value), GAL_ORT_RUN,
                                   err);
        outputs[i] = (struct gal_value){.kind = GAL_KIND_NONE};
        if (!status && !has_value) {
            api->ReleaseValue(f->out_values[i]);
            f->out_values[i] = NULL;
        } else if (!status) {
            status =
                gal_ort_value_out(s->ort, f->out_values[i], port->kind, arena, &outputs[i], err);
        }
        if (status)
            break;
        outputs[i].tensor.name = port->name;
    }
    if (!status)
        return GAL_OK;
    for (size_t k = i; k < count; k++)
        api->ReleaseValue(f->out_values[k]);
    while (i-- > 0)
        gal_ort_value_release(s->ort, &outputs[i]);
    return status;
}

static enum gal_status run_feed(const struct gal_ort_session *s, const OrtRunOptions *options,
                                const struct gal_value *inputs, const size_t *wanted, size_t count,
                                struct feed *f, struct gal_arena *arena, struct gal_value *outputs,
                                struct gal_err *err)
{
    const OrtApi *api = s->ort->api;
    for (size_t i = 0; i < count; i++) {
        f->out_names[i] = s->info.outputs[wanted[i]].name.p;
        f->out_values[i] = NULL;
    }
    enum gal_status status = feed_in(s, inputs, f, err);
    if (!status)
        status = gal_ort_check(s->ort,
                               api->Run(s->session, options, f->in_names,
                                        (const OrtValue *const *)f->in_values, f->in_count,
                                        f->out_names, count, f->out_values),
                               GAL_ORT_RUN, err);
    for (size_t i = 0; i < f->in_count; i++) {
        if (f->is_own[i])
            api->ReleaseValue(f->in_values[i]);
    }
    return status ? status : take_outputs(s, wanted, count, f, arena, outputs, err);
}

static enum gal_status run_with(const struct gal_ort_session *s, const OrtRunOptions *options,
                                const struct gal_value *inputs, const size_t *wanted,
                                size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    const char *names[2 * PORTS_ON_STACK];
    OrtValue *values[2 * PORTS_ON_STACK];
    bool is_own[PORTS_ON_STACK];
    struct feed f = {names, values, is_own, 0, names + PORTS_ON_STACK, values + PORTS_ON_STACK};
    size_t in = s->info.input_count;
    if (in > PORTS_ON_STACK || output_count > PORTS_ON_STACK) {
        f.in_names = gal_arena_array(arena, in, sizeof *f.in_names);
        f.in_values = gal_arena_array(arena, in, sizeof(OrtValue *));
        f.is_own = gal_arena_array(arena, in, sizeof *f.is_own);
        f.out_names = gal_arena_array(arena, output_count, sizeof *f.out_names);
        f.out_values = gal_arena_array(arena, output_count, sizeof(OrtValue *));
        if (!f.in_names || !f.in_values || !f.is_own || !f.out_names || !f.out_values)
            return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu inputs", in);
    }
    return run_feed(s, options, inputs, wanted, output_count, &f, arena, outputs, err);
}

static enum gal_status onnx_run(struct gal_session *session, const struct gal_value *inputs,
                                const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    struct gal_ort_session *s = own(session);
    const struct gal_ort *ort = s->ort;
    if (!atomic_load_explicit(&s->has_run, memory_order_relaxed))
        atomic_store_explicit(&s->has_run, true, memory_order_relaxed);
    /* An engine without an arena refuses to trim it: then the run is made as any other. */
    if (atomic_load_explicit(&s->trims_next, memory_order_relaxed) &&
        atomic_exchange(&s->trims_next, false) &&
        !run_with(s, ort->trim_options, inputs, wanted, output_count, arena, outputs, NULL))
        return GAL_OK;
    enum gal_status status = run_with(s, s->trims_always ? ort->trim_options : ort->run_options,
                                      inputs, wanted, output_count, arena, outputs, err);
    if (status == GAL_NO_MEMORY && s->memory_bytes_max)
        gal_err_hint(err, "the model may take %zu bytes (model_memory_limit)", s->memory_bytes_max);
    return status;
}

/* ---- trim ---- */

/* The engine gives memory back at the end of a run and at no other time: of a small one, or, where
 * the model does not take what can be made up, of the next. */
static void onnx_trim(struct gal_session *session)
{
    struct gal_ort_session *s = own(session);
    static const size_t wanted[] = {0};
    struct gal_value *inputs, output;
    struct gal_arena arena;
    if (!atomic_exchange(&s->has_run, false))
        return;
    gal_arena_init(&arena, 4096, 0, TRIM_BYTES_MAX);
    enum gal_status status = gal_ort_small_inputs(&s->info, &arena, &inputs, NULL);
    if (!status)
        status = run_with(s, s->ort->trim_options, inputs, wanted, 1, &arena, &output, NULL);
    if (status)
        atomic_store(&s->trims_next, true);
    else
        gal_ort_value_release(s->ort, &output);
    gal_arena_release(&arena);
    gal_mem_trim();
}

static void onnx_release_output(struct gal_session *session, struct gal_value *output)
{
    gal_ort_value_release(own(session)->ort, output);
}

const struct gal_backend_ops gal_backend_onnx = {
    .abi = GAL_BACKEND_ABI,
    .name = "onnxruntime",
    .version = onnx_version,
    .load = gal_ort_load,
    .free = gal_ort_free,
    .info = onnx_info,
    .run = onnx_run,
    .release_output = onnx_release_output,
    .trim = onnx_trim,
};
