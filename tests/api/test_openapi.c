/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI document holds together: its references lead somewhere, its names are unique, every
 * route and model is there, and its examples are answered. */
#include "api/desk.h"
#include "api/links.h"
#include "api/openapi.h"
#include "api/route.h"
#include "base/map.h"
#include "base/mem.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ONE "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"

static const struct desk_model models[] = {
    {"a b", "1", ONE},
    {"a_b", "1", ONE},
    {"a b_1", "2", "load_fails broken\n"},
    {"cube", "2.0.0", "input i UINT8 [-1,2,3]\noutput o UINT8 [-1,2,3]\n"},
    {"cube", "1.0.0", "input i INT64 [-1,3]\noutput o INT64 [-1,3]\n"},
    {"fraud", "1",
     "input amount FP32 [-1,1]\ninput kind BYTES [-1,1]\noptional extra BOOL [-1,1]\n"
     "output y FP32 [-1,1]\noutput k BYTES [-1,1]\n"},
    {"late", "1", NULL},
    {"named", "1",
     "input v FP64 [-1,2]\noutput y FP64 [-1,2]\nmeta feature_names [\"mean x\",\"q\\\"\"]\n"},
    {"whole", "1", "input x BF16 [2,2]\noutput y BF16 [2,2]\n"},
    {"bare", "1", "input x BOOL\noutput y BOOL\n"},
    {"vast", "1", "input x FP16 [-1,3,224,224]\noutput y FP16 [-1,3,224,224]\n"},
};
enum { LATE = 6, COUNT = sizeof(models) / sizeof(*models) };

static struct desk d;
static struct gal_arena arena;
static yyjson_val *root;

static void fetch(void)
{
    if (desk_ask(&d, GAL_METHOD_GET, "/openapi.json", NULL) != 200)
        fail_msg("%s", d.body.p);
    gal_arena_clear(&arena);
    assert_int_equal(
        gal_json_read((struct gal_str){d.body.p, d.body.n - 1}, &arena, 64, &root, NULL), GAL_OK);
    desk_next(&d);
}

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, COUNT, true);
    gal_arena_init(&arena, 1 << 20, 1 << 24, 1 << 28);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    desk_close(&d);
    return 0;
}

static yyjson_val *get(yyjson_val *v, const char *key)
{
    v = yyjson_obj_get(v, key);
    if (v == NULL)
        fail_msg("no %s", key);
    return v;
}

static yyjson_val *path(const char *at)
{
    return get(get(root, "paths"), at);
}

/* Walks the document: objects have each key once, references lead somewhere. */
static void check(yyjson_val *v)
{
    size_t i, max;
    yyjson_val *k, *item;
    struct gal_map seen;

    if (yyjson_is_arr(v))
        yyjson_arr_foreach(v, i, max, item) check(item);
    if (!yyjson_is_obj(v))
        return;
    gal_map_init(&seen);
    yyjson_obj_foreach(v, i, max, k, item)
    {
        struct gal_str key = {yyjson_get_str(k), yyjson_get_len(k)};

        if (gal_map_get(&seen, key) != NULL)
            fail_msg("%s is there twice", key.p);
        assert_int_equal(gal_map_set(&seen, key, item), GAL_OK);
        if (strcmp(key.p, "$ref") == 0 && yyjson_ptr_get(root, yyjson_get_str(item) + 1) == NULL)
            fail_msg("%s leads nowhere", yyjson_get_str(item));
        check(item);
    }
    gal_map_release(&seen);
}

static void references_lead_somewhere_and_keys_are_unique(void **state)
{
    (void)state;
    fetch();
    assert_string_equal(yyjson_get_str(get(root, "openapi")), "3.1.0");
    check(root);
}

static void every_route_is_there_for_every_model(void **state)
{
    size_t i, max, operations = 0, expected = 0;
    yyjson_val *k, *v;
    struct gal_map ids;

    (void)state;
    fetch();
    for (i = 0; i < GAL_ROUTE_COUNT; i++) {
        const char *p = gal_routes[i].pattern;
        if (!gal_link_serves(&d.api, &gal_routes[i]))
            continue;
        expected += strstr(p, "{version}") ? COUNT : strstr(p, "{model}") ? COUNT - 1 : 1;
    }
    expected--; /* the explorer's files */
    gal_map_init(&ids);
    yyjson_obj_foreach(get(root, "paths"), i, max, k, v)
    {
        size_t m, methods, n = yyjson_get_len(k);
        bool upgrades = n > 3 && strcmp(yyjson_get_str(k) + n - 3, "/ws") == 0;
        yyjson_val *method, *operation;

        yyjson_obj_foreach(v, m, methods, method, operation)
        {
            struct gal_str id = gal_str_of(yyjson_get_str(get(operation, "operationId")));

            assert_null(gal_map_get(&ids, id));
            assert_int_equal(gal_map_set(&ids, id, operation), GAL_OK);
            get(get(operation, "responses"), upgrades                                ? "101"
                                             : strstr(yyjson_get_str(k), ":explain") ? "501"
                                                                                     : "200");
            operations++;
        }
    }
    gal_map_release(&ids);
    assert_int_equal(operations, expected);
    path("/v1/models/a%20b/predict");
    path("/v1/models/cube/versions/1.0.0/predict/batch");
    path("/v2/models/late/infer");
}

static yyjson_val *schema(const char *name)
{
    return get(get(get(root, "components"), "schemas"), name);
}

