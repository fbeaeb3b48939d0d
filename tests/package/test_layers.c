/* SPDX-License-Identifier: Apache-2.0 */
/* Packages that others have made, with good or bad intentions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "oci/compress.h"
#include "oci/tar.h"
#include "package/folder.h"
#include "package/pack.h"

#include <stdio.h>

#define YAML "galley: 1\nname: fraud\nversion: 1.0.0\nmodel: model.onnx\n"
#define RAW(role) "application/vnd.cncf.model." role ".v1.raw"
#define TAR(role) "application/vnd.cncf.model." role ".v1.tar"

struct layer {
    const char *media_type, *filepath; /* filepath NULL: not annotated */
    struct gal_str bytes;
    uint64_t size; /* told instead of the true one; 0: the true one */
};

static struct gal_oci_manifest artifact(void)
{
    return (struct gal_oci_manifest){
        .artifact_type = GAL_STR("application/vnd.cncf.model.manifest.v1+json"),
        .config =
            gal_oci_describe(GAL_STR("application/vnd.cncf.model.config.v1+json"), GAL_STR("{}"))};
}

/* Writes p.galley. `m`: artifact type, config; layers are filled in. */
static void make_as(struct gal_oci_manifest m, const struct layer *layers, size_t count)
{
    static struct gal_oci_descriptor d[8];
    static struct gal_oci_annotation a[8];
    struct gal_layout_writer *w;
    struct gal_buf text;
    assert_int_equal(gal_layout_create(in_folder("p.galley"), GAL_LAYOUT_TAR, &w, NULL), GAL_OK);
    for (size_t i = 0; i < count; i++) {
        d[i] = gal_oci_describe(gal_str_of(layers[i].media_type), layers[i].bytes);
        assert_int_equal(gal_layout_add(w, &d[i], layers[i].bytes, NULL), GAL_OK);
        a[i] = (struct gal_oci_annotation){GAL_STR("org.cncf.model.filepath"),
                                           gal_str_of(layers[i].filepath)};
        d[i].annotations = &a[i];
        d[i].annotation_count = layers[i].filepath != NULL;
        d[i].size = layers[i].size ? layers[i].size : d[i].size;
    }
    m.layers = d;
    m.layer_count = count;
    gal_buf_init(&text, 1u << 20);
    gal_oci_manifest_write(&text, &m);
    struct gal_oci_descriptor top = gal_oci_describe(GAL_STR(GAL_OCI_MANIFEST), gal_buf_str(&text));
    assert_int_equal(gal_layout_add(w, &top, gal_buf_str(&text), NULL), GAL_OK);
    struct gal_oci_descriptor config = m.config;
    assert_int_equal(gal_layout_add(w, &config, GAL_STR("{}"), NULL), GAL_OK);
    const struct gal_oci_index index = {.manifests = &top, .manifest_count = 1};
    assert_int_equal(gal_layout_finish(w, &index, NULL, NULL, NULL), GAL_OK);
    gal_buf_release(&text);
}

static void make(const struct layer *layers, size_t count)
{
    make_as(artifact(), layers, count);
}

/* It does not open, for this reason, and nothing comes to be. */
static void refused(const char *words)
{
    struct gal_package *p;
    struct gal_err err;
    size_t names = count_names();
    enum gal_status status = gal_package_open(in_folder("p.galley"), &p, &err);
    assert_null(p);
    assert_int_not_equal(status, GAL_OK);
    if (!strstr(err.message, words) || !strstr(err.message, "p.galley: "))
        fail_msg("%s: %s", words, err.message);
    assert_int_equal(count_names(), names);
}

static struct layer raw(const char *media_type, const char *filepath, const char *text)
{
    return (struct layer){media_type, filepath, gal_str_of(text), 0};
}

