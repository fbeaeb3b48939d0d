/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/registry.h"

#include "base/limits.h"
#include "base/mem.h"
#include "oci/credentials.h"
#include "oci/mirror.h"
#include "oci/registry_impl.h"
#include "text/json.h"

#include <stdio.h>

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define ACCEPT GAL_OCI_MANIFEST ", " GAL_OCI_INDEX ", " DOCKER_MANIFEST ", " DOCKER_INDEX
#define PARALLEL 4u

/* --- opening --- */

static void name_base(struct gal_registry_shared *s, const char *scheme)
{
    bool is_hub = strcmp(s->ref.host, "docker.io") == 0;
    snprintf(s->base, sizeof s->base, "%s://%s", scheme,
             is_hub ? "registry-1.docker.io" : s->ref.host);
}

/* What /v2/ says: the challenge, before anything is asked for. */
static enum gal_status ping(struct gal_registry *r, bool once, struct gal_err *err)
{
    struct gal_fetch_response answer;
    char url[320];
    snprintf(url, sizeof url, "%s/v2/", r->shared->base);
    struct gal_fetch_request q = {.url = url, .no_retry = once};
    enum gal_status status = gal_fetch(r->fetcher, &q, &answer, err);
    if (!status && answer.status == 401)
        gal_registry_refused(r, &answer, &(struct gal_registry_pass){.turn = 0});
    gal_fetch_response_release(&answer);
    return status;
}

/* Loopback: TLS if there is any, else without; nothing secret leaves the machine. */
static enum gal_status find_scheme(struct gal_registry *r, struct gal_err *err)
{
    struct gal_registry_shared *s = r->shared;
    bool is_loopback = gal_registry_host_is_loopback(s->ref.host);
    enum gal_status status;
    name_base(s, s->options.plain_http ? "http" : "https");
    status = ping(r, is_loopback && !s->options.plain_http, err);
    if (status == GAL_UNAVAILABLE && is_loopback && !s->options.plain_http &&
        (!err || !strstr(err->message, "certificate"))) {
        name_base(s, "http");
        status = ping(r, false, err);
    }
    if (status)
        gal_registry_hint(s, err);
    return status;
}

static enum gal_status open_at(const struct gal_reference *ref,
                               const struct gal_registry_options *options,
                               struct gal_registry **out, struct gal_err *err)
{
    struct gal_registry *r = gal_calloc(1, sizeof *r);
    struct gal_registry_shared *s = gal_calloc(1, sizeof *s);
    enum gal_status status = GAL_OK;
    *out = NULL;
    gal_err_clear(err);
    if (!r || !s) {
        gal_free(r);
        gal_free(s);
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    }
    r->shared = s;
    s->ref = *ref;
    s->options = *options;
    s->options.parallel = options->parallel ? options->parallel : PARALLEL;
    if (s->options.parallel > GAL_REGISTRY_PARALLEL_MAX)
        s->options.parallel = GAL_REGISTRY_PARALLEL_MAX;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->progress_lock, NULL);
    gal_arena_init(&s->arena, 4096, 0, 8u << 20);
    gal_buf_init(&s->token, GAL_TOKEN_BYTES_MAX);
    status = gal_fetcher_new(&options->fetch, &r->fetcher, err);
    if (!status)
        status = find_scheme(r, err);
    if (status)
        gal_registry_close(r);
    else
        *out = r;
    return status;
}

enum gal_status gal_registry_open(const struct gal_reference *ref,
                                  const struct gal_registry_options *options,
                                  struct gal_registry **out, struct gal_err *err)
{
    const char *setting =
        options->reads ? gal_credentials_env(options->env, GAL_MIRRORS_ENV) : NULL;
    struct gal_reference mirror;
    bool there = false;
    enum gal_status status = gal_mirror_of(setting, ref, &mirror, &there, err);
    *out = NULL;
    if (status)
        return status;
    /* Where nobody answers, the registry itself is asked. */
    if (there && open_at(&mirror, options, out, err) == GAL_OK)
        return GAL_OK;
    return open_at(ref, options, out, err);
}

