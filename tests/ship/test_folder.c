/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on each other, with what they replace and delete. */
#include "ship/folder.h"

#include "base/file_write.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define TAR_LAYER "application/vnd.oci.image.layer.v1.tar"
#define LAYERS_MAX 4u

static char dir[64], layout_path[96], to[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/galley-folder-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(layout_path, sizeof layout_path, "%s/layout", dir);
    snprintf(to, sizeof to, "%s/to", dir);
    return gal_dir_make(to, NULL) == GAL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return gal_dir_remove(dir, NULL) == GAL_OK ? 0 : -1;
}

/* "models/a=text" is a file, "models/d/" a directory, "models/l>target" a link. */
static void put_entry(struct gal_buf *tar, const char *text)
{
    char path[128];
    size_t n = strcspn(text, "=>");
    struct gal_tar_entry e = {.path = path, .type = GAL_TAR_DIR, .mode = 0644};
    snprintf(path, sizeof path, "%.*s", (int)n, text);
    if (text[n] == '=') {
        e.type = GAL_TAR_FILE;
        e.size = strlen(text + n + 1);
    } else if (text[n] == '>') {
        e.type = GAL_TAR_SYMLINK;
        e.target = text + n + 1;
    }
    assert_int_equal(gal_tar_put_header(tar, &e, NULL), GAL_OK);
    if (e.size) {
        gal_buf_puts(tar, text + n + 1);
        gal_tar_put_padding(tar, e.size);
    }
}

static struct gal_oci_descriptor add(struct gal_layout_writer *w, const char *type,
                                     struct gal_buf *bytes)
{
    struct gal_oci_descriptor d = gal_oci_describe(gal_str_of(type), gal_buf_str(bytes));
    assert_int_equal(gal_layout_add(w, &d, gal_buf_str(bytes), NULL), GAL_OK);
    return d;
}

/* An image of these layers; each is a list of entries with a NULL behind, the list too. */
static void make(const char *const *const layers[])
{
    struct gal_oci_descriptor d[LAYERS_MAX];
    struct gal_oci_manifest m = {.media_type = GAL_STR(GAL_OCI_MANIFEST), .layers = d};
    struct gal_layout_writer *w;
    struct gal_buf config, text;
    assert_int_equal(gal_layout_create(layout_path, GAL_LAYOUT_TAR, &w, NULL), GAL_OK);
    gal_buf_init(&config, 1u << 20);
    gal_buf_puts(&config, "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":"
                          "\"layers\",\"diff_ids\":[");
    for (; layers[m.layer_count]; m.layer_count++) {
        struct gal_buf tar;
        gal_buf_init(&tar, 1u << 20);
        for (const char *const *e = layers[m.layer_count]; *e; e++)
            put_entry(&tar, *e);
        gal_tar_put_end(&tar);
        d[m.layer_count] = add(w, TAR_LAYER, &tar);
        gal_buf_printf(&config, "%s\"%s\"", m.layer_count ? "," : "", d[m.layer_count].digest);
        gal_buf_release(&tar);
    }
    gal_buf_puts(&config, "]}}");
    m.config = add(w, GAL_OCI_CONFIG, &config);
    gal_buf_init(&text, 1u << 20);
    gal_oci_manifest_write(&text, &m);
    struct gal_oci_descriptor top = add(w, GAL_OCI_MANIFEST, &text);
    const struct gal_oci_index index = {.manifests = &top, .manifest_count = 1};
    assert_int_equal(gal_layout_finish(w, &index, NULL, NULL, NULL), GAL_OK);
    gal_buf_release(&config);
    gal_buf_release(&text);
}

static enum gal_status extract(size_t *files, struct gal_err *err)
{
    struct gal_layout *layout = NULL;
    struct gal_view view;
    assert_int_equal(gal_dir_remove(to, NULL), GAL_OK);
    assert_int_equal(gal_dir_make(to, NULL), GAL_OK);
    assert_int_equal(gal_layout_open(layout_path, &layout, NULL), GAL_OK);
    assert_int_equal(gal_view_open(layout, NULL, NULL, &view, NULL), GAL_OK);
    enum gal_status status = gal_folder_extract(&view, "models", to, files, err);
    gal_view_release(&view);
    gal_layout_close(layout);
    return status;
}

