/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws_handshake.h"

#include <setjmp.h>

#include <cmocka.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static struct gal_http_request request(void)
{
    return (struct gal_http_request){
        .method = GAL_METHOD_GET,
        .version_major = 1,
        .version_minor = 1,
        .header_count = 4,
        .headers = {{GAL_STR("Connection"), GAL_STR("Upgrade")},
                    {GAL_STR("Upgrade"), GAL_STR("websocket")},
                    {GAL_STR("Sec-WebSocket-Version"), GAL_STR("13")},
                    {GAL_STR("Sec-WebSocket-Key"), GAL_STR(KEY)}},
    };
}

static enum gal_status read_it(const struct gal_http_request *r, struct gal_ws_handshake *out)
{
    struct gal_err err = {0};
    enum gal_status st = gal_ws_handshake_read(r, GAL_STR("galley.v1"), out, &err);
    assert_int_equal(st, err.code);
    return st;
}

static void the_example_of_the_rfc(void **state)
{
    struct gal_http_request r = request();
    struct gal_ws_handshake h;
    (void)state;
    assert_int_equal(read_it(&r, &h), GAL_OK);
    assert_string_equal(h.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(h.has_protocol);
}

static void headers_are_lists_without_case(void **state)
{
    struct gal_http_request r = request();
    struct gal_ws_handshake h;
    (void)state;
    r.headers[0] = (struct gal_header){GAL_STR("connection"), GAL_STR("keep-alive, UPGRADE")};
    r.headers[1] = (struct gal_header){GAL_STR("UPGRADE"), GAL_STR("h2c , WebSocket")};
    assert_int_equal(read_it(&r, &h), GAL_OK);
}

static void our_subprotocol_is_found_among_others(void **state)
{
    struct gal_http_request r = request();
    struct gal_ws_handshake h;
    (void)state;
    r.headers[4] = (struct gal_header){GAL_STR("Sec-WebSocket-Protocol"), GAL_STR("chat")};
    r.headers[5] =
        (struct gal_header){GAL_STR("Sec-WebSocket-Protocol"), GAL_STR("soap, galley.v1")};
    r.header_count = 6;
    assert_int_equal(read_it(&r, &h), GAL_OK);
    assert_true(h.has_protocol);
    r.headers[5].value = GAL_STR("Galley.v1"); /* names of subprotocols have case */
    assert_int_equal(read_it(&r, &h), GAL_OK);
    assert_false(h.has_protocol);
}

static void check_header(size_t i, struct gal_str name, struct gal_str value, enum gal_status want)
{
    struct gal_http_request r = request();
    struct gal_ws_handshake h;
    r.headers[i] = (struct gal_header){name, value};
    assert_int_equal(read_it(&r, &h), want);
}

static void what_is_no_handshake(void **state)
{
    struct gal_str key = GAL_STR("Sec-WebSocket-Key"), other = GAL_STR("X-Other");
    struct gal_http_request r = request();
    struct gal_ws_handshake h;
    (void)state;
    check_header(0, other, GAL_STR("Upgrade"), GAL_UPGRADE);
    check_header(0, GAL_STR("Connection"), GAL_STR("close"), GAL_UPGRADE);
    check_header(1, other, GAL_STR("websocket"), GAL_UPGRADE);
    check_header(1, GAL_STR("Upgrade"), GAL_STR("websockets"), GAL_UPGRADE);
    check_header(2, other, GAL_STR("13"), GAL_UPGRADE);
    check_header(2, GAL_STR("Sec-WebSocket-Version"), GAL_STR("8"), GAL_UPGRADE);
    check_header(2, GAL_STR("Sec-WebSocket-Version"), GAL_STR("14"), GAL_UPGRADE);
    check_header(3, other, GAL_STR(KEY), GAL_INVALID);
    check_header(3, key, GAL_STR(""), GAL_INVALID);
    check_header(3, key, GAL_STR("dGhlIHNhbXBsZSBub25jZQ="), GAL_INVALID);
    check_header(3, key, GAL_STR("dGhlIHNhbXBsZSBub25jZQAA"), GAL_INVALID);
    check_header(3, key, GAL_STR("dGhlIHNhbXBsZSBub25j,Q=="), GAL_INVALID);
    r.version_minor = 0;
    assert_int_equal(read_it(&r, &h), GAL_UPGRADE);
    r = request();
    r.method = GAL_METHOD_HEAD;
    assert_int_equal(read_it(&r, &h), GAL_UPGRADE);
    r = request();
    r.body = GAL_STR("x");
    assert_int_equal(read_it(&r, &h), GAL_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(headers_are_lists_without_case),
        cmocka_unit_test(our_subprotocol_is_found_among_others),
        cmocka_unit_test(what_is_no_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