enum gal_status gal_registry_clone(struct gal_registry *r, struct gal_registry **out,
                                   struct gal_err *err)
{
    struct gal_registry *c = gal_calloc(1, sizeof *c);
    enum gal_status status = GAL_OK;
    *out = NULL;
    if (!c)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    c->shared = r->shared;
    c->is_clone = true;
    struct gal_fetch_options options = r->shared->options.fetch;
    options.also_stop = &r->shared->stop;
    status = gal_fetcher_new(&options, &c->fetcher, err);
    if (status)
        gal_free(c);
    else
        *out = c;
    return status;
}

void gal_registry_close(struct gal_registry *r)
{
    if (!r)
        return;
    gal_fetcher_free(r->fetcher);
    if (!r->is_clone) {
        pthread_mutex_destroy(&r->shared->lock);
        pthread_mutex_destroy(&r->shared->progress_lock);
        gal_arena_release(&r->shared->arena);
        gal_buf_release(&r->shared->token);
        gal_free(r->shared);
    }
    gal_free(r);
}

void gal_registry_tell(struct gal_registry *r, const struct gal_oci_descriptor *d,
                       enum gal_transfer_step step, uint64_t done, uint64_t total)
{
    struct gal_registry_shared *s = r->shared;
    if (!s->options.on_progress)
        return;
    pthread_mutex_lock(&s->progress_lock);
    s->options.on_progress(d, step, done, total, s->options.ctx);
    pthread_mutex_unlock(&s->progress_lock);
}

enum gal_status gal_registry_login(struct gal_registry *r, struct gal_err *err)
{
    struct gal_fetch_response answer;
    char url[320];
    snprintf(url, sizeof url, "%s/v2/", r->shared->base);
    struct gal_fetch_request q = {.url = url};
    gal_err_clear(err);
    enum gal_status status = gal_registry_call(r, false, &q, &answer, err);
    if (!status && answer.status != 200)
        status = gal_registry_failed(r, &q, &answer, err);
    gal_fetch_response_release(&answer);
    return status;
}

/* --- manifests --- */

bool gal_oci_is_index_type(struct gal_str media_type)
{
    return gal_str_is(media_type, GAL_OCI_INDEX) || gal_str_is(media_type, DOCKER_INDEX);
}

bool gal_oci_is_manifest_type(struct gal_str media_type)
{
    return gal_oci_is_index_type(media_type) || gal_str_is(media_type, GAL_OCI_MANIFEST) ||
           gal_str_is(media_type, DOCKER_MANIFEST);
}

static enum gal_status no_manifest(struct gal_registry *r, const char *name,
                                   const struct gal_fetch_response *answer, struct gal_err *err)
{
    const struct gal_reference *ref = &r->shared->ref;
    bool is_digest = strchr(name, ':') != NULL;
    char code[64];
    gal_registry_error_code(answer, code);
    if (strcmp(code, "NAME_UNKNOWN") == 0)
        return gal_fail(err, GAL_NOT_FOUND, "%s/%s: no such repository", ref->host,
                        ref->repository);
    gal_fail(err, GAL_NOT_FOUND, "%s/%s%s%s: no such %s", ref->host, ref->repository,
             is_digest ? "@" : ":", name, is_digest ? "manifest" : "tag");
    if (!is_digest && gal_registry_hint_tags(r, err) == GAL_NOT_FOUND)
        gal_fail(err, GAL_NOT_FOUND, "%s/%s: no such repository", ref->host, ref->repository);
    return GAL_NOT_FOUND;
}