/* Appends "path=text" of each file, in order. */
static void list(const char *at, const char *inside, struct gal_buf *out)
{
    char **names;
    size_t count;
    assert_int_equal(gal_dir_list(at, &names, &count, NULL), GAL_OK);
    for (size_t i = 0; i < count; i++) {
        char path[256], name[160];
        struct gal_file_info info;
        struct gal_buf text;
        snprintf(path, sizeof path, "%s/%s", at, names[i]);
        assert_int_equal(gal_file_stat(path, &info, NULL), GAL_OK);
        snprintf(name, sizeof name, "%s%s%s", inside, names[i],
                 info.kind == GAL_FILE_DIR ? "/" : "");
        if (info.kind == GAL_FILE_DIR) {
            list(path, name, out);
            continue;
        }
        assert_int_equal(gal_file_read(path, 1000, &text, NULL), GAL_OK);
        gal_buf_printf(out, "%s=%.*s ", name, GAL_STR_ARG(gal_buf_str(&text)));
        gal_buf_release(&text);
    }
    gal_free((void *)names);
}

/* "path=text" of what was extracted. */
static void assert_found(const char *want)
{
    struct gal_buf found;
    gal_buf_init(&found, 1u << 16);
    list(to, "", &found);
    gal_buf_putc(&found, '\0');
    assert_string_equal(found.p, want);
    gal_buf_release(&found);
}

static void assert_extracts(const char *const *const layers[], const char *want)
{
    struct gal_err err;
    size_t files;
    make(layers);
    assert_int_equal(extract(&files, &err), GAL_OK);
    assert_found(want);
}

static void later_layers_replace_and_the_rest_of_the_image_stays_out(void **state)
{
    static const char *const low[] = {"etc/passwd=x",    "models/",    "models/a=old",
                                      "models/d/b=kept", "modelsx=no", NULL};
    static const char *const high[] = {"./models/a=new", "models/d/c=more", NULL};
    (void)state;
    assert_extracts((const char *const *const[]){low, high, NULL}, "a=new d/b=kept d/c=more ");
}

static void whiteouts_hide_what_lies_below_and_no_more(void **state)
{
    static const char *const low[] = {"models/a=1", "models/d/b=2", "models/e/f=3", "models/g=4",
                                      NULL};
    static const char *const middle[] = {"models/.wh.a=", "models/d/n=5", "models/.wh.d=", NULL};
    static const char *const high[] = {"models/e/.wh..wh..opq=", "models/e/h=6", NULL};
    (void)state;
    assert_extracts((const char *const *const[]){low, middle, high, NULL}, "d/n=5 e/h=6 g=4 ");
}

static void a_folder_that_was_deleted_and_made_anew_has_only_the_new(void **state)
{
    static const char *const low[] = {"models/a=1", NULL};
    static const char *const middle[] = {".wh.models=", NULL};
    static const char *const high[] = {"models/", "models/b=2", NULL};
    (void)state;
    assert_extracts((const char *const *const[]){low, middle, high, NULL}, "b=2 ");
}

static void a_file_in_the_place_of_a_folder_and_the_other_way_round(void **state)
{
    static const char *const low[] = {"models/a/x=1", "models/b=2", NULL};
    static const char *const high[] = {"models/a=file", "models/b/y=3", NULL};
    (void)state;
    assert_extracts((const char *const *const[]){low, high, NULL}, "a=file b/y=3 ");
}

static void an_image_without_the_folder_has_no_files(void **state)
{
    static const char *const low[] = {"etc/passwd=x", "model=y", NULL};
    size_t files = 7;
    (void)state;
    make((const char *const *const[]){low, NULL});
    assert_int_equal(extract(&files, NULL), GAL_OK);
    assert_int_equal(files, 0);
}

static void assert_refuses(const char *entry, const char *words)
{
    const char *const low[] = {"models/a=1", entry, NULL};
    struct gal_err err;
    size_t files;
    gal_err_clear(&err);
    make((const char *const *const[]){low, NULL});
    assert_int_not_equal(extract(&files, &err), GAL_OK);
    assert_non_null(strstr(err.message, words));
}

static void what_leads_elsewhere_is_refused(void **state)
{
    struct gal_file_info info;
    char out[160];
    (void)state;
    assert_refuses("models/../../out=x", "elsewhere");
    snprintf(out, sizeof out, "%s/../out", to);
    assert_int_equal(gal_file_stat(out, &info, NULL), GAL_OK);
    assert_int_equal(info.kind, GAL_FILE_NONE);
}

static void a_link_is_refused_unless_a_later_layer_hides_it(void **state)
{
    static const char *const low[] = {"models/l>/etc/passwd", "models/a=1", NULL};
    static const char *const high[] = {"models/l=mine", NULL};
    (void)state;
    assert_extracts((const char *const *const[]){low, high, NULL}, "a=1 l=mine ");
    assert_refuses("models/l>/etc/passwd", "a link");
}

