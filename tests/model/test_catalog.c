/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/catalog.h"

#include <stdio.h>

/* A catalog of models that were never loaded, their states set by hand. */
struct row {
    const char *name, *version;
    enum gal_model_state state;
};

static void make_models(const struct row *rows, size_t count, struct gal_model **models)
{
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/models/%s/%s", rows[i].name, rows[i].version);
        assert_int_equal(gal_model_new(rows[i].name, rows[i].version, path, &models[i], NULL),
                         GAL_OK);
        models[i]->state = rows[i].state;
    }
}

static struct gal_catalog *make(const struct row *rows, size_t count)
{
    struct gal_model *models[8];
    struct gal_catalog *c = NULL;
    make_models(rows, count, models);
    assert_int_equal(gal_catalog_new(models, count, &c, NULL), GAL_OK);
    for (size_t i = 0; i < count; i++)
        gal_model_unref(models[i]); /* the catalog has its own */
    return c;
}

#define MAKE(...)                                                                                  \
    make((const struct row[]){__VA_ARGS__},                                                        \
         sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static struct gal_model *get(const struct gal_catalog *c, const char *name, const char *version)
{
    struct gal_model *m = NULL;
    assert_int_equal(gal_catalog_model(c, gal_str_of(name), gal_str_of(version), &m, NULL), GAL_OK);
    return m;
}

static void entries_are_sorted_and_versions_are_newest_first(void **state)
{
    (void)state;
    struct gal_catalog *c = MAKE({"b", "1", GAL_MODEL_READY}, {"a", "2", GAL_MODEL_READY},
                                 {"a", "10", GAL_MODEL_READY}, {"a", "1.5.0", GAL_MODEL_READY});
    assert_int_equal(c->count, 2);
    assert_true(gal_str_is(c->entries[0].name, "a") && c->entries[0].version_count == 3);
    assert_string_equal(c->entries[0].versions[0]->version, "10");
    assert_string_equal(c->entries[0].versions[1]->version, "2");
    assert_string_equal(c->entries[0].versions[2]->version, "1.5.0");
    assert_true(gal_catalog_find(c, GAL_STR("b")) == &c->entries[1]);
    assert_null(gal_catalog_find(c, GAL_STR("c")));
    gal_catalog_unref(c);
}

static void the_newest_ready_version_answers(void **state)
{
    (void)state;
    struct gal_catalog *c = MAKE({"m", "1", GAL_MODEL_READY}, {"m", "2", GAL_MODEL_READY},
                                 {"m", "3", GAL_MODEL_FAILED});
    assert_string_equal(get(c, "m", "")->version, "2");
    assert_string_equal(get(c, "m", "3")->version, "3");
    assert_string_equal(get(c, "m", "1")->version, "1");
    gal_catalog_unref(c);
    c = MAKE({"m", "1", GAL_MODEL_FAILED}, {"m", "2", GAL_MODEL_LOADING});
    assert_string_equal(get(c, "m", "")->version, "2"); /* none is: the newest tells why */
    gal_catalog_unref(c);
}

static void unknown_names_and_versions_say_what_there_is(void **state)
{
    (void)state;
    struct gal_model *m;
    struct gal_err err;
    struct gal_catalog *c =
        MAKE({"iris", "1", GAL_MODEL_READY}, {"fraud", "1.0.0", GAL_MODEL_READY},
             {"fraud", "2.0.0", GAL_MODEL_READY});
    assert_int_equal(gal_catalog_model(c, GAL_STR("x"), GAL_STR(""), &m, &err), GAL_NOT_FOUND);
    assert_string_equal(err.message, "unknown model 'x'");
    assert_string_equal(err.hint, "models: fraud, iris");
    assert_null(m);
    assert_int_equal(gal_catalog_model(c, GAL_STR("fraud"), GAL_STR("3.0.0"), &m, &err),
                     GAL_NOT_FOUND);
    assert_string_equal(err.message, "unknown version '3.0.0' of model 'fraud'");
    assert_string_equal(err.hint, "versions: 2.0.0, 1.0.0");
    /* No guessing: 1 is not 1.0.0. */
    assert_int_equal(gal_catalog_model(c, GAL_STR("fraud"), GAL_STR("1"), &m, &err), GAL_NOT_FOUND);
    gal_catalog_unref(c);
}

static void long_lists_of_names_are_cut(void **state)
{
    (void)state;
    struct gal_model *m;
    struct gal_err err;
    char names[8][60];
    struct row rows[8];
    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof names[i], "a-model-with-quite-a-long-name-and-the-number-%d", i);
        rows[i] = (struct row){names[i], "1", GAL_MODEL_READY};
    }
    struct gal_catalog *c = make(rows, 8);
    assert_int_equal(gal_catalog_model(c, GAL_STR("x"), GAL_STR(""), &m, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.hint, "number-0, "));
    assert_string_equal(err.hint + strlen(err.hint) - 3, "...");
    gal_catalog_unref(c);
}

