/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_write.h"
#include "base/mem.h"
#include "ship/layer.h"
#include "ship/libraries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct place {
    char dir[64];
    struct gal_arena arena;
    struct gal_cargo cargo;
};

static int open_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/galley-layer-XXXXXX");
    gal_arena_init(&p->arena, 65536, 0, 64u << 20);
    *state = p;
    return mkdtemp(p->dir) ? 0 : 1;
}

static int close_place(void **state)
{
    struct place *p = *state;
    gal_arena_release(&p->arena);
    (void)gal_dir_remove(p->dir, NULL);
    free(p);
    return 0;
}

static enum gal_status make(struct place *p, enum gal_compression compression,
                            struct gal_layer *out)
{
    struct gal_cargo *const all[] = {&p->cargo};
    const struct gal_layer_options options = {
        .dir = p->dir, .compression = compression, .threads = 1};
    return gal_layers_make(all, 1, &options, &p->arena, out, NULL);
}

static void fill(struct place *p, const char *text)
{
    gal_cargo_init(&p->cargo, "test", "a test", &p->arena);
    gal_cargo_put(&p->cargo, "z/last", 0644, gal_str_of(text));
    gal_cargo_put(&p->cargo, "a/b/first", 0755, GAL_STR("first"));
    gal_cargo_put_link(&p->cargo, "a/link", "b/first");
}

static void directories_above_are_added_and_all_is_in_order(void **state)
{
    static const char *const want[] = {"a", "a/b", "a/b/first", "a/link", "z", "z/last"};
    struct place *p = *state;
    fill(p, "last");
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
    assert_int_equal(p->cargo.count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(p->cargo.items[i].path, want[i]);
}

static void a_path_that_leads_out_or_comes_twice_is_refused(void **state)
{
    struct place *p = *state;
    fill(p, "last");
    gal_cargo_put(&p->cargo, "z/../../etc/passwd", 0644, GAL_STR("x"));
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_INVALID);
    fill(p, "last");
    gal_cargo_put(&p->cargo, "z/last", 0644, GAL_STR("again"));
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_INVALID);
}

static void what_has_not_changed_is_not_made_again(void **state)
{
    struct place *p = *state;
    struct gal_layer first, second, other;
    fill(p, "last");
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
    assert_int_equal(make(p, GAL_COMPRESS_GZIP, &first), GAL_OK);
    assert_int_equal(make(p, GAL_COMPRESS_GZIP, &second), GAL_OK);
    assert_false(first.was_there);
    assert_true(second.was_there);
    assert_string_equal(first.digest, second.digest);
    assert_string_equal(first.diff_id, second.diff_id);
    fill(p, "changed");
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
    assert_int_equal(make(p, GAL_COMPRESS_GZIP, &other), GAL_OK);
    assert_false(other.was_there);
    assert_string_not_equal(first.digest, other.digest);
}

static void a_damaged_layer_is_made_again(void **state)
{
    struct place *p = *state;
    struct gal_layer first, second;
    FILE *f;
    fill(p, "last");
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
    assert_int_equal(make(p, GAL_COMPRESS_ZSTD, &first), GAL_OK);
    f = fopen(first.path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)first.size / 2, SEEK_SET), 0);
    fputc('!', f);
    fclose(f);
    assert_int_equal(make(p, GAL_COMPRESS_ZSTD, &second), GAL_OK);
    assert_false(second.was_there);
    assert_string_equal(first.digest, second.digest);
}

/* Noise of 8 MiB: compressing it is work at every start, for nothing. */
static void weights_that_do_not_shrink_are_left_as_they_are(void **state)
{
    struct place *p = *state;
    struct gal_layer noise, zeros;
    size_t n = 8u << 20;
    char *bytes = calloc(1, n), path[96];
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 2; round++) {
        snprintf(path, sizeof path, "%s/%d", p->dir, round);
        assert_int_equal(gal_file_put(path, (struct gal_str){bytes, n}, NULL), GAL_OK);
        gal_cargo_init(&p->cargo, "weights", "a test", &p->arena);
        gal_cargo_put_file(&p->cargo, "model.data", 0644,
                           gal_arena_strdup(&p->arena, gal_str_of(path)), 0, n, NULL);
        assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
        assert_int_equal(make(p, GAL_COMPRESS_GZIP, round ? &noise : &zeros), GAL_OK);
        for (size_t i = 0; i < n; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            bytes[i] = (char)x;
        }
    }
    free(bytes);
    assert_int_equal(zeros.compression, GAL_COMPRESS_GZIP);
    assert_true(zeros.size < 100000);
    assert_int_equal(noise.compression, GAL_COMPRESS_NONE);
    assert_int_equal(noise.size, noise.unpacked);
    assert_string_equal(noise.digest, noise.diff_id);
}

