/* SPDX-License-Identifier: Apache-2.0 */
/* The backend's slots: version, load, info, run. */
#include "backend/onnx.h"

#include "backend/onnx_internal.h"
#include "backend/onnx_weights.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Ports that run's arrays hold on the stack; more are taken from the arena. */
#define PORTS_ON_STACK 16
#define DESCRIPTION_BYTES_MAX (64u << 20)
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

/* ---- load ---- */

static OrtStatus *set_entries(const OrtApi *api, const struct gal_backend_options *options,
                              OrtSessionOptions *o)
{
    OrtStatus *(*const set_entry)(OrtSessionOptions *, const char *, const char *) =
        api->AddSessionConfigEntry;
    /* A thread that spins takes a core away from event loops. */
    OrtStatus *status = set_entry(o, "session.intra_op.allow_spinning", "0");
    if (!status)
        status = set_entry(o, "session.inter_op.allow_spinning", "0");
    if (!status && options->share_weights)
        status = set_entry(o, "session.disable_prepacking", "1");
    for (size_t i = 0; !status && i < options->entry_count; i++)
        status = set_entry(o, options->entries[i].key, options->entries[i].value);
    return status;
}

static OrtStatus *set_memory(const OrtApi *api, const struct gal_backend_options *options,
                             OrtSessionOptions *o)
{
    OrtStatus *status = options->no_mem_pattern ? api->DisableMemPattern(o) : NULL;
    if (!status && options->no_mem_arena)
        status = api->DisableCpuMemArena(o);
    return status;
}

static enum gal_status set_options(const struct gal_ort *ort,
                                   const struct gal_backend_options *options, OrtSessionOptions *o,
                                   struct gal_err *err)
{
    const OrtApi *api = ort->api;
    unsigned intra = options->intra_op_threads ? options->intra_op_threads : 1;
    unsigned inter = options->inter_op_threads ? options->inter_op_threads : 1;
    static const GraphOptimizationLevel levels[] = {
        [GAL_GRAPH_ALL] = ORT_ENABLE_ALL,
        [GAL_GRAPH_EXTENDED] = ORT_ENABLE_EXTENDED,
        [GAL_GRAPH_BASIC] = ORT_ENABLE_BASIC,
        [GAL_GRAPH_OFF] = ORT_DISABLE_ALL,
    };
    bool is_parallel = options->parallel || inter > 1;
    OrtStatus *status = api->SetSessionGraphOptimizationLevel(o, levels[options->graph_level]);
    if (!status)
        status = api->SetIntraOpNumThreads(o, (int)intra);
    if (!status)
        status = api->SetInterOpNumThreads(o, (int)inter);
    if (!status)
        status = api->SetSessionExecutionMode(o, is_parallel ? ORT_PARALLEL : ORT_SEQUENTIAL);
    if (!status)
        status = set_memory(api, options, o);
    if (!status)
        status = set_entries(api, options, o);
    return gal_ort_check(ort, status, GAL_ORT_LOAD, err);
}

/* weights_dir: where the files lie that the model has its weights in; NULL: beside it. */
static enum gal_status make_session(struct gal_ort_session *s, const struct gal_ort_model *model,
                                    const struct gal_backend_options *options,
                                    const char *weights_dir, struct gal_err *err)
{
    const OrtApi *api = s->ort->api;
    OrtSessionOptions *o = NULL;
    enum gal_status status =
        gal_ort_check(s->ort, api->CreateSessionOptions(&o), GAL_ORT_LOAD, err);
    if (!status)
        status = set_options(s->ort, options, o, err);
    if (!status && weights_dir)
        status = gal_ort_check(
            s->ort,
            api->AddSessionConfigEntry(o, "session.model_external_initializers_file_folder_path",
                                       weights_dir),
            GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_session_make(s->ort, model, o, s->memory_bytes_max, &s->session, err);
    if (o)
        api->ReleaseSessionOptions(o);
    return status;
}

/* Runs a model of one node to get an empty sequence. */
static enum gal_status make_empty(const struct gal_ort *ort, enum gal_dtype dtype, OrtValue **out,
                                  struct gal_err *err)
{
    static const char *const names[] = {"y"};
    uint8_t model[GAL_ORT_EMPTY_MAX];
    size_t n = gal_ort_empty_model(gal_ort_element(dtype), model);
    const OrtApi *api = ort->api;
    OrtSessionOptions *o = NULL;
    OrtSession *session = NULL;
    enum gal_status status = gal_ort_check(ort, api->CreateSessionOptions(&o), GAL_ORT_LOAD, err);
    if (!status)
        status = set_options(ort, &(struct gal_backend_options){0}, o, err);
    if (!status)
        status = gal_ort_check(ort, api->CreateSessionFromArray(ort->env, model, n, o, &session),
                               GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->Run(session, NULL, NULL, NULL, 0, names, 1, out),
                               GAL_ORT_LOAD, err);
    if (session)
        api->ReleaseSession(session);
    if (o)
        api->ReleaseSessionOptions(o);
    return status;
}

static enum gal_status make_empties(struct gal_ort_session *s, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < s->info.input_count; i++) {
        const struct gal_port *port = &s->info.inputs[i];
        if (port->kind == GAL_KIND_SEQUENCE && !port->of_maps && port->dtype != GAL_DT_NONE)
            status = make_empty(s->ort, port->dtype, &s->empty[i], err);
    }
    return status;
}

