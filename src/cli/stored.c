/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stored.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "package/package.h"
#include "ship/folder.h"
#include "source/source.h"

#define MODELS "models"          /* where images of galley's have them */
#define MANIFEST_MAX (64u << 20) /* memory to read one */

/* --- is it one? --- */

/* "localhost:5000/x", "registry.example.com/x": the part in front is a host's (oci/reference.h),
 * and no directory's ("./x", "../x"). */
static bool has_host(const char *text)
{
    struct gal_str rest = gal_str_of(text), first;
    struct gal_reference ref;
    if (gal_str_starts(rest, GAL_STR("oci://")))
        return true;
    if (!gal_str_cut(&rest, '/', &first) || rest.n == 0 || first.n == 0 || first.p[0] == '.')
        return false;
    return (memchr(first.p, '.', first.n) || memchr(first.p, ':', first.n) ||
            gal_str_is(first, "localhost")) &&
           gal_reference_parse(gal_str_of(text), &ref, NULL) == GAL_OK;
}

/* False for a model's artifact. What cannot be told is taken for an image: opening it says why. */
static bool holds_image(struct gal_layout *layout)
{
    struct gal_oci_descriptor d;
    struct gal_oci_manifest m;
    struct gal_arena arena;
    struct gal_str text;
    bool is_image = true;
    gal_arena_init(&arena, 16384, 0, MANIFEST_MAX);
    if (gal_layout_manifest(layout, NULL, NULL, &d, &text, NULL) == GAL_OK &&
        gal_oci_manifest_read(text, &arena, &m, NULL) == GAL_OK)
        is_image = m.artifact_type.n == 0 &&
                   (gal_str_is(m.config.media_type, GAL_OCI_CONFIG) ||
                    gal_str_starts(m.config.media_type, GAL_STR("application/vnd.docker.")));
    gal_arena_release(&arena);
    return is_image;
}

bool gal_stored_is(const char *text)
{
    struct gal_file_info info;
    struct gal_layout *layout = NULL;
    bool is = false;
    if (gal_file_stat(text, &info, NULL) || info.kind == GAL_FILE_NONE)
        return has_host(text);
    if (gal_str_ends(gal_str_of(text), GAL_STR(".galley")))
        return false;
    if (gal_layout_open(text, &layout, NULL) == GAL_OK)
        is = holds_image(layout);
    gal_layout_close(layout);
    return is;
}

/* --- out of an image --- */

static enum gal_status join(char out[GAL_PATH_SIZE], const char *dir, const char *name,
                            struct gal_err *err)
{
    if (snprintf(out, GAL_PATH_SIZE, "%s/%s", dir, name) < GAL_PATH_SIZE)
        return GAL_OK;
    return gal_fail(err, GAL_TOO_LARGE, "the path of a model in the image is too long");
}

static enum gal_status no_models(const struct gal_view *view, struct gal_err *err)
{
    gal_fail(err, GAL_NOT_FOUND, "the image has no models under /" MODELS);
    for (size_t i = 0; i < view->env_count; i++) {
        if (gal_str_starts(view->env[i], GAL_STR(GAL_MODEL_DEFAULT "=")) ||
            gal_str_starts(view->env[i], GAL_STR("MODEL_PATH=")))
            gal_err_hint(err, "it fetches them at its start (%.*s): compare with what lies there",
                         GAL_STR_SHOWN(view->env[i]));
    }
    return GAL_NOT_FOUND;
}

static enum gal_status too_many(char **names, size_t count, struct gal_err *err)
{
    char list[160] = "";
    size_t n = 0;
    for (size_t i = 0; i < count && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", names[i]);
    gal_fail(err, GAL_INVALID, "the image has %zu models: %s", count, list);
    gal_err_hint(err, "--model NAME says which");
    return GAL_INVALID;
}

static enum gal_status choose_named(struct gal_stored *s, const char *model, struct gal_err *err)
{
    struct gal_file_info info = {.kind = GAL_FILE_NONE};
    bool is_name = model[0] && model[0] != '.' && !strchr(model, '/');
    enum gal_status status = is_name ? join(s->path, s->unpacked, model, err) : GAL_OK;
    if (!status && is_name)
        status = gal_file_stat(s->path, &info, err);
    if (!status && info.kind == GAL_FILE_NONE)
        status = gal_fail(err, GAL_NOT_FOUND, "the image has no model %.100s", model);
    return status;
}

/* A modelcar is the package itself, another image has a directory of models. */
static enum gal_status choose(struct gal_stored *s, const char *model, struct gal_err *err)
{
    char **names = NULL;
    size_t count = 0;
    enum gal_status status;
    if (gal_package_is(s->unpacked)) {
        snprintf(s->path, sizeof s->path, "%s", s->unpacked);
        return GAL_OK;
    }
    if (model)
        return choose_named(s, model, err);
    status = gal_dir_list(s->unpacked, &names, &count, err);
    if (!status && count == 1)
        status = join(s->path, s->unpacked, names[0], err);
    else if (!status)
        status = too_many(names, count, err);
    gal_free((void *)names);
    return status;
}

static enum gal_status take_out(struct gal_stored *s, const char *model, struct gal_err *err)
{
    struct gal_view view;
    size_t files = 0;
    enum gal_status status = gal_view_open(s->source.layout, s->source.name, NULL, &view, err);
    if (!status)
        status = gal_dir_make_temporary("models", &s->unpacked, err);
    if (!status)
        status = gal_folder_extract(&view, MODELS, s->unpacked, &files, err);
    if (!status && files == 0)
        status = no_models(&view, err);
    gal_view_release(&view);
    return status ? status : choose(s, model, err);
}

enum gal_status gal_stored_open(const struct gal_cli *cli, const char *text, const char *model,
                                struct gal_stored *out, struct gal_err *err)
{
    enum gal_status status = gal_image_source_open(cli, text, NULL, &out->source, err);
    out->unpacked = NULL;
    if (!status && holds_image(out->source.layout))
        status = take_out(out, model, err);
    else if (!status)
        snprintf(out->path, sizeof out->path, "%s",
                 out->source.fetched ? out->source.fetched : text);
    if (status)
        gal_err_place(err, "%s", text);
    return status;
}

void gal_stored_close(struct gal_stored *s)
{
    gal_image_source_close(&s->source);
    gal_dir_remove_temporary(s->unpacked);
    s->unpacked = NULL;
}
