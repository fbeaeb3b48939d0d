/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- helpers --- */

static const struct gal_config_row *row(enum gal_config_key key)
{
    return &gal_config_rows[key];
}

static uint64_t number(enum gal_config_key key, const char *text)
{
    struct gal_config_value v;
    struct gal_err err;

    if (gal_config_parse(row(key), text, &v, &err) != GAL_OK)
        fail_msg("%s: %s", text, err.message);
    return v.number;
}

/* The value is refused; returns the message (valid until the next call). */
static const char *refused(enum gal_config_key key, const char *text)
{
    static struct gal_err err;
    struct gal_config_value v;

    gal_err_clear(&err);
    assert_int_equal(gal_config_parse(row(key), text, &v, &err), GAL_INVALID);
    return err.message;
}

/* Writes a configuration file of the test's own; returns its name. */
static const char *file_with(const char *text)
{
    static char name[64];
    FILE *f;

    snprintf(name, sizeof(name), "/tmp/galley-test-%ld.yaml", (long)getpid());
    f = fopen(name, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return name;
}

static int set_up(void **state)
{
    struct gal_config *c = calloc(1, sizeof(*c));

    gal_config_init(c);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    gal_config_release(*state);
    free(*state);
    unlink(file_with(""));
    return 0;
}

/* --- values --- */

static void every_default_is_valid_and_keeps_its_text(void **state)
{
    struct gal_config *c = *state;

    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        assert_int_equal(gal_config_rows[i].key, i);
        assert_string_equal(c->values[i].text, gal_config_rows[i].default_text);
        assert_int_equal(c->values[i].source, GAL_FROM_DEFAULT);
    }
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 8080);
    assert_int_equal(c->values[GAL_KEY_MAX_BODY_BYTES].number, 64 << 20);
    assert_int_equal(c->values[GAL_KEY_HEAD_TIMEOUT].number, 10000000);
    assert_int_equal(c->values[GAL_KEY_INLINE_LIMIT].number, 200);
    assert_int_equal(c->values[GAL_KEY_LOG_FORMAT].number, GAL_CONF_FORMAT_AUTO);
    assert_true(c->values[GAL_KEY_ACCESS_LOG].share == 1);
}

static void a_count_is_a_whole_number_within_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(number(GAL_KEY_HTTP_PORT, "0"), 0);
    assert_int_equal(number(GAL_KEY_HTTP_PORT, "65535"), 65535);
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, "65536"), "65536 is out of range 0..65535, off");
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, "99999999999999999999"),
                        "99999999999999999999 is out of range 0..65535, off");
    assert_string_equal(refused(GAL_KEY_MAX_QUEUE_SIZE, "0"), "0 is out of range 1..1000000");
    assert_int_equal(number(GAL_KEY_HTTP_PORT, "off"), GAL_CONF_PORT_OFF);
    assert_string_equal(refused(GAL_KEY_HTTPS_PORT, "on"), "'on' is not a port's number, or off");
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, "80a"), "'80a' is not a port's number, or off");
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, "-1"), "'-1' is not a port's number, or off");
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, ""), "'' is not a port's number, or off");
    assert_string_equal(refused(GAL_KEY_HTTP_PORT, " 80"), "' 80' is not a port's number, or off");
}

static void sizes_have_units_of_1000_and_1024(void **state)
{
    (void)state;
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "65536"), 65536);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "64KB"), 64000);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "64KiB"), 65536);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "64 kib"), 65536);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "10Mi"), 10 << 20);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "1.5MiB"), 3 << 19);
    assert_int_equal(number(GAL_KEY_MAX_BODY_BYTES, "1GiB"), 1 << 30);
    assert_string_equal(refused(GAL_KEY_MAX_BODY_BYTES, "2GiB"), "2GiB is out of range 1KiB..1GiB");
    assert_string_equal(refused(GAL_KEY_MAX_BODY_BYTES, "64 parsecs"),
                        "'64 parsecs' is not a size such as 65536, 64KB or 64KiB");
    refused(GAL_KEY_MAX_BODY_BYTES, "18446744073709551615KiB");
    refused(GAL_KEY_MAX_BODY_BYTES, "1.KiB");
    refused(GAL_KEY_MAX_BODY_BYTES, ".5KiB");
    refused(GAL_KEY_MAX_BODY_BYTES, "1.0000000000KiB");
}

