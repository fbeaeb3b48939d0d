/* SPDX-License-Identifier: Apache-2.0 */
/* models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS of an MLflow server: its registry
 * tells the version and where its artifacts lie. They come through the server, from the store that
 * they lie in, or from a directory of this machine. */
#include "http/url.h"
#include "source/env.h"
#include "source/mlflow.h"
#include "text/json.h"

#define JSON_DEPTH_MAX 32u
#define DEPTH_MAX 16u /* directories of artifacts */
#define API "/api/2.0/mlflow/"
#define PROXY "/api/2.0/mlflow-artifacts/artifacts"

struct mlflow {
    struct gal_source_run *run;
    const char *base;      /* URL of the server, no slash at its end */
    const char *artifacts; /* of the server that hands artifacts out */
    struct gal_str version;
};

static struct gal_str text_of(yyjson_val *object, const char *key)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    return yyjson_is_str(v) ? (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)}
                            : (struct gal_str){NULL, 0};
}

static struct gal_str without_slash(struct gal_str s)
{
    while (s.n > 0 && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

/* --- asking --- */

static enum gal_status get_json(struct mlflow *m, const char *url, yyjson_val **root,
                                struct gal_err *err)
{
    struct gal_source_run *r = m->run;
    struct gal_fetch_response a;
    enum gal_status status = url ? gal_plan_get(r, url, &a, err) : gal_plan_no_memory(err);
    if (!url)
        return status;
    const char *text = status ? NULL : gal_plan_text(r, gal_buf_str(&a.body));
    if (!status)
        status = text ? gal_json_read(gal_str_of(text), r->arena, JSON_DEPTH_MAX, root, err)
                      : gal_plan_no_memory(err);
    gal_fetch_response_release(&a);
    return status;
}

/* BASE/api/2.0/mlflow/WHAT?name=NAME[&KEY=VALUE] */
static const char *api_url(struct mlflow *m, const char *what, const char *key,
                           struct gal_str value)
{
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s" API "%s?name=", m->base, what);
    gal_url_put_segment(&url, m->run->url.key);
    if (key) {
        gal_buf_printf(&url, "&%s=", key);
        gal_url_put_segment(&url, value);
    }
    const char *out = url.failed ? NULL : gal_plan_text(m->run, gal_buf_str(&url));
    gal_buf_release(&url);
    return out;
}

static enum gal_status find_server(struct mlflow *m, struct gal_err *err)
{
    char *const *env = m->run->options->env;
    struct gal_auth *auth = &m->run->plan.auth;
    const char *uri = gal_env(env, "MLFLOW_REGISTRY_URI"),
               *token = gal_env(env, "MLFLOW_TRACKING_TOKEN");
    if (!uri)
        uri = gal_env(env, "MLFLOW_TRACKING_URI");
    if (!uri || (strncmp(uri, "http://", 7) != 0 && strncmp(uri, "https://", 8) != 0)) {
        gal_fail(err, GAL_INVALID, "MLFLOW_TRACKING_URI %s",
                 uri ? "is no http or https URL" : "is not set");
        gal_err_hint(err, "models:/ asks a server of MLflow, as http://HOST:5000");
        return GAL_INVALID;
    }
    m->base = gal_plan_text(m->run, without_slash(gal_str_of(uri)));
    m->artifacts = m->base;
    auth->user = gal_env(env, "MLFLOW_TRACKING_USERNAME");
    auth->password = gal_env(env, "MLFLOW_TRACKING_PASSWORD");
    if (auth->user)
        auth->kind = GAL_AUTH_BASIC;
    else if (token) {
        auth->kind = GAL_AUTH_HEADER;
        auth->header = gal_arena_printf(m->run->arena, "Bearer %s", token);
    }
    return m->base && (auth->kind != GAL_AUTH_HEADER || auth->header) ? GAL_OK
                                                                      : gal_plan_no_memory(err);
}

/* --- the version --- */

static enum gal_status find_newest(struct mlflow *m, struct gal_str stage, struct gal_err *err)
{
    bool any = gal_str_ieq(stage, GAL_STR("latest"));
    const char *url =
        api_url(m, "registered-models/get-latest-versions", any ? NULL : "stages", stage);
    yyjson_val *root, *item;
    uint64_t best = 0, number;
    enum gal_status status = get_json(m, url, &root, err);
    if (status)
        return status;
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "model_versions"));
    while ((item = yyjson_arr_iter_next(&it))) {
        struct gal_str version = text_of(item, "version");
        if ((!any && !gal_str_ieq(text_of(item, "current_stage"), stage)) ||
            gal_str_u64(version, &number) != GAL_OK || number <= best)
            continue;
        best = number;
        m->version = version;
    }
    return best ? GAL_OK
                : gal_fail(err, GAL_NOT_FOUND, "model '%.*s' has no version in stage %.*s",
                           GAL_STR_SHOWN(m->run->url.key), GAL_STR_SHOWN(stage));
}

