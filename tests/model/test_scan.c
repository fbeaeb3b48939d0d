/* SPDX-License-Identifier: Apache-2.0 */
/* Which models lie under a path. Nothing is loaded: files are empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/catalog.h"
#include "support/onnx_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes a file with its folders, below the test's folder. */
static void make_with(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", test_folder(), path);
    for (char *p = full + strlen(test_folder()) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        mkdir(full, 0777);
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void make(const char *path)
{
    make_with(path, "");
}

static const char *at(const char *path)
{
    static char full[4][512];
    static unsigned next;
    char *p = full[next++ % 4];
    snprintf(p, sizeof full[0], "%s/%s", test_folder(), path);
    return p;
}

/* Scans and writes what was found as "name:version,...", in the order found. */
static enum gal_status scan(const char *a, const char *b, const char *name, char *out, size_t size,
                            struct gal_err *err)
{
    const struct gal_scan_path paths[] = {{.path = a}, {.path = b}};
    const struct gal_scan_options o = {.paths = paths, .path_count = b ? 2 : 1, .name = name};
    struct gal_model **models;
    size_t count, n = 0;
    out[0] = '\0';
    enum gal_status status = gal_catalog_scan(&o, &models, &count, err);
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%s:%s", i ? "," : "", models[i]->name,
                              models[i]->version);
        assert_int_equal(gal_model_state(models[i]), GAL_MODEL_LOADING);
        gal_model_unref(models[i]);
    }
    gal_free(models);
    return status;
}

static void expect(const char *path, const char *name, const char *found)
{
    char out[512];
    struct gal_err err = {.message = ""};
    if (scan(path, NULL, name, out, sizeof out, &err))
        fail_msg("%s: %s", path, err.message);
    assert_string_equal(out, found);
}

static void a_file_is_called_by_its_name(void **state)
{
    (void)state;
    make("a/digits.onnx");
    expect(at("a/digits.onnx"), "", "digits:1");
    expect(at("a/digits.onnx"), "numbers", "numbers:1");
}

static void a_file_called_model_is_called_by_its_folder(void **state)
{
    (void)state;
    make("b/iris/model.onnx");
    make("b/fraud/2.1.0/model.onnx");
    expect(at("b/iris/model.onnx"), "", "iris:1");
    expect(at("b/fraud/2.1.0/model.onnx"), "", "fraud:2.1.0");
}

static void a_folder_with_a_model_is_one_model(void **state)
{
    (void)state;
    make("c/iris/model.onnx");
    make("c/iris/README.md");
    make("c/iris/notes/model.onnx"); /* no version: passed over */
    expect(at("c/iris"), "", "iris:1");
    expect(at("c/iris/"), "", "iris:1");
    expect(at("c/iris//"), "flower", "flower:1");
    expect(at("c/iris/."), "", "iris:1");
    expect(at("c/iris/notes/.."), "", "iris:1");
}

static void a_folder_with_versions_is_one_model(void **state)
{
    (void)state;
    make("d/fraud/1/model.onnx");
    make("d/fraud/10/model.onnx");
    make("d/fraud/2/model.onnx");
    make("d/fraud/01/model.onnx");
    make("d/fraud/.3/model.onnx");
    make("d/fraud/4/other.onnx");
    expect(at("d/fraud"), "", "fraud:1,fraud:10,fraud:2");
    expect(at("d/fraud"), "f", "f:1,f:10,f:2");
}

static void a_repository_has_both_and_other_things_are_passed_over(void **state)
{
    (void)state;
    make("e/models/iris/model.onnx");
    make("e/models/fraud/1.0.0/model.onnx");
    make("e/models/fraud/2.0.0/model.onnx");
    make("e/models/README.md");
    make("e/models/scripts/train.py");
    make("e/models/.hidden/model.onnx");
    make("e/models/lost+found/secret");
    chmod(at("e/models/lost+found"), 0);
    expect(at("e/models"), "", "fraud:1.0.0,fraud:2.0.0,iris:1");
    /* Several models keep their names. */
    expect(at("e/models"), "iris", "fraud:1.0.0,fraud:2.0.0,iris:1");
    chmod(at("e/models/lost+found"), 0755);
}

static void links_are_followed(void **state)
{
    (void)state;
    make("f/store/abc123/model.onnx");
    mkdir(at("f/mnt"), 0777);
    assert_int_equal(symlink("../store/abc123", at("f/mnt/models")), 0);
    expect(at("f/mnt/models"), "", "models:1");
    expect(at("f/mnt/models"), "from-env", "from-env:1");
    mkdir(at("f/mnt2"), 0777);
    assert_int_equal(symlink("../store/abc123/model.onnx", at("f/mnt2/model.onnx")), 0);
    expect(at("f/mnt2"), "", "mnt2:1");
}

