/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's and SageMaker's JSON: a byte that chooses the habits, then the body. Oracle: rows are an
 * array of as many values as they say, whole tensors a container, and what is refused has words. */
#include "api/mlflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gal_mlflow *in)
{
    if (in->inputs != NULL) {
        GAL_ASSERT(yyjson_is_ctn(in->inputs));
        return;
    }
    GAL_ASSERT(in->rows.rows > 0 && yyjson_arr_size(in->rows.data) == in->rows.rows);
    GAL_ASSERT((in->rows.columns == NULL) == (in->rows.column_count == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_str body = {(const char *)data + 1, size > 0 ? size - 1 : 0};
    struct gal_arena arena;
    struct gal_mlflow in;
    yyjson_val *root;
    struct gal_err err;
    enum gal_status st = GAL_OK;

    if (size == 0 || size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64 << 20);
    gal_err_clear(&err);
    if ((data[0] & 2) != 0)
        st = gal_mlflow_json_lines(body, &arena, &body, &err);
    if (st == GAL_OK)
        st = gal_json_read(body, &arena, GAL_JSON_DEPTH_MAX, &root, &err);
    if (st == GAL_OK)
        st = gal_mlflow_envelope(root, (data[0] & 1) != 0, &arena, &in, &err);
    if (st == GAL_OK)
        check(&in);
    else
        GAL_ASSERT(err.message[0] != '\0');
    gal_arena_release(&arena);
    return 0;
}
