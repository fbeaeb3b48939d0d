/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_engine.h"

#include "backend/onnx.h"
#include "cli/print.h"
#include "cli/sealing.h"
#include "ship/elf.h"

#define MAPS_MAX (4u << 20)

/* --- which one goes in --- */

/* Where the engine's library lies that this process has opened. */
static bool opened_engine(char out[GAL_PATH_SIZE])
{
    struct gal_str rest, line;
    struct gal_buf maps;
    bool found = false;
    if (gal_file_read("/proc/self/maps", MAPS_MAX, &maps, NULL))
        return false;
    rest = gal_buf_str(&maps);
    while (!found && rest.n && gal_str_cut(&rest, '\n', &line)) {
        const char *slash = memchr(line.p, '/', line.n);
        struct gal_str path = {slash, slash ? (size_t)(line.p + line.n - slash) : 0};
        found = path.n && memmem(path.p, path.n, "/libonnxruntime.so", 18) != NULL;
        if (found)
            snprintf(out, GAL_PATH_SIZE, "%.*s", GAL_STR_ARG(path));
    }
    gal_buf_release(&maps);
    return found;
}

static enum gal_status read_machine(const char *path, struct gal_arena *arena,
                                    struct gal_image_engine *engine, unsigned *machine,
                                    struct gal_err *err)
{
    struct gal_str bytes;
    struct gal_elf elf;
    enum gal_status status = gal_file_map(path, &bytes, err);
    if (status)
        return status;
    status = gal_elf_read(bytes, arena, &elf, err);
    if (status)
        gal_err_place(err, "%s", path);
    *machine = status ? 0 : elf.machine;
    /* its symbols have one version, which is its own: VERS_1.29.0 */
    for (size_t i = 0; engine && !status && i < elf.offer_count; i++) {
        struct gal_str name = elf.offers[i].name;
        if (gal_str_starts(name, GAL_STR("VERS_")) && name.n - 5 < sizeof engine->version)
            snprintf(engine->version, sizeof engine->version, "%.*s", (int)(name.n - 5),
                     name.p + 5);
    }
    gal_file_unmap(bytes);
    return status;
}

enum gal_status gal_image_engine_find(const struct gal_config *config, struct gal_image_engine *out,
                                      struct gal_err *err)
{
    struct gal_backend_options options = gal_cli_backend(config);
    struct gal_arena arena;
    const char *version = NULL;
    unsigned its = 0, ours = 0;
    enum gal_status status = GAL_OK;
    *out = (struct gal_image_engine){.is_foreign = false};
    gal_arena_init(&arena, 16384, 0, 64u << 20);
    if (options.library && options.library[0]) {
        snprintf(out->path, sizeof out->path, "%s", options.library);
        status = read_machine(out->path, &arena, out, &its, err);
        if (!status)
            status = read_machine("/proc/self/exe", &arena, NULL, &ours, err);
        out->is_foreign = its != ours;
    }
    gal_arena_release(&arena);
    if (status || out->is_foreign)
        return status;
    status = gal_backend_onnx.version(&options, &version, err);
    if (!status)
        snprintf(out->version, sizeof out->version, "%s", version);
    if (!status && !out->path[0] && !opened_engine(out->path))
        status =
            gal_fail(err, GAL_NOT_FOUND, "the engine's library was not found in /proc/self/maps");
    return status;
}

/* --- which one proves --- */

enum gal_status gal_image_engine_prove(struct gal_cli *cli, const struct gal_config *config,
                                       const struct gal_image_engine *engine, const char *path,
                                       bool *proved, struct gal_err *err)
{
    struct gal_package *package = NULL;
    struct gal_config here;
    enum gal_status status = GAL_OK;
    bool is_sealed = true;
    *proved = false;
    if (gal_package_is(path)) {
        status = gal_package_open(path, &package, err);
        is_sealed = !status && package->is_sealed;
        gal_package_close(package);
    }
    if (status || is_sealed)
        return status;
    if (!engine->is_foreign)
        return gal_seal_prove(cli, config, path, proved, err);
    gal_config_init(&here);
    status = gal_config_read_env(&here, cli->env, err);
    if (!status)
        status = gal_seal_prove(cli, &here, path, proved, err);
    gal_config_release(&here);
    return status;
}
