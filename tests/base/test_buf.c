/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(const struct gal_buf *b, const char *want)
{
    assert_false(b->failed);
    assert_true(b->n <= b->cap && b->cap <= b->max);
    assert_true(gal_str_is(gal_buf_str(b), want));
}

static void writers_append(void **state)
{
    (void)state;
    struct gal_buf b;
    gal_buf_init(&b, 4096);
    check(&b, "");
    gal_buf_put(&b, "abc", 2);
    gal_buf_puts(&b, "-x");
    gal_buf_put_str(&b, GAL_STR("yz"));
    gal_buf_put_str(&b, gal_str_of(NULL));
    gal_buf_putc(&b, '!');
    gal_buf_put_u64(&b, UINT64_MAX);
    gal_buf_put_i64(&b, -5);
    gal_buf_printf(&b, "[%s %03d]", "t", 7);
    gal_buf_printf(&b, "%s", "");
    check(&b, "ab-xyz!18446744073709551615-5[t 007]");
    gal_buf_release(&b);
    gal_buf_release(&b);
}

static void content_survives_growth(void **state)
{
    (void)state;
    struct gal_buf b;
    gal_buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 5000; i++)
        gal_buf_printf(&b, "%u,", i);
    assert_false(b.failed);
    struct gal_str rest = gal_buf_str(&b), part;
    for (uint64_t i = 0, got; i < 5000; i++) {
        assert_true(gal_str_cut(&rest, ',', &part));
        assert_int_equal(gal_str_u64(part, &got), GAL_OK);
        assert_int_equal(got, i);
    }
    gal_buf_release(&b);
}

static void the_maximum_is_exact_and_a_failed_write_changes_nothing(void **state)
{
    (void)state;
    struct gal_buf b;
    gal_buf_init(&b, 10);
    gal_buf_puts(&b, "12345678");
    gal_buf_puts(&b, "abc");
    assert_true(b.failed);
    assert_int_equal(b.n, 8);
    b.failed = false;
    gal_buf_puts(&b, "ab");
    check(&b, "12345678ab");
    assert_int_equal(b.cap, 10);
    gal_buf_putc(&b, '!');
    assert_true(b.failed);
    b.failed = false;
    gal_buf_put(&b, "", 0);
    check(&b, "12345678ab");
    assert_null(gal_buf_reserve(&b, SIZE_MAX));
    gal_buf_clear(&b, 10);
    check(&b, "");
    assert_int_equal(b.cap, 10);
    gal_buf_printf(&b, "%d", 123456789); /* and its NUL */
    check(&b, "123456789");
    gal_buf_printf(&b, "%d", 1);
    assert_true(b.failed);
    assert_int_equal(b.n, 9);
    gal_buf_clear(&b, 9);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
    gal_buf_puts(&b, "again");
    check(&b, "again");
    gal_buf_release(&b);
}

static void reserved_room_is_written_by_the_caller(void **state)
{
    (void)state;
    struct gal_buf b;
    gal_buf_init(&b, 1000);
    char *p = gal_buf_reserve(&b, 1000);
    assert_non_null(p);
    memset(p, 1, 1000);
    assert_int_equal(b.n, 0);
    b.n += 1000;
    assert_non_null(gal_buf_reserve(&b, 0));
    assert_null(gal_buf_reserve(&b, 1));
    assert_true(b.failed);
    gal_buf_release(&b);
}

static void shifting_moves_the_rest_to_the_front(void **state)
{
    (void)state;
    struct gal_buf b;
    gal_buf_init(&b, 100);
    gal_buf_shift(&b, 0);
    gal_buf_puts(&b, "abcdef");
    gal_buf_shift(&b, 2);
    check(&b, "cdef");
    gal_buf_shift(&b, 0);
    gal_buf_shift(&b, 4);
    check(&b, "");
    gal_buf_release(&b);
}

static void check_quoted(struct gal_str s, const char *want)
{
    struct gal_buf b;
    gal_buf_init(&b, strlen(want)); /* exactly enough */
    gal_buf_put_quoted(&b, s);
    check(&b, want);
    gal_buf_release(&b);
    gal_buf_init(&b, strlen(want) - 1);
    gal_buf_put_quoted(&b, s);
    assert_true(b.failed && b.n == 0);
    gal_buf_release(&b);
}

/* Text is looked at eight bytes at a time: each byte, at each place of two words and a rest. */
static void every_byte_is_quoted_alike_wherever_it_stands(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++)
        for (size_t at = 0; at < 20; at++) {
            char alone = (char)c, text[20];
            struct gal_buf one, all;
            memset(text, 'a', sizeof text);
            text[at] = alone;
            gal_buf_init(&one, 64);
            gal_buf_init(&all, 64);
            gal_buf_put_quoted(&one, (struct gal_str){&alone, 1});
            gal_buf_put_quoted(&all, (struct gal_str){text, sizeof text});
            assert_int_equal(all.n, sizeof text - 1 + one.n);
            assert_memory_equal(all.p + 1 + at, one.p + 1, one.n - 2);
            assert_int_equal(all.p[at], at > 0 ? 'a' : '"');
            gal_buf_release(&one);
            gal_buf_release(&all);
        }
}

static void quoted_text_is_a_json_string(void **state)
{
    (void)state;
    check_quoted(gal_str_of(NULL), "\"\"");
    check_quoted(GAL_STR("plain"), "\"plain\"");
    check_quoted(GAL_STR("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    check_quoted(GAL_STR("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    check_quoted(GAL_STR("\0\x01\x1b\x1f\x7f"), "\"\\u0000\\u0001\\u001b\\u001f\\u007f\"");
    check_quoted(GAL_STR("\u00e9\u20ac\U0001f600"), "\"\u00e9\u20ac\U0001f600\"");
    check_quoted(GAL_STR("a\xffz"), "\"a\ufffdz\"");
    check_quoted(GAL_STR("\xe2\x82"), "\"\ufffd\ufffd\"");
    check_quoted(GAL_STR("\xc0\xaf\xed\xa0\x80"), "\"\ufffd\ufffd\ufffd\ufffd\ufffd\"");
}

static void failing_allocations_are_survived(void **state)
{
    (void)state;
    bool done = false;
    for (uint64_t i = 1; !done; i++) {
        struct gal_buf b;
        gal_buf_init(&b, 1 << 20);
        gal_alloc_fail_at(i, 1);
        gal_buf_puts(&b, "begin");
        gal_buf_printf(&b, "%3000d", 1);
        gal_buf_put_quoted(&b, GAL_STR("x\n"));
        (void)gal_buf_reserve(&b, 100000);
        gal_alloc_fail_at(0, 0);
        done = !b.failed;
        assert_true(b.n == (done ? 3010u : b.n) && b.n <= 3010);
        gal_buf_release(&b);
        assert_true(i < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_append),
        cmocka_unit_test(content_survives_growth),
        cmocka_unit_test(the_maximum_is_exact_and_a_failed_write_changes_nothing),
        cmocka_unit_test(reserved_room_is_written_by_the_caller),
        cmocka_unit_test(shifting_moves_the_rest_to_the_front),
        cmocka_unit_test(every_byte_is_quoted_alike_wherever_it_stands),
        cmocka_unit_test(quoted_text_is_a_json_string),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
