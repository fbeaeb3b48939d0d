/* SPDX-License-Identifier: Apache-2.0 */
/* s3://BUCKET/KEY, and what speaks S3's protocol. A key that ends in a slash, or that is no object,
 * is a directory. */
#include "http/url.h"
#include "source/aws.h"
#include "source/listing.h"

#include <stdio.h>

#define PAGES_MAX 1000u

struct s3 {
    struct gal_source_run *run;
    struct gal_aws aws;
    const char *base; /* URL of the bucket, without a slash at its end */
};

/* Names that are no part of a host: the bucket stands in the path. */
static bool fits_host(struct gal_str bucket)
{
    for (size_t i = 0; i < bucket.n; i++) {
        char c = bucket.p[i];
        if (c == '.' || c == '_' || (c >= 'A' && c <= 'Z'))
            return false;
    }
    return true;
}

static enum gal_status make_base(struct s3 *s, struct gal_err *err)
{
    struct gal_source_run *r = s->run;
    struct gal_str bucket = r->url.host, end = gal_str_of(s->aws.endpoint);
    const char *region = s->aws.region, *cn = strncmp(region, "cn-", 3) == 0 ? ".cn" : "";
    while (end.n > 0 && end.p[end.n - 1] == '/')
        end.n--;
    if (end.n)
        s->base = gal_arena_printf(r->arena, "%.*s/%.*s", GAL_STR_ARG(end), GAL_STR_ARG(bucket));
    else if (fits_host(bucket))
        s->base = gal_arena_printf(r->arena, "https://%.*s.s3.%s.amazonaws.com%s",
                                   GAL_STR_ARG(bucket), region, cn);
    else
        s->base = gal_arena_printf(r->arena, "https://s3.%s.amazonaws.com%s/%.*s", region, cn,
                                   GAL_STR_ARG(bucket));
    return s->base ? GAL_OK : gal_plan_no_memory(err);
}

static void use_keys(struct s3 *s)
{
    struct gal_auth *a = &s->run->plan.auth;
    if (!s->aws.keys.id)
        return;
    *a = (struct gal_auth){
        .kind = GAL_AUTH_SIGV4, .keys = s->aws.keys, .region = s->aws.region, .service = "s3"};
}

static const char *url_of(struct s3 *s, struct gal_str key)
{
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s/", s->base);
    gal_source_put_key(&url, key);
    const char *out = url.failed ? NULL : gal_plan_text(s->run, gal_buf_str(&url));
    gal_buf_release(&url);
    return out;
}

/* An ETag of 32 digits is the MD5, unless a key of KMS or of the caller encrypts the object. */
static void take_md5(const struct gal_fetch_response *a, struct gal_source_object *o)
{
    struct gal_str kind = gal_fetch_header(a, "x-amz-server-side-encryption");
    bool plain = (kind.n == 0 || gal_str_is(kind, "AES256")) &&
                 gal_fetch_header(a, "x-amz-server-side-encryption-customer-algorithm").n == 0;
    if (plain && o->etag)
        gal_listing_md5(gal_str_of(o->etag), o->md5);
}

/* AWS tells where a bucket is when it is asked elsewhere. */
static bool moved(struct s3 *s, const struct gal_fetch_response *a)
{
    struct gal_str region = gal_fetch_header(a, "x-amz-bucket-region");
    if (a->status != 301 && a->status != 400 && a->status != 307)
        return false;
    if (region.n == 0 || gal_str_is(region, s->aws.region))
        return false;
    s->aws.region = gal_plan_text(s->run, region);
    return s->aws.region != NULL;
}

static enum gal_status refuse(struct s3 *s, const struct gal_fetch_request *q,
                              const struct gal_fetch_response *a, struct gal_err *err)
{
    struct gal_str text = s->run->url.text;
    if (a->status == 404)
        return gal_fail(err, GAL_NOT_FOUND, "%.*s does not exist", GAL_STR_SHOWN(text));
    enum gal_status status = gal_fetch_failed(q, a, err);
    if ((a->status == 403 || a->status == 401) && !s->aws.keys.id)
        gal_err_hint(err, "%s", s->aws.tried);
    return status;
}

/* *there false: no such object. */
static enum gal_status head(struct s3 *s, const char *url, struct gal_source_object *o, bool *there,
                            struct gal_err *err)
{
    static const struct gal_fetch_header mode = {"x-amz-checksum-mode", "ENABLED"};
    struct gal_fetch_response a;
    const struct gal_fetch_request q = {
        .method = "HEAD", .url = url, .headers = &mode, .header_count = 1, .no_redirects = true};
    enum gal_status status = gal_plan_ask(s->run, &q, &a, err);
    *there = !status && a.status == 200;
    if (*there) {
        struct gal_str sum = gal_fetch_header(&a, "x-amz-checksum-sha256");
        status = gal_plan_take_head(s->run, &a, o, err);
        o->size_known = gal_str_u64(gal_fetch_header(&a, "content-length"), &o->size) == GAL_OK;
        o->ranges = o->size_known && o->etag;
        gal_listing_base64(s->run->arena, sum, 32, o->sha256);
        take_md5(&a, o);
    } else if (!status && a.status != 404) {
        status = moved(s, &a) ? GAL_CONFLICT : refuse(s, &q, &a, err);
    }
    gal_fetch_response_release(&a);
    return status;
}

