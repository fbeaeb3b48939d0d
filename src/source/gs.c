/* SPDX-License-Identifier: Apache-2.0 */
/* gs://BUCKET/OBJECT over Google Cloud Storage's JSON API: an object of one generation, so that all
 * its parts are of the same, or a directory. */
#include "http/url.h"
#include "source/env.h"
#include "source/google.h"
#include "source/listing.h"
#include "text/json.h"

#define JSON_DEPTH_MAX 16u
#define PAGES_MAX 1000u

struct gs {
    struct gal_source_run *run;
    const char *base; /* ".../storage/v1/b/BUCKET/o" */
};

static struct gal_str text_of(yyjson_val *object, const char *key)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    return yyjson_is_str(v) ? (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)}
                            : (struct gal_str){NULL, 0};
}

static const char *url_of(struct gs *g, struct gal_str name, struct gal_str generation)
{
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s/", g->base);
    gal_url_put_segment(&url, name);
    if (generation.n)
        gal_buf_printf(&url, "?alt=media&generation=%.*s", GAL_STR_ARG(generation));
    const char *out = url.failed ? NULL : gal_plan_text(g->run, gal_buf_str(&url));
    gal_buf_release(&url);
    return out;
}

/* From an object resource. The tag of answers is another than the resource's: the generation in
 * the URL does its work. */
static enum gal_status fill(struct gs *g, yyjson_val *item, struct gal_source_object *o,
                            struct gal_err *err)
{
    struct gal_source_run *r = g->run;
    struct gal_str generation = text_of(item, "generation"), name = text_of(item, "name");
    o->size_known = gal_str_u64(text_of(item, "size"), &o->size) == GAL_OK;
    if (!o->size_known || generation.n == 0 || name.n == 0)
        return gal_fail(err, GAL_INVALID, "%.*s: the answer tells no size or generation",
                        GAL_STR_SHOWN(r->url.text));
    o->url = url_of(g, name, generation);
    o->ranges = o->versioned = true;
    gal_listing_base64(r->arena, text_of(item, "md5Hash"), 16, o->md5);
    return o->url ? GAL_OK : gal_plan_no_memory(err);
}

static enum gal_status get_json(struct gs *g, const char *url, yyjson_val **root,
                                struct gal_err *err)
{
    struct gal_fetch_response a;
    enum gal_status status = gal_plan_get(g->run, url, &a, err);
    const char *text = status ? NULL : gal_plan_text(g->run, gal_buf_str(&a.body));
    if (!status)
        status = text ? gal_json_read(gal_str_of(text), g->run->arena, JSON_DEPTH_MAX, root, err)
                      : gal_plan_no_memory(err);
    gal_fetch_response_release(&a);
    return status;
}

static enum gal_status plan_object(struct gs *g, struct gal_err *err)
{
    struct gal_source_run *r = g->run;
    struct gal_source_object *o;
    yyjson_val *root;
    const char *url = url_of(g, r->url.key, (struct gal_str){NULL, 0});
    enum gal_status status = url ? get_json(g, url, &root, err) : gal_plan_no_memory(err);
    if (!status)
        status = gal_plan_root(r, r->url.key, false, r->url.host, err);
    if (!status)
        status = gal_plan_add(r, &o, err);
    if (status)
        return status;
    o->place = r->plan.root;
    if (r->url.sha256[0])
        memcpy(o->sha256, r->url.sha256, sizeof o->sha256);
    r->plan.origin = gal_arena_printf(r->arena, "%.*s#generation=%.*s", GAL_STR_ARG(r->url.text),
                                      GAL_STR_ARG(text_of(root, "generation")));
    return r->plan.origin ? fill(g, root, o, err) : gal_plan_no_memory(err);
}

