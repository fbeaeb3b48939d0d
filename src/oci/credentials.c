/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/credentials.h"

#include "base/base64.h"
#include "base/file.h"
#include "base/limits.h"
#include "oci/reference.h"
#include "text/json.h"

#define DOCKER_SERVER "https://index.docker.io/v1/"
#define TOKEN_USER "<token>" /* a helper's word for: the secret is an identity token */

const char *gal_credentials_env(char *const *env, const char *name)
{
    size_t n = strlen(name);
    for (; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return (*env)[n + 1] ? *env + n + 1 : NULL;
    }
    return NULL;
}

const char *gal_credentials_server(const char *host)
{
    return strcmp(host, "docker.io") == 0 ? DOCKER_SERVER : host;
}

/* An error's place is one in this file. */
void gal_credentials_place(const char *path, struct gal_err *err)
{
    char place[sizeof err->place];
    if (!err)
        return;
    memcpy(place, err->place, sizeof place);
    gal_err_place(err, "%s%s%s", path, place[0] ? ":" : "", place);
}

/* --- one file --- */

static const char *text_of(yyjson_val *object, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(object, key));
    return s && s[0] && strlen(s) == yyjson_get_len(yyjson_obj_get(object, key)) ? s : NULL;
}

/* How much of host/repository a key names; 0: it is another's. */
static size_t match(struct gal_str key, const char *host, const char *repository)
{
    char name[256];
    struct gal_str path = key;
    if (gal_registry_host_parse(key, name, NULL) != GAL_OK || strcmp(name, host) != 0)
        return 0;
    if (gal_str_starts(path, GAL_STR("http")) && memmem(path.p, path.n, "://", 3))
        return 1; /* the path of a URL is that of an API */
    const char *slash = memchr(path.p, '/', path.n);
    if (!slash || slash + 1 == path.p + path.n)
        return 1;
    path = (struct gal_str){slash + 1, (size_t)(path.p + path.n - slash) - 1};
    if (!repository || strncmp(repository, path.p, path.n) != 0 ||
        (repository[path.n] != '\0' && repository[path.n] != '/'))
        return 0;
    return 1 + path.n;
}

/* The value of `section` whose key names most of the place; NULL when none does. */
static yyjson_val *find(yyjson_val *section, const char *host, const char *repository)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(section);
    yyjson_val *key, *best = NULL;
    size_t most = 0;
    while (yyjson_is_obj(section) && (key = yyjson_obj_iter_next(&it))) {
        size_t n =
            match((struct gal_str){yyjson_get_str(key), yyjson_get_len(key)}, host, repository);
        if (n > most) {
            most = n;
            best = yyjson_obj_iter_get_val(key);
        }
    }
    return best;
}

/* "auth": base64 of user:password. */
static enum gal_status split_auth(const char *auth, const char *host, struct gal_arena *arena,
                                  struct gal_credential *out, struct gal_err *err)
{
    struct gal_str plain, user;
    if (gal_base64_decode(gal_str_of(auth), arena, &plain, NULL) != GAL_OK ||
        !gal_str_cut(&plain, ':', &user) || !plain.p || memchr(user.p, '\0', user.n) ||
        memchr(plain.p, '\0', plain.n))
        return gal_fail(err, GAL_INVALID, "auths: \"auth\" of %s is not user:password in base64",
                        host);
    out->user = gal_arena_strdup(arena, user);
    out->password = gal_arena_strdup(arena, plain);
    return out->user && out->password ? GAL_OK : gal_arena_fail(arena, plain.n, "a password", err);
}

static enum gal_status take_entry(yyjson_val *entry, const char *host, struct gal_arena *arena,
                                  struct gal_credential *out, struct gal_err *err)
{
    const char *auth = text_of(entry, "auth");
    out->identity_token = text_of(entry, "identitytoken");
    out->registry_token = text_of(entry, "registrytoken");
    out->user = text_of(entry, "username");
    out->password = out->user ? text_of(entry, "password") : NULL;
    if (!auth || out->password)
        return GAL_OK;
    return split_auth(auth, host, arena, out, err);
}

enum gal_status gal_credentials_read(struct gal_str text, const char *host, const char *repository,
                                     struct gal_arena *arena, struct gal_credential *out,
                                     const char **helper, struct gal_err *err)
{
    yyjson_val *root, *entry, *name;
    *out = (struct gal_credential){0};
    *helper = "";
    enum gal_status status = gal_json_read(text, arena, GAL_JSON_DEPTH_MAX, &root, err);
    if (status)
        return status;
    if (!yyjson_is_obj(root))
        return gal_fail(err, GAL_INVALID, "not an object");
    name = find(yyjson_obj_get(root, "credHelpers"), host, repository);
    *helper = yyjson_get_str(name);
    if (!*helper)
        *helper = text_of(root, "credsStore");
    if (!*helper)
        *helper = "";
    entry = find(yyjson_obj_get(root, "auths"), host, repository);
    return yyjson_is_obj(entry) ? take_entry(entry, host, arena, out, err) : GAL_OK;
}

