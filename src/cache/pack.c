/* SPDX-License-Identifier: Apache-2.0 */
/* The portable form of an answer (cache/entry.h), little-endian, unpadded:
 *
 *   "galley\0\1"; u64 time of expiry; name: four times u64 length and bytes (model, version,
 *   sha256, key); u32 outputs, and each as a value: u32 kind (gal_kind), and for a tensor u32
 *   datatype, u32 rank, i64 a dimension, u64 length and the binary tensor layout
 *   (tensor/tensor.h); for a sequence or a map u64 items and those as values.
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

static void put_value(struct gal_buf *out, const struct gal_value *v)
{
    uint32_t kind = v->kind;
    uint64_t n = v->count;

    gal_buf_put(out, &kind, sizeof(kind));
    if (v->kind == GAL_KIND_TENSOR)
        put_tensor(out, &v->tensor);
    if (v->kind == GAL_KIND_TENSOR || v->kind == GAL_KIND_NONE)
        return;
    gal_buf_put(out, &n, sizeof(n));
    for (size_t i = 0; i < v->count; i++)
        put_value(out, &v->items[i]);
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
        put_value(out, &e->outputs[i]);
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

/* What may stand at one place: an output's port, or what it is made of. */
struct form {
    enum gal_kind kind;
    enum gal_dtype dtype;        /* TENSOR, and the values of a MAP */
    enum gal_dtype key_dtype;    /* MAP */
    const struct gal_port *port; /* whose shape it has; NULL: any */
    bool is_flat;                /* TENSOR of rank 1 */
};

static struct form form_of(const struct gal_port *port)
{
    return (struct form){port->kind, port->dtype, port->key_dtype, port, false};
}

/* What items of this are; index as in gal_value.items. */
static struct form form_within(const struct form *f, size_t index)
{
    if (f->kind == GAL_KIND_MAP)
        return (struct form){GAL_KIND_TENSOR, index == 0 ? f->key_dtype : f->dtype, GAL_DT_NONE,
                             NULL, true};
    return (struct form){f->port->of_maps ? GAL_KIND_MAP : GAL_KIND_TENSOR, f->dtype, f->key_dtype,
                         NULL, false};
}

static bool shape_fits(const struct form *f, const struct gal_tensor *t)
{
    if (f->is_flat && t->rank != 1)
        return false;
    return f->port == NULL || !f->port->shape_known ||
           gal_shape_fits(t->shape, t->rank, f->port->shape, f->port->rank);
}

static enum gal_status get_tensor(struct gal_str *rest, const struct form *f,
                                  struct gal_arena *arena, struct gal_tensor *t,
                                  struct gal_err *err)
{
    uint32_t head[2];
    struct gal_str raw;
    int64_t *shape;
    enum gal_status st;

    if (!get(rest, head, sizeof(head)) || head[0] != (uint32_t)f->dtype ||
        gal_dtype_size(f->dtype) == 0 || head[1] > GAL_RANK_MAX)
        return broken(err);
    shape = gal_arena_small(arena, (head[1] + 1) * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a stored answer");
    t->dtype = f->dtype;
    t->rank = head[1];
    t->shape = shape;
    if (!get(rest, shape, t->rank * sizeof(*shape)) || !get_str(rest, &raw) || !shape_fits(f, t))
        return broken(err);
    st = gal_shape_count(shape, t->rank, t->dtype, &t->count, err);
    return st == GAL_OK ? gal_tensor_from_raw(t, raw, arena, err) : st;
}

static enum gal_status get_value(struct gal_str *rest, const struct form *f,
                                 struct gal_arena *arena, struct gal_value *v, struct gal_err *err);

static enum gal_status get_items(struct gal_str *rest, const struct form *f,
                                 struct gal_arena *arena, struct gal_value *v, struct gal_err *err)
{
    uint64_t n;
    enum gal_status st = GAL_OK;

    /* An item takes its kind at least: what was not sent is not made room for. */
    if (!get(rest, &n, sizeof(n)) || n > rest->n / sizeof(uint32_t) ||
        (f->kind == GAL_KIND_MAP && n != 2))
        return broken(err);
    v->count = (size_t)n;
    v->items = gal_arena_array(arena, v->count, sizeof(*v->items));
    if (v->items == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a stored answer");
    for (size_t i = 0; i < v->count && st == GAL_OK; i++) {
        const struct form within = form_within(f, i);
        v->items[i] = (struct gal_value){.kind = GAL_KIND_NONE};
        st = get_value(rest, &within, arena, &v->items[i], err);
        if (st == GAL_OK && f->kind == GAL_KIND_MAP && v->items[i].kind != GAL_KIND_TENSOR)
            return broken(err);
    }
    if (st == GAL_OK && f->kind == GAL_KIND_MAP &&
        v->items[0].tensor.count != v->items[1].tensor.count)
        return broken(err);
    return st;
}

/* NONE may stand for anything but a map's parts. */
static enum gal_status get_value(struct gal_str *rest, const struct form *f,
                                 struct gal_arena *arena, struct gal_value *v, struct gal_err *err)
{
    uint32_t kind;

    if (!get(rest, &kind, sizeof(kind)) ||
        (kind != (uint32_t)f->kind && kind != (uint32_t)GAL_KIND_NONE))
        return broken(err);
    v->kind = (enum gal_kind)kind;
    if (v->kind == GAL_KIND_NONE)
        return GAL_OK;
    return v->kind == GAL_KIND_TENSOR ? get_tensor(rest, f, arena, &v->tensor, err)
                                      : get_items(rest, f, arena, v, err);
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
        const struct form f = form_of(&ports[wanted[i]]);

        outputs[i] = (struct gal_value){.tensor.name = ports[wanted[i]].name};
        st = get_value(&packed, &f, arena, &outputs[i], err);
        if (st != GAL_OK)
            return st;
    }
    return packed.n == 0 ? GAL_OK : broken(err);
}
