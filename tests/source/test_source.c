/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_write.h"
#include "base/mem.h"
#include "source/aws.h"
#include "source/env.h"
#include "source/ini.h"
#include "source/mlflow.h"
#include "source/shelf.h"
#include "source/sigv4.h"
#include "source/source.h"
#include "source/url.h"
#include "source/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void each_kind_is_told_by_its_scheme(void **state)
{
    (void)state;
    assert_int_equal(gal_source_kind(GAL_STR("s3://b/k")), GAL_SOURCE_S3);
    assert_int_equal(gal_source_kind(GAL_STR("models:/a/1")), GAL_SOURCE_MLFLOW);
    assert_int_equal(gal_source_kind(GAL_STR("oci://h/r")), GAL_SOURCE_OCI);
    assert_int_equal(gal_source_kind(GAL_STR("file:///x")), GAL_SOURCE_PATH);
    assert_int_equal(gal_source_kind(GAL_STR("models/a")), GAL_SOURCE_PATH);
    assert_int_equal(gal_source_kind(GAL_STR("")), GAL_SOURCE_PATH);
}

static void parts_of_urls_stand_where_they_belong(void **state)
{
    struct gal_source_url u;
    (void)state;
    assert_int_equal(gal_source_url_parse(GAL_STR("s3://b/a/b c.onnx"), &u, NULL), GAL_OK);
    assert_true(gal_str_is(u.host, "b") && gal_str_is(u.key, "a/b c.onnx") && !u.is_prefix);
    assert_int_equal(gal_source_url_parse(GAL_STR("gs://b"), &u, NULL), GAL_OK);
    assert_true(u.is_prefix && u.key.n == 0);
    assert_int_equal(gal_source_url_parse(GAL_STR("az://acc/con/d/"), &u, NULL), GAL_OK);
    assert_true(gal_str_is(u.container, "con") && gal_str_is(u.key, "d/") && u.is_prefix);
    assert_int_equal(gal_source_url_parse(GAL_STR("models:/a b@champion"), &u, NULL), GAL_OK);
    assert_true(gal_str_is(u.key, "a b") && gal_str_is(u.alias, "champion") && u.version.n == 0);
    assert_int_equal(gal_source_url_parse(GAL_STR("https://h:1/p/m.onnx?sig=1/2"), &u, NULL),
                     GAL_OK);
    assert_true(gal_str_is(u.host, "h:1") && gal_str_is(u.key, "p/m.onnx"));
}

static void a_digest_is_whole_or_an_error(void **state)
{
    char text[128] = "https://h/m#sha256=";
    struct gal_source_url u;
    (void)state;
    memset(text + strlen(text), 'A', 64);
    assert_int_equal(gal_source_url_parse(gal_str_of(text), &u, NULL), GAL_OK);
    assert_int_equal(strspn(u.sha256, "a"), 64);
    assert_true(gal_str_is(u.text, "https://h/m"));
    text[strlen(text) - 1] = '\0';
    assert_int_equal(gal_source_url_parse(gal_str_of(text), &u, NULL), GAL_INVALID);
    assert_int_equal(gal_source_url_parse(GAL_STR("https://h/m#x"), &u, NULL), GAL_INVALID);
}

static void what_is_no_source_says_which_form_it_should_have(void **state)
{
    static const char *const wrong[] = {"s3://",       "s3:///k",       "az://a",    "az://a/",
                                        "https://h",   "https://h/",    "models:/",  "models:/a",
                                        "models:/a/",  "models:/a/b/c", "ftp://h/m", "file://x",
                                        "models://h/", "oci://",        ""};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_source_url u;
        struct gal_err err;
        if (gal_source_url_parse(gal_str_of(wrong[i]), &u, &err) != GAL_INVALID)
            fail_msg("%s is taken", wrong[i]);
        assert_int_not_equal(err.message[0], '\0');
    }
}

