/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that need no model and no server. */
#include "cli/cli_run.h"
#include "cli/options.h"
#include "cli/print.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

static void check(const char *line, int code, const char *out, const char *err)
{
    struct run r = cli_run(line);

    if (r.code != code || !strstr(r.out, out) || !strstr(r.err, err))
        fail_msg("galley %s: %d\n%s%s", line, r.code, r.out, r.err);
    run_release(&r);
}

static void without_a_command_the_commands_are_listed(void **state)
{
    (void)state;
    check("", GAL_EXIT_USAGE, "", "predict       Ask a model once");
    check("help", GAL_EXIT_OK, "predict       Ask a model once", "");
    check("--help", GAL_EXIT_OK, "predict       Ask a model once", "");
    check("-h", GAL_EXIT_OK, "predict       Ask a model once", "");
}

static void an_unknown_command_is_answered_with_the_nearest(void **state)
{
    (void)state;
    check("sevre", GAL_EXIT_USAGE, "",
          "galley: sevre: unknown command; did you mean serve?\nsee: galley help\n");
    check("xyzzy", GAL_EXIT_USAGE, "", "galley: xyzzy: unknown command\n");
    check("help xyzzy", GAL_EXIT_USAGE, "", "galley: xyzzy: unknown command\n");
}

static void every_command_shows_its_options_and_examples(void **state)
{
    char line[64];
    struct gal_option_view o;

    (void)state;
    for (const struct gal_command *const *c = gal_commands; *c; c++) {
        struct run help, flag;
        snprintf(line, sizeof(line), "help %s", (*c)->name);
        help = cli_run(line);
        snprintf(line, sizeof(line), "%s --help", (*c)->name);
        flag = cli_run(line);
        assert_int_equal(help.code, GAL_EXIT_OK);
        assert_string_equal(help.out, flag.out);
        for (size_t i = 0; gal_option_at(*c, i, &o); i++) {
            snprintf(line, sizeof(line), "--%s", o.name);
            assert_non_null(strstr(help.out, line));
        }
        assert_true((*c)->example_count > 0);
        for (size_t i = 0; i < (*c)->example_count; i++)
            assert_non_null(strstr(help.out, (*c)->examples[i].line));
        for (const char *p = help.out; (p = strchr(p, '\033')); p++)
            fail_msg("colour without a terminal");
        run_release(&help);
        run_release(&flag);
    }
}

static void the_document_about_the_configuration_is_current(void **state)
{
    struct run r = cli_run("help --markdown config");
    FILE *f = fopen("docs/configuration.md", "r");
    char *text = calloc(1, 65536);

    (void)state;
    assert_non_null(f);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    if (strcmp(r.out, text) != 0)
        fail_msg("docs/configuration.md is old; run: build/galley help --markdown config > "
                 "docs/configuration.md");
    free(text);
    run_release(&r);
    check("help --markdown nonsense", GAL_EXIT_USAGE, "", "'nonsense' is no document");
}

static void serve_wants_something_to_serve(void **state)
{
    (void)state;
    check("serve", GAL_EXIT_USAGE, "",
          "galley: serve: nothing to serve: name a model file, a directory of models or a URL "
          "(there is no /models either)\n");
    check("serve /nowhere/model.onnx", GAL_EXIT_FAILURE, "", "galley: serve: /nowhere/model.onnx");
    check("serve --config /nowhere.yaml", GAL_EXIT_FAILURE, "", "galley: serve: /nowhere.yaml: ");
}

static void a_wrong_environment_stops_the_start(void **state)
{
    char port[] = "GALLEY_HTTP_PORT=many";
    char *const env[] = {port, NULL};
    struct run r = cli_run_with("serve x.onnx", env, NULL);

    (void)state;
    assert_int_equal(r.code, GAL_EXIT_FAILURE);
    assert_string_equal(r.err,
                        "galley: serve: GALLEY_HTTP_PORT: 'many' is not a port's number, or off\n");
    run_release(&r);
}

static void the_version_is_there_with_and_without_an_engine(void **state)
{
    (void)state;
    check("version", GAL_EXIT_OK, "galley " GAL_VERSION "\nONNX Runtime ", "");
    check("--version", GAL_EXIT_OK, "galley " GAL_VERSION "\n", "");
    check("version --json", GAL_EXIT_OK, "{\"galley\":\"" GAL_VERSION "\",", "");
}

/* --- completion --- */

static void completion_knows_every_option(void **state)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct gal_option_view o;
    char line[64];

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        struct run r;
        snprintf(line, sizeof(line), "completion %s", shells[s]);
        r = cli_run(line);
        assert_int_equal(r.code, GAL_EXIT_OK);
        for (size_t i = 0; gal_option_at(&gal_command_serve, i, &o); i++) {
            snprintf(line, sizeof(line), "%s%s", s == 2 ? "-l " : "--", o.name);
            assert_non_null(strstr(r.out, line));
        }
        run_release(&r);
    }
    check("completion tcsh", GAL_EXIT_USAGE, "", "tcsh: unknown shell");
    check("completion", GAL_EXIT_USAGE, "", "SHELL is missing");
}