static void several_paths_add_up(void **state)
{
    (void)state;
    char out[256];
    make("g/one.onnx");
    make("g/two.onnx");
    assert_int_equal(scan(at("g/one.onnx"), at("g/two.onnx"), "x", out, sizeof out, NULL), GAL_OK);
    assert_string_equal(out, "one:1,two:1");
}

static void what_is_no_model_is_not_found_and_says_what_was_looked_for(void **state)
{
    (void)state;
    char out[256];
    struct gal_err err;
    make("h/empty/README.md");
    make("h/loose/a.onnx");
    assert_int_equal(scan(at("h/none"), NULL, "", out, sizeof out, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, "does not exist"));
    assert_int_equal(scan(at("h/empty"), NULL, "", out, sizeof out, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, "NAME/VERSION/model.onnx"));
    assert_string_equal(err.hint, "");
    assert_int_equal(scan(at("h/loose"), NULL, "", out, sizeof out, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.hint, "one by one"));
    assert_int_equal(scan(at("h/empty/README.md"), NULL, "", out, sizeof out, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, ".onnx"));
    /* One bad path spoils the rest. */
    assert_int_equal(scan(at("h/loose/a.onnx"), at("h/none"), "", out, sizeof out, &err),
                     GAL_NOT_FOUND);
}

static void a_model_beside_its_versions_is_a_conflict(void **state)
{
    (void)state;
    char out[256];
    struct gal_err err;
    make("i/m/model.onnx");
    make("i/m/1/model.onnx");
    assert_int_equal(scan(at("i/m"), NULL, "", out, sizeof out, &err), GAL_CONFLICT);
    assert_int_equal(scan(at("i"), NULL, "", out, sizeof out, &err), GAL_CONFLICT);
}

static void a_slip_in_a_versions_name_leaves_no_model_out(void **state)
{
    (void)state;
    char out[256];
    struct gal_err err;
    make("s/iris/model.onnx");
    make("s/fraud/v1/model.onnx");
    assert_int_equal(scan(at("s"), NULL, "", out, sizeof out, &err), GAL_INVALID);
    assert_string_equal(err.message, "'v1' is no version");
    assert_non_null(strstr(err.place, "s/fraud/v1/model.onnx"));
    assert_non_null(strstr(err.hint, "2.1.0"));
}

static void impossible_names_are_refused(void **state)
{
    (void)state;
    char out[512], name[400];
    struct gal_err err;
    make("j/tab\tbed/model.onnx");
    assert_int_equal(scan(at("j"), NULL, "", out, sizeof out, &err), GAL_INVALID);
    make("k/ok.onnx");
    assert_int_equal(scan(at("k/ok.onnx"), NULL, "a/b", out, sizeof out, &err), GAL_INVALID);
    assert_int_equal(scan(at("k/ok.onnx"), NULL, "\xff", out, sizeof out, &err), GAL_INVALID);
    memset(name, 'x', sizeof name);
    name[300] = '\0';
    assert_int_equal(scan(at("k/ok.onnx"), NULL, name, out, sizeof out, &err), GAL_INVALID);
    name[256] = '\0';
    assert_int_equal(scan(at("k/ok.onnx"), NULL, name, out, sizeof out, &err), GAL_OK);
}

/* Fails the i-th allocation, then the i-th file call, for every i. */
static void failures_leave_nothing_behind(void **state)
{
    (void)state;
    make("l/r/one/model.onnx");
    make("l/r/two/1/model.onnx");
    make("l/r/two/2/model.onnx");
    make_with("l/r/two/config.pbtxt", "version_policy { all { } } metric_tags { }");
    for (int files = 0; files < 2; files++) {
        enum gal_status status = GAL_IO;
        for (uint64_t i = 1; status; i++) {
            char out[256];
            struct gal_err err;
            if (files)
                gal_file_fail_at(i);
            else
                gal_alloc_fail_at(i, 1);
            status = scan(at("l/r"), NULL, "", out, sizeof out, &err);
            gal_alloc_fail_at(0, 0);
            gal_file_fail_at(0);
            assert_true(status == GAL_OK || status == (files ? GAL_IO : GAL_NO_MEMORY) ||
                        status == GAL_NO_MEMORY);
            assert_string_equal(out, status ? "" : "one:1,two:1,two:2");
            assert_true(i < 200);
        }
    }
}

/* ---- configuration ---- */

static void a_config_pbtxt_chooses_versions_and_the_file(void **state)
{
    (void)state;
    static const char *const versions[] = {"1", "2", "10", "01", "v3", "2.0.0", "4x"};
    char path[64];
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        snprintf(path, sizeof path, "t/iris/%s/model.onnx", versions[i]);
        make(path);
    }
    make("t/iris/1/net.onnx");
    make_with("t/iris/config.pbtxt", "name: \"iris\"");
    expect(at("t/iris"), "", "iris:10");
    expect(at("t"), "", "iris:10");
    expect(at("t/iris"), "flower", "flower:10"); /* name is the directory's all the same */
    make_with("t/iris/config.pbtxt", "version_policy { all { } }");
    expect(at("t"), "", "iris:1,iris:10,iris:2");
    make_with("t/iris/config.pbtxt", "version_policy { latest { num_versions: 2 } }");
    expect(at("t"), "", "iris:10,iris:2");
    make_with("t/iris/config.pbtxt", "default_model_filename: \"net.onnx\"");
    expect(at("t"), "", "iris:1");
}