/* --- directories --- */

static enum gal_status list_page(struct s3 *s, struct gal_str prefix, const char **token,
                                 struct gal_err *err)
{
    struct gal_source_run *r = s->run;
    struct gal_listing l = {.run = r, .prefix = prefix, .kind = GAL_LISTING_S3};
    struct gal_fetch_response a = {0};
    struct gal_buf url;
    gal_buf_init(&url, GAL_URL_BYTES_MAX);
    gal_buf_printf(&url, "%s/?", s->base);
    if (*token) {
        gal_buf_puts(&url, "continuation-token=");
        gal_url_put_segment(&url, gal_str_of(*token));
        gal_buf_putc(&url, '&');
    }
    gal_buf_puts(&url, "list-type=2&prefix=");
    gal_url_put_segment(&url, prefix);
    const char *text = url.failed ? NULL : gal_plan_text(r, gal_buf_str(&url));
    gal_buf_release(&url);
    const struct gal_fetch_request q = {.url = text, .body_max = 16u << 20, .no_redirects = true};
    enum gal_status status = text ? gal_plan_ask(r, &q, &a, err) : gal_plan_no_memory(err);
    if (!status && a.status != 200)
        status = moved(s, &a) ? GAL_CONFLICT : refuse(s, &q, &a, err);
    if (!status)
        status = gal_listing_read(&l, gal_buf_str(&a.body), err);
    gal_fetch_response_release(&a);
    *token = l.next;
    return status;
}

static enum gal_status plan_dir(struct s3 *s, struct gal_str prefix, struct gal_err *err)
{
    struct gal_source_run *r = s->run;
    const char *token = NULL;
    enum gal_status status = gal_plan_root(r, prefix, true, r->url.host, err);
    for (unsigned i = 0; !status && (i == 0 || token); i++) {
        status = i < PAGES_MAX ? list_page(s, prefix, &token, err)
                               : gal_fail(err, GAL_TOO_LARGE, "a listing without an end");
    }
    if (!status && r->plan.count == 0)
        status = gal_fail(err, GAL_NOT_FOUND, "%.*s holds nothing", GAL_STR_SHOWN(r->url.text));
    for (size_t i = 0; !status && i < r->plan.count; i++) {
        struct gal_source_object *o = &r->plan.objects[i]; /* url is the key as yet */
        o->url = url_of(s, gal_str_of(o->url));
        status = o->url ? GAL_OK : gal_plan_no_memory(err);
        o->ranges = o->etag != NULL;
        /* Of an encrypted object the tag is no MD5, and the listing does not say which are. */
        o->md5[0] = '\0';
    }
    return status;
}

static enum gal_status plan_object(struct s3 *s, bool *there, struct gal_err *err)
{
    struct gal_source_run *r = s->run;
    struct gal_source_object *o;
    enum gal_status status = gal_plan_root(r, r->url.key, false, r->url.host, err);
    if (!status)
        status = gal_plan_add(r, &o, err);
    if (status)
        return status;
    o->place = r->plan.root;
    o->url = url_of(s, r->url.key);
    status = o->url ? head(s, o->url, o, there, err) : gal_plan_no_memory(err);
    if (*there && r->url.sha256[0])
        memcpy(o->sha256, r->url.sha256, sizeof o->sha256);
    return status;
}

static enum gal_status plan_once(struct s3 *s, struct gal_err *err)
{
    struct gal_source_run *r = s->run;
    struct gal_str key = r->url.key;
    bool there = false;
    const char *slashed;
    r->plan = (struct gal_source_plan){.origin = gal_plan_text(r, r->url.text)};
    enum gal_status status = make_base(s, err);
    if (!status && !r->plan.origin)
        status = gal_plan_no_memory(err);
    use_keys(s);
    if (!status && r->url.is_prefix)
        return plan_dir(s, key, err);
    if (!status)
        status = plan_object(s, &there, err);
    if (status || there)
        return status;
    r->plan.count = 0;
    slashed = gal_arena_printf(r->arena, "%.*s/", GAL_STR_ARG(key));
    status = slashed ? plan_dir(s, gal_str_of(slashed), err) : gal_plan_no_memory(err);
    return status == GAL_NOT_FOUND
               ? gal_fail(err, GAL_NOT_FOUND, "%.*s does not exist", GAL_STR_SHOWN(r->url.text))
               : status;
}

enum gal_status gal_plan_s3(struct gal_source_run *r, struct gal_err *err)
{
    struct s3 s = {.run = r};
    enum gal_status status = gal_aws_find(r, &s.aws, err);
    if (!status)
        status = plan_once(&s, err);
    if (status == GAL_CONFLICT) /* the bucket is in another region */
        status = plan_once(&s, err);
    return status ? status : gal_plan_settle(r, err);
}
