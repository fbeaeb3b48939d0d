/* SPDX-License-Identifier: Apache-2.0 */
/* Login and logout: Docker's file is read as JSON and written again with one entry changed. */
#include "oci/credentials.h"

#include "base/base64.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "oci/reference.h"
#include "text/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A file as it was read, and what is to become of it. */
struct change {
    const char *host, *server;
    const char *entry; /* JSON in place of host's; NULL: it goes */
    bool found;        /* there was one */
};

static void put_indent(struct gal_buf *out, unsigned depth)
{
    gal_buf_putc(out, '\n');
    while (depth--)
        gal_buf_putc(out, '\t');
}

/* In JSON as docker lays it out. Depth is bounded by the reader. */
static void put_value(struct gal_buf *out, yyjson_val *v, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(v);
    yyjson_arr_iter items = yyjson_arr_iter_with(v);
    bool is_object = yyjson_is_obj(v), is_first = true;
    if (yyjson_is_str(v))
        gal_json_put_str(out, (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)});
    else if (yyjson_is_uint(v))
        gal_json_put_u64(out, yyjson_get_uint(v));
    else if (yyjson_is_sint(v))
        gal_json_put_i64(out, yyjson_get_sint(v));
    else if (yyjson_is_real(v))
        gal_json_put_f64(out, yyjson_get_real(v));
    else if (!yyjson_is_ctn(v))
        gal_buf_puts(out, yyjson_is_null(v) ? "null" : yyjson_get_bool(v) ? "true" : "false");
    if (!yyjson_is_ctn(v))
        return;
    gal_buf_putc(out, is_object ? '{' : '[');
    for (yyjson_val *next;
         (next = is_object ? yyjson_obj_iter_next(&members) : yyjson_arr_iter_next(&items));
         is_first = false) {
        gal_buf_puts(out, is_first ? "" : ",");
        put_indent(out, depth + 1);
        if (is_object) {
            put_value(out, next, depth);
            gal_buf_puts(out, ": ");
            next = yyjson_obj_iter_get_val(next);
        }
        put_value(out, next, depth + 1);
    }
    if (!is_first)
        put_indent(out, depth);
    gal_buf_putc(out, is_object ? '}' : ']');
}

/* Is it an entry of this host as a whole? */
static bool is_entry(const struct change *c, yyjson_val *key)
{
    struct gal_str name = {yyjson_get_str(key), yyjson_get_len(key)}, rest = name;
    char host[256];
    if (gal_str_is(name, c->server))
        return true;
    if (gal_registry_host_parse(name, host, NULL) != GAL_OK || strcmp(host, c->host) != 0)
        return false;
    if (memmem(rest.p, rest.n, "://", 3))
        return true;
    const char *slash = memchr(rest.p, '/', rest.n);
    return !slash || slash + 1 == rest.p + rest.n; /* else of some of its repositories */
}

static void put_auths(struct gal_buf *out, yyjson_val *auths, struct change *c)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(auths);
    const char *separator = "";
    yyjson_val *key;
    gal_buf_puts(out, "\n\t\"auths\": {");
    while (yyjson_is_obj(auths) && (key = yyjson_obj_iter_next(&it))) {
        if (is_entry(c, key)) {
            c->found = true;
            continue;
        }
        gal_buf_puts(out, separator);
        separator = ",";
        put_indent(out, 2);
        put_value(out, key, 2);
        gal_buf_puts(out, ": ");
        put_value(out, yyjson_obj_iter_get_val(key), 2);
    }
    if (c->entry) {
        gal_buf_puts(out, separator);
        separator = ",";
        put_indent(out, 2);
        gal_json_put_str(out, gal_str_of(c->server));
        gal_buf_puts(out, ": ");
        gal_buf_puts(out, c->entry);
    }
    gal_buf_puts(out, separator[0] ? "\n\t}" : "}");
}

static void put_file(struct gal_buf *out, yyjson_val *root, struct change *c)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(root);
    bool has_auths = false, is_first = true;
    yyjson_val *key;
    gal_buf_putc(out, '{');
    while (root && (key = yyjson_obj_iter_next(&it))) {
        gal_buf_puts(out, is_first ? "" : ",");
        is_first = false;
        if (yyjson_equals_str(key, "auths")) {
            has_auths = true;
            put_auths(out, yyjson_obj_iter_get_val(key), c);
            continue;
        }
        put_indent(out, 1);
        put_value(out, key, 1);
        gal_buf_puts(out, ": ");
        put_value(out, yyjson_obj_iter_get_val(key), 1);
    }
    if (!has_auths && c->entry) {
        gal_buf_puts(out, is_first ? "" : ",");
        put_auths(out, NULL, c);
    }
    gal_buf_puts(out, "\n}\n");
}

/* The file's text; *root NULL: there is none yet. */
static enum gal_status read_file(const char *path, struct gal_arena *arena, yyjson_val **root,
                                 struct gal_str *text, struct gal_err *err)
{
    struct gal_buf content;
    *root = NULL;
    *text = (struct gal_str){NULL, 0};
    enum gal_status status = gal_file_read(path, GAL_CREDENTIALS_BYTES_MAX, &content, err);
    if (status == GAL_NOT_FOUND)
        return GAL_OK;
    if (status)
        return status;
    char *copy = gal_arena_strdup(arena, gal_buf_str(&content));
    *text = (struct gal_str){copy, copy ? content.n : 0};
    gal_buf_release(&content);
    if (!copy)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (gal_str_trim(*text).n == 0)
        return GAL_OK;
    status = gal_json_read(*text, arena, GAL_JSON_DEPTH_MAX, root, err);
    if (!status && !yyjson_is_obj(*root))
        status = gal_fail(err, GAL_INVALID, "not an object");
    if (status)
        gal_credentials_place(path, err);
    return status;
}

