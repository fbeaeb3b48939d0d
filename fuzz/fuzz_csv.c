/* SPDX-License-Identifier: Apache-2.0 */
/* CSV: a byte that chooses the model and the header, then the text, read into its rows and on into
 * tensors. Oracle: what is read has a value a column in every row, and what is refused has words.
 */
#include "api/mlflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t column[] = {-1, 1}, vector[] = {-1, 3};
static const struct gal_port ports[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"t", 1}, .dtype = GAL_DT_BYTES, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"b", 1}, .dtype = GAL_DT_BOOL, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"v", 1}, .dtype = GAL_DT_INT64, .rank = 2, .shape = vector, .shape_known = true},
};

static void run(const struct gal_model *m, bool header, struct gal_str text,
                struct gal_arena *arena)
{
    struct gal_value values[3];
    struct gal_mlflow in;
    struct gal_err err;

    gal_err_clear(&err);
    if (gal_mlflow_csv(text, header, m, arena, &in, &err) != GAL_OK) {
        GAL_ASSERT(err.message[0] != '\0');
        return;
    }
    GAL_ASSERT(yyjson_arr_size(in.rows.data) == in.rows.rows);
    if (gal_native_decode(m, &in.rows, arena, values, &err) != GAL_OK)
        return;
    for (size_t i = 0; i < m->info->input_count; i++)
        GAL_ASSERT((size_t)values[i].tensor.shape[0] == in.rows.rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "m";
    bool one = size > 0 && (data[0] & 1) != 0;
    struct gal_model_info info = {.inputs = one ? ports + 3 : ports, .input_count = one ? 1 : 3};
    struct gal_model m = {.name = name, .info = &info, .batch_dim = true};
    struct gal_arena arena;

    if (size == 0 || size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    run(&m, (data[0] & 2) != 0, (struct gal_str){(const char *)data + 1, size - 1}, &arena);
    gal_arena_release(&arena);
    return 0;
}
