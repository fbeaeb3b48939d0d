/* SPDX-License-Identifier: Apache-2.0 */
#include "text/csv.h"

#define FIELDS_FIRST                                                                               \
    16u /* room at first, where the first record has not told how many there are                   \
         */

void gal_csv_init(struct gal_csv *c, struct gal_str text)
{
    if (gal_str_starts(text, GAL_STR("\xef\xbb\xbf"))) {
        text.p += 3;
        text.n -= 3;
    }
    *c = (struct gal_csv){text.p, text.n > 0 ? text.p + text.n : text.p, 1, 0};
}

static enum gal_status fail_at(const struct gal_csv *c, const char *message, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "%s", message);
    if (err != NULL)
        gal_err_place(err, "line %zu", c->line);
    return GAL_INVALID;
}

static bool at_break(const struct gal_csv *c)
{
    return *c->p == '\n' || (*c->p == '\r' && c->p + 1 < c->end && c->p[1] == '\n');
}

static void skip_break(struct gal_csv *c)
{
    c->p += *c->p == '\r' ? 2 : 1;
    c->line++;
}

/* Text of a quoted field: from .. to is what stands between its outer quotes. */
static enum gal_status unquote(const char *from, const char *to, size_t doubled,
                               struct gal_arena *arena, struct gal_str *out, struct gal_err *err)
{
    size_t n = (size_t)(to - from) - doubled;
    char *copy;

    *out = (struct gal_str){from, n};
    if (doubled == 0)
        return GAL_OK;
    copy = gal_arena_small(arena, n);
    if (copy == NULL)
        return gal_arena_fail(arena, n, "a field", err);
    out->p = copy;
    for (; from < to; from++) {
        *copy++ = *from;
        from += *from == '"';
    }
    return GAL_OK;
}

static enum gal_status read_quoted(struct gal_csv *c, struct gal_arena *arena,
                                   struct gal_csv_field *f, struct gal_err *err)
{
    struct gal_csv begin = *c;
    const char *from = ++c->p;
    size_t doubled = 0;

    for (; c->p < c->end; c->p++) {
        if (*c->p == '\0')
            return fail_at(c, "a NUL byte in a field", err);
        c->line += *c->p == '\n';
        if (*c->p != '"')
            continue;
        if (c->p + 1 == c->end || c->p[1] != '"')
            break;
        doubled++;
        c->p++;
    }
    if (c->p == c->end)
        return fail_at(&begin, "a quoted field is not closed", err);
    f->quoted = true;
    if (unquote(from, c->p, doubled, arena, &f->text, err) != GAL_OK)
        return err != NULL ? err->code : GAL_NO_MEMORY;
    c->p++;
    if (c->p < c->end && *c->p != ',' && !at_break(c))
        return fail_at(c, "text behind the quote that closes a field", err);
    return GAL_OK;
}

static enum gal_status read_plain(struct gal_csv *c, struct gal_csv_field *f, struct gal_err *err)
{
    const char *from = c->p;

    for (; c->p < c->end && *c->p != ',' && !at_break(c); c->p++) {
        if (*c->p == '"')
            return fail_at(c, "a quote inside a field that does not begin with one", err);
        if (*c->p == '\0')
            return fail_at(c, "a NUL byte in a field", err);
    }
    *f = (struct gal_csv_field){{from, (size_t)(c->p - from)}, false};
    return GAL_OK;
}

/* Room for one more field behind n. NULL when memory is out. */
static struct gal_csv_field *more_room(struct gal_csv_field *fields, size_t n, size_t *room,
                                       struct gal_arena *arena, struct gal_err *err)
{
    size_t size = sizeof(*fields), to = n > 0 ? 2 * *room : *room;
    struct gal_csv_field *grown = n > 0 ? gal_arena_grow(arena, fields, *room * size, to * size)
                                        : gal_arena_small(arena, to * size);

    if (grown == NULL)
        gal_arena_fail(arena, to * size, "the fields of a line", err);
    *room = to;
    return grown;
}

static enum gal_status check_count(const struct gal_csv *c, size_t n, size_t line,
                                   struct gal_err *err)
{
    if (n == c->columns)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "expected %zu field%s as in the first line, got %zu", c->columns,
             c->columns == 1 ? "" : "s", n);
    if (err != NULL)
        gal_err_place(err, "line %zu", line);
    return GAL_INVALID;
}

enum gal_status gal_csv_next(struct gal_csv *c, struct gal_arena *arena,
                             struct gal_csv_field **fields, size_t *count, size_t *line,
                             struct gal_err *err)
{
    size_t n = 0, room = c->columns > 0 ? c->columns : FIELDS_FIRST;
    struct gal_csv_field *list = NULL;

    *count = 0;
    *fields = NULL;
    while (c->p < c->end && at_break(c))
        skip_break(c);
    *line = c->line;
    if (c->p == c->end)
        return GAL_OK;
    for (;;) {
        enum gal_status st;

        if (n == 0 || n == room)
            list = more_room(list, n, &room, arena, err);
        if (list == NULL)
            return err != NULL ? err->code : GAL_NO_MEMORY;
        st = c->p < c->end && *c->p == '"' ? read_quoted(c, arena, &list[n], err)
                                           : read_plain(c, &list[n], err);
        if (st != GAL_OK)
            return st;
        n++;
        if (c->p == c->end || at_break(c))
            break;
        c->p++; /* the comma; a field follows, if only an empty one */
    }
    if (c->p < c->end)
        skip_break(c);
    if (c->columns == 0)
        c->columns = n;
    *fields = list;
    *count = n;
    return check_count(c, n, *line, err);
}
