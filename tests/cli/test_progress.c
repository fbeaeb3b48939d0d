/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

struct screen {
    uint64_t now_us;
    struct gal_clock clock;
    char *text;
    size_t n;
    FILE *out;
    struct gal_progress *p;
};

static uint64_t read_now(void *ctx)
{
    return ((struct screen *)ctx)->now_us;
}

static void screen_open(struct screen *s, bool bars, bool utf8, unsigned width)
{
    *s = (struct screen){.now_us = 1000000};
    s->clock = (struct gal_clock){.mono_us = read_now, .wall_us = read_now, .ctx = s};
    s->out = open_memstream(&s->text, &s->n);
    struct gal_progress_options o = {
        .out = s->out, .bars = bars, .utf8 = utf8, .width = width, .clock = &s->clock};
    s->p = gal_progress_new(&o);
    assert_non_null(s->p);
}

static void screen_close(struct screen *s)
{
    gal_progress_free(s->p);
    fclose(s->out);
    free(s->text);
}

static void without_a_terminal_lines_say_what_is_done(void **state)
{
    struct screen s;
    (void)state;
    screen_open(&s, false, false, 80);
    gal_progress_step(s.p, "1", "a", "uploading", 0, 10 << 20);
    s.now_us += 14000000;
    gal_progress_step(s.p, "1", "a", "uploading", 7 << 20, 10 << 20);
    assert_int_equal(s.n, 0); /* not a line a step */
    s.now_us += 2000000;
    gal_progress_step(s.p, "1", "a", "uploading", 8 << 20, 10 << 20);
    assert_string_equal(s.text, "a: uploading: 8.0 MiB of 10.0 MiB, 512 KiB/s, 5 s left\n");
    s.now_us += 4000000;
    gal_progress_done(s.p, "1", "a", "uploaded", 10 << 20);
    gal_progress_done(s.p, "2", "b\033[2J", "exists already", 5);
    assert_non_null(
        strstr(s.text, "\na: uploaded, 10.0 MiB, 512 KiB/s\nb?[2J: exists already, 5 bytes\n"));
    assert_null(strchr(s.text, '\033'));
    screen_close(&s);
}

static void what_was_there_before_is_no_part_of_the_rate(void **state)
{
    struct screen s;
    (void)state;
    screen_open(&s, false, false, 80);
    gal_progress_step(s.p, "1", "a", "resumed", 90 << 20, 100 << 20);
    s.now_us += 20000000;
    gal_progress_step(s.p, "1", "a", "downloading", 95 << 20, 100 << 20);
    assert_string_equal(s.text, "a: downloading: 95.0 MiB of 100 MiB, 256 KiB/s, 21 s left\n");
    screen_close(&s);
}

static void a_terminal_has_a_line_a_thing_and_keeps_what_is_done(void **state)
{
    struct screen s;
    (void)state;
    screen_open(&s, true, false, 100);
    gal_progress_step(s.p, "1", "first", "uploading", 0, 100);
    gal_progress_step(s.p, "2", "second", "uploading", 0, 100); /* too soon for another drawing */
    s.now_us += 1000000;
    gal_progress_step(s.p, "1", "first", "uploading", 50, 100);
    fflush(s.out);
    assert_non_null(strstr(s.text, "\033[1A\r\033[Jfirst                      ##########.......... "
                                   "50 bytes of 100 bytes, 50 bytes/s, 2 s left\nsecond "));
    gal_progress_done(s.p, "1", "first", "uploaded", 100);
    assert_non_null(
        strstr(s.text, "\033[2A\r\033[Jfirst                      uploaded, 100 bytes"));
    gal_progress_free(s.p);
    s.p = NULL;
    fflush(s.out);
    assert_string_equal(s.text + s.n - 8, "\033[1A\r\033[J"); /* what is not done goes */
    screen_close(&s);
}

static void a_narrow_terminal_is_not_overrun(void **state)
{
    struct screen s;
    (void)state;
    screen_open(&s, true, true, 50);
    gal_progress_step(s.p, "1", "a name that is longer than its column is wide", "uploading", 0, 0);
    s.now_us += 5000000;
    gal_progress_step(s.p, "1", "", "uploading", UINT64_C(1) << 40, UINT64_C(1) << 41);
    fflush(s.out);
    for (const char *line = s.text, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_true(end - line < 120);
    for (unsigned i = 0; i < 200; i++) { /* more things than lines */
        char id[16];
        snprintf(id, sizeof id, "x%u", i);
        s.now_us += 1000000;
        gal_progress_step(s.p, id, id, "uploading", i, 1000);
    }
    gal_progress_done(s.p, "x199", "x199", "uploaded", 1000); /* never shown, said all the same */
    assert_non_null(strstr(s.text, "and 56 more\n"));
    assert_non_null(strstr(s.text, "x199"));
    screen_close(&s);
}

static void nobody_is_told_when_it_is_quiet(void **state)
{
    (void)state;
    gal_progress_step(NULL, "1", "a", "uploading", 1, 2);
    gal_progress_done(NULL, "1", "a", "uploaded", 2);
    gal_progress_free(NULL);
}

static void times_are_for_people(void **state)
{
    char out[32];
    (void)state;
    assert_string_equal(gal_humane_seconds(9, out, sizeof out), "9 s");
    assert_string_equal(gal_humane_seconds(125, out, sizeof out), "2 min 05 s");
    assert_string_equal(gal_humane_seconds(3720, out, sizeof out), "1 h 02 min");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_terminal_lines_say_what_is_done),
        cmocka_unit_test(what_was_there_before_is_no_part_of_the_rate),
        cmocka_unit_test(a_terminal_has_a_line_a_thing_and_keeps_what_is_done),
        cmocka_unit_test(a_narrow_terminal_is_not_overrun),
        cmocka_unit_test(nobody_is_told_when_it_is_quiet),
        cmocka_unit_test(times_are_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
