/* SPDX-License-Identifier: Apache-2.0 */
/* From a pattern's text to nodes, by descent. A counted part is read once more for each copy. */
#include "package/pattern_nfa.h"

#include <stdlib.h>

#define DEPTH_MAX 16u
#define COPIES_MAX 255u

struct parser {
    struct gal_str text;
    size_t at;
    unsigned depth;
    struct gal_nfa *nfa;
    struct gal_err *err;
    enum gal_status status;
};

/* A part: where it begins, and a node at its end whose `to` is free. */
struct part {
    uint16_t start, end;
};

static const struct part no_part = {GAL_NFA_NONE, GAL_NFA_NONE};

size_t gal_code_point(const char *p, size_t n, uint32_t *out)
{
    size_t bytes = gal_utf8_next(p, n);
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c;
    if (bytes == 0)
        return 0;
    c = (unsigned char)p[0] & masks[bytes];
    for (size_t i = 1; i < bytes; i++)
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    *out = c;
    return bytes;
}

static struct part refuse(struct parser *p, const char *what)
{
    if (!p->status)
        p->status =
            gal_fail(p->err, GAL_INVALID, "%s, at character %zu of the pattern", what, p->at + 1);
    return no_part;
}

static uint16_t add_node(struct parser *p)
{
    struct gal_nfa *nfa = p->nfa;
    if (nfa->node_count == GAL_PATTERN_NODES_MAX) {
        if (!p->status)
            p->status = gal_fail(p->err, GAL_TOO_LARGE, "the pattern is too large");
        return GAL_NFA_NONE;
    }
    nfa->nodes[nfa->node_count] = (struct gal_nfa_node){GAL_NFA_NONE, GAL_NFA_NONE, 0, 0};
    return (uint16_t)nfa->node_count++;
}

/* A node that only passes on. */
static struct part add_empty(struct parser *p)
{
    uint16_t node = add_node(p);
    return (struct part){node, node};
}

static bool peek(const struct parser *p, char c)
{
    return p->at < p->text.n && p->text.p[p->at] == c;
}

static bool take(struct parser *p, char c)
{
    if (!peek(p, c))
        return false;
    p->at++;
    return true;
}

/* --- sets of characters --- */

static bool add_range(struct parser *p, uint32_t low, uint32_t high)
{
    struct gal_nfa *nfa = p->nfa;
    if (nfa->range_count == GAL_NFA_RANGES_MAX) {
        if (!p->status)
            p->status = gal_fail(p->err, GAL_TOO_LARGE, "the pattern is too large");
        return false;
    }
    nfa->ranges[nfa->range_count++] = (struct gal_nfa_range){low, high};
    return true;
}

