/* SPDX-License-Identifier: Apache-2.0 */
/* KServe v1 and TensorFlow Serving's requests: a byte that chooses model and form, then the body.
 * Oracle: what was decoded fits the model's inputs and, encoded as its answer, is JSON; what is
 * refused has words. */
#include "api/tfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t rows[] = {-1}, column[] = {-1, 1}, cube[] = {-1, -1, 2}, whole[] = {2, 2};
static const struct gal_port ports[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 1, .shape = rows, .shape_known = true},
    {.name = {"t_bytes", 7},
     .dtype = GAL_DT_BYTES,
     .rank = 2,
     .shape = column,
     .shape_known = true},
    {.name = {"c", 1}, .dtype = GAL_DT_INT64, .rank = 3, .shape = cube, .shape_known = true},
    {.name = {"w", 1}, .dtype = GAL_DT_FP64, .rank = 2, .shape = whole, .shape_known = true},
    {.name = {"any", 3}, .dtype = GAL_DT_BOOL},
    {.name = {"o", 1},
     .dtype = GAL_DT_BF16,
     .rank = 2,
     .shape = column,
     .shape_known = true,
     .optional = true},
};
static const struct {
    size_t first, count;
} models[] = {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {0, 3}, {4, 2}, {0, 6}};
#define MODELS (sizeof(models) / sizeof(models[0]))

/* The inputs come back as the outputs. */
static void answer(struct gal_exchange *x, struct gal_infer *inf, enum gal_tfs_form form)
{
    const struct gal_model_info *info = x->model->info;
    size_t n = 0;
    yyjson_val *root;
    struct gal_buf out;
    struct gal_err err;

    for (size_t i = 0; i < info->input_count; i++) {
        const struct gal_tensor *t = &inf->inputs[i].tensor;

        inf->outputs[i] = inf->inputs[i];
        if (inf->inputs[i].kind == GAL_KIND_NONE)
            continue;
        GAL_ASSERT(t->dtype == info->inputs[i].dtype && t->data != NULL);
        GAL_ASSERT(!info->inputs[i].shape_known ||
                   gal_shape_fits(t->shape, t->rank, info->inputs[i].shape, info->inputs[i].rank));
        if (n == 0 && t->rank > 0)
            n = (size_t)t->shape[0];
    }
    gal_err_clear(&err);
    gal_buf_init(&out, 64 << 20);
    if (gal_tfs_encode(x->model, form, inf, n, &x->arena, &out, &err) == GAL_OK) {
        GAL_ASSERT(!out.failed);
        GAL_ASSERT(gal_json_read(gal_buf_str(&out), &x->arena, 64, &root, NULL) == GAL_OK);
    } else {
        GAL_ASSERT(err.message[0] != '\0');
    }
    gal_buf_release(&out);
}

static void run(struct gal_exchange *x, struct gal_str body, unsigned choice)
{
    enum gal_tfs_form form = choice == 0   ? GAL_TFS_ROWS
                             : choice == 1 ? GAL_TFS_CLASSIFY
                                           : GAL_TFS_REGRESS;
    struct gal_infer *inf = gal_infer_new(x);
    yyjson_val *root;
    struct gal_err err;
    enum gal_status st;

    gal_err_clear(&err);
    st = gal_json_read(body, &x->arena, GAL_JSON_DEPTH_MAX, &root, &err);
    if (inf == NULL || st != GAL_OK)
        return;
    st = gal_tfs_decode(root, choice != 0, x, inf, &form, &err);
    if (st == GAL_OK)
        answer(x, inf, form);
    else
        GAL_ASSERT(err.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "m", version[] = "1";
    static struct gal_exchange x;
    size_t k = size > 0 ? data[0] % MODELS : 0;
    struct gal_model_info info = {.inputs = ports + models[k].first,
                                  .input_count = models[k].count,
                                  .outputs = ports + models[k].first,
                                  .output_count = models[k].count};
    struct gal_model m = {.name = name, .version = version, .info = &info, .batch_dim = true};

    if (size == 0 || size > 65536)
        return 0;
    x.model = &m;
    gal_arena_init(&x.arena, 4096, 0, 64 << 20);
    run(&x, (struct gal_str){(const char *)data + 1, size - 1}, data[0] / MODELS % 3);
    gal_arena_release(&x.arena);
    return 0;
}
