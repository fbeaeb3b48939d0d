/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of a request that lie in a client's shared memory. */
#include "api/oip.h"
#include "api/shm.h"

static enum gal_status find_shm(const struct gal_exchange *x, struct gal_shm **out,
                                struct gal_err *err)
{
    *out = x->api->shm;
    if (*out != NULL)
        return GAL_OK;
    gal_fail(err, GAL_UNSUPPORTED, "client shared memory is disabled");
    gal_err_hint(err, "start galley with --allow-client-shm, or send tensors in the body");
    return GAL_UNSUPPORTED;
}

static enum gal_status fetch(struct gal_exchange *x, struct gal_tensor *t,
                             const struct gal_oip_place *place, struct gal_err *err)
{
    uint64_t expected = t->count * gal_dtype_size(t->dtype);
    struct gal_shm_region *region;
    struct gal_shm *shm;
    enum gal_status st = find_shm(x, &shm, err);
    char *bytes;

    if (st == GAL_OK && t->dtype != GAL_DT_BYTES && place->bytes != expected)
        st =
            gal_fail(err, GAL_INVALID,
                     "input byte size mismatch for input '%.*s' for model '%s'. Expected %llu, got "
                     "%llu",
                     GAL_STR_ARG(t->name), x->model->name, (unsigned long long)expected,
                     (unsigned long long)place->bytes);
    if (st == GAL_OK)
        st = gal_shm_use(shm, place->region, place->offset, place->bytes, &region, err);
    if (st != GAL_OK)
        return st;
    bytes = gal_arena_alloc(&x->arena, (size_t)place->bytes);
    st = bytes != NULL ? gal_shm_read(region, place->offset, bytes, (size_t)place->bytes, err)
                       : gal_arena_fail(&x->arena, (size_t)place->bytes, "an input", err);
    gal_shm_region_unref(region);
    if (st != GAL_OK)
        return st;
    return gal_tensor_from_raw(t, (struct gal_str){bytes, (size_t)place->bytes}, &x->arena, err);
}

enum gal_status gal_oip_fetch(struct gal_exchange *x, struct gal_oip_request *req,
                              struct gal_err *err)
{
    for (size_t i = 0; i < req->input_count; i++) {
        enum gal_status st = GAL_OK;

        if (req->input_places[i].region.p != NULL)
            st = fetch(x, &req->inputs[i], &req->input_places[i], err);
        if (st != GAL_OK) {
            gal_err_place(err, "inputs[%zu]", i);
            return st;
        }
    }
    return GAL_OK;
}

static enum gal_status hold(struct gal_exchange *x, const struct gal_oip_place *place,
                            struct gal_shm_region **out, struct gal_err *err)
{
    struct gal_shm *shm;
    enum gal_status st = find_shm(x, &shm, err);

    return st != GAL_OK ? st
                        : gal_shm_use(shm, place->region, place->offset, place->bytes, out, err);
}

enum gal_status gal_oip_hold(struct gal_exchange *x, const struct gal_oip_request *req,
                             struct gal_err *err)
{
    bool placed = false;

    for (size_t i = 0; i < req->output_count; i++)
        placed |= req->outputs[i].place.region.p != NULL;
    if (!placed)
        return GAL_OK;
    x->regions = gal_arena_array(&x->arena, req->output_count, sizeof(struct gal_shm_region *));
    if (x->regions == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; i < req->output_count; i++) {
        enum gal_status st = GAL_OK;

        x->regions[i] = NULL;
        x->region_count = i + 1;
        if (req->outputs[i].place.region.p != NULL)
            st = hold(x, &req->outputs[i].place, &x->regions[i], err);
        if (st != GAL_OK) {
            gal_err_place(err, "outputs[%zu]", i);
            return st;
        }
    }
    return GAL_OK;
}

static enum gal_status store(struct gal_exchange *x, const struct gal_value *v,
                             struct gal_oip_place *place, const struct gal_shm_region *region,
                             struct gal_err *err)
{
    const struct gal_tensor *t = &v->tensor;
    const void *bytes = t->data;
    size_t size;
    char *laid;

    if (v->kind != GAL_KIND_TENSOR || gal_dtype_size(t->dtype) == 0)
        return gal_fail(err, GAL_UNSUPPORTED, "output '%.*s' is no tensor for shared memory",
                        GAL_STR_ARG(t->name));
    size = gal_tensor_raw_size(t);
    if (size > place->bytes)
        return gal_fail(err, GAL_INVALID,
                        "shared memory size specified with the request for output '%.*s' (%llu "
                        "bytes) should be at least %zu bytes to hold the results",
                        GAL_STR_ARG(t->name), (unsigned long long)place->bytes, size);
    if (t->dtype == GAL_DT_BYTES) {
        laid = gal_arena_alloc(&x->arena, size);
        if (laid == NULL)
            return gal_arena_fail(&x->arena, size, "an output", err);
        gal_tensor_to_raw(t, laid);
        bytes = laid;
    }
    place->bytes = size;
    return gal_shm_write(region, place->offset, bytes, size, err);
}

enum gal_status gal_oip_store(struct gal_exchange *x, struct gal_oip_request *req,
                              const struct gal_infer *inf, struct gal_err *err)
{
    for (size_t i = 0; i < x->region_count; i++) {
        enum gal_status st = GAL_OK;

        if (x->regions[i] != NULL)
            st = store(x, &inf->outputs[i], &req->outputs[i].place, x->regions[i], err);
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}
