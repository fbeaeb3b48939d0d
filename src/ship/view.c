/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/view.h"

#include "base/digest.h"
#include "base/limits.h"
#include "oci/compress.h"
#include "text/json.h"

#define CONFIG_BYTES_MAX (16u << 20)
#define CONFIG_DEPTH_MAX 16u
#define VIEW_BYTES_MAX (1ull << 30) /* of names and findings */

void gal_view_release(struct gal_view *v)
{
    gal_arena_release(&v->arena);
}

struct gal_str gal_view_label(const struct gal_view *v, const char *key)
{
    for (size_t i = 0; i < v->label_count; i++) {
        if (gal_str_is(v->labels[i].key, key))
            return v->labels[i].value;
    }
    return (struct gal_str){NULL, 0};
}

/* --- configuration --- */

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

static struct gal_str text_at(yyjson_val *object, const char *key)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    return yyjson_is_str(v) ? text_of(v) : (struct gal_str){NULL, 0};
}

/* An array of text, or the keys of an object. */
static enum gal_status texts_at(struct gal_view *view, yyjson_val *object, const char *key,
                                struct gal_str **out, size_t *count, struct gal_err *err)
{
    yyjson_val *v = yyjson_obj_get(object, key), *item, *value;
    size_t i, n, k = 0;

    *count = 0;
    *out = gal_arena_array(&view->arena, yyjson_get_len(v) + 1, sizeof **out);
    if (!*out)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's configuration");
    if (yyjson_is_arr(v)) {
        yyjson_arr_foreach(v, i, n, item) if (yyjson_is_str(item))(*out)[k++] = text_of(item);
    } else if (yyjson_is_obj(v)) {
        yyjson_obj_foreach(v, i, n, item, value)(*out)[k++] = text_of(item);
    }
    *count = k;
    return GAL_OK;
}

static enum gal_status read_labels(struct gal_view *view, yyjson_val *config, struct gal_err *err)
{
    yyjson_val *v = yyjson_obj_get(config, "Labels"), *key, *value;
    size_t i, n;

    if (!yyjson_is_obj(v))
        return GAL_OK;
    view->labels = gal_arena_array(&view->arena, yyjson_obj_size(v) + 1, sizeof *view->labels);
    if (!view->labels)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's labels");
    yyjson_obj_foreach(v, i, n, key, value)
    {
        if (yyjson_is_str(value))
            view->labels[view->label_count++] =
                (struct gal_oci_annotation){text_of(key), text_of(value)};
    }
    return GAL_OK;
}

static enum gal_status read_layers(struct gal_view *view, yyjson_val *root, struct gal_err *err)
{
    yyjson_val *diffs = yyjson_obj_get(yyjson_obj_get(root, "rootfs"), "diff_ids"), *item;
    size_t i, n;

    if (yyjson_arr_size(diffs) != view->manifest.layer_count)
        return gal_fail(
            err, GAL_INVALID,
            "the image's configuration has %zu rootfs.diff_ids, its manifest %zu layers",
            yyjson_arr_size(diffs), view->manifest.layer_count);
    view->layer_count = view->manifest.layer_count;
    view->layers = gal_arena_array(&view->arena, view->layer_count + 1, sizeof *view->layers);
    if (!view->layers)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's layers");
    yyjson_arr_foreach(diffs, i, n, item)
    {
        view->layers[i] = (struct gal_view_layer){.blob = view->manifest.layers[i]};
        view->layers[i].diff_id = text_of(item);
        if (!yyjson_is_str(item) || !gal_oci_digest_valid(view->layers[i].diff_id))
            return gal_fail(err, GAL_INVALID,
                            "the image's configuration: rootfs.diff_ids[%zu] is no sha256 digest",
                            i);
    }
    return GAL_OK;
}

static enum gal_status read_history(struct gal_view *view, yyjson_val *root, struct gal_err *err)
{
    yyjson_val *history = yyjson_obj_get(root, "history"), *item;
    size_t i, n, layer = 0;

    view->steps = gal_arena_array(&view->arena, yyjson_arr_size(history) + 1, sizeof *view->steps);
    if (!view->steps)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's history");
    yyjson_arr_foreach(history, i, n, item)
    {
        struct gal_view_step *s = &view->steps[view->step_count++];
        *s = (struct gal_view_step){text_at(item, "created"), text_at(item, "created_by"),
                                    text_at(item, "comment"), SIZE_MAX};
        if (!yyjson_is_true(yyjson_obj_get(item, "empty_layer")) && layer < view->layer_count) {
            view->layers[layer].created_by = s->created_by;
            s->layer = layer++;
        }
    }
    return GAL_OK;
}

