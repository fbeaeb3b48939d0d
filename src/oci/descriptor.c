/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/descriptor.h"

#include "base/digest.h"
#include "base/limits.h"
#include "text/json.h"

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define HEX_CHARS 64u
#define PLACE_SIZE 96u

/* --- reading --- */

struct reader {
    struct gal_arena *arena;
    struct gal_err *err;
    const char *what;       /* "manifest", "index" */
    char place[PLACE_SIZE]; /* "layers[2]"; empty at the top */
};

static enum gal_status fail_at(const struct reader *r, const char *field, const char *words)
{
    bool named = r->place[0] || field[0];
    return gal_fail(r->err, GAL_INVALID, "%s: %s%s%s%s%s", r->what, r->place,
                    r->place[0] && field[0] ? "." : "", field, named ? ": " : "", words);
}

static enum gal_status no_memory(const struct reader *r, size_t bytes)
{
    return gal_arena_fail(r->arena, bytes, r->what, r->err);
}

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
}

/* One JSON object: no member twice, not too many. Readers differ in which of two they take, so
 * that a text with two could be one thing here and another elsewhere. */
static enum gal_status check_object(const struct reader *r, yyjson_val *v)
{
    struct gal_str keys[GAL_OCI_MEMBERS_MAX];
    size_t count = 0, i, max;
    yyjson_val *key, *member;
    if (!yyjson_is_obj(v))
        return fail_at(r, "", "an object is expected");
    if (yyjson_obj_size(v) > GAL_OCI_MEMBERS_MAX)
        return fail_at(r, "", "more than 256 members");
    yyjson_obj_foreach(v, i, max, key, member)
    {
        keys[count] = text_of(key);
        for (size_t k = 0; k < count; k++) {
            if (gal_str_eq(keys[k], keys[count]))
                return gal_fail(r->err, GAL_INVALID, "%s: %s%s\"%.*s\" is there twice", r->what,
                                r->place, r->place[0] ? ": " : "", GAL_STR_SHOWN(keys[k]));
        }
        count++;
    }
    return GAL_OK;
}