static void a_bare_k_is_refused_with_both_readings(void **state)
{
    struct gal_config_value v;
    struct gal_err err;

    (void)state;
    assert_int_equal(gal_config_parse(row(GAL_KEY_MAX_BODY_BYTES), "64M", &v, &err), GAL_INVALID);
    assert_string_equal(err.hint, "64MB counts in thousands, 64MiB in 1024s");
}

static void times_have_units_and_bare_numbers_are_seconds(void **state)
{
    (void)state;
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "75"), 75000000);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "1ms"), 1000);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "1500us"), 1500);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "0.25s"), 250000);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "2m"), 120000000);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "24h"), 86400000000);
    assert_int_equal(number(GAL_KEY_IDLE_TIMEOUT, "1d"), 86400000000);
    assert_string_equal(refused(GAL_KEY_IDLE_TIMEOUT, "25h"), "25h is out of range 1ms..1d");
    assert_string_equal(refused(GAL_KEY_IDLE_TIMEOUT, "0"), "0 is out of range 1ms..1d");
    assert_string_equal(refused(GAL_KEY_IDLE_TIMEOUT, "soon"),
                        "'soon' is not a time such as 250ms, 10s or 2m");
    assert_string_equal(refused(GAL_KEY_DRAIN_DELAY, "2h"), "2h is out of range 0..1h");
}

static void switches_and_words_are_read_and_checked(void **state)
{
    struct gal_config_value v;

    (void)state;
    assert_int_equal(number(GAL_KEY_COMPRESS, "Yes"), 1);
    assert_int_equal(number(GAL_KEY_COMPRESS, "off"), 0);
    assert_string_equal(refused(GAL_KEY_COMPRESS, "maybe"), "'maybe' is not on or off");
    assert_int_equal(number(GAL_KEY_LOG_LEVEL, "warn"), GAL_LOG_WARN);
    assert_string_equal(refused(GAL_KEY_LOG_LEVEL, "loud"),
                        "'loud' is not a level: debug, info, warn, error or off");
    assert_int_equal(number(GAL_KEY_LOG_FORMAT, "json"), GAL_LOG_JSON);
    refused(GAL_KEY_LOG_FORMAT, "xml");
    number(GAL_KEY_SCHEDULE, "inline");
    assert_string_equal(refused(GAL_KEY_SCHEDULE, "fast"), "'fast' is none of auto|inline|workers");
    assert_int_equal(gal_config_parse(row(GAL_KEY_ACCESS_LOG), "0.01", &v, NULL), GAL_OK);
    assert_true(v.share == 0.01);
    assert_int_equal(gal_config_parse(row(GAL_KEY_ACCESS_LOG), "off", &v, NULL), GAL_OK);
    assert_true(v.share == 0);
    assert_string_equal(refused(GAL_KEY_ACCESS_LOG, "1.5"), "1.5 is out of range 0..1");
    refused(GAL_KEY_ACCESS_LOG, "-0.1");
    refused(GAL_KEY_ACCESS_LOG, "nan");
    refused(GAL_KEY_ACCESS_LOG, "0x1");
    refused(GAL_KEY_ACCESS_LOG, "");
}

static void a_text_has_a_longest_length(void **state)
{
    char text[300];

    (void)state;
    memset(text, 'a', 256);
    text[256] = '\0';
    assert_string_equal(refused(GAL_KEY_HOST, text), "the text is longer than 255 bytes");
    text[255] = '\0';
    number(GAL_KEY_HOST, text);
}

/* --- ranks --- */

static void the_higher_source_wins_in_any_order(void **state)
{
    struct gal_config *c = *state;
    const struct gal_config_row *port = row(GAL_KEY_HTTP_PORT);
    struct gal_err err;

    assert_int_equal(gal_config_set(c, port, GAL_FROM_ENV, "2", "e", &err), GAL_OK);
    assert_int_equal(gal_config_set(c, port, GAL_FROM_FILE, "1", "f", &err), GAL_OK);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 2);
    assert_int_equal(gal_config_set(c, port, GAL_FROM_FLAG, "3", "--p", &err), GAL_OK);
    assert_int_equal(gal_config_set(c, port, GAL_FROM_FLAG, "4", "--p", &err), GAL_OK);
    assert_int_equal(gal_config_set(c, port, GAL_FROM_ENV, "5", "e", &err), GAL_OK);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 4);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].source, GAL_FROM_FLAG);
    assert_string_equal(c->values[GAL_KEY_HTTP_PORT].text, "4");
    /* a wrong value is an error even where it would not count */
    assert_int_equal(gal_config_set(c, port, GAL_FROM_FILE, "x", "galley.yaml:3", &err),
                     GAL_INVALID);
    assert_string_equal(err.place, "galley.yaml:3");
}