static void layers_that_are_files_are_files(void **state)
{
    (void)state;
    const struct layer layers[] = {
        raw(RAW("weight"), "model.onnx", "weights"), raw(RAW("weight.config"), "galley.yaml", YAML),
        raw(RAW("dataset"), "data/train.csv", "a,b\n"),
        raw(RAW("code"), "same.py", "weights"), /* one blob, two files */
    };
    static const enum gal_file_role roles[] = {GAL_ROLE_DATA, GAL_ROLE_CONFIG, GAL_ROLE_WEIGHT,
                                               GAL_ROLE_CODE};
    struct gal_package *p;
    make(layers, 4);
    assert_int_equal(gal_package_open(in_folder("p.galley"), &p, NULL), GAL_OK);
    assert_int_equal(p->file_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(p->files[i].role, roles[i]);
    assert_int_equal(gal_package_check(p, 2, NULL, NULL, NULL), GAL_OK);
    assert_int_equal(gal_unpack(p, in_folder("out"), NULL), GAL_OK);
    assert_true(is_there("out/data/train.csv"));
    assert_true(is_there("out/.galley/manifest.json"));
    gal_package_close(p);
}

static void layers_with_faults_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct layer layer;
        const char *words;
    } rows[] = {
        {{RAW("weight"), "../evil", {"x", 1}, 0},
         "p.galley: \"../evil\" is no name of a file in a package"},
        {{RAW("weight"), "/etc/cron.d/evil", {"x", 1}, 0},
         "p.galley: \"/etc/cron.d/evil\" is no name of a file in a package"},
        {{RAW("weight"), "a/../../evil", {"x", 1}, 0},
         "p.galley: \"a/../../evil\" is no name of a file in a package"},
        {{RAW("weight"), "a\\n", {"x", 1}, 0}, NULL},
        {{RAW("weight"), "a/", {"x", 1}, 0}, "p.galley: \"a/\" is no name of a file in a package"},
        {{RAW("weight"), ".galley/manifest.json", {"x", 1}, 0},
         "p.galley: \".galley/manifest.json\": .galley is galley's own"},
        {{RAW("weight"), NULL, {"x", 1}, 0},
         "p.galley: layer 2: it has no annotation org.cncf.model.filepath"},
        {{RAW("weight"), "galley.yaml", {"x", 1}, 0}, "p.galley: \"galley.yaml\" is there twice"},
        {{RAW("weight"), "galley.yaml/a", {"x", 1}, 0},
         "p.galley: \"galley.yaml\" is both a file and a directory"},
        {{"application/vnd.cncf.model.weight.v2.raw", "a", {"x", 1}, 0},
         "p.galley: layer 2: \"application/vnd.cncf.model.weight.v2.raw\" is not the media type of "
         "a "
         "model's layer"},
        {{"text/plain", "a", {"x", 1}, 0},
         "p.galley: layer 2: \"text/plain\" is not the media type of a model's layer"},
        {{RAW("weight"), "a", {"x", 1}, UINT64_C(1) << 60},
         "has 1 bytes, 1152921504606846976 were promised"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct layer layers[] = {raw(RAW("weight"), "model.onnx", "weights"),
                                 raw(RAW("weight.config"), "galley.yaml", YAML), rows[i].layer};
        make(layers, 3);
        if (rows[i].words)
            refused(rows[i].words);
    }
}

static void what_the_manifest_names_has_to_be_there(void **state)
{
    (void)state;
    const struct layer no_model = raw(RAW("weight.config"), "galley.yaml", YAML);
    const struct layer no_yaml = raw(RAW("weight"), "model.onnx", "weights");
    const struct layer bad[] = {raw(RAW("weight.config"), "galley.yaml", "name: [\n"), no_yaml};
    struct gal_package *p;
    make(&no_model, 1);
    refused("p.galley: model.onnx, the model, is missing");
    make(&no_yaml, 1);
    refused("p.galley: there is no galley.yaml in it");
    assert_int_equal(gal_package_open_bare(in_folder("p.galley"), &p, NULL), GAL_OK);
    assert_null(p->manifest);
    assert_int_equal(gal_unpack(p, in_folder("bare"), NULL), GAL_OK);
    gal_package_close(p);
    assert_true(is_there("bare/model.onnx"));
    make(NULL, 0);
    refused("p.galley: there is no galley.yaml in it");
    struct gal_err err;
    make(bad, 2);
    assert_int_equal(gal_package_open(in_folder("p.galley"), &p, &err), GAL_INVALID);
    assert_non_null(strstr(err.place, "p.galley/galley.yaml:"));
}

