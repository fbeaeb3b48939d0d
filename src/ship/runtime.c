/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/runtime.h"

#include "base/file.h"
#include "base/mem.h"
#include "ship/debian.h"

#include <stdio.h>

#define LIB GAL_SHIP_PREFIX "/lib/"
#define SHARE GAL_SHIP_PREFIX "/share/"
#define SMALL_FILE_MAX (4u << 20) /* of a system's text file that is copied */
#define BINARY_MAX (1ull << 30)
#define ENGINE_NAME "libonnxruntime.so.1"

struct gathering {
    const struct gal_runtime_options *o;
    struct gal_runtime *r;
    const struct gal_debian_package **owners; /* of libraries[i] */
    struct gal_str os_release, distribution;  /* its text; "debian" of it */
    struct gal_bill runtime, engine, galley;
    struct gal_err *err;
};

static enum gal_status no_memory(struct gathering *g)
{
    return gal_fail(g->err, GAL_NO_MEMORY, "no memory for an image's files");
}

/* A copy of a text file in the arena; p NULL when there is none. */
static enum gal_status read_text(struct gathering *g, const char *path, struct gal_str *out)
{
    struct gal_file_info info;
    struct gal_buf text;
    enum gal_status status = gal_file_stat(path, &info, g->err);
    *out = (struct gal_str){NULL, 0};
    if (status || info.kind != GAL_FILE_REGULAR)
        return status;
    status = gal_file_read(path, SMALL_FILE_MAX, &text, g->err);
    if (status)
        return status;
    out->p = gal_arena_strdup(&g->r->arena, gal_buf_str(&text));
    out->n = text.n;
    gal_buf_release(&text);
    return out->p ? GAL_OK : no_memory(g);
}

/* --- galley --- */

/* "$ORIGIN/../lib" among the folders where the binary looks for its libraries. */
static bool looks_beside(const struct gal_elf *e)
{
    struct gal_str paths = e->rpath, dir;
    while (paths.n && gal_str_cut(&paths, ':', &dir)) {
        if (gal_str_is(dir, "$ORIGIN/../lib"))
            return true;
    }
    return false;
}

static enum gal_status take_galley(struct gathering *g)
{
    struct gal_runtime *r = g->r;
    const char *path = g->o->galley;
    enum gal_status status = gal_file_map(path, &r->galley_map, g->err);
    if (!status)
        status = gal_elf_read(r->galley_map, &r->arena, &r->galley_elf, g->err);
    if (!status && !looks_beside(&r->galley_elf)) {
        status = gal_fail(g->err, GAL_UNSUPPORTED,
                          "it was linked without the RPATH $ORIGIN/../lib, by which it would find "
                          "its libraries in an image");
        gal_err_hint(g->err,
                     "build it by galley's own build files, or name another: --galley FILE");
    }
    if (!status)
        status = gal_elf_slim(r->galley_map, GAL_SHIP_LOADER, &r->galley_slim, g->err);
    if (status) {
        if (g->err && !g->err->place[0])
            gal_err_place(g->err, "%s", path);
        return status;
    }
    gal_cargo_put(&r->galley, &GAL_SHIP_BINARY[1], 0755, gal_buf_str(&r->galley_slim));
    status = gal_libraries_add(&r->libraries, path, r->galley_map, g->err);
    if (!status && g->o->with_sources)
        status =
            gal_libraries_add_named(&r->libraries, "libcurl.so.4", r->galley_elf.machine, g->err);
    return status;
}

/* --- the engine --- */

/* Providers (CUDA) lie beside the engine, which opens them by itself; what they need is the base
 * image's. */
static enum gal_status take_providers(struct gathering *g, const char *dir)
{
    char **names;
    size_t count;
    enum gal_status status = gal_dir_list(dir, &names, &count, g->err);
    if (status)
        return status;
    for (size_t i = 0; i < count && !status; i++) {
        struct gal_str name = gal_str_of(names[i]);
        struct gal_file_info info;
        const char *file, *path;
        if (!gal_str_starts(name, GAL_STR("libonnxruntime_providers_")) ||
            !gal_str_ends(name, GAL_STR(".so")))
            continue;
        file = gal_arena_printf(&g->r->arena, "%s/%s", dir, names[i]);
        path = gal_arena_printf(&g->r->arena, LIB "%s", names[i]);
        status = file && path ? gal_file_stat(file, &info, g->err) : no_memory(g);
        if (!status)
            gal_cargo_put_file(&g->r->engine, path, 0644, file, 0, info.bytes, NULL);
    }
    gal_free((void *)names);
    return status;
}

