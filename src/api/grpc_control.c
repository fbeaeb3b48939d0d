/* SPDX-License-Identifier: Apache-2.0 */
/* The model repository and shared memory over gRPC. */
#include "api/control.h"
#include "api/grpc_json.h"
#include "api/route.h"
#include "api/shm.h"

#include <proto/inference.pb-c.h>

static void fail(struct gal_exchange *x, enum gal_status code, const char *text)
{
    struct gal_err err;

    gal_fail(&err, code, "%s", text);
    gal_exchange_fail(x, &err);
}

/* --- repository --- */

/* There is one repository; it has no name. */
static bool refuse_repository(struct gal_exchange *x, const char *name)
{
    if (name[0] == '\0')
        return false;
    fail(x, GAL_UNSUPPORTED, "'repository_name' specification is not supported");
    return true;
}

static void put_text(struct gal_buf *out, uint32_t number, struct gal_str s)
{
    if (s.n > 0)
        gal_pb_put_bytes(out, number, s);
}

void gal_handle_grpc_repository_index(struct gal_exchange *x)
{
    const Inference__RepositoryIndexRequest *r =
        gal_grpc_request(x, &inference__repository_index_request__descriptor);
    struct gal_index_row *rows;
    struct gal_err err;
    size_t count;

    if (r == NULL || refuse_repository(x, r->repository_name))
        return;
    if (gal_control_index(x, r->ready, &rows, &count, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = x->out.n;

        put_text(&x->out, 1, rows[i].name);
        put_text(&x->out, 2, rows[i].version);
        if (rows[i].state != GAL_INDEX_UNKNOWN)
            put_text(&x->out, 3, gal_str_of(gal_index_state_name(rows[i].state)));
        put_text(&x->out, 4, rows[i].reason);
        gal_pb_wrap(&x->out, start, 1);
    }
    gal_grpc_finish(x);
}

struct change {
    struct gal_exchange *x;
    struct gal_control_request r;
};

static void on_changed(struct gal_control_request *r)
{
    struct change *c = r->user;

    if (r->status == GAL_OK)
        gal_grpc_finish(c->x);
    else
        gal_exchange_fail(c->x, &r->err);
}

static struct change *begin_change(struct gal_exchange *x, enum gal_control_action action,
                                   const char *repository, const char *model)
{
    struct change *c;
    struct gal_err err;

    if (refuse_repository(x, repository))
        return NULL;
    if (gal_control_allowed(x, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return NULL;
    }
    c = gal_arena_small(&x->arena, sizeof(*c));
    if (c == NULL) {
        fail(x, GAL_NO_MEMORY, "no memory for the request");
        return NULL;
    }
    memset(c, 0, sizeof(*c));
    c->x = x;
    c->r.action = action;
    c->r.model = gal_str_of(model);
    c->r.home = x->api->loop;
    c->r.on_done = on_changed;
    c->r.user = c;
    return c;
}

static void submit(struct change *c)
{
    const struct gal_control_ops *ops = c->x->api->control;

    ops->submit(ops->ctx, &c->r);
}

/* One parameter of a load; false when the exchange has failed. */
static bool take_load_param(struct change *c, const char *key,
                            const Inference__ModelRepositoryParameter *v,
                            struct gal_control_file *files)
{
    struct gal_str name = gal_str_of(key);
    struct gal_err err;

    if (gal_str_is(name, "config") &&
        v->parameter_choice_case ==
            INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_STRING_PARAM) {
        c->r.config = gal_str_of(v->string_param);
        return true;
    }
    if (gal_str_starts(name, GAL_STR("file:")) &&
        v->parameter_choice_case ==
            INFERENCE__MODEL_REPOSITORY_PARAMETER__PARAMETER_CHOICE_BYTES_PARAM) {
        files[c->r.file_count++] = (struct gal_control_file){
            {name.p + 5, name.n - 5}, {(const char *)v->bytes_param.data, v->bytes_param.len}};
        return true;
    }
    gal_fail(&err, GAL_INVALID, "unrecognized parameter '%.64s', or not of its type", key);
    gal_err_hint(&err, "'config' is a string, 'file:PATH' bytes");
    gal_exchange_fail(c->x, &err);
    return false;
}

void gal_handle_grpc_load(struct gal_exchange *x)
{
    const Inference__RepositoryModelLoadRequest *r =
        gal_grpc_request(x, &inference__repository_model_load_request__descriptor);
    struct gal_control_file *files;
    struct change *c;

    if (r == NULL)
        return;
    c = begin_change(x, GAL_CONTROL_LOAD, r->repository_name, r->model_name);
    if (c == NULL)
        return;
    if (r->n_parameters > GAL_CONTROL_FILES_MAX + 1) {
        fail(x, GAL_INVALID, "too many parameters");
        return;
    }
    files = gal_arena_array(&x->arena, r->n_parameters, sizeof(*files));
    if (files == NULL) {
        fail(x, GAL_NO_MEMORY, "no memory for the request");
        return;
    }
    c->r.files = files;
    for (size_t i = 0; i < r->n_parameters; i++) {
        const Inference__RepositoryModelLoadRequest__ParametersEntry *e = r->parameters[i];
        Inference__ModelRepositoryParameter none = INFERENCE__MODEL_REPOSITORY_PARAMETER__INIT;

        if (!take_load_param(c, e->key, e->value != NULL ? e->value : &none, files))
            return;
    }
    submit(c);
}

void gal_handle_grpc_unload(struct gal_exchange *x)
{
    const Inference__RepositoryModelUnloadRequest *r =
        gal_grpc_request(x, &inference__repository_model_unload_request__descriptor);
    struct change *c;

    if (r == NULL)
        return;
    c = begin_change(x, GAL_CONTROL_UNLOAD, r->repository_name, r->model_name);
    if (c == NULL)
        return;
    for (size_t i = 0; i < r->n_parameters; i++)
        if (strcmp(r->parameters[i]->key, "unload_dependents") != 0) {
            fail(x, GAL_INVALID, "the only parameter of an unload is unload_dependents");
            return;
        }
    submit(c);
}

/* --- shared memory --- */

static struct gal_shm *find_shm(struct gal_exchange *x)
{
    struct gal_err err;

    if (x->api->shm != NULL)
        return x->api->shm;
    gal_fail(&err, GAL_UNSUPPORTED, "client shared memory is disabled");
    gal_err_hint(&err, "start galley with --allow-client-shm");
    gal_exchange_fail(x, &err);
    return NULL;
}

static void end(struct gal_exchange *x, enum gal_status st, const struct gal_err *err)
{
    if (st == GAL_OK)
        gal_grpc_finish(x);
    else
        gal_exchange_fail(x, err);
}

void gal_handle_grpc_shm_status(struct gal_exchange *x)
{
    const Inference__SystemSharedMemoryStatusRequest *r =
        gal_grpc_request(x, &inference__system_shared_memory_status_request__descriptor);
    struct gal_shm *shm = r != NULL ? find_shm(x) : NULL;
    struct gal_shm_status *rows;
    struct gal_err err;
    enum gal_status st;
    size_t count;

    if (shm == NULL)
        return;
    st = gal_shm_status(shm, gal_str_of(r->name), &x->arena, &rows, &count, &err);
    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        size_t start = x->out.n, value;

        put_text(&x->out, 1, rows[i].name);
        value = x->out.n;
        put_text(&x->out, 1, rows[i].name);
        put_text(&x->out, 2, rows[i].key);
        gal_pb_put_u64(&x->out, 3, rows[i].offset);
        gal_pb_put_u64(&x->out, 4, rows[i].byte_size);
        gal_pb_wrap(&x->out, value, 2);
        gal_pb_wrap(&x->out, start, 1);
    }
    end(x, st, &err);
}

void gal_handle_grpc_shm_register(struct gal_exchange *x)
{
    const Inference__SystemSharedMemoryRegisterRequest *r =
        gal_grpc_request(x, &inference__system_shared_memory_register_request__descriptor);
    struct gal_shm *shm = r != NULL ? find_shm(x) : NULL;
    struct gal_err err;

    if (shm != NULL)
        end(x,
            gal_shm_register(shm, gal_str_of(r->name), gal_str_of(r->key), r->offset, r->byte_size,
                             &err),
            &err);
}

void gal_handle_grpc_shm_unregister(struct gal_exchange *x)
{
    const Inference__SystemSharedMemoryUnregisterRequest *r =
        gal_grpc_request(x, &inference__system_shared_memory_unregister_request__descriptor);
    struct gal_shm *shm = r != NULL ? find_shm(x) : NULL;

    if (shm == NULL)
        return;
    gal_shm_unregister(shm, gal_str_of(r->name));
    gal_grpc_finish(x);
}

void gal_handle_grpc_cuda_shm(struct gal_exchange *x)
{
    fail(x, GAL_UNSUPPORTED, "there is no shared memory of graphics cards");
}
