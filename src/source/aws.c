/* SPDX-License-Identifier: Apache-2.0 */
#include "source/aws.h"

#include "base/file.h"
#include "http/url.h"
#include "source/env.h"
#include "source/ini.h"

#include <stdio.h>

#define PROFILE_BYTES_MAX (1u << 20)

struct files {
    struct gal_buf credentials, config; /* n 0: not there */
    const char *profile;
};

/* --- profiles --- */

static enum gal_status read_optional(struct gal_source_run *r, const char *name,
                                     const char *fallback, struct gal_buf *out, struct gal_err *err)
{
    const char *given = gal_env(r->options->env, name);
    const char *path = gal_env_path(r->options->env, given ? given : fallback, r->arena);
    gal_buf_init(out, PROFILE_BYTES_MAX);
    if (!path)
        return gal_plan_no_memory(err);
    if (path[0] == '~')
        return GAL_OK;
    enum gal_status status = gal_file_read(path, PROFILE_BYTES_MAX, out, err);
    if (status)
        gal_buf_init(out, PROFILE_BYTES_MAX);
    return status == GAL_NOT_FOUND ? GAL_OK : status;
}

static const char *setting(struct gal_source_run *r, const struct files *f, const char *key)
{
    struct gal_str v;
    if (gal_ini_get(gal_buf_str(&f->config), f->profile, key, &v) ||
        gal_ini_get(gal_buf_str(&f->credentials), f->profile, key, &v))
        return v.n ? gal_plan_text(r, v) : NULL;
    return NULL;
}

static bool keys_of(struct gal_source_run *r, struct gal_str text, const char *profile,
                    struct gal_aws_keys *out)
{
    struct gal_str id, secret, token;
    if (!gal_ini_get(text, profile, "aws_access_key_id", &id) ||
        !gal_ini_get(text, profile, "aws_secret_access_key", &secret))
        return false;
    out->id = gal_plan_text(r, id);
    out->secret = gal_plan_text(r, secret);
    out->token =
        gal_ini_get(text, profile, "aws_session_token", &token) ? gal_plan_text(r, token) : NULL;
    return true;
}

/* What a profile may ask for and galley does not do. */
static enum gal_status refuse_others(struct gal_source_run *r, const struct files *f,
                                     struct gal_err *err)
{
    static const char *const others[] = {"sso_session", "sso_start_url", "credential_process",
                                         "source_profile", "credential_source"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (!setting(r, f, others[i]))
            continue;
        gal_fail(err, GAL_UNSUPPORTED, "profile '%.60s' uses %s, which galley does not do",
                 f->profile, others[i]);
        gal_err_hint(err, "aws configure export-credentials --format env prints keys for it");
        return GAL_UNSUPPORTED;
    }
    return GAL_OK;
}

static enum gal_status from_profile(struct gal_source_run *r, const struct files *f,
                                    struct gal_aws_keys *out, struct gal_err *err)
{
    struct gal_str files[] = {gal_buf_str(&f->credentials), gal_buf_str(&f->config)};
    if (keys_of(r, files[0], f->profile, out) || keys_of(r, files[1], f->profile, out))
        return GAL_OK;
    if (gal_env(r->options->env, "AWS_PROFILE") && !gal_ini_has(files[0], f->profile) &&
        !gal_ini_has(files[1], f->profile)) {
        gal_fail(err, GAL_INVALID, "AWS_PROFILE: there is no profile '%.60s'", f->profile);
        gal_err_hint(err, "profiles lie in ~/.aws/credentials and ~/.aws/config");
        return GAL_INVALID;
    }
    return refuse_others(r, f, err);
}

/* --- web identity --- */

static enum gal_status read_token(struct gal_source_run *r, const char *path, const char **out,
                                  struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status = gal_file_read(path, 65536, &text, err);
    if (status)
        return status;
    *out = gal_plan_text(r, gal_str_trim(gal_buf_str(&text)));
    gal_buf_release(&text);
    return *out ? GAL_OK : gal_plan_no_memory(err);
}

