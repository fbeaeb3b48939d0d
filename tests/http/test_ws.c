/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of RFC 6455 chapters 5 to 8, each fed whole and byte by byte. */
#include "http/ws.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX 300u
#define LOG_MAX 4096u

/* What a stream of bytes came to, as text: "text:hello;" "ping:x;" "close:1000:bye;" "error:1002;"
 */
struct log {
    char text[LOG_MAX];
    size_t n;
};

static void note(struct log *log, const char *what, struct gal_str payload)
{
    size_t n = strlen(what);
    assert_true(log->n + n + payload.n + 2 < LOG_MAX);
    memcpy(log->text + log->n, what, n);
    log->n += n;
    if (payload.n)
        memcpy(log->text + log->n, payload.p, payload.n);
    log->n += payload.n;
    log->text[log->n++] = ';';
    log->text[log->n] = '\0';
}

static void note_code(struct log *log, const char *what, unsigned code, struct gal_str reason)
{
    char head[32];
    int n = snprintf(head, sizeof head, "%s:%u%s", what, code, reason.n ? ":" : "");
    assert_in_range(n, 1, sizeof head - 1);
    note(log, head, reason);
}

static void note_step(struct log *log, struct gal_ws *ws, enum gal_ws_step step)
{
    switch (step) {
    case GAL_WS_MESSAGE:
        note(log, ws->is_text ? "text:" : "binary:", ws->message);
        gal_ws_next(ws);
        break;
    case GAL_WS_PING:
        note(log, "ping:", ws->control);
        break;
    case GAL_WS_PONG:
        note(log, "pong:", ws->control);
        break;
    case GAL_WS_CLOSE:
        note_code(log, "close", ws->close_code, ws->control);
        break;
    case GAL_WS_ERROR:
        note_code(log, "error", ws->close_code, (struct gal_str){NULL, 0});
        break;
    case GAL_WS_MORE:
        break;
    }
}

/* Pieces of so many bytes, into a buffer that moves each time and is no longer than needed. */
static void feed(struct gal_str in, size_t piece, struct log *log)
{
    struct gal_ws ws;
    struct gal_err err = {0};
    char *buffer = NULL;
    size_t n = 0;

    gal_ws_init(&ws, MAX);
    memset(log, 0, sizeof *log);
    for (size_t at = 0; at < in.n;) {
        size_t more = in.n - at < piece ? in.n - at : piece;
        char *moved = malloc(n + more);
        assert_non_null(moved);
        if (n)
            memcpy(moved, buffer, n);
        memcpy(moved + n, in.p + at, more);
        free(buffer);
        buffer = moved;
        n += more;
        at += more;
        enum gal_ws_step step;
        while ((step = gal_ws_parse(&ws, buffer, &n, &err)) != GAL_WS_MORE)
            note_step(log, &ws, step);
        assert_true(n <= MAX + 14 + GAL_WS_CONTROL_BYTES_MAX);
    }
    free(buffer);
}

static void check(struct gal_str in, const char *want)
{
    struct log log;
    static const size_t pieces[] = {1, 2, 3, 7, 64, LOG_MAX};

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        feed(in, pieces[i], &log);
        assert_string_equal(log.text, want);
    }
}

/* A client's frame: first byte, then length and mask made here. */
struct frames {
    char bytes[LOG_MAX];
    size_t n;
};

static void add(struct frames *f, unsigned first, struct gal_str payload)
{
    static const unsigned char mask[] = {0x37, 0xfa, 0x21, 0x3d};
    char head[GAL_WS_HEAD_BYTES_MAX];
    size_t head_n = gal_ws_head(head, GAL_WS_OP_TEXT, payload.n);

    assert_true(f->n + head_n + 4 + payload.n <= LOG_MAX);
    head[0] = (char)first;
    head[1] = (char)((unsigned char)head[1] | 0x80u);
    memcpy(f->bytes + f->n, head, head_n);
    memcpy(f->bytes + f->n + head_n, mask, 4);
    f->n += head_n + 4;
    for (size_t i = 0; i < payload.n; i++)
        f->bytes[f->n++] = (char)((unsigned char)payload.p[i] ^ mask[i % 4]);
}

