/* SPDX-License-Identifier: Apache-2.0 */
/* A span in the form that the vocabulary was made of. */
#include "text/tokenizer_impl.h"

#include "text/token_class.h"
#include "text/unicode.h"

/* Code points as they are made. */
struct sink {
    struct gal_token_memory *memory;
    struct gal_arena *arena;
    struct gal_err *err;
    uint32_t *p;
    size_t n, room;
    enum gal_status status;
};

static struct sink begin(struct gal_token_work *w, struct gal_arena *arena,
                         struct gal_token_memory *m)
{
    return (struct sink){
        .memory = m, .arena = arena, .err = w->err, .p = m->p, .room = m->bytes / sizeof(uint32_t)};
}

static void push(struct sink *s, uint32_t c)
{
    uint32_t *p = s->p;

    if (s->n == s->room) {
        p = gal_token_room(s->memory, s->n * sizeof(*p), (s->n + 64) * sizeof(*p), s->arena,
                           s->err);
        if (p == NULL) {
            s->status = s->err != NULL ? s->err->code : GAL_NO_MEMORY;
            return;
        }
        s->p = p;
        s->room = s->memory->bytes / sizeof(*p);
    }
    p[s->n++] = c;
}

/* --- order of marks --- */

static unsigned class_of(uint32_t c)
{
    return gal_token_is(c, GAL_TOKEN_MOVES) ? gal_unicode_combining(c) : 0;
}

/* A long run in linear time: a text may be nothing but marks. */
static enum gal_status order_many(struct gal_token_work *w, struct gal_arena *arena, uint32_t *p,
                                  size_t n)
{
    size_t starts[257] = {0};
    uint32_t *copy = gal_token_room(&w->symbols, 0, n * sizeof(*copy), arena, w->err);

    if (copy == NULL)
        return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
    memcpy(copy, p, n * sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        starts[(class_of(copy[i]) & 0xff) + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < n; i++)
        p[starts[class_of(copy[i]) & 0xff]++] = copy[i];
    return GAL_OK;
}

static void order_few(uint32_t *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t c = p[i];
        unsigned k = class_of(c);
        size_t at = i;

        for (; at > 0 && class_of(p[at - 1]) > k; at--)
            p[at] = p[at - 1];
        p[at] = c;
    }
}

static enum gal_status order(struct gal_token_work *w, struct gal_arena *arena, uint32_t *p,
                             size_t n)
{
    enum gal_status st = GAL_OK;

    for (size_t i = 0; i < n && st == GAL_OK;) {
        size_t from = i;

        while (i < n && p[i] >= 0x300 && class_of(p[i]) != 0)
            i++;
        if (i - from > 16)
            st = order_many(w, arena, p + from, i - from);
        else if (i - from > 1)
            order_few(p + from, i - from);
        i += i == from;
    }
    return st;
}

/* --- the operations: from a run of code points to another --- */

static void decompose(struct sink *s, const struct gal_token_points *in, bool compatible,
                      bool accents)
{
    uint32_t parts[GAL_UNICODE_DECOMPOSED_MAX];

    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->p[i];
        size_t n = 1;

        parts[0] = c;
        if (c >= 0x80 && gal_token_is(c, GAL_TOKEN_MOVES))
            n = gal_unicode_decompose(c, compatible, parts);
        for (size_t k = 0; k < n; k++)
            if (!accents || parts[k] < 0x80 || !gal_token_is(parts[k], GAL_TOKEN_MARK))
                push(s, parts[k]);
    }
}

/* Each mark joins the last starter, unless one of its class or higher lies between. */
static void compose(struct sink *s, const struct gal_token_points *in)
{
    size_t starter = SIZE_MAX;
    unsigned before = 0;

    /* A point that found no room is no starter. */
    for (size_t i = 0; i < in->n && s->status == GAL_OK; i++) {
        uint32_t c = in->p[i], both = 0;
        unsigned k = class_of(c);

        if (starter != SIZE_MAX && c >= 0x80 &&
            (before < k || (before == 0 && starter + 1 == s->n)))
            both = gal_unicode_compose(s->p[starter], c);
        if (both != 0 && gal_token_is(both, GAL_TOKEN_MOVES)) {
            s->p[starter] = both;
            continue;
        }
        if (k == 0)
            starter = s->n;
        before = k;
        push(s, c);
    }
}

