/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery, pages, the explorer's files, metrics. */
#include "api/assets.h"
#include "api/desk.h"
#include "api/links.h"
#include "text/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct desk_model models[] = {
    {"<b>&\"x", "1", "input x FP32 [-1,1]\noutput y FP32 [-1,1]\n"},
    {"bad", "1", "load_fails the <file> is broken\n"},
    {"iris", "2", "input x FP32 [-1,4]\noutput y FP32 [-1,4]\n"},
    {"iris", "1", "input x FP32 [-1,4]\noutput y FP32 [-1,4]\n"},
    {"late", "1", NULL},
};

static struct desk d;

static int start(void **state)
{
    (void)state;
    desk_open(&d, models, sizeof(models) / sizeof(*models), false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    desk_close(&d);
    return 0;
}

static int get_as(const char *target, enum gal_known_header header, const char *value)
{
    d.req.known[header] = gal_str_of(value);
    return desk_ask(&d, GAL_METHOD_GET, target, NULL);
}

static void has(const char *part)
{
    if (strstr(d.body.p, part) == NULL)
        fail_msg("no %s in %s", part, d.body.p);
}

static void machines_get_a_discovery_document(void **state)
{
    static const char *const accepts[] = {"", "*/*", "application/json",
                                          "application/json, text/html", "text/plain"};
    yyjson_val *root, *model;

    (void)state;
    for (size_t i = 0; i < sizeof(accepts) / sizeof(*accepts); i++) {
        assert_int_equal(get_as("/", GAL_HDR_ACCEPT, accepts[i]), 200);
        assert_string_equal(desk_header(&d, "Content-Type"), "application/json");
        desk_next(&d);
    }
    get_as("/", GAL_HDR_ACCEPT, "*/*");
    assert_int_equal(
        gal_json_read((struct gal_str){d.body.p, d.body.n - 1}, &d.x.arena, 64, &root, NULL),
        GAL_OK);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "status")), "alive");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/urls/health_ready")),
                        "/health/ready");
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "models")), 4);
    model = yyjson_ptr_get(root, "/models/2");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(model, "name")), "iris");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(model, "version")), "2");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(model, "/versions/1")), "1");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(model, "/inputs/0/datatype")), "FP32");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(model, "/urls/v1_version_predict_batch")),
                        "/v1/models/iris/versions/2/predict/batch");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/models/1/state")), "FAILED");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/models/1/reason")),
                        "the <file> is broken");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/models/3/state")), "LOADING");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/models/0/urls/oip_model")),
                        "/v2/models/%3Cb%3E%26%22x");
    desk_next(&d);
}

static void browsers_get_a_page_in_which_names_are_text(void **state)
{
    (void)state;
    get_as("/", GAL_HDR_ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_string_equal(desk_header(&d, "Content-Type"), "text/html; charset=utf-8");
    assert_non_null(strstr(desk_header(&d, "Content-Security-Policy"), "default-src 'none'"));
    has("href=\"/docs\"");
    has("href=\"/metrics\"");
    has("&lt;b&gt;&amp;&quot;x");
    has("the &lt;file&gt; is broken");
    has("href=\"/v2/models/iris\"");
    assert_null(strstr(d.body.p, "<b>"));
    assert_null(strstr(d.body.p, "<script"));
    assert_null(strstr(d.body.p, "http://"));
    desk_next(&d);
}

static void the_explorer_comes_from_here_alone(void **state)
{
    (void)state;
    assert_int_equal(get_as("/docs", GAL_HDR_ACCEPT, "text/html"), 200);
    assert_string_equal(desk_header(&d, "Content-Type"), "text/html; charset=utf-8");
    assert_null(strstr(d.body.p, "//"));
    assert_non_null(strstr(desk_header(&d, "Content-Security-Policy"), "default-src 'none'"));
    if (gal_asset_swagger_ui_js_size > 0)
        has("/docs/swagger-ui-bundle.js");
    else
        has("/openapi.json");
    desk_next(&d);
}

static void files_of_the_explorer_are_packed_for_who_takes_it(void **state)
{
    (void)state;
    assert_int_equal(get_as("/docs/explorer.js", GAL_HDR_ACCEPT_ENCODING, "gzip, br"), 200);
    assert_string_equal(desk_header(&d, "Content-Encoding"), "gzip");
    assert_string_equal(desk_header(&d, "Content-Type"), "text/javascript; charset=utf-8");
    assert_int_equal(d.x.resp.body_bytes, gal_asset_explorer_js_size);
    assert_memory_equal(d.body.p, "\x1f\x8b", 2);
    desk_next(&d);
    assert_int_equal(get_as("/docs/explorer.js", GAL_HDR_ACCEPT_ENCODING, "identity"), 200);
    assert_null(desk_header(&d, "Content-Encoding"));
    has("SwaggerUIBundle(");
    has("validatorUrl: null");
    desk_next(&d);
    assert_int_equal(get_as("/docs/nothing.js", GAL_HDR_ACCEPT, "*/*"), 404);
    desk_next(&d);
}

static void metrics_are_prometheus_text(void **state)
{
    (void)state;
    d.process.in_flight = 3;
    d.process.connections = 5;
    assert_int_equal(get_as("/metrics", GAL_HDR_ACCEPT, "*/*"), 200);
    assert_string_equal(desk_header(&d, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    has("http_requests_in_flight 3\n");
    has("http_connections 5\n");
    has("process_start_time_seconds ");
    assert_int_equal(d.body.p[d.body.n - 2], '\n');
    desk_next(&d);
}

static void paths_are_encoded_by_segment(void **state)
{
    struct gal_buf out;

    (void)state;
    gal_buf_init(&out, 1024);
    gal_link_put_path(&out, &gal_routes[GAL_ROUTE_OIP_INFER_VERSION], GAL_STR("a/b c\xc3\xa9~"),
                      GAL_STR("1.0"));
    gal_buf_putc(&out, '\0');
    assert_string_equal(out.p, "/v2/models/a%2Fb%20c%C3%A9~/versions/1.0/infer");
    gal_buf_clear(&out, 1024);
    gal_link_put_path(&out, &gal_routes[GAL_ROUTE_DOCS_ASSET], GAL_STR("m"), GAL_STR("1"));
    gal_buf_putc(&out, ' ');
    gal_link_put_id(&out, &gal_routes[GAL_ROUTE_V1_MODEL_PREDICT]);
    gal_buf_putc(&out, '\0');
    assert_string_equal(out.p, "/docs/{asset} v1_model_predict");
    gal_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_get_a_discovery_document),
        cmocka_unit_test(browsers_get_a_page_in_which_names_are_text),
        cmocka_unit_test(the_explorer_comes_from_here_alone),
        cmocka_unit_test(files_of_the_explorer_are_packed_for_who_takes_it),
        cmocka_unit_test(metrics_are_prometheus_text),
        cmocka_unit_test(paths_are_encoded_by_segment),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
