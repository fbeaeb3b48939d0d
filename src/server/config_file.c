/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: keys, and the entries of `models:`. */
#include "base/file.h"
#include "base/limits.h"
#include "server/config.h"
#include "server/config_image.h"
#include "text/yaml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TREE_BYTES_MAX (64u << 20)
#define LIST_TEXT_BYTES 512u /* a list of numbers as one text */

/* Names beside the rows. */
static const char *const top_names[] = {"models", NULL};
static const char *const entry_names[] = {"path", "name", "padding", "image", NULL};

/* One file being read. */
struct reader {
    struct gal_config *c;
    const char *file;
    struct gal_err *err;
};

/* "KEY: message", at the node. */
static enum gal_status fail_at(struct reader *r, const struct gal_yaml *node, const char *message)
{
    if (node->key.n)
        gal_fail(r->err, GAL_INVALID, "%.*s: %s", GAL_STR_ARG(node->key), message);
    else
        gal_fail(r->err, GAL_INVALID, "%s", message);
    gal_err_place(r->err, "%s:%u", r->file, node->line);
    return GAL_INVALID;
}

static enum gal_status no_memory(struct reader *r)
{
    return gal_fail(r->err, GAL_NO_MEMORY, "no memory for the configuration");
}

static enum gal_status refuse_unknown(struct reader *r, const struct gal_yaml *node,
                                      const char *const *more)
{
    const char *near = gal_config_nearest_of(node->key, more);

    fail_at(r, node, "unknown key");
    if (near)
        gal_err_hint(r->err, "did you mean %s?", near);
    else
        gal_err_hint(r->err, "see galley help serve for the keys");
    return GAL_INVALID;
}

/* The node's value as one text; a list of a LIST row becomes "4,8". NULL with an error. */
static const char *value_text(struct reader *r, const struct gal_config_row *row,
                              const struct gal_yaml *node, char list[LIST_TEXT_BYTES])
{
    size_t n = 0;

    if (node->type == GAL_YAML_SCALAR)
        return node->scalar.n ? node->scalar.p : "";
    if (node->type != GAL_YAML_LIST || row->type != GAL_CONF_LIST) {
        fail_at(r, node, "must be one value");
        return NULL;
    }
    list[0] = '\0';
    for (const struct gal_yaml *item = node->child; item; item = item->next) {
        if (item->type != GAL_YAML_SCALAR || n + item->scalar.n + 2 > LIST_TEXT_BYTES) {
            fail_at(r, node, "must be a list of a few numbers");
            return NULL;
        }
        n += (size_t)snprintf(list + n, LIST_TEXT_BYTES - n, "%s%.*s", n ? "," : "",
                              GAL_STR_ARG(item->scalar));
    }
    return list;
}

/* --- padding --- */

static enum gal_status read_buckets(struct reader *r, const struct gal_yaml *node,
                                    struct gal_padding *p)
{
    if (node->type != GAL_YAML_LIST || !node->child)
        return fail_at(r, node, "must be a list of sizes, as [16, 32, 64]");
    for (const struct gal_yaml *item = node->child; item; item = item->next) {
        uint64_t v;
        if (p->bucket_count == GAL_BUCKETS_MAX)
            return fail_at(r, node, "holds too many sizes: 32 at most");
        if (item->type != GAL_YAML_SCALAR || gal_str_u64(item->scalar, &v) || v == 0 ||
            v > INT32_MAX)
            return fail_at(r, node, "must hold whole numbers from 1");
        if (p->bucket_count && (int64_t)v <= p->buckets[p->bucket_count - 1])
            return fail_at(r, node, "must ascend");
        p->buckets[p->bucket_count++] = (int64_t)v;
    }
    return GAL_OK;
}

static enum gal_status read_pad_text(struct reader *r, const struct gal_yaml *node,
                                     struct gal_str *out)
{
    if (node->type != GAL_YAML_SCALAR || node->scalar.n == 0)
        return fail_at(r, node, "must be a name");
    *out = (struct gal_str){gal_arena_strdup(&r->c->arena, node->scalar), node->scalar.n};
    return out->p ? GAL_OK : no_memory(r);
}

static enum gal_status read_pad_value(struct reader *r, const struct gal_yaml *node, double *out)
{
    char *end = NULL;