static void lower(struct sink *s, const struct gal_token_points *in)
{
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->p[i];

        push(s, c == 0x130 ? 'i' : gal_token_lower(c));
        if (c == 0x130)
            push(s, 0x307);
    }
}

static void drop_marks(struct sink *s, const struct gal_token_points *in)
{
    for (size_t i = 0; i < in->n; i++)
        if (!gal_token_is(in->p[i], GAL_TOKEN_COMBINING))
            push(s, in->p[i]);
}

static void strip(struct sink *s, const struct gal_token_points *in, const struct gal_normal *o)
{
    size_t from = 0, to = in->n;

    while (o->left && from < to && gal_token_is_space(in->p[from]))
        from++;
    while (o->right && to > from && gal_token_is_space(in->p[to - 1]))
        to--;
    for (size_t i = from; i < to; i++)
        push(s, in->p[i]);
}

static void put_all(struct sink *s, const uint32_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        push(s, p[i]);
}

static void replace(struct sink *s, const struct gal_token_points *in, const struct gal_normal *o)
{
    size_t n = o->from_count;

    for (size_t i = 0; i < in->n && s->status == GAL_OK;) {
        if (in->n - i >= n && memcmp(in->p + i, o->from, n * sizeof(*o->from)) == 0) {
            put_all(s, o->to, o->to_count);
            i += n;
        } else
            push(s, in->p[i++]);
    }
}

static bool put_mapped(struct sink *s, const struct gal_charsmap *m, const uint32_t *p, size_t n)
{
    char text[4 * 4];
    size_t bytes = 0;
    struct gal_str to;

    for (size_t i = 0; i < n; i++)
        bytes += gal_utf8_put(p[i], text + bytes);
    if (!gal_charsmap_find(m, (struct gal_str){text, bytes}, &to))
        return false;
    for (size_t i = 0, one; i < to.n; i += one)
        push(s, gal_utf8_take(to.p + i, to.n - i, &one));
    return true;
}

static size_t utf8_size(uint32_t c)
{
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* Characters as people see them are looked up whole where they take less than 6 bytes, else, or
 * when there is nothing for them, code point by code point: so the library does it. */
static void map_chars(struct sink *s, const struct gal_token_points *in, const struct gal_normal *o)
{
    int32_t state = 0;

    for (size_t i = 0, end; i < in->n && s->status == GAL_OK; i = end) {
        size_t bytes = utf8_size(in->p[i]);

        end = i + 1;
        while (end < in->n && !gal_unicode_ends_grapheme(in->p[end - 1], in->p[end], &state))
            bytes += utf8_size(in->p[end++]);
        if (bytes < 6 && end - i <= 4 && put_mapped(s, &o->charsmap, in->p + i, end - i))
            continue;
        for (size_t k = i; k < end; k++)
            if (!put_mapped(s, &o->charsmap, in->p + k, 1))
                push(s, in->p[k]);
    }
}

/* Control characters, white space and ideographs of BertNormalizer. */
static void clean(struct sink *s, const struct gal_token_points *in, const struct gal_normal *o)
{
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->p[i];
        bool cjk = o->cjk && gal_token_is_cjk(c);

        if (o->clean && gal_token_is(c, GAL_TOKEN_DROPPED))
            continue;
        if (o->clean && gal_token_is_space(c))
            c = ' ';
        if (cjk)
            push(s, ' ');
        push(s, c);
        if (cjk)
            push(s, ' ');
    }
}

/* One operation, or one part of BertNormalizer's. */
enum pass { PASS_OWN, PASS_CLEAN, PASS_ACCENTS, PASS_LOWER };

static enum gal_status run_pass(struct gal_token_work *w, struct gal_arena *arena,
                                const struct gal_normal *o, enum pass pass,
                                struct gal_token_points *points)
{
    struct gal_token_memory *to = &w->points[points->p == w->points[0].p ? 1 : 0];
    struct sink s = begin(w, arena, to);