static enum gal_status read_run(struct gal_view *view, yyjson_val *config, struct gal_err *err)
{
    yyjson_val *health = yyjson_obj_get(config, "Healthcheck");
    enum gal_status status = texts_at(view, config, "Env", &view->env, &view->env_count, err);

    view->user = text_at(config, "User");
    view->working_dir = text_at(config, "WorkingDir");
    if (!status)
        status =
            texts_at(view, config, "Entrypoint", &view->entrypoint, &view->entrypoint_count, err);
    if (!status)
        status = texts_at(view, config, "Cmd", &view->cmd, &view->cmd_count, err);
    if (!status)
        status = texts_at(view, config, "ExposedPorts", &view->ports, &view->port_count, err);
    if (!status)
        status = texts_at(view, health, "Test", &view->healthcheck, &view->healthcheck_count, err);
    return status ? status : read_labels(view, config, err);
}

static enum gal_status read_config(struct gal_view *view, struct gal_str text, struct gal_err *err)
{
    yyjson_val *root;
    enum gal_status status = gal_json_read(text, &view->arena, CONFIG_DEPTH_MAX, &root, err);

    if (status || !yyjson_is_obj(root))
        return gal_fail(err, GAL_INVALID, "the image's configuration is no JSON object");
    view->architecture = text_at(root, "architecture");
    view->os = text_at(root, "os");
    view->created = text_at(root, "created");
    status = read_layers(view, root, err);
    if (!status)
        status = read_history(view, root, err);
    return status ? status : read_run(view, yyjson_obj_get(root, "config"), err);
}

enum gal_status gal_view_open(struct gal_layout *layout, const char *name,
                              const struct gal_oci_platform *platform, struct gal_view *out,
                              struct gal_err *err)
{
    struct gal_str text;

    *out = (struct gal_view){.layout = layout, .unpacked_max = GAL_VIEW_BYTES_MAX};
    gal_arena_init(&out->arena, 65536, 0, VIEW_BYTES_MAX);
    enum gal_status status = gal_layout_manifest(layout, name, platform, &out->top, &text, err);
    if (!status)
        status = gal_oci_manifest_read(text, &out->arena, &out->manifest, err);
    if (!status && out->manifest.artifact_type.n > 0)
        return gal_fail(err, GAL_INVALID, "this is no image but an artifact: %.*s",
                        GAL_STR_SHOWN(out->manifest.artifact_type));
    if (!status && out->manifest.config.size > CONFIG_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "the image's configuration claims %llu bytes",
                        (unsigned long long)out->manifest.config.size);
    if (!status)
        status = gal_layout_check(layout, &out->manifest.config, err);
    if (!status)
        status = gal_layout_blob(layout, &out->manifest.config, &text, err);
    return status ? status : read_config(out, text, err);
}

/* --- layers --- */

/* A layer's blob as the tar that is in it, piece by piece. */
struct unpack {
    struct gal_str rest; /* of the blob */
    struct gal_decompressor *d;
    struct gal_buf out;
    struct gal_sha256 *sum;
    uint64_t *unpacked; /* the view's */
    bool more;
};

static enum gal_status read_packed(void *ctx, struct gal_str *piece, struct gal_err *err)
{
    struct unpack *u = ctx;
    enum gal_status status = GAL_OK;

    gal_buf_clear(&u->out, SIZE_MAX);
    while (!status && u->out.n == 0 && u->more)
        status = gal_decompress(u->d, &u->rest, &u->out, &u->more, err);
    if (!status && u->out.failed)
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for a layer");
    if (!status && u->out.n == 0)
        status = gal_decompress_end(u->d, err);
    *piece = gal_buf_str(&u->out);
    *u->unpacked += piece->n;
    if (!status)
        status = gal_sha256_add(u->sum, *piece);
    return status;
}

