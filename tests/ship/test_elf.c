/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files as the toolchain here makes them: fuzz/corpus/elf has a library with versions of
 * symbols, a program with RPATH and one with RUNPATH; and this test itself. */
#include "base/file.h"
#include "ship/elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <stdlib.h>

struct file {
    struct gal_arena arena;
    struct gal_str bytes;
};

static void open_file(struct file *f, const char *path)
{
    gal_arena_init(&f->arena, 4096, 0, 64u << 20);
    assert_int_equal(gal_file_map(path, &f->bytes, NULL), GAL_OK);
}

static void close_file(struct file *f)
{
    gal_file_unmap(f->bytes);
    gal_arena_release(&f->arena);
}

static bool has_library(const struct gal_elf *e, const char *name)
{
    for (size_t i = 0; i < e->library_count; i++) {
        if (gal_str_is(e->libraries[i], name))
            return true;
    }
    return false;
}

static void a_library_tells_its_name_and_the_versions_it_offers(void **state)
{
    struct file f;
    struct gal_elf e;
    (void)state;
    open_file(&f, "fuzz/corpus/elf/library");
    assert_int_equal(gal_elf_read(f.bytes, &f.arena, &e, NULL), GAL_OK);
    assert_string_equal(gal_elf_architecture(&e), "amd64");
    assert_true(gal_str_is(e.soname, "libsample.so.1"));
    assert_true(has_library(&e, "libc.so.6"));
    assert_int_equal(e.interpreter.n, 0);
    assert_int_equal(e.offer_count, 2); /* its own name, and the version */
    assert_true(gal_str_is(e.offers[1].name, "GALLEY_1"));
    assert_true(e.need_count > 0);
    assert_true(gal_str_is(e.needs[0].file, "libc.so.6"));
    close_file(&f);
}

static void a_program_tells_its_loader_and_where_it_looks(void **state)
{
    struct file f;
    struct gal_elf e;
    (void)state;
    open_file(&f, "fuzz/corpus/elf/program");
    assert_int_equal(gal_elf_read(f.bytes, &f.arena, &e, NULL), GAL_OK);
    assert_true(gal_str_is(e.interpreter, "/lib64/ld-linux-x86-64.so.2"));
    assert_true(gal_str_is(e.rpath, "$ORIGIN/../lib"));
    assert_int_equal(e.runpath.n, 0);
    close_file(&f);
    open_file(&f, "fuzz/corpus/elf/runpath");
    assert_int_equal(gal_elf_read(f.bytes, &f.arena, &e, NULL), GAL_OK);
    assert_true(gal_str_is(e.runpath, "/opt/lib"));
    assert_int_equal(e.rpath.n, 0);
    close_file(&f);
}

/* Whatever is cut off, the rest is read within its bounds (AddressSanitizer looks). */
static void a_file_that_ends_early_is_an_error_or_is_read_within_it(void **state)
{
    struct file f;
    struct gal_elf e;
    size_t failed = 0;
    (void)state;
    open_file(&f, "fuzz/corpus/elf/library");
    for (size_t n = 0; n < f.bytes.n; n += 3) {
        char *copy = malloc(n + 1);
        struct gal_err err;
        memcpy(copy, f.bytes.p, n);
        enum gal_status status = gal_elf_read((struct gal_str){copy, n}, &f.arena, &e, &err);
        assert_true(status == GAL_OK || status == GAL_INVALID);
        failed += status != GAL_OK;
        free(copy);
    }
    assert_true(failed > 20);
    close_file(&f);
}

static void what_is_no_elf_file_of_64_bits_is_said(void **state)
{
    struct gal_arena arena;
    struct gal_elf e;
    struct gal_err err;
    char head[64] = ELFMAG;
    (void)state;
    gal_arena_init(&arena, 4096, 0, 1u << 20);
    assert_int_equal(gal_elf_read(GAL_STR("#!/bin/sh\n"), &arena, &e, &err), GAL_INVALID);
    assert_string_equal(err.message, "not an ELF file");
    head[EI_CLASS] = ELFCLASS32;
    head[EI_DATA] = ELFDATA2LSB;
    assert_int_equal(gal_elf_read((struct gal_str){head, sizeof head}, &arena, &e, &err),
                     GAL_UNSUPPORTED);
    gal_arena_release(&arena);
}

static void slimming_leaves_what_is_needed_and_sets_the_loader(void **state)
{
    struct file f;
    struct gal_elf before, after;
    struct gal_buf slim;
    Elf64_Ehdr head;
    (void)state;
    open_file(&f, "/proc/self/exe");
    gal_buf_init(&slim, 256u << 20);
    assert_int_equal(gal_elf_read(f.bytes, &f.arena, &before, NULL), GAL_OK);
    assert_int_equal(gal_elf_slim(f.bytes, "/opt/galley/ld.so", &slim, NULL), GAL_OK);
    assert_int_equal(gal_elf_read(gal_buf_str(&slim), &f.arena, &after, NULL), GAL_OK);
    assert_true(gal_str_is(after.interpreter, "/opt/galley/ld.so"));
    assert_int_equal(after.library_count, before.library_count);
    assert_int_equal(after.need_count, before.need_count);
    assert_true(slim.n < f.bytes.n); /* the test has debug information */
    memcpy(&head, slim.p, sizeof head);
    assert_int_equal(head.e_shnum, 0);
    gal_buf_release(&slim);
    close_file(&f);
}

static void a_loader_that_has_no_room_is_refused(void **state)
{
    struct file f;
    struct gal_buf slim;
    struct gal_err err;
    (void)state;
    open_file(&f, "fuzz/corpus/elf/program");
    gal_buf_init(&slim, 1u << 20);
    assert_int_equal(
        gal_elf_slim(f.bytes, "/a/path/that/is/longer/than/the/one/before", &slim, &err),
        GAL_UNSUPPORTED);
    assert_int_equal(slim.n, 0);
    gal_buf_release(&slim);
    close_file(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_library_tells_its_name_and_the_versions_it_offers),
        cmocka_unit_test(a_program_tells_its_loader_and_where_it_looks),
        cmocka_unit_test(a_file_that_ends_early_is_an_error_or_is_read_within_it),
        cmocka_unit_test(what_is_no_elf_file_of_64_bits_is_said),
        cmocka_unit_test(slimming_leaves_what_is_needed_and_sets_the_loader),
        cmocka_unit_test(a_loader_that_has_no_room_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