static void assert_place(const char *key, bool is_dir, const char *want)
{
    struct gal_buf b;
    gal_buf_init(&b, 1024);
    gal_source_place(&b, gal_str_of(key), is_dir, GAL_STR("bucket"));
    gal_buf_putc(&b, '\0');
    assert_string_equal(b.p, want);
    gal_buf_release(&b);
}

static void names_in_the_cache_keep_what_names_a_model_and_lead_nowhere_else(void **state)
{
    (void)state;
    assert_place("models/fraud/3/model.onnx", false, "fraud/3/model.onnx");
    assert_place("model.onnx", false, "bucket/model.onnx");
    assert_place("models/fraud/", true, "models/fraud");
    assert_place("", true, "bucket");
    assert_place("../../etc/passwd", false, "_./etc/passwd");
    assert_place("a/../..", false, "a/_./_.");
    assert_true(gal_source_name_safe(GAL_STR("a/b.c")));
    assert_false(gal_source_name_safe(GAL_STR("a/../b")));
    assert_false(gal_source_name_safe(GAL_STR("/a")));
    assert_false(gal_source_name_safe(GAL_STR("a/")));
    assert_false(gal_source_name_safe((struct gal_str){"a\0b", 3}));
}

static void what_is_secret_in_a_wrong_url_is_not_quoted(void **state)
{
    static const char *const wrong[] = {"https://me:s3cret@h/x y?token=s3cret",
                                        "https://me:s3cret@h?token=s3cret",
                                        "http://h/dir/?sig=s3cret"};
    char shown[200];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct gal_source_url u;
        struct gal_err err;
        assert_int_equal(gal_source_url_parse(gal_str_of(wrong[i]), &u, &err), GAL_INVALID);
        assert_null(strstr(err.message, "s3cret"));
    }
    assert_string_equal(
        gal_source_shown("HTTPS://me:s3cret@h/m.onnx?t=s3cret", shown, sizeof shown),
        "HTTPS://h/m.onnx");
    assert_string_equal(gal_source_shown("models/m@1.onnx", shown, sizeof shown),
                        "models/m@1.onnx");
}

static void assert_env(const char *want, enum gal_status status, const char *words,
                       char *const *env)
{
    struct gal_arena a;
    struct gal_err err;
    const char *out;
    gal_arena_init(&a, 1024, 0, 65536);
    assert_int_equal(gal_source_from_env(env, &a, &out, &err), status);
    if (want && !status)
        assert_string_equal(out, want);
    if (status && !strstr(err.message, words))
        fail_msg("%s is not in: %s", words, err.message);
    gal_arena_release(&a);
}
#define ENV(...) ((char *const *)(const char *[]){__VA_ARGS__, NULL})