/* The licence that lies beside the engine's lib/, as its releases have it. */
static enum gal_status take_engine_licence(struct gathering *g, const char *dir)
{
    static const char *const names[] = {"LICENSE", "ThirdPartyNotices.txt"};
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < 2 && !status; i++) {
        const char *file = gal_arena_printf(&g->r->arena, "%s/../%s", dir, names[i]);
        const char *path = gal_arena_printf(&g->r->arena, SHARE "doc/onnxruntime/%s", names[i]);
        struct gal_str text;
        status = file && path ? read_text(g, file, &text) : no_memory(g);
        if (!status && text.p)
            gal_cargo_put(&g->r->engine, path, 0644, text);
    }
    return status;
}

static enum gal_status take_engine(struct gathering *g)
{
    struct gal_runtime *r = g->r;
    char real[GAL_PATH_SIZE];
    const char *dir;
    struct gal_elf elf;
    enum gal_status status = gal_path_real(g->o->engine, real, g->err);
    if (!status)
        status = gal_file_map(real, &r->engine_map, g->err);
    if (!status)
        status = gal_elf_read(r->engine_map, &r->arena, &elf, g->err);
    if (!status && elf.machine != r->galley_elf.machine)
        status =
            gal_fail(g->err, GAL_CONFLICT, "it is of another architecture than %s", g->o->galley);
    if (status) {
        gal_err_place(g->err, "%s", g->o->engine);
        return status;
    }
    gal_cargo_put(&r->engine, LIB ENGINE_NAME, 0644, r->engine_map);
    dir = gal_arena_strdup(&r->arena, (struct gal_str){real, (size_t)(gal_path_base(real) - real)});
    status = gal_libraries_add(&r->libraries, real, r->engine_map, g->err);
    if (!status)
        status = dir ? take_providers(g, dir) : no_memory(g);
    if (!status)
        status = take_engine_licence(g, dir);
    return status ? status : gal_libraries_check(&r->libraries, real, &elf, g->err);
}

/* --- libraries --- */

static enum gal_status find_owners(struct gathering *g)
{
    struct gal_libraries *l = &g->r->libraries;
    const char **paths = gal_arena_array(&g->r->arena, l->count + 1, sizeof(char *));
    g->owners = gal_arena_array(&g->r->arena, l->count + 1, sizeof(void *));
    if (!paths || !g->owners)
        return no_memory(g);
    for (size_t i = 0; i < l->count; i++)
        paths[i] = l->items[i].path + strlen(l->root);
    return gal_debian_owners(l->root, paths, l->count, &g->r->arena, g->owners, g->err);
}

/* ID of os-release, for purls. */
static enum gal_status find_distribution(struct gathering *g)
{
    const char *path = gal_arena_printf(&g->r->arena, "%s/etc/os-release", g->r->libraries.root);
    enum gal_status status = path ? read_text(g, path, &g->os_release) : no_memory(g);
    struct gal_str rest = g->os_release, line;
    g->distribution = GAL_STR("debian");
    while (rest.n && gal_str_cut(&rest, '\n', &line)) {
        if (gal_str_starts(line, GAL_STR("ID=")))
            g->distribution = (struct gal_str){line.p + 3, line.n - 3};
    }
    return status;
}

static struct gal_bill_package bill_of(struct gathering *g, size_t i)
{
    const struct gal_debian_package *p = g->owners[i];
    const struct gal_library *l = &g->r->libraries.items[i];
    struct gal_arena *a = &g->r->arena;
    const char *type = gal_arena_printf(a, "deb/%.*s", GAL_STR_ARG(g->distribution));
    const char *supplier = gal_arena_printf(a, "Organization: %.*s", GAL_STR_ARG(g->distribution));
    if (!p || !type || !supplier)
        return (struct gal_bill_package){.name = l->name, .purpose = "LIBRARY"};
    return (struct gal_bill_package){
        .name = p->name,
        .version = p->version,
        .supplier = gal_str_of(supplier),
        .purl = gal_bill_purl(a, type, p->name, p->version, p->architecture),
        .purpose = "LIBRARY"};
}

static enum gal_status take_copyright(struct gathering *g, size_t i)
{
    const struct gal_debian_package *p = g->owners[i];
    const char *path;
    struct gal_str text;
    enum gal_status status;
    for (size_t k = 0; k < i; k++) {
        if (g->owners[k] == p)
            return GAL_OK; /* of the same package */
    }
    if (!p || !p->copyright)
        return GAL_OK;
    path = gal_arena_printf(&g->r->arena, SHARE "doc/%.*s/copyright", GAL_STR_ARG(p->name));
    status = path ? read_text(g, p->copyright, &text) : no_memory(g);
    if (!status && text.p)
        gal_cargo_put(&g->r->runtime, path, 0644, text);
    return status;
}

