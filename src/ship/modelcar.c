/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/modelcar.h"

#include "base/file.h"

static enum gal_status read_busybox(const char *path, struct gal_runtime *r,
                                    struct gal_arena *arena, struct gal_err *err)
{
    enum gal_status status = gal_file_map(path, &r->galley_map, err);
    if (!status)
        status = gal_elf_read(r->galley_map, arena, &r->galley_elf, err);
    if (!status && (r->galley_elf.interpreter.n || r->galley_elf.library_count)) {
        status = gal_fail(err, GAL_UNSUPPORTED, "it needs libraries, which a modelcar has not");
        gal_err_hint(err, "install busybox-static, or build with --native");
    }
    if (status && err && !err->place[0])
        gal_err_place(err, "%s", path);
    return status;
}

const char *gal_modelcar_busybox(void)
{
    static const char *const paths[] = {"/bin/busybox", "/usr/bin/busybox", "/sbin/busybox",
                                        "/usr/local/bin/busybox"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct gal_runtime r = {.galley_map = {NULL, 0}};
        struct gal_arena arena;
        enum gal_status status;
        gal_arena_init(&arena, 4096, 0, 16u << 20);
        status = read_busybox(paths[i], &r, &arena, NULL);
        gal_file_unmap(r.galley_map);
        gal_arena_release(&arena);
        if (!status)
            return paths[i];
    }
    return NULL;
}

enum gal_status gal_modelcar_tools(const char *busybox, struct gal_ship *image, struct gal_err *err)
{
    static const char *const names[] = {"bin/sh", "bin/ln", "bin/sleep"};
    struct gal_runtime *r = &image->runtime;
    enum gal_status status = read_busybox(busybox, r, &image->arena, err);
    size_t i;
    if (status)
        return status;
    gal_cargo_init(&r->system, "tools", "galley image modelcar: sh, ln, sleep", &image->arena);
    gal_cargo_put(&r->system, "bin/busybox", 0755, r->galley_map);
    for (i = 0; i < sizeof names / sizeof *names; i++)
        gal_cargo_put_link(&r->system, names[i], "busybox");
    gal_cargo_put_dir(&r->system, "mnt", 0755);
    i = gal_bill_package(&r->bill, (struct gal_bill_package){.name = GAL_STR("busybox"),
                                                             .licence = GAL_STR("GPL-2.0-only"),
                                                             .purpose = "APPLICATION"});
    gal_bill_file(&r->bill, i, "bin/busybox", r->galley_map);
    return gal_cargo_seal(&r->system, err);
}
