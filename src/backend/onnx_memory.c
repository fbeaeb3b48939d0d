/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the engine: an arena of its own for each session that is to be bounded, and the inputs
 * of a run that is made to give memory back. */
#include "backend/onnx_internal.h"

#include <pthread.h>

/* The engine takes the bounds of an arena only for one that is registered with the environment,
 * where all sessions may share it. A session that asks for it keeps a reference, so it is taken out
 * again at once, and the next session gets one of its own. The lock keeps two loads apart. */
static pthread_mutex_t registration = PTHREAD_MUTEX_INITIALIZER;

static enum gal_status register_arena(const struct gal_ort *ort, size_t bytes_max,
                                      struct gal_err *err)
{
    static const char *const keys[] = {"max_mem", "arena_extend_strategy"};
    const size_t values[] = {bytes_max, 1}; /* 1: by what is asked for, not by powers of two */
    const OrtApi *api = ort->api;
    OrtArenaCfg *config = NULL;
    enum gal_status status =
        gal_ort_check(ort, api->CreateArenaCfgV2(keys, values, sizeof keys / sizeof *keys, &config),
                      GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->CreateAndRegisterAllocator(ort->env, ort->cpu, config),
                               GAL_ORT_LOAD, err);
    if (config)
        api->ReleaseArenaCfg(config);
    return status;
}

static enum gal_status make(const struct gal_ort *ort, const struct gal_ort_model *model,
                            OrtSessionOptions *o, OrtSession **out, struct gal_err *err)
{
    const OrtApi *api = ort->api;
    OrtStatus *status =
        model->path ? api->CreateSession(ort->env, model->path, o, out)
                    : api->CreateSessionFromArray(ort->env, model->bytes.p, model->bytes.n, o, out);
    return gal_ort_check(ort, status, GAL_ORT_LOAD, err);
}

static enum gal_status make_bounded(const struct gal_ort *ort, const struct gal_ort_model *model,
                                    OrtSessionOptions *o, size_t bytes_max, OrtSession **out,
                                    struct gal_err *err)
{
    const OrtApi *api = ort->api;
    enum gal_status status = register_arena(ort, bytes_max, err);
    if (status)
        return status;
    status = gal_ort_check(ort, api->AddSessionConfigEntry(o, "session.use_env_allocators", "1"),
                           GAL_ORT_LOAD, err);
    if (!status)
        status = make(ort, model, o, out, err);
    OrtStatus *left = api->UnregisterAllocator(ort->env, ort->cpu);
    if (!status)
        return gal_ort_check(ort, left, GAL_ORT_LOAD, err);
    if (left)
        api->ReleaseStatus(left);
    return status;
}

/* What the session's arena holds; what the file takes where the engine cannot tell. */
static enum gal_status weights_bytes(const struct gal_ort *ort, const OrtSession *session,
                                     size_t file_bytes, size_t *out, struct gal_err *err)
{
    const OrtApi *api = ort->recent;
    OrtAllocator *allocator = NULL;
    OrtKeyValuePairs *stats = NULL;
    *out = file_bytes;
    if (!api)
        return GAL_OK;
    enum gal_status status =
        gal_ort_check(ort, api->CreateAllocator(session, ort->cpu, &allocator), GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->AllocatorGetStats(allocator, &stats), GAL_ORT_LOAD, err);
    const char *text = stats ? api->GetKeyValue(stats, "InUse") : NULL;
    uint64_t bytes;
    if (text && !gal_str_u64(gal_str_of(text), &bytes))
        *out = bytes;
    if (stats)
        api->ReleaseKeyValuePairs(stats);
    if (allocator)
        api->ReleaseAllocator(allocator);
    return status;
}

/* Weights that pass the bound are let in by the engine, whose reckoning then wraps: there would be
 * no bound at all. */
static enum gal_status check_weights(const struct gal_ort *ort, size_t bytes_max, size_t file_bytes,
                                     OrtSession **session, struct gal_err *err)
{
    size_t bytes;
    enum gal_status status = weights_bytes(ort, *session, file_bytes, &bytes, err);
    if (!status && bytes > bytes_max) {
        status = gal_fail(err, GAL_NO_MEMORY,
                          "the model's weights take %zu bytes of memory, more than the %zu that it "
                          "may take",
                          bytes, bytes_max);
        gal_err_hint(err, "raise model_memory_limit; inferences need room beside the weights");
    }
    if (status) {
        ort->api->ReleaseSession(*session);
        *session = NULL;
    }
    return status;
}

enum gal_status gal_ort_session_make(const struct gal_ort *ort, const struct gal_ort_model *model,
                                     OrtSessionOptions *o, size_t bytes_max, OrtSession **out,
                                     struct gal_err *err)
{
    if (bytes_max == 0)
        return make(ort, model, o, out, err);
    pthread_mutex_lock(&registration);
    enum gal_status status = make_bounded(ort, model, o, bytes_max, out, err);
    pthread_mutex_unlock(&registration);
    return status ? status : check_weights(ort, bytes_max, model->bytes.n, out, err);
}

/* ---- small inputs ---- */

static enum gal_status small_tensor(const struct gal_port *port, struct gal_arena *arena,
                                    struct gal_tensor *t, struct gal_err *err)
{
    size_t rank = port->shape_known ? port->rank : 1, size = gal_dtype_size(port->dtype);
    int64_t *shape = gal_arena_array(arena, rank, sizeof *shape);
    if (!shape)
        return gal_arena_fail(arena, rank * sizeof *shape, "a small input", err);
    for (size_t d = 0; d < rank; d++)
        shape[d] = port->shape_known && port->shape[d] >= 0 ? port->shape[d] : 1;
    *t =
        (struct gal_tensor){.name = port->name, .dtype = port->dtype, .rank = rank, .shape = shape};
    enum gal_status status = gal_shape_count(shape, rank, t->dtype, &t->count, err);
    if (status)
        return status;
    void *data = gal_arena_array(arena, t->count, size);
    if (!data)
        return gal_arena_fail(arena, t->count * size, "a small input", err);
    memset(data, 0, t->count * size);
    for (size_t i = 0; t->dtype == GAL_DT_BYTES && i < t->count; i++)
        ((struct gal_str *)data)[i] = port->values ? port->values[0] : GAL_STR("");
    t->data = data;
    return GAL_OK;
}

enum gal_status gal_ort_small_inputs(const struct gal_model_info *info, struct gal_arena *arena,
                                     struct gal_value **out, struct gal_err *err)
{
    size_t count = info->input_count;
    struct gal_value *inputs = gal_arena_array(arena, count, sizeof *inputs);
    if (!inputs)
        return gal_arena_fail(arena, count * sizeof *inputs, "small inputs", err);
    for (size_t i = 0; i < count; i++) {
        const struct gal_port *port = &info->inputs[i];
        enum gal_status status = GAL_OK;
        inputs[i] = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = port->name};
        if (port->optional)
            continue;
        inputs[i].kind = port->kind;
        if (port->kind == GAL_KIND_TENSOR && port->dtype != GAL_DT_NONE)
            status = small_tensor(port, arena, &inputs[i].tensor, err);
        else if (port->kind != GAL_KIND_SEQUENCE || port->of_maps || port->dtype == GAL_DT_NONE)
            status = gal_fail(err, GAL_INVALID, "nothing small is known for a %s", port->type_text);
        if (status)
            return status;
    }
    *out = inputs;
    return GAL_OK;
}