static void check_frames(const struct frames *f, const char *want)
{
    check((struct gal_str){f->bytes, f->n}, want);
}

static void the_examples_of_the_rfc(void **state)
{
    (void)state;
    check(GAL_STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "text:Hello;");
    check(GAL_STR("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "ping:Hello;");
    check(GAL_STR("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "pong:Hello;");
}

static void messages_follow_one_another(void **state)
{
    struct frames f = {.n = 0};
    (void)state;
    add(&f, 0x81, GAL_STR("one"));
    add(&f, 0x82, GAL_STR("two"));
    add(&f, 0x81, GAL_STR(""));
    add(&f, 0x82, GAL_STR("four"));
    check_frames(&f, "text:one;binary:two;text:;binary:four;");
}

static void fragments_become_one_message_and_control_frames_come_between(void **state)
{
    struct frames f = {.n = 0};
    (void)state;
    add(&f, 0x82, GAL_STR("before"));
    add(&f, 0x01, GAL_STR("fra"));
    add(&f, 0x89, GAL_STR("a"));
    add(&f, 0x00, GAL_STR(""));
    add(&f, 0x00, GAL_STR("gm"));
    add(&f, 0x8a, GAL_STR("b"));
    add(&f, 0x80, GAL_STR("ents"));
    add(&f, 0x81, GAL_STR("next"));
    check_frames(&f, "binary:before;ping:a;pong:b;text:fragments;text:next;");
}

static void lengths_at_the_edges(void **state)
{
    static const size_t lengths[] = {0, 1, 124, 125, 126, 127, 255, 256, MAX - 1, MAX};
    char payload[MAX], want[MAX + 16];
    (void)state;
    memset(payload, 'x', sizeof payload);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct frames f = {.n = 0};
        add(&f, 0x82, (struct gal_str){payload, lengths[i]});
        snprintf(want, sizeof want, "binary:%.*s;", (int)lengths[i], payload);
        check_frames(&f, want);
    }
}

static void a_message_has_a_bound(void **state)
{
    char payload[MAX + 1];
    struct frames one = {.n = 0}, two = {.n = 0};
    (void)state;
    memset(payload, 'x', sizeof payload);
    add(&one, 0x82, (struct gal_str){payload, MAX + 1});
    check_frames(&one, "error:1009;");
    add(&two, 0x02, (struct gal_str){payload, MAX});
    add(&two, 0x80, GAL_STR("x"));
    check_frames(&two, "error:1009;");
    /* Told by the head: not a byte of such a payload is waited for. */
    check(GAL_STR("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4"), "error:1009;");
}

static void violations(void **state)
{
    static const struct {
        struct gal_str in;
        const char *want;
    } cases[] = {
        {{"\x81\x05Hello", 7}, "error:1002;"},    /* not masked */
        {{"\xc1\x80\1\2\3\4", 6}, "error:1002;"}, /* RSV1 */
        {{"\xa1\x80\1\2\3\4", 6}, "error:1002;"}, /* RSV2 */
        {{"\x91\x80\1\2\3\4", 6}, "error:1002;"}, /* RSV3 */
        {{"\x83\x80\1\2\3\4", 6}, "error:1002;"}, /* opcodes */
        {{"\x87\x80\1\2\3\4", 6}, "error:1002;"},
        {{"\x8b\x80\1\2\3\4", 6}, "error:1002;"},
        {{"\x8f\x80\1\2\3\4", 6}, "error:1002;"},
        {{"\x09\x80\1\2\3\4", 6}, "error:1002;"},                      /* ping in fragments */
        {{"\x89\xfe\x00\x7e\1\2\3\4", 8}, "error:1002;"},              /* ping of 126 bytes */
        {{"\x80\x80\1\2\3\4", 6}, "error:1002;"},                      /* nothing to continue */
        {{"\x01\x80\1\2\3\4\x81\x80\1\2\3\4", 12}, "error:1002;"},     /* not ended */
        {{"\x82\xfe\x00\x7d\1\2\3\4", 8}, "error:1002;"},              /* 125 in 16 bits */
        {{"\x82\xff\0\0\0\0\0\0\xff\xff\1\2\3\4", 14}, "error:1002;"}, /* 65535 in 64 bits */
        {{"\x82\xff\x80\0\0\0\0\1\0\0\1\2\3\4", 14}, "error:1002;"},   /* the highest bit */
        {{"\x88\x81\0\0\0\0\x03", 7}, "error:1002;"},                  /* half a code */
        {{"\x88\x82\0\0\0\0\x03\xed", 8}, "error:1002;"},              /* 1005 */
        {{"\x88\x82\0\0\0\0\x03\xee", 8}, "error:1002;"},              /* 1006 */
        {{"\x88\x82\0\0\0\0\x03\xec", 8}, "error:1002;"},              /* 1004 */
        {{"\x88\x82\0\0\0\0\x03\xf7", 8}, "error:1002;"},              /* 1015 */
        {{"\x88\x82\0\0\0\0\x03\xe7", 8}, "error:1002;"},              /* 999 */
        {{"\x88\x82\0\0\0\0\x0b\xb7", 8}, "error:1002;"},              /* 2999 */
        {{"\x88\x82\0\0\0\0\x13\x88", 8}, "error:1002;"},              /* 5000 */
        {{"\x88\x83\0\0\0\0\x03\xe8\xff", 9}, "error:1007;"},          /* reason not UTF-8 */
        {{"\x81\x82\0\0\0\0\xc3\x28", 8}, "error:1007;"},              /* text not UTF-8 */
        {{"\x81\x81\0\0\0\0\xc3", 7}, "error:1007;"},                  /* cut in a character */
        {{"\x81\x83\0\0\0\0\xed\xa0\x80", 9}, "error:1007;"},          /* a surrogate */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].in, cases[i].want);
}

static void a_character_may_lie_in_two_fragments(void **state)
{
    (void)state;
    check(GAL_STR("\x01\x81\0\0\0\0\xc3\x80\x81\0\0\0\0\xa4"), "text:\xc3\xa4;");
}

static void a_close_ends_it(void **state)
{
    struct frames f = {.n = 0};
    (void)state;
    add(&f, 0x88,
        GAL_STR("\x03\xe8"
                "bye"));
    add(&f, 0x81, GAL_STR("late"));
    check_frames(&f, "close:1000:bye;");
    check(GAL_STR("\x88\x80\1\2\3\4"), "close:1005;");
    check(GAL_STR("\x88\x82\0\0\0\0\x0b\xb8"), "close:3000;");
    check(GAL_STR("\x88\x82\0\0\0\0\x13\x87"), "close:4999;");
}

static void nothing_is_taken_behind_a_violation(void **state)
{
    struct frames f = {.n = 0};
    (void)state;
    add(&f, 0x81, GAL_STR("good"));
    add(&f, 0xf1, GAL_STR("bad"));
    add(&f, 0x81, GAL_STR("late"));
    check_frames(&f, "text:good;error:1002;");
}

static void a_large_message_leaves_with_its_buffer(void **state)
{
    struct frames f = {.n = 0};
    struct gal_ws ws;
    struct gal_err err;
    struct gal_str rest;
    char other[64];
    size_t n;
    (void)state;
    add(&f, 0x82, GAL_STR("message"));
    add(&f, 0x81, GAL_STR("behind it"));
    n = f.n;
    gal_ws_init(&ws, MAX);
    assert_int_equal(gal_ws_parse(&ws, f.bytes, &n, &err), GAL_WS_MESSAGE);
    assert_true(gal_str_is(ws.message, "message"));
    assert_ptr_equal(ws.message.p, f.bytes);
    rest = gal_ws_leave(&ws, f.bytes, n);
    memcpy(other, rest.p, rest.n);
    n = rest.n;
    assert_int_equal(gal_ws_parse(&ws, other, &n, &err), GAL_WS_MESSAGE);
    assert_true(gal_str_is(ws.message, "behind it"));
    assert_memory_equal(f.bytes, "message", 7);
}

static void what_is_missing_is_known_once_a_frame_has_begun(void **state)
{
    char head[64] = "\x82\xfe\x01\x00\1\2\3\4abc";
    struct gal_ws ws;
    struct gal_err err;
    size_t n = 4;
    (void)state;
    gal_ws_init(&ws, MAX);
    assert_int_equal(gal_ws_parse(&ws, head, &n, &err), GAL_WS_MORE);
    assert_int_equal(gal_ws_want(&ws), 0);
    n = 11;
    assert_int_equal(gal_ws_parse(&ws, head, &n, &err), GAL_WS_MORE);
    assert_int_equal(n, 3); /* the head has gone */
    assert_int_equal(gal_ws_want(&ws), 256 - 3);
}

static void heads_that_are_written(void **state)
{
    static const struct {
        uint64_t bytes;
        struct gal_str want;
    } cases[] = {
        {0, {"\x82\x00", 2}},
        {125, {"\x82\x7d", 2}},
        {126, {"\x82\x7e\x00\x7e", 4}},
        {65535, {"\x82\x7e\xff\xff", 4}},
        {65536, {"\x82\x7f\0\0\0\0\0\1\0\0", 10}},
        {0x123456789abcu, {"\x82\x7f\0\0\x12\x34\x56\x78\x9a\xbc", 10}},
    };
    char out[GAL_WS_HEAD_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = gal_ws_head(out, GAL_WS_OP_BINARY, cases[i].bytes);
        assert_int_equal(n, cases[i].want.n);
        assert_memory_equal(out, cases[i].want.p, n);
    }
}

static void closes_that_are_written(void **state)
{
    char out[GAL_WS_CONTROL_FRAME_MAX], reason[200];
    (void)state;
    assert_int_equal(gal_ws_close(out, GAL_WS_NO_CODE, GAL_STR("")), 2);
    assert_memory_equal(out, "\x88\x00", 2);
    assert_int_equal(gal_ws_close(out, GAL_WS_GOING_AWAY, GAL_STR("bye")), 7);
    assert_memory_equal(out,
                        "\x88\x05\x03\xe9"
                        "bye",
                        7);
    /* 123 bytes fit: 122 and the first half of a character, which is left out. */
    memset(reason, 'x', sizeof reason);
    memcpy(reason + 122, "\xc3\xa4", 2);
    assert_int_equal(gal_ws_close(out, GAL_WS_POLICY, (struct gal_str){reason, 124}), 2 + 2 + 122);
    assert_int_equal((unsigned char)out[1], 124);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(messages_follow_one_another),
        cmocka_unit_test(fragments_become_one_message_and_control_frames_come_between),
        cmocka_unit_test(lengths_at_the_edges),
        cmocka_unit_test(a_message_has_a_bound),
        cmocka_unit_test(violations),
        cmocka_unit_test(a_character_may_lie_in_two_fragments),
        cmocka_unit_test(a_close_ends_it),
        cmocka_unit_test(nothing_is_taken_behind_a_violation),
        cmocka_unit_test(a_large_message_leaves_with_its_buffer),
        cmocka_unit_test(what_is_missing_is_known_once_a_frame_has_begun),
        cmocka_unit_test(heads_that_are_written),
        cmocka_unit_test(closes_that_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
