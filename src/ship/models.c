/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/models.h"

#include "base/file_write.h"
#include "base/limits.h"
#include "base/mem.h"
#include "package/pack.h"

#include <stdio.h>

#define DEPTH_MAX 16u
#define PLAIN_WEIGHT (1u << 20) /* a file of this size is a weight, whatever its name */

struct gathering {
    const struct gal_models_options *o;
    struct gal_models *m;
    struct gal_cargo weights, files;
    size_t file_count;
    struct gal_err *err;
};

static enum gal_status no_memory(struct gathering *g)
{
    return gal_fail(g->err, GAL_NO_MEMORY, "no memory for the models of an image");
}

/* "models/fraud/model.onnx" of "model.onnx". */
static const char *place_of(struct gathering *g, struct gal_str name)
{
    const struct gal_models_options *o = g->o;
    if (!o->under_its_name)
        return gal_arena_printf(&g->m->arena, "%s/%.*s", o->place, GAL_STR_ARG(name));
    return gal_arena_printf(&g->m->arena, "%s/%s/%.*s", o->place, g->m->name, GAL_STR_ARG(name));
}

/* A weight goes to a layer of its own when it is big, as long as there are not too many. */
static enum gal_status put_file(struct gathering *g, struct gal_str name, bool is_weight,
                                const char *file, uint64_t offset, uint64_t size,
                                const char *sha256)
{
    struct gal_models *m = g->m;
    struct gal_cargo *to = is_weight ? &g->weights : &g->files;
    const char *path = place_of(g, name), *what = NULL;
    if (!path)
        return no_memory(g);
    if (is_weight && size >= GAL_SHIP_BIG_FILE && m->cargo_count < GAL_SHIP_BIG_FILES_MAX) {
        what = gal_arena_printf(&m->arena, "galley image build: %.*s", GAL_STR_ARG(name));
        to = &m->cargo[m->cargo_count++];
        gal_cargo_init(to, "weights", what, &m->arena);
    }
    gal_cargo_put_file(to, path, 0644, file, offset, size, sha256);
    return GAL_OK;
}

/* --- a package --- */

/* A user's directory becomes a .galley file in a temporary directory. */
static enum gal_status pack(struct gathering *g)
{
    const struct gal_pack_options options = {.proved = g->o->proved, .epoch = g->o->epoch};
    struct gal_pack_report report;
    char *file = NULL;
    enum gal_status status = gal_dir_make_temporary("package", &g->m->packed, g->err);
    if (!status) {
        file = gal_path_join(g->m->packed, "package.galley");
        status = file ? gal_pack(g->m->package, file, &options, &report, g->err) : no_memory(g);
    }
    if (!status) {
        gal_package_close(g->m->package);
        g->m->package = NULL;
        status = gal_package_open(file, &g->m->package, g->err);
    }
    gal_free(file);
    return status;
}

static enum gal_status put_text(struct gathering *g, const char *name, struct gal_str text)
{
    const char *path = place_of(g, gal_str_of(name));
    const char *copy = gal_arena_strdup(&g->m->arena, text);
    if (!path || !copy)
        return no_memory(g);
    gal_cargo_put(&g->files, path, 0644, (struct gal_str){copy, text.n});
    return GAL_OK;
}

static enum gal_status put_seal_file(struct gathering *g, const char *name)
{
    struct gal_buf text;
    char *path = gal_path_join(g->m->package->path, name);
    enum gal_status status =
        path ? gal_file_read(path, GAL_OCI_JSON_BYTES_MAX, &text, g->err) : no_memory(g);
    gal_free(path);
    if (status)
        return status;
    status = put_text(g, name, gal_buf_str(&text));
    gal_buf_release(&text);
    return status;
}

