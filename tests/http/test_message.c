/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "http/coding.h"
#include "http/message.h"
#include "http/url.h"

#include <setjmp.h>

#include <cmocka.h>

static const char *const known[GAL_HDR_COUNT] = {
    [GAL_HDR_HOST] = "Host",
    [GAL_HDR_CONTENT_TYPE] = "Content-Type",
    [GAL_HDR_CONTENT_LENGTH] = "Content-Length",
    [GAL_HDR_CONTENT_ENCODING] = "Content-Encoding",
    [GAL_HDR_ACCEPT] = "Accept",
    [GAL_HDR_ACCEPT_ENCODING] = "Accept-Encoding",
    [GAL_HDR_EXPECT] = "Expect",
    [GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH] = "Inference-Header-Content-Length",
    [GAL_HDR_X_REQUEST_ID] = "X-Request-ID",
    [GAL_HDR_X_CORRELATION_ID] = "X-Correlation-ID",
    [GAL_HDR_TRACEPARENT] = "traceparent",
    [GAL_HDR_TRACESTATE] = "tracestate",
    [GAL_HDR_X_MODEL_VERSION] = "X-Model-Version",
    [GAL_HDR_USER_AGENT] = "User-Agent",
    [GAL_HDR_X_REQUEST_TIMEOUT_MS] = "X-Request-Timeout-Ms",
    [GAL_HDR_X_REQUEST_PRIORITY] = "X-Request-Priority",
    [GAL_HDR_X_ENVOY_TIMEOUT_MS] = "x-envoy-expected-rq-timeout-ms",
    [GAL_HDR_GRPC_TIMEOUT] = "grpc-timeout",
    [GAL_HDR_GRPC_ENCODING] = "grpc-encoding",
    [GAL_HDR_GRPC_ACCEPT_ENCODING] = "grpc-accept-encoding",
    [GAL_HDR_CE_ID] = "ce-id",
    [GAL_HDR_CE_SOURCE] = "ce-source",
    [GAL_HDR_CE_SPECVERSION] = "ce-specversion",
    [GAL_HDR_CE_TYPE] = "ce-type",
};