static void the_default_is_the_only_one_or_the_preferred(void **state)
{
    (void)state;
    struct gal_model *m;
    struct gal_err err;
    struct gal_catalog *c = MAKE({"iris", "1", GAL_MODEL_READY});
    assert_int_equal(gal_catalog_default(c, GAL_STR(""), &m, &err), GAL_OK);
    assert_string_equal(m->name, "iris");
    assert_int_equal(gal_catalog_default(c, GAL_STR("other"), &m, &err), GAL_OK);
    gal_catalog_unref(c);
    c = MAKE({"iris", "1", GAL_MODEL_READY}, {"digits", "1", GAL_MODEL_READY});
    assert_int_equal(gal_catalog_default(c, GAL_STR("digits"), &m, &err), GAL_OK);
    assert_string_equal(m->name, "digits");
    assert_int_equal(gal_catalog_default(c, GAL_STR(""), &m, &err), GAL_NOT_FOUND);
    assert_string_equal(err.hint, "models: digits, iris");
    gal_catalog_unref(c);
    c = make(NULL, 0);
    assert_int_equal(gal_catalog_default(c, GAL_STR(""), &m, &err), GAL_NOT_FOUND);
    gal_catalog_unref(c);
}

static void ready_means_the_newest_version_of_every_name(void **state)
{
    (void)state;
    struct gal_err reason;
    struct gal_catalog *c = MAKE({"a", "1", GAL_MODEL_READY}, {"b", "1", GAL_MODEL_FAILED},
                                 {"b", "2", GAL_MODEL_READY});
    assert_true(gal_catalog_ready(c, &reason));
    c->entries[1].versions[0]->state = GAL_MODEL_LOADING;
    assert_false(gal_catalog_ready(c, &reason));
    assert_string_equal(reason.message, "model 'b' version 2 is loading");
    gal_fail(&c->entries[0].versions[0]->error, GAL_INVALID, "the file is empty");
    c->entries[0].versions[0]->state = GAL_MODEL_FAILED;
    assert_false(gal_catalog_ready(c, &reason));
    assert_string_equal(reason.message, "model 'a' version 1 failed to load: the file is empty");
    gal_catalog_unref(c);
    c = make(NULL, 0);
    assert_false(gal_catalog_ready(c, &reason)); /* nothing to serve is not ready */
    gal_catalog_unref(c);
}

static void the_same_version_twice_is_a_conflict(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"m", "1", GAL_MODEL_READY}, {"n", "1", GAL_MODEL_READY}, {"m", "1", GAL_MODEL_READY}};
    struct gal_model *models[3];
    struct gal_catalog *c;
    struct gal_err err;
    make_models(rows, 3, models);
    assert_int_equal(gal_catalog_new(models, 3, &c, &err), GAL_CONFLICT);
    assert_non_null(strstr(err.message, "/models/m/1"));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(models[i]->refs, 1);
        gal_model_unref(models[i]);
    }
}

static void models_live_as_long_as_someone_holds_them(void **state)
{
    (void)state;
    struct gal_catalog *c = MAKE({"m", "1", GAL_MODEL_READY});
    assert_true(gal_catalog_ref(c) == c);
    struct gal_model *m = gal_model_ref(get(c, "m", ""));
    gal_catalog_unref(c);
    gal_catalog_unref(c);
    gal_catalog_unref(NULL);
    assert_string_equal(m->name, "m"); /* the sanitizer knows whether it is */
    gal_model_unref(m);
    gal_model_unref(NULL);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    static const struct row rows[] = {{"m", "1", GAL_MODEL_READY}, {"n", "1", GAL_MODEL_READY}};
    struct gal_model *models[2];
    make_models(rows, 2, models);
    enum gal_status status = GAL_NO_MEMORY;
    for (uint64_t i = 1; status; i++) {
        struct gal_catalog *c = NULL;
        gal_alloc_fail_at(i, 1);
        status = gal_catalog_new(models, 2, &c, NULL);
        gal_alloc_fail_at(0, 0);
        assert_true((status == GAL_OK) == (c != NULL));
        gal_catalog_unref(c);
        assert_true(i < 20);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(models[i]->refs, 1);
        gal_model_unref(models[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_sorted_and_versions_are_newest_first),
        cmocka_unit_test(the_newest_ready_version_answers),
        cmocka_unit_test(unknown_names_and_versions_say_what_there_is),
        cmocka_unit_test(long_lists_of_names_are_cut),
        cmocka_unit_test(the_default_is_the_only_one_or_the_preferred),
        cmocka_unit_test(ready_means_the_newest_version_of_every_name),
        cmocka_unit_test(the_same_version_twice_is_a_conflict),
        cmocka_unit_test(models_live_as_long_as_someone_holds_them),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
