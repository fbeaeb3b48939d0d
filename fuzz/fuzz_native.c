/* SPDX-License-Identifier: Apache-2.0 */
/* Native requests: a byte that chooses the model, then the body. Oracle: what was decoded, encoded
 * as a model's answer, is JSON with a prediction a row; what is refused is told as JSON. */
#include "api/native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t column[] = {-1, 1}, vector[] = {-1, 3}, cube[] = {-1, -1, 2}, whole[] = {2, 2};
static const char *const names[] = {"a", "b", "c"};
static const struct gal_port ports[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"t", 1}, .dtype = GAL_DT_BYTES, .rank = 1, .shape = column, .shape_known = true},
    {.name = {"v", 1}, .dtype = GAL_DT_INT64, .rank = 2, .shape = vector, .shape_known = true},
    {.name = {"c", 1}, .dtype = GAL_DT_BF16, .rank = 3, .shape = cube, .shape_known = true},
    {.name = {"w", 1}, .dtype = GAL_DT_BOOL, .rank = 2, .shape = whole, .shape_known = true},
    {.name = {"o", 1},
     .dtype = GAL_DT_UINT8,
     .rank = 2,
     .shape = column,
     .shape_known = true,
     .optional = true},
};
static const struct {
    size_t first, count, names;
} models[] = {{0, 4, 0}, {2, 1, 3}, {2, 1, 0}, {3, 1, 0},
              {4, 1, 0}, {1, 1, 0}, {5, 1, 0}, {4, 2, 0}};

static void check_json(struct gal_buf *out, struct gal_arena *arena, const char *key, size_t count)
{
    yyjson_val *root;

    GAL_ASSERT(!out->failed);
    GAL_ASSERT(gal_json_read(gal_buf_str(out), arena, 64, &root, NULL) == GAL_OK);
    GAL_ASSERT(yyjson_arr_size(yyjson_obj_get(root, key)) == count);
}

static void run(const struct gal_model *m, struct gal_str body, struct gal_arena *arena,
                struct gal_buf *out)
{
    struct gal_native_answer a = {
        .request_id = "id", .model = m, .output_count = m->info->input_count};
    struct gal_value values[4];
    struct gal_native n;
    yyjson_val *root;
    struct gal_err err;
    enum gal_status st = gal_json_read(body, arena, GAL_JSON_DEPTH_MAX, &root, &err);

    if (st != GAL_OK)
        return;
    st = gal_native_envelope(root, false, arena, &n);
    if (st == GAL_OK)
        st = gal_native_decode(m, &n, arena, values, &err);
    GAL_ASSERT((st == GAL_INVALID) == (n.errors.count > 0));
    a.outputs = values;
    a.rows = n.rows;
    a.single = n.form != GAL_NATIVE_INSTANCES;
    if (st == GAL_INVALID) {
        gal_native_put_errors(&n.errors, "id", out);
        check_json(out, arena, "detail", n.errors.count);
    } else if (st == GAL_OK && gal_native_encode(&a, out, &err) == GAL_OK) {
        bool any = false;

        for (size_t i = 0; i < a.output_count; i++)
            any = any || values[i].kind != GAL_KIND_NONE;
        check_json(out, arena, "predictions", any ? n.rows : 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "m", version[] = "1";
    size_t k = size > 0 ? data[0] % (sizeof(models) / sizeof(*models)) : 0;
    struct gal_model_info info = {.inputs = ports + models[k].first,
                                  .input_count = models[k].count,
                                  .outputs = ports + models[k].first,
                                  .output_count = models[k].count};
    struct gal_model m = {.name = name, .version = version, .info = &info};
    struct gal_arena arena;
    struct gal_buf out;

    if (size == 0 || size > 65536)
        return 0;
    m.batch_dim = models[k].first != 4;
    m.feature_names = models[k].names > 0 ? names : NULL;
    m.feature_count = models[k].names;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    gal_buf_init(&out, 64 << 20);
    run(&m, (struct gal_str){(const char *)data + 1, size - 1}, &arena, &out);
    gal_buf_release(&out);
    gal_arena_release(&arena);
    return 0;
}
