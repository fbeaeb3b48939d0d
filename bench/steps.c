/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of the fraud example cost: a float, a category of 5, two whole numbers; scale,
 * one_hot, assemble. usage: steps [ROWS [ROUNDS]]; prints the least of the rounds, in nanoseconds
 * of processor time a row. */
#include "package/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CALLS 1000 /* a round */

static const char text[] =
    "- scale: {features: [amount, age, hour], mean: [88.3, 400, 12.1], std: [120.4, 300, 6.2]}\n"
    "- one_hot: {feature: category, values: [electronics, grocery, restaurant, travel, other]}\n"
    "- assemble: {from: [amount, category, age, hour], to: features}\n";

static const char *const categories[] = {"electronics", "grocery", "restaurant", "travel", "other"};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may be busy here */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void fill(struct gal_value *in, size_t rows, struct gal_arena *arena)
{
    static const enum gal_dtype types[] = {GAL_DT_FP32, GAL_DT_BYTES, GAL_DT_INT64, GAL_DT_INT64};

    for (size_t i = 0; i < 4; i++) {
        int64_t *shape = gal_arena_small(arena, 2 * sizeof(*shape));
        void *data = gal_arena_array(arena, rows, gal_dtype_size(types[i]));

        shape[0] = (int64_t)rows;
        shape[1] = 1;
        for (size_t j = 0; j < rows; j++) {
            if (i == 0)
                ((float *)data)[j] = (float)j * 3.7f;
            else if (i == 1)
                ((struct gal_str *)data)[j] = gal_str_of(categories[j * 7 % 5]);
            else
                ((int64_t *)data)[j] = (int64_t)(j * 31 % 24);
        }
        in[i] = (struct gal_value){
            .kind = GAL_KIND_TENSOR,
            .tensor = {.dtype = types[i], .rank = 2, .shape = shape, .count = rows, .data = data}};
    }
}

int main(int argc, char **argv)
{
    static const struct gal_column columns[] = {{.name = {"amount", 6}, .dtype = GAL_DT_FP32},
                                                {.name = {"category", 8}, .dtype = GAL_DT_BYTES},
                                                {.name = {"age", 3}, .dtype = GAL_DT_INT64},
                                                {.name = {"hour", 4}, .dtype = GAL_DT_INT64}};
    const struct gal_steps_context context = {.path = "steps"};
    uint64_t rows = 32, rounds = 20;
    struct gal_arena arena, request;
    struct gal_value in[4], out[8];
    struct gal_steps *steps;
    struct gal_yaml *list;
    struct gal_err err;
    double least = 0;

    if (argc > 3 || (argc > 1 && gal_str_u64(gal_str_of(argv[1]), &rows) != GAL_OK) ||
        (argc > 2 && gal_str_u64(gal_str_of(argv[2]), &rounds) != GAL_OK) || rows == 0) {
        fprintf(stderr, "usage: steps [ROWS [ROUNDS]]\n");
        return 2;
    }
    gal_arena_init(&arena, 1 << 20, 0, 1 << 30);
    gal_arena_init(&request, 65536, 1 << 28, 1 << 30);
    fill(in, (size_t)rows, &arena);
    if (gal_yaml_parse((struct gal_str){text, sizeof(text) - 1}, "steps", &arena, &list, &err) ||
        gal_steps_compile(list, columns, 4, &context, &arena, &steps, &err)) {
        fprintf(stderr, "steps: %s: %s\n", err.place, err.message);
        return 1;
    }
    for (uint64_t i = 0; i < rounds; i++) {
        double start = now_ns(), ns;

        for (int j = 0; j < CALLS; j++) {
            gal_arena_clear(&request);
            if (gal_steps_run(steps, in, &request, out, &err) != GAL_OK)
                return 1;
        }
        ns = (now_ns() - start) / CALLS / (double)rows;
        least = i == 0 || ns < least ? ns : least;
    }
    printf("%llu rows a batch: %.1f ns a row\n", (unsigned long long)rows, least);
    gal_arena_release(&request);
    gal_arena_release(&arena);
    return 0;
}
