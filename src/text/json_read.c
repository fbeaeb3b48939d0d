/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_scan.h"

/* yyjson's allocator over an arena: what it frees stays with the arena. */
struct arena_ctx {
    struct gal_arena *arena;
    size_t refused; /* bytes of the call that got nothing */
};

static void *on_alloc(void *ctx, size_t bytes)
{
    struct arena_ctx *c = ctx;
    void *p = gal_arena_alloc(c->arena, bytes);
    if (!p)
        c->refused = bytes;
    return p;
}

static void *on_realloc(void *ctx, void *p, size_t from, size_t to)
{
    struct arena_ctx *c = ctx;
    void *grown = to > from ? gal_arena_grow(c->arena, p, from, to) : p;
    if (!grown)
        c->refused = to;
    return grown;
}

static void on_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

/* Offset of the first opening bracket outside strings that lies deeper than depth_max; n when
 * there is none. One pass before anything is parsed: no memory is taken for nesting that is
 * refused. Text that is not JSON may give any answer, the parser refuses it. */
static size_t find_too_deep(struct gal_str text, unsigned depth_max)
{
    size_t depth = 0;
    for (size_t i = gal_json_next_mark(text, 0); i < text.n; i = gal_json_next_mark(text, i)) {
        char c = text.p[i];
        if (c == '"') {
            i = gal_json_skip_string(text, i);
            continue;
        }
        if ((c == '[' || c == '{') && ++depth > depth_max)
            return i;
        if ((c == ']' || c == '}') && depth > 0)
            depth--;
        i++;
    }
    return text.n;
}

static void put_place(struct gal_err *err, struct gal_str text, size_t at)
{
    size_t line, column, character;
    if (yyjson_locate_pos(text.p, text.n, at, &line, &column, &character))
        gal_err_place(err, "%zu:%zu", line, column);
}

yyjson_doc *gal_json_parse(struct gal_str text, yyjson_read_flag flags, struct gal_arena *arena,
                           yyjson_read_err *why, size_t *refused)
{
    struct arena_ctx ctx = {arena, 0};
    const yyjson_alc alc = {on_alloc, on_realloc, on_free, &ctx};
    /* The cast: without the in-situ flag yyjson does not write to its input. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, flags, &alc, why);
    *refused = ctx.refused;
    return doc;
}

enum gal_status gal_json_read(struct gal_str text, struct gal_arena *arena, unsigned depth_max,
                              yyjson_val **root, struct gal_err *err)
{
    if (gal_str_trim(text).n == 0)
        return gal_fail(err, GAL_INVALID, "JSON expected, got nothing");
    size_t deep = find_too_deep(text, depth_max);
    if (deep < text.n) {
        gal_fail(err, GAL_INVALID, "JSON is nested deeper than %u levels", depth_max);
        put_place(err, text, deep);
        return GAL_INVALID;
    }
    size_t refused;
    yyjson_read_err why;
    yyjson_doc *doc = gal_json_parse(text, YYJSON_READ_NOFLAG, arena, &why, &refused);
    if (doc) {
        *root = yyjson_doc_get_root(doc);
        return GAL_OK;
    }
    if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return gal_arena_fail(arena, refused, "JSON document", err);
    gal_fail(err, GAL_INVALID, "invalid JSON: %s", why.msg);
    put_place(err, text, why.pos);
    if (why.pos < text.n && (text.p[why.pos] == 'N' || text.p[why.pos] == 'I'))
        gal_err_hint(err, "JSON has no NaN and no infinity: send them as strings, \"NaN\"");
    return GAL_INVALID;
}

const char *gal_json_type_name(const yyjson_val *v)
{
    switch (yyjson_get_type((yyjson_val *)(uintptr_t)v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "boolean";
    case YYJSON_TYPE_NUM:
        return "number";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "array";
    case YYJSON_TYPE_OBJ:
        return "object";
    default:
        return "nothing";
    }
}

bool gal_json_set_number(yyjson_val *v, struct gal_str text)
{
    char copy[512]; /* a longer one is no number that anybody means */
    const char *end;

    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    end = yyjson_read_number(copy, v, 0, NULL, NULL);
    return end == copy + text.n;
}

void gal_json_set_str(yyjson_val *v, struct gal_str text)
{
    unsafe_yyjson_set_strn(v, text.p, text.n);
}

void gal_json_set_array(yyjson_val *v, size_t count, size_t nodes)
{
    unsafe_yyjson_set_arr(v, count);
    v->uni.ofs = (nodes + 1) * sizeof(*v);
}
