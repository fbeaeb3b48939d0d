/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

enum { COUNT = 5000 };

static char names[COUNT][8];
static int values[COUNT];

static struct gal_str name_of(int i)
{
    snprintf(names[i], sizeof names[i], "k%d", i);
    return gal_str_of(names[i]);
}

static void keys_find_their_values(void **state)
{
    (void)state;
    struct gal_map m;
    gal_map_init(&m);
    assert_null(gal_map_get(&m, GAL_STR("k0")));
    for (int i = 0; i < COUNT; i++) {
        assert_null(gal_map_get(&m, name_of(i)));
        assert_int_equal(gal_map_set(&m, name_of(i), &values[i]), GAL_OK);
        assert_int_equal(m.count, (size_t)i + 1);
        assert_true(m.count < m.cap);
    }
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(gal_map_get(&m, name_of(i)), &values[i]);
    assert_null(gal_map_get(&m, GAL_STR("k")));
    assert_null(gal_map_get(&m, GAL_STR("k5000")));
    assert_null(gal_map_get(&m, gal_str_of(NULL)));
    gal_map_release(&m);
    gal_map_release(&m);
}

static void an_equal_key_gets_a_new_value(void **state)
{
    (void)state;
    struct gal_map m;
    char same[] = "key";
    gal_map_init(&m);
    assert_int_equal(gal_map_set(&m, GAL_STR("key"), &values[0]), GAL_OK);
    assert_int_equal(gal_map_set(&m, gal_str_of(same), &values[1]), GAL_OK);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(gal_map_get(&m, GAL_STR("key")), &values[1]);
    assert_int_equal(gal_map_set(&m, gal_str_of(NULL), &values[2]), GAL_OK);
    assert_ptr_equal(gal_map_get(&m, GAL_STR("")), &values[2]);
    assert_null(gal_map_get(&m, GAL_STR("\0")));
    gal_map_release(&m);
}

static void failing_allocations_leave_the_map_as_it_was(void **state)
{
    (void)state;
    struct gal_map m;
    gal_map_init(&m);
    int failures = 0;
    for (int i = 0; i < 1000; i++) {
        gal_alloc_fail_at(1, 1);
        enum gal_status status = gal_map_set(&m, name_of(i), &values[i]);
        gal_alloc_fail_at(0, 0);
        if (status == GAL_NO_MEMORY) {
            failures++;
            assert_null(gal_map_get(&m, name_of(i)));
            assert_int_equal(m.count, i);
            status = gal_map_set(&m, name_of(i), &values[i]);
        }
        assert_int_equal(status, GAL_OK);
        assert_ptr_equal(gal_map_get(&m, name_of(i / 2)), &values[i / 2]);
    }
    assert_true(failures >= 5);
    gal_map_release(&m);
}

/* The empty text under the key 00 01 .. 0f is a published vector; the rest were taken from
 * CPython 3.11, whose hash() of bytes is SipHash-1-3, with PYTHONHASHSEED=42. */
static void siphash_gives_published_values(void **state)
{
    (void)state;
    static const uint64_t counting[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    static const uint64_t python[2] = {0xdc504fd368cd90afu, 0xb920bb9ffe99e9c1u};
    static const struct {
        const char *text;
        uint64_t hash;
    } rows[] = {
        {"a", 0xfe4a47335692551eu},
        {"abcdefg", 0x13162120b6bf06edu},
        {"abcdefgh", 0xb441be6d79f21056u},
        {"abcdefghi", 0xad255ab35982cc7fu},
        {"The quick brown fox jumps over the lazy dog", 0x8464245bd96a618cu},
    };
    assert_true(gal_siphash13(counting, gal_str_of(NULL)) == 0xabac0158050fc4dcu);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(gal_siphash13(python, gal_str_of(rows[i].text)) == rows[i].hash);
}

static void the_hash_is_keyed_and_steady(void **state)
{
    (void)state;
    static const uint64_t zero[2] = {0, 0};
    assert_true(gal_hash_bytes(GAL_STR("abc")) == gal_hash_bytes(GAL_STR("abc")));
    assert_true(gal_hash_bytes(GAL_STR("abc")) != gal_siphash13(zero, GAL_STR("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_find_their_values),
        cmocka_unit_test(an_equal_key_gets_a_new_value),
        cmocka_unit_test(failing_allocations_leave_the_map_as_it_was),
        cmocka_unit_test(siphash_gives_published_values),
        cmocka_unit_test(the_hash_is_keyed_and_steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
