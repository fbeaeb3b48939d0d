/* SPDX-License-Identifier: Apache-2.0 */
/* One pass without recursion: a stack of the open messages and lists, at most GAL_PBTXT_DEPTH_MAX
 * of them. */
#include "text/pbtxt.h"

#include "base/buf.h"
#include "base/limits.h"

#include <stdio.h>

/* A message or list that is open. */
struct level {
    struct gal_pbtxt *node;
    struct gal_pbtxt **tail; /* where the next child is linked */
    char close;              /* what ends it; NUL: the end of the text */
    bool colon;              /* LIST: `:` stood before it, so that it may hold scalars */
    bool has_item;           /* an item has just ended: a separator may follow */
    bool wants_item;         /* LIST: a comma has just been read */
};

struct parser {
    const char *at, *end;
    unsigned line;
    const char *name;
    struct gal_arena *arena;
    struct gal_err *err;
    struct gal_buf scratch; /* a text while its literals are read */
    size_t nodes;
    size_t depth; /* levels in use */
    struct level levels[GAL_PBTXT_DEPTH_MAX];
};

__attribute__((format(printf, 3, 4))) static enum gal_status refuse(struct parser *p, unsigned line,
                                                                    const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    gal_fail(p->err, GAL_INVALID, "%s", text);
    gal_err_place(p->err, "%s:%u", p->name, line);
    return GAL_INVALID;
}

static enum gal_status no_memory(struct parser *p, size_t bytes)
{
    return gal_arena_fail(p->arena, bytes, p->name, p->err);
}

/* ---- characters ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* White space and comments. */
static void skip_blanks(struct parser *p)
{
    for (; p->at < p->end; p->at++) {
        if (*p->at == '#') {
            const char *eol = memchr(p->at, '\n', (size_t)(p->end - p->at));
            p->at = eol ? eol : p->end;
            if (!eol)
                return;
        }
        if (*p->at == '\n')
            p->line++;
        else if (*p->at != ' ' && *p->at != '\t' && *p->at != '\r' && *p->at != '\v' &&
                 *p->at != '\f')
            return;
    }
}