/* The manifest by which a loaded package's files are held against their digests. */
static enum gal_status put_seal(struct gathering *g)
{
    const struct gal_package *p = g->m->package;
    struct gal_file_info info;
    struct gal_layout *layout = NULL;
    struct gal_oci_descriptor d;
    struct gal_oci_manifest manifest;
    struct gal_str text, config;
    char *inside = gal_path_join(p->path, GAL_SEAL_MANIFEST);
    enum gal_status status = inside ? gal_file_stat(inside, &info, NULL) : no_memory(g);
    gal_free(inside);
    if (!status && info.kind == GAL_FILE_REGULAR) {
        status = put_seal_file(g, GAL_SEAL_MANIFEST);
        return status ? status : put_seal_file(g, GAL_SEAL_CONFIG);
    }
    status = gal_layout_open(p->path, &layout, g->err);
    if (!status)
        status = gal_layout_manifest(layout, NULL, NULL, &d, &text, g->err);
    if (!status)
        status = put_text(g, GAL_SEAL_MANIFEST, text);
    if (!status)
        status = gal_oci_manifest_read(text, &g->m->arena, &manifest, g->err);
    if (!status)
        status = gal_layout_blob(layout, &manifest.config, &config, g->err);
    if (!status)
        status = put_text(g, GAL_SEAL_CONFIG, config);
    gal_layout_close(layout);
    return status;
}

static enum gal_status read_freeze(struct gathering *g)
{
    struct gal_package *p = g->m->package;
    const struct gal_package_file *f = gal_package_find(p, p->manifest->freeze_file);
    if (p->manifest->freeze_file.n == 0 || !f)
        return GAL_OK;
    return gal_package_bytes(p, f, &g->m->freeze, g->err);
}

static enum gal_status take_package(struct gathering *g)
{
    struct gal_models *m = g->m;
    enum gal_status status = gal_package_open(g->o->path, &m->package, g->err);
    if (!status && !m->package->is_sealed)
        status = pack(g);
    if (status)
        return status;
    m->name = gal_arena_strdup(&m->arena, m->package->manifest->name);
    m->version = gal_arena_strdup(&m->arena, m->package->manifest->version);
    memcpy(m->digest, m->package->digest, sizeof m->digest);
    if (!m->name || !m->version)
        return no_memory(g);
    status = read_freeze(g);
    for (size_t i = 0; i < m->package->file_count && !status && !g->o->without_weights; i++) {
        const struct gal_package_file *f = &m->package->files[i];
        status = put_file(g, f->name, f->role == GAL_ROLE_WEIGHT, f->path, f->offset, f->size,
                          f->digest[0] ? f->digest + strlen("sha256:") : NULL);
    }
    return status || g->o->without_weights ? status : put_seal(g);
}

/* --- models without a package --- */

static bool is_weight_name(struct gal_str name)
{
    static const char *const endings[] = {".onnx", ".ort", ".data", ".bin", ".pb", ".weights"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (gal_str_ends(name, gal_str_of(endings[i])))
            return true;
    }
    return false;
}

static enum gal_status put_plain(struct gathering *g, const char *name, const char *file,
                                 uint64_t size)
{
    const char *copy = gal_arena_strdup(&g->m->arena, gal_str_of(file));
    if (!copy)
        return no_memory(g);
    if (++g->file_count > GAL_PACKAGE_FILES_MAX)
        return gal_fail(g->err, GAL_TOO_LARGE, "%s: more than %u files", g->o->path,
                        GAL_PACKAGE_FILES_MAX);
    return put_file(g, gal_str_of(name), size >= PLAIN_WEIGHT || is_weight_name(gal_str_of(name)),
                    copy, 0, size, NULL);
}

/* `inside`: path of the directory below what the user named, with a / behind, or empty. */
static enum gal_status walk(struct gathering *g, const char *dir, const char *inside,
                            unsigned depth)
{
    char **names, file[GAL_PATH_SIZE], name[GAL_PATH_SIZE];
    struct gal_file_info info;
    size_t count;
    enum gal_status status;
    if (depth > DEPTH_MAX)
        return gal_fail(g->err, GAL_TOO_LARGE, "%s: directories deeper than %u", dir, DEPTH_MAX);
    status = gal_dir_list(dir, &names, &count, g->err);
    for (size_t i = 0; !status && i < count; i++) {
        if (snprintf(file, sizeof file, "%s/%s", dir, names[i]) >= (int)sizeof file ||
            snprintf(name, sizeof name, "%s%s", inside, names[i]) >= (int)sizeof name - 1)
            status = gal_fail(g->err, GAL_TOO_LARGE, "%s: a path is too long", dir);
        if (!status)
            status = gal_file_stat(file, &info, g->err);
        if (!status && info.kind == GAL_FILE_DIR) {
            snprintf(name, sizeof name, "%s%s/", inside, names[i]);
            status = walk(g, file, name, depth + 1);
        } else if (!status && info.kind == GAL_FILE_REGULAR) {
            status = put_plain(g, name, file, info.bytes);
        }
    }
    gal_free((void *)names);
    return status;
}

