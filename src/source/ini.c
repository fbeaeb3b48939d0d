/* SPDX-License-Identifier: Apache-2.0 */
#include "source/ini.h"

static bool is_section(struct gal_str line, const char *name)
{
    struct gal_str prefix = GAL_STR("profile");
    const char *end = memchr(line.p, ']', line.n);
    if (!end)
        return false;
    struct gal_str own = gal_str_trim((struct gal_str){line.p + 1, (size_t)(end - line.p) - 1});
    if (gal_str_is(own, name))
        return true;
    if (!gal_str_starts(own, prefix) || own.n == prefix.n ||
        (own.p[prefix.n] != ' ' && own.p[prefix.n] != '\t'))
        return false;
    return gal_str_is(gal_str_trim((struct gal_str){own.p + prefix.n, own.n - prefix.n}), name);
}

/* *key NULL: whether the section is there. */
static bool find(struct gal_str text, const char *section, const char *key, struct gal_str *out)
{
    struct gal_str line, name;
    bool inside = false, found = false;
    while (gal_str_cut(&text, '\n', &line)) {
        if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';' || line.p[0] == ' ' ||
            line.p[0] == '\t')
            continue;
        if (line.p[0] == '[') {
            inside = is_section(line, section);
            found = found || (inside && !key);
            continue;
        }
        if (!inside || !key || !gal_str_cut(&line, '=', &name) || !line.p ||
            !gal_str_ieq(gal_str_trim(name), gal_str_of(key)))
            continue;
        *out = gal_str_trim(line);
        found = true;
    }
    return found;
}

bool gal_ini_get(struct gal_str text, const char *section, const char *key, struct gal_str *out)
{
    return find(text, section, key, out);
}

bool gal_ini_has(struct gal_str text, const char *section)
{
    return find(text, section, NULL, NULL);
}
