/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* FIPS 180-4's examples. */
#define SHA_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA_MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void sha1_gives_a_published_value(void **state)
{
    unsigned char out[GAL_SHA1_BYTES];
    (void)state;
    assert_int_equal(gal_sha1_bytes(GAL_STR("abc"), out, NULL), GAL_OK);
    assert_memory_equal(out,
                        "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e"
                        "\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d",
                        GAL_SHA1_BYTES);
}

static void sha256_gives_published_values(void **state)
{
    (void)state;
    char hex[GAL_SHA256_HEX_SIZE];
    assert_int_equal(gal_sha256_bytes(GAL_STR("abc"), hex, NULL), GAL_OK);
    assert_string_equal(hex, SHA_ABC);
    assert_int_equal(gal_sha256_bytes(gal_str_of(NULL), hex, NULL), GAL_OK);
    assert_string_equal(hex, SHA_EMPTY);
}

static void files_are_digested_in_pieces(void **state)
{
    (void)state;
    char path[] = "/tmp/galley-test-XXXXXX", hex[GAL_SHA256_HEX_SIZE];
    static char letters[10000];
    struct gal_err err;
    memset(letters, 'a', sizeof letters);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, letters, sizeof letters), (ssize_t)sizeof letters);
    (void)close(fd);
    assert_int_equal(gal_sha256_file(path, hex, &err), GAL_OK);
    assert_string_equal(hex, SHA_MILLION_A);
    gal_file_fail_at(3);
    assert_int_equal(gal_sha256_file(path, hex, &err), GAL_IO);
    gal_file_fail_at(0);
    assert_non_null(strstr(err.message, path));
    (void)unlink(path);
    assert_int_equal(gal_sha256_file(path, hex, &err), GAL_NOT_FOUND);
}

/* From the authors' reference program with the state 1, 2, 3, 4. */
static void the_generator_is_xoshiro256_star_star(void **state)
{
    (void)state;
    static const uint64_t want[] = {11520u, 0u, 1509978240u, 1215971899390074240u};
    struct gal_rng r = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_true(gal_rng_next(&r) == want[i]);
}

static void seeds_differ(void **state)
{
    (void)state;
    struct gal_rng a, b;
    gal_rng_seed(&a);
    gal_rng_seed(&b);
    assert_memory_not_equal(&a, &b, sizeof a);
}

static void identifiers_are_version_4_and_distinct(void **state)
{
    (void)state;
    struct gal_rng r;
    char last[GAL_UUID_SIZE] = "", id[GAL_UUID_SIZE];
    unsigned variants = 0;
    gal_rng_seed(&r);
    for (int i = 0; i < 1000; i++) {
        gal_uuid4(&r, id);
        assert_int_equal(strlen(id), 36);
        for (int k = 0; k < 36; k++) {
            bool dash = k == 8 || k == 13 || k == 18 || k == 23;
            assert_non_null(memchr(dash ? "-" : "0123456789abcdef", id[k], dash ? 1 : 16));
        }
        assert_int_equal(id[14], '4');
        static const char allowed[] = "89ab";
        const char *variant = memchr(allowed, id[19], 4);
        assert_non_null(variant);
        variants |= 1u << (variant - allowed);
        assert_string_not_equal(id, last);
        memcpy(last, id, sizeof last);
    }
    assert_int_equal(variants, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_gives_a_published_value),
        cmocka_unit_test(sha256_gives_published_values),
        cmocka_unit_test(files_are_digested_in_pieces),
        cmocka_unit_test(the_generator_is_xoshiro256_star_star),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(identifiers_are_version_4_and_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
