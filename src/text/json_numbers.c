/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_numbers.h"

#include "text/json_array.h"
#include "text/json_scan.h"

#define ARRAYS_MAX GAL_TENSORS_MAX /* more than a request may have are not for here */
#define STAND_IN "\"\""            /* what an array leaves behind */
#define STAND_IN_BYTES 2u

/* A hole of the text: an array that was read. */
struct hole {
    struct gal_json_numbers numbers;
    size_t from, to;
};

struct search {
    struct gal_str text, key;
    struct gal_arena *arena;
    struct gal_json_arrays *arrays;
    struct hole *last;
    size_t cut; /* bytes of all holes */
};

static size_t skip_space(struct gal_str text, size_t at)
{
    while (at < text.n &&
           (text.p[at] == ' ' || text.p[at] == '\n' || text.p[at] == '\r' || text.p[at] == '\t'))
        at++;
    return at;
}

/* Where the array begins that is the value of the member whose name is text[from, to); 0 when it
 * is another name, a value or no array. */
static size_t array_of_member(const struct search *s, size_t from, size_t to)
{
    struct gal_str text = s->text;
    if (to - from != s->key.n + 2 || memcmp(text.p + from + 1, s->key.p, s->key.n) != 0)
        return 0;
    size_t at = skip_space(text, to);
    if (at == text.n || text.p[at] != ':')
        return 0;
    at = skip_space(text, at + 1);
    return at < text.n && text.p[at] == '[' ? at : 0;
}

/* Reads the array at `from` and returns the offset behind it; `from` when it is no plain one, 0
 * when there is no memory or there are too many. */
static size_t take_array(struct search *s, size_t from, size_t depth_left)
{
    if (s->arrays->count == ARRAYS_MAX)
        return 0;
    struct hole *h = gal_arena_small(s->arena, sizeof *h);
    if (!h)
        return 0;
    size_t to = gal_json_read_array(s->text, from, (unsigned)depth_left, s->arena, &h->numbers);
    if (to == 0)
        return from;
    h->from = from;
    h->to = to;
    h->numbers.next = NULL;
    h->numbers.taken = false;
    if (s->last)
        s->last->numbers.next = &h->numbers;
    else
        s->arrays->first = &h->numbers;
    s->last = h;
    s->arrays->count++;
    s->cut += to - from;
    return to;
}

/* Takes all arrays there are; false when the text goes too deep or take_array gave up. */
static bool search(struct search *s, unsigned depth_max)
{
    struct gal_str text = s->text;
    size_t depth = 0;
    for (size_t i = gal_json_next_mark(text, 0); i < text.n; i = gal_json_next_mark(text, i)) {
        char c = text.p[i];
        if (c == '"') {
            size_t end = gal_json_skip_string(text, i);
            size_t array = array_of_member(s, i, end);
            i = array > 0 ? take_array(s, array, depth_max - depth) : end;
            if (i == 0)
                return false;
            continue;
        }
        if ((c == '[' || c == '{') && ++depth > depth_max)
            return false;
        if ((c == ']' || c == '}') && depth > 0)
            depth--;
        i++;
    }
    return s->arrays->count > 0;
}

/* The text with the stand-ins in the holes; p NULL when there is no memory. */
static struct gal_str fill_holes(const struct search *s)
{
    struct gal_str text = s->text;
    size_t n = text.n - s->cut + STAND_IN_BYTES * s->arrays->count, from = 0;
    char *copy = gal_arena_small(s->arena, n + YYJSON_PADDING_SIZE), *p = copy;
    if (!copy)
        return (struct gal_str){NULL, 0};
    for (struct gal_json_numbers *a = s->arrays->first; a; a = a->next) {
        const struct hole *h = (const struct hole *)a;
        memcpy(p, text.p + from, h->from - from);
        p += h->from - from;
        a->at = p + 1;
        memcpy(p, STAND_IN, STAND_IN_BYTES);
        p += STAND_IN_BYTES;
        from = h->to;
    }
    memcpy(p, text.p + from, text.n - from);
    memset(copy + n, 0, YYJSON_PADDING_SIZE);
    return (struct gal_str){copy, n};
}

bool gal_json_read_numbers(struct gal_str text, struct gal_str key, struct gal_arena *arena,
                           unsigned depth_max, yyjson_val **root, struct gal_json_arrays *arrays)
{
    struct search s = {.text = text, .key = key, .arena = arena, .arrays = arrays};
    yyjson_read_err why;
    size_t refused;
    *arrays = (struct gal_json_arrays){NULL, NULL, 0, 0};
    if (!search(&s, depth_max))
        return false;
    struct gal_str rest = fill_holes(&s);
    /* In place: a string's address is its place in the text, which nothing in a text can forge. */
    yyjson_doc *doc =
        rest.p ? gal_json_parse(rest, YYJSON_READ_INSITU, arena, &why, &refused) : NULL;
    if (!doc)
        return false;
    *root = yyjson_doc_get_root(doc);
    arrays->hint = arrays->first;
    return true;
}

struct gal_json_numbers *gal_json_numbers_of(struct gal_json_arrays *arrays, yyjson_val *v)
{
    if (!yyjson_is_str(v))
        return NULL;
    const char *at = unsafe_yyjson_get_str(v);
    struct gal_json_numbers *a = arrays->hint;
    if (!a || a->at != at)
        for (a = arrays->first; a && a->at != at; a = a->next)
            ;
    if (!a || a->taken)
        return NULL;
    a->taken = true;
    arrays->taken++;
    arrays->hint = a->next;
    return a;
}
