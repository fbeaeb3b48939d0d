/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that hold keys. */
#include "source/aws.h"
#include "source/xml.h"
#include "text/json.h"

#define JSON_DEPTH_MAX 8u

static const char *text_of(yyjson_val *object, const char *key, struct gal_arena *arena)
{
    yyjson_val *v = yyjson_obj_get(object, key);
    return yyjson_is_str(v)
               ? gal_arena_strdup(arena, (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)})
               : NULL;
}

enum gal_status gal_aws_keys_read(struct gal_str json, struct gal_arena *arena,
                                  struct gal_aws_keys *out, struct gal_err *err)
{
    yyjson_val *root;
    enum gal_status status = gal_json_read(json, arena, JSON_DEPTH_MAX, &root, err);
    if (status)
        return status;
    *out = (struct gal_aws_keys){text_of(root, "AccessKeyId", arena),
                                 text_of(root, "SecretAccessKey", arena),
                                 text_of(root, "Token", arena)};
    return out->id && out->secret ? GAL_OK
                                  : gal_fail(err, GAL_INVALID, "the metadata holds no AccessKeyId");
}

struct sts {
    struct gal_arena *arena;
    struct gal_aws_keys *out;
    bool failed;
};

static enum gal_status on_end(const char *path, struct gal_str value, void *ctx)
{
    struct sts *s = ctx;
    struct gal_str p = gal_str_of(path);
    const char **to = gal_str_ends(p, GAL_STR("/Credentials/AccessKeyId"))       ? &s->out->id
                      : gal_str_ends(p, GAL_STR("/Credentials/SecretAccessKey")) ? &s->out->secret
                      : gal_str_ends(p, GAL_STR("/Credentials/SessionToken"))    ? &s->out->token
                                                                                 : NULL;
    if (to)
        *to = gal_arena_strdup(s->arena, gal_str_trim(value));
    s->failed = s->failed || (to && !*to);
    return GAL_OK;
}

enum gal_status gal_aws_sts_read(struct gal_str xml, struct gal_arena *arena,
                                 struct gal_aws_keys *out, struct gal_err *err)
{
    struct sts s = {arena, out, false};
    *out = (struct gal_aws_keys){NULL, NULL, NULL};
    enum gal_status status = gal_xml_read(xml, on_end, &s, err);
    if (!status && (s.failed || !out->id || !out->secret))
        status = gal_fail(err, GAL_INVALID, "STS's answer holds no credentials");
    return status;
}