static enum gal_status take_libraries(struct gathering *g)
{
    struct gal_runtime *r = g->r;
    enum gal_status status = find_owners(g);
    if (!status)
        status = find_distribution(g);
    for (size_t i = 0; i < r->libraries.count && !status; i++) {
        const struct gal_library *l = &r->libraries.items[i];
        const char *path = l->is_loader
                               ? &GAL_SHIP_LOADER[1]
                               : gal_arena_printf(&r->arena, LIB "%.*s", GAL_STR_ARG(l->name));
        if (!path)
            return no_memory(g);
        gal_cargo_put(&r->runtime, path, l->is_loader ? 0755 : 0644, l->bytes);
        gal_bill_file(&g->runtime, gal_bill_package(&g->runtime, bill_of(g, i)), path, l->bytes);
        status = take_copyright(g, i);
    }
    return status;
}

/* --- bills --- */

static void bill_engine(struct gathering *g)
{
    struct gal_str version = gal_str_of(g->o->engine_version);
    size_t i = gal_bill_package(
        &g->engine,
        (struct gal_bill_package){.name = GAL_STR("onnxruntime"),
                                  .version = version,
                                  .licence = GAL_STR("MIT"),
                                  .purl = gal_bill_purl(&g->r->arena, "github/microsoft",
                                                        GAL_STR("onnxruntime"), version,
                                                        (struct gal_str){NULL, 0}),
                                  .purpose = "LIBRARY"});
    gal_bill_file(&g->engine, i, LIB ENGINE_NAME, g->r->engine_map);
}

static void bill_galley(struct gathering *g)
{
    size_t i = gal_bill_package(
        &g->galley, (struct gal_bill_package){
                        .name = GAL_STR("galley"),
                        .version = GAL_STR(GAL_VERSION),
                        .licence = GAL_STR("Apache-2.0"),
                        .purl = gal_bill_purl(&g->r->arena, "generic", GAL_STR("galley"),
                                              GAL_STR(GAL_VERSION), (struct gal_str){NULL, 0}),
                        .purpose = "APPLICATION"});
    gal_bill_file(&g->galley, i, &GAL_SHIP_BINARY[1], gal_buf_str(&g->r->galley_slim));
}

/* Each layer carries its own, so that a change of one is no change of another. */
static enum gal_status put_bill(struct gathering *g, const struct gal_bill *bill,
                                struct gal_cargo *cargo)
{
    const char *path = gal_arena_printf(&g->r->arena, SHARE "sbom/%s.spdx.json", cargo->name);
    const char *name = gal_arena_printf(&g->r->arena, "galley-%s", cargo->name);
    const char *copy;
    struct gal_buf text;
    enum gal_status status;
    gal_buf_init(&text, 64u << 20);
    status =
        path && name ? gal_bill_write(&text, bill, name, NULL, g->o->epoch, g->err) : no_memory(g);
    copy = status ? NULL : gal_arena_strdup(&g->r->arena, gal_buf_str(&text));
    if (!status && !copy)
        status = no_memory(g);
    if (!status)
        gal_cargo_put(cargo, path, 0644, (struct gal_str){copy, text.n});
    gal_bill_join(&g->r->bill, bill);
    gal_buf_release(&text);
    return status;
}

/* --- the system --- */

static enum gal_status put_printed(struct gathering *g, const char *path, const char *text)
{
    if (!text)
        return no_memory(g);
    gal_cargo_put(&g->r->system, path, 0644, gal_str_of(text));
    return GAL_OK;
}

static enum gal_status put_users(struct gathering *g)
{
    unsigned long long uid = g->o->uid, gid = g->o->gid;
    struct gal_arena *a = &g->r->arena;
    const char *root = "root:x:0:0:root:/:/sbin/nologin\n";
    enum gal_status status =
        put_printed(g, "etc/passwd",
                    uid ? gal_arena_printf(a, "%snonroot:x:%llu:%llu:nonroot:/tmp:/sbin/nologin\n",
                                           root, uid, gid)
                        : root);
    if (!status)
        status = put_printed(g, "etc/group",
                             gid ? gal_arena_printf(a, "root:x:0:\nnonroot:x:%llu:\n", gid)
                                 : "root:x:0:\n");
    return status ? status
                  : put_printed(g, "etc/nsswitch.conf",
                                "passwd: files\ngroup: files\nhosts: files dns\n");
}

