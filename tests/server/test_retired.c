/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/retired.h"

static struct gal_model *make(const char *name)
{
    struct gal_model *m;
    assert_int_equal(gal_model_new(name, "1", "none", &m, NULL), GAL_OK);
    return m;
}

static struct gal_catalog *catalog_of(struct gal_model *const *models, size_t count)
{
    struct gal_catalog *c;
    assert_int_equal(gal_catalog_new(models, count, &c, NULL), GAL_OK);
    return c;
}

static void a_model_stays_until_its_last_request_has_left(void **state)
{
    (void)state;
    struct gal_model *both[] = {make("goes"), make("stays")};
    struct gal_catalog *old = catalog_of(both, 2), *fresh = catalog_of(&both[1], 1);
    struct gal_retired r = {0};
    gal_model_unref(both[1]);
    gal_retired_add(&r, old, fresh);
    gal_catalog_unref(old);
    assert_int_equal(r.count, 1);
    assert_ptr_equal(r.models[0], both[0]);
    gal_retired_sweep(&r); /* the first reference is a request's */
    assert_int_equal(r.count, 1);
    gal_model_unref(both[0]);
    assert_int_equal(r.count, 1);
    gal_retired_sweep(&r);
    assert_int_equal(r.count, 0);
    gal_retired_release(&r);
    gal_catalog_unref(fresh);
}

static void another_load_of_the_same_version_retires_the_first(void **state)
{
    (void)state;
    struct gal_model *first = make("m"), *second = make("m");
    struct gal_catalog *old = catalog_of(&first, 1), *fresh = catalog_of(&second, 1);
    struct gal_retired r = {0};
    gal_retired_add(&r, old, fresh);
    assert_int_equal(r.count, 1);
    assert_ptr_equal(r.models[0], first);
    gal_retired_release(&r);
    gal_catalog_unref(old);
    gal_catalog_unref(fresh);
    gal_model_unref(first);
    gal_model_unref(second);
}

static void without_memory_nothing_is_kept_and_nothing_lost(void **state)
{
    (void)state;
    struct gal_model *m = make("m");
    struct gal_catalog *old = catalog_of(&m, 1), *fresh = catalog_of(NULL, 0);
    struct gal_retired r = {0};
    gal_alloc_fail_at(1, 0);
    gal_retired_add(&r, old, fresh);
    gal_alloc_fail_at(0, 0);
    assert_int_equal(r.count, 0);
    gal_retired_release(&r);
    gal_catalog_unref(old);
    gal_catalog_unref(fresh);
    gal_model_unref(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_stays_until_its_last_request_has_left),
        cmocka_unit_test(another_load_of_the_same_version_retires_the_first),
        cmocka_unit_test(without_memory_nothing_is_kept_and_nothing_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