static void every_known_header_is_found_in_any_case(void **state)
{
    (void)state;
    for (int h = 0; h < GAL_HDR_COUNT; h++) {
        char name[64];
        size_t n = strlen(known[h]);
        assert_int_equal(gal_known_header_find(gal_str_of(known[h])), h);
        for (size_t i = 0; i <= n; i++) {
            char c = known[h][i];
            name[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        assert_int_equal(gal_known_header_find((struct gal_str){name, n}), h);
        name[n / 2] = '?'; /* one byte off */
        assert_int_equal(gal_known_header_find((struct gal_str){name, n}), GAL_HDR_COUNT);
        assert_int_equal(gal_known_header_find((struct gal_str){known[h], n - 1}), GAL_HDR_COUNT);
    }
}

static void other_headers_are_not_known(void **state)
{
    static const char *const names[] = {
        "", "a", "hos", "hosu", "date", "cookie", "x-requestXid", "content\rtype", "connection"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(gal_known_header_find(gal_str_of(names[i])), GAL_HDR_COUNT);
}

static void methods_and_reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(gal_method_name(GAL_METHOD_GET), "GET");
    assert_string_equal(gal_method_name(GAL_METHOD_OPTIONS), "OPTIONS");
    assert_string_equal(gal_method_name(GAL_METHOD_OTHER), "OTHER");
    for (int m = 0; m < GAL_METHOD_COUNT; m++)
        assert_non_null(gal_method_name((enum gal_method)m));
    assert_string_equal(gal_http_reason(200), "OK");
    assert_string_equal(gal_http_reason(799), "Unknown");
    /* Every status that an error may become has a reason. */
    for (int s = 0; s < GAL_STATUS_COUNT; s++)
        assert_string_not_equal(gal_http_reason(gal_status_http((enum gal_status)s)), "Unknown");
}

/* --- URLs --- */

static void escapes_are_decoded(void **state)
{
    static const struct {
        const char *in;
        bool plus;
        const char *out; /* NULL: refused */
    } rows[] = {
        {"plain", false, "plain"},     {"", false, ""},           {"a%20b", false, "a b"},
        {"%41%4a%4A", false, "AJJ"},   {"a+b", false, "a+b"},     {"a+b%2B", true, "a b+"},
        {"%C3%A9", false, "\xc3\xa9"}, {"100%25", false, "100%"}, {"%", false, NULL},
        {"%4", false, NULL},           {"a%4", false, NULL},      {"%4g", false, NULL},
        {"%g4", false, NULL},          {"%00", false, NULL},      {"a%%41", false, NULL},
        {"%2541", false, "%41"},
    };
    (void)state;
    struct gal_arena arena;
    gal_arena_init(&arena, 4096, 4096, 1u << 20);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gal_str out = {NULL, 0};
        struct gal_err err;
        enum gal_status status =
            gal_url_decode(gal_str_of(rows[i].in), rows[i].plus, &arena, &out, &err);
        assert_int_equal(status, rows[i].out ? GAL_OK : GAL_INVALID);
        if (rows[i].out)
            assert_true(gal_str_is(out, rows[i].out));
    }
    gal_arena_release(&arena);
}

static void what_has_no_escapes_is_not_copied(void **state)
{
    (void)state;
    struct gal_arena arena;
    struct gal_str in = GAL_STR("iris-2.0_x"), out;
    gal_arena_init(&arena, 4096, 4096, 1u << 20);
    assert_int_equal(gal_url_decode(in, false, &arena, &out, NULL), GAL_OK);
    assert_ptr_equal(out.p, in.p);
    assert_int_equal(arena.used, 0);
    gal_arena_release(&arena);
}

static void a_query_gives_its_values(void **state)
{
    (void)state;
    struct gal_arena arena;
    struct gal_str out;
    struct gal_str query = GAL_STR("a=1&b=x%20y+z&c&d=&%65=esc&a=2&bad=%zz&eq=a=b");
    gal_arena_init(&arena, 4096, 4096, 1u << 20);
    assert_true(gal_query_get(query, "a", &arena, &out));
    assert_true(gal_str_is(out, "1"));
    assert_true(gal_query_get(query, "b", &arena, &out));
    assert_true(gal_str_is(out, "x y z"));
    assert_true(gal_query_get(query, "c", &arena, &out));
    assert_int_equal(out.n, 0);
    assert_true(gal_query_get(query, "d", &arena, &out));
    assert_int_equal(out.n, 0);
    assert_true(gal_query_get(query, "e", &arena, &out));
    assert_true(gal_str_is(out, "esc"));
    assert_true(gal_query_get(query, "eq", &arena, &out));
    assert_true(gal_str_is(out, "a=b"));
    assert_false(gal_query_get(query, "bad", &arena, &out));
    assert_false(gal_query_get(query, "f", &arena, &out));
    assert_false(gal_query_get((struct gal_str){NULL, 0}, "a", &arena, &out));
    gal_arena_release(&arena);
}

/* --- codings --- */

static void codings_have_names(void **state)
{
    (void)state;
    assert_int_equal(gal_coding_parse((struct gal_str){NULL, 0}), GAL_CODING_IDENTITY);
    assert_int_equal(gal_coding_parse(GAL_STR(" GZIP ")), GAL_CODING_GZIP);
    assert_int_equal(gal_coding_parse(GAL_STR("x-gzip")), GAL_CODING_GZIP);
    assert_int_equal(gal_coding_parse(GAL_STR("deflate")), GAL_CODING_DEFLATE);
    assert_int_equal(gal_coding_parse(GAL_STR("identity")), GAL_CODING_IDENTITY);
    assert_int_equal(gal_coding_parse(GAL_STR("br")), GAL_CODING_UNKNOWN);
    assert_int_equal(gal_coding_parse(GAL_STR("gzip, gzip")), GAL_CODING_UNKNOWN);
    for (int c = 0; c < GAL_CODING_UNKNOWN; c++)
        assert_int_equal(gal_coding_parse(gal_str_of(gal_coding_name((enum gal_coding)c))), c);
}

static void the_client_s_wishes_choose_the_coding(void **state)
{
    static const struct {
        const char *accept;
        enum gal_coding want;
    } rows[] = {
        {NULL, GAL_CODING_IDENTITY},
        {"", GAL_CODING_IDENTITY},
        {"gzip", GAL_CODING_GZIP},
        {"deflate", GAL_CODING_DEFLATE},
        {"gzip, deflate, br", GAL_CODING_GZIP},
        {"deflate, gzip", GAL_CODING_GZIP},
        {"deflate, gzip;q=0.9", GAL_CODING_DEFLATE},
        {"gzip;q=0", GAL_CODING_IDENTITY},
        {"gzip;q=0.000, deflate;q=0.001", GAL_CODING_DEFLATE},
        {"gzip ; q=0.5 , identity;q=0.6", GAL_CODING_IDENTITY},
        {"identity, gzip", GAL_CODING_GZIP},
        {"gzip;q=0.5", GAL_CODING_GZIP},
        {"*", GAL_CODING_GZIP},
        {"gzip;q=0, *", GAL_CODING_DEFLATE},
        {"*;q=0", GAL_CODING_IDENTITY},
        {"br, zstd", GAL_CODING_IDENTITY},
        {"gzip;q=x", GAL_CODING_IDENTITY},
        {"gzip;q=2", GAL_CODING_IDENTITY},
        {"gzip;level=9;Q=1.0", GAL_CODING_GZIP},
        {",,;,gzip,", GAL_CODING_GZIP},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(gal_coding_choose(gal_str_of(rows[i].accept)), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_header_is_found_in_any_case),
        cmocka_unit_test(other_headers_are_not_known),
        cmocka_unit_test(methods_and_reasons_have_names),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_has_no_escapes_is_not_copied),
        cmocka_unit_test(a_query_gives_its_values),
        cmocka_unit_test(codings_have_names),
        cmocka_unit_test(the_client_s_wishes_choose_the_coding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
