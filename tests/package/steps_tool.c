/* SPDX-License-Identifier: Apache-2.0 */
/* usage: steps_tool STEPS.yaml CASES.json: runs a list of steps over the inputs of golden cases and
 * prints the cases with what came out. Inputs whose name begins with "image" are paths of files. */
#include "base/file.h"
#include "base/limits.h"
#include "package/golden.h"
#include "package/steps.h"

#include <stdio.h>
#include <stdlib.h>

static struct gal_arena arena;
static struct gal_err err;

static void check(enum gal_status st)
{
    if (st == GAL_OK)
        return;
    printf("{\"error\": \"%s\", \"place\": \"%s\", \"hint\": \"%s\"}\n", err.message, err.place,
           err.hint);
    exit(1);
}

static struct gal_str read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *p = gal_arena_alloc(&arena, 16 << 20);
    size_t n;

    GAL_ASSERT(f != NULL && p != NULL);
    n = fread(p, 1, 16 << 20, f);
    (void)fclose(f);
    return (struct gal_str){p, n};
}

static struct gal_value read_images(const struct gal_value *in)
{
    struct gal_value out = *in;
    const struct gal_str *paths = in->tensor.data;
    struct gal_str *files = gal_arena_array(&arena, in->tensor.count, sizeof(*files));

    for (size_t i = 0; i < in->tensor.count; i++)
        files[i] = read_file(gal_arena_strdup(&arena, paths[i]));
    out.tensor.data = files;
    return out;
}

static void run(const struct gal_yaml *list, struct gal_golden_case *k)
{
    struct gal_steps_context context = {.path = "galley.yaml"};
    struct gal_column in[64] = {0};
    struct gal_value values[64], *out;
    struct gal_steps *steps;
    size_t count;

    GAL_ASSERT(k->input_count <= 64);
    for (size_t i = 0; i < k->input_count; i++) {
        const struct gal_tensor *t = &k->inputs[i].tensor;

        in[i] = (struct gal_column){.name = t->name,
                                    .dtype = t->dtype,
                                    .rank = t->rank - 1,
                                    .shape = t->shape + 1,
                                    .encoded = gal_str_starts(t->name, GAL_STR("image"))};
        values[i] = in[i].encoded ? read_images(&k->inputs[i]) : k->inputs[i];
    }
    check(gal_steps_compile(list, in, k->input_count, &context, &arena, &steps, &err));
    (void)gal_steps_columns(steps, &count);
    out = gal_arena_array(&arena, count, sizeof(*out));
    check(gal_steps_run(steps, values, &arena, out, &err));
    k->inputs = NULL;
    k->input_count = 0;
    k->outputs = out;
    k->output_count = count;
}

int main(int argc, char **argv)
{
    struct gal_yaml *list;
    struct gal_golden *g;
    struct gal_buf out;

    if (argc != 3)
        return 2;
    gal_arena_init(&arena, 1 << 20, 0, 1ul << 30);
    gal_buf_init(&out, SIZE_MAX / 2);
    check(gal_yaml_parse(read_file(argv[1]), "galley.yaml", &arena, &list, &err));
    check(gal_golden_read(read_file(argv[2]), argv[2], 0, 0, &arena, &g, &err));
    for (size_t i = 0; i < g->case_count; i++) {
        struct gal_golden_case k = g->cases[i];
        struct gal_golden one = {&k, 1};

        run(list, &k);
        gal_buf_clear(&out, SIZE_MAX);
        check(gal_golden_write(&out, &one, &err));
        (void)fwrite(out.p, 1, out.n, stdout);
    }
    gal_buf_release(&out);
    gal_arena_release(&arena);
    return 0;
}