static bool next_is(const struct parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

/* What stands here, for a message: a printable character or its code. */
static const char *seen(const struct parser *p, char out[24])
{
    if (p->at == p->end)
        return "the end of the file";
    unsigned char c = (unsigned char)*p->at;
    if (c > 0x20 && c < 0x7f)
        snprintf(out, 24, "'%c'", c);
    else
        snprintf(out, 24, "byte 0x%02x", c);
    return out;
}

/* ---- texts ---- */

static void put_utf8(struct gal_buf *out, uint32_t c)
{
    if (c < 0x80) {
        gal_buf_putc(out, (char)c);
    } else if (c < 0x800) {
        gal_buf_putc(out, (char)(0xc0 | c >> 6));
        gal_buf_putc(out, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c < 0x10000) {
            gal_buf_putc(out, (char)(0xe0 | c >> 12));
        } else {
            gal_buf_putc(out, (char)(0xf0 | c >> 18));
            gal_buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        gal_buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        gal_buf_putc(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* At most `max` digits of a base; false when there is none. */
static bool read_digits(struct parser *p, int base, int max, uint32_t *out)
{
    int count = 0;
    *out = 0;
    for (; count < max && p->at < p->end; count++, p->at++) {
        int v = hex_value(*p->at);
        if (v < 0 || v >= base)
            break;
        *out = *out * (uint32_t)base + (uint32_t)v;
    }
    return count > 0;
}

static enum gal_status read_unicode(struct parser *p, int digits)
{
    uint32_t c;
    const char *from = p->at;
    if (!read_digits(p, 16, digits, &c) || p->at - from != digits)
        return refuse(p, p->line, "\\%c takes %d hexadecimal digits", digits == 4 ? 'u' : 'U',
                      digits);
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return refuse(p, p->line, "U+%X is no character", (unsigned)c);
    put_utf8(&p->scratch, c);
    return GAL_OK;
}

/* Behind the backslash. */
static enum gal_status read_escape(struct parser *p)
{
    static const char from[] = "abfnrtv?\\'\"", to[] = "\a\b\f\n\r\t\v?\\'\"";
    uint32_t c;
    if (p->at == p->end)
        return refuse(p, p->line, "a text is not closed");
    const char *known = *p->at ? strchr(from, *p->at) : NULL;
    if (known) {
        gal_buf_putc(&p->scratch, to[known - from]);
        p->at++;
        return GAL_OK;
    }
    if (read_digits(p, 8, 3, &c)) {
        if (c > 0xff)
            return refuse(p, p->line, "\\%o is more than a byte", (unsigned)c);
        gal_buf_putc(&p->scratch, (char)c);
        return GAL_OK;
    }
    char kind = *p->at++;
    if (kind == 'u' || kind == 'U')
        return read_unicode(p, kind == 'u' ? 4 : 8);
    if ((kind == 'x' || kind == 'X') && read_digits(p, 16, 2, &c)) {
        gal_buf_putc(&p->scratch, (char)c);
        return GAL_OK;
    }
    p->at--;
    char what[24];
    return refuse(p, p->line, "a backslash before %s is no escape", seen(p, what));
}

/* One literal, from quote to quote. */
static enum gal_status read_literal(struct parser *p)
{
    char quote = *p->at++;
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '\n')
            return refuse(p, p->line, "a text is not closed on its line");
        if (*p->at == '\0')
            return refuse(p, p->line, "a NUL byte in a text: write \\0");
        if (*p->at == '\\') {
            p->at++;
            enum gal_status status = read_escape(p);
            if (status)
                return status;
            continue;
        }
        gal_buf_putc(&p->scratch, *p->at++);
    }
    if (p->at == p->end)
        return refuse(p, p->line, "a text is not closed");
    p->at++;
    return GAL_OK;
}

/* Literals that follow each other are one text. */
static enum gal_status read_text(struct parser *p, struct gal_pbtxt *node)
{
    gal_buf_clear(&p->scratch, 4096);
    while (next_is(p, '"') || next_is(p, '\'')) {
        enum gal_status status = read_literal(p);
        if (status)
            return status;
        skip_blanks(p);
    }
    if (p->scratch.failed)
        return gal_fail(p->err, GAL_NO_MEMORY, "%s: no memory for a text", p->name);
    node->type = GAL_PBTXT_TEXT;
    node->text =
        (struct gal_str){gal_arena_strdup(p->arena, gal_buf_str(&p->scratch)), p->scratch.n};
    return node->text.p ? GAL_OK : no_memory(p, p->scratch.n + 1);
}

/* ---- words ---- */

/* Digits of a base from `at` on; where they end. */
static size_t span_digits(struct gal_str s, size_t at, int base)
{
    while (at < s.n && hex_value(s.p[at]) >= 0 && hex_value(s.p[at]) < base)
        at++;
    return at;
}

/* 0, 17, 017, 0x1f: the base and where its digits begin; 0 when it is no integer. */
static int integer_base(struct gal_str s, size_t *first)
{
    int base = 10;
    *first = 0;
    if (s.n > 1 && s.p[0] == '0') {
        bool is_hex = s.p[1] == 'x' || s.p[1] == 'X';
        base = is_hex ? 16 : 8;
        *first = is_hex ? 2 : 1;
    }
    return s.n > *first && span_digits(s, *first, base) == s.n ? base : 0;
}

/* 1.5, .5, 5., 1e3, 1.5f: without a sign. */
static bool is_float(struct gal_str s)
{
    size_t whole = span_digits(s, 0, 10), at = whole, digits = whole;
    if (at < s.n && s.p[at] == '.') {
        at = span_digits(s, at + 1, 10);
        digits = at - 1;
    }
    if (digits == 0 || (whole > 1 && s.p[0] == '0'))
        return false;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        size_t exponent = at + 1;
        if (exponent < s.n && (s.p[exponent] == '+' || s.p[exponent] == '-'))
            exponent++;
        at = span_digits(s, exponent, 10);
        if (at == exponent)
            return false;
    }
    if (at < s.n && (s.p[at] == 'f' || s.p[at] == 'F'))
        at++;
    return at == s.n;
}

/* What may follow a minus, beside numbers. */
static bool is_infinite_word(struct gal_str s)
{
    return gal_str_ieq(s, GAL_STR("inf")) || gal_str_ieq(s, GAL_STR("infinity")) ||
           gal_str_ieq(s, GAL_STR("nan"));
}

/* Letters, digits and points that stand together, signs of an exponent too. */
static struct gal_str cut_word(struct parser *p)
{
    const char *from = p->at;
    bool is_number = p->at < p->end && (is_digit(*p->at) || *p->at == '.');
    bool is_hex = p->end - from > 1 && from[0] == '0' && (from[1] == 'x' || from[1] == 'X');
    while (p->at < p->end) {
        bool is_exponent = is_number && !is_hex && p->at > from &&
                           (p->at[-1] == 'e' || p->at[-1] == 'E') &&
                           (*p->at == '+' || *p->at == '-');
        if (!is_digit(*p->at) && !is_letter(*p->at) && !(is_number && *p->at == '.') &&
            !is_exponent)
            break;
        p->at++;
    }
    return (struct gal_str){from, (size_t)(p->at - from)};
}

static enum gal_status read_word(struct parser *p, struct gal_pbtxt *node)
{
    char what[24];
    size_t first;
    bool minus = next_is(p, '-');
    unsigned line = p->line;
    if (minus) {
        p->at++;
        skip_blanks(p);
    }
    struct gal_str word = cut_word(p);
    if (word.n == 0)
        return refuse(p, line, "a value is missing before %s", seen(p, what));
    if (is_digit(word.p[0]) || word.p[0] == '.') {
        if (!integer_base(word, &first) && !is_float(word))
            return refuse(p, line, "'%.*s' is no number", word.n < 64 ? (int)word.n : 64, word.p);
    } else if (minus && !is_infinite_word(word)) {
        return refuse(p, line, "'-' stands before '%.*s', which is no number",
                      word.n < 64 ? (int)word.n : 64, word.p);
    }
    char *copy = gal_arena_small(p->arena, word.n + 2);
    if (!copy)
        return no_memory(p, word.n + 2);
    copy[0] = '-';
    memcpy(copy + minus, word.p, word.n);
    copy[minus + word.n] = '\0';
    node->type = GAL_PBTXT_WORD;
    node->text = (struct gal_str){copy, word.n + minus};
    return GAL_OK;
}

/* ---- fields ---- */

/* NULL, and why in *status, when it fails. */
static struct gal_pbtxt *add_node(struct parser *p, struct gal_str name, unsigned line,
                                  enum gal_status *status)
{
    struct level *top = p->depth ? &p->levels[p->depth - 1] : NULL;
    if (++p->nodes > GAL_PBTXT_NODES_MAX) {
        *status = refuse(p, line, "more than %u values in one file", GAL_PBTXT_NODES_MAX);
        return NULL;
    }
    struct gal_pbtxt *node = gal_arena_small(p->arena, sizeof *node);
    if (!node) {
        *status = no_memory(p, sizeof *node);
        return NULL;
    }
    *node = (struct gal_pbtxt){.line = line, .name = name};
    if (top) {
        *top->tail = node;
        top->tail = &node->next;
        top->has_item = true;
        top->wants_item = false;
    }
    *status = GAL_OK;
    return node;
}

static enum gal_status open_level(struct parser *p, struct gal_pbtxt *node,
                                  enum gal_pbtxt_type type, char close, bool colon)
{
    if (p->depth == GAL_PBTXT_DEPTH_MAX)
        return refuse(p, p->line, "messages are nested more than %u deep", GAL_PBTXT_DEPTH_MAX);
    node->type = type;
    p->levels[p->depth++] =
        (struct level){.node = node, .tail = &node->child, .close = close, .colon = colon};
    return GAL_OK;
}

/* A message, a list or a scalar, for which a node has been made. */
static enum gal_status read_value(struct parser *p, struct gal_pbtxt *node, bool colon, bool listed)
{
    char what[24];
    if (next_is(p, '{') || next_is(p, '<')) {
        char close = *p->at++ == '{' ? '}' : '>';
        return open_level(p, node, GAL_PBTXT_MESSAGE, close, false);
    }
    if (next_is(p, '[')) {
        if (listed)
            return refuse(p, p->line, "%.*s: a list in a list", GAL_STR_ARG(node->name));
        p->at++;
        return open_level(p, node, GAL_PBTXT_LIST, ']', colon);
    }
    if (!colon)
        return refuse(p, p->line, "%.*s: ':' is missing before %s", GAL_STR_ARG(node->name),
                      seen(p, what));
    if (next_is(p, '"') || next_is(p, '\''))
        return read_text(p, node);
    return read_word(p, node);
}

static enum gal_status read_field(struct parser *p)
{
    char what[24];
    unsigned line = p->line;
    if (next_is(p, '['))
        return refuse(p, line, "extensions and Any, [...], are not supported");
    if (p->at == p->end || !is_letter(*p->at))
        return refuse(p, line, "a field's name is expected, not %s", seen(p, what));
    struct gal_str word = cut_word(p);
    if (word.n > GAL_NAME_BYTES_MAX)
        return refuse(p, line, "a field's name of more than %u bytes", GAL_NAME_BYTES_MAX);
    struct gal_str name = {gal_arena_strdup(p->arena, word), word.n};
    if (!name.p)
        return no_memory(p, word.n + 1);
    enum gal_status status = GAL_OK;
    struct gal_pbtxt *node = add_node(p, name, line, &status);
    if (!node)
        return status;
    skip_blanks(p);
    bool colon = next_is(p, ':');
    if (colon) {
        p->at++;
        skip_blanks(p);
    }
    return read_value(p, node, colon, false);
}

static void close_level(struct parser *p)
{
    p->at++;
    p->depth--;
}

static enum gal_status step_message(struct parser *p, struct level *top)
{
    char c = *p->at, what[24];
    if (top->close && c == top->close) {
        close_level(p);
        return GAL_OK;
    }
    if (c == ',' || c == ';') {
        if (!top->has_item)
            return refuse(p, p->line, "%s without a field before it", seen(p, what));
        top->has_item = false;
        p->at++;
        return GAL_OK;
    }
    return read_field(p);
}

static enum gal_status step_list(struct parser *p, struct level *top)
{
    char what[24];
    struct gal_str name = top->node->name;
    if (next_is(p, ']') && !top->wants_item) {
        close_level(p);
        return GAL_OK;
    }
    if (top->has_item) {
        if (!next_is(p, ','))
            return refuse(p, p->line, "%.*s: ',' or ']' is expected, not %s", GAL_STR_ARG(name),
                          seen(p, what));
        p->at++;
        top->has_item = false;
        top->wants_item = true;
        return GAL_OK;
    }
    bool colon = top->colon;
    enum gal_status status = GAL_OK;
    struct gal_pbtxt *node = add_node(p, name, p->line, &status);
    return node ? read_value(p, node, colon, true) : status;
}

static enum gal_status parse(struct parser *p)
{
    for (;;) {
        struct level *top = &p->levels[p->depth - 1];
        skip_blanks(p);
        if (p->at == p->end && top->close)
            return refuse(p, p->line, "%.*s, begun in line %u, is not closed: '%c' is missing",
                          GAL_STR_ARG(top->node->name), top->node->line, top->close);
        if (p->at == p->end)
            return GAL_OK;
        enum gal_status status =
            top->node->type == GAL_PBTXT_LIST ? step_list(p, top) : step_message(p, top);
        if (status)
            return status;
    }
}

enum gal_status gal_pbtxt_parse(struct gal_str text, const char *name, struct gal_arena *arena,
                                struct gal_pbtxt **root, struct gal_err *err)
{
    struct parser p = {.at = text.n ? text.p : "", .line = 1, .name = name, .arena = arena};
    struct gal_str bom = GAL_STR("\xef\xbb\xbf");
    p.err = err;
    p.end = p.at + text.n;
    if (text.n > GAL_PBTXT_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: larger than %u bytes", name, GAL_PBTXT_BYTES_MAX);
    if (gal_str_starts(text, bom))
        p.at += bom.n;
    gal_buf_init(&p.scratch, GAL_PBTXT_BYTES_MAX);
    enum gal_status status = GAL_OK;
    *root = add_node(&p, (struct gal_str){"", 0}, 1, &status);
    if (*root)
        status = open_level(&p, *root, GAL_PBTXT_MESSAGE, '\0', false);
    if (!status)
        status = parse(&p);
    gal_buf_release(&p.scratch);
    if (status)
        *root = NULL;
    return status;
}
