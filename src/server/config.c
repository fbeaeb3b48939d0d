/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include "source/source.h"

#include "base/name.h"

#include <ctype.h>
#include <stdio.h>

#define NAME_BYTES_MAX 64u          /* of a variable's name in a place */
#define CONFIG_BYTES_MAX (4u << 20) /* values, paths and the file's tree */

const struct gal_config_row gal_config_rows[GAL_KEY_COUNT] = {
#define GAL_CONFIG_ROW(key, name, type, default_text, min, max, scope, arg, help)                  \
    {GAL_KEY_##key, GAL_CONF_##type, name, default_text, min, max, arg, help, GAL_SCOPE_##scope},
#include "server/config.def"
#undef GAL_CONFIG_ROW
};

/* Names beside the rows, in a file and in the environment. */
static const char *const env_names[] = {"models", "config", NULL};

void gal_config_init(struct gal_config *c)
{
    memset(c, 0, sizeof(*c));
    gal_arena_init(&c->arena, 4096, 0, CONFIG_BYTES_MAX);
    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        enum gal_status status = gal_config_parse(
            &gal_config_rows[i], gal_config_rows[i].default_text, &c->values[i], NULL);
        GAL_ASSERT(status == GAL_OK);
    }
}

void gal_config_release(struct gal_config *c)
{
    gal_arena_release(&c->arena);
}

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the configuration");
}

enum gal_status gal_config_set(struct gal_config *c, const struct gal_config_row *row,
                               enum gal_config_source source, const char *text, const char *where,
                               struct gal_err *err)
{
    struct gal_config_value value = {.source = source};

    if (gal_config_parse(row, text, &value, err) != GAL_OK) {
        gal_err_place(err, "%s", where);
        return GAL_INVALID;
    }
    if (source < c->values[row->key].source)
        return GAL_OK;
    value.text = gal_arena_strdup(&c->arena, gal_str_of(text));
    if (!value.text)
        return no_memory(err);
    c->values[row->key] = value;
    return GAL_OK;
}

static bool reserve_path(struct gal_config *c)
{
    size_t cap = c->path_cap ? 2 * c->path_cap : 8;
    struct gal_config_path *paths;

    if (c->path_count < c->path_cap)
        return true;
    paths = gal_arena_array(&c->arena, cap, sizeof(*paths));
    if (!paths)
        return false;
    if (c->path_count)
        memcpy(paths, c->paths, c->path_count * sizeof(*paths));
    c->paths = paths;
    c->path_cap = cap;
    return true;
}

enum gal_status gal_config_add_path(struct gal_config *c, enum gal_config_source source,
                                    struct gal_str path, struct gal_err *err)
{
    char *copy;

    if (c->path_count && source < c->path_source)
        return GAL_OK;
    copy = gal_arena_strdup(&c->arena, path);
    if (!copy || !reserve_path(c))
        return no_memory(err);
    if (source != c->path_source)
        c->path_count = 0;
    c->path_source = source;
    c->paths[c->path_count++] = (struct gal_config_path){.path = copy};
    return GAL_OK;
}

/* --- names --- */

const struct gal_config_row *gal_config_find(struct gal_str name)
{
    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        const struct gal_config_row *row = &gal_config_rows[i];
        if (gal_name_same(name, row->name))
            return row;
    }
    return NULL;
}

const char *gal_config_nearest_of(struct gal_str name, const char *const *more)
{
    size_t best = SIZE_MAX;
    const char *found = NULL;

    for (size_t i = 0; i < GAL_KEY_COUNT; i++) {
        size_t distance = gal_name_distance(name, gal_config_rows[i].name);
        if (distance < best) {
            best = distance;
            found = gal_config_rows[i].name;
        }
    }
    for (; more && *more; more++) {
        size_t distance = gal_name_distance(name, *more);
        if (distance < best) {
            best = distance;
            found = *more;
        }
    }
    return found;
}

const char *gal_config_nearest(struct gal_str name)
{
    return gal_config_nearest_of(name, NULL);
}

/* --- environment --- */