    if (node->type == GAL_YAML_SCALAR && node->scalar.n) {
        *out = strtod(node->scalar.p, &end);
        if (*end == '\0' && isfinite(*out))
            return GAL_OK;
    }
    return fail_at(r, node, "must be a number");
}

static enum gal_status read_pad_entry(struct reader *r, const struct gal_yaml *node,
                                      struct gal_padding *p)
{
    if (gal_str_is(node->key, "axis"))
        return read_pad_text(r, node, &p->axis);
    if (gal_str_is(node->key, "buckets"))
        return read_buckets(r, node, p);
    if (gal_str_is(node->key, "value"))
        return read_pad_value(r, node, &p->value);
    if (gal_str_is(node->key, "mask"))
        return read_pad_text(r, node, &p->mask);
    fail_at(r, node, "unknown key");
    gal_err_hint(r->err, "padding takes axis, buckets, value and mask");
    return GAL_INVALID;
}

static enum gal_status read_one_padding(struct reader *r, const struct gal_yaml *node,
                                        struct gal_config_path *path)
{
    struct gal_padding *p = &path->padding[path->padding_count];
    enum gal_status status = GAL_OK;

    if (node->type != GAL_YAML_MAP)
        return fail_at(r, node, "must be a mapping of axis, buckets, value and mask");
    *p = (struct gal_padding){0};
    for (const struct gal_yaml *n = node->child; n && status == GAL_OK; n = n->next)
        status = read_pad_entry(r, n, p);
    if (status != GAL_OK)
        return status;
    if (p->axis.n == 0)
        return fail_at(r, node, "axis is missing: a dimension's name in the model, or INPUT:INDEX");
    if (p->bucket_count == 0)
        return fail_at(r, node, "buckets is missing: the sizes to fill up to, as [16, 32, 64]");
    path->padding_count++;
    return GAL_OK;
}

static enum gal_status read_padding(struct reader *r, const struct gal_yaml *node,
                                    struct gal_config_path *path)
{
    enum gal_status status = GAL_OK;

    path->padding = gal_arena_array(&r->c->arena, GAL_PADDINGS_MAX, sizeof(*path->padding));
    if (!path->padding)
        return no_memory(r);
    if (node->type != GAL_YAML_LIST)
        return read_one_padding(r, node, path);
    for (const struct gal_yaml *item = node->child; item && status == GAL_OK; item = item->next) {
        if (path->padding_count == GAL_PADDINGS_MAX)
            return fail_at(r, node, "holds too many axes: 4 at most");
        status = read_one_padding(r, item, path);
    }
    return status;
}

/* --- models --- */

static enum gal_status read_own(struct reader *r, const struct gal_yaml *node,
                                struct gal_config_path *path)
{
    const struct gal_config_row *row = gal_config_find(node->key);
    struct gal_config_own *own = &path->own[path->own_count];
    char list[LIST_TEXT_BYTES];
    const char *text;

    if (!row)
        return refuse_unknown(r, node, entry_names);
    if (row->scope != GAL_SCOPE_MODEL && row->key != GAL_KEY_REQUEST_TIMEOUT)
        return fail_at(r, node, "is the whole server's: put it at the top of the file");
    for (size_t i = 0; i < path->own_count; i++) {
        if (path->own[i].key == row->key)
            return fail_at(r, node, "stands twice");
    }
    text = value_text(r, row, node, list);
    if (!text)
        return GAL_INVALID;
    *own = (struct gal_config_own){.key = row->key, .value.source = GAL_FROM_FILE};
    own->where = gal_arena_printf(&r->c->arena, "%s:%u: %s", r->file, node->line, row->name);
    text = gal_arena_strdup(&r->c->arena, gal_str_of(text));
    if (!own->where || !text)
        return no_memory(r);
    if (gal_config_parse(row, text, &own->value, r->err) != GAL_OK) {
        gal_err_place(r->err, "%s", own->where);
        return GAL_INVALID;
    }
    path->own_count++;
    return GAL_OK;
}

static enum gal_status read_name(struct reader *r, const struct gal_yaml *node,
                                 struct gal_config_path *path)
{
    if (node->type != GAL_YAML_SCALAR || node->scalar.n == 0 || node->scalar.n > GAL_NAME_BYTES_MAX)
        return fail_at(r, node, "must be the name of one model");
    path->name = gal_arena_strdup(&r->c->arena, node->scalar);
    return path->name ? GAL_OK : no_memory(r);
}

