/* SPDX-License-Identifier: Apache-2.0 */
/* Paths to routes: parameters, verbs behind a name, and what is allowed where the method is not. */
#include "api/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct gal_route *route;
static struct gal_str params[GAL_PATH_PARAMS_MAX];
static char allow[64];
static struct gal_err err;

static enum gal_status find(enum gal_method method, const char *path)
{
    route = NULL;
    return gal_route_find(method, gal_str_of(path), &route, params, allow, &err);
}

static void a_verb_ends_a_name_that_may_have_colons(void **state)
{
    static const struct {
        const char *path;
        enum gal_route_id id;
        const char *model, *other;
    } rows[] = {
        {"/v1/models/a:predict", GAL_ROUTE_TFS_PREDICT, "a", ""},
        {"/v1/models/a:predict/", GAL_ROUTE_TFS_PREDICT, "a", ""},
        {"/v1/models/a:b:predict", GAL_ROUTE_TFS_PREDICT, "a:b", ""},
        {"/v1/models/a:predict:predict", GAL_ROUTE_TFS_PREDICT, "a:predict", ""},
        {"/v1/models/::predict", GAL_ROUTE_TFS_PREDICT, ":", ""},
        {"/v1/models/a:classify:regress", GAL_ROUTE_TFS_REGRESS, "a:classify", ""},
        {"/v1/models/a:explain", GAL_ROUTE_V1_EXPLAIN, "a", ""},
        {"/v1/models/a/versions/1:classify", GAL_ROUTE_TFS_VERSION_CLASSIFY, "a", "1"},
        {"/v1/models/a:predict/versions/1:predict", GAL_ROUTE_TFS_VERSION_PREDICT, "a:predict",
         "1"},
        {"/v1/models/a/labels/l:x:regress", GAL_ROUTE_TFS_LABEL_REGRESS, "a", "l:x"},
        {"/v1/models/a:b/predict", GAL_ROUTE_V1_MODEL_PREDICT, "a:b", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (find(GAL_METHOD_POST, rows[i].path) != GAL_OK)
            fail_msg("%s: %s", rows[i].path, err.message);
        assert_int_equal(route->id, rows[i].id);
        assert_true(gal_str_is(params[0], rows[i].model));
        if (rows[i].other[0] != '\0')
            assert_true(gal_str_is(params[1], rows[i].other));
    }
}

static void a_path_that_ends_in_a_known_verb_is_no_name(void **state)
{
    static const char *const paths[] = {"/v1/models/a:predict", "/v1/models/a:explain",
                                        "/v1/models/a/versions/1:regress",
                                        "/v1/models/a/labels/l:classify"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(find(GAL_METHOD_GET, paths[i]), GAL_METHOD);
        assert_string_equal(allow, "POST");
        assert_int_equal(find(GAL_METHOD_HEAD, paths[i]), GAL_METHOD);
    }
    assert_int_equal(find(GAL_METHOD_GET, "/v1/models/a:b"), GAL_OK);
    assert_int_equal(route->id, GAL_ROUTE_V1_MODEL);
    assert_true(gal_str_is(params[0], "a:b"));
    assert_int_equal(find(GAL_METHOD_GET, "/v1/models/a:predict/metadata"), GAL_OK);
    assert_true(gal_str_is(params[0], "a:predict"));
}

static void a_verb_alone_or_unknown_is_part_of_a_name(void **state)
{
    static const char *const paths[] = {"/v1/models/:predict", "/v1/models/a:fly",
                                        "/v1/models/apredict", "/v1/models/a:predict2"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(find(GAL_METHOD_POST, paths[i]), GAL_METHOD);
        assert_string_equal(allow, "GET, HEAD");
        assert_int_equal(find(GAL_METHOD_GET, paths[i]), GAL_OK);
        assert_int_equal(route->id, GAL_ROUTE_V1_MODEL);
    }
    assert_int_equal(find(GAL_METHOD_POST, "/v2/models/a:predict"), GAL_METHOD);
    assert_int_equal(find(GAL_METHOD_POST, "/v3/models/a:predict"), GAL_NOT_FOUND);
    assert_string_equal(allow, "");
}

/* gal_route_find goes by the order of the table. */
static void routes_with_a_verb_stand_before_those_they_shadow(void **state)
{
    bool plain = false;

    (void)state;
    for (size_t i = 0; i < GAL_ROUTE_COUNT; i++) {
        if (strncmp(gal_routes[i].pattern, "/v1/models/{model}", 18) != 0)
            continue;
        if (strstr(gal_routes[i].pattern, "}:") != NULL)
            assert_false(plain);
        plain = plain || strcmp(gal_routes[i].pattern, "/v1/models/{model}") == 0;
    }
    assert_true(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verb_ends_a_name_that_may_have_colons),
        cmocka_unit_test(a_path_that_ends_in_a_known_verb_is_no_name),
        cmocka_unit_test(a_verb_alone_or_unknown_is_part_of_a_name),
        cmocka_unit_test(routes_with_a_verb_stand_before_those_they_shadow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
