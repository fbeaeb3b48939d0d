/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct gal_challenge parse(const char *text)
{
    struct gal_challenge c = {.kind = GAL_CHALLENGE_NONE};
    gal_challenge_parse(gal_str_of(text), &c);
    return c;
}

static void what_docker_asks_for_is_read(void **state)
{
    (void)state;
    struct gal_challenge c =
        parse("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
              "scope=\"repository:a/b:pull,push\",error=\"invalid_token\"");
    assert_int_equal(c.kind, GAL_CHALLENGE_BEARER);
    assert_string_equal(c.realm, "https://auth.docker.io/token");
    assert_string_equal(c.service, "registry.docker.io");
    assert_string_equal(c.scope, "repository:a/b:pull,push");
    assert_string_equal(c.error, "invalid_token");
    c = parse("basic  realm = \"a \\\"b\\\\\" , charset=UTF-8");
    assert_int_equal(c.kind, GAL_CHALLENGE_BASIC);
    assert_string_equal(c.realm, "a \"b\\");
    assert_int_equal(parse("Basic").kind, GAL_CHALLENGE_BASIC);
}

static void of_several_the_best_counts(void **state)
{
    static const char *const texts[] = {
        "Basic realm=\"a\", Bearer realm=\"https://t\"",
        "Bearer realm=\"https://t\", Basic realm=\"a\"",
        "Digest realm=\"x\", nonce=\"y\", , Bearer realm=\"https://t\"",
        "Negotiate, Bearer realm=\"https://t\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct gal_challenge c = parse(texts[i]);
        assert_int_equal(c.kind, GAL_CHALLENGE_BEARER);
        assert_string_equal(c.realm, "https://t");
    }
    struct gal_challenge c = parse("Bearer realm=\"https://t\"");
    gal_challenge_parse(GAL_STR("Basic realm=\"later\""), &c);
    assert_int_equal(c.kind, GAL_CHALLENGE_BEARER);
}

static void what_cannot_be_read_is_worth_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        ",,,",
        "Bearer",
        "Bearer realm=",
        "Bearer realm=\"open",
        "Bearer realm=\"a\\",
        "Bearer realm=\"a\nb\"",
        "Bearer realm=\"https://a\", realm=\"https://b\"",
        "Bearer service=\"no realm\"",
        "=",
        "\"Bearer\" realm=\"a\"",
    };
    char text[2000] = "Bearer realm=\"";
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(parse(texts[i]).kind, GAL_CHALLENGE_NONE);
    memset(text + strlen(text), 'a', 1024);
    memcpy(text + 14 + 1024, "\"", 2);
    assert_int_equal(parse(text).kind, GAL_CHALLENGE_NONE); /* one too many */
    memcpy(text + 14 + 1023, "\"", 2);
    assert_int_equal(parse(text).kind, GAL_CHALLENGE_BEARER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_docker_asks_for_is_read),
        cmocka_unit_test(of_several_the_best_counts),
        cmocka_unit_test(what_cannot_be_read_is_worth_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