/* A text member; an absent one stays empty. No control characters: these texts are shown. */
static enum gal_status read_text(const struct reader *r, yyjson_val *object, const char *field,
                                 struct gal_str *out)
{
    yyjson_val *v = yyjson_obj_get(object, field);
    *out = (struct gal_str){NULL, 0};
    if (!v)
        return GAL_OK;
    if (!yyjson_is_str(v))
        return fail_at(r, field, "a string is expected");
    *out = text_of(v);
    for (size_t i = 0; i < out->n; i++) {
        if ((unsigned char)out->p[i] < 0x20)
            return fail_at(r, field, "control characters are not allowed");
    }
    return GAL_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct gal_oci_annotation *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int order = n ? memcmp(x->key.p, y->key.p, n) : 0;
    return order ? order : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static enum gal_status read_annotations(const struct reader *r, yyjson_val *object,
                                        const struct gal_oci_annotation **out, size_t *count)
{
    yyjson_val *v = yyjson_obj_get(object, "annotations"), *key, *value;
    size_t i, max;
    *out = NULL;
    *count = 0;
    if (!v || yyjson_is_null(v))
        return GAL_OK;
    enum gal_status status = check_object(r, v);
    if (status)
        return status;
    struct gal_oci_annotation *list =
        gal_arena_array(r->arena, yyjson_obj_size(v) + 1, sizeof *list);
    if (!list)
        return no_memory(r, (yyjson_obj_size(v) + 1) * sizeof *list);
    yyjson_obj_foreach(v, i, max, key, value)
    {
        if (!yyjson_is_str(value))
            return fail_at(r, "annotations", "values are strings");
        list[i] = (struct gal_oci_annotation){text_of(key), text_of(value)};
    }
    *count = yyjson_obj_size(v);
    qsort(list, *count, sizeof *list, compare_keys);
    *out = list;
    return GAL_OK;
}

static enum gal_status read_platform(struct reader *r, yyjson_val *object,
                                     struct gal_oci_platform *out)
{
    yyjson_val *v = yyjson_obj_get(object, "platform");
    *out = (struct gal_oci_platform){.os = {NULL, 0}};
    if (!v || yyjson_is_null(v))
        return GAL_OK;
    enum gal_status status = check_object(r, v);
    if (!status)
        status = read_text(r, v, "os", &out->os);
    if (!status)
        status = read_text(r, v, "architecture", &out->architecture);
    return status ? status : read_text(r, v, "variant", &out->variant);
}

static enum gal_status read_descriptor(struct reader *r, yyjson_val *v,
                                       struct gal_oci_descriptor *out)
{
    struct gal_str digest;
    *out = (struct gal_oci_descriptor){.size = 0};
    enum gal_status status = check_object(r, v);
    if (!status)
        status = read_text(r, v, "mediaType", &out->media_type);
    if (!status)
        status = read_text(r, v, "digest", &digest);
    if (!status)
        status = read_text(r, v, "artifactType", &out->artifact_type);
    if (status)
        return status;
    if (out->media_type.n == 0)
        return fail_at(r, "mediaType", "is missing");
    if (!gal_oci_digest_valid(digest))
        return fail_at(r, "digest", "\"sha256:\" and 64 hexadecimal digits are expected");
    memcpy(out->digest, digest.p, GAL_DIGEST_SIZE - 1);
    yyjson_val *size = yyjson_obj_get(v, "size");
    if (!yyjson_is_uint(size) || yyjson_get_uint(size) > INT64_MAX)
        return fail_at(r, "size", "a number of bytes is expected");
    out->size = yyjson_get_uint(size);
    status = read_platform(r, v, &out->platform);
    return status ? status : read_annotations(r, v, &out->annotations, &out->annotation_count);
}

static enum gal_status read_descriptors(struct reader *r, yyjson_val *object, const char *field,
                                        const struct gal_oci_descriptor **out, size_t *count)
{
    yyjson_val *v = yyjson_obj_get(object, field), *item;
    size_t i, max;
    enum gal_status status = GAL_OK;
    *out = NULL;
    *count = 0;
    if (!yyjson_is_arr(v))
        return fail_at(r, field, v ? "a list is expected" : "is missing");
    if (yyjson_arr_size(v) > GAL_OCI_LAYERS_MAX)
        return fail_at(r, field, "more than 20000 entries");
    struct gal_oci_descriptor *list =
        gal_arena_array(r->arena, yyjson_arr_size(v) + 1, sizeof *list);
    if (!list)
        return no_memory(r, (yyjson_arr_size(v) + 1) * sizeof *list);
    yyjson_arr_foreach(v, i, max, item)
    {
        (void)snprintf(r->place, sizeof r->place, "%s[%zu]", field, i);
        status = read_descriptor(r, item, &list[i]);
        if (status)
            return status;
    }
    r->place[0] = '\0';
    *out = list;
    *count = yyjson_arr_size(v);
    return GAL_OK;
}

static enum gal_status read_one(struct reader *r, yyjson_val *object, const char *field,
                                struct gal_oci_descriptor *out)
{
    (void)snprintf(r->place, sizeof r->place, "%s", field);
    enum gal_status status = read_descriptor(r, yyjson_obj_get(object, field), out);
    r->place[0] = '\0';
    return status;
}

/* The document, and what manifests and indexes have alike. */
static enum gal_status read_root(struct reader *r, struct gal_str json, yyjson_val **root)
{
    if (json.n > GAL_OCI_JSON_BYTES_MAX)
        return gal_fail(r->err, GAL_TOO_LARGE, "%s: larger than %u bytes", r->what,
                        GAL_OCI_JSON_BYTES_MAX);
    enum gal_status status = gal_json_read(json, r->arena, GAL_OCI_JSON_DEPTH_MAX, root, r->err);
    if (status == GAL_INVALID && r->err) {
        char place[sizeof r->err->place], message[sizeof r->err->message];
        memcpy(place, r->err->place, sizeof place);
        memcpy(message, r->err->message, sizeof message);
        (void)gal_fail(r->err, GAL_INVALID, "%s: %s", r->what, message);
        gal_err_place(r->err, "%s", place);
    }
    if (!status)
        status = check_object(r, *root);
    if (status)
        return status;
    yyjson_val *version = yyjson_obj_get(*root, "schemaVersion");
    if (!yyjson_is_uint(version) || yyjson_get_uint(version) != 2)
        return fail_at(r, "schemaVersion", version ? "only 2 is supported" : "is missing");
    return GAL_OK;
}

static enum gal_status read_subject(struct reader *r, yyjson_val *root, bool *has,
                                    struct gal_oci_descriptor *out)
{
    yyjson_val *v = yyjson_obj_get(root, "subject");
    *has = v && !yyjson_is_null(v);
    return *has ? read_one(r, root, "subject", out) : GAL_OK;
}

enum gal_status gal_oci_manifest_read(struct gal_str json, struct gal_arena *arena,
                                      struct gal_oci_manifest *out, struct gal_err *err)
{
    struct reader r = {arena, err, "manifest", ""};
    yyjson_val *root;
    *out = (struct gal_oci_manifest){.layers = NULL};
    enum gal_status status = read_root(&r, json, &root);
    if (!status)
        status = read_text(&r, root, "mediaType", &out->media_type);
    if (!status && out->media_type.n > 0 && !gal_str_is(out->media_type, GAL_OCI_MANIFEST) &&
        !gal_str_is(out->media_type, DOCKER_MANIFEST))
        return gal_fail(err, GAL_INVALID, "manifest: mediaType: \"%.*s\" is not a manifest's",
                        GAL_STR_SHOWN(out->media_type));
    if (!status)
        status = read_text(&r, root, "artifactType", &out->artifact_type);
    if (!status)
        status = read_one(&r, root, "config", &out->config);
    if (!status)
        status = read_descriptors(&r, root, "layers", &out->layers, &out->layer_count);
    if (!status)
        status = read_subject(&r, root, &out->has_subject, &out->subject);
    return status ? status : read_annotations(&r, root, &out->annotations, &out->annotation_count);
}

enum gal_status gal_oci_index_read(struct gal_str json, struct gal_arena *arena,
                                   struct gal_oci_index *out, struct gal_err *err)
{
    struct reader r = {arena, err, "index", ""};
    struct gal_str media_type;
    yyjson_val *root;
    *out = (struct gal_oci_index){.manifests = NULL};
    enum gal_status status = read_root(&r, json, &root);
    if (!status)
        status = read_text(&r, root, "mediaType", &media_type);
    if (!status && media_type.n > 0 && !gal_str_is(media_type, GAL_OCI_INDEX) &&
        !gal_str_is(media_type, DOCKER_LIST))
        return gal_fail(err, GAL_INVALID, "index: mediaType: \"%.*s\" is not an index's",
                        GAL_STR_SHOWN(media_type));
    if (!status)
        status = read_text(&r, root, "artifactType", &out->artifact_type);
    if (!status)
        status = read_descriptors(&r, root, "manifests", &out->manifests, &out->manifest_count);
    if (!status)
        status = read_subject(&r, root, &out->has_subject, &out->subject);
    return status ? status : read_annotations(&r, root, &out->annotations, &out->annotation_count);
}

bool gal_oci_is_index(struct gal_str json)
{
    struct gal_arena arena;
    yyjson_val *root;
    bool is = false;
    gal_arena_init(&arena, 65536, 0, (size_t)GAL_OCI_JSON_BYTES_MAX * 16);
    if (json.n <= GAL_OCI_JSON_BYTES_MAX &&
        gal_json_read(json, &arena, GAL_OCI_JSON_DEPTH_MAX, &root, NULL) == GAL_OK) {
        yyjson_val *type = yyjson_obj_get(root, "mediaType");
        is = type ? yyjson_equals_str(type, GAL_OCI_INDEX) || yyjson_equals_str(type, DOCKER_LIST)
                  : yyjson_is_arr(yyjson_obj_get(root, "manifests")) &&
                        !yyjson_obj_get(root, "layers");
    }
    gal_arena_release(&arena);
    return is;
}

/* --- writing --- */

static void put_member(struct gal_buf *out, bool first, const char *key, struct gal_str value)
{
    gal_buf_puts(out, first ? "" : ",");
    gal_json_put_key(out, key);
    gal_json_put_str(out, value);
}

/* In the order of their keys, without an allocation: each round writes the least of those that are
 * greater than the last. They are few. */
static void put_annotations(struct gal_buf *out, const struct gal_oci_annotation *list,
                            size_t count)
{
    const struct gal_oci_annotation *last = NULL;
    if (count == 0)
        return;
    gal_buf_puts(out, ",\"annotations\":{");
    for (;;) {
        const struct gal_oci_annotation *next = NULL;
        for (size_t i = 0; i < count; i++) {
            if ((!last || compare_keys(&list[i], last) > 0) &&
                (!next || compare_keys(&list[i], next) < 0))
                next = &list[i];
        }
        if (!next)
            break;
        gal_buf_puts(out, last ? "," : "");
        gal_json_put_str(out, next->key);
        gal_buf_putc(out, ':');
        gal_json_put_str(out, next->value);
        last = next;
    }
    gal_buf_putc(out, '}');
}

static void put_descriptor(struct gal_buf *out, const struct gal_oci_descriptor *d)
{
    gal_buf_putc(out, '{');
    put_member(out, true, "mediaType", d->media_type);
    put_member(out, false, "digest", gal_str_of(d->digest));
    gal_buf_puts(out, ",\"size\":");
    gal_buf_put_u64(out, d->size);
    if (d->artifact_type.n > 0)
        put_member(out, false, "artifactType", d->artifact_type);
    if (d->platform.os.n > 0 || d->platform.architecture.n > 0) {
        gal_buf_puts(out, ",\"platform\":{");
        put_member(out, true, "architecture", d->platform.architecture);
        put_member(out, false, "os", d->platform.os);
        if (d->platform.variant.n > 0)
            put_member(out, false, "variant", d->platform.variant);
        gal_buf_putc(out, '}');
    }
    put_annotations(out, d->annotations, d->annotation_count);
    gal_buf_putc(out, '}');
}

static void put_list(struct gal_buf *out, const char *key, const struct gal_oci_descriptor *list,
                     size_t count)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? "," : "");
        put_descriptor(out, &list[i]);
    }
    gal_buf_putc(out, ']');
}

