/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/catalog.h"

static void versions_are_integers_or_three_parts(void **state)
{
    (void)state;
    static const char *const good[] = {"0",     "1",     "10",      "18446744073709551615",
                                       "1.2.3", "0.0.0", "10.20.30"};
    static const char *const bad[] = {"",         "v1",   "01",   "1.2",   "1.2.3.4",
                                      "1.2.03",   "1..2", ".1.2", "1.2.",  "-1",
                                      "+1",       " 1",   "1 ",   "1.2.x", "18446744073709551616",
                                      "1.2.3-rc1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(gal_version_valid(gal_str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(gal_version_valid(gal_str_of(bad[i])));
}

static void versions_are_ordered_by_value(void **state)
{
    (void)state;
    static const char *const rising[] = {"",      "alpha",  "beta", "0",     "0.0.0", "0.0.1",
                                         "0.9.0", "0.10.0", "1",    "1.0.0", "1.0.9", "1.0.10",
                                         "2",     "9",      "10",   "10.0.0"};
    enum { N = sizeof rising / sizeof *rising };
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            int c = gal_version_compare(gal_str_of(rising[i]), gal_str_of(rising[k]));
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_integers_or_three_parts),
        cmocka_unit_test(versions_are_ordered_by_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