static void schemas_say_what_a_model_takes(void **state)
{
    yyjson_val *v;

    (void)state;
    fetch();
    v = schema("fraud_1.Features");
    assert_string_equal(yyjson_get_str(get(get(get(v, "properties"), "kind"), "type")), "string");
    assert_string_equal(yyjson_get_str(get(get(get(v, "properties"), "amount"), "type")), "number");
    assert_string_equal(yyjson_get_str(get(get(get(v, "properties"), "extra"), "type")), "boolean");
    assert_int_equal(yyjson_arr_size(get(v, "required")), 2);
    v = schema("named_1.Features");
    get(get(v, "properties"), "mean x");
    get(get(v, "properties"), "q\"");
    v = yyjson_ptr_get(schema("cube_2_0_0.Features"), "/properties/i/anyOf/0");
    assert_int_equal(yyjson_get_int(get(v, "minItems")), 2);
    v = get(get(v, "items"), "items");
    assert_int_equal(yyjson_get_int(get(v, "maximum")), 255);
    v = yyjson_ptr_get(schema("cube_1_0_0.InferRequest"),
                       "/allOf/1/properties/inputs/items/oneOf/0");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(v, "/properties/datatype/const")), "INT64");
    assert_string_equal(yyjson_get_str(get(schema("a_b_1.Prediction"), "type")), "number");
    schema("a_b_1_3.Prediction"); /* "a b", "a b_1" and "a_b" do not share a name */
}

/* The path with `latest` in the place of a label. */
static const char *fill_label(const char *at, char *out, size_t size)
{
    const char *label = strstr(at, "{label}");

    if (label == NULL)
        return at;
    snprintf(out, size, "%.*slatest%s", (int)(label - at), at, label + 7);
    return out;
}

/* Each example of a request, sent to its path, is answered. */
static void examples_are_answered(void **state)
{
    size_t i, j, max, max2, sent = 0;
    yyjson_val *k, *v, *name, *example;

    (void)state;
    fetch();
    yyjson_obj_foreach(get(root, "paths"), i, max, k, v)
    {
        yyjson_val *list =
            yyjson_ptr_get(v, "/post/requestBody/content/application~1json/examples");

        if (list == NULL)
            continue;
        yyjson_obj_foreach(list, j, max2, name, example)
        {
            char *body = yyjson_val_write(get(example, "value"), 0, NULL), filled[256];
            const char *at = fill_label(yyjson_get_str(k), filled, sizeof(filled));

            if (desk_ask(&d, GAL_METHOD_POST, at, body) != 200)
                fail_msg("%s %s: %s", yyjson_get_str(k), body, d.body.p);
            desk_next(&d);
            free(body);
            sent++;
        }
    }
    assert_true(sent > 50);
    assert_null(yyjson_ptr_get(path("/v1/models/vast/predict"),
                               "/post/requestBody/content/application~1json/examples/row"));
}

static void a_default_model_gives_short_paths_its_schemas(void **state)
{
    static const char at[] = "/post/requestBody/content/application~1json/schema/$ref";

    (void)state;
    fetch();
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(path("/v1/predict"), at)),
                        "#/components/schemas/PredictRequest");
    d.options.default_model = GAL_STR("fraud");
    d.process.catalog_age++;
    fetch();
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(path("/v1/predict"), at)),
                        "#/components/schemas/fraud_1.PredictRequest");
    d.options.default_model = (struct gal_str){NULL, 0};
    d.process.catalog_age++;
}

static void it_is_made_anew_when_a_model_becomes_ready(void **state)
{
    uint64_t before;

    (void)state;
    fetch();
    assert_null(yyjson_obj_get(get(get(root, "components"), "schemas"), "late_1.Features"));
    before = gal_alloc_count();
    desk_begin(&d, GAL_METHOD_GET, "/openapi.json", NULL);
    assert_true(gal_alloc_count() - before < 8); /* a copy of the kept one */
    desk_await(&d);
    desk_next(&d);
    assert_int_equal(desk_load(&d, LATE, ONE), GAL_OK);
    fetch();
    schema("late_1.Features");
}

static void every_failing_allocation_is_survived(void **state)
{
    enum gal_status st = GAL_NO_MEMORY;

    (void)state;
    for (uint64_t i = 1; st != GAL_OK && i < 2000; i++) {
        struct gal_arena a;
        struct gal_buf out;
        struct gal_err err;

        gal_arena_init(&a, 256, 0, 1 << 20);
        gal_buf_init(&out, 1 << 24);
        gal_alloc_fail_at(i, 1);
        st = gal_openapi_write(NULL, d.api.catalog, GAL_STR("fraud"), &a, &out, &err);
        gal_alloc_fail_at(0, 0);
        assert_true(st == GAL_OK || st == GAL_NO_MEMORY || st == GAL_TOO_LARGE);
        gal_buf_release(&out);
        gal_arena_release(&a);
    }
    assert_int_equal(st, GAL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_lead_somewhere_and_keys_are_unique),
        cmocka_unit_test(every_route_is_there_for_every_model),
        cmocka_unit_test(schemas_say_what_a_model_takes),
        cmocka_unit_test(examples_are_answered),
        cmocka_unit_test(a_default_model_gives_short_paths_its_schemas),
        cmocka_unit_test(it_is_made_anew_when_a_model_becomes_ready),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
