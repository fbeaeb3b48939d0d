/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file_write.h"
#include "base/mem.h"
#include "package/folder.h"
#include "package/golden.h"
#include "package/diff.h"
#include "package/pack.h"

#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

static const char *const names[] = {"README.md",   "docs/card.md",     "docs/deep/table.csv",
                                    "galley.yaml", "golden.json",      "lock.json",
                                    "model.onnx",  "requirements.txt", "sbom.spdx.json"};
#define NAMES (sizeof names / sizeof *names)

static enum gal_status pack(const char *from, const char *to, struct gal_pack_report *report,
                            struct gal_err *err)
{
    struct gal_package *p;
    struct gal_pack_report own;
    enum gal_status status = gal_package_open(in_folder(from), &p, err);
    if (!status)
        status = gal_pack(p, in_folder(to), &(struct gal_pack_options){.proved = true},
                          report ? report : &own, err);
    gal_package_close(p);
    return status;
}

static struct gal_package *open_ok(const char *name)
{
    struct gal_package *p;
    struct gal_err err;
    if (gal_package_open(in_folder(name), &p, &err) != GAL_OK)
        fail_msg("%s", err.message);
    return p;
}

static void must_pack(const char *from, const char *to, struct gal_pack_report *report)
{
    struct gal_err err;
    if (pack(from, to, report, &err) != GAL_OK)
        fail_msg("%s", err.message);
}

static void assert_same(const char *a, const char *b)
{
    struct gal_buf x = get_file(a), y = get_file(b);
    assert_true(gal_str_eq(gal_buf_str(&x), gal_buf_str(&y)));
    gal_buf_release(&x);
    gal_buf_release(&y);
}

static void a_directory_is_a_package_of_what_its_manifest_names(void **state)
{
    (void)state;
    put_package("fraud");
    assert_true(gal_package_is(in_folder("fraud")));
    struct gal_package *p = open_ok("fraud");
    assert_true(p->is_dir);
    assert_false(p->is_sealed);
    assert_string_equal(p->digest, "");
    assert_true(gal_str_is(p->manifest->name, "fraud"));
    assert_int_equal(p->file_count, NAMES - 2); /* lock and SBOM are made by packing */
    assert_null(gal_package_find(p, GAL_STR("notes.txt")));
    const struct gal_package_file *f = gal_package_find(p, GAL_STR("docs/card.md"));
    struct gal_str bytes;
    assert_non_null(f);
    assert_int_equal(f->role, GAL_ROLE_DOC);
    assert_int_equal(gal_package_bytes(p, f, &bytes, NULL), GAL_OK);
    assert_true(gal_str_is(bytes, "A card.\n"));
    assert_int_equal(gal_package_check(p, 2, NULL, NULL, NULL), GAL_OK);
    gal_package_close(p);
}

static void a_package_goes_to_a_file_and_back(void **state)
{
    (void)state;
    struct gal_pack_report report, again;
    put_package("fraud");
    must_pack("fraud", "a.galley", &report);
    assert_int_equal(report.files, NAMES);
    assert_true(gal_package_is(in_folder("a.galley")));
    struct gal_package *p = open_ok("a.galley");
    assert_true(p->is_sealed && !p->is_dir);
    assert_string_equal(p->digest, report.digest);
    assert_int_equal(p->file_count, NAMES);
    for (size_t i = 0; i < NAMES; i++)
        assert_true(gal_str_is(p->files[i].name, names[i]));
    assert_int_equal(gal_package_check(p, 3, NULL, NULL, NULL), GAL_OK);
    assert_int_equal(gal_unpack(p, in_folder("out"), NULL), GAL_OK);
    struct gal_err err;
    assert_int_equal(gal_unpack(p, in_folder("out"), &err), GAL_CONFLICT);
    gal_package_close(p);
    assert_same("fraud/model.onnx", "out/model.onnx");
    assert_same("fraud/docs/deep/table.csv", "out/docs/deep/table.csv");
    p = open_ok("out");
    assert_true(p->is_sealed && p->is_dir);
    assert_string_equal(p->digest, report.digest);
    assert_int_equal(gal_package_check(p, 0, NULL, NULL, NULL), GAL_OK);
    gal_package_close(p);
    must_pack("out", "b.galley", &again);
    assert_string_equal(again.digest, report.digest);
    assert_int_equal(again.bytes, report.bytes);
    assert_same("a.galley", "b.galley");
    must_pack("a.galley", "c.galley", NULL);
    assert_same("a.galley", "c.galley");
    assert_int_equal(count_names(), 5);
}

