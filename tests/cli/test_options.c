/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_run.h"
#include "cli/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *const no_env[] = {NULL};

/* A command line that was parsed. */
struct parsed {
    struct gal_cli cli;
    char *copy, *errors;
    char *argv[32];
    FILE *stream;
    size_t size;
    int code;
};

static void parse(struct parsed *p, const struct gal_command *command, const char *line)
{
    char *rest;
    int argc = 0;

    memset(p, 0, sizeof(*p));
    p->copy = rest = strdup(line);
    p->stream = open_memstream(&p->errors, &p->size);
    p->cli = (struct gal_cli){.command = command, .err = p->stream, .env = no_env};
    gal_arena_init(&p->cli.arena, 4096, 0, 1 << 20);
    for (char *arg; (arg = strsep(&rest, " ")) && argc < 32;)
        p->argv[argc++] = arg;
    p->code = gal_options_parse(&p->cli, argc, p->argv);
    fflush(p->stream);
}

static void parsed_release(struct parsed *p)
{
    fclose(p->stream);
    gal_arena_release(&p->cli.arena);
    free(p->errors);
    free(p->copy);
}

/* Port that `galley serve LINE` would listen on. */
static uint64_t port_of(const char *line)
{
    struct parsed p;
    struct gal_config c;
    uint64_t port;

    parse(&p, &gal_command_serve, line);
    assert_int_equal(p.code, GAL_EXIT_OK);
    gal_config_init(&c);
    assert_int_equal(gal_cli_config(&p.cli, &c, NULL), GAL_OK);
    port = c.values[GAL_KEY_HTTP_PORT].number;
    gal_config_release(&c);
    parsed_release(&p);
    return port;
}

static void an_option_has_many_spellings(void **state)
{
    static const char *const lines[] = {
        "--http-port 9000",  "--http-port=9000",
        "--http_port=9000",  "--HTTP_PORT=9000",
        "--port 9000",       "--port=9000",
        "-p 9000",           "-p9000",
        "-p=9000",           "x --http-port 9000 y",
        "x y --port=9000",   "-p 1 --http_port=9000",
        "-p 9000 -- --port", "--http-port=1 --port=9000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(port_of(lines[i]), 9000);
}

static void what_follows_two_dashes_is_an_operand(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, &gal_command_serve, "a - -- --http-port -x");
    assert_int_equal(p.code, GAL_EXIT_OK);
    assert_int_equal(p.cli.operand_count, 4);
    assert_string_equal(p.cli.operands[1], "-");
    assert_string_equal(p.cli.operands[2], "--http-port");
    assert_string_equal(p.cli.operands[3], "-x");
    parsed_release(&p);
}

static void a_value_may_be_empty_or_begin_with_a_dash(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, &gal_command_predict, "m --data= --model -x");
    assert_int_equal(p.code, GAL_EXIT_OK);
    assert_string_equal(gal_cli_value(&p.cli, "data"), "");
    assert_string_equal(gal_cli_value(&p.cli, "model"), "-x");
    assert_false(gal_cli_has(&p.cli, "raw"));
    parsed_release(&p);
}

static void of_two_values_the_later_counts(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, &gal_command_predict, "m -d a --data=b -dc --raw");
    assert_string_equal(gal_cli_value(&p.cli, "data"), "c");
    assert_true(gal_cli_has(&p.cli, "raw"));
    parsed_release(&p);
}

static void a_wrong_command_line_says_what_is_wrong(void **state)
{
    static const struct {
        const struct gal_command *command;
        const char *line, *error;
    } cases[] = {
        {&gal_command_serve, "--http-prot 1",
         "serve: --http-prot: unknown option; did you mean --http-port?\nsee: galley help serve\n"},
        {&gal_command_serve, "--prot=1", "--prot: unknown option; did you mean --port?\n"},
        {&gal_command_serve, "--xyzzy", "serve: --xyzzy: unknown option\n"},
        {&gal_command_serve, "-z", "serve: -z: unknown option\n"},
        {&gal_command_serve, "--http-port", "--http-port: a value is missing: --http-port PORT\n"},
        {&gal_command_serve, "--http-port --host x", "--http-port: a value is missing"},
        {&gal_command_serve, "-p", "serve: -p: a value is missing"},
        {&gal_command_serve, "--http_port=99999",
         "serve: --http_port: 99999 is out of range 0..65535, off\nsee: galley help serve\n"},
        {&gal_command_serve, "-p x", "serve: -p: 'x' is not a port's number, or off\n"},
        {&gal_command_serve, "--schedule=fast", "'fast' is none of auto|inline|workers\n"},
        {&gal_command_inspect, "--json=1 x", "inspect: --json: takes no value\n"},
        {&gal_command_inspect, "-hx", "inspect: -hx: -h takes no value\n"},
        {&gal_command_inspect, "", "inspect: SOURCE is missing\n"},
        {&gal_command_predict, "a b c", "predict: 'c' is one argument too many\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p;
        const char *line = cases[i].line;
        parse(&p, cases[i].command, line);
        if (!*line) { /* no argument, not an empty one */
            parsed_release(&p);
            struct run r = cli_run(cases[i].command->name);
            assert_int_equal(r.code, GAL_EXIT_USAGE);
            assert_non_null(strstr(r.err, cases[i].error));
            run_release(&r);
            continue;
        }
        assert_int_equal(p.code, GAL_EXIT_USAGE);
        if (!strstr(p.errors, cases[i].error))
            fail_msg("%s: %s", line, p.errors);
        parsed_release(&p);
    }
}

static void help_wins_over_missing_operands(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, &gal_command_predict, "--help");
    assert_int_equal(p.code, GAL_EXIT_OK);
    assert_true(p.cli.help_wanted);
    parsed_release(&p);
}

static void every_row_is_an_option_of_serve(void **state)
{
    struct gal_option_view o;
    size_t rows = 0;

    (void)state;
    for (size_t i = 0; gal_option_at(&gal_command_serve, i, &o); i++) {
        rows += o.row != NULL;
        assert_null(strchr(o.name, '_'));
        assert_true((o.row == NULL) != (o.own == NULL));
    }
    assert_int_equal(rows, GAL_KEY_COUNT);
}

static void no_two_options_of_a_command_share_a_letter_or_a_name(void **state)
{
    struct gal_option_view a, b;

    (void)state;
    for (size_t c = 0; gal_commands[c]; c++) {
        for (size_t i = 0; gal_option_at(gal_commands[c], i, &a); i++) {
            for (size_t j = i + 1; gal_option_at(gal_commands[c], j, &b); j++) {
                assert_string_not_equal(a.name, b.name);
                assert_true(a.letter == '\0' || a.letter != b.letter);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_has_many_spellings),
        cmocka_unit_test(what_follows_two_dashes_is_an_operand),
        cmocka_unit_test(a_value_may_be_empty_or_begin_with_a_dash),
        cmocka_unit_test(of_two_values_the_later_counts),
        cmocka_unit_test(a_wrong_command_line_says_what_is_wrong),
        cmocka_unit_test(help_wins_over_missing_operands),
        cmocka_unit_test(every_row_is_an_option_of_serve),
        cmocka_unit_test(no_two_options_of_a_command_share_a_letter_or_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
