/* SPDX-License-Identifier: Apache-2.0 */
#include "model/triton_fields.h"

#include "base/name.h"

#include <stdio.h>

enum gal_status gal_triton_refuse(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gal_fail(t->err, GAL_INVALID, "%s", text);
    if (n->where)
        gal_err_place(t->err, "%s%s%s", t->path, n->where[0] ? "." : "", n->where);
    else
        gal_err_place(t->err, "%s:%u", t->path, n->line);
    return GAL_INVALID;
}

enum gal_status gal_triton_no_memory(struct gal_triton *t)
{
    return gal_fail(t->err, GAL_NO_MEMORY, "%s: no memory for a model's configuration", t->path);
}

enum gal_status gal_triton_note(struct gal_triton *t, unsigned line, const char *field,
                                const char *reason)
{
    struct gal_config_note *note = gal_arena_small(t->arena, sizeof *note);
    if (!note)
        return gal_triton_no_memory(t);
    *note = (struct gal_config_note){NULL, field, reason, line};
    *t->notes_tail = note;
    t->notes_tail = &note->next;
    return GAL_OK;
}

size_t gal_triton_count(const struct gal_pbtxt *message, const char *name)
{
    size_t count = 0;
    for (const struct gal_pbtxt *n = message->child; n; n = n->next) {
        if (!gal_pbtxt_is(n, name))
            continue;
        bool is_many = n->type == GAL_PBTXT_LIST || (n->where && n->type == GAL_PBTXT_MESSAGE);
        if (!is_many)
            count++;
        for (const struct gal_pbtxt *e = n->child; is_many && e; e = e->next)
            count++;
    }
    return count;
}

/* ---- values ---- */

static const char *kind_text(enum gal_triton_kind kind)
{
    static const char *const texts[] = {
        [GAL_TRITON_INT] = "a whole number",         [GAL_TRITON_UINT] = "a whole number from 0",
        [GAL_TRITON_FLAG] = "true or false",         [GAL_TRITON_TEXT] = "a text in quotes",
        [GAL_TRITON_WORD] = "a name without quotes", [GAL_TRITON_MESSAGE] = "a message in { }",
    };
    return texts[kind];
}

static bool is_plain_text(struct gal_str s)
{
    return gal_utf8_valid(s) && (s.n == 0 || !memchr(s.p, '\0', s.n));
}

static bool read_value(const struct gal_pbtxt *n, enum gal_triton_kind kind,
                       struct gal_triton_value *v)
{
    v->text = n->text;
    switch (kind) {
    case GAL_TRITON_INT:
        return gal_pbtxt_i64(n, &v->i);
    case GAL_TRITON_UINT:
        return gal_pbtxt_u64(n, &v->u);
    case GAL_TRITON_FLAG:
        return gal_pbtxt_bool(n, &v->b);
    case GAL_TRITON_TEXT:
        return n->type == GAL_PBTXT_TEXT && is_plain_text(n->text);
    case GAL_TRITON_WORD:
        return n->type == GAL_PBTXT_WORD || (n->where && n->type == GAL_PBTXT_TEXT);
    case GAL_TRITON_MESSAGE:
        break;
    }
    return n->type == GAL_PBTXT_MESSAGE;
}

/* ---- fields ---- */

static const struct gal_triton_field *find(const struct gal_triton_table *table,
                                           const struct gal_pbtxt *n)
{
    for (size_t i = 0; i < table->count; i++) {
        if (gal_pbtxt_is(n, table->fields[i].name))
            return &table->fields[i];
    }
    return NULL;
}

static enum gal_status refuse_unknown(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_table *table)
{
    const char *near = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < table->count; i++) {
        size_t distance = gal_name_distance(n->name, table->fields[i].name);
        if (distance < best) {
            best = distance;
            near = table->fields[i].name;
        }
    }
    gal_triton_refuse(t, n, "%s%.*s: no field of a model's configuration", table->prefix,
                      n->name.n < 100 ? (int)n->name.n : 100, n->name.p);
    if (near)
        gal_err_hint(t->err, "did you mean %s?", near);
    return GAL_INVALID;
}