static void paths_of_a_higher_source_replace_those_of_a_lower(void **state)
{
    struct gal_config *c = *state;

    gal_config_add_path(c, GAL_FROM_FILE, GAL_STR("a"), NULL);
    gal_config_add_path(c, GAL_FROM_FILE, GAL_STR("b"), NULL);
    assert_int_equal(c->path_count, 2);
    for (int i = 0; i < 20; i++)
        gal_config_add_path(c, GAL_FROM_FLAG, GAL_STR("c"), NULL);
    gal_config_add_path(c, GAL_FROM_ENV, GAL_STR("d"), NULL);
    assert_int_equal(c->path_count, 20);
    assert_string_equal(c->paths[0].path, "c");
    assert_string_equal(c->paths[19].path, "c");
}

/* --- environment --- */

static enum gal_status read_env(struct gal_config *c, const char *variable, struct gal_err *err)
{
    char *copy = strdup(variable), other[] = "PATH=/bin", odd[] = "NOTHING";
    char *const env[] = {other, copy, odd, NULL};
    enum gal_status status = gal_config_read_env(c, env, err);

    free(copy);
    return status;
}

static void the_environment_is_read(void **state)
{
    struct gal_config *c = *state;
    struct gal_err err;

    assert_int_equal(read_env(c, "GALLEY_HTTP_PORT=9000", &err), GAL_OK);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 9000);
    assert_int_equal(read_env(c, "GALLEY_MODELS=a:b::/c", &err), GAL_OK);
    assert_int_equal(c->path_count, 3);
    assert_string_equal(c->paths[2].path, "/c");
    assert_int_equal(read_env(c, "GALLEY_CONFIG=x.yaml", &err), GAL_OK);
    assert_string_equal(c->file, "x.yaml");
    assert_int_equal(read_env(c, "GALLEY_THREADS=many", &err), GAL_INVALID);
    assert_string_equal(err.place, "GALLEY_THREADS");
    assert_string_equal(err.message, "'many' is not a whole number");
}

static void an_empty_variable_counts_as_unset(void **state)
{
    struct gal_config *c = *state;

    assert_int_equal(read_env(c, "GALLEY_HTTP_PORT=", NULL), GAL_OK);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].source, GAL_FROM_DEFAULT);
}

static void a_slip_in_a_variable_is_an_error_and_others_names_are_not(void **state)
{
    struct gal_config *c = *state;
    struct gal_err err;

    assert_int_equal(read_env(c, "GALLEY_HTTP_PROT=9000", &err), GAL_INVALID);
    assert_string_equal(err.place, "GALLEY_HTTP_PROT");
    assert_string_equal(err.message, "unknown setting; did you mean GALLEY_HTTP_PORT?");
    assert_int_equal(read_env(c, "GALLEY_MODEL=x", &err), GAL_INVALID);
    assert_string_equal(err.message, "unknown setting; did you mean GALLEY_MODELS?");
    assert_int_equal(read_env(c, "GALLEY_BIN=/usr/bin/galley", &err), GAL_OK);
    assert_int_equal(read_env(c, "GALLEY_SERVICE_HOST=10.0.0.1", &err), GAL_OK);
}

static void kubernetes_service_links_are_not_settings(void **state)
{
    struct gal_config *c = *state;

    assert_int_equal(read_env(c, "GALLEY_PORT=tcp://10.0.0.1:80", NULL), GAL_OK);
    assert_int_equal(read_env(c, "GALLEY_HTTP_PORT=tcp://10.0.0.1:80", NULL), GAL_OK);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 8080);
}