/* Scans one path that holds one model; the caller gives it back. */
static struct gal_model *scan_one(const struct gal_scan_path *path,
                                  const struct gal_model_config *base)
{
    const struct gal_scan_options o = {.paths = path, .path_count = 1, .base = base};
    struct gal_model **models, *m;
    struct gal_err err;
    size_t count;
    if (gal_catalog_scan(&o, &models, &count, &err))
        fail_msg("%s: %s", err.place, err.message);
    assert_int_equal(count, 1);
    m = models[0];
    gal_free(models);
    return m;
}

static void a_wrong_config_pbtxt_is_its_models_error(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *says;
    } rows[] = {
        {"platform: \"x\"", "u/iris/config.pbtxt:1", "platform"},
        {"\nmax_batch_size", "u/iris/config.pbtxt:2", "max_batch_size"},
        {"version_policy { specific { versions: 7 } }", "u/iris/config.pbtxt", "no 7/model.onnx"},
        {"default_model_filename: \"gone.onnx\"", "u/iris/config.pbtxt", "no 1/gone.onnx"},
    };
    make("u/iris/3/model.onnx");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_with("u/iris/config.pbtxt", rows[i].text);
        struct gal_model *m = scan_one(&(struct gal_scan_path){.path = at("u")}, NULL);
        assert_string_equal(m->name, "iris");
        assert_string_equal(m->error.place, at(rows[i].place));
        if (!strstr(m->error.message, rows[i].says))
            fail_msg("says: %s", m->error.message);
        gal_model_unref(m);
    }
}

static enum gal_status three_workers(struct gal_model_config *c, struct gal_arena *arena, void *ctx,
                                     struct gal_err *err)
{
    (void)arena, (void)err;
    c->workers = *(unsigned *)ctx;
    return GAL_OK;
}

static void a_paths_own_keys_are_the_last_word(void **state)
{
    (void)state;
    struct gal_model_config base;
    unsigned three = 3;
    char digest[GAL_SHA256_HEX_SIZE];
    make("v/iris/1/model.onnx");
    make_with("v/iris/config.pbtxt",
              "instance_group { count: 2 } dynamic_batching { max_queue_delay_microseconds: 7 }");
    gal_model_config_init(&base);
    base.workers = 1;
    base.inline_us_max = 9;
    struct gal_scan_path path = {.path = at("v/iris"), .name = "flower"};
    struct gal_model *m = scan_one(&path, &base);
    assert_string_equal(m->name, "flower");
    assert_int_equal(m->config.workers, 2);
    memcpy(digest, m->config.digest, sizeof digest);
    gal_model_unref(m);
    path.configure = three_workers;
    path.ctx = &three;
    m = scan_one(&path, &base);
    assert_true(m->configured);
    assert_int_equal(m->config.workers, 3);
    assert_int_equal(m->config.policy.delay_us_max, 7);
    assert_int_equal(m->config.inline_us_max, 9);
    assert_string_not_equal(m->config.digest, digest);
    gal_model_unref(m);
}

static void a_name_is_for_a_path_with_one_model(void **state)
{
    (void)state;
    make("w/a/model.onnx");
    make("w/b/model.onnx");
    const struct gal_scan_path path = {.path = at("w"), .name = "one"};
    const struct gal_scan_options o = {.paths = &path, .path_count = 1};
    struct gal_model **models;
    struct gal_err err;
    size_t count;
    assert_int_equal(gal_catalog_scan(&o, &models, &count, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "several models"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_called_by_its_name),
        cmocka_unit_test(a_file_called_model_is_called_by_its_folder),
        cmocka_unit_test(a_folder_with_a_model_is_one_model),
        cmocka_unit_test(a_folder_with_versions_is_one_model),
        cmocka_unit_test(a_repository_has_both_and_other_things_are_passed_over),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(several_paths_add_up),
        cmocka_unit_test(what_is_no_model_is_not_found_and_says_what_was_looked_for),
        cmocka_unit_test(a_model_beside_its_versions_is_a_conflict),
        cmocka_unit_test(a_slip_in_a_versions_name_leaves_no_model_out),
        cmocka_unit_test(impossible_names_are_refused),
        cmocka_unit_test(failures_leave_nothing_behind),
        cmocka_unit_test(a_config_pbtxt_chooses_versions_and_the_file),
        cmocka_unit_test(a_wrong_config_pbtxt_is_its_models_error),
        cmocka_unit_test(a_paths_own_keys_are_the_last_word),
        cmocka_unit_test(a_name_is_for_a_path_with_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
