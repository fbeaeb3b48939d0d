/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "oci/descriptor.h"
#include "support/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#define D0 "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define LAYER "{\"mediaType\":\"a/b\",\"digest\":\"" D0 "\",\"size\":3}"
#define MANIFEST(rest) "{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[" LAYER "]" rest "}"

static void a_manifest_is_read_and_written_the_same(void **state)
{
    (void)state;
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"artifactType\":\"a/t\",\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" D0
        "\",\"size\":9223372036854775807},\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"" D0
        "\",\"size\":0,\"artifactType\":\"x\",\"platform\":{\"architecture\":\"arm64\",\"os\":"
        "\"linux\",\"variant\":\"v8\"},\"annotations\":{\"a\":\"1\",\"b\":\"\\\"2\\\"\"}}],"
        "\"subject\":" LAYER ",\"annotations\":{\"k\":\"v\"}}";
    struct gal_oci_manifest m;
    struct gal_buf out;
    struct gal_err err;
    if (gal_oci_manifest_read(gal_str_of(text), &arena, &m, &err) != GAL_OK)
        fail_msg("%s", err.message);
    assert_true(m.config.size == INT64_MAX);
    assert_true(gal_str_is(gal_oci_annotation(&m.layers[0], "b"), "\"2\""));
    assert_int_equal(gal_oci_annotation(&m.layers[0], "c").n, 0);
    assert_true(m.has_subject);
    gal_buf_init(&out, 65536);
    gal_oci_manifest_write(&out, &m);
    assert_true(gal_str_is(gal_buf_str(&out), text));
    gal_buf_release(&out);
}

static void annotations_are_written_sorted(void **state)
{
    (void)state;
    const struct gal_oci_annotation a[] = {
        {GAL_STR("b"), GAL_STR("2")}, {GAL_STR("ab"), GAL_STR("1")}, {GAL_STR("a"), GAL_STR("0")}};
    const struct gal_oci_index x = {.annotations = a, .annotation_count = 3};
    struct gal_buf out;
    gal_buf_init(&out, 65536);
    gal_oci_index_write(&out, &x);
    assert_true(gal_str_is(gal_buf_str(&out),
                           "{\"schemaVersion\":2,\"mediaType\":\"" GAL_OCI_INDEX
                           "\",\"manifests\":[],\"annotations\":{\"a\":\"0\",\"ab\":\"1\",\"b\":"
                           "\"2\"}}"));
    gal_buf_release(&out);
}

static void manifests_with_faults_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "manifest: JSON expected, got nothing"},
        {"[]", "manifest: an object is expected"},
        {"{}", "manifest: schemaVersion: is missing"},
        {"{\"schemaVersion\":1}", "manifest: schemaVersion: only 2 is supported"},
        {"{\"schemaVersion\":2}", "manifest: config: an object is expected"},
        {"{\"schemaVersion\":2,\"schemaVersion\":2}", "manifest: \"schemaVersion\" is there twice"},
        {"{\"schemaVersion\":2,\"config\":" LAYER "}", "manifest: layers: is missing"},
        {"{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":{}}",
         "manifest: layers: a list is expected"},
        {"{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[" LAYER ",5]}",
         "manifest: layers[1]: an object is expected"},
        {"{\"schemaVersion\":2,\"config\":{\"digest\":\"" D0 "\",\"size\":1},\"layers\":[]}",
         "manifest: config.mediaType: is missing"},
        {"{\"schemaVersion\":2,\"config\":" LAYER
         ",\"layers\":[{\"mediaType\":\"a\",\"digest\":\"sha512:00\",\"size\":1}]}",
         "manifest: layers[0].digest: \"sha256:\" and 64 hexadecimal digits are expected"},
        {"{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[{\"mediaType\":\"a\",\"digest\":"
         "\"" D0 "\",\"size\":-1}]}",
         "manifest: layers[0].size: a number of bytes is expected"},
        {"{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[{\"mediaType\":\"a\",\"digest\":"
         "\"" D0 "\",\"size\":18446744073709551615}]}",
         "manifest: layers[0].size: a number of bytes is expected"},
        {"{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[{\"mediaType\":\"a\",\"digest\":"
         "\"" D0 "\",\"size\":1,\"annotations\":{\"a\":1}}]}",
         "manifest: layers[0].annotations: values are strings"},
        {MANIFEST(",\"mediaType\":\"text/plain\""),
         "manifest: mediaType: \"text/plain\" is not a manifest's"},
        {MANIFEST(",\"artifactType\":\"a\\u0000b\""),
         "manifest: artifactType: control characters are not allowed"},
        {MANIFEST(",\"annotations\":{\"a\":\"1\",\"a\":\"2\"}"), "manifest: \"a\" is there twice"},
        {MANIFEST(",\"subject\":{}"), "manifest: subject.mediaType: is missing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct gal_oci_manifest m;
        struct gal_err err;
        assert_int_equal(gal_oci_manifest_read(gal_str_of(rows[i].text), &arena, &m, &err),
                         GAL_INVALID);
        if (strcmp(err.message, rows[i].words) != 0)
            fail_msg("%s\n%s\n%s", rows[i].text, err.message, rows[i].words);
    }
}

