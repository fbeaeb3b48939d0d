/* SPDX-License-Identifier: Apache-2.0 */
#include "source/google.h"

#include "base/file.h"
#include "http/url.h"
#include "source/env.h"
#include "text/json.h"

#include <inttypes.h>

#define FILE_BYTES_MAX (1u << 20)
#define JSON_DEPTH_MAX 8u
#define SCOPE "https://www.googleapis.com/auth/devstorage.read_only"
#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define LIFE_S 3600u

static struct gal_str text_of(yyjson_val *object, const char *key)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    return yyjson_is_str(v) ? (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)}
                            : (struct gal_str){NULL, 0};
}

static enum gal_status from_service_account(struct gal_source_run *r, yyjson_val *root,
                                            struct gal_err *err)
{
    struct gal_str mail = text_of(root, "client_email"), pem = text_of(root, "private_key");
    struct gal_str url = text_of(root, "token_uri");
    uint64_t now_s = gal_wall_us(r->clock) / 1000000;
    const char *to = url.n ? url.p : TOKEN_URL;
    struct gal_buf claims, form, token;
    if (mail.n == 0 || pem.n == 0)
        return gal_fail(err, GAL_INVALID,
                        "the service account's file lacks client_email or private_key");
    gal_buf_init(&claims, 8192);
    gal_buf_init(&form, 32768);
    gal_buf_puts(&claims, "{\"iss\":");
    gal_json_put_str(&claims, mail);
    gal_buf_puts(&claims, ",\"scope\":\"" SCOPE "\",\"aud\":");
    gal_json_put_str(&claims, gal_str_of(to));
    gal_buf_printf(&claims, ",\"iat\":%" PRIu64 ",\"exp\":%" PRIu64 "}", now_s, now_s + LIFE_S);
    enum gal_status status = gal_jwt_make(gal_buf_str(&claims), pem, &token, err);
    gal_buf_puts(&form,
                 "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=");
    gal_buf_put_str(&form, gal_buf_str(&token));
    if (!status)
        status =
            form.failed ? gal_plan_no_memory(err) : gal_token_ask(r, to, gal_buf_str(&form), err);
    gal_buf_release(&claims);
    gal_buf_release(&form);
    gal_buf_release(&token);
    return status;
}

static enum gal_status from_user(struct gal_source_run *r, yyjson_val *root, struct gal_err *err)
{
    static const char *const keys[] = {"client_id", "client_secret", "refresh_token"};
    struct gal_buf form;
    gal_buf_init(&form, 32768);
    gal_buf_puts(&form, "grant_type=refresh_token");
    for (size_t i = 0; i < 3; i++) {
        gal_buf_printf(&form, "&%s=", keys[i]);
        gal_url_put_segment(&form, text_of(root, keys[i]));
    }
    struct gal_str url = text_of(root, "token_uri");
    enum gal_status status =
        form.failed ? gal_plan_no_memory(err)
                    : gal_token_ask(r, url.n ? url.p : TOKEN_URL, gal_buf_str(&form), err);
    gal_buf_release(&form);
    return status;
}

static enum gal_status from_file(struct gal_source_run *r, struct gal_str text, struct gal_err *err)
{
    yyjson_val *root;
    const char *copy = gal_plan_text(r, text);
    enum gal_status status =
        copy ? gal_json_read(gal_str_of(copy), r->arena, JSON_DEPTH_MAX, &root, err)
             : gal_plan_no_memory(err);
    if (status)
        return status;
    struct gal_str type = text_of(root, "type");
    if (gal_str_is(type, "service_account"))
        return from_service_account(r, root, err);
    if (gal_str_is(type, "authorized_user"))
        return from_user(r, root, err);
    return gal_fail(err, GAL_UNSUPPORTED, "credentials of type '%.*s' are not known to galley",
                    GAL_STR_SHOWN(type));
}

enum gal_status gal_google_find(struct gal_source_run *r, struct gal_err *err)
{
    static const struct gal_fetch_header flavor = {"Metadata-Flavor", "Google"};
    char *const *env = r->options->env;
    const char *given = gal_env(env, "GOOGLE_APPLICATION_CREDENTIALS"),
               *host = gal_env(env, "GCE_METADATA_HOST");
    const char *path =
        given
            ? given
            : gal_env_path(env, "~/.config/gcloud/application_default_credentials.json", r->arena);
    struct gal_buf text;
    bool found;
    if (!path)
        return gal_plan_no_memory(err);
    enum gal_status status = gal_file_read(path, FILE_BYTES_MAX, &text, err);
    if (!status) {
        status = from_file(r, gal_buf_str(&text), err);
        gal_buf_release(&text);
        if (status)
            gal_err_place(err, "%s", path);
        return status;
    }
    if (given || status != GAL_NOT_FOUND)
        return status;
    const char *url = gal_arena_printf(
        r->arena, "http://%s/computeMetadata/v1/instance/service-accounts/default/token",
        host ? host : "metadata.google.internal");
    return url ? gal_token_near(r, url, &flavor, &found, err) : gal_plan_no_memory(err);
}