static void kserve_names_the_model_unless_somebody_else_does(void **state)
{
    struct gal_config *c = *state;

    read_env(c, "INFERENCE_SERVICE_NAME=fraud", NULL);
    assert_string_equal(c->values[GAL_KEY_MODEL_NAME].text, "fraud");
    assert_int_equal(gal_config_read_file(c, file_with("model_name: iris\n"), NULL), GAL_OK);
    assert_string_equal(c->values[GAL_KEY_MODEL_NAME].text, "iris");
    read_env(c, "INFERENCE_SERVICE_NAME=fraud", NULL);
    assert_string_equal(c->values[GAL_KEY_MODEL_NAME].text, "iris");
}

/* --- file --- */

static void a_file_is_read(void **state)
{
    struct gal_config *c = *state;
    struct gal_err err;
    const char *file = file_with("# comment\n"
                                 "models:\n"
                                 "  - a.onnx\n"
                                 "  - \"b c\"\n"
                                 "http_port: 9000\n"
                                 "max-body-bytes: 1MiB\n"
                                 "log_level: warn\n");

    if (gal_config_read_file(c, file, &err) != GAL_OK)
        fail_msg("%s %s", err.place, err.message);
    assert_int_equal(c->path_count, 2);
    assert_string_equal(c->paths[1].path, "b c");
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].number, 9000);
    assert_int_equal(c->values[GAL_KEY_HTTP_PORT].source, GAL_FROM_FILE);
    assert_int_equal(c->values[GAL_KEY_MAX_BODY_BYTES].number, 1 << 20);
    assert_int_equal(c->values[GAL_KEY_LOG_LEVEL].number, GAL_LOG_WARN);
}

/* The file is refused with this place (behind the file's name), message and hint. */
static void check_refused(const char *text, const char *place, const char *message,
                          const char *hint)
{
    const char *file = file_with(text);
    char want[128];
    struct gal_config c;
    struct gal_err err;

    gal_config_init(&c);
    gal_err_clear(&err);
    assert_int_equal(gal_config_read_file(&c, file, &err), GAL_INVALID);
    snprintf(want, sizeof(want), "%s%s", file, place);
    assert_string_equal(err.place, want);
    if (message)
        assert_string_equal(err.message, message);
    if (hint)
        assert_string_equal(err.hint, hint);
    gal_config_release(&c);
}

static void what_is_wrong_in_a_file_is_named_with_its_line(void **state)
{
    (void)state;
    check_refused("host: x\n\nhttp_prot: 1\n", ":3", "http_prot: unknown key",
                  "did you mean http_port?");
    check_refused("port: 1\n", ":1", "port: unknown key", "did you mean http_port?");
    check_refused("model: x\n", ":1", "model: unknown key", "did you mean models?");
    check_refused("xyzzy: 1\n", ":1", "xyzzy: unknown key", NULL);
    check_refused("host: x\nhttp_port: 99999\n", ":2: http_port",
                  "99999 is out of range 0..65535, off", NULL);
    check_refused("http_port:\n", ":1: http_port", "'' is not a port's number, or off", NULL);
    check_refused("http_port: [1]\n", ":1", "http_port: must be one value", NULL);
    check_refused("models: a.onnx\n", ":1",
                  "models: must be a list of paths, each on a line as `- PATH`", NULL);
    check_refused("models:\n  - a\n  - {b: c}\n", ":3",
                  "models: an entry needs a path, as `- path: models/iris`", NULL);
    check_refused("models:\n  - \"\"\n", ":2", "models: must hold paths, or mappings with a path",
                  NULL);
    check_refused("preferred_batch_sizes: [8, 4]\n", ":1: preferred_batch_sizes",
                  "8,4: the numbers must ascend", NULL);
    check_refused("workers: [1, 2]\n", ":1", "workers: must be one value", NULL);
    check_refused("host: \"a\\0b\"\n", ":1", NULL, NULL);
    check_refused("- a\n", ":1", "a configuration is a mapping of keys to values", NULL);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct gal_err err;

    assert_int_equal(gal_config_read_file(*state, "/nowhere/galley.yaml", &err), GAL_NOT_FOUND);
    assert_true(strstr(err.message, "/nowhere/galley.yaml") ||
                strstr(err.place, "/nowhere/galley.yaml"));
}

/* --- names --- */