/* What bash offers for the words; the last is the one being typed. */
static void check_bash(const char *words, const char *offered)
{
    char name[] = "/tmp/galley-completion-XXXXXX", command[512], got[1024] = "";
    struct run r = cli_run("completion bash");
    int fd = mkstemp(name), count = 0;
    FILE *bash;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, r.out, strlen(r.out)), strlen(r.out));
    close(fd);
    for (const char *p = words; (p = strchr(p, ' ')); p++)
        count++;
    snprintf(command, sizeof(command),
             "bash -c 'source %s; COMP_WORDS=(galley %s); COMP_CWORD=%d; _galley; "
             "echo -n \"${COMPREPLY[*]}\"'",
             name, words, count + 1);
    bash = popen(command, "r");
    assert_non_null(bash);
    got[fread(got, 1, sizeof(got) - 1, bash)] = '\0';
    assert_int_equal(pclose(bash), 0);
    unlink(name);
    run_release(&r);
    assert_string_equal(got, offered);
}

static void bash_completes_commands_options_values_and_files(void **state)
{
    (void)state;
    check_bash("se", "serve");
    check_bash("serve --log-f", "--log-format");
    check_bash("serve --log-format j", "json");
    check_bash("serve --log-level = w", "warn");
    check_bash("serve --schedule \"\"", "auto inline workers");
    check_bash("serve --http-port \"\"", "");
    check_bash("serve CMakeLis", "CMakeLists.txt");
    check_bash("completion z", "zsh");
    check_bash("help pr", "predict");
}

/* --- printing --- */

static void check_pretty(const char *json, const char *want)
{
    char *got;
    size_t size;
    FILE *f = open_memstream(&got, &size);

    gal_print_json_pretty(f, gal_str_of(json));
    fclose(f);
    assert_string_equal(got, want);
    free(got);
}

static void json_that_fits_stays_on_a_line_and_the_rest_is_laid_out(void **state)
{
    (void)state;
    check_pretty("{\"a\":[1,2],\"b\":\"x, y: \\\"z\\\"\"}",
                 "{\"a\": [1, 2], \"b\": \"x, y: \\\"z\\\"\"}\n");
    check_pretty("3", "3\n");
    check_pretty("", "\n");
    check_pretty("{}", "{}\n");
    check_pretty(" [ ] ", "[]\n");
    check_pretty("{\"long\":\"0123456789012345678901234567890123456789012345678901234567890\","
                 "\"list\":[1,{\"}]\":2}],\"x\":\"0123456789012345678901234567890123456789\"}",
                 "{\n"
                 "  \"long\": \"0123456789012345678901234567890123456789012345678901234567890\",\n"
                 "  \"list\": [1, {\"}]\": 2}],\n"
                 "  \"x\": \"0123456789012345678901234567890123456789\"\n"
                 "}\n");
}

static void sizes_are_humane(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(gal_humane_bytes(0, text, sizeof(text)), "0 bytes");
    assert_string_equal(gal_humane_bytes(1023, text, sizeof(text)), "1023 bytes");
    assert_string_equal(gal_humane_bytes(1536, text, sizeof(text)), "1.5 KiB");
    assert_string_equal(gal_humane_bytes(500 << 20, text, sizeof(text)), "500 MiB");
    gal_humane_bytes(UINT64_MAX, text, sizeof(text));
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
    char *got;
    size_t size;
    FILE *f = open_memstream(&got, &size);

    (void)state;
    gal_print_text(f, GAL_STR("a\033[31m\r\nb\x7f\xc3\xa9"));
    fclose(f);
    assert_string_equal(got, "a?[31m??b?\xc3\xa9");
    free(got);
}

/* --- failures --- */

static void memory_that_runs_out_ends_in_an_error(void **state)
{
    static const char *const lines[] = {"help serve --markdown config", "serve -p 1 --host x",
                                        "health --timeout 1s http://127.0.0.1:1"};

    (void)state;
    for (size_t l = 0; l < 3; l++) {
        struct run good = cli_run(lines[l]);
        bool same = false;
        for (uint64_t i = 1; i < 500 && !same; i++) {
            struct run r;
            gal_alloc_fail_at(i, 1);
            r = cli_run(lines[l]);
            gal_alloc_fail_at(0, 0);
            same = strcmp(r.out, good.out) == 0 && strcmp(r.err, good.err) == 0;
            assert_true(same || (r.code == GAL_EXIT_FAILURE && r.err[0]));
            run_release(&r);
        }
        assert_true(same);
        run_release(&good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_command_the_commands_are_listed),
        cmocka_unit_test(an_unknown_command_is_answered_with_the_nearest),
        cmocka_unit_test(every_command_shows_its_options_and_examples),
        cmocka_unit_test(the_document_about_the_configuration_is_current),
        cmocka_unit_test(serve_wants_something_to_serve),
        cmocka_unit_test(a_wrong_environment_stops_the_start),
        cmocka_unit_test(the_version_is_there_with_and_without_an_engine),
        cmocka_unit_test(completion_knows_every_option),
        cmocka_unit_test(bash_completes_commands_options_values_and_files),
        cmocka_unit_test(json_that_fits_stays_on_a_line_and_the_rest_is_laid_out),
        cmocka_unit_test(sizes_are_humane),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(memory_that_runs_out_ends_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