/* A link stays a link: what it names is replaced. */
static enum gal_status write_file(const char *path, yyjson_val *root, struct change *c,
                                  struct gal_err *err)
{
    char real[PATH_MAX], dir[PATH_MAX];
    struct gal_buf text;
    enum gal_status status = GAL_OK;
    if (!realpath(path, real)) {
        snprintf(real, sizeof real, "%s", path);
        snprintf(dir, sizeof dir, "%.*s", (int)(gal_path_base(path) - path), path);
        status = dir[0] ? gal_dir_make_all(dir, err) : GAL_OK;
    }
    if (status)
        return status;
    gal_buf_init(&text, 2 * GAL_CREDENTIALS_BYTES_MAX);
    put_file(&text, root, c);
    if (text.failed)
        status = gal_fail(err, GAL_TOO_LARGE, "%s: too large", path);
    else
        status = gal_file_put_secret(real, gal_buf_str(&text), err);
    gal_buf_release(&text);
    return status;
}

/* What the helper that keeps this host's password says. */
static enum gal_status tell_helper(const struct gal_credential_places *places, const char *helper,
                                   const char *verb, struct gal_str words, struct gal_arena *arena,
                                   bool *ok, struct gal_err *err)
{
    struct gal_str answer;
    enum gal_status status =
        gal_credential_helper(places, helper, verb, words, arena, &answer, ok, err);
    if (!status && !*ok && strcmp(verb, "store") == 0)
        return gal_fail(err, GAL_UNAVAILABLE, "docker-credential-%s %s: %.*s", helper, verb,
                        GAL_STR_SHOWN(gal_str_trim(answer)));
    return status;
}

static enum gal_status open_file(const struct gal_credential_places *places, const char *host,
                                 struct gal_arena *arena, const char **path, yyjson_val **root,
                                 const char **helper, struct gal_err *err)
{
    struct gal_credential known;
    struct gal_str text;
    gal_err_clear(err);
    *helper = "";
    *path = gal_credentials_path(places, arena);
    if (!*path) {
        gal_fail(err, GAL_INVALID, "no place for credentials: HOME is not set");
        gal_err_hint(err, "set HOME, DOCKER_CONFIG or REGISTRY_AUTH_FILE");
        return GAL_INVALID;
    }
    enum gal_status status = read_file(*path, arena, root, &text, err);
    if (!status && *root) /* an entry that cannot be read is about to go */
        (void)gal_credentials_read(text, host, NULL, arena, &known, helper, NULL);
    return status;
}

enum gal_status gal_credentials_store(const struct gal_credential_places *places, const char *host,
                                      const char *user, const char *password,
                                      struct gal_arena *arena, const char **path,
                                      const char **helper, struct gal_err *err)
{
    struct change c = {.host = host, .server = gal_credentials_server(host), .entry = "{}"};
    struct gal_buf b;
    yyjson_val *root;
    bool ok;
    enum gal_status status = open_file(places, host, arena, path, &root, helper, err);
    if (status)
        return status;
    gal_buf_init(&b, GAL_CREDENTIALS_BYTES_MAX);
    if (*helper[0]) {
        gal_buf_puts(&b, "{\"ServerURL\":");
        gal_json_put_str(&b, gal_str_of(c.server));
        gal_buf_puts(&b, ",\"Username\":");
        gal_json_put_str(&b, gal_str_of(user));
        gal_buf_puts(&b, ",\"Secret\":");
        gal_json_put_str(&b, gal_str_of(password));
        gal_buf_putc(&b, '}');
        status = tell_helper(places, *helper, "store", gal_buf_str(&b), arena, &ok, err);
    } else {
        char *pair = gal_arena_printf(arena, "%s:%s", user, password);
        gal_buf_puts(&b, "{\n\t\t\t\"auth\": \"");
        gal_base64_put(&b, gal_str_of(pair ? pair : ""));
        gal_buf_puts(&b, "\"\n\t\t}");
        c.entry = pair ? gal_arena_strdup(arena, gal_buf_str(&b)) : NULL;
        if (!c.entry || b.failed)
            status = gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    gal_buf_release(&b);
    return status ? status : write_file(*path, root, &c, err);
}

enum gal_status gal_credentials_erase(const struct gal_credential_places *places, const char *host,
                                      struct gal_arena *arena, const char **path, bool *found,
                                      struct gal_err *err)
{
    struct change c = {.host = host, .server = gal_credentials_server(host)};
    const char *helper;
    yyjson_val *root;
    bool had = false;
    enum gal_status status = open_file(places, host, arena, path, &root, &helper, err);
    *found = false;
    if (status || !root)
        return status;
    if (helper[0])
        status = tell_helper(places, helper, "erase", gal_str_of(c.server), arena, &had, err);
    struct gal_buf nowhere;
    gal_buf_init(&nowhere, 2 * GAL_CREDENTIALS_BYTES_MAX);
    put_file(&nowhere, root, &c); /* to see whether there is one: else the file stays as it is */
    gal_buf_release(&nowhere);
    *found = had || c.found;
    return status || !c.found ? status : write_file(*path, root, &c, err);
}