static void the_digest_of_a_directory_is_that_of_its_file(void **state)
{
    (void)state;
    struct gal_pack_report report;
    put_package("fraud");
    struct gal_package *p = open_ok("fraud");
    assert_int_equal(gal_package_digest(p, NULL), GAL_OK);
    must_pack("fraud", "a.galley", &report);
    assert_string_equal(p->digest, report.digest);
    assert_int_equal(strlen(p->files[0].digest), GAL_DIGEST_SIZE - 1);
    gal_package_close(p);
}

static void equal_files_give_equal_bytes(void **state)
{
    (void)state;
    const struct utimbuf old = {1000000000, 1000000000};
    put_package("fraud");
    must_pack("fraud", "a.galley", NULL);
    put_package("elsewhere/with a space");
    for (size_t i = 0; i < NAMES; i++) {
        char name[128];
        snprintf(name, sizeof name, "elsewhere/with a space/%s", names[i]);
        (void)utime(in_folder(name), &old);
        (void)chmod(in_folder(name), 0600 | (i & 1 ? 0111 : 0));
    }
    mode_t before = umask(077);
    (void)setlocale(LC_ALL, "C.UTF-8");
    must_pack("elsewhere/with a space", "b.galley", NULL);
    (void)setlocale(LC_ALL, "C");
    (void)umask(before);
    assert_same("a.galley", "b.galley");
    put_text("elsewhere/with a space/model.onnx", "not a model, but bytes are bytes herE");
    must_pack("elsewhere/with a space", "b.galley", NULL);
    struct gal_package *a = open_ok("a.galley"), *b = open_ok("b.galley");
    assert_string_not_equal(a->digest, b->digest);
    gal_package_close(a);
    gal_package_close(b);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *file, *words;
    } rows[] = {
        {"fraud/model.onnx", "fraud: model.onnx, the model, is missing"},
        {"fraud/golden.json", "fraud: golden.json, the golden cases, is missing"},
        {"fraud/requirements.txt", "fraud: requirements.txt, the freeze list, is missing"},
        {"fraud/README.md", "fraud: README.md, one of `files`, is missing"},
        {"fraud/galley.yaml", "fraud: there is no galley.yaml in it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_err err;
        put_package("fraud");
        assert_int_equal(unlink(in_folder(rows[i].file)), 0);
        assert_int_equal(pack("fraud", "a.galley", NULL, &err), GAL_NOT_FOUND);
        assert_non_null(strstr(err.message, rows[i].words));
        assert_int_equal(count_names(), 1);
    }
}

static void manifest_with(const char *files)
{
    char text[512];
    put_package("fraud");
    snprintf(text, sizeof text,
             "galley: 1\nname: fraud\nversion: 2.1.0\nmodel: model.onnx\nfiles: [%s]\n", files);
    put_text("fraud/galley.yaml", text);
}

static void files_that_do_not_belong_into_a_package_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *words;
    } rows[] = {
        {"../secret", "files[0]: '../secret' is no path within a package"},
        {"/etc/passwd", "files[0]: '/etc/passwd' is no path within a package"},
        {"docs/../../x", "files[0]: 'docs/../../x' is no path within a package"},
        {".galley/manifest.json", "files[0]: '.galley/manifest.json' is no path within a package"},
        {"lock.json", "fraud: lock.json is made by packing"},
        {"out", "fraud: out is a link to "},
        {"dangling", "fraud: dangling, one of `files`, is missing"},
        {"pipe", "fraud: pipe, one of `files`, is no regular file"},
    };
    put_text("secret", "secret");
    put_package("fraud");
    assert_int_equal(symlink("../secret", in_folder("fraud/out")), 0);
    assert_int_equal(symlink("../nothing", in_folder("fraud/dangling")), 0);
    assert_int_equal(mkfifo(in_folder("fraud/pipe"), 0600), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_err err;
        manifest_with(rows[i].name);
        assert_int_not_equal(pack("fraud", "a.galley", NULL, &err), GAL_OK);
        if (!strstr(err.message, rows[i].words))
            fail_msg("%s: %s", rows[i].name, err.message);
        assert_int_equal(count_names(), 2);
    }
    /* Within the directory, as volumes of Kubernetes have them, links are fine. */
    assert_int_equal(symlink("docs/card.md", in_folder("fraud/in")), 0);
    manifest_with("in");
    must_pack("fraud", "a.galley", NULL);
}