static enum gal_status sts_body(struct gal_source_run *r, const char *role, const char *token,
                                struct gal_buf *body, struct gal_err *err)
{
    const char *session = gal_env(r->options->env, "AWS_ROLE_SESSION_NAME");
    gal_buf_puts(body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    gal_url_put_segment(body, gal_str_of(role));
    gal_buf_puts(body, "&RoleSessionName=");
    gal_url_put_segment(body, gal_str_of(session ? session : "galley"));
    gal_buf_puts(body, "&WebIdentityToken=");
    gal_url_put_segment(body, gal_str_of(token));
    return body->failed ? gal_plan_no_memory(err) : GAL_OK;
}

static enum gal_status ask_sts(struct gal_source_run *r, const char *url, const char *role,
                               const char *token, struct gal_aws_keys *out, struct gal_err *err)
{
    static const struct gal_fetch_header headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/xml"}};
    struct gal_fetch_response answer = {0};
    struct gal_buf body;
    gal_buf_init(&body, 1u << 20);
    enum gal_status status = sts_body(r, role, token, &body, err);
    struct gal_fetch_request q = {.method = "POST",
                                  .url = url,
                                  .headers = headers,
                                  .header_count = 2,
                                  .body = gal_buf_str(&body)};
    if (!status)
        status = gal_fetch(r->fetcher, &q, &answer, err);
    if (!status && answer.status != 200)
        status = gal_fetch_failed(&q, &answer, err);
    if (!status)
        status = gal_aws_sts_read(gal_buf_str(&answer.body), r->arena, out, err);
    gal_fetch_response_release(&answer);
    gal_buf_release(&body);
    return status;
}

static enum gal_status from_web_identity(struct gal_source_run *r, const struct files *f,
                                         const char *region, struct gal_aws_keys *out,
                                         struct gal_err *err)
{
    char *const *env = r->options->env;
    const char *path = gal_env(env, "AWS_WEB_IDENTITY_TOKEN_FILE"),
               *role = gal_env(env, "AWS_ROLE_ARN");
    const char *endpoint = gal_env(env, "AWS_ENDPOINT_URL_STS"), *token, *url;
    if (!path && (path = setting(r, f, "web_identity_token_file")))
        role = setting(r, f, "role_arn");
    if (!endpoint)
        endpoint = gal_env(env, "AWS_ENDPOINT_URL");
    if (!path || !role)
        return GAL_OK;
    url = endpoint ? gal_plan_text(r, gal_str_of(endpoint))
                   : gal_arena_printf(r->arena, "https://sts.%s.amazonaws.com/", region);
    if (!url)
        return gal_plan_no_memory(err);
    enum gal_status status = read_token(r, path, &token, err);
    if (!status)
        status = ask_sts(r, url, role, token, out, err);
    if (status)
        gal_err_hint(err, "AWS_ROLE_ARN %.100s by AWS_WEB_IDENTITY_TOKEN_FILE", role);
    return status;
}

/* --- metadata of a container, of an instance --- */

static enum gal_status ask_near(struct gal_source_run *r, const char *method, const char *url,
                                const struct gal_fetch_header *header,
                                struct gal_fetch_response *out, struct gal_err *err)
{
    const struct gal_fetch_request q = {
        .method = method, .url = url, .headers = header, .header_count = header ? 1 : 0};
    return gal_plan_ask_near(r, &q, out, err);
}

static enum gal_status from_container(struct gal_source_run *r, struct gal_aws_keys *out,
                                      struct gal_err *err)
{
    char *const *env = r->options->env;
    const char *relative = gal_env(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *url = gal_env(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *file = gal_env(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    struct gal_fetch_header header = {"Authorization",
                                      gal_env(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")};
    struct gal_fetch_response answer;
    enum gal_status status = GAL_OK;
    if (relative)
        url = gal_arena_printf(r->arena, "http://169.254.170.2%s", relative);
    if (!url)
        return GAL_OK;
    if (file)
        status = read_token(r, file, &header.value, err);
    if (status)
        return status;
    status = ask_near(r, "GET", url, header.value ? &header : NULL, &answer, err);
    if (!status)
        status = gal_aws_keys_read(gal_buf_str(&answer.body), r->arena, out, err);
    gal_fetch_response_release(&answer);
    return status;
}

static const char *near_text(struct gal_source_run *r, const char *method, const char *url,
                             const struct gal_fetch_header *header)
{
    struct gal_fetch_response answer;
    enum gal_status status = ask_near(r, method, url, header, &answer, NULL);
    const char *text = status ? NULL : gal_plan_text(r, gal_str_trim(gal_buf_str(&answer.body)));
    gal_fetch_response_release(&answer);
    return text;
}

/* IMDSv2. That nobody answers is no error: this is no instance. */
static enum gal_status from_instance(struct gal_source_run *r, struct gal_aws_keys *out,
                                     struct gal_err *err)
{
    char *const *env = r->options->env;
    const char *off = gal_env(env, "AWS_EC2_METADATA_DISABLED");
    const char *base = gal_env(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT"), *role, *text;
    struct gal_fetch_header ttl = {"X-aws-ec2-metadata-token-ttl-seconds", "21600"};
    struct gal_fetch_header header = {"X-aws-ec2-metadata-token", NULL};
    if (off && strcasecmp(off, "true") == 0)
        return GAL_OK;
    base = base ? base : "http://169.254.169.254";
    header.value =
        near_text(r, "PUT", gal_arena_printf(r->arena, "%s/latest/api/token", base), &ttl);
    if (!header.value)
        return GAL_OK;
    base = gal_arena_printf(r->arena, "%s/latest/meta-data/iam/security-credentials/", base);
    role = base ? near_text(r, "GET", base, &header) : NULL;
    if (!role || !role[0])
        return GAL_OK;
    text = near_text(r, "GET", gal_arena_printf(r->arena, "%s%s", base, role), &header);
    return text ? gal_aws_keys_read(gal_str_of(text), r->arena, out, err)
                : gal_fail(err, GAL_UNAVAILABLE,
                           "the instance's metadata has no keys of role %.60s", role);
}

/* --- all of it --- */

static enum gal_status find_keys(struct gal_source_run *r, const struct files *f,
                                 struct gal_aws *out, struct gal_err *err)
{
    char *const *env = r->options->env;
    struct gal_aws_keys *k = &out->keys;
    enum gal_status status = GAL_OK;
    *k = (struct gal_aws_keys){gal_env(env, "AWS_ACCESS_KEY_ID"),
                               gal_env(env, "AWS_SECRET_ACCESS_KEY"),
                               gal_env(env, "AWS_SESSION_TOKEN")};
    if (k->id && k->secret)
        return GAL_OK;
    *k = (struct gal_aws_keys){NULL, NULL, NULL};
    status = from_web_identity(r, f, out->region, k, err);
    if (!status && !k->id)
        status = from_profile(r, f, k, err);
    if (!status && !k->id)
        status = from_container(r, k, err);
    if (!status && !k->id)
        status = from_instance(r, k, err);
    return status;
}

enum gal_status gal_aws_find(struct gal_source_run *r, struct gal_aws *out, struct gal_err *err)
{
    char *const *env = r->options->env;
    const char *profile = gal_env(env, "AWS_PROFILE");
    struct files f = {.profile = profile ? profile : "default"};
    *out = (struct gal_aws){
        .tried = "no keys were found in AWS_ACCESS_KEY_ID, a web identity, ~/.aws, or metadata"};
    gal_buf_init(&f.config, 0);
    enum gal_status status =
        read_optional(r, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", &f.credentials, err);
    if (!status)
        status = read_optional(r, "AWS_CONFIG_FILE", "~/.aws/config", &f.config, err);
    const char *choices[] = {gal_env(env, "AWS_REGION"), gal_env(env, "AWS_DEFAULT_REGION"),
                             status ? NULL : setting(r, &f, "region"), "us-east-1"};
    for (size_t i = 0; i < 4 && !out->region; i++)
        out->region = choices[i];
    const char *ends[] = {gal_env(env, "AWS_ENDPOINT_URL_S3"), gal_env(env, "AWS_ENDPOINT_URL"),
                          status ? NULL : setting(r, &f, "endpoint_url")};
    for (size_t i = 0; i < 3 && !out->endpoint; i++)
        out->endpoint = ends[i];
    if (!status)
        status = find_keys(r, &f, out, err);
    gal_buf_release(&f.credentials);
    gal_buf_release(&f.config);
    return status;
}