/* A directory with a model's file right in it is one model, else it holds several. */
static bool is_one_model(const char *dir)
{
    static const char *const names[] = {"model.onnx", "model.ort", "config.pbtxt"};
    struct gal_file_info info;
    char path[GAL_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (snprintf(path, sizeof path, "%s/%s", dir, names[i]) < (int)sizeof path &&
            !gal_file_stat(path, &info, NULL) && info.kind == GAL_FILE_REGULAR)
            return true;
    }
    return false;
}

/* own: the options from here on, as long as g is used. */
static enum gal_status take_plain(struct gathering *g, struct gal_models_options *own)
{
    struct gal_file_info info;
    char real[GAL_PATH_SIZE];
    struct gal_str base;
    enum gal_status status = gal_path_real(g->o->path, real, g->err);
    if (!status)
        status = gal_file_stat(real, &info, g->err);
    if (status)
        return status;
    base = gal_str_of(gal_path_base(real));
    *own = *g->o;
    own->under_its_name = own->under_its_name && info.kind == GAL_FILE_DIR && is_one_model(real);
    g->o = own;
    if (info.kind == GAL_FILE_REGULAR && gal_str_ends(base, GAL_STR(".onnx")))
        g->m->name = gal_arena_strdup(&g->m->arena, (struct gal_str){base.p, base.n - 5});
    else
        g->m->name = gal_arena_strdup(&g->m->arena, base);
    if (!g->m->name)
        return no_memory(g);
    if (own->without_weights)
        return GAL_OK;
    if (info.kind == GAL_FILE_DIR)
        status = walk(g, real, "", 0);
    else
        status = put_plain(g, gal_path_base(real), real, info.bytes);
    if (!status && g->file_count == 0)
        status = gal_fail(g->err, GAL_INVALID, "%s: there is nothing in it", own->path);
    return status;
}

/* --- all of it --- */

static enum gal_status seal_all(struct gathering *g)
{
    struct gal_models *m = g->m;
    enum gal_status status = GAL_OK;
    if (g->weights.count)
        m->cargo[m->cargo_count++] = g->weights;
    if (g->files.count)
        m->cargo[m->cargo_count++] = g->files;
    for (size_t i = 0; i < m->cargo_count && !status; i++)
        status = gal_cargo_seal(&m->cargo[i], g->err);
    return status;
}

enum gal_status gal_models_gather(const struct gal_models_options *options, struct gal_models *out,
                                  struct gal_err *err)
{
    struct gal_models_options own;
    struct gathering g = {.o = options, .m = out, .err = err};
    enum gal_status status;
    *out = (struct gal_models){.name = ""};
    gal_arena_init(&out->arena, 65536, 0, 1ull << 30);
    gal_cargo_init(&g.weights, "weights", "galley image build: weights", &out->arena);
    gal_cargo_init(&g.files, "package", "galley image build: manifest, documents", &out->arena);
    out->cargo = gal_arena_array(&out->arena, GAL_SHIP_BIG_FILES_MAX + 2, sizeof *out->cargo);
    if (!out->cargo)
        return no_memory(&g);
    status = gal_package_is(options->path) ? take_package(&g) : take_plain(&g, &own);
    return status ? status : seal_all(&g);
}

void gal_models_release(struct gal_models *m)
{
    gal_package_close(m->package);
    gal_dir_remove_temporary(m->packed);
    gal_arena_release(&m->arena);
}