static int by_low(const void *a, const void *b)
{
    const struct gal_nfa_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* What the ranges from `first` on leave over takes their place. */
static void invert(struct parser *p, size_t first)
{
    struct gal_nfa *nfa = p->nfa;
    size_t count = nfa->range_count - first;
    struct gal_nfa_range *ranges = nfa->ranges + first;
    struct gal_nfa_range old[64];
    uint32_t from = 0;
    if (count > sizeof old / sizeof *old) {
        refuse(p, "too many parts in [^...]");
        return;
    }
    qsort(ranges, count, sizeof *ranges, by_low);
    memcpy(old, ranges, count * sizeof *old);
    nfa->range_count = first;
    for (size_t i = 0; i < count; i++) {
        if (old[i].low > from && !add_range(p, from, old[i].low - 1))
            return;
        if (old[i].high + 1 > from)
            from = old[i].high + 1;
    }
    if (from <= GAL_CODE_POINT_MAX)
        add_range(p, from, GAL_CODE_POINT_MAX);
}

/* \d, \w, \s and their opposites; false when c is none of them. */
static bool add_class(struct parser *p, char c)
{
    static const struct {
        char name;
        struct gal_nfa_range ranges[4];
    } classes[] = {
        {'d', {{'0', '9'}}},
        {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
        {'s', {{'\t', '\r'}, {' ', ' '}, {0xa0, 0xa0}, {0x2000, 0x200a}}},
    };
    char small = (char)(c | 0x20);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (classes[i].name != small)
            continue;
        size_t first = p->nfa->range_count;
        for (size_t k = 0; k < 4 && classes[i].ranges[k].high; k++)
            add_range(p, classes[i].ranges[k].low, classes[i].ranges[k].high);
        if (c != small)
            invert(p, first);
        return true;
    }
    return false;
}

/* Behind a backslash: adds a class, or gives the character. */
static bool read_escape(struct parser *p, uint32_t *c)
{
    static const char controls[] = "tnrfv", meant[] = "\t\n\r\f\v";
    char e = p->at < p->text.n ? p->text.p[p->at] : '\0';
    const char *control = e ? strchr(controls, e) : NULL;
    bool is_word = (e >= '0' && e <= '9') || (e >= 'A' && e <= 'Z') || (e >= 'a' && e <= 'z');
    *c = UINT32_MAX;
    if (e == '\0') {
        refuse(p, "a \\ has nothing behind it");
        return false;
    }
    if (control)
        *c = (unsigned char)meant[control - controls];
    else if (!is_word && (unsigned char)e < 0x80)
        *c = (unsigned char)e;
    else if (!add_class(p, e)) {
        refuse(p, "this \\ is not supported");
        return false;
    }
    p->at++;
    return true;
}

/* One character of a set, or a class (c is UINT32_MAX then). */
static bool read_member(struct parser *p, uint32_t *c)
{
    if (take(p, '\\'))
        return read_escape(p, c);
    size_t n = gal_code_point(p->text.p + p->at, p->text.n - p->at, c);
    if (n == 0)
        refuse(p, "a [ is not closed");
    p->at += n;
    return n > 0;
}

static void read_set(struct parser *p)
{
    bool inverted = take(p, '^'), empty = true;
    size_t first = p->nfa->range_count;
    for (; !p->status && !peek(p, ']'); empty = false) {
        uint32_t low, high;
        if (peek(p, '[')) {
            refuse(p, "a [ inside [...] is written \\[");
            return;
        }
        if (!read_member(p, &low))
            return;
        high = low;
        bool is_range = peek(p, '-') && p->at + 1 < p->text.n && p->text.p[p->at + 1] != ']';
        if (is_range) {
            p->at++;
            if (!read_member(p, &high))
                return;
            if (low == UINT32_MAX || high == UINT32_MAX || high < low) {
                refuse(p, "this range is none");
                return;
            }
        }
        if (low != UINT32_MAX)
            add_range(p, low, high);
    }
    if (empty)
        refuse(p, "[] is empty");
    p->at++;
    if (inverted && !p->status)
        invert(p, first);
}

/* --- parts --- */

static struct part read_alternatives(struct parser *p);

static struct part read_group(struct parser *p)
{
    if (take(p, '?') && !take(p, ':'))
        return refuse(p, "(? is not supported, but for (?:");
    if (++p->depth > DEPTH_MAX)
        return refuse(p, "too many ( in each other");
    struct part a = read_alternatives(p);
    p->depth--;
    if (!p->status && !take(p, ')'))
        return refuse(p, "a ( is not closed");
    return a;
}

static struct part read_character(struct parser *p)
{
    size_t first = p->nfa->range_count;
    uint32_t c = UINT32_MAX;
    if (take(p, '.')) {
        add_range(p, 0, '\n' - 1);
        add_range(p, '\n' + 1, GAL_CODE_POINT_MAX);
    } else if (take(p, '[')) {
        read_set(p);
    } else if (take(p, '\\')) {
        read_escape(p, &c);
    } else if (strchr("*+?{}])^$", p->text.p[p->at])) {
        return refuse(p, "this character is written with a \\");
    } else {
        p->at += gal_code_point(p->text.p + p->at, p->text.n - p->at, &c);
    }
    if (c != UINT32_MAX)
        add_range(p, c, c);
    if (!p->status && p->nfa->range_count == first)
        return refuse(p, "no character is in this set");
    struct part a = {add_node(p), add_node(p)};
    if (p->status)
        return no_part;
    p->nfa->nodes[a.start].to = a.end;
    p->nfa->nodes[a.start].first = (uint16_t)first;
    p->nfa->nodes[a.start].count = (uint16_t)(p->nfa->range_count - first);
    return a;
}

static struct part read_atom(struct parser *p)
{
    return take(p, '(') ? read_group(p) : read_character(p);
}

static struct part join(struct parser *p, struct part a, struct part b)
{
    if (p->status)
        return no_part;
    p->nfa->nodes[a.end].to = b.start;
    return (struct part){a.start, b.end};
}

/* The part at most once, or (again) any number of times; with skip also not at all. */
static struct part repeat(struct parser *p, struct part a, bool skip, bool again)
{
    uint16_t start = add_node(p), end = add_node(p);
    if (p->status)
        return no_part;
    struct gal_nfa_node *nodes = p->nfa->nodes;
    nodes[start].to = a.start;
    if (skip)
        nodes[start].also = end;
    nodes[a.end].to = end;
    if (again)
        nodes[a.end].also = a.start;
    return (struct part){start, end};
}

static bool read_number(struct parser *p, unsigned *out)
{
    size_t from = p->at;
    *out = 0;
    while (p->at < p->text.n && p->text.p[p->at] >= '0' && p->text.p[p->at] <= '9' &&
           *out <= COPIES_MAX)
        *out = *out * 10 + (unsigned)(p->text.p[p->at++] - '0');
    return p->at > from && *out <= COPIES_MAX;
}

/* Behind a {: how often. most UINT_MAX: without end. */
static bool read_counts(struct parser *p, unsigned *least, unsigned *most)
{
    bool good = read_number(p, least);
    *most = *least;
    if (good && take(p, ',')) {
        *most = UINT32_MAX;
        if (!peek(p, '}'))
            good = read_number(p, most);
    }
    if (good && take(p, '}') && *most >= *least)
        return true;
    refuse(p, "as {2}, {2,} or {2,5}, up to 255");
    return false;
}

/* The part that begins at `from`, least to most times. */
static struct part read_copies(struct parser *p, size_t from, unsigned least, unsigned most)
{
    size_t behind = p->at;
    struct part all = add_empty(p);
    bool endless = most == UINT32_MAX;
    unsigned copies = endless ? (least > 0 ? least : 1) : most;
    for (unsigned i = 0; i < copies && !p->status; i++) {
        p->at = from;
        struct part one = read_atom(p);
        if (p->status)
            return no_part;
        one = repeat(p, one, i >= least, endless && i + 1 == copies);
        all = join(p, all, one);
    }
    p->at = behind;
    return all;
}

static struct part read_repeated(struct parser *p)
{
    size_t from = p->at;
    unsigned least, most;
    struct part a = read_atom(p);
    if (p->status)
        return no_part;
    if (take(p, '*'))
        a = repeat(p, a, true, true);
    else if (take(p, '+'))
        a = repeat(p, a, false, true);
    else if (take(p, '?'))
        a = repeat(p, a, true, false);
    else if (take(p, '{'))
        a = read_counts(p, &least, &most) ? read_copies(p, from, least, most) : no_part;
    else
        return a;
    if (!p->status && p->at < p->text.n && strchr("*+?{", p->text.p[p->at]))
        return refuse(p, "two of * + ? { behind each other");
    return a;
}

static struct part read_alternatives(struct parser *p)
{
    struct part all = no_part;
    for (bool more = true; more && !p->status; more = take(p, '|')) {
        struct part one = add_empty(p);
        while (!p->status && p->at < p->text.n && !peek(p, '|') && !peek(p, ')'))
            one = join(p, one, read_repeated(p));
        if (p->status)
            return no_part;
        if (all.start == GAL_NFA_NONE) {
            all = one;
            continue;
        }
        struct part both = {add_node(p), add_node(p)};
        if (p->status)
            return no_part;
        struct gal_nfa_node *nodes = p->nfa->nodes;
        nodes[both.start].to = all.start;
        nodes[both.start].also = one.start;
        nodes[all.end].to = both.end;
        nodes[one.end].to = both.end;
        all = both;
    }
    return all;
}

/* A $ at the end that is none of the text's. */
static bool ends_with_anchor(struct gal_str s)
{
    size_t slashes = 0;
    if (s.n == 0 || s.p[s.n - 1] != '$')
        return false;
    while (slashes + 1 < s.n && s.p[s.n - 2 - slashes] == '\\')
        slashes++;
    return slashes % 2 == 0;
}

enum gal_status gal_nfa_parse(struct gal_str text, struct gal_arena *arena, struct gal_nfa *out,
                              struct gal_err *err)
{
    struct parser p = {.text = text, .nfa = out, .err = err};
    if (text.n > GAL_PATTERN_BYTES_MAX || !gal_utf8_valid(text))
        return gal_fail(err, GAL_INVALID, "a pattern is UTF-8 text of at most %u bytes",
                        GAL_PATTERN_BYTES_MAX);
    *out = (struct gal_nfa){
        .nodes = gal_arena_array(arena, GAL_PATTERN_NODES_MAX, sizeof *out->nodes),
        .ranges = gal_arena_array(arena, GAL_NFA_RANGES_MAX, sizeof *out->ranges),
    };
    if (!out->nodes || !out->ranges)
        return gal_arena_fail(arena, 1u << 16, "a pattern", err);
    if (ends_with_anchor(p.text))
        p.text.n--;
    (void)take(&p, '^');
    struct part all = read_alternatives(&p);
    if (!p.status && p.at < p.text.n)
        refuse(&p, "a ) is too much");
    out->start = all.start;
    out->end = all.end;
    return p.status;
}
