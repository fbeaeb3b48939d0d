/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http2_frames.h"
#include "http/http2_ids.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

/* Skips 3 bytes, then frames of 4, 0 and 300 bytes. */
static void heads_are_found_however_the_bytes_are_cut(void **state)
{
    char bytes[3 + 9 + 4 + 9 + 9 + 300] = "abc";
    static const char first[] = {0, 0, 4, 0, 1, 0, 0, 0, 5}, second[] = {0, 0, 0, 4, 1, 0, 0, 0, 0};
    static const char third[] = {0, 1, 44, 9, 4, (char)0xff, (char)0xff, (char)0xff, (char)0xff};

    (void)state;
    memcpy(bytes + 3, first, 9);
    memcpy(bytes + 16, second, 9);
    memcpy(bytes + 25, third, 9);
    for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
        struct gal_http2_frame got[3] = {{0, 0, 0, 0}}, f;
        struct gal_http2_frames frames;
        size_t count = 0;

        gal_http2_frames_init(&frames, 3);
        for (size_t at = 0; at < sizeof(bytes); at += piece) {
            const char *p = bytes + at;
            const char *end = p + (piece < sizeof(bytes) - at ? piece : sizeof(bytes) - at);
            while (gal_http2_frames_next(&frames, &p, end, &f)) {
                assert_true(count < 3);
                got[count++] = f;
            }
            assert_ptr_equal(p, end);
        }
        assert_int_equal(count, 3);
        assert_true(gal_http2_frames_at_end(&frames));
        assert_true(got[0].length == 4 && got[0].type == 0 && got[0].flags == 1);
        assert_int_equal(got[0].stream, 5);
        assert_true(got[1].length == 0 && got[1].type == 4);
        assert_int_equal(got[2].length, 300);
        assert_int_equal(got[2].stream, 0x7fffffff);
    }
}

static void streams_are_remembered_for_a_while(void **state)
{
    struct gal_http2_ids ids = {0};

    (void)state;
    assert_int_equal(gal_http2_ids_find(&ids, 1), GAL_HTTP2_ID_NEW);
    assert_int_equal(gal_http2_ids_find(&ids, 2), GAL_HTTP2_ID_UNKNOWN);
    gal_http2_ids_begin(&ids, 1);
    assert_int_equal(gal_http2_ids_find(&ids, 1), GAL_HTTP2_ID_BEGUN);
    gal_http2_ids_end(&ids, 1);
    assert_int_equal(gal_http2_ids_find(&ids, 1), GAL_HTTP2_ID_ENDED);
    gal_http2_ids_begin(&ids, 5);
    assert_int_equal(gal_http2_ids_find(&ids, 3), GAL_HTTP2_ID_SKIPPED);
    assert_int_equal(gal_http2_ids_find(&ids, 7), GAL_HTTP2_ID_NEW);
    gal_http2_ids_end(&ids, 3);
    assert_int_equal(gal_http2_ids_find(&ids, 3), GAL_HTTP2_ID_SKIPPED);
    for (int32_t id = 7; id < 7 + 2 * 2 * (int32_t)GAL_HTTP2_IDS; id += 2) {
        gal_http2_ids_begin(&ids, id);
        assert_int_equal(gal_http2_ids_find(&ids, id), GAL_HTTP2_ID_BEGUN);
        gal_http2_ids_end(&ids, id);
        assert_int_equal(gal_http2_ids_find(&ids, id - 2),
                         id == 7 ? GAL_HTTP2_ID_BEGUN : GAL_HTTP2_ID_ENDED);
    }
    assert_int_equal(gal_http2_ids_find(&ids, 5), GAL_HTTP2_ID_UNKNOWN);
    gal_http2_ids_begin(&ids, INT32_MAX);
    assert_int_equal(gal_http2_ids_find(&ids, INT32_MAX), GAL_HTTP2_ID_BEGUN);
    assert_int_equal(gal_http2_ids_find(&ids, INT32_MAX - 2), GAL_HTTP2_ID_SKIPPED);
    assert_int_equal(gal_http2_ids_find(&ids, 7), GAL_HTTP2_ID_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_found_however_the_bytes_are_cut),
        cmocka_unit_test(streams_are_remembered_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