static void the_folder_itself_is_no_file_and_no_link(void **state)
{
    (void)state;
    assert_refuses("models>/etc", "link");
}

static enum gal_status try_at(uint64_t i, bool files)
{
    struct gal_layout *layout = NULL;
    struct gal_view view;
    size_t count;
    assert_int_equal(gal_dir_remove(to, NULL), GAL_OK);
    assert_int_equal(gal_dir_make(to, NULL), GAL_OK);
    assert_int_equal(gal_layout_open(layout_path, &layout, NULL), GAL_OK);
    if (files)
        gal_file_fail_at(i);
    else
        gal_alloc_fail_at(i, 1);
    enum gal_status status = gal_view_open(layout, NULL, NULL, &view, NULL);
    if (!status)
        status = gal_folder_extract(&view, "models", to, &count, NULL);
    gal_file_fail_at(0);
    gal_alloc_fail_at(0, 0);
    gal_view_release(&view);
    gal_layout_close(layout);
    return status;
}

static void whatever_fails_is_an_error_or_all_is_there(void **state)
{
    static const char *const low[] = {"models/a=old", "models/d/b=kept", "models/e/f=3", NULL};
    static const char *const high[] = {"models/a=new", "models/.wh.e=", NULL};
    uint64_t i;
    (void)state;
    make((const char *const *const[]){low, high, NULL});
    for (int files = 0; files < 2; files++) {
        for (i = 1; i < 3000 && try_at(i, files); i++)
            continue;
        assert_in_range(i, 2, 2999); /* it failed at first, and ended */
        assert_found("a=new d/b=kept ");
    }
}

static void a_path_twice_in_a_layer_is_refused_but_for_directories(void **state)
{
    static const char *const twice[] = {"models/a=1", "models/b=2", "models/a=3", NULL};
    static const char *const both[] = {"models/a/", "models/a/b=1", "models/a=3", NULL};
    static const char *const dirs[] = {"models/a/",     "models/a/b=1", "models/a/",
                                       "models/.wh.c=", "models/c=2",   NULL};
    struct gal_err err;
    size_t files;
    (void)state;
    make((const char *const *const[]){twice, NULL});
    assert_int_equal(extract(&files, &err), GAL_INVALID);
    assert_string_equal(err.message, "layer 0 has models/a twice");
    make((const char *const *const[]){both, NULL});
    assert_int_equal(extract(&files, &err), GAL_INVALID);
    make((const char *const *const[]){dirs, NULL});
    assert_int_equal(extract(&files, &err), GAL_OK);
    assert_found("a/b=1 c=2 ");
}

static void layers_are_bounded_together(void **state)
{
    static const char *const one[] = {"models/a=1", NULL}, *const two[] = {"models/b=2", NULL};
    const uint64_t bytes = 512 + 512 + 1024; /* of each: a head, its data, the end */
    struct gal_layout *layout = NULL;
    (void)state;
    make((const char *const *const[]){one, two, NULL});
    assert_int_equal(gal_layout_open(layout_path, &layout, NULL), GAL_OK);
    for (uint64_t missing = 0; missing < 2; missing++) {
        struct gal_view view;
        struct gal_err err;
        size_t files;
        assert_int_equal(gal_dir_remove(to, NULL), GAL_OK);
        assert_int_equal(gal_dir_make(to, NULL), GAL_OK);
        assert_int_equal(gal_view_open(layout, NULL, NULL, &view, NULL), GAL_OK);
        view.unpacked_max = 2 * bytes - missing;
        assert_int_equal(gal_folder_extract(&view, "models", to, &files, &err),
                         missing ? GAL_TOO_LARGE : GAL_OK);
        gal_view_release(&view);
    }
    gal_layout_close(layout);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(later_layers_replace_and_the_rest_of_the_image_stays_out),
        TEST(whiteouts_hide_what_lies_below_and_no_more),
        TEST(a_folder_that_was_deleted_and_made_anew_has_only_the_new),
        TEST(a_file_in_the_place_of_a_folder_and_the_other_way_round),
        TEST(an_image_without_the_folder_has_no_files),
        TEST(what_leads_elsewhere_is_refused),
        TEST(a_link_is_refused_unless_a_later_layer_hides_it),
        TEST(the_folder_itself_is_no_file_and_no_link),
        TEST(a_path_twice_in_a_layer_is_refused_but_for_directories),
        TEST(layers_are_bounded_together),
        TEST(whatever_fails_is_an_error_or_all_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