/* What it is: as the registry says, or where it says nothing of use, as the text does. */
static enum gal_status media_type_of(const struct gal_fetch_response *answer, struct gal_str body,
                                     struct gal_arena *arena, struct gal_str *out,
                                     struct gal_err *err)
{
    struct gal_str rest = gal_fetch_header(answer, "content-type"), type = {NULL, 0}, own;
    yyjson_val *root;
    gal_str_cut(&rest, ';', &type);
    type = gal_str_trim(type);
    enum gal_status status = gal_json_read(body, arena, GAL_JSON_DEPTH_MAX, &root, err);
    if (status)
        return status;
    own = gal_str_of(yyjson_get_str(yyjson_obj_get(root, "mediaType")));
    if (gal_oci_is_manifest_type(type) && own.n && !gal_str_eq(own, type))
        return gal_fail(err, GAL_INVALID, "calls itself %.*s, the registry calls it %.*s",
                        GAL_STR_SHOWN(own), GAL_STR_SHOWN(type));
    if (gal_oci_is_manifest_type(own))
        type = own;
    else if (!gal_oci_is_manifest_type(type))
        type = gal_oci_is_index(body) ? GAL_STR(GAL_OCI_INDEX) : GAL_STR(GAL_OCI_MANIFEST);
    const char *copy = gal_arena_strdup(arena, type);
    *out = (struct gal_str){copy, type.n};
    return copy ? GAL_OK : gal_arena_fail(arena, type.n, "a media type", err);
}

/* Are these the bytes that were asked for, or that the registry says they are? */
static enum gal_status check_digest(const char *name, const struct gal_fetch_response *answer,
                                    const char *digest, struct gal_err *err)
{
    struct gal_str told = gal_fetch_header(answer, "docker-content-digest");
    if (strchr(name, ':'))
        told = gal_str_of(name);
    if (digest[0] == '\0')
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    if (!gal_str_starts(told, GAL_STR("sha256:")) || gal_str_is(told, digest))
        return GAL_OK;
    return gal_fail(err, GAL_INVALID, "manifest %.*s: the registry's bytes have the digest %s",
                    (int)(told.n < 80 ? told.n : 80), told.p, digest);
}

static enum gal_status take_manifest(const char *name, const struct gal_fetch_response *answer,
                                     struct gal_arena *arena, struct gal_oci_descriptor *d,
                                     struct gal_str *body, struct gal_err *err)
{
    const char *copy = gal_arena_strdup(arena, gal_buf_str(&answer->body));
    if (!copy)
        return gal_arena_fail(arena, answer->body.n, "a manifest", err);
    *body = (struct gal_str){copy, answer->body.n};
    *d = (struct gal_oci_descriptor){.size = body->n};
    gal_oci_digest(*body, d->digest);
    enum gal_status status = check_digest(name, answer, d->digest, err);
    if (!status)
        status = media_type_of(answer, *body, arena, &d->media_type, err);
    return status;
}

enum gal_status gal_registry_manifest(struct gal_registry *r, const char *tag_or_digest,
                                      struct gal_arena *arena, struct gal_oci_descriptor *d,
                                      struct gal_str *body, struct gal_err *err)
{
    struct gal_fetch_header accept = {"Accept", ACCEPT};
    struct gal_fetch_response answer;
    char url[GAL_REGISTRY_URL_SIZE];
    gal_registry_url(r, url, "manifests/%s", tag_or_digest);
    struct gal_fetch_request q = {
        .url = url, .headers = &accept, .header_count = 1, .body_max = GAL_OCI_MANIFEST_BYTES_MAX};
    gal_err_clear(err);
    enum gal_status status = gal_registry_call(r, false, &q, &answer, err);
    if (!status && answer.status == 404)
        status = no_manifest(r, tag_or_digest, &answer, err);
    else if (!status && answer.status != 200)
        status = gal_registry_failed(r, &q, &answer, err);
    if (!status) {
        status = take_manifest(tag_or_digest, &answer, arena, d, body, err);
        if (status && err)
            gal_err_place(err, "%s/%s:%s", r->shared->ref.host, r->shared->ref.repository,
                          tag_or_digest);
    }
    gal_fetch_response_release(&answer);
    return status;
}