static void onnx_free(struct gal_session *session)
{
    struct gal_ort_session *s = own(session);
    if (!s)
        return;
    const OrtApi *api = s->ort->api;
    for (size_t i = 0; s->empty && i < s->info.input_count; i++)
        api->ReleaseValue(s->empty[i]);
    if (s->session)
        api->ReleaseSession(s->session);
    gal_arena_release(&s->arena);
    gal_free(s);
}

static enum gal_status find_categories(struct gal_ort_session *s, struct gal_str file,
                                       struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < s->info.input_count; i++) {
        struct gal_port *port = &s->ports[i];
        if (port->kind == GAL_KIND_TENSOR && port->dtype == GAL_DT_BYTES)
            status = gal_onnx_categories(file, port->name, &s->arena, &port->values,
                                         &port->value_count, err);
    }
    return status;
}

/* With large weights left in their file, which the engine maps. False: it has none that it could
 * map, or the engine would not; then the model is made as any other, and says what is wrong. */
static bool make_slim_session(struct gal_ort_session *s, const char *model_path,
                              struct gal_str file, const struct gal_backend_options *options)
{
    struct gal_buf slim;
    /* The engine takes no link that leads out of the directory. */
    const char *place = options->place;
    if (!place && options->share_weights && !options->bytes.p)
        place = model_path;
    char *path = place && s->ort->recent ? realpath(place, NULL) : NULL;
    char *name = path ? strrchr(path, '/') : NULL;
    bool made = false;
    if (!name || name == path) {
        free(path);
        return false;
    }
    *name++ = '\0';
    gal_buf_init(&slim, file.n);
    if (gal_onnx_slim(file, gal_str_of(name), options->place_offset, GAL_ONNX_WEIGHTS_MIN, &slim) >
        0) {
        const struct gal_ort_model model = {NULL, gal_buf_str(&slim)};
        made = !make_session(s, &model, options, path, NULL);
    }
    gal_buf_release(&slim);
    free(path);
    return made;
}

static enum gal_status load_mapped(struct gal_ort_session *s, const char *path, struct gal_str file,
                                   const struct gal_backend_options *options, struct gal_err *err)
{
    struct gal_onnx_head head;
    const struct gal_ort_model model = {options->bytes.p ? NULL : path, file};
    enum gal_status status = gal_onnx_head_read(file, &s->arena, &head, err);
    if (!status && !make_slim_session(s, path, file, options))
        status = make_session(s, &model, options, NULL, err);
    if (!status)
        status = gal_ort_describe(s, &head, err);
    if (!status)
        status = find_categories(s, file, err);
    if (!status)
        status = make_empties(s, err);
    return status;
}

static enum gal_status check_file(const char *path, struct gal_err *err)
{
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(path, &info, err);
    if (status)
        return status;
    if (info.kind == GAL_FILE_NONE)
        return gal_fail(err, GAL_NOT_FOUND, "no such file: %s", path);
    if (info.kind != GAL_FILE_REGULAR)
        return gal_fail(err, GAL_INVALID, "not a file: %s", path);
    return GAL_OK;
}

static enum gal_status onnx_load(const char *path, const struct gal_backend_options *options,
                                 struct gal_session **out, struct gal_err *err)
{
    *out = NULL;
    const struct gal_ort *ort;
    struct gal_str file = options->bytes;
    bool is_file = options->bytes.p == NULL;
    enum gal_status status = gal_ort_get(options->library, &ort, err);
    if (!status && is_file)
        status = check_file(path, err);
    if (status)
        return status;
    struct gal_ort_session *s = gal_calloc(1, sizeof *s);
    if (!s)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a session");
    s->ort = ort;
    s->memory_bytes_max = options->memory_bytes_max;
    s->trims_always = options->shrink_arena && !options->no_mem_arena;
    gal_arena_init(&s->arena, 4096, 0, DESCRIPTION_BYTES_MAX);
    if (is_file)
        status = gal_file_map(path, &file, err);
    if (!status)
        status = load_mapped(s, path, file, options, err);
    if (is_file)
        gal_file_unmap(file);
    if (status)
        onnx_free((struct gal_session *)s);
    else
        *out = (struct gal_session *)s;
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
    .load = onnx_load,
    .free = onnx_free,
    .info = onnx_info,
    .run = onnx_run,
    .release_output = onnx_release_output,
    .trim = onnx_trim,
};
