/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that go, and who refers to them: the referrers API of the distribution specification,
 * or the tag that stands in for it ("sha256-HEX", an index that clients keep). */
#include "base/limits.h"
#include "oci/registry_impl.h"

#include <stdio.h>

static void fallback_tag(const char *digest, char tag[GAL_DIGEST_SIZE])
{
    snprintf(tag, GAL_DIGEST_SIZE, "sha256-%.64s", digest + 7);
}

/* PUT; *knows_subjects: the registry has entered its subject itself. */
static enum gal_status put_manifest(struct gal_registry *r, struct gal_str media_type,
                                    struct gal_str body, const char *name, bool *knows_subjects,
                                    struct gal_err *err)
{
    struct gal_fetch_response answer;
    char url[GAL_REGISTRY_URL_SIZE], type[128], digest[GAL_DIGEST_SIZE];
    struct gal_fetch_header header = {"Content-Type", type};
    snprintf(type, sizeof type, "%.*s", GAL_STR_ARG(media_type));
    gal_oci_digest(body, digest);
    gal_registry_url(r, url, "manifests/%s", name);
    struct gal_fetch_request q = {
        .method = "PUT", .url = url, .headers = &header, .header_count = 1, .body = body};
    enum gal_status status = gal_registry_call(r, true, &q, &answer, err);
    if (!status && answer.status >= 300)
        status = gal_registry_failed(r, &q, &answer, err);
    struct gal_str told = gal_fetch_header(&answer, "docker-content-digest");
    if (!status && gal_str_starts(told, GAL_STR("sha256:")) && !gal_str_is(told, digest))
        status = gal_fail(err, GAL_INVALID, "manifest %s: the registry keeps it as %.*s", digest,
                          (int)(told.n < 80 ? told.n : 80), told.p);
    *knows_subjects = !status && gal_fetch_header(&answer, "oci-subject").n > 0;
    gal_fetch_response_release(&answer);
    return status;
}

/* The index under the fallback tag; none yet is an empty one. */
static enum gal_status read_fallback(struct gal_registry *r, const char *digest,
                                     struct gal_arena *arena, struct gal_oci_index *out,
                                     struct gal_err *err)
{
    struct gal_oci_descriptor d;
    struct gal_str body;
    char tag[GAL_DIGEST_SIZE];
    memset(out, 0, sizeof *out);
    fallback_tag(digest, tag);
    enum gal_status status = gal_registry_manifest(r, tag, arena, &d, &body, err);
    if (status == GAL_NOT_FOUND) {
        gal_err_clear(err);
        return GAL_OK;
    }
    return status ? status : gal_oci_index_read(body, arena, out, err);
}

/* Is `digest` among those that refer to `subject` already? Else the index with it is put. */
static enum gal_status enter_fallback(struct gal_registry *r, const char *subject,
                                      const struct gal_oci_descriptor *own, struct gal_arena *arena,
                                      struct gal_err *err)
{
    struct gal_oci_index index;
    struct gal_buf text;
    char tag[GAL_DIGEST_SIZE];
    bool knows;
    enum gal_status status = read_fallback(r, subject, arena, &index, err);
    if (status)
        return status;
    for (size_t i = 0; i < index.manifest_count; i++) {
        if (strcmp(index.manifests[i].digest, own->digest) == 0)
            return GAL_OK;
    }
    struct gal_oci_descriptor *all = gal_arena_array(arena, index.manifest_count + 1, sizeof *all);
    if (!all)
        return gal_arena_fail(arena, sizeof *all, "referrers", err);
    for (size_t i = 0; i < index.manifest_count; i++)
        all[i] = index.manifests[i];
    all[index.manifest_count] = *own;
    index.manifests = all;
    index.manifest_count++;
    fallback_tag(subject, tag);
    gal_buf_init(&text, GAL_OCI_MANIFEST_BYTES_MAX);
    gal_oci_index_write(&text, &index);
    if (text.failed)
        status = gal_fail(err, GAL_TOO_LARGE, "%s: more referrers than a list may name", subject);
    else
        status = put_manifest(r, GAL_STR(GAL_OCI_INDEX), gal_buf_str(&text), tag, &knows, err);
    gal_buf_release(&text);
    return status;
}

/* Reads subject and what a list of referrers says of a manifest. */
static enum gal_status describe(struct gal_str media_type, struct gal_str body,
                                struct gal_arena *arena, struct gal_oci_descriptor *own,
                                struct gal_oci_descriptor *subject, bool *has_subject,
                                struct gal_err *err)
{
    struct gal_oci_manifest m;
    struct gal_oci_index x;
    enum gal_status status;
    *own = gal_oci_describe(media_type, body);
    if (gal_oci_is_index_type(media_type)) {
        status = gal_oci_index_read(body, arena, &x, err);
        if (status)
            return status;
        *has_subject = x.has_subject;
        *subject = x.subject;
        own->artifact_type = x.artifact_type;
        own->annotations = x.annotations;
        own->annotation_count = x.annotation_count;
        return GAL_OK;
    }
    status = gal_oci_manifest_read(body, arena, &m, err);
    if (status)
        return status;
    *has_subject = m.has_subject;
    *subject = m.subject;
    own->artifact_type = m.artifact_type.n ? m.artifact_type : m.config.media_type;
    own->annotations = m.annotations;
    own->annotation_count = m.annotation_count;
    return GAL_OK;
}

enum gal_status gal_registry_push_manifest(struct gal_registry *r, struct gal_str media_type,
                                           struct gal_str body, const char *tag,
                                           struct gal_err *err)
{
    struct gal_oci_descriptor own, subject;
    struct gal_arena arena;
    bool has_subject = false, knows = false;
    gal_err_clear(err);
    gal_arena_init(&arena, 16384, 0, 64u << 20);
    enum gal_status status = describe(media_type, body, &arena, &own, &subject, &has_subject, err);
    if (!status)
        status = put_manifest(r, media_type, body, tag ? tag : own.digest, &knows, err);
    if (!status && has_subject && !knows)
        status = enter_fallback(r, subject.digest, &own, &arena, err);
    gal_arena_release(&arena);
    return status;
}

enum gal_status gal_registry_referrers(struct gal_registry *r, const char *digest,
                                       struct gal_arena *arena, struct gal_oci_index *out,
                                       struct gal_err *err)
{
    struct gal_fetch_response answer;
    struct gal_fetch_header accept = {"Accept", GAL_OCI_INDEX};
    char url[GAL_REGISTRY_URL_SIZE];
    gal_registry_url(r, url, "referrers/%s", digest);
    struct gal_fetch_request q = {
        .url = url, .headers = &accept, .header_count = 1, .body_max = GAL_OCI_MANIFEST_BYTES_MAX};
    memset(out, 0, sizeof *out);
    gal_err_clear(err);
    enum gal_status status = gal_registry_call(r, false, &q, &answer, err);
    bool is_there = !status && answer.status == 200;
    if (is_there)
        status = gal_oci_index_read(gal_buf_str(&answer.body), arena, out, err);
    else if (!status && answer.status != 404 && answer.status != 405 && answer.status != 400)
        status = gal_registry_failed(r, &q, &answer, err);
    gal_fetch_response_release(&answer);
    return status || is_there ? status : read_fallback(r, digest, arena, out, err);
}