static void nothing_half_made_stays_when_memory_or_disk_fail(void **state)
{
    struct place *p = *state;
    struct gal_layer l;
    enum gal_status status = GAL_IO;
    for (uint64_t i = 1; i < 400 && status; i++) {
        fill(p, "memory");
        assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
        gal_alloc_fail_at(i, 1);
        status = make(p, GAL_COMPRESS_GZIP, &l);
        gal_alloc_fail_at(0, 0);
    }
    assert_int_equal(status, GAL_OK);
    assert_false(l.was_there);
    status = GAL_IO;
    for (uint64_t i = 1; i < 400 && status; i++) {
        fill(p, "disk");
        assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
        gal_file_fail_at(i);
        status = make(p, GAL_COMPRESS_GZIP, &l);
        gal_file_fail_at(0);
    }
    assert_int_equal(status, GAL_OK);
    assert_false(l.was_there);
}

static void the_oldest_layers_go_first(void **state)
{
    struct place *p = *state;
    struct gal_layer l;
    fill(p, "last");
    assert_int_equal(gal_cargo_seal(&p->cargo, NULL), GAL_OK);
    assert_int_equal(make(p, GAL_COMPRESS_GZIP, &l), GAL_OK);
    gal_layers_trim(p->dir, 0, 1000); /* it is younger than an hour */
    assert_int_equal(access(l.path, F_OK), 0);
    gal_layers_trim(p->dir, UINT64_MAX, INT64_C(1) << 40); /* there is room */
    assert_int_equal(access(l.path, F_OK), 0);
    gal_layers_trim(p->dir, 0, INT64_C(1) << 40);
    assert_int_not_equal(access(l.path, F_OK), 0);
}

/* --- libraries --- */

static void libraries_are_found_as_the_loader_finds_them(void **state)
{
    struct gal_libraries l;
    struct gal_elf elf;
    struct gal_str bytes;
    const struct gal_library *c;
    const struct gal_elf_version newer = {GAL_STR("libc.so.6"), GAL_STR("GLIBC_99.0")};
    struct gal_err err;
    (void)state;
    assert_int_equal(gal_libraries_init(&l, NULL, NULL, 0, NULL), GAL_OK);
    assert_int_equal(gal_file_map("/proc/self/exe", &bytes, NULL), GAL_OK);
    assert_int_equal(gal_libraries_add(&l, "/proc/self/exe", bytes, NULL), GAL_OK);
    c = gal_libraries_find(&l, GAL_STR("libc.so.6"));
    assert_non_null(c);
    assert_int_equal(access(c->path, R_OK), 0);
    assert_true(l.items[0].is_loader);
    assert_int_equal(gal_elf_read(bytes, &l.arena, &elf, NULL), GAL_OK);
    assert_int_equal(gal_libraries_check(&l, "program", &elf, NULL), GAL_OK);
    elf.needs = &newer;
    elf.need_count = 1;
    assert_int_equal(gal_libraries_check(&l, "program", &elf, &err), GAL_CONFLICT);
    assert_non_null(strstr(err.message, "program needs GLIBC_99.0 of libc.so.6"));
    gal_libraries_release(&l);
    gal_file_unmap(bytes);
}

static void a_library_that_is_missing_is_named_with_who_needs_it(void **state)
{
    struct place *p = *state;
    struct gal_libraries l;
    struct gal_str bytes;
    struct gal_err err;
    assert_int_equal(gal_libraries_init(&l, p->dir, NULL, 0, NULL), GAL_OK);
    assert_int_equal(gal_file_map("fuzz/corpus/elf/library", &bytes, NULL), GAL_OK);
    assert_int_equal(gal_libraries_add(&l, "libsample.so.1", bytes, &err), GAL_NOT_FOUND);
    assert_non_null(strstr(err.message, "libc.so.6, which libsample.so.1 needs, was not found"));
    gal_libraries_release(&l);
    gal_file_unmap(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)
        IN_PLACE(directories_above_are_added_and_all_is_in_order),
        IN_PLACE(a_path_that_leads_out_or_comes_twice_is_refused),
        IN_PLACE(what_has_not_changed_is_not_made_again),
        IN_PLACE(a_damaged_layer_is_made_again),
        IN_PLACE(weights_that_do_not_shrink_are_left_as_they_are),
        IN_PLACE(nothing_half_made_stays_when_memory_or_disk_fail),
        IN_PLACE(the_oldest_layers_go_first),
        cmocka_unit_test(libraries_are_found_as_the_loader_finds_them),
        IN_PLACE(a_library_that_is_missing_is_named_with_who_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
