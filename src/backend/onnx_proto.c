/* SPDX-License-Identifier: Apache-2.0 */
/* The first level of a model file. Field numbers: onnx.proto of the ONNX project. */
#include "backend/onnx_internal.h"

#include "backend/onnx.h"
#include "text/protobuf.h"

#include <inttypes.h>
#include <stdlib.h>

enum model_field {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_DOMAIN = 4,
    MODEL_VERSION = 5,
    MODEL_DESCRIPTION = 6,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_METADATA = 14,
};
enum { GRAPH_NAME = 2 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum { META_KEY = 1, META_VALUE = 2 };

static enum gal_status refuse(enum gal_pb_next what, struct gal_str file, struct gal_str rest,
                              struct gal_err *err)
{
    static const struct gal_str lfs = {"version https://git-lfs", 23};
    if (gal_str_starts(file, lfs)) {
        gal_fail(err, GAL_INVALID, "the file is a Git LFS pointer, not the model itself");
        gal_err_hint(err, "fetch the content: git lfs pull");
    } else if (what == GAL_PB_SHORT) {
        gal_fail(err, GAL_INVALID,
                 "the file ends early: %zu bytes are there, and the field at byte %zu needs more",
                 file.n, file.n - rest.n);
        gal_err_hint(err, "copy the model again; its download or export was cut");
    } else {
        gal_fail(err, GAL_INVALID, "the file is not an ONNX model (no protobuf at byte %zu)",
                 file.n - rest.n);
    }
    return GAL_INVALID;
}

/* text NULL afterwards: memory is out. */
static enum gal_pb_next read_opset(struct gal_str bytes, struct gal_arena *arena,
                                   struct gal_str *text)
{
    struct gal_pb_field f;
    struct gal_str domain = {NULL, 0};
    int64_t version = 0;
    enum gal_pb_next r;
    while ((r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number == OPSET_DOMAIN && f.wire == GAL_PB_BYTES)
            domain = f.bytes;
        else if (f.number == OPSET_VERSION && f.wire == GAL_PB_VARINT)
            version = (int64_t)f.value;
    }
    if (domain.n == 0)
        domain = GAL_STR("ai.onnx");
    if (r == GAL_PB_END && text->p)
        *text = gal_str_of(gal_arena_printf(arena, "%s%s%.*s %" PRId64, text->p,
                                            text->n ? ", " : "", GAL_STR_ARG(domain), version));
    return r;
}

static enum gal_pb_next read_meta(struct gal_str bytes, struct gal_meta *meta)
{
    struct gal_pb_field f;
    enum gal_pb_next r;
    while ((r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number == META_KEY && f.wire == GAL_PB_BYTES)
            meta->key = f.bytes;
        else if (f.number == META_VALUE && f.wire == GAL_PB_BYTES)
            meta->value = f.bytes;
    }
    return r;
}

/* The name stands behind the nodes and before the weights, which are not looked at. */
static enum gal_pb_next read_graph(struct gal_str bytes, struct gal_str *name)
{
    struct gal_pb_field f;
    enum gal_pb_next r;
    while ((r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number == GRAPH_NAME && f.wire == GAL_PB_BYTES) {
            *name = f.bytes;
            return GAL_PB_END;
        }
    }
    return r;
}

static enum gal_pb_next read_bytes_field(const struct gal_pb_field *f, struct gal_arena *arena,
                                         struct gal_onnx_head *out)
{
    switch (f->number) {
    case MODEL_PRODUCER:
        out->producer = f->bytes;
        break;
    case MODEL_PRODUCER_VERSION:
        out->producer_version = f->bytes;
        break;
    case MODEL_DOMAIN:
        out->domain = f->bytes;
        break;
    case MODEL_DESCRIPTION:
        out->description = f->bytes;
        break;
    case MODEL_GRAPH:
        return read_graph(f->bytes, &out->graph_name);
    case MODEL_OPSET_IMPORT:
        return read_opset(f->bytes, arena, &out->opsets);
    case MODEL_METADATA:
        return read_meta(f->bytes, &out->meta[out->meta_count++]);
    default:
        break;
    }
    return GAL_PB_END;
}

static enum gal_pb_next read_field(const struct gal_pb_field *f, struct gal_arena *arena,
                                   struct gal_onnx_head *out)
{
    if (f->wire == GAL_PB_BYTES)
        return read_bytes_field(f, arena, out);
    if (f->wire == GAL_PB_VARINT && f->number == MODEL_IR_VERSION)
        out->ir_version = (int64_t)f->value;
    else if (f->wire == GAL_PB_VARINT && f->number == MODEL_VERSION)
        out->model_version = (int64_t)f->value;
    return GAL_PB_END;
}

/* First walk: is every field whole, is it a model, how much metadata is there. */
static enum gal_status check_fields(struct gal_str file, size_t *meta_count, struct gal_err *err)
{
    struct gal_str rest = file;
    struct gal_pb_field f;
    bool has_graph = false, has_ir = false;
    enum gal_pb_next r;
    if (file.n == 0)
        return gal_fail(err, GAL_INVALID, "the file is empty");
    while ((r = gal_pb_next(&rest, &f)) == GAL_PB_FIELD) {
        has_graph |= f.number == MODEL_GRAPH && f.wire == GAL_PB_BYTES;
        has_ir |= f.number == MODEL_IR_VERSION && f.wire == GAL_PB_VARINT;
        *meta_count += f.number == MODEL_METADATA && f.wire == GAL_PB_BYTES;
    }
    if (r != GAL_PB_END)
        return refuse(r, file, rest, err);
    if (!has_graph || !has_ir)
        return gal_fail(err, GAL_INVALID,
                        "the file is not an ONNX model, or it ends early: it has no %s",
                        has_graph ? "IR version" : "graph");
    return GAL_OK;
}

static int compare_meta(const void *a, const void *b)
{
    struct gal_str x = ((const struct gal_meta *)a)->key, y = ((const struct gal_meta *)b)->key;
    size_t n = x.n < y.n ? x.n : y.n;
    int c = n ? memcmp(x.p, y.p, n) : 0;
    return c ? c : (x.n > y.n) - (x.n < y.n);
}

enum gal_status gal_onnx_head_read(struct gal_str file, struct gal_arena *arena,
                                   struct gal_onnx_head *out, struct gal_err *err)
{
    *out = (struct gal_onnx_head){.opsets = GAL_STR("")};
    size_t meta_count = 0;
    enum gal_status status = check_fields(file, &meta_count, err);
    if (status)
        return status;
    out->meta = gal_arena_array(arena, meta_count, sizeof *out->meta);
    if (!out->meta)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu metadata entries", meta_count);
    memset(out->meta, 0, meta_count * sizeof *out->meta);
    struct gal_str rest = file;
    struct gal_pb_field f;
    while (gal_pb_next(&rest, &f) == GAL_PB_FIELD) {
        if (read_field(&f, arena, out) != GAL_PB_END) {
            /* Whole outside, broken inside: damaged, not cut. */
            struct gal_str from = {f.bytes.p, (size_t)(file.p + file.n - f.bytes.p)};
            return refuse(GAL_PB_BAD, file, from, err);
        }
    }
    qsort(out->meta, out->meta_count, sizeof *out->meta, compare_meta);
    if (!out->opsets.p)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the model's opsets");
    return GAL_OK;
}

enum gal_status gal_onnx_opsets(struct gal_str file, struct gal_arena *arena, int64_t *ir_version,
                                struct gal_str *out, struct gal_err *err)
{
    struct gal_onnx_head head;
    enum gal_status status = gal_onnx_head_read(file, arena, &head, err);
    if (status)
        return status;
    *ir_version = head.ir_version;
    *out = head.opsets;
    return GAL_OK;
}
