/* SPDX-License-Identifier: Apache-2.0 */
/* The shared memory extensions: /v2/systemsharedmemory/... and, refused, /v2/cudasharedmemory/...
 */
#include "api/body.h"
#include "api/route.h"
#include "api/shm.h"

static struct gal_shm *find_shm(struct gal_exchange *x)
{
    struct gal_err err;

    if (x->api->shm != NULL)
        return x->api->shm;
    gal_fail(&err, GAL_UNSUPPORTED, "Client shared memory is disabled");
    gal_err_hint(&err, "start galley with --allow-client-shm on");
    gal_exchange_fail(x, &err);
    return NULL;
}

static void put_row(struct gal_buf *out, const struct gal_shm_status *row)
{
    gal_buf_puts(out, "{\"name\":");
    gal_json_put_str(out, row->name);
    gal_buf_puts(out, ",\"key\":");
    gal_json_put_str(out, row->key);
    gal_buf_puts(out, ",\"offset\":");
    gal_buf_put_u64(out, row->offset);
    gal_buf_puts(out, ",\"byte_size\":");
    gal_buf_put_u64(out, row->byte_size);
    gal_buf_putc(out, '}');
}

void gal_handle_shm_status(struct gal_exchange *x)
{
    struct gal_shm *shm = find_shm(x);
    struct gal_shm_status *rows;
    struct gal_err err;
    size_t count;

    if (shm == NULL)
        return;
    if (gal_shm_status(shm, x->params[0], &x->arena, &rows, &count, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    gal_buf_putc(&x->out, '[');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(&x->out, i > 0 ? "," : "");
        put_row(&x->out, &rows[i]);
    }
    gal_buf_putc(&x->out, ']');
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

static enum gal_status read_register(struct gal_exchange *x, struct gal_str *shm_key,
                                     uint64_t *offset, uint64_t *byte_size, struct gal_err *err)
{
    yyjson_val *root, *key, *v;
    bool has_key = false, has_size = false;
    size_t i, n;
    enum gal_status st = gal_body_object(x, &root, err);

    *offset = 0;
    if (st != GAL_OK)
        return st;
    yyjson_obj_foreach(root, i, n, key, v)
    {
        struct gal_str name = gal_body_text(key);
        bool is_size = gal_str_is(name, "byte_size");

        if (gal_str_is(name, "key")) {
            if (!yyjson_is_str(v))
                return gal_body_fail_type(v, "a string", name, err);
            *shm_key = gal_body_text(v);
            has_key = true;
        } else if (is_size || gal_str_is(name, "offset")) {
            if (!yyjson_is_uint(v))
                return gal_body_fail_type(v, "an integer of 0 or more", name, err);
            *(is_size ? byte_size : offset) = yyjson_get_uint(v);
            has_size |= is_size;
        } else {
            gal_fail(err, GAL_INVALID, "unknown key '%.*s'", (int)(name.n < 64 ? name.n : 64),
                     name.p);
            gal_err_hint(err, "a region has key, offset and byte_size");
            return GAL_INVALID;
        }
    }
    if (!has_key || !has_size)
        return gal_body_fail_type(NULL, has_key ? "an integer of 0 or more" : "a string",
                                  has_key ? GAL_STR("byte_size") : GAL_STR("key"), err);
    return GAL_OK;
}

void gal_handle_shm_register(struct gal_exchange *x)
{
    struct gal_shm *shm = find_shm(x);
    struct gal_str key = {NULL, 0};
    uint64_t offset, byte_size = 0;
    struct gal_err err;

    if (shm == NULL)
        return;
    if (read_register(x, &key, &offset, &byte_size, &err) != GAL_OK ||
        gal_shm_register(shm, x->params[0], key, offset, byte_size, &err) != GAL_OK)
        gal_exchange_fail(x, &err);
    else
        gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_shm_unregister(struct gal_exchange *x)
{
    struct gal_shm *shm = find_shm(x);

    if (shm == NULL)
        return;
    gal_shm_unregister(shm, x->params[0]);
    gal_exchange_finish(x, 200, GAL_TYPE_JSON);
}

void gal_handle_cuda_shm(struct gal_exchange *x)
{
    struct gal_err err;

    gal_fail(&err, GAL_UNSUPPORTED,
             "CUDA shared memory is not supported: this galley runs models on processors");
    gal_err_hint(&err, "system shared memory is there: /v2/systemsharedmemory");
    gal_exchange_fail(x, &err);
}
