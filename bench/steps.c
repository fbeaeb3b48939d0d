/* SPDX-License-Identifier: Apache-2.0 */
/* What steps cost: those that the fraud example's features would have before a model that takes
 * numbers alone (a float, a category of 5, two whole numbers; scale, one_hot, assemble), and those
 * that its package has behind the model. usage: steps PACKAGE [ROWS [ROUNDS]]; prints the least of
 * the rounds, in nanoseconds of processor time a row: before, after. */
#include "base/file.h"
#include "package/manifest.h"
#include "package/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CALLS 1000 /* a round */
#define MANIFEST_MAX (1u << 20)
#define COLUMNS_MAX 16

static const char before[] =
    "- scale: {features: [transaction_amount, user_account_age_days, hour_of_day],"
    " mean: [88.3, 400, 12.1], std: [120.4, 300, 6.2]}\n"
    "- one_hot: {feature: merchant_category,"
    " values: [electronics, grocery, restaurant, travel, other]}\n"
    "- assemble: {from: [transaction_amount, merchant_category, user_account_age_days,"
    " hour_of_day], to: features}\n";

static const char *const categories[] = {"electronics", "grocery", "restaurant", "travel", "other"};
static const int64_t two[] = {2};
static const struct gal_column probabilities = {
    .name = {"probabilities", 13}, .dtype = GAL_DT_FP32, .rank = 1, .shape = two};

struct run {
    struct gal_steps *steps;
    struct gal_value in[4];
};

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may be busy here */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct gal_value column(enum gal_dtype dtype, size_t rows, size_t width,
                               struct gal_arena *arena)
{
    int64_t *shape = gal_arena_small(arena, 2 * sizeof(*shape));
    void *data = gal_arena_array(arena, rows * width, gal_dtype_size(dtype));

    if (shape == NULL || data == NULL)
        abort();
    shape[0] = (int64_t)rows;
    shape[1] = (int64_t)width;
    for (size_t j = 0; j < rows * width; j++) {
        if (dtype == GAL_DT_FP32)
            ((float *)data)[j] = width > 1 ? (float)(j * 37 % 101) / 100 : (float)j * 3.7f;
        else if (dtype == GAL_DT_BYTES)
            ((struct gal_str *)data)[j] = gal_str_of(categories[j * 7 % 5]);
        else
            ((int64_t *)data)[j] = (int64_t)(j * 31 % 24);
    }
    return (struct gal_value){
        .kind = GAL_KIND_TENSOR,
        .tensor = {.dtype = dtype, .rank = 2, .shape = shape, .count = rows * width, .data = data}};
}

static enum gal_status prepare(const struct gal_manifest *m, size_t rows, struct gal_arena *arena,
                               struct run *first, struct run *last, struct gal_err *err)
{
    const struct gal_steps_context front = {.path = "before", .place = GAL_STEPS_BEFORE};
    const struct gal_steps_context back = {.path = GAL_MANIFEST_FILE, .place = GAL_STEPS_AFTER};
    struct gal_column columns[4];
    struct gal_yaml *list;
    enum gal_status status;

    if (m == NULL || m->feature_count != 4)
        return gal_fail(err, GAL_INVALID, "it is not the fraud example");
    for (size_t i = 0; i < 4; i++) {
        columns[i] =
            (struct gal_column){.name = m->features[i].name, .dtype = m->features[i].dtype};
        first->in[i] = column(m->features[i].dtype, rows, 1, arena);
    }
    last->in[0] = column(GAL_DT_FP32, rows, 2, arena);
    status =
        gal_yaml_parse((struct gal_str){before, sizeof(before) - 1}, "before", arena, &list, err);
    if (status == GAL_OK)
        status = gal_steps_compile(list, columns, 4, &front, arena, &first->steps, err);
    return status == GAL_OK
               ? gal_steps_compile(m->after, &probabilities, 1, &back, arena, &last->steps, err)
               : status;
}

/* Nanoseconds a row; less than 0: a step has failed. */
static double measure(const struct run *r, size_t rows, uint64_t rounds, struct gal_err *err)
{
    struct gal_value out[COLUMNS_MAX];
    struct gal_arena request;
    double least = 0;

    gal_arena_init(&request, 65536, 1 << 28, 1 << 30);
    for (uint64_t i = 0; i < rounds && least >= 0; i++) {
        double start = now_ns(), ns;
        enum gal_status status = GAL_OK;

        for (int j = 0; j < CALLS && status == GAL_OK; j++) {
            gal_arena_clear(&request);
            status = gal_steps_run(r->steps, r->in, &request, out, err);
        }
        ns = status == GAL_OK ? (now_ns() - start) / CALLS / (double)rows : -1;
        least = i == 0 || ns < least ? ns : least;
    }
    gal_arena_release(&request);
    return least;
}

int main(int argc, char **argv)
{
    uint64_t rows = 32, rounds = 20;
    struct gal_manifest *m = NULL;
    struct run first, last;
    struct gal_arena arena;
    struct gal_buf text;
    struct gal_err err;
    double front = -1, back = -1;
    char path[GAL_PATH_SIZE];

    if (argc < 2 || argc > 4 || (argc > 2 && gal_str_u64(gal_str_of(argv[2]), &rows) != GAL_OK) ||
        (argc > 3 && gal_str_u64(gal_str_of(argv[3]), &rounds) != GAL_OK) || rows == 0) {
        fprintf(stderr, "usage: steps PACKAGE [ROWS [ROUNDS]]\n");
        return 2;
    }
    gal_err_clear(&err);
    gal_arena_init(&arena, 1 << 20, 0, 1 << 30);
    gal_buf_init(&text, MANIFEST_MAX);
    snprintf(path, sizeof(path), "%s/" GAL_MANIFEST_FILE, argv[1]);
    if (gal_file_read(path, MANIFEST_MAX, &text, &err) == GAL_OK &&
        gal_manifest_read(gal_buf_str(&text), path, &arena, &m, &err) == GAL_OK &&
        prepare(m, (size_t)rows, &arena, &first, &last, &err) == GAL_OK) {
        front = measure(&first, (size_t)rows, rounds, &err);
        back = measure(&last, (size_t)rows, rounds, &err);
    }
    if (front < 0 || back < 0)
        fprintf(stderr, "steps: %s: %s\n", err.place[0] ? err.place : path, err.message);
    else
        printf("%.1f %.1f\n", front, back);
    gal_buf_release(&text);
    gal_arena_release(&arena);
    return front < 0 || back < 0;
}