static void other_artifacts_are_not_packages(void **state)
{
    (void)state;
    const struct layer layer = raw(RAW("weight"), "model.onnx", "weights");
    struct gal_oci_manifest m = {.config =
                                     gal_oci_describe(GAL_STR(GAL_OCI_CONFIG), GAL_STR("{}"))};
    make_as(m, &layer, 1);
    refused("p.galley: no model package: it is \"application/vnd.oci.image.config.v1+json\"");
    m = artifact();
    m.artifact_type = GAL_STR("application/vnd.example");
    make_as(m, &layer, 1);
    refused("p.galley: no model package: it is \"application/vnd.example\"");
}

/* --- tars --- */

struct entry {
    const char *path;
    enum gal_tar_type type;
    const char *target, *text;
};

static struct gal_buf tar_of(const struct entry *entries, size_t count, enum gal_compression kind)
{
    struct gal_buf tar, out;
    struct gal_compressor *c;
    gal_buf_init(&tar, 1u << 20);
    gal_buf_init(&out, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        struct gal_str text = gal_str_of(entries[i].text);
        const struct gal_tar_entry e = {.path = entries[i].path,
                                        .type = entries[i].type,
                                        .target = entries[i].target,
                                        .mode = 0644,
                                        .size = text.n};
        assert_int_equal(gal_tar_put_header(&tar, &e, NULL), GAL_OK);
        gal_buf_put_str(&tar, text);
        gal_tar_put_padding(&tar, text.n);
    }
    gal_tar_put_end(&tar);
    assert_int_equal(gal_compressor_new(kind, 0, &c, NULL), GAL_OK);
    assert_int_equal(gal_compress(c, gal_buf_str(&tar), true, &out, NULL), GAL_OK);
    gal_compressor_free(c);
    gal_buf_release(&tar);
    return out;
}

static void tars_of_files_are_read(void **state)
{
    (void)state;
    static const struct {
        enum gal_compression kind;
        const char *type;
    } rows[] = {{GAL_COMPRESS_NONE, TAR("weight")},
                {GAL_COMPRESS_GZIP, TAR("weight") "+gzip"},
                {GAL_COMPRESS_ZSTD, TAR("weight") "+zstd"}};
    static const struct entry entries[] = {{"sub", GAL_TAR_DIR, NULL, NULL},
                                           {"sub/a.bin", GAL_TAR_FILE, NULL, "aaaa"},
                                           {"./model.onnx", GAL_TAR_FILE, NULL, "weights"},
                                           {"empty", GAL_TAR_FILE, NULL, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_package *p;
        struct gal_err err;
        struct gal_str bytes;
        struct gal_buf tar = tar_of(entries, 4, rows[i].kind);
        const struct layer layers[] = {raw(RAW("weight.config"), "galley.yaml", YAML),
                                       {rows[i].type, "sub", gal_buf_str(&tar), 0}};
        make(layers, 2);
        gal_buf_release(&tar);
        if (gal_package_open(in_folder("p.galley"), &p, &err) != GAL_OK)
            fail_msg("%s", err.message);
        assert_int_equal(p->file_count, 4);
        const struct gal_package_file *f = gal_package_find(p, GAL_STR("model.onnx"));
        assert_non_null(f);
        assert_int_equal(f->role, GAL_ROLE_WEIGHT);
        assert_int_equal(gal_package_bytes(p, f, &bytes, NULL), GAL_OK);
        assert_true(gal_str_is(bytes, "weights"));
        assert_int_equal(gal_package_check(p, 2, NULL, NULL, NULL), GAL_OK);
        char out[8];
        snprintf(out, sizeof out, "out%zu", i);
        assert_int_equal(gal_unpack(p, in_folder(out), NULL), GAL_OK);
        gal_package_close(p);
        /* Not sealed: no file has a digest of its own. It is a package to be packed anew. */
        assert_int_equal(gal_package_open(in_folder(out), &p, &err), GAL_OK);
        assert_false(p->is_sealed);
        gal_package_close(p);
    }
    assert_int_equal(count_names(), 4);
}

static void tars_with_faults_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct entry entry;
        const char *words;
    } rows[] = {
        {{"../../evil", GAL_TAR_FILE, NULL, "x"},
         "p.galley: \"../../evil\" is no name of a file in a package"},
        {{"/etc/evil", GAL_TAR_FILE, NULL, "x"},
         "p.galley: \"/etc/evil\" is no name of a file in a package"},
        {{"link", GAL_TAR_SYMLINK, "/etc/passwd", NULL},
         "p.galley: layer 1: \"link\" is a link to \"/etc/passwd\""},
        {{"hard", GAL_TAR_HARDLINK, "model.onnx", NULL},
         "p.galley: layer 1: \"hard\" is a link to \"model.onnx\""},
        {{"model.onnx", GAL_TAR_FILE, NULL, "again"}, "p.galley: \"model.onnx\" is there twice"},
        {{"galley.yaml", GAL_TAR_FILE, NULL, "again"}, "p.galley: \"galley.yaml\" is there twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int gzip = 0; gzip < 2; gzip++) {
            const struct entry entries[] = {{"model.onnx", GAL_TAR_FILE, NULL, "weights"},
                                            rows[i].entry};
            struct gal_buf tar = tar_of(entries, 2, gzip ? GAL_COMPRESS_GZIP : GAL_COMPRESS_NONE);
            const struct layer layers[] = {
                raw(RAW("weight.config"), "galley.yaml", YAML),
                {gzip ? TAR("weight") "+gzip" : TAR("weight"), "w", gal_buf_str(&tar), 0}};
            make(layers, 2);
            refused(rows[i].words);
            gal_buf_release(&tar);
        }
    }
}