static void a_sealed_directory_is_held_against_its_seal(void **state)
{
    (void)state;
    struct gal_err err;
    put_package("fraud");
    must_pack("fraud", "a.galley", NULL);
    struct gal_package *p = open_ok("a.galley");
    assert_int_equal(gal_unpack(p, in_folder("out"), NULL), GAL_OK);
    gal_package_close(p);
    put_text("out/model.onnx", "not a model, but bytes are bytes HERE");
    p = open_ok("out");
    assert_int_equal(gal_package_check(p, 2, NULL, NULL, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "out: damaged: model.onnx has the digest sha256:"));
    gal_package_close(p);
    assert_int_equal(pack("out", "b.galley", NULL, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "damaged: model.onnx has the digest"));
    put_text("out/model.onnx", "short");
    assert_int_equal(gal_package_open(in_folder("out"), &p, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "out: model.onnx has 5 bytes, 37 are sealed"));
    assert_non_null(strstr(err.hint, "out/.galley to go on with it as a package of your own"));
    assert_int_equal(unlink(in_folder("out/model.onnx")), 0);
    assert_int_equal(gal_package_open(in_folder("out"), &p, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, "out: model.onnx, which is sealed, is missing"));
    put_text("out/model.onnx", "not a model, but bytes are bytes here");
    struct gal_buf yaml = get_file("out/galley.yaml");
    yaml.p[0] = '#';
    put_file("out/galley.yaml", gal_buf_str(&yaml));
    gal_buf_release(&yaml);
    assert_int_equal(gal_package_open(in_folder("out"), &p, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "out: galley.yaml has the digest sha256:"));
}

static uint64_t last_done, last_total;

static void on_progress(uint64_t done, uint64_t total, void *ctx)
{
    assert_ptr_equal(ctx, &last_done);
    assert_true(done >= last_done && done <= total);
    assert_true(last_total == 0 || last_total == total);
    last_done = done;
    last_total = total;
}

static void progress_goes_from_nothing_to_all(void **state)
{
    (void)state;
    struct gal_pack_report report;
    const struct gal_pack_options options = {
        .threads = 3, .on_progress = on_progress, .ctx = &last_done};
    put_package("fraud");
    struct gal_package *p = open_ok("fraud");
    assert_int_equal(gal_pack(p, in_folder("a.galley"), &options, &report, NULL), GAL_OK);
    gal_package_close(p);
    assert_true(last_done > 0 && last_done == last_total);
    last_done = last_total = 0;
    p = open_ok("a.galley");
    assert_int_equal(gal_package_check(p, 3, on_progress, &last_done, NULL), GAL_OK);
    assert_true(last_done > 0 && last_done == last_total);
    gal_package_close(p);
}

/* The weights of this model lie in weights/all.bin beside it: ModelProto.graph.initializer
 * .external_data "location". */
static const char external[] = "\x3a\x22\x2a\x20\x6a\x1e\x0a\x08location\x12\x12weights/ab/all.bin";

static void external_data_belongs_to_the_package(void **state)
{
    (void)state;
    struct gal_err err;
    put_package("fraud");
    put_file("fraud/model.onnx", (struct gal_str){external, sizeof external - 1});
    assert_int_equal(pack("fraud", "a.galley", NULL, &err), GAL_NOT_FOUND);
    assert_non_null(
        strstr(err.message, "fraud: weights/ab/all.bin, which the model refers to, is missing"));
    put_text("fraud/weights/ab/all.bin", "bytes");
    struct gal_package *p = open_ok("fraud");
    const struct gal_package_file *f = gal_package_find(p, GAL_STR("weights/ab/all.bin"));
    assert_non_null(f);
    assert_int_equal(f->role, GAL_ROLE_WEIGHT);
    gal_package_close(p);
    char out[sizeof external];
    memcpy(out, external, sizeof out);
    memcpy(out + 18, "../../../", 9); /* as it could lead to any file */
    put_file("fraud/model.onnx", (struct gal_str){out, sizeof external - 1});
    assert_int_equal(pack("fraud", "a.galley", NULL, &err), GAL_INVALID);
    assert_non_null(strstr(err.message, "fraud: \"../../../"));
}