    if (pass == PASS_CLEAN)
        clean(&s, points, o);
    else if (pass == PASS_ACCENTS)
        decompose(&s, points, false, true);
    else if (pass == PASS_LOWER || o->kind == GAL_NORMAL_LOWER)
        lower(&s, points);
    else if (o->kind == GAL_NORMAL_DECOMPOSE)
        decompose(&s, points, o->compatible, false);
    else if (o->kind == GAL_NORMAL_COMPOSE)
        compose(&s, points);
    else if (o->kind == GAL_NORMAL_ACCENTS)
        drop_marks(&s, points);
    else if (o->kind == GAL_NORMAL_STRIP)
        strip(&s, points, o);
    else if (o->kind == GAL_NORMAL_REPLACE)
        replace(&s, points, o);
    else if (o->kind == GAL_NORMAL_CHARSMAP)
        map_chars(&s, points, o);
    else {
        if (points->n > 0)
            put_all(&s, o->to, o->to_count);
        put_all(&s, points->p, points->n);
    }
    *points = (struct gal_token_points){s.p, s.n};
    if (s.status == GAL_OK && (pass == PASS_ACCENTS || o->kind == GAL_NORMAL_DECOMPOSE))
        s.status = order(w, arena, s.p, s.n);
    return s.status;
}

static enum gal_status run_normal(struct gal_token_work *w, struct gal_arena *arena,
                                  const struct gal_normal *o, struct gal_token_points *points)
{
    enum gal_status st = GAL_OK;

    if (o->kind != GAL_NORMAL_BERT)
        return run_pass(w, arena, o, PASS_OWN, points);
    if (o->clean || o->cjk)
        st = run_pass(w, arena, o, PASS_CLEAN, points);
    if (st == GAL_OK && o->accents)
        st = run_pass(w, arena, o, PASS_ACCENTS, points);
    if (st == GAL_OK && o->lower)
        st = run_pass(w, arena, o, PASS_LOWER, points);
    return st;
}

/* --- a span --- */

static bool is_ascii(struct gal_str s)
{
    unsigned char all = 0;

    for (size_t i = 0; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return all < 0x80;
}

/* BertNormalizer alone over ASCII, which most texts are. */
static void bert_ascii(const struct gal_normal *o, struct gal_str span, char *out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < span.n; i++) {
        unsigned char c = (unsigned char)span.p[i];

        if (o->clean && (c == '\t' || c == '\n' || c == '\r'))
            c = ' ';
        else if (o->clean && (c < 0x20 || c == 0x7f))
            continue;
        else if (o->lower && c >= 'A' && c <= 'Z')
            c += 0x20;
        out[(*n)++] = (char)c;
    }
}

static enum gal_status fail(const struct gal_token_work *w)
{
    return w->err != NULL ? w->err->code : GAL_NO_MEMORY;
}

enum gal_status gal_token_normalize(const struct gal_tokenizer *t, struct gal_token_work *w,
                                    struct gal_arena *arena, struct gal_str span,
                                    struct gal_str *out)
{
    struct gal_token_points points = {NULL, 0};
    enum gal_status st = GAL_OK;
    char *text;
    size_t n = 0;

    *out = span;
    if (t->normal_count == 0)
        return GAL_OK;
    if (t->normal_count == 1 && t->normals[0].kind == GAL_NORMAL_BERT && is_ascii(span)) {
        text = gal_token_room(&w->text, 0, span.n, arena, w->err);
        if (text == NULL)
            return fail(w);
        bert_ascii(&t->normals[0], span, text, &n);
        *out = (struct gal_str){text, n};
        return GAL_OK;
    }
    points.p = gal_token_room(&w->points[0], 0, span.n * sizeof(*points.p), arena, w->err);
    if (points.p == NULL)
        return fail(w);
    for (size_t i = 0, bytes; i < span.n; i += bytes)
        points.p[points.n++] = gal_utf8_take(span.p + i, span.n - i, &bytes);
    for (size_t i = 0; i < t->normal_count && st == GAL_OK; i++)
        st = run_normal(w, arena, &t->normals[i], &points);
    if (st != GAL_OK)
        return st;
    text = gal_token_room(&w->text, 0, 4 * points.n, arena, w->err);
    if (text == NULL)
        return fail(w);
    for (size_t i = 0; i < points.n; i++)
        n += gal_utf8_put(points.p[i], text + n);
    *out = (struct gal_str){text, n};
    return GAL_OK;
}
