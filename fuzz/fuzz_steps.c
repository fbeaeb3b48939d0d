/* SPDX-License-Identifier: Apache-2.0 */
/* A list of steps, then "\n...\n" and bytes for the columns: an error with a message, or columns of
 * the shapes that were told. */
#include "package/steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
static const struct gal_column columns[] = {{.name = {"x", 1}, .dtype = GAL_DT_FP64},
                                            {.name = {"c", 1}, .dtype = GAL_DT_BYTES}};
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gal_steps_context context = {.path = "f"};
    const uint8_t *cut = memmem(data, size, "\n...\n", 5);
    struct gal_str text = {(const char *)data, cut != NULL ? (size_t)(cut - data) : size};
    struct gal_str rest = {(const char *)data + text.n, size - text.n}, words[2];
    double numbers[2] = {0};
    const int64_t shape[] = {2};
    struct gal_value in[2] = {{.tensor = {{0}, GAL_DT_FP64, 1, shape, 2, numbers}},
                              {.tensor = {{0}, GAL_DT_BYTES, 1, shape, 2, words}}};
    struct gal_value *out;
    struct gal_arena arena;
    struct gal_steps *s;
    struct gal_yaml *list;
    struct gal_err err;
    size_t n;
    memcpy(numbers, rest.p, rest.n < sizeof(numbers) ? rest.n : sizeof(numbers));
    words[0] = (struct gal_str){rest.p, rest.n / 2};
    words[1] = (struct gal_str){rest.p + rest.n / 2, rest.n - rest.n / 2};
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_err_clear(&err);
    if (gal_yaml_parse(text, "f", &arena, &list, &err) == GAL_OK &&
        gal_steps_compile(list, columns, 2, &context, &arena, &s, &err) == GAL_OK) {
        out = gal_arena_array(&arena, (gal_steps_columns(s, &n), n), sizeof(*out));
        if (out != NULL && gal_steps_run(s, in, &arena, out, &err) == GAL_OK)
            for (size_t i = 0; i < n; i++)
                GAL_ASSERT(out[i].tensor.shape[0] == 2);
    }
    GAL_ASSERT(err.code == GAL_OK || err.message[0] != '\0');
    gal_arena_release(&arena);
    return 0;
}
