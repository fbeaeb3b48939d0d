/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* The reference in the mirror as text; "none", or the error's message. */
static const char *mirrored(const char *setting, const char *reference)
{
    static char text[GAL_REFERENCE_SIZE];
    static struct gal_err err;
    struct gal_reference ref, out;
    bool there;
    gal_err_clear(&err);
    assert_int_equal(gal_reference_parse(gal_str_of(reference), &ref, NULL), GAL_OK);
    if (gal_mirror_of(setting, &ref, &out, &there, &err))
        return err.message;
    return there ? gal_reference_text(&out, text, sizeof text) : "none";
}

static void the_hosts_own_mirror_is_taken(void **state)
{
    const char *setting = "docker.io=localhost:5000, ghcr.io=harbor.example.com/ghcr,a.b=c.d";
    (void)state;
    assert_string_equal(mirrored(setting, "ghcr.io/models/fraud:2"),
                        "harbor.example.com/ghcr/models/fraud:2");
    assert_string_equal(mirrored(setting, "busybox"), "localhost:5000/library/busybox:latest");
    assert_string_equal(mirrored(setting, "a.b/x@" DIGEST), "c.d/x@" DIGEST);
    assert_string_equal(mirrored(setting, "other.io/x:1"), "none");
    assert_string_equal(mirrored("A.B:443=c.d,a.b:443=e.f", "a.b:443/x:1"), "c.d/x:1");
    assert_string_equal(mirrored(NULL, "a.b/x:1"), "none");
    assert_string_equal(mirrored("", "a.b/x:1"), "none");
}

static void a_wrong_setting_is_told(void **state)
{
    (void)state;
    assert_non_null(strstr(mirrored("a.b", "a.b/x:1"), "HOST=MIRROR is expected"));
    assert_non_null(strstr(mirrored("a.b=mirror", "a.b/x:1"), "with a dot or a port"));
    assert_non_null(strstr(mirrored("a.b=c.d/UPPER", "a.b/x:1"), "no place for repositories"));
    assert_non_null(strstr(mirrored("a.b=", "x.y/x:1"), "HOST=MIRROR is expected"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hosts_own_mirror_is_taken),
        cmocka_unit_test(a_wrong_setting_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
