/* SPDX-License-Identifier: Apache-2.0 */
#include "support/onnx_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BYTES_MAX (64u << 20)

/* ---- protobuf ---- */

static void put_varint(struct gal_buf *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        gal_buf_putc(b, (char)(v | 128));
    gal_buf_putc(b, (char)v);
}

static void put_number(struct gal_buf *b, unsigned field, int64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(struct gal_buf *b, unsigned field, struct gal_str s)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, s.n);
    gal_buf_put_str(b, s);
}

static void put_text(struct gal_buf *b, unsigned field, const char *text)
{
    put_bytes(b, field, gal_str_of(text));
}

/* Puts `inner` as a message and releases it. */
static void put_message(struct gal_buf *b, unsigned field, struct gal_buf *inner)
{
    GAL_ASSERT(!inner->failed);
    put_bytes(b, field, gal_buf_str(inner));
    gal_buf_release(inner);
}

static struct gal_buf empty(void)
{
    struct gal_buf b;
    gal_buf_init(&b, BYTES_MAX);
    return b;
}

/* ---- types ---- */

/* TensorShapeProto: dim 1 (dim_value 1, dim_param 2). */
static void put_shape(struct gal_buf *tensor, const char *shape)
{
    struct gal_buf b = empty();
    struct gal_str rest = gal_str_of(shape), part;
    while (rest.n > 0 && gal_str_cut(&rest, ',', &part)) {
        struct gal_buf dim = empty();
        int64_t size = 0;
        if (gal_str_i64(part, &size))
            put_bytes(&dim, 2, part);
        else if (size >= 0)
            put_number(&dim, 1, size);
        put_message(&b, 1, &dim);
    }
    put_message(tensor, 2, &b);
}

void onnx_type_tensor(struct gal_buf *type, int element, const char *shape)
{
    struct gal_buf tensor = empty();
    *type = empty();
    put_number(&tensor, 1, element);
    if (shape)
        put_shape(&tensor, shape);
    put_message(type, ONNX_TENSOR, &tensor);
}

void onnx_type_wrap(struct gal_buf *type, int kind)
{
    struct gal_buf outer = empty(), inner = empty();
    put_message(&inner, 1, type);
    put_message(&outer, (unsigned)kind, &inner);
    *type = outer;
}

void onnx_type_map(struct gal_buf *type, int key, int element)
{
    struct gal_buf value, map = empty();
    onnx_type_tensor(&value, element, NULL);
    put_number(&map, 1, key);
    put_message(&map, 2, &value);
    *type = empty();
    put_message(type, ONNX_MAP, &map);
}

/* ---- the graph ---- */

void onnx_model_begin(struct onnx_model *m)
{
    *m = (struct onnx_model){empty(), empty(), empty()};
}

void onnx_model_release(struct onnx_model *m)
{
    gal_buf_release(&m->graph);
    gal_buf_release(&m->rest);
    gal_buf_release(&m->attributes);
}

static void put_port(struct onnx_model *m, unsigned field, const char *name, struct gal_buf *type)
{
    struct gal_buf port = empty();
    put_text(&port, 1, name);
    put_message(&port, 2, type);
    put_message(&m->graph, field, &port);
}

void onnx_model_input(struct onnx_model *m, const char *name, struct gal_buf *type)
{
    put_port(m, 11, name, type);
}

void onnx_model_output(struct onnx_model *m, const char *name, struct gal_buf *type)
{
    put_port(m, 12, name, type);
}

void onnx_input(struct onnx_model *m, const char *name, int element, const char *shape)
{
    struct gal_buf type;
    onnx_type_tensor(&type, element, shape);
    onnx_model_input(m, name, &type);
}

void onnx_output(struct onnx_model *m, const char *name, int element, const char *shape)
{
    struct gal_buf type;
    onnx_type_tensor(&type, element, shape);
    onnx_model_output(m, name, &type);
}

/* AttributeProto: name 1, i 3, ints 8, strings 9, type 20 (INT 2, INTS 7, STRINGS 8). */
void onnx_attr_int(struct onnx_model *m, const char *name, int64_t value)
{
    struct gal_buf a = empty();
    put_text(&a, 1, name);
    put_number(&a, 3, value);
    put_number(&a, 20, 2);
    put_message(&m->attributes, 5, &a);
}

void onnx_attr_int_list(struct onnx_model *m, const char *name, const int64_t *values, size_t n)
{
    struct gal_buf a = empty();
    put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++)
        put_number(&a, 8, values[i]);
    put_number(&a, 20, 7);
    put_message(&m->attributes, 5, &a);
}