static void names_are_found_however_they_are_spelt(void **state)
{
    (void)state;
    assert_ptr_equal(gal_config_find(GAL_STR("http-port")), row(GAL_KEY_HTTP_PORT));
    assert_ptr_equal(gal_config_find(GAL_STR("http_port")), row(GAL_KEY_HTTP_PORT));
    assert_ptr_equal(gal_config_find(GAL_STR("HTTP_PORT")), row(GAL_KEY_HTTP_PORT));
    assert_null(gal_config_find(GAL_STR("http_por")));
    assert_null(gal_config_find(GAL_STR("http_portt")));
    assert_null(gal_config_find((struct gal_str){NULL, 0}));
}

static void the_nearest_name_is_one_slip_away(void **state)
{
    char endless[1000];

    (void)state;
    memset(endless, 'h', sizeof(endless));
    assert_string_equal(gal_config_nearest(GAL_STR("http-prot")), "http_port");
    assert_string_equal(gal_config_nearest(GAL_STR("htp_port")), "http_port");
    assert_string_equal(gal_config_nearest(GAL_STR("hots")), "host");
    assert_string_equal(gal_config_nearest(GAL_STR("loglevel")), "log_level");
    assert_string_equal(gal_config_nearest(GAL_STR("max_bodybytes")), "max_body_bytes");
    assert_string_equal(gal_config_nearest(GAL_STR("port")), "http_port");
    assert_string_equal(gal_config_nearest(GAL_STR("tls_certificat")), "tls_certificate");
    assert_null(gal_config_nearest(GAL_STR("authentication")));
    assert_null(gal_config_nearest(GAL_STR("x")));
    assert_null(gal_config_nearest((struct gal_str){NULL, 0}));
    assert_null(gal_config_nearest((struct gal_str){endless, sizeof(endless)}));
    assert_int_equal(gal_name_distance(GAL_STR("model-dir"), "model_dir"), 0);
    assert_int_equal(gal_name_distance(GAL_STR("http_prot"), "http_port"), 1);
}

/* --- failures --- */

static bool read_all(const char *file)
{
    struct gal_config c;
    struct gal_err err;
    enum gal_status status;

    gal_config_init(&c);
    status = gal_config_set(&c, row(GAL_KEY_HOST), GAL_FROM_FLAG, "0.0.0.0", "--host", &err);
    if (status == GAL_OK)
        status = read_env(&c, "GALLEY_MODELS=a:b", &err);
    if (status == GAL_OK)
        status = gal_config_read_file(&c, file, &err);
    gal_config_release(&c);
    assert_true(status == GAL_OK || status == err.code);
    return status == GAL_OK;
}

static void every_failure_of_memory_and_files_is_an_error(void **state)
{
    const char *file = file_with("models: [a]\nhost: y\nlog_level: warn\n");
    bool done = false;

    (void)state;
    for (uint64_t i = 1; !done && i < 1000; i++) {
        gal_alloc_fail_at(i, 1);
        done = read_all(file);
        gal_alloc_fail_at(0, 0);
    }
    assert_true(done);
    done = false;
    for (uint64_t i = 1; !done && i < 100; i++) {
        gal_file_fail_at(i);
        done = read_all(file);
        gal_file_fail_at(0);
    }
    assert_true(done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_default_is_valid_and_keeps_its_text),
        TEST(a_count_is_a_whole_number_within_its_bounds),
        TEST(sizes_have_units_of_1000_and_1024),
        TEST(a_bare_k_is_refused_with_both_readings),
        TEST(times_have_units_and_bare_numbers_are_seconds),
        TEST(switches_and_words_are_read_and_checked),
        TEST(a_text_has_a_longest_length),
        TEST(the_higher_source_wins_in_any_order),
        TEST(paths_of_a_higher_source_replace_those_of_a_lower),
        TEST(the_environment_is_read),
        TEST(an_empty_variable_counts_as_unset),
        TEST(a_slip_in_a_variable_is_an_error_and_others_names_are_not),
        TEST(kubernetes_service_links_are_not_settings),
        TEST(kserve_names_the_model_unless_somebody_else_does),
        TEST(a_file_is_read),
        TEST(what_is_wrong_in_a_file_is_named_with_its_line),
        TEST(a_file_that_is_not_there_is_named),
        TEST(names_are_found_however_they_are_spelt),
        TEST(the_nearest_name_is_one_slip_away),
        TEST(every_failure_of_memory_and_files_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
