/* SPDX-License-Identifier: Apache-2.0 */
/* Making sessions: the engine's options, weights that stay in their file, what is found out about
 * the model. */
#include "backend/onnx.h"

#include "backend/onnx_internal.h"
#include "backend/onnx_weights.h"
#include "base/file.h"
#include "base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTION_BYTES_MAX (64u << 20)
#define SLIM_BYTES_MORE (1u << 20) /* names and numbers of external data */

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

void gal_ort_free(struct gal_session *session)
{
    struct gal_ort_session *s = (struct gal_ort_session *)session;
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
    char path[PATH_MAX]; /* the engine takes no link that leads out of the directory */
    const char *place = options->place;
    if (!place && options->share_weights && !options->bytes.p)
        place = model_path;
    if (!place || !s->ort->recent || !realpath(place, path))
        return false;
    char *name = strrchr(path, '/');
    struct gal_buf slim;
    bool made = false;
    if (name == path)
        return false;
    *name++ = '\0';
    gal_buf_init(&slim, 2 * file.n + SLIM_BYTES_MORE);
    const struct gal_onnx_place at = {gal_str_of(name), options->place_offset, options->parts,
                                      options->part_count};
    uint64_t total_min = options->part_count ? 0 : GAL_ONNX_WEIGHTS_MIN;
    if (gal_onnx_slim(file, &at, total_min, &slim) > 0) {
        const struct gal_ort_model model = {NULL, gal_buf_str(&slim)};
        made = !make_session(s, &model, options, path, NULL);
    }
    gal_buf_release(&slim);
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

enum gal_status gal_ort_load(const char *path, const struct gal_backend_options *options,
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
        gal_ort_free((struct gal_session *)s);
    else
        *out = (struct gal_session *)s;
    return status;
}
