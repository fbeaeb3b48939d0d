/* SPDX-License-Identifier: Apache-2.0 */
/* The portable form of an answer (cache/entry.h), little-endian, unpadded:
 *
 *   "galley\0\1"; u64 time of expiry; name: four times u64 length and bytes (model, version,
 *   sha256, key); u32 outputs; for each u32 datatype, u32 rank, i64 a dimension, u64 length and
 *   the binary tensor layout (tensor/tensor.h).
 *
 * Another layout gets another number in the first eight bytes. */
#include "base/limits.h"
#include "cache/entry.h"

static const char magic[8] = {'g', 'a', 'l', 'l', 'e', 'y', 0, 1};

static void put_str(struct gal_buf *out, struct gal_str s)
{
    uint64_t n = s.n;
    gal_buf_put(out, &n, sizeof(n));
    gal_buf_put_str(out, s);
}

static void put_name(struct gal_buf *out, const struct gal_cache_name *name)
{
    put_str(out, name->model);
    put_str(out, name->version);
    put_str(out, name->sha256);
    put_str(out, name->key);
}

struct gal_hash128 gal_cache_name_hash(const struct gal_cache_name *name, struct gal_buf *scratch)
{
    size_t start = scratch->n;
    put_name(scratch, name);
    if (scratch->failed)
        return (struct gal_hash128){0, 0};
    struct gal_hash128 h = gal_hash128((struct gal_str){scratch->p + start, scratch->n - start}, 0);
    scratch->n = start;
    return h;
}

static void put_tensor(struct gal_buf *out, const struct gal_tensor *t)
{
    uint32_t head[2] = {t->dtype, (uint32_t)t->rank};
    uint64_t n = gal_tensor_raw_size(t);
    char *to;

    gal_buf_put(out, head, sizeof(head));
    gal_buf_put(out, t->shape, t->rank * sizeof(*t->shape));
    gal_buf_put(out, &n, sizeof(n));
    to = gal_buf_reserve(out, n > 0 ? n : 1);
    if (to == NULL)
        return;
    gal_tensor_to_raw(t, to);
    out->n += n;
}

void gal_cache_entry_pack(const struct gal_cache_entry *e, const struct gal_cache_name *name,
                          uint64_t expires_wall_us, struct gal_buf *out)
{
    uint32_t count = (uint32_t)e->output_count;

    gal_buf_put(out, magic, sizeof(magic));
    gal_buf_put(out, &expires_wall_us, sizeof(expires_wall_us));
    put_name(out, name);
    gal_buf_put(out, &count, sizeof(count));
    for (size_t i = 0; i < e->output_count; i++)
        put_tensor(out, &e->outputs[i].tensor);
}

/* --- reading --- */

static bool get(struct gal_str *rest, void *to, size_t n)
{
    if (rest->n < n)
        return false;
    if (n > 0)
        memcpy(to, rest->p, n);
    rest->p += n;
    rest->n -= n;
    return true;
}

static bool get_str(struct gal_str *rest, struct gal_str *out)
{
    uint64_t n;
    if (!get(rest, &n, sizeof(n)) || n > rest->n)
        return false;
    *out = (struct gal_str){rest->p, (size_t)n};
    rest->p += n;
    rest->n -= n;
    return true;
}

static enum gal_status broken(struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID, "the stored answer is not what galley writes");
}

static enum gal_status get_name(struct gal_str *rest, const struct gal_cache_name *name,
                                struct gal_err *err)
{
    struct gal_cache_name n;

    if (!get_str(rest, &n.model) || !get_str(rest, &n.version) || !get_str(rest, &n.sha256) ||
        !get_str(rest, &n.key))
        return broken(err);
    if (!gal_str_eq(n.model, name->model) || !gal_str_eq(n.version, name->version) ||
        !gal_str_eq(n.sha256, name->sha256) || !gal_str_eq(n.key, name->key))
        return gal_fail(err, GAL_NOT_FOUND, "the stored answer is to another request");
    return GAL_OK;
}

static enum gal_status get_tensor(struct gal_str *rest, const struct gal_port *port,
                                  struct gal_arena *arena, struct gal_tensor *t,
                                  struct gal_err *err)
{
    uint32_t head[2];
    struct gal_str raw;
    int64_t *shape;
    enum gal_status st;

    if (!get(rest, head, sizeof(head)) || head[0] != (uint32_t)port->dtype ||
        head[1] > GAL_RANK_MAX)
        return broken(err);
    shape = gal_arena_small(arena, (head[1] + 1) * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a stored answer");
    *t = (struct gal_tensor){port->name, port->dtype, head[1], shape, 0, NULL};
    if (!get(rest, shape, t->rank * sizeof(*shape)) || !get_str(rest, &raw) ||
        (port->shape_known && !gal_shape_fits(shape, t->rank, port->shape, port->rank)))
        return broken(err);
    st = gal_shape_count(shape, t->rank, t->dtype, &t->count, err);
    return st == GAL_OK ? gal_tensor_from_raw(t, raw, arena, err) : st;
}

enum gal_status gal_cache_entry_unpack(struct gal_str packed, const struct gal_cache_name *name,
                                       const struct gal_port *ports, const size_t *wanted,
                                       size_t count, struct gal_arena *arena,
                                       struct gal_value *outputs, uint64_t *expires_wall_us,
                                       struct gal_err *err)
{
    char start[sizeof(magic)];
    uint32_t stored = 0;
    enum gal_status st;

    if (!get(&packed, start, sizeof(start)) || memcmp(start, magic, sizeof(magic)) != 0 ||
        !get(&packed, expires_wall_us, sizeof(*expires_wall_us)))
        return broken(err);
    st = get_name(&packed, name, err);
    if (st != GAL_OK)
        return st;
    if (!get(&packed, &stored, sizeof(stored)) || stored != count)
        return broken(err);
    for (size_t i = 0; i < count; i++) {
        const struct gal_port *port = &ports[wanted[i]];

        if (port->kind != GAL_KIND_TENSOR || gal_dtype_size(port->dtype) == 0)
            return broken(err);
        outputs[i] = (struct gal_value){.kind = GAL_KIND_TENSOR};
        st = get_tensor(&packed, port, arena, &outputs[i].tensor, err);
        if (st != GAL_OK)
            return st;
    }
    return packed.n == 0 ? GAL_OK : broken(err);
}
