/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of inputs (`galley record`, `verify`, `consistency`): cases that fit the
 * model and its features, or an error that names the file. */
#include "cli/cases.h"
#include "package/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char manifest_text[] =
    "galley: 1\nname: f\nversion: 1.0.0\nmodel: m\nfeatures:\n"
    "- {name: x, type: float, ge: 0, nullable: true}\n- {name: n, type: int, default: 7}\n"
    "- {name: t, type: text, max_length: 3}\n";
static const int64_t column[] = {-1, 1};
static const struct gal_port ports[] = {
    {.name = {"x", 1}, .dtype = GAL_DT_FP32, .rank = 2, .shape = column, .shape_known = true},
    {.name = {"n", 1},
     .dtype = GAL_DT_INT64,
     .rank = 2,
     .shape = column,
     .shape_known = true,
     .optional = true},
    {.name = {"t", 1}, .dtype = GAL_DT_BYTES, .rank = 2, .shape = column, .shape_known = true},
};

static void check(const struct gal_golden *g, bool are_requests)
{
    GAL_ASSERT(!are_requests || g->case_count > 0);
    for (size_t i = 0; are_requests && i < g->case_count; i++) {
        const struct gal_golden_case *c = &g->cases[i];
        GAL_ASSERT(c->input_count <= 3 && c->output_count == 0 && c->name.n > 0);
        for (size_t k = 0; k < c->input_count; k++) {
            const struct gal_tensor *t = &c->inputs[k].tensor;
            size_t port = gal_port_find(ports, 3, t->name);
            GAL_ASSERT(port != SIZE_MAX && t->dtype == ports[port].dtype);
            GAL_ASSERT(gal_shape_fits(t->shape, t->rank, column, 2) && (t->data || !t->count));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "m", version[] = "1";
    const struct gal_model_info info = {.inputs = ports, .input_count = 3};
    struct gal_model m = {.name = name, .version = version, .info = &info, .batch_dim = true};
    struct gal_manifest *manifest;
    struct gal_arena arena;
    struct gal_golden *g;
    struct gal_err err;
    if (size > 65536)
        return 0;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    GAL_ASSERT(gal_manifest_read(gal_str_of(manifest_text), "f", &arena, &manifest, NULL) ==
               GAL_OK);
    m.manifest = manifest;
    gal_err_clear(&err);
    if (gal_cases_read((struct gal_str){(const char *)data, size}, "rows", &m, 0, 0, &arena, &g,
                       &err))
        GAL_ASSERT(err.message[0] && strncmp(err.place, "rows", 4) == 0 && g == NULL);
    else
        check(g, g->case_count > 0 && g->cases[0].output_count == 0);
    gal_arena_release(&arena);
    return 0;
}