static void put_subject(struct gal_buf *out, bool has, const struct gal_oci_descriptor *d)
{
    if (!has)
        return;
    gal_buf_puts(out, ",\"subject\":");
    put_descriptor(out, d);
}

void gal_oci_manifest_write(struct gal_buf *out, const struct gal_oci_manifest *m)
{
    gal_buf_puts(out, "{\"schemaVersion\":2");
    put_member(out, false, "mediaType",
               m->media_type.n > 0 ? m->media_type : GAL_STR(GAL_OCI_MANIFEST));
    if (m->artifact_type.n > 0)
        put_member(out, false, "artifactType", m->artifact_type);
    gal_buf_puts(out, ",\"config\":");
    put_descriptor(out, &m->config);
    put_list(out, "layers", m->layers, m->layer_count);
    put_subject(out, m->has_subject, &m->subject);
    put_annotations(out, m->annotations, m->annotation_count);
    gal_buf_putc(out, '}');
}

void gal_oci_index_write(struct gal_buf *out, const struct gal_oci_index *x)
{
    gal_buf_puts(out, "{\"schemaVersion\":2");
    put_member(out, false, "mediaType", GAL_STR(GAL_OCI_INDEX));
    if (x->artifact_type.n > 0)
        put_member(out, false, "artifactType", x->artifact_type);
    put_list(out, "manifests", x->manifests, x->manifest_count);
    put_subject(out, x->has_subject, &x->subject);
    put_annotations(out, x->annotations, x->annotation_count);
    gal_buf_putc(out, '}');
}

/* --- digests --- */

void gal_oci_digest(struct gal_str bytes, char out[GAL_DIGEST_SIZE])
{
    char hex[GAL_SHA256_HEX_SIZE];
    out[0] = '\0';
    if (gal_sha256_bytes(bytes, hex, NULL) == GAL_OK)
        (void)snprintf(out, GAL_DIGEST_SIZE, "sha256:%s", hex);
}

bool gal_oci_digest_valid(struct gal_str text)
{
    if (!gal_str_starts(text, GAL_STR("sha256:")) || text.n != GAL_DIGEST_SIZE - 1)
        return false;
    for (size_t i = text.n - HEX_CHARS; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

struct gal_oci_descriptor gal_oci_describe(struct gal_str media_type, struct gal_str bytes)
{
    struct gal_oci_descriptor d = {.media_type = media_type, .size = bytes.n};
    gal_oci_digest(bytes, d.digest);
    return d;
}

struct gal_str gal_oci_annotation(const struct gal_oci_descriptor *d, const char *key)
{
    for (size_t i = 0; i < d->annotation_count; i++) {
        if (gal_str_is(d->annotations[i].key, key))
            return d->annotations[i].value;
    }
    return (struct gal_str){NULL, 0};
}