static void env_name(const char *key, char *out, size_t size)
{
    snprintf(out, size, "GALLEY_%s", key);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

/* Kubernetes sets NAME_PORT=tcp://10.0.0.1:80 for every Service, so one that is called "galley" or
 * "galley-http" meets our names. Such a value is never a setting. */
static bool is_service_link(const char *value)
{
    return strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0 ||
           strncmp(value, "sctp://", 7) == 0;
}

/* A colon ends a path. In a URL it does so before another URL or a path that begins with a slash or
 * a dot: before a port or a tag it does not. */
static void cut_path(struct gal_str *rest, struct gal_str *path)
{
    struct gal_str all = *rest;
    bool is_url =
        gal_source_kind(all) != GAL_SOURCE_PATH || gal_str_starts(all, GAL_STR("file://"));
    size_t n = is_url ? (size_t)((const char *)memchr(all.p, ':', all.n) - all.p) + 1 : 0;

    for (; n < all.n; n++) {
        struct gal_str next = {all.p + n + 1, all.n - n - 1};
        if (all.p[n] == ':' &&
            (!is_url || next.n == 0 || next.p[0] == '/' || next.p[0] == '.' ||
             gal_source_kind(next) != GAL_SOURCE_PATH || gal_str_starts(next, GAL_STR("file://"))))
            break;
    }
    *path = (struct gal_str){all.p, n};
    *rest = n < all.n ? (struct gal_str){all.p + n + 1, all.n - n - 1} : (struct gal_str){NULL, 0};
}

static enum gal_status add_paths(struct gal_config *c, const char *list, struct gal_err *err)
{
    struct gal_str rest = gal_str_of(list), path;
    enum gal_status status = GAL_OK;

    while (status == GAL_OK && rest.n) {
        cut_path(&rest, &path);
        if (path.n)
            status = gal_config_add_path(c, GAL_FROM_ENV, path, err);
    }
    return status;
}

/* A name behind GALLEY_ that is no row's. */
static enum gal_status read_other(struct gal_config *c, struct gal_str name, const char *value,
                                  struct gal_err *err)
{
    const char *near;
    char text[NAME_BYTES_MAX + 16];

    if (gal_str_is(name, "MODELS"))
        return add_paths(c, value, err);
    if (gal_str_is(name, "CONFIG")) {
        if (!c->file && value[0] && !(c->file = gal_arena_strdup(&c->arena, gal_str_of(value))))
            return no_memory(err);
        return GAL_OK;
    }
    near = gal_config_nearest_of(name, env_names);
    /* Only what a slip of the fingers would make, and what --port leads to: others may use the
     * prefix too. */
    if (!near || (gal_name_distance(name, near) > 2 && !gal_str_is(name, "PORT")))
        return GAL_OK;
    env_name(near, text, sizeof(text));
    gal_fail(err, GAL_INVALID, "unknown setting; did you mean %s?", text);
    gal_err_place(err, "GALLEY_%.*s", GAL_STR_ARG(name));
    gal_err_hint(err, "unset it when it is not meant for galley");
    return GAL_INVALID;
}

static enum gal_status read_variable(struct gal_config *c, struct gal_str name, const char *value,
                                     struct gal_err *err)
{
    const struct gal_str prefix = GAL_STR("GALLEY_");
    const struct gal_config_row *row;
    char where[NAME_BYTES_MAX + 16];

    if (gal_str_is(name, "INFERENCE_SERVICE_NAME"))
        return gal_config_set(c, &gal_config_rows[GAL_KEY_MODEL_NAME], GAL_FROM_DEFAULT, value,
                              "INFERENCE_SERVICE_NAME", err);
    if (!gal_str_starts(name, prefix) || is_service_link(value))
        return GAL_OK;
    name = (struct gal_str){name.p + prefix.n, name.n - prefix.n};
    row = gal_config_find(name);
    if (!row)
        return read_other(c, name, value, err);
    env_name(row->name, where, sizeof(where));
    return gal_config_set(c, row, GAL_FROM_ENV, value, where, err);
}

enum gal_status gal_config_read_env(struct gal_config *c, char *const *env, struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    c->env = env;
    for (; status == GAL_OK && *env; env++) {
        const char *equals = strchr(*env, '=');
        if (equals && equals[1])
            status =
                read_variable(c, (struct gal_str){*env, (size_t)(equals - *env)}, equals + 1, err);
    }
    return status;
}

const char *gal_config_shown(const struct gal_config_row *row, const char *text)
{
    return row->key == GAL_KEY_RESPONSE_CACHE_REDIS && text[0] != '\0' ? "(hidden)" : text;
}