/* 200 MiB of zeros in a tar in some hundred KiB. */
static void bombs_go_off_in_a_bounded_place(void **state)
{
    (void)state;
    for (int kind = GAL_COMPRESS_GZIP; kind <= GAL_COMPRESS_ZSTD; kind++) {
        static char zeros[1u << 20];
        struct gal_buf head, out;
        struct gal_compressor *c;
        const struct gal_tar_entry e = {.path = "model.onnx", .mode = 0644, .size = 200u << 20};
        gal_buf_init(&head, 4096);
        gal_buf_init(&out, 8u << 20);
        assert_int_equal(gal_tar_put_header(&head, &e, NULL), GAL_OK);
        assert_int_equal(gal_compressor_new((enum gal_compression)kind, 1, &c, NULL), GAL_OK);
        assert_int_equal(gal_compress(c, gal_buf_str(&head), false, &out, NULL), GAL_OK);
        for (int i = 0; i < 200; i++)
            assert_int_equal(
                gal_compress(c, (struct gal_str){zeros, sizeof zeros}, i == 199, &out, NULL),
                GAL_OK);
        gal_compressor_free(c);
        assert_true(out.n < 1u << 20);
        const struct layer layers[] = {
            raw(RAW("weight.config"), "galley.yaml", YAML),
            {kind == GAL_COMPRESS_GZIP ? TAR("weight") "+gzip" : TAR("weight") "+zstd", "w",
             gal_buf_str(&out), 0}};
        make(layers, 2);
        char words[96];
        snprintf(words, sizeof words, "p.galley: layer 1: more than %zu bytes come out of it",
                 ((size_t)64 << 20) + out.n * 64);
        refused(words);
        gal_buf_release(&head);
        gal_buf_release(&out);
    }
}

static void compressed_layers_that_end_early_are_refused(void **state)
{
    (void)state;
    static const struct entry entry = {"model.onnx", GAL_TAR_FILE, NULL, "weights"};
    for (int kind = GAL_COMPRESS_GZIP; kind <= GAL_COMPRESS_ZSTD; kind++) {
        struct gal_buf tar = tar_of(&entry, 1, (enum gal_compression)kind);
        for (size_t n = 1; n < tar.n; n += 5) {
            const struct layer layers[] = {
                raw(RAW("weight.config"), "galley.yaml", YAML),
                {kind == GAL_COMPRESS_GZIP ? TAR("weight") "+gzip" : TAR("weight") "+zstd",
                 "w",
                 {tar.p, n},
                 0}};
            make(layers, 2);
            refused("p.galley: layer 1: ");
        }
        gal_buf_release(&tar);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(layers_that_are_files_are_files),
        TEST(layers_with_faults_are_refused),
        TEST(what_the_manifest_names_has_to_be_there),
        TEST(other_artifacts_are_not_packages),
        TEST(tars_of_files_are_read),
        TEST(tars_with_faults_are_refused),
        TEST(bombs_go_off_in_a_bounded_place),
        TEST(compressed_layers_that_end_early_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