/* `- path: models/iris` with keys of its own. */
static enum gal_status read_mapping(struct reader *r, const struct gal_yaml *item)
{
    const struct gal_yaml *where = gal_yaml_get(item, "path");
    struct gal_config_path own = {.path = NULL};
    enum gal_status status = GAL_OK;
    size_t before = r->c->path_count, count = 0;

    if (!where)
        return fail_at(r, item, "models: an entry needs a path, as `- path: models/iris`");
    if (where->type != GAL_YAML_SCALAR || where->scalar.n == 0)
        return fail_at(r, where, "must be a path");
    for (const struct gal_yaml *n = item->child; n; n = n->next)
        count++;
    own.own = gal_arena_array(&r->c->arena, count, sizeof(*own.own));
    own.where = gal_arena_printf(&r->c->arena, "%s:%u", r->file, item->line);
    if (!own.own || !own.where)
        return no_memory(r);
    for (const struct gal_yaml *n = item->child; n && status == GAL_OK; n = n->next) {
        if (gal_str_is(n->key, "name"))
            status = read_name(r, n, &own);
        else if (gal_str_is(n->key, "padding"))
            status = read_padding(r, n, &own);
        else if (gal_str_is(n->key, "image"))
            status = gal_config_read_image(n, r->file, &r->c->arena, &own.image, r->err);
        else if (n != where)
            status = read_own(r, n, &own);
    }
    if (status == GAL_OK)
        status = gal_config_add_path(r->c, GAL_FROM_FILE, where->scalar, r->err);
    if (status == GAL_OK && r->c->path_count == before + 1) { /* else a higher rank has its own */
        own.path = r->c->paths[before].path;
        r->c->paths[before] = own;
    }
    return status;
}

static enum gal_status read_models(struct reader *r, const struct gal_yaml *node)
{
    enum gal_status status = GAL_OK;

    if (node->type != GAL_YAML_LIST)
        return fail_at(r, node, "must be a list of paths, each on a line as `- PATH`");
    for (const struct gal_yaml *item = node->child; item && status == GAL_OK; item = item->next) {
        if (item->type == GAL_YAML_MAP)
            status = read_mapping(r, item);
        else if (item->type == GAL_YAML_SCALAR && item->scalar.n)
            status = gal_config_add_path(r->c, GAL_FROM_FILE, item->scalar, r->err);
        else {
            fail_at(r, node, "must hold paths, or mappings with a path");
            gal_err_place(r->err, "%s:%u", r->file, item->line);
            return GAL_INVALID;
        }
    }
    return status;
}

/* --- the file --- */

static enum gal_status read_entry(struct reader *r, const struct gal_yaml *node)
{
    const struct gal_config_row *row = gal_config_find(node->key);
    char list[LIST_TEXT_BYTES], where[192];
    const char *text;

    if (gal_str_is(node->key, "models"))
        return read_models(r, node);
    if (gal_str_is(node->key, "padding") || gal_str_is(node->key, "image"))
        return fail_at(r, node, "is a model's: put it into an entry of models");
    if (!row)
        return refuse_unknown(r, node, top_names);
    text = value_text(r, row, node, list);
    if (!text)
        return GAL_INVALID;
    snprintf(where, sizeof(where), "%s:%u: %s", r->file, node->line, row->name);
    return gal_config_set(r->c, row, GAL_FROM_FILE, text, where, r->err);
}

enum gal_status gal_config_read_file(struct gal_config *c, const char *path, struct gal_err *err)
{
    struct reader r = {c, path, err};
    struct gal_arena tree;
    struct gal_buf text;
    struct gal_yaml *root;
    enum gal_status status = gal_file_read(path, GAL_YAML_BYTES_MAX, &text, err);

    if (status != GAL_OK)
        return status;
    gal_arena_init(&tree, 16384, 0, TREE_BYTES_MAX);
    status = gal_yaml_parse(gal_buf_str(&text), path, &tree, &root, err);
    if (status == GAL_OK && root->type != GAL_YAML_MAP) {
        gal_fail(err, GAL_INVALID, "a configuration is a mapping of keys to values");
        gal_err_place(err, "%s:%u", path, root->line);
        status = GAL_INVALID;
    }
    for (struct gal_yaml *node = status == GAL_OK ? root->child : NULL; node && status == GAL_OK;
         node = node->next)
        status = read_entry(&r, node);
    gal_arena_release(&tree);
    gal_buf_release(&text);
    return status;
}
