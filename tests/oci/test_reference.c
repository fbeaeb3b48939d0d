/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define D "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

static void references_are_split_as_docker_splits_them(void **state)
{
    static const struct {
        const char *text, *host, *repository, *tag, *digest;
    } rows[] = {
        {"fraud", "docker.io", "library/fraud", "latest", ""},
        {"me/fraud:2", "docker.io", "me/fraud", "2", ""},
        {"localhost/fraud", "localhost", "fraud", "latest", ""},
        {"localhost:5000/models/fraud:2.1.0", "localhost:5000", "models/fraud", "2.1.0", ""},
        {"oci://R.Example.com/a/b/c", "r.example.com", "a/b/c", "latest", ""},
        {"r.example.com/a@" D, "r.example.com", "a", "", D},
        {"r.example.com/a:1@" D, "r.example.com", "a", "1", D},
        {"[::1]:5000/a:1", "[::1]:5000", "a", "1", ""},
        {"10.0.0.1/a__b/c-d.e--f:_x", "10.0.0.1", "a__b/c-d.e--f", "_x", ""},
        {"index.docker.io/me/a", "docker.io", "me/a", "latest", ""},
        {"docker.io/a", "docker.io", "library/a", "latest", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gal_reference r, again;
        char text[GAL_REFERENCE_SIZE];
        assert_int_equal(gal_reference_parse(gal_str_of(rows[i].text), &r, NULL), GAL_OK);
        assert_string_equal(r.host, rows[i].host);
        assert_string_equal(r.repository, rows[i].repository);
        assert_string_equal(r.tag, rows[i].tag);
        assert_string_equal(r.digest, rows[i].digest);
        gal_reference_text(&r, text, sizeof text);
        assert_int_equal(gal_reference_parse(gal_str_of(text), &again, NULL), GAL_OK);
        assert_memory_equal(&r, &again, sizeof r);
    }
}

static void what_is_no_reference_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "missing"},
        {"oci://", "missing"},
        {"r.example.com/", "not a reference"},
        {"r.example.com/Fraud", "capital"},
        {"r.example.com/a//b", "not a reference"},
        {"r.example.com/a..b", "not a reference"},
        {"r.example.com/a___b", "not a reference"},
        {"r.example.com/-a", "not a reference"},
        {"r.example.com/a_", "not a reference"},
        {"r.example.com/../etc", "not a reference"},
        {"r.example.com/a:", "a tag has"},
        {"r.example.com/a:-b", "a tag has"},
        {"r.example.com/a:b:c", "a tag has"},
        {"r.example.com/a@sha256:12", "behind @"},
        {"r.example.com/a@md5:44136fa355b3678a1146ad16f7e8649e", "behind @"},
        {"r.example.com:0/a", "host"},
        {"r.example.com:99999/a", "host"},
        {"r.example.com:80:80/a", "host"},
        {"-r.example.com/a", "host"},
        {"[::1/a:1", "host"},
        {"[]:5000/a", "host"},
        {"user@r.example.com/a", "host"},
        {"r.example.com/a b", "not a reference"},
        {"https://r.example.com/a", "host"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gal_reference r;
        struct gal_err err;
        if (gal_reference_parse(gal_str_of(rows[i].text), &r, &err) != GAL_INVALID)
            fail_msg("%s is taken", rows[i].text);
        if (!strstr(err.message, rows[i].why))
            fail_msg("%s: %s", rows[i].text, err.message);
        assert_true(err.hint[0] != '\0');
    }
}

static void lengths_have_ends(void **state)
{
    char text[400];
    struct gal_reference r;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "h.io/", 5);
    assert_int_equal(gal_reference_parse((struct gal_str){text, 5 + 255}, &r, NULL), GAL_OK);
    assert_int_equal(gal_reference_parse((struct gal_str){text, 5 + 256}, &r, NULL), GAL_INVALID);
    memcpy(text, "h.io/a:", 7);
    assert_int_equal(gal_reference_parse((struct gal_str){text, 7 + 128}, &r, NULL), GAL_OK);
    assert_int_equal(gal_reference_parse((struct gal_str){text, 7 + 129}, &r, NULL), GAL_INVALID);
    memset(text, 'a', sizeof text);
    text[256] = '.', text[260] = '/';
    assert_int_equal(gal_reference_parse((struct gal_str){text, 300}, &r, NULL), GAL_INVALID);
    assert_int_equal(gal_reference_parse((struct gal_str){"h.io/a\0b", 8}, &r, NULL), GAL_INVALID);
}

static void this_machine_is_known(void **state)
{
    static const char *const here[] = {"localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9",
                                       "[::1]",     "[::1]:80",       "a.localhost:80"};
    static const char *const there[] = {"localhost.example.com",
                                        "127.0.0.1.example.com",
                                        "128.0.0.1",
                                        "1270.0.0.1",
                                        "127.0.0",
                                        "[::12]",
                                        "example.com",
                                        "127.0.0.1.2"};
    (void)state;
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        assert_true(gal_registry_host_is_loopback(here[i]));
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_false(gal_registry_host_is_loopback(there[i]));
}

static void hosts_are_named_in_many_ways(void **state)
{
    char host[256];
    (void)state;
    assert_int_equal(gal_registry_host_parse(GAL_STR("https://index.docker.io/v1/"), host, NULL),
                     GAL_OK);
    assert_string_equal(host, "docker.io");
    assert_int_equal(gal_registry_host_parse(GAL_STR("GHCR.io"), host, NULL), GAL_OK);
    assert_string_equal(host, "ghcr.io");
    assert_int_equal(gal_registry_host_parse(GAL_STR("http://h:1/"), host, NULL), GAL_OK);
    assert_string_equal(host, "h:1");
    assert_int_equal(gal_registry_host_parse(GAL_STR(""), host, NULL), GAL_INVALID);
    assert_int_equal(gal_registry_host_parse(GAL_STR("a b"), host, NULL), GAL_INVALID);
    assert_int_equal(gal_registry_host_parse(GAL_STR("me@h"), host, NULL), GAL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_split_as_docker_splits_them),
        cmocka_unit_test(what_is_no_reference_is_refused_with_a_reason),
        cmocka_unit_test(lengths_have_ends),
        cmocka_unit_test(this_machine_is_known),
        cmocka_unit_test(hosts_are_named_in_many_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