static enum gal_status find_version(struct mlflow *m, struct gal_err *err)
{
    const struct gal_source_url *u = &m->run->url;
    yyjson_val *root;
    uint64_t number;
    if (gal_str_u64(u->version, &number) == GAL_OK) {
        m->version = u->version;
        return GAL_OK;
    }
    if (!u->alias.n)
        return find_newest(m, u->version, err);
    enum gal_status status =
        get_json(m, api_url(m, "registered-models/alias", "alias", u->alias), &root, err);
    if (status)
        return status;
    m->version = text_of(yyjson_obj_get(root, "model_version"), "version");
    return m->version.n ? GAL_OK : gal_fail(err, GAL_INVALID, "the answer tells no version");
}

/* --- artifacts --- */

/* URL of the proxy for a path below it: as a listing (`?path=`), or the file. */
static const char *proxy_url(struct mlflow *m, struct gal_str path, bool list)
{
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s" PROXY "%s", m->artifacts, list ? "?path=" : "/");
    if (list)
        gal_url_put_segment(&url, path);
    else
        gal_source_put_key(&url, path);
    const char *out = url.failed ? NULL : gal_plan_text(m->run, gal_buf_str(&url));
    gal_buf_release(&url);
    return out;
}

static enum gal_status list(struct mlflow *m, struct gal_str path, struct gal_str below,
                            unsigned depth, struct gal_err *err);

static enum gal_status add_file(struct mlflow *m, yyjson_val *item, struct gal_str path,
                                struct gal_str below, unsigned depth, struct gal_err *err)
{
    struct gal_source_run *r = m->run;
    struct gal_str name = text_of(item, "path");
    struct gal_source_object *o;
    yyjson_val *size = yyjson_obj_get(item, "file_size");
    if (!gal_source_name_safe(name) || memchr(name.p, '/', name.n))
        return gal_fail(err, GAL_INVALID, "the server lists '%.*s' as a file", GAL_STR_SHOWN(name));
    const char *whole =
        gal_arena_printf(r->arena, "%.*s/%.*s", GAL_STR_ARG(path), GAL_STR_ARG(name));
    const char *tail = gal_arena_printf(r->arena, "%.*s%s%.*s", GAL_STR_ARG(below),
                                        below.n ? "/" : "", GAL_STR_ARG(name));
    if (!whole || !tail)
        return gal_plan_no_memory(err);
    if (yyjson_get_bool(yyjson_obj_get(item, "is_dir")))
        return list(m, gal_str_of(whole), gal_str_of(tail), depth + 1, err);
    enum gal_status status = gal_plan_add_below(r, gal_str_of(tail), &o, err);
    if (status)
        return status;
    o->url = proxy_url(m, gal_str_of(whole), false);
    o->size_known =
        yyjson_is_uint(size) ||
        (yyjson_is_str(size) && gal_str_u64(text_of(item, "file_size"), &o->size) == GAL_OK);
    if (yyjson_is_uint(size))
        o->size = yyjson_get_uint(size);
    o->versioned = true; /* a version's artifacts stay as they are */
    return o->url ? GAL_OK : gal_plan_no_memory(err);
}

static enum gal_status list(struct mlflow *m, struct gal_str path, struct gal_str below,
                            unsigned depth, struct gal_err *err)
{
    yyjson_val *root, *item;
    if (depth > DEPTH_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "artifacts lie more than %u directories deep",
                        DEPTH_MAX);
    enum gal_status status = get_json(m, proxy_url(m, path, true), &root, err);
    if (status)
        return status;
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(root, "files"));
    while (!status && (item = yyjson_arr_iter_next(&it)))
        status = add_file(m, item, path, below, depth, err);
    return status;
}

/* mlflow-artifacts:/PATH, mlflow-artifacts://HOST/PATH, or the proxy's own URL. */
static enum gal_status from_proxy(struct mlflow *m, struct gal_str uri, struct gal_err *err)
{
    struct gal_str own = GAL_STR("mlflow-artifacts:"), rest = {uri.p + own.n, uri.n - own.n}, host;
    const char *proxy = memmem(uri.p, uri.n, PROXY "/", sizeof PROXY);
    if (proxy) {
        m->artifacts = gal_plan_text(m->run, (struct gal_str){uri.p, (size_t)(proxy - uri.p)});
        rest =
            (struct gal_str){proxy + sizeof PROXY, uri.n - (size_t)(proxy + sizeof PROXY - uri.p)};
    } else if (gal_str_starts(rest, GAL_STR("//"))) {
        const char *mark = strstr(m->base, "://");
        rest = (struct gal_str){rest.p + 2, rest.n - 2};
        gal_str_cut(&rest, '/', &host);
        m->artifacts = gal_arena_printf(m->run->arena, "%.*s://%.*s", (int)(mark - m->base),
                                        m->base, GAL_STR_ARG(host));
    }
    while (rest.n > 0 && rest.p[0] == '/')
        rest = (struct gal_str){rest.p + 1, rest.n - 1};
    rest = without_slash(rest);
    if (!m->artifacts)
        return gal_plan_no_memory(err);
    enum gal_status status = list(m, rest, (struct gal_str){"", 0}, 0, err);
    if (!status && m->run->plan.count == 0)
        status = gal_fail(err, GAL_NOT_FOUND, "version %.*s has no artifacts",
                          GAL_STR_SHOWN(m->version));
    return status;
}