static void dockers_words_are_understood(void **state)
{
    (void)state;
    struct gal_oci_manifest m;
    struct gal_oci_index x;
    assert_int_equal(
        gal_oci_manifest_read(
            GAL_STR(MANIFEST(
                ",\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"")),
            &arena, &m, NULL),
        GAL_OK);
    assert_int_equal(gal_oci_index_read(GAL_STR("{\"schemaVersion\":2,\"mediaType\":\"application/"
                                                "vnd.docker.distribution.manifest.list.v2+json\","
                                                "\"manifests\":[" LAYER "]}"),
                                        &arena, &x, NULL),
                     GAL_OK);
    assert_int_equal(x.manifest_count, 1);
}

static void an_index_is_told_from_a_manifest(void **state)
{
    (void)state;
    assert_true(gal_oci_is_index(GAL_STR("{\"manifests\":[]}")));
    assert_true(gal_oci_is_index(GAL_STR("{\"mediaType\":\"" GAL_OCI_INDEX "\"}")));
    assert_false(gal_oci_is_index(GAL_STR(MANIFEST(""))));
    assert_false(
        gal_oci_is_index(GAL_STR("{\"mediaType\":\"" GAL_OCI_MANIFEST "\",\"manifests\":[]}")));
    assert_false(gal_oci_is_index(GAL_STR("nonsense")));
}

static void what_is_too_much_is_refused(void **state)
{
    (void)state;
    struct gal_oci_manifest m;
    struct gal_err err;
    struct gal_buf b;
    gal_buf_init(&b, 32u << 20);
    gal_buf_puts(&b, "{\"schemaVersion\":2,\"config\":" LAYER ",\"layers\":[");
    for (unsigned i = 0; i <= GAL_OCI_LAYERS_MAX; i++)
        gal_buf_puts(&b, i ? "," LAYER : LAYER);
    gal_buf_puts(&b, "]}");
    assert_int_equal(gal_oci_manifest_read(gal_buf_str(&b), &arena, &m, &err), GAL_INVALID);
    assert_string_equal(err.message, "manifest: layers: more than 20000 entries");
    while (b.n <= GAL_OCI_JSON_BYTES_MAX)
        gal_buf_puts(&b, "          ");
    assert_int_equal(gal_oci_manifest_read(gal_buf_str(&b), &arena, &m, &err), GAL_TOO_LARGE);
    gal_buf_clear(&b, SIZE_MAX);
    gal_buf_puts(&b, "{\"schemaVersion\":2");
    for (unsigned i = 0; i <= GAL_OCI_MEMBERS_MAX; i++)
        gal_buf_printf(&b, ",\"k%u\":0", i);
    gal_buf_putc(&b, '}');
    assert_int_equal(gal_oci_manifest_read(gal_buf_str(&b), &arena, &m, &err), GAL_INVALID);
    assert_string_equal(err.message, "manifest: more than 256 members");
    gal_buf_clear(&b, SIZE_MAX);
    gal_buf_puts(&b, "{\"schemaVersion\":2,\"x\":");
    for (unsigned i = 0; i < 100; i++)
        gal_buf_putc(&b, '[');
    assert_int_equal(gal_oci_manifest_read(gal_buf_str(&b), &arena, &m, &err), GAL_INVALID);
    assert_string_equal(err.message, "manifest: JSON is nested deeper than 32 levels");
    gal_buf_release(&b);
}

static void digests_are_those_that_everybody_computes(void **state)
{
    (void)state;
    char digest[GAL_DIGEST_SIZE];
    gal_oci_digest(GAL_STR("{}"), digest);
    assert_string_equal(digest,
                        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_true(gal_oci_digest_valid(gal_str_of(digest)));
    digest[70] = 'A';
    assert_false(gal_oci_digest_valid(gal_str_of(digest)));
    assert_false(gal_oci_digest_valid(GAL_STR("sha256:00")));
    assert_false(gal_oci_digest_valid((struct gal_str){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_read_and_written_the_same),
        cmocka_unit_test(annotations_are_written_sorted),
        cmocka_unit_test(manifests_with_faults_name_the_field),
        cmocka_unit_test(dockers_words_are_understood),
        cmocka_unit_test(an_index_is_told_from_a_manifest),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(digests_are_those_that_everybody_computes),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