static enum gal_status add_item(struct gs *g, struct gal_str prefix, yyjson_val *item,
                                struct gal_err *err)
{
    struct gal_str name = text_of(item, "name");
    struct gal_source_object *o;
    if (!gal_str_starts(name, prefix))
        return gal_fail(err, GAL_INVALID, "a listing names what was not asked for");
    struct gal_str rest = {name.p + prefix.n, name.n - prefix.n};
    if (rest.n == 0 || rest.p[rest.n - 1] == '/')
        return GAL_OK;
    enum gal_status status = gal_plan_add_below(g->run, rest, &o, err);
    return status ? status : fill(g, item, o, err);
}

static enum gal_status list_page(struct gs *g, struct gal_str prefix, const char **token,
                                 struct gal_err *err)
{
    struct gal_source_run *r = g->run;
    struct gal_buf url;
    yyjson_val *root, *items, *item;
    yyjson_arr_iter it;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s?prefix=", g->base);
    gal_url_put_segment(&url, prefix);
    if (*token) {
        gal_buf_puts(&url, "&pageToken=");
        gal_url_put_segment(&url, gal_str_of(*token));
    }
    const char *text = url.failed ? NULL : gal_plan_text(r, gal_buf_str(&url));
    gal_buf_release(&url);
    enum gal_status status = text ? get_json(g, text, &root, err) : gal_plan_no_memory(err);
    if (status)
        return status;
    items = yyjson_obj_get(root, "items");
    it = yyjson_arr_iter_with(items);
    while (!status && (item = yyjson_arr_iter_next(&it)))
        status = add_item(g, prefix, item, err);
    struct gal_str next = text_of(root, "nextPageToken");
    *token = next.n ? gal_plan_text(r, next) : NULL;
    return status;
}

static enum gal_status plan_dir(struct gs *g, struct gal_str prefix, struct gal_err *err)
{
    struct gal_source_run *r = g->run;
    const char *token = NULL;
    enum gal_status status = gal_plan_root(r, prefix, true, r->url.host, err);
    for (unsigned i = 0; !status && (i == 0 || token); i++) {
        status = i < PAGES_MAX ? list_page(g, prefix, &token, err)
                               : gal_fail(err, GAL_TOO_LARGE, "a listing without an end");
    }
    r->plan.origin = gal_arena_printf(r->arena, "%.*s", GAL_STR_ARG(r->url.text));
    if (!status && r->plan.count == 0)
        status = gal_fail(err, GAL_NOT_FOUND, "%.*s holds nothing", GAL_STR_SHOWN(r->url.text));
    if (!status && !r->plan.origin)
        status = gal_plan_no_memory(err);
    return status;
}

enum gal_status gal_plan_gs(struct gal_source_run *r, struct gal_err *err)
{
    const char *emulator = gal_env(r->options->env, "STORAGE_EMULATOR_HOST");
    const char *root = emulator ? emulator : "https://storage.googleapis.com";
    const char *scheme = strstr(root, "://") ? "" : "http://";
    struct gs g = {.run = r};
    size_t n = strlen(root);
    while (n > 0 && root[n - 1] == '/')
        n--;
    g.base = gal_arena_printf(r->arena, "%s%.*s/storage/v1/b/%.*s/o", scheme, (int)n, root,
                              GAL_STR_ARG(r->url.host));
    enum gal_status status = g.base ? GAL_OK : gal_plan_no_memory(err);
    bool asks = !emulator || gal_env(r->options->env, "GOOGLE_APPLICATION_CREDENTIALS");
    if (!status && asks)
        status = gal_google_find(r, err);
    if (status)
        return status;
    status = r->url.is_prefix ? plan_dir(&g, r->url.key, err) : plan_object(&g, err);
    if (status && (err->code == GAL_UNAUTHENTICATED || err->code == GAL_FORBIDDEN) &&
        r->plan.auth.kind == GAL_AUTH_NONE)
        gal_err_hint(err, "no credentials were found in GOOGLE_APPLICATION_CREDENTIALS, gcloud's "
                          "default file or metadata");
    return status ? status : gal_plan_settle(r, err);
}