/* A message of JSON that tools write out though nothing stands in it: {"agents": []}. */
static bool holds_nothing(const struct gal_pbtxt *n)
{
    if (n->type != GAL_PBTXT_MESSAGE)
        return false;
    for (const struct gal_pbtxt *c = n->child; c; c = c->next) {
        if (c->type != GAL_PBTXT_LIST || c->child)
            return false;
    }
    return n->child != NULL;
}

static enum gal_status take(struct gal_triton *t, const struct gal_pbtxt *n,
                            const struct gal_triton_table *table, const struct gal_triton_field *f,
                            void *to)
{
    struct gal_triton_value v = {0};
    if (!read_value(n, f->kind, &v))
        return gal_triton_refuse(t, n, "%s%s must be %s", table->prefix, f->name,
                                 kind_text(f->kind));
    if (f->take)
        return f->take(t, n, &v, to);
    if (f->no_effect) {
        char *path = gal_arena_printf(t->arena, "%s%s", table->prefix, f->name);
        return path ? gal_triton_note(t, n->line, path, f->no_effect) : gal_triton_no_memory(t);
    }
    if ((f->kind == GAL_TRITON_FLAG && !v.b) || (n->where && holds_nothing(n)))
        return GAL_OK;
    gal_triton_refuse(t, n, "%s%s is not supported", table->prefix, f->name);
    t->err->code = GAL_UNSUPPORTED;
    gal_err_hint(t->err, "%s", f->refused);
    return GAL_UNSUPPORTED;
}

/* A field that may stand once stands before. */
static const struct gal_pbtxt *find_before(const struct gal_pbtxt *message,
                                           const struct gal_pbtxt *n, const char *name)
{
    const struct gal_pbtxt *other = message->child;
    while (other != n && !gal_pbtxt_is(other, name))
        other = other->next;
    return other != n ? other : NULL;
}

/* An object of JSON: each member as the message { key value } that it is in the text format. */
static enum gal_status take_map(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_table *table,
                                const struct gal_triton_field *f, void *to)
{
    enum gal_status status = GAL_OK;
    if (n->type != GAL_PBTXT_MESSAGE)
        return gal_triton_refuse(t, n, "%s%s must be an object", table->prefix, f->name);
    for (const struct gal_pbtxt *e = n->child; e && !status; e = e->next) {
        struct gal_pbtxt value = *e, key = {GAL_PBTXT_TEXT, e->line, GAL_STR("key"), e->name,
                                            e->where,       NULL,    &value};
        struct gal_pbtxt pair = {.line = e->line, .name = n->name, .where = e->where};
        value.name = GAL_STR("value");
        value.next = NULL;
        pair.child = &key;
        status = take(t, &pair, table, f, to);
    }
    return status;
}

static enum gal_status read_field(struct gal_triton *t, const struct gal_pbtxt *message,
                                  const struct gal_pbtxt *n, const struct gal_triton_table *table,
                                  void *to)
{
    const struct gal_triton_field *f = find(table, n);
    enum gal_status status = GAL_OK;
    if (!f)
        return refuse_unknown(t, n, table);
    if (f->times == GAL_TRITON_MAP && n->where)
        return take_map(t, n, table, f, to);
    if (f->times == GAL_TRITON_ONCE) {
        const struct gal_pbtxt *before = find_before(message, n, f->name);
        if (before)
            return gal_triton_refuse(t, n, "%s%s stands twice, in line %u already", table->prefix,
                                     f->name, before->line);
        if (n->type == GAL_PBTXT_LIST)
            return gal_triton_refuse(t, n, "%s%s is no list", table->prefix, f->name);
    }
    if (n->type != GAL_PBTXT_LIST)
        return take(t, n, table, f, to);
    for (const struct gal_pbtxt *e = n->child; e && !status; e = e->next)
        status = take(t, e, table, f, to);
    return status;
}

enum gal_status gal_triton_read_message(struct gal_triton *t, const struct gal_pbtxt *message,
                                        const struct gal_triton_table *table, void *to)
{
    enum gal_status status = GAL_OK;
    for (const struct gal_pbtxt *n = message->child; n && !status; n = n->next)
        status = read_field(t, message, n, table, to);
    return status;
}