/* Scanners know the libraries by dpkg's paragraphs, a file each, where there is no database
 * (distroless's convention), and the distribution by os-release. */
static enum gal_status put_origin(struct gathering *g)
{
    bool any = false;
    for (size_t i = 0; i < g->r->libraries.count; i++) {
        const struct gal_debian_package *p = g->owners[i];
        bool seen = !p;
        for (size_t k = 0; k < i && !seen; k++)
            seen = g->owners[k] == p;
        if (seen)
            continue;
        any = true;
        const char *file =
            gal_arena_printf(&g->r->arena, "var/lib/dpkg/status.d/%.*s", GAL_STR_ARG(p->name));
        if (!file)
            return no_memory(g);
        gal_cargo_put(&g->r->system, file, 0644, p->paragraph);
    }
    if (any && g->os_release.p)
        gal_cargo_put(&g->r->system, "etc/os-release", 0644, g->os_release);
    return GAL_OK;
}

static enum gal_status put_certificates(struct gathering *g)
{
    const char *path = gal_arena_printf(&g->r->arena, "%s/etc/ssl/certs/ca-certificates.crt",
                                        g->r->libraries.root);
    struct gal_str text;
    enum gal_status status = path ? read_text(g, path, &text) : no_memory(g);
    if (!status && !text.p) {
        status = gal_fail(g->err, GAL_NOT_FOUND,
                          "%s is missing: fetching over TLS needs certificates", path);
        gal_err_hint(g->err, "install ca-certificates");
    }
    if (!status)
        gal_cargo_put(&g->r->system, "etc/ssl/certs/ca-certificates.crt", 0644, text);
    return status;
}

static enum gal_status take_system(struct gathering *g)
{
    enum gal_status status = GAL_OK;
    if (g->o->with_sources)
        status = put_certificates(g);
    if (status || g->o->has_base)
        return status;
    gal_cargo_put_dir(&g->r->system, "tmp", 01777);
    status = put_users(g);
    return status ? status : put_origin(g);
}

/* --- all of it --- */

static enum gal_status seal_all(struct gathering *g)
{
    struct gal_runtime *r = g->r;
    struct gal_cargo *const all[] = {&r->system, &r->runtime, &r->engine, &r->galley};
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < 4 && !status; i++) {
        if (all[i]->count)
            status = gal_cargo_seal(all[i], g->err);
    }
    return status;
}

enum gal_status gal_runtime_gather(const struct gal_runtime_options *options,
                                   struct gal_runtime *out, struct gal_err *err)
{
    struct gathering g = {.o = options, .r = out, .err = err};
    enum gal_status status;
    *out = (struct gal_runtime){.galley_map = {NULL, 0}};
    gal_arena_init(&out->arena, 65536, 0, 1ull << 30);
    gal_buf_init(&out->galley_slim, BINARY_MAX);
    gal_cargo_init(&out->system, "system", "galley image build: users, /tmp", &out->arena);
    gal_cargo_init(&out->runtime, "runtime", "galley image build: C runtime and libraries",
                   &out->arena);
    gal_cargo_init(&out->engine, "engine", "galley image build: ONNX Runtime", &out->arena);
    gal_cargo_init(&out->galley, "galley", "galley image build: galley " GAL_VERSION, &out->arena);
    gal_bill_init(&out->bill, &out->arena);
    gal_bill_init(&g.runtime, &out->arena);
    gal_bill_init(&g.engine, &out->arena);
    gal_bill_init(&g.galley, &out->arena);
    status =
        gal_libraries_init(&out->libraries, options->root, options->dirs, options->dir_count, err);
    if (!status)
        status = take_galley(&g);
    if (!status)
        status = take_engine(&g);
    if (!status)
        status = gal_libraries_check(&out->libraries, options->galley, &out->galley_elf, err);
    if (!status)
        status = take_libraries(&g);
    if (!status) {
        bill_engine(&g);
        bill_galley(&g);
        status = put_bill(&g, &g.runtime, &out->runtime);
    }
    if (!status)
        status = put_bill(&g, &g.engine, &out->engine);
    if (!status)
        status = put_bill(&g, &g.galley, &out->galley);
    if (!status)
        status = take_system(&g);
    return status ? status : seal_all(&g);
}

void gal_runtime_release(struct gal_runtime *r)
{
    gal_libraries_release(&r->libraries);
    gal_file_unmap(r->galley_map);
    gal_file_unmap(r->engine_map);
    gal_buf_release(&r->galley_slim);
    gal_arena_release(&r->arena);
}
