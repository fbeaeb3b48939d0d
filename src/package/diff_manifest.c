/* SPDX-License-Identifier: Apache-2.0 */
/* Two manifests as trees: what is named is compared by name, in whatever order it stands. */
#include "package/diff_impl.h"

#include "text/yaml.h"

#include <stdio.h>

#define TEXT_MAX 4096u /* of a value as it is shown */
#define PATH_BYTES_MAX 1024u

static const struct gal_str absent = {NULL, 0};

static enum gal_section section_of(struct gal_str key)
{
    static const struct {
        const char *key;
        enum gal_section section;
    } rows[] = {
        {"name", GAL_SECTION_PACKAGE},        {"version", GAL_SECTION_PACKAGE},
        {"description", GAL_SECTION_PACKAGE}, {"galley", GAL_SECTION_PACKAGE},
        {"features", GAL_SECTION_SCHEMA},     {"unknown_features", GAL_SECTION_SCHEMA},
        {"rules", GAL_SECTION_SCHEMA},        {"outputs", GAL_SECTION_SCHEMA},
        {"confidence", GAL_SECTION_SCHEMA},   {"stability", GAL_SECTION_SCHEMA},
        {"before", GAL_SECTION_STEPS},        {"after", GAL_SECTION_STEPS},
        {"model", GAL_SECTION_WEIGHTS},       {"golden", GAL_SECTION_GOLDEN},
        {"serving", GAL_SECTION_SERVING},     {"require", GAL_SECTION_SERVING},
        {"resources", GAL_SECTION_SERVING},   {"provenance", GAL_SECTION_ENVIRONMENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (gal_str_is(key, rows[i].key))
            return rows[i].section;
    }
    return GAL_SECTION_METADATA;
}

/* A place in both trees. */
struct spot {
    const struct gal_differ *d;
    enum gal_section section;
    char path[PATH_BYTES_MAX];
};

/* Flow style, as one would write it in a line. */
static void put_node(struct gal_buf *out, // NOLINT(misc-no-recursion): bounded by the parser
                     const struct gal_yaml *n)
{
    if (n->type == GAL_YAML_SCALAR) {
        gal_buf_put_str(out, n->scalar);
        return;
    }
    gal_buf_putc(out, n->type == GAL_YAML_MAP ? '{' : '[');
    for (const struct gal_yaml *c = n->child; c; c = c->next) {
        if (n->type == GAL_YAML_MAP) {
            gal_buf_put_str(out, c->key);
            gal_buf_puts(out, ": ");
        }
        put_node(out, c);
        gal_buf_puts(out, c->next ? ", " : "");
    }
    gal_buf_putc(out, n->type == GAL_YAML_MAP ? '}' : ']');
}

/* A value that is larger than what one shows ends with dots. */
static struct gal_str text_of(const struct gal_yaml *n, struct gal_buf *out)
{
    gal_buf_init(out, TEXT_MAX);
    if (!n)
        return absent;
    put_node(out, n);
    return out->n ? gal_buf_str(out) : GAL_STR("");
}

static enum gal_status add(const struct spot *s, const struct gal_yaml *a, const struct gal_yaml *b)
{
    struct gal_buf x, y;
    struct gal_str in_a = text_of(a, &x), in_b = text_of(b, &y);
    enum gal_status status = gal_diff_text(s->d, s->section, gal_str_of(s->path), in_a, in_b);
    gal_buf_release(&x);
    gal_buf_release(&y);
    return status;
}

static void descend(struct spot *s, const struct spot *from, struct gal_str key)
{
    *s = *from;
    (void)snprintf(s->path, sizeof s->path, "%.900s%s%.*s", from->path, from->path[0] ? "." : "",
                   GAL_STR_SHOWN(key));
    if (gal_str_is(gal_str_of(s->path), "metadata.metrics"))
        s->section = GAL_SECTION_METRICS;
}

/* What a member of a list is called: `amount`, or {name: amount, ...}. */
static struct gal_str name_of(const struct gal_yaml *n)
{
    const struct gal_yaml *name = n->type == GAL_YAML_MAP ? gal_yaml_get(n, "name") : n;
    return name && name->type == GAL_YAML_SCALAR ? name->scalar : absent;
}

static const struct gal_yaml *find(const struct gal_yaml *list, struct gal_str name)
{
    for (const struct gal_yaml *c = list->child; c; c = c->next) {
        if (gal_str_eq(name_of(c), name))
            return c;
    }
    return NULL;
}

static bool is_named(const struct gal_yaml *list)
{
    bool maps = false;
    for (const struct gal_yaml *c = list->child; c; c = c->next) {
        if (name_of(c).n == 0)
            return false;
        maps = maps || c->type == GAL_YAML_MAP;
    }
    return maps;
}

static enum gal_status diff_node(const struct spot *s, const struct gal_yaml *a,
                                 const struct gal_yaml *b);

static void put_names(struct gal_buf *out, const struct gal_yaml *list, const struct gal_yaml *in)
{
    gal_buf_init(out, 64 * 1024);
    for (const struct gal_yaml *c = list->child; c; c = c->next) {
        if (!find(in, name_of(c)))
            continue;
        gal_buf_puts(out, out->n ? ", " : "");
        gal_buf_put_str(out, name_of(c));
    }
}

/* Do those that both have stand in the same order? It is that of the vector that the model gets. */
static enum gal_status diff_order(const struct spot *s, const struct gal_yaml *a,
                                  const struct gal_yaml *b)
{
    struct spot order;
    struct gal_buf x, y;
    descend(&order, s, GAL_STR("order"));
    put_names(&x, a, b);
    put_names(&y, b, a);
    enum gal_status status =
        gal_diff_text(s->d, s->section, gal_str_of(order.path), gal_buf_str(&x), gal_buf_str(&y));
    gal_buf_release(&x);
    gal_buf_release(&y);
    return status;
}

static enum gal_status diff_named(const struct spot *s, // NOLINT(misc-no-recursion): bounded
                                  const struct gal_yaml *a, const struct gal_yaml *b)
{
    struct spot inner;
    enum gal_status status = GAL_OK;
    for (const struct gal_yaml *c = a->child; c && !status; c = c->next) {
        descend(&inner, s, name_of(c));
        status = diff_node(&inner, c, find(b, name_of(c)));
    }
    for (const struct gal_yaml *c = b->child; c && !status; c = c->next) {
        descend(&inner, s, name_of(c));
        if (!find(a, name_of(c)))
            status = add(&inner, NULL, c);
    }
    return status ? status : diff_order(s, a, b);
}

static enum gal_status diff_list(const struct spot *s, // NOLINT(misc-no-recursion): bounded
                                 const struct gal_yaml *a, const struct gal_yaml *b)
{
    struct spot inner;
    char index[24];
    enum gal_status status = GAL_OK;
    bool flat = true;
    for (const struct gal_yaml *c = a->child; c; c = c->next)
        flat = flat && c->type == GAL_YAML_SCALAR;
    if (flat)
        return add(s, a, b);
    a = a->child;
    b = b->child;
    for (size_t i = 0; (a || b) && !status; i++) {
        (void)snprintf(index, sizeof index, "%zu", i);
        descend(&inner, s, gal_str_of(index));
        status = diff_node(&inner, a, b);
        a = a ? a->next : NULL;
        b = b ? b->next : NULL;
    }
    return status;
}

static enum gal_status diff_map(const struct spot *s, // NOLINT(misc-no-recursion): bounded
                                const struct gal_yaml *a, const struct gal_yaml *b)
{
    struct spot inner;
    enum gal_status status = GAL_OK;
    for (int round = 0; round < 2; round++) {
        const struct gal_yaml *from = round ? b : a, *other = round ? a : b;
        for (const struct gal_yaml *c = from->child; c && !status; c = c->next) {
            const struct gal_yaml *o = NULL;
            for (const struct gal_yaml *k = other->child; k && !o; k = k->next)
                o = gal_str_eq(k->key, c->key) ? k : NULL;
            descend(&inner, s, c->key);
            if (!s->path[0])
                inner.section = section_of(c->key);
            if (round == 0)
                status = diff_node(&inner, c, o);
            else if (!o)
                status = diff_node(&inner, NULL, c);
        }
    }
    return status;
}

static enum gal_status diff_node(const struct spot *s, // NOLINT(misc-no-recursion): bounded
                                 const struct gal_yaml *a, const struct gal_yaml *b)
{
    static const struct gal_yaml none = {.type = GAL_YAML_MAP};
    bool maps = (!a || a->type == GAL_YAML_MAP) && (!b || b->type == GAL_YAML_MAP);
    /* Members of a map that one has and the other has not, each with its own line. */
    if (maps && s->section != GAL_SECTION_SCHEMA && s->section != GAL_SECTION_STEPS)
        return diff_map(s, a ? a : &none, b ? b : &none);
    if (!a || !b || a->type != b->type || a->type == GAL_YAML_SCALAR)
        return add(s, a, b);
    if (a->type == GAL_YAML_MAP)
        return diff_map(s, a, b);
    return is_named(a) && is_named(b) ? diff_named(s, a, b) : diff_list(s, a, b);
}

enum gal_status gal_diff_manifests(const struct gal_differ *d)
{
    struct gal_yaml *a, *b;
    const struct spot top = {.d = d, .section = GAL_SECTION_METADATA, .path = ""};
    enum gal_status status =
        gal_yaml_parse(d->a->manifest_text, d->a->manifest->path, d->arena, &a, d->err);
    if (!status)
        status = gal_yaml_parse(d->b->manifest_text, d->b->manifest->path, d->arena, &b, d->err);
    return status ? status : diff_map(&top, a, b);
}
