/* SPDX-License-Identifier: Apache-2.0 */
/* az://ACCOUNT/CONTAINER/BLOB. An account's key signs a SAS for the container, so that requests
 * need no signature of their own: one that breaks off is gone on with from another byte, which a
 * shared key's signature would have to know. */
#include "base/base64.h"
#include "base/file.h"
#include "http/url.h"
#include "source/env.h"
#include "source/google.h"
#include "source/listing.h"
#include "source/sign.h"

#define API_VERSION "2020-12-06"
#define PAGES_MAX 1000u
#define SAS_LIFE_US 86400000000ull

struct azure {
    struct gal_source_run *run;
    const char *base; /* URL of the container */
    const char *sas;  /* without "?"; NULL: none */
};

/* --- what is set up --- */

/* "AccountName=a;AccountKey=b;..." */
static struct gal_str part_of(struct gal_str text, const char *name)
{
    struct gal_str part, key;
    while (gal_str_cut(&text, ';', &part)) {
        if (gal_str_cut(&part, '=', &key) && part.p &&
            gal_str_ieq(gal_str_trim(key), gal_str_of(name)))
            return gal_str_trim(part);
    }
    return (struct gal_str){NULL, 0};
}

/* 2024-01-15T14:23:41Z */
static void sas_time(uint64_t wall_us, char out[24])
{
    char text[GAL_TIMESTAMP_SIZE];
    gal_timestamp_format(wall_us, text);
    memcpy(out, text, 19);
    memcpy(out + 19, "Z", 2);
}

static enum gal_status sign_sas(struct azure *a, struct gal_str key, struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    char begin[24], end[24];
    unsigned char sum[GAL_HMAC_BYTES];
    struct gal_str raw;
    struct gal_buf text;
    /* A little in the past, for clocks that differ. */
    sas_time(gal_wall_us(r->clock) - 900000000u, begin);
    sas_time(gal_wall_us(r->clock) + SAS_LIFE_US, end);
    enum gal_status status = gal_base64_decode(key, r->arena, &raw, err);
    if (status)
        return gal_fail(err, GAL_INVALID, "the storage account's key is no base64");
    gal_buf_init(&text, 8192);
    gal_buf_printf(&text, "rl\n%s\n%s\n/blob/%.*s/%.*s\n\n\n\n" API_VERSION "\nc\n\n\n\n\n\n\n",
                   begin, end, GAL_STR_ARG(r->url.host), GAL_STR_ARG(r->url.container));
    status = gal_hmac_sha256(raw, gal_buf_str(&text), sum, err);
    gal_buf_clear(&text, 8192);
    gal_base64_put(&text, (struct gal_str){(const char *)sum, sizeof sum});
    struct gal_buf query;
    gal_buf_init(&query, 8192);
    gal_buf_puts(&query, "sv=" API_VERSION "&sr=c&sp=rl&st=");
    gal_url_put_segment(&query, gal_str_of(begin));
    gal_buf_puts(&query, "&se=");
    gal_url_put_segment(&query, gal_str_of(end));
    gal_buf_puts(&query, "&sig=");
    gal_url_put_segment(&query, gal_buf_str(&text));
    a->sas = gal_plan_text(r, gal_buf_str(&query));
    if (!status && (text.failed || query.failed || !a->sas))
        status = gal_plan_no_memory(err);
    gal_buf_release(&text);
    gal_buf_release(&query);
    return status;
}

static void put_field(struct gal_buf *form, const char *name, const char *value)
{
    gal_buf_printf(form, "&%s=", name);
    gal_url_put_segment(form, gal_str_of(value));
}

