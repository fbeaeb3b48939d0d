/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 48 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 2685821657736338717u;
}

static double double_at(const struct gal_json_numbers *numbers, size_t i)
{
    uint64_t bits;
    double real;
    memcpy(&bits, (const char *)numbers->values + 8 * i, sizeof bits);
    memcpy(&real, &bits, sizeof real);
    return numbers->kind == GAL_JSON_REAL     ? real
           : numbers->kind == GAL_JSON_SIGNED ? (double)(int64_t)bits
                                              : (double)bits;
}

/* Reads the array of {"data":[...]}; NULL when it is not for the short way. */
static struct gal_json_numbers *read_short(struct gal_str text, struct gal_arena *arena)
{
    struct gal_json_arrays arrays;
    yyjson_val *root;
    if (!gal_json_read_numbers(text, GAL_STR("data"), arena, 8, &root, &arrays))
        return NULL;
    return gal_json_numbers_of(&arrays, yyjson_obj_get(root, "data"));
}

/* What the short way takes the tree takes, with the same values. The text's copy has no byte to
 * spare on either side: sanitizers see who looks beyond. */
static void check_agrees(struct gal_str text)
{
    char *copy = malloc(text.n);
    struct gal_arena arena, other;
    yyjson_val *root, *v;
    size_t i, n;
    assert_non_null(copy);
    memcpy(copy, text.p, text.n);
    text.p = copy;
    gal_arena_init(&arena, 4096, 0, 1 << 20);
    gal_arena_init(&other, 4096, 0, 1 << 20);
    struct gal_json_numbers *numbers = read_short(text, &arena);
    if (numbers != NULL && numbers->depth == 1) {
        assert_int_equal(gal_json_read(text, &other, 8, &root, NULL), GAL_OK);
        root = yyjson_obj_get(root, "data");
        assert_int_equal(yyjson_arr_size(root), numbers->count);
        yyjson_arr_foreach(root, i, n, v)
        {
            assert_true(yyjson_is_num(v));
            assert_true(yyjson_get_num(v) == double_at(numbers, i));
        }
    }
    gal_arena_release(&other);
    gal_arena_release(&arena);
    free(copy);
}

/* COUNT numbers as most tensors have them, one digit and a fraction; `want`: the C library's. */
static size_t write_fractions(char *json, size_t room, int round, double want[COUNT])
{
    static const char *const between[] = {",", ",", ", ", ",\n", ",  ", " ,", ",\t"};
    size_t n = (size_t)snprintf(json, room, round % 5 ? "{\"data\":[" : "{\"id\":7, \"data\":[ ");
    for (int i = 0; i < COUNT; i++) {
        uint64_t r = next_random();
        int digits = 1 + (int)(r % (round % 2 ? 9 : 18)), whole = (int)(r >> 9 & 7);
        size_t at = n;
        n += (size_t)snprintf(json + n, room - n, "%s%d.%0*llu", r >> 8 & 1 ? "-" : "",
                              whole % (round % 3 ? 2 : 8), digits,
                              (unsigned long long)(next_random() % (uint64_t)pow(10, digits)));
        want[i] = strtod(json + at, NULL);
        n += (size_t)snprintf(json + n, room - n, "%s",
                              i + 1 == COUNT   ? "]}"
                              : round % 4 == 0 ? between[r >> 16 & 3]
                                               : between[(r >> 16) % 7]);
    }
    return n;
}

static void fractions_are_read_to_the_last_bit(void **state)
{
    char json[COUNT * 32 + 64];
    double want[COUNT];
    (void)state;
    for (int round = 0; round < 8000; round++) {
        size_t n = write_fractions(json, sizeof json, round, want);
        struct gal_arena arena;
        gal_arena_init(&arena, 4096, 0, 1 << 20);
        struct gal_json_numbers *numbers = read_short((struct gal_str){json, n}, &arena);
        assert_non_null(numbers);
        assert_int_equal(numbers->kind, GAL_JSON_REAL);
        assert_int_equal(numbers->count, COUNT);
        for (size_t i = 0; i < COUNT; i++) /* the sign of 0 too */
            assert_memory_equal((const double *)numbers->values + i, &want[i], sizeof *want);
        gal_arena_release(&arena);
    }
}

static void what_is_no_number_is_none_the_short_way(void **state)
{
    static const char others[] = ":;<=>?/eE.-+ ,x0]\xb1\xff";
    char json[COUNT * 32 + 64];
    double want[COUNT];
    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t n = write_fractions(json, sizeof json, round, want);
        json[n - 1 - next_random() % (n - 10)] = others[next_random() % (sizeof others - 1)];
        check_agrees((struct gal_str){json, n});
        check_agrees((struct gal_str){json, next_random() % n});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fractions_are_read_to_the_last_bit),
        cmocka_unit_test(what_is_no_number_is_none_the_short_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