/* Skips "./" and "/" in front; NULL for the root itself. */
static char *clean_path(struct gal_view *v, const char *path)
{
    while (path[0] == '/' || (path[0] == '.' && (path[1] == '/' || path[1] == '\0')))
        path += path[0] == '.' && path[1] == '/' ? 2 : 1;
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    return n ? gal_arena_strdup(&v->arena, (struct gal_str){path, n}) : NULL;
}

static enum gal_status read_content(struct gal_tar_reader *tar, struct gal_buf *content,
                                    struct gal_err *err)
{
    struct gal_str piece = {NULL, 0};
    enum gal_status status;

    gal_buf_clear(content, SIZE_MAX);
    do {
        status = gal_tar_data(tar, &piece, err);
        if (!status && piece.n)
            gal_buf_put(content, piece.p, piece.n);
    } while (!status && piece.n);
    if (!status && content->failed)
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for a file of a layer");
    return status;
}

static enum gal_status walk_tar(struct gal_view *v, struct gal_tar_reader *tar,
                                struct gal_buf *content,
                                enum gal_status (*on_entry)(const struct gal_view_entry *e,
                                                            void *ctx, struct gal_err *err),
                                void *ctx, struct gal_err *err)
{
    struct gal_tar_entry e;
    bool end = false;
    enum gal_status status = gal_tar_next(tar, &e, &end, err);

    while (!status && !end) {
        struct gal_view_entry entry = {clean_path(v, e.path), &e, {NULL, 0}, NULL};
        if (e.type == GAL_TAR_FILE && e.size <= GAL_VIEW_CONTENT_MAX) {
            status = read_content(tar, content, err);
            entry.content = gal_buf_str(content);
            if (entry.content.p == NULL)
                entry.content.p = "";
        } else if (e.type == GAL_TAR_FILE) {
            entry.data = tar;
        }
        if (!status && entry.path)
            status = on_entry(&entry, ctx, err);
        if (!status)
            status = gal_tar_next(tar, &e, &end, err);
    }
    return status;
}

static enum gal_status check_diff(struct unpack *u, const struct gal_view_layer *l, size_t layer,
                                  struct gal_err *err)
{
    char hex[GAL_SHA256_HEX_SIZE];
    struct gal_str piece;
    enum gal_status status = GAL_OK;

    do /* what stands behind the archive's end belongs to it too */
        status = read_packed(u, &piece, err);
    while (!status && piece.n);
    if (!status)
        status = gal_sha256_end(u->sum, hex);
    if (!status && strncmp(l->diff_id.p + 7, hex, 64) != 0)
        status = gal_fail(err, GAL_INVALID,
                          "layer %zu unpacks to sha256:%.12s..., its configuration says %.19s...",
                          layer, hex, l->diff_id.p);
    return status;
}

enum gal_status gal_view_walk(struct gal_view *v, size_t layer,
                              enum gal_status (*on_entry)(const struct gal_view_entry *e, void *ctx,
                                                          struct gal_err *err),
                              void *ctx, struct gal_err *err)
{
    const struct gal_view_layer *l = &v->layers[layer];
    struct unpack u = {.unpacked = &v->unpacked, .more = true};
    struct gal_tar_source source = {read_packed, &u};
    struct gal_tar_reader *tar = NULL;
    struct gal_buf content;
    enum gal_compression kind;

    gal_buf_init(&u.out, 4u << 20);
    gal_buf_init(&content, GAL_VIEW_CONTENT_MAX);
    enum gal_status status = gal_layout_check(v->layout, &l->blob, err);
    if (!status && !gal_compression_of(l->blob.media_type, &kind))
        status = gal_fail(err, GAL_MEDIA_TYPE, "layer %zu has a media type that is not known: %.*s",
                          layer, GAL_STR_SHOWN(l->blob.media_type));
    if (!status)
        status = gal_layout_blob(v->layout, &l->blob, &u.rest, err);
    if (!status)
        status = gal_decompressor_new(kind, v->unpacked_max - v->unpacked, &u.d, err);
    if (!status && !(u.sum = gal_sha256_new()))
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for a digest");
    if (!status)
        status = gal_tar_open(&source, &tar, err);
    if (!status)
        status = walk_tar(v, tar, &content, on_entry, ctx, err);
    if (!status)
        status = check_diff(&u, l, layer, err);
    gal_tar_close(tar);
    gal_sha256_free(u.sum);
    gal_decompressor_free(u.d);
    gal_buf_release(&content);
    gal_buf_release(&u.out);
    return status;
}