/* A workload's federated token, or an application's secret, for a token of Entra's. */
static enum gal_status from_entra(struct azure *a, struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    char *const *env = r->options->env;
    const char *tenant = gal_env(env, "AZURE_TENANT_ID"), *client = gal_env(env, "AZURE_CLIENT_ID");
    const char *file = gal_env(env, "AZURE_FEDERATED_TOKEN_FILE"),
               *secret = gal_env(env, "AZURE_CLIENT_SECRET");
    const char *host = gal_env(env, "AZURE_AUTHORITY_HOST");
    struct gal_buf form, token;
    if (!tenant || !client || (!file && !secret))
        return GAL_OK;
    gal_buf_init(&form, 65536);
    gal_buf_puts(&form,
                 "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default");
    put_field(&form, "client_id", client);
    enum gal_status status = GAL_OK;
    if (file) {
        status = gal_file_read(file, 32768, &token, err);
        if (!status) {
            const char *text = gal_plan_text(r, gal_str_trim(gal_buf_str(&token)));
            put_field(&form, "client_assertion_type",
                      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
            put_field(&form, "client_assertion", text ? text : "");
            gal_buf_release(&token);
        }
    } else {
        put_field(&form, "client_secret", secret);
    }
    struct gal_str end = gal_str_of(host ? host : "https://login.microsoftonline.com");
    while (end.n > 0 && end.p[end.n - 1] == '/')
        end.n--;
    const char *url =
        gal_arena_printf(r->arena, "%.*s/%s/oauth2/v2.0/token", GAL_STR_ARG(end), tenant);
    if (!status)
        status = url && !form.failed ? gal_token_ask(r, url, gal_buf_str(&form), err)
                                     : gal_plan_no_memory(err);
    gal_buf_release(&form);
    return status;
}

static enum gal_status from_instance(struct azure *a, struct gal_err *err)
{
    static const struct gal_fetch_header header = {"Metadata", "true"};
    struct gal_source_run *r = a->run;
    const char *client = gal_env(r->options->env, "AZURE_CLIENT_ID");
    const char *host = gal_env(r->options->env, "AZURE_POD_IDENTITY_AUTHORITY_HOST");
    const char *url = gal_arena_printf(
        r->arena,
        "%s/metadata/identity/oauth2/"
        "token?api-version=2018-02-01&resource=https%%3A%%2F%%2Fstorage.azure.com%%2F%s%s",
        host ? host : "http://169.254.169.254", client ? "&client_id=" : "", client ? client : "");
    bool found;
    return url ? gal_token_near(r, url, &header, &found, err) : gal_plan_no_memory(err);
}

static enum gal_status find_auth(struct azure *a, struct gal_str connection, struct gal_err *err)
{
    static const char *const keys[] = {"AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY",
                                       "AZURE_STORAGE_ACCESS_KEY"};
    struct gal_source_run *r = a->run;
    char *const *env = r->options->env;
    const char *sas = gal_env(env, "AZURE_STORAGE_SAS_TOKEN"), *key = NULL;
    struct gal_str given = part_of(connection, "AccountKey"),
                   token = part_of(connection, "SharedAccessSignature");
    for (size_t i = 0; i < 3 && !key; i++)
        key = gal_env(env, keys[i]);
    if (given.n == 0 && key)
        given = gal_str_of(key);
    if (token.n == 0 && sas)
        token = gal_str_of(sas);
    if (given.n)
        return sign_sas(a, given, err);
    if (token.n) {
        bool mark = token.p[0] == '?';
        a->sas = gal_plan_text(r, (struct gal_str){token.p + mark, token.n - mark});
        return a->sas ? GAL_OK : gal_plan_no_memory(err);
    }
    enum gal_status status = from_entra(a, err);
    if (!status && r->plan.auth.kind == GAL_AUTH_NONE)
        status = from_instance(a, err);
    return status;
}

/* The account of the connection string is the one that is asked for, or none of it counts. */
static enum gal_status set_up(struct azure *a, struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    char *const *env = r->options->env;
    const char *end = gal_env(env, "AZURE_STORAGE_BLOB_ENDPOINT");
    struct gal_str connection = gal_str_of(gal_env(env, "AZURE_STORAGE_CONNECTION_STRING"));
    struct gal_str base = part_of(connection, "BlobEndpoint"),
                   name = part_of(connection, "AccountName");
    if (name.n && !gal_str_eq(name, r->url.host)) {
        gal_fail(err, GAL_INVALID,
                 "AZURE_STORAGE_CONNECTION_STRING is of account %.*s, not of %.*s",
                 GAL_STR_SHOWN(name), GAL_STR_SHOWN(r->url.host));
        return GAL_INVALID;
    }
    if (base.n == 0 && end)
        base = gal_str_of(end);
    while (base.n > 0 && base.p[base.n - 1] == '/')
        base.n--;
    a->base = base.n ? gal_arena_printf(r->arena, "%.*s/%.*s", GAL_STR_ARG(base),
                                        GAL_STR_ARG(r->url.container))
                     : gal_arena_printf(r->arena, "https://%.*s.blob.core.windows.net/%.*s",
                                        GAL_STR_ARG(r->url.host), GAL_STR_ARG(r->url.container));
    r->plan.origin = gal_plan_text(r, r->url.text);
    if (!a->base || !r->plan.origin)
        return gal_plan_no_memory(err);
    r->plan.auth.always[0] = (struct gal_fetch_header){"x-ms-version", API_VERSION};
    return find_auth(a, connection, err);
}

/* --- blobs --- */

static const char *url_of(struct azure *a, struct gal_str key)
{
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s/", a->base);
    gal_source_put_key(&url, key);
    if (a->sas)
        gal_buf_printf(&url, "?%s", a->sas);
    const char *out = url.failed ? NULL : gal_plan_text(a->run, gal_buf_str(&url));
    gal_buf_release(&url);
    return out;
}

static enum gal_status refuse(struct azure *a, const struct gal_fetch_request *q,
                              const struct gal_fetch_response *answer, struct gal_err *err)
{
    if (answer->status == 404)
        return gal_fail(err, GAL_NOT_FOUND, "%.*s does not exist", GAL_STR_SHOWN(a->run->url.text));
    enum gal_status status = gal_fetch_failed(q, answer, err);
    if (!a->sas && a->run->plan.auth.kind == GAL_AUTH_NONE)
        gal_err_hint(
            err, "no credentials were found: AZURE_STORAGE_CONNECTION_STRING, _KEY, _SAS_TOKEN, "
                 "AZURE_CLIENT_ID, or a managed identity");
    return status;
}

static enum gal_status plan_blob(struct azure *a, struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    struct gal_source_object *o;
    struct gal_fetch_response answer = {0};
    enum gal_status status = gal_plan_root(r, r->url.key, false, r->url.container, err);
    if (!status)
        status = gal_plan_add(r, &o, err);
    if (status)
        return status;
    o->place = r->plan.root;
    o->url = url_of(a, r->url.key);
    const struct gal_fetch_request q = {.method = "HEAD", .url = o->url};
    status = o->url ? gal_plan_ask(r, &q, &answer, err) : gal_plan_no_memory(err);
    if (!status && answer.status != 200)
        status = refuse(a, &q, &answer, err);
    if (!status)
        status = gal_plan_take_head(r, &answer, o, err);
    if (!status) {
        o->size_known =
            gal_str_u64(gal_fetch_header(&answer, "content-length"), &o->size) == GAL_OK;
        o->ranges = o->size_known && o->etag;
        gal_listing_base64(r->arena, gal_fetch_header(&answer, "content-md5"), 16, o->md5);
        if (r->url.sha256[0])
            memcpy(o->sha256, r->url.sha256, sizeof o->sha256);
    }
    gal_fetch_response_release(&answer);
    return status;
}

static enum gal_status list_page(struct azure *a, struct gal_str prefix, const char **marker,
                                 struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    struct gal_listing l = {.run = r, .prefix = prefix, .kind = GAL_LISTING_AZURE};
    struct gal_fetch_response answer = {0};
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s?restype=container&comp=list&prefix=", a->base);
    gal_url_put_segment(&url, prefix);
    if (*marker) {
        gal_buf_puts(&url, "&marker=");
        gal_url_put_segment(&url, gal_str_of(*marker));
    }
    if (a->sas)
        gal_buf_printf(&url, "&%s", a->sas);
    const char *text = url.failed ? NULL : gal_plan_text(r, gal_buf_str(&url));
    gal_buf_release(&url);
    const struct gal_fetch_request q = {.url = text, .body_max = 16u << 20};
    enum gal_status status = text ? gal_plan_ask(r, &q, &answer, err) : gal_plan_no_memory(err);
    if (!status && answer.status != 200)
        status = refuse(a, &q, &answer, err);
    if (!status) {
        struct gal_str body = gal_buf_str(&answer.body); /* some begin with a byte order mark */
        if (gal_str_starts(body, GAL_STR("\xef\xbb\xbf")))
            body = (struct gal_str){body.p + 3, body.n - 3};
        status = gal_listing_read(&l, body, err);
    }
    gal_fetch_response_release(&answer);
    *marker = l.next;
    return status;
}

static enum gal_status plan_dir(struct azure *a, struct gal_err *err)
{
    struct gal_source_run *r = a->run;
    const char *marker = NULL;
    enum gal_status status = gal_plan_root(r, r->url.key, true, r->url.container, err);
    for (unsigned i = 0; !status && (i == 0 || marker); i++) {
        status = i < PAGES_MAX ? list_page(a, r->url.key, &marker, err)
                               : gal_fail(err, GAL_TOO_LARGE, "a listing without an end");
    }
    if (!status && r->plan.count == 0)
        status = gal_fail(err, GAL_NOT_FOUND, "%.*s holds nothing", GAL_STR_SHOWN(r->url.text));
    for (size_t i = 0; !status && i < r->plan.count; i++) {
        struct gal_source_object *o = &r->plan.objects[i]; /* url is the name as yet */
        struct gal_str tag = gal_str_of(o->etag);
        o->url = url_of(a, gal_str_of(o->url));
        if (tag.n && tag.p[0] != '"') /* listings tell it without quotes */
            o->etag = gal_arena_printf(r->arena, "\"%.*s\"", GAL_STR_ARG(tag));
        o->ranges = o->etag != NULL;
        status = o->url ? GAL_OK : gal_plan_no_memory(err);
    }
    return status;
}

enum gal_status gal_plan_azure(struct gal_source_run *r, struct gal_err *err)
{
    struct azure a = {.run = r};
    enum gal_status status = set_up(&a, err);
    if (!status)
        status = r->url.is_prefix ? plan_dir(&a, err) : plan_blob(&a, err);
    return status ? status : gal_plan_settle(r, err);
}