/* The same as if the user had named the directory in its store. */
static enum gal_status from_store(struct mlflow *m, struct gal_str uri, struct gal_err *err)
{
    struct gal_source_run *r = m->run;
    uri = without_slash(uri);
    const char *text = gal_arena_printf(r->arena, "%.*s/", GAL_STR_ARG(uri)), *root = r->plan.root;
    struct gal_source_url asked = r->url;
    if (!text)
        return gal_plan_no_memory(err);
    r->plan = (struct gal_source_plan){0};
    r->root = root;
    enum gal_status status = gal_source_url_parse(gal_str_of(text), &r->url, err);
    if (!status)
        status = r->url.kind == GAL_SOURCE_S3   ? gal_plan_s3(r, err)
                 : r->url.kind == GAL_SOURCE_GS ? gal_plan_gs(r, err)
                                                : gal_plan_azure(r, err);
    r->url = asked;
    return status;
}

/* wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH, abfss:// the same. */
static enum gal_status from_wasb(struct mlflow *m, struct gal_str uri, struct gal_err *err)
{
    struct gal_str rest = {(const char *)memmem(uri.p, uri.n, "://", 3) + 3, 0}, container, host,
                   account;
    rest.n = uri.n - (size_t)(rest.p - uri.p);
    gal_str_cut(&rest, '/', &host);
    gal_str_cut(&host, '@', &container);
    if (!host.p || !rest.p)
        return gal_fail(err, GAL_INVALID, "%.*s names no container", GAL_STR_SHOWN(uri));
    gal_str_cut(&host, '.', &account);
    const char *text = gal_arena_printf(m->run->arena, "az://%.*s/%.*s/%.*s", GAL_STR_ARG(account),
                                        GAL_STR_ARG(container), GAL_STR_ARG(rest));
    return text ? from_store(m, gal_str_of(text), err) : gal_plan_no_memory(err);
}

static enum gal_status by_scheme(struct mlflow *m, struct gal_str uri, struct gal_err *err)
{
    struct gal_str file = GAL_STR("file://");
    if (gal_str_starts(uri, GAL_STR("mlflow-artifacts:")) ||
        memmem(uri.p, uri.n, PROXY "/", sizeof PROXY))
        return from_proxy(m, uri, err);
    if (gal_str_starts(uri, GAL_STR("s3://")) || gal_str_starts(uri, GAL_STR("gs://")))
        return from_store(m, uri, err);
    if (gal_str_starts(uri, GAL_STR("wasbs://")) || gal_str_starts(uri, GAL_STR("abfss://")))
        return from_wasb(m, uri, err);
    if (gal_str_starts(uri, file))
        uri = (struct gal_str){uri.p + file.n, uri.n - file.n};
    if (uri.n && uri.p[0] == '/') {
        m->run->plan.local = gal_plan_text(m->run, uri);
        return m->run->plan.local ? GAL_OK : gal_plan_no_memory(err);
    }
    return gal_fail(err, GAL_UNSUPPORTED, "artifacts at %.*s cannot be fetched",
                    GAL_STR_SHOWN(uri));
}

enum gal_status gal_plan_mlflow(struct gal_source_run *r, struct gal_err *err)
{
    struct mlflow m = {.run = r};
    yyjson_val *root = NULL;
    enum gal_status status = find_server(&m, err);
    if (!status)
        status = find_version(&m, err);
    if (!status)
        status = get_json(&m, api_url(&m, "model-versions/get-download-uri", "version", m.version),
                          &root, err);
    struct gal_str uri = status ? (struct gal_str){NULL, 0} : text_of(root, "artifact_uri");
    const char *place =
        gal_arena_printf(r->arena, "%.*s/%.*s", GAL_STR_ARG(r->url.key), GAL_STR_ARG(m.version));
    if (!status && uri.n == 0)
        status = gal_fail(err, GAL_INVALID, "the answer tells no artifact_uri");
    if (!status)
        status = place ? gal_plan_root(r, gal_str_of(place), true, r->url.key, err)
                       : gal_plan_no_memory(err);
    if (!status)
        status = by_scheme(&m, uri, err);
    if (status)
        return status;
    r->plan.origin = gal_arena_printf(r->arena, "models:/%s of %s", place, m.base);
    return r->plan.origin ? gal_plan_settle(r, err) : gal_plan_no_memory(err);
}