void onnx_attr_string_list(struct onnx_model *m, const char *name, const char *const *values,
                           size_t n)
{
    struct gal_buf a = empty();
    put_text(&a, 1, name);
    for (size_t i = 0; i < n; i++)
        put_text(&a, 9, values[i]);
    put_number(&a, 20, 8);
    put_message(&m->attributes, 5, &a);
}

static void put_names(struct gal_buf *b, unsigned field, const char *names)
{
    struct gal_str rest = gal_str_of(names), part;
    while (rest.n > 0 && gal_str_cut(&rest, ',', &part))
        put_bytes(b, field, part);
}

/* NodeProto: input 1, output 2, op_type 4, attribute 5, domain 7. */
void onnx_node(struct onnx_model *m, const char *domain, const char *op, const char *inputs,
               const char *outputs)
{
    struct gal_buf node = empty();
    put_names(&node, 1, inputs);
    put_names(&node, 2, outputs);
    put_text(&node, 4, op);
    gal_buf_put_str(&node, gal_buf_str(&m->attributes));
    if (domain[0])
        put_text(&node, 7, domain);
    gal_buf_clear(&m->attributes, BYTES_MAX);
    put_message(&m->graph, 1, &node);
}

/* TensorProto: dims 1, data_type 2, name 8, raw_data 9, external_data 13, data_location 14. */
void onnx_initializer(struct onnx_model *m, const char *name, int element, const char *shape,
                      const void *raw, size_t bytes, const char *location)
{
    struct gal_buf t = empty();
    struct gal_str rest = gal_str_of(shape), part;
    while (rest.n > 0 && gal_str_cut(&rest, ',', &part)) {
        int64_t size = 0;
        GAL_ASSERT(!gal_str_i64(part, &size));
        put_number(&t, 1, size);
    }
    put_number(&t, 2, element);
    put_text(&t, 8, name);
    if (location) {
        struct gal_buf entry = empty();
        put_text(&entry, 1, "location");
        put_text(&entry, 2, location);
        put_message(&t, 13, &entry);
        if (bytes > 0) {
            char length[24];
            snprintf(length, sizeof length, "%zu", bytes);
            entry = empty();
            put_text(&entry, 1, "length");
            put_text(&entry, 2, length);
            put_message(&t, 13, &entry);
        }
        put_number(&t, 14, 1);
    } else {
        put_bytes(&t, 9, (struct gal_str){raw, bytes});
    }
    put_message(&m->graph, 5, &t);
}

void onnx_meta(struct onnx_model *m, const char *key, const char *value)
{
    struct gal_buf entry = empty();
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(&m->rest, 14, &entry);
}

static void put_opset(struct gal_buf *b, const char *domain, int64_t version)
{
    struct gal_buf opset = empty();
    put_text(&opset, 1, domain);
    put_number(&opset, 2, version);
    put_message(b, 8, &opset);
}

void onnx_model_end(struct onnx_model *m, struct gal_buf *out)
{
    *out = empty();
    put_number(out, 1, 8);
    put_text(out, 2, "tests");
    put_text(out, 3, "1.0");
    put_text(out, 4, "org.example");
    put_number(out, 5, 7);
    put_text(out, 6, "A test's model");
    put_text(&m->graph, 2, "test_graph");
    put_message(out, 7, &m->graph);
    put_opset(out, "", 17);
    put_opset(out, "ai.onnx.ml", 3);
    gal_buf_put_str(out, gal_buf_str(&m->rest));
    GAL_ASSERT(!out->failed);
    onnx_model_release(m);
}

const char *onnx_model_write(struct onnx_model *m, const char *name)
{
    struct gal_buf file;
    onnx_model_end(m, &file);
    const char *path = test_file_write(name, gal_buf_str(&file));
    gal_buf_release(&file);
    return path;
}

const char *onnx_identity_model(int element, const char *shape, const char *name)
{
    struct onnx_model m;
    onnx_model_begin(&m);
    onnx_input(&m, "x", element, shape);
    onnx_output(&m, "y", element, shape);
    onnx_node(&m, "", "Identity", "x", "y");
    return onnx_model_write(&m, name);
}

/* ---- files ---- */

static char folder[64];

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    GAL_ASSERT(system(command) == 0);
}

const char *test_folder(void)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/tmp/galley-test-XXXXXX");
        GAL_ASSERT(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

const char *test_file_write(const char *name, struct gal_str bytes)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
    FILE *f = fopen(path, "wb");
    GAL_ASSERT(f);
    GAL_ASSERT(fwrite(bytes.p ? bytes.p : "", 1, bytes.n, f) == bytes.n);
    GAL_ASSERT(fclose(f) == 0);
    return path;
}