static void the_environment_names_one_source(void **state)
{
    (void)state;
    assert_env(NULL, GAL_OK, NULL, ENV("HOME=/"));
    assert_env("s3://b/m.onnx", GAL_OK, NULL, ENV("MODEL_PATH=s3://b/m.onnx"));
    assert_env("s3://b/models/n/2/model.onnx", GAL_OK, NULL,
               ENV("MODEL_SOURCE=s3", "MODEL_S3_BUCKET=b", "MODEL_NAME=n", "MODEL_VERSION=2"));
    assert_env("s3://b/2.0.0/", GAL_OK, NULL, ENV("MODEL_BUCKET=b", "MODEL_VERSION=2.0.0"));
    assert_env("gs://b/p/2/", GAL_OK, NULL, ENV("MODEL_BUCKET=gs://b/p/", "MODEL_VERSION=2"));
    assert_env("oci://r/n:1", GAL_OK, NULL, ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_NAME=n"));
    assert_env("s3://b/m.onnx", GAL_OK, NULL,
               ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_PATH=s3://b/m.onnx"));
    assert_env("s3://b/2/", GAL_OK, NULL,
               ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_BUCKET=b", "MODEL_VERSION=2"));
    assert_env(
        "s3://b/models/n/2/model.onnx", GAL_OK, NULL,
        ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_S3_BUCKET=b", "MODEL_NAME=n", "MODEL_VERSION=2"));
    assert_env(NULL, GAL_NOT_FOUND, "Baked model not found",
               ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_NAME=n", "MODEL_VERSION=1"));
    assert_env(NULL, GAL_INVALID, "MODEL_VERSION is not set",
               ENV("MODEL_DEFAULT=oci://r/n:1", "MODEL_BUCKET=b"));
    assert_env(NULL, GAL_INVALID, "Unknown MODEL_SOURCE: x", ENV("MODEL_SOURCE=x"));
    assert_env(NULL, GAL_INVALID, "MODEL_VERSION is not set", ENV("MODEL_BUCKET=b"));
    assert_env(
        NULL, GAL_NOT_FOUND,
        "Baked model not found at ./models/n/1/model.onnx. Ensure the model was copied during "
        "docker build.",
        ENV("MODEL_NAME=n", "MODEL_VERSION=1"));
}

static void profiles_are_found_by_their_name(void **state)
{
    const struct gal_str text =
        GAL_STR("; c\n[default]\r\nregion=a\r\n[profile x]\nregion = b = c \n"
                "s3 =\n  region = nested\n[x]\nRegion=d\n[broken\nregion=e\n");
    struct gal_str v;
    (void)state;
    assert_true(gal_ini_get(text, "default", "region", &v) && gal_str_is(v, "a"));
    assert_true(gal_ini_get(text, "x", "region", &v) && gal_str_is(v, "d"));
    assert_false(gal_ini_get(text, "y", "region", &v));
    assert_true(gal_ini_has(text, "x") && !gal_ini_has(text, "profile"));
}

static enum gal_status collect(const char *path, struct gal_str value, void *ctx)
{
    gal_buf_printf(ctx, "%s=%.*s;", path, GAL_STR_ARG(value));
    return GAL_OK;
}

static void elements_end_with_their_path_and_text(void **state)
{
    struct gal_buf b;
    struct gal_err err;
    (void)state;
    gal_buf_init(&b, 4096);
    assert_int_equal(
        gal_xml_read(GAL_STR("<n:A xmlns:n='u'><B>x&amp;y</B><B/></n:A>"), collect, &b, &err),
        GAL_OK);
    assert_true(gal_str_is(gal_buf_str(&b), "A/B=x&y;A/B=;A=;"));
    assert_int_equal(gal_xml_read(GAL_STR("<A><B></A>"), collect, &b, &err), GAL_INVALID);
    assert_int_equal(
        gal_xml_read(GAL_STR("<!DOCTYPE A [<!ENTITY e 'x'>]><A>&e;</A>"), collect, &b, &err),
        GAL_INVALID);
    assert_non_null(strstr(err.message, "document types"));
    gal_buf_release(&b);
}

/* Made by botocore's S3SigV4Auth for the same request at the same instant. */
static void a_signature_is_what_awss_own_library_makes(void **state)
{
    const struct gal_aws_keys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                      "tok/en=="};
    const struct gal_sigv4 how = {&keys, "eu-central-1", "s3", 1440938160000000u};
    struct gal_sigv4_headers h;
    struct gal_arena a;
    (void)state;
    gal_arena_init(&a, 4096, 0, 65536);
    assert_int_equal(
        gal_sigv4_sign(&how, "GET",
                       GAL_STR("https://b.example:9000/a%20b/c%2Bd.onnx?list-type=2&prefix=x%2Fy"),
                       &a, &h, NULL),
        GAL_OK);
    assert_string_equal(h.date, "20150830T123600Z");
    assert_string_equal(
        h.authorization,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
        "Signature=9745bfcaabe67ebd603e429e162c76d9f7c8e5fabaaf6910776586e5a281e3dd");
    gal_arena_release(&a);
}

static void keys_come_out_of_answers_or_not_at_all(void **state)
{
    struct gal_aws_keys k;
    struct gal_arena a;
    (void)state;
    gal_arena_init(&a, 4096, 0, 65536);
    assert_int_equal(gal_aws_keys_read(GAL_STR("{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}"),
                                       &a, &k, NULL),
                     GAL_OK);
    assert_true(strcmp(k.id, "a") == 0 && strcmp(k.secret, "b") == 0 && !k.token);
    assert_int_equal(gal_aws_keys_read(GAL_STR("{}"), &a, &k, NULL), GAL_INVALID);
    assert_int_equal(
        gal_aws_sts_read(
            GAL_STR("<R><X><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b"
                    "</SecretAccessKey><SessionToken>c</SessionToken></Credentials></X></R>"),
            &a, &k, NULL),
        GAL_OK);
    assert_string_equal(k.token, "c");
    assert_int_equal(gal_aws_sts_read(GAL_STR("<R/>"), &a, &k, NULL), GAL_INVALID);
    gal_arena_release(&a);
}

static void a_model_of_mlflow_is_its_onnx_flavor(void **state)
{
    const char *out;
    struct gal_arena a;
    struct gal_err err;
    (void)state;
    gal_arena_init(&a, 4096, 0, 1 << 20);
    assert_int_equal(
        gal_mlmodel_read(GAL_STR("flavors:\n  onnx:\n    data: m.onnx\n    code: null\n"), &a, &out,
                         &err),
        GAL_OK);
    assert_string_equal(out, "m.onnx");
    assert_int_equal(
        gal_mlmodel_read(GAL_STR("flavors:\n  sklearn:\n    data: m.pkl\n"), &a, &out, &err),
        GAL_UNSUPPORTED);
    assert_non_null(strstr(err.message, "sklearn"));
    assert_int_equal(
        gal_mlmodel_read(GAL_STR("flavors:\n  onnx:\n    data: ../m.onnx\n"), &a, &out, &err),
        GAL_INVALID);
    gal_arena_release(&a);
}

static void fetch_into(const char *root, const char *key, size_t bytes, struct gal_shelf_hold *h)
{
    char path[512], data[4096] = "";
    assert_int_equal(gal_shelf_take(root, key, h, NULL), GAL_OK);
    assert_false(h->complete);
    assert_int_equal(gal_shelf_begin(h, "s3://b/k", NULL), GAL_OK);
    assert_int_equal(gal_shelf_room(root, h, bytes, 8192, NULL), GAL_OK);
    (void)snprintf(path, sizeof path, "%s/data", h->part);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(gal_shelf_finish(h, "s3://b/k", NULL), GAL_OK);
    assert_true(h->complete);
}

static void what_is_held_stays_and_what_is_not_makes_room(void **state)
{
    char *root;
    struct gal_shelf_hold a, b, c;
    struct gal_shelf_entry *list;
    size_t count;
    struct gal_err err;
    (void)state;
    assert_int_equal(gal_dir_make_temporary("shelf", &root, NULL), GAL_OK);
    fetch_into(root, "a", 3000, &a);
    fetch_into(root, "b", 3000, &b);
    assert_int_equal(gal_shelf_take(root, "c", &c, &err), GAL_OK);
    assert_int_equal(gal_shelf_room(root, &c, 9000, 8192, &err), GAL_TOO_LARGE);
    assert_int_equal(gal_shelf_room(root, &c, 3000, 8192, &err), GAL_TOO_LARGE); /* both are held */
    assert_int_equal(gal_shelf_remove(root, "a", &err), GAL_CONFLICT);
    gal_shelf_release(&a);
    assert_int_equal(gal_shelf_room(root, &c, 3000, 8192, &err), GAL_OK);
    gal_shelf_release(&c);
    assert_int_equal(gal_shelf_list(root, &list, &count, &err), GAL_OK);
    for (size_t i = 0; i < count; i++) {
        assert_string_not_equal(list[i].key, "a");
        if (strcmp(list[i].key, "b") == 0)
            assert_true(list[i].complete && list[i].in_use &&
                        strcmp(list[i].origin, "s3://b/k") == 0);
    }
    gal_free(list);
    char *files = gal_shelf_files(root, "b");
    assert_memory_equal(files, b.dir, strlen(b.dir));
    assert_string_equal(files + strlen(b.dir), "/" GAL_SHELF_FILES);
    gal_free(files);
    gal_shelf_release(&b);
    assert_int_equal(gal_shelf_remove(root, "b", &err), GAL_OK);
    assert_int_equal(gal_shelf_remove(root, "b", &err), GAL_NOT_FOUND);
    gal_dir_remove_temporary(root);
}

/* A process that removes may be killed at any file: what is left is whole, or known not to be. */
static void a_removal_that_is_cut_off_leaves_nothing_that_looks_whole(void **state)
{
    char *root, path[512];
    size_t whole = 0, cut = 0;
    (void)state;
    assert_int_equal(gal_dir_make_temporary("shelf", &root, NULL), GAL_OK);
    for (uint64_t n = 1; n < 60; n++) {
        struct gal_shelf_hold h;
        assert_int_equal(gal_shelf_take(root, "k", &h, NULL), GAL_OK);
        if (!h.complete) {
            assert_int_equal(gal_shelf_begin(&h, "s3://b/k", NULL), GAL_OK);
            assert_int_equal(gal_shelf_restart(&h, NULL), GAL_OK); /* nothing of before is in it */
            for (int i = 0; i < 3; i++) {
                (void)snprintf(path, sizeof path, "%s/%d", h.part, i);
                assert_int_equal(gal_file_put(path, GAL_STR("x"), NULL), GAL_OK);
            }
            assert_int_equal(gal_shelf_finish(&h, "s3://b/k", NULL), GAL_OK);
        }
        gal_shelf_release(&h);
        gal_file_fail_at(n);
        enum gal_status status = gal_shelf_remove(root, "k", NULL);
        gal_file_fail_at(0);
        assert_int_equal(gal_shelf_take(root, "k", &h, NULL), GAL_OK);
        size_t files = 0;
        for (int i = 0; h.complete && i < 3; i++) {
            (void)snprintf(path, sizeof path, "%s/%d", h.dir, i);
            files += access(path, F_OK) == 0;
        }
        assert_int_equal(files, h.complete ? 3 : 0);
        whole += h.complete;
        cut += status != GAL_OK && !h.complete;
        gal_shelf_release(&h);
    }
    assert_true(whole > 0 && cut > 1); /* both ways were gone */
    gal_dir_remove_temporary(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_by_its_scheme),
        cmocka_unit_test(parts_of_urls_stand_where_they_belong),
        cmocka_unit_test(a_digest_is_whole_or_an_error),
        cmocka_unit_test(what_is_no_source_says_which_form_it_should_have),
        cmocka_unit_test(what_is_secret_in_a_wrong_url_is_not_quoted),
        cmocka_unit_test(names_in_the_cache_keep_what_names_a_model_and_lead_nowhere_else),
        cmocka_unit_test(the_environment_names_one_source),
        cmocka_unit_test(profiles_are_found_by_their_name),
        cmocka_unit_test(elements_end_with_their_path_and_text),
        cmocka_unit_test(a_signature_is_what_awss_own_library_makes),
        cmocka_unit_test(keys_come_out_of_answers_or_not_at_all),
        cmocka_unit_test(a_model_of_mlflow_is_its_onnx_flavor),
        cmocka_unit_test(what_is_held_stays_and_what_is_not_makes_room),
        cmocka_unit_test(a_removal_that_is_cut_off_leaves_nothing_that_looks_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