/* Any byte of the file flipped: opening or checking finds it, unless it is one that tar does not
 * look at. */
static void flipped_bits_are_found(void **state)
{
    (void)state;
    struct gal_buf whole;
    size_t found = 0, passed = 0;
    put_package("fraud");
    must_pack("fraud", "a.galley", NULL);
    whole = get_file("a.galley");
    for (size_t i = 0; i < whole.n; i += 37) {
        struct gal_package *p;
        struct gal_err err;
        whole.p[i] = (char)(whole.p[i] ^ 0x04);
        put_file("b.galley", gal_buf_str(&whole));
        enum gal_status status = gal_package_open(in_folder("b.galley"), &p, &err);
        if (!status)
            status = gal_package_check(p, 1, NULL, NULL, &err);
        if (!status) { /* nothing has changed then */
            assert_int_equal(gal_unpack(p, in_folder("out"), NULL), GAL_OK);
            assert_same("fraud/model.onnx", "out/model.onnx");
            assert_same("fraud/galley.yaml", "out/galley.yaml");
            assert_int_equal(gal_dir_remove(in_folder("out"), NULL), GAL_OK);
        } else {
            assert_non_null(strstr(err.message, "b.galley"));
        }
        found += status != GAL_OK;
        passed += status == GAL_OK;
        gal_package_close(p);
        whole.p[i] = (char)(whole.p[i] ^ 0x04);
    }
    gal_buf_release(&whole);
    assert_true(found > 100);
    assert_true(passed < found); /* padding */
}

static enum gal_status there_and_back(struct gal_err *err)
{
    struct gal_package *p = NULL, *q = NULL;
    struct gal_pack_report report;
    enum gal_status status = gal_package_open(in_folder("fraud"), &p, err);
    if (!status)
        status = gal_pack(p, in_folder("a.galley"), &(struct gal_pack_options){.threads = 1},
                          &report, err);
    if (!status)
        status = gal_package_open(in_folder("a.galley"), &q, err);
    if (!status)
        status = gal_package_check(q, 1, NULL, NULL, err);
    if (!status)
        status = gal_unpack(q, in_folder("out"), err);
    gal_package_close(p);
    gal_package_close(q);
    return status;
}

static void failures_leave_nothing_behind(void **state)
{
    (void)state;
    put_package("fraud");
    for (int memory = 0; memory < 2; memory++) {
        enum gal_status status = GAL_IO;
        for (uint64_t i = 1; status; i++) {
            struct gal_err err;
            gal_err_clear(&err);
            if (memory)
                gal_alloc_fail_at(i, 1);
            else
                gal_file_fail_at(i);
            status = there_and_back(&err);
            gal_alloc_fail_at(0, 0);
            gal_file_fail_at(0);
            if (status && !err.message[0])
                fail_msg("call %llu: no message", (unsigned long long)i);
            size_t count = count_names();
            assert_true(count == 1 + (size_t)is_there("a.galley") + (size_t)is_there("out"));
            if (status) {
                assert_int_equal(gal_dir_remove(in_folder("out"), NULL), GAL_OK);
                (void)unlink(in_folder("a.galley"));
            }
            assert_true(i < 3000);
        }
        struct gal_package *p = open_ok("out");
        assert_int_equal(gal_package_check(p, 1, NULL, NULL, NULL), GAL_OK);
        gal_package_close(p);
        assert_int_equal(gal_dir_remove(in_folder("out"), NULL), GAL_OK);
    }
}

static enum gal_status compare(struct gal_diff *out, struct gal_arena *arena, struct gal_err *err)
{
    struct gal_package *a = NULL, *b = NULL;
    enum gal_status status = gal_package_open(in_folder("a"), &a, err);
    if (!status)
        status = gal_package_open(in_folder("b"), &b, err);
    if (!status)
        status = gal_package_diff(a, b, arena, out, err);
    gal_package_close(a);
    gal_package_close(b);
    return status;
}