/* --- helpers --- */

/* OK with user and token NULL when the helper knows nothing of host. */
static enum gal_status ask_helper(const struct gal_credential_places *places, const char *helper,
                                  const char *host, struct gal_arena *arena,
                                  struct gal_credential *out, struct gal_err *err)
{
    struct gal_str answer;
    yyjson_val *root;
    bool ok;
    enum gal_status status = gal_credential_helper(
        places, helper, "get", gal_str_of(gal_credentials_server(host)), arena, &answer, &ok, err);
    if (status)
        return status;
    answer = gal_str_trim(answer);
    if (!ok && answer.n && memmem(answer.p, answer.n, "credentials not found", 21))
        return GAL_OK;
    if (!ok)
        return gal_fail(err, GAL_UNAVAILABLE, "docker-credential-%s get: %.*s", helper,
                        GAL_STR_SHOWN(answer));
    status = gal_json_read(answer, arena, GAL_JSON_DEPTH_MAX, &root, NULL);
    const char *user = status ? NULL : text_of(root, "Username");
    const char *secret = status ? NULL : text_of(root, "Secret");
    if (status || !yyjson_is_obj(root))
        return gal_fail(err, GAL_INVALID, "docker-credential-%s get: its answer is no JSON object",
                        helper);
    if (!secret)
        return GAL_OK;
    if (!user || strcmp(user, TOKEN_USER) == 0)
        out->identity_token = secret;
    else
        *out = (struct gal_credential){.user = user, .password = secret};
    out->origin = gal_arena_printf(arena, "docker-credential-%s", helper);
    return out->origin ? GAL_OK : gal_arena_fail(arena, 64, "a name", err);
}

/* --- all files --- */

static const char *join(struct gal_arena *arena, const char *dir, const char *name)
{
    return dir ? gal_arena_printf(arena, "%s/%s", dir, name) : NULL;
}

const char *gal_credentials_path(const struct gal_credential_places *places,
                                 struct gal_arena *arena)
{
    const char *alone = gal_credentials_env(places->env, "REGISTRY_AUTH_FILE");
    const char *docker = gal_credentials_env(places->env, "DOCKER_CONFIG");
    if (alone)
        return alone;
    if (docker)
        return join(arena, docker, "config.json");
    return join(arena, gal_credentials_env(places->env, "HOME"), ".docker/config.json");
}

static enum gal_status look_into(const struct gal_credential_places *places, const char *path,
                                 const char *host, const char *repository, struct gal_arena *arena,
                                 struct gal_credential *out, struct gal_err *err)
{
    struct gal_credential from_helper = {0};
    const char *helper = "";
    struct gal_buf text;
    enum gal_status status = gal_file_read(path, GAL_CREDENTIALS_BYTES_MAX, &text, err);
    if (status == GAL_NOT_FOUND) {
        gal_err_clear(err);
        return GAL_OK;
    }
    if (status)
        return status;
    status = gal_credentials_read(gal_buf_str(&text), host, repository, arena, out, &helper, err);
    gal_buf_release(&text);
    if (status) {
        gal_credentials_place(path, err);
        return status;
    }
    if (helper[0])
        status = ask_helper(places, helper, host, arena, &from_helper, err);
    if (from_helper.origin)
        *out = from_helper;
    else if (out->user || out->identity_token || out->registry_token)
        out->origin = path;
    return status;
}

enum gal_status gal_credentials_find(const struct gal_credential_places *places, const char *host,
                                     const char *repository, struct gal_arena *arena,
                                     struct gal_credential *out, struct gal_err *err)
{
    const char *home = gal_credentials_env(places->env, "HOME");
    const char *config = gal_credentials_env(places->env, "XDG_CONFIG_HOME");
    const char *paths[] = {
        gal_credentials_path(places, arena),
        join(arena, gal_credentials_env(places->env, "XDG_RUNTIME_DIR"), "containers/auth.json"),
        config ? join(arena, config, "containers/auth.json")
               : join(arena, home, ".config/containers/auth.json"),
    };
    size_t count = gal_credentials_env(places->env, "REGISTRY_AUTH_FILE") ? 1 : 3;
    enum gal_status status = GAL_OK;
    gal_err_clear(err);
    *out = (struct gal_credential){0};
    for (size_t i = 0; i < count && !status && !out->origin; i++) {
        if (paths[i])
            status = look_into(places, paths[i], host, repository, arena, out, err);
    }
    return status;
}
