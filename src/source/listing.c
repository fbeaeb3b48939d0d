/* SPDX-License-Identifier: Apache-2.0 */
#include "source/listing.h"

#include "base/base64.h"
#include "source/xml.h"

void gal_listing_md5(struct gal_str etag, char hex[33])
{
    if (etag.n != 34 || etag.p[0] != '"' || etag.p[33] != '"')
        return;
    for (size_t i = 1; i < 33; i++) {
        char c = etag.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return;
    }
    memcpy(hex, etag.p + 1, 32);
    hex[32] = '\0';
}

void gal_listing_base64(struct gal_arena *arena, struct gal_str text, size_t bytes, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    struct gal_str raw;
    if (text.n == 0 || text.n > 128 || gal_base64_decode(text, arena, &raw, NULL) != GAL_OK ||
        raw.n != bytes)
        return;
    for (size_t i = 0; i < raw.n; i++) {
        hex[2 * i] = digits[(unsigned char)raw.p[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)raw.p[i] & 15];
    }
    hex[2 * raw.n] = '\0';
}

/* What the names are in each kind. */
static const struct names {
    const char *object, *key, *size, *etag, *md5, *next;
} names[] = {
    [GAL_LISTING_S3] = {"ListBucketResult/Contents", "/Key", "/Size", "/ETag", NULL,
                        "ListBucketResult/NextContinuationToken"},
    [GAL_LISTING_AZURE] = {"EnumerationResults/Blobs/Blob", "/Name", "/Properties/Content-Length",
                           "/Properties/Etag", "/Properties/Content-MD5",
                           "EnumerationResults/NextMarker"},
};

static enum gal_status add(struct gal_listing *l)
{
    struct gal_str key = gal_str_of(l->key), name;
    struct gal_source_object *o;
    if (!l->key || !l->has_size || !gal_str_starts(key, l->prefix))
        return GAL_INVALID;
    name = (struct gal_str){key.p + l->prefix.n, key.n - l->prefix.n};
    if (name.n == 0 || name.p[name.n - 1] == '/')
        return GAL_OK;
    enum gal_status status = gal_plan_add_below(l->run, name, &o, NULL);
    if (status)
        return status;
    o->url = l->key;
    o->etag = l->etag;
    o->size = l->size;
    o->size_known = true;
    if (l->md5)
        gal_listing_base64(l->run->arena, gal_str_of(l->md5), 16, o->md5);
    return GAL_OK;
}

static enum gal_status on_end(const char *path, struct gal_str value, void *ctx)
{
    struct gal_listing *l = ctx;
    const struct names *n = &names[l->kind];
    struct gal_str p = gal_str_of(path), object = gal_str_of(n->object);
    const char **to = NULL;
    if (gal_str_eq(p, object)) {
        enum gal_status status = add(l);
        l->key = l->etag = l->md5 = NULL;
        l->has_size = false;
        return status;
    }
    if (gal_str_is(p, n->next) && value.n)
        to = &l->next;
    if (gal_str_starts(p, object)) {
        struct gal_str last = {p.p + object.n, p.n - object.n};
        if (gal_str_is(last, n->key))
            to = &l->key;
        else if (gal_str_is(last, n->etag))
            to = &l->etag;
        else if (n->md5 && gal_str_is(last, n->md5) && value.n)
            to = &l->md5;
        else if (gal_str_is(last, n->size))
            l->has_size = gal_str_u64(gal_str_trim(value), &l->size) == GAL_OK;
    }
    if (to && !(*to = gal_plan_text(l->run, value)))
        return GAL_NO_MEMORY;
    return GAL_OK;
}

enum gal_status gal_listing_read(struct gal_listing *l, struct gal_str xml, struct gal_err *err)
{
    enum gal_status status = gal_xml_read(xml, on_end, l, err);
    if (!status || (err && err->message[0]))
        return status;
    if (status == GAL_NO_MEMORY)
        return gal_plan_no_memory(err);
    if (status == GAL_TOO_LARGE)
        return gal_fail(err, status, "more than %u files", GAL_SOURCE_OBJECTS_MAX);
    return gal_fail(err, status, "a listing names what cannot be a file: '%.100s'",
                    l->key ? l->key : "");
}