static void differences_are_all_told_or_none(void **state)
{
    (void)state;
    put_package("a");
    put_package("b");
    put_text("b/requirements.txt", "numpy==2.0.0\n");
    put_text("b/model.onnx", "other weights");
    put_text("b/docs/more.md", "more");
    for (int memory = 0; memory < 2; memory++) {
        enum gal_status status = GAL_IO;
        for (uint64_t i = 1; status; i++) {
            struct gal_diff d = {.count = 0};
            struct gal_arena arena;
            struct gal_err err;
            gal_err_clear(&err);
            gal_arena_init(&arena, 4096, 0, 64u << 20);
            if (memory)
                gal_alloc_fail_at(i, 1);
            else
                gal_file_fail_at(i);
            status = compare(&d, &arena, &err);
            gal_alloc_fail_at(0, 0);
            gal_file_fail_at(0);
            assert_true(status == GAL_OK || err.message[0]);
            if (!status) {
                assert_int_equal(d.count, 4);
                assert_int_equal(d.changes[0].section, GAL_SECTION_WEIGHTS);
                assert_true(gal_str_is(d.changes[1].what, "numpy"));
                assert_true(gal_str_is(d.changes[1].a, "1.26.4"));
                assert_true(gal_str_is(d.changes[1].b, "2.0.0"));
                assert_true(gal_str_is(d.changes[2].what, "scikit-learn"));
                assert_null(d.changes[2].b.p);
                assert_true(gal_str_is(d.changes[3].what, "docs/more.md"));
                assert_null(d.changes[3].a.p);
            }
            gal_arena_release(&arena);
            assert_true(i < 3000);
        }
    }
}

#define TENSOR(name) "[{\"name\":\"" name "\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]"
#define CASES "{\"cases\":[{\"inputs\":" TENSOR("x") ",\"outputs\":" TENSOR("y") "}]}"

/* A directory's, a file's, and of a manifest that names none. */
static void golden_cases_are_read_out_of_a_package(void **state)
{
    static const char *const packages[] = {"fraud", "a.galley", "none"};
    (void)state;
    put_package("fraud");
    put_text("fraud/golden.json", CASES);
    must_pack("fraud", "a.galley", NULL);
    put_text("none/galley.yaml", "galley: 1\nname: n\nversion: 1.0.0\nmodel: m\n");
    put_text("none/m", "m");
    for (size_t i = 0; i < 3; i++) {
        struct gal_package *p = open_ok(packages[i]);
        struct gal_golden *golden;
        struct gal_arena arena;
        gal_arena_init(&arena, 4096, 0, 1u << 20);
        assert_int_equal(gal_package_golden(p, &arena, &golden, NULL), GAL_OK);
        assert_int_equal(golden != NULL, i < 2);
        if (golden) {
            assert_int_equal(golden->case_count, 1);
            assert_true(golden->cases[0].rtol == p->manifest->rtol);
        }
        gal_arena_release(&arena);
        gal_package_close(p);
    }
}

static void a_difference_says_whose_golden_cases_are_wrong(void **state)
{
    struct gal_diff d = {.count = 0};
    struct gal_arena arena;
    struct gal_err err;
    (void)state;
    put_package("a");
    put_package("b");
    put_text("b/golden.json", "{\"cases\":1}");
    gal_arena_init(&arena, 4096, 0, 1u << 20);
    assert_int_equal(compare(&d, &arena, &err), GAL_INVALID);
    assert_non_null(strstr(err.place, "/b/golden.json"));
    gal_arena_release(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_is_a_package_of_what_its_manifest_names),
        TEST(a_package_goes_to_a_file_and_back),
        TEST(the_digest_of_a_directory_is_that_of_its_file),
        TEST(equal_files_give_equal_bytes),
        TEST(what_is_missing_is_named),
        TEST(files_that_do_not_belong_into_a_package_are_refused),
        TEST(a_sealed_directory_is_held_against_its_seal),
        TEST(progress_goes_from_nothing_to_all),
        TEST(external_data_belongs_to_the_package),
        TEST(flipped_bits_are_found),
        TEST(differences_are_all_told_or_none),
        TEST(failures_leave_nothing_behind),
        TEST(golden_cases_are_read_out_of_a_package),
        TEST(a_difference_says_whose_golden_cases_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
