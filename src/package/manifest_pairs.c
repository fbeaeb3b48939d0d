/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings whose keys are the user's: flattened to "metrics.auc" and a text. */
#include "package/manifest_fields.h"

#include <stdio.h>

#define KEY_BYTES_MAX 256u
#define VALUE_BYTES_MAX 4096u

struct flattener {
    struct gal_manifest_reader *r;
    const char *words;
    struct gal_pair *pairs;
    size_t count;
    char key[KEY_BYTES_MAX + 1];
};

/* Kubernetes's: 2, 0.5, 500m, 512Mi. */
static bool is_quantity(struct gal_str s)
{
    static const char suffixes[] = "m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi";
    size_t whole = 0, end;
    unsigned place;
    while (whole < s.n && s.p[whole] >= '0' && s.p[whole] <= '9')
        whole++;
    end = whole;
    if (whole > 0 && end < s.n && s.p[end] == '.') {
        size_t from = ++end;
        while (end < s.n && s.p[end] >= '0' && s.p[end] <= '9')
            end++;
        if (end == from)
            return false;
    }
    return whole > 0 &&
           (end == s.n || gal_word_in(suffixes, (struct gal_str){s.p + end, s.n - end}, &place));
}

static enum gal_status add(struct flattener *f, const struct gal_yaml *node)
{
    struct gal_manifest_reader *r = f->r;
    char *key = gal_arena_strdup(r->arena, gal_str_of(f->key));
    if (!key)
        return gal_manifest_no_memory(r);
    if (node->scalar.n > VALUE_BYTES_MAX)
        return gal_manifest_fail(r, node, "longer than %u bytes", VALUE_BYTES_MAX);
    if (f->words[0] && !is_quantity(node->scalar)) {
        gal_manifest_fail(r, node, "'%.*s' is no quantity", GAL_STR_SHOWN(node->scalar));
        gal_err_hint(r->err, "as 2, 500m or 512Mi");
        return GAL_INVALID;
    }
    f->pairs[f->count++] = (struct gal_pair){gal_str_of(key), node->scalar, node->line};
    return GAL_OK;
}

/* Depth is bounded by the YAML reader. */
static enum gal_status flatten(struct flattener *f, const struct gal_yaml *node, size_t key_n)
{
    struct gal_manifest_reader *r = f->r;
    enum gal_status status = GAL_OK;
    size_t index = 0;
    if (node->type == GAL_YAML_SCALAR)
        return add(f, node);
    for (const struct gal_yaml *n = node->child; n && !status; n = n->next, index++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", index);
        struct gal_str key = node->type == GAL_YAML_MAP ? n->key : gal_str_of(number);
        size_t dot = key_n > 0;
        if (key.n == 0)
            return gal_manifest_fail(r, n, "a key must not be empty");
        if (key_n + dot + key.n > KEY_BYTES_MAX)
            return gal_manifest_fail(r, n, "the keys together are longer than %u bytes",
                                     KEY_BYTES_MAX);
        if (dot)
            f->key[key_n] = '.';
        memcpy(f->key + key_n + dot, key.p, key.n);
        f->key[key_n + dot + key.n] = '\0';
        status = flatten(f, n, key_n + dot + key.n);
    }
    return status;
}

/* Values below a node; depth is bounded by the YAML reader. */
static size_t count_values(const struct gal_yaml *node)
{
    size_t count = node->type == GAL_YAML_SCALAR;
    for (const struct gal_yaml *n = node->child; n; n = n->next)
        count += count_values(n);
    return count;
}

enum gal_status gal_manifest_pairs(struct gal_manifest_reader *r, const struct gal_yaml *node,
                                   const char *words, const struct gal_pair **out, size_t *count)
{
    struct flattener f = {.r = r, .words = words};
    enum gal_status status = GAL_OK;
    unsigned place;
    if (node->type != GAL_YAML_MAP)
        return gal_manifest_fail(r, node, "must be a mapping");
    size_t values = count_values(node);
    if (values > GAL_MANIFEST_PAIRS_MAX)
        return gal_manifest_fail(r, node, "%zu values, at most %u are allowed", values,
                                 GAL_MANIFEST_PAIRS_MAX);
    f.pairs = gal_arena_array(r->arena, values, sizeof *f.pairs);
    if (!f.pairs)
        return gal_manifest_no_memory(r);
    size_t before = gal_manifest_enter(r, node->key, GAL_NO_INDEX);
    for (const struct gal_yaml *n = node->child; words[0] && n && !status; n = n->next) {
        if (!gal_word_in(words, n->key, &place)) {
            status = gal_manifest_fail(r, n, "unknown field");
            gal_err_hint(r->err, "one of %s", words);
        } else if (n->type != GAL_YAML_SCALAR) {
            status = gal_manifest_fail(r, n, "must be a quantity, as 2, 500m or 512Mi");
        }
    }
    if (!status)
        status = flatten(&f, node, 0);
    gal_manifest_leave(r, before);
    *out = f.pairs;
    *count = f.count;
    return status;
}
