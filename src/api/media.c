/* SPDX-License-Identifier: Apache-2.0 */
#include "api/media.h"

struct gal_str gal_media_type(struct gal_str header, struct gal_str *parameters)
{
    struct gal_str type = {NULL, 0};

    *parameters = header;
    gal_str_cut(parameters, ';', &type);
    return gal_str_trim(type);
}

struct gal_str gal_media_parameter(struct gal_str parameters, const char *name)
{
    struct gal_str part, key, value;

    while (parameters.n > 0 && gal_str_cut(&parameters, ';', &part)) {
        value = part;
        gal_str_cut(&value, '=', &key);
        value = gal_str_trim(value);
        if (!gal_str_ieq(gal_str_trim(key), gal_str_of(name)) || value.p == NULL)
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = (struct gal_str){value.p + 1, value.n - 2};
        return value;
    }
    return (struct gal_str){NULL, 0};
}

bool gal_media_is_json(struct gal_str type)
{
    return gal_str_ieq(type, GAL_STR("application/json")) ||
           gal_str_ieq(type, GAL_STR("text/json")) ||
           (type.n > 5 && gal_str_ieq((struct gal_str){type.p + type.n - 5, 5}, GAL_STR("+json")));
}

/* Thousandths; what cannot be read counts as 1. */
static unsigned quality(struct gal_str parameters)
{
    struct gal_str q = gal_media_parameter(parameters, "q");
    unsigned v = 0, scale = 100;

    if (q.p == NULL || q.n == 0 || q.p[0] != '0')
        return 1000;
    for (size_t i = 2; i < q.n && q.p[i] >= '0' && q.p[i] <= '9' && scale > 0; i++, scale /= 10)
        v += (unsigned)(q.p[i] - '0') * scale;
    return v;
}

static bool covers(struct gal_str range, struct gal_str type)
{
    if (gal_str_is(range, "*/*") || gal_str_ieq(range, type))
        return true;
    if (range.n < 2 || range.n > type.n || !gal_str_ends(range, GAL_STR("/*")))
        return false;
    return gal_str_ieq((struct gal_str){range.p, range.n - 1},
                       (struct gal_str){type.p, range.n - 1});
}

size_t gal_media_choose(struct gal_str accept, const char *const *types, size_t none)
{
    unsigned best = 0;
    struct gal_str part, parameters;

    while (accept.n > 0 && gal_str_cut(&accept, ',', &part)) {
        struct gal_str range = gal_media_type(part, &parameters);
        unsigned q = quality(parameters);

        for (size_t i = 0; q > best && types[i] != NULL; i++) {
            if (covers(range, gal_str_of(types[i]))) {
                best = q;
                none = i;
            }
        }
    }
    return none;
}
