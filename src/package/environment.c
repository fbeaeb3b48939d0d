/* SPDX-License-Identifier: Apache-2.0 */
/* The format: pip's documentation of requirements files, PEP 440 (versions), PEP 503 (names), PEP
 * 508 (extras, markers, direct references). */
#include "package/environment.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
    struct gal_arena *arena;
    const char *path;
    struct gal_pinned *packages;
    size_t count;
    struct gal_str *options;
    size_t option_count;
    struct gal_str *findings;
    size_t finding_count;
    struct gal_err *err;
};

static enum gal_status no_memory(const struct reader *r)
{
    return gal_fail(r->err, GAL_NO_MEMORY, "%s: out of memory", r->path);
}

static enum gal_status wrong(const struct reader *r, unsigned line, const char *words,
                             struct gal_str text)
{
    (void)gal_fail(r->err, GAL_INVALID, "%s: \"%.*s\"", words, GAL_STR_SHOWN(text));
    gal_err_place(r->err, "%s:%u", r->path, line);
    return GAL_INVALID;
}

/* --- lines --- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* PEP 503. */
static bool put_name(const struct reader *r, struct gal_str written, struct gal_str *out)
{
    char *p = gal_arena_small(r->arena, written.n + 1);
    size_t n = 0;
    if (!p)
        return false;
    for (size_t i = 0; i < written.n; i++) {
        char c = written.p[i];
        bool dash = c == '-' || c == '_' || c == '.';
        if (dash && n > 0 && p[n - 1] == '-')
            continue;
        p[n++] = dash ? '-' : c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    p[n] = '\0';
    *out = (struct gal_str){p, n};
    return true;
}

/* What stands in front of `mark`, trimmed; all when it is not there. */
static struct gal_str before(struct gal_str s, const char *mark)
{
    const char *at = s.n ? memmem(s.p, s.n, mark, strlen(mark)) : NULL;
    return gal_str_trim(at ? (struct gal_str){s.p, (size_t)(at - s.p)} : s);
}

/* Behind the name: "==1.2.3", "===1.2.3", or conda's "=1.2.3=BUILD"; anything else is not pinned.
 */
static struct gal_str pinned_version(struct gal_str rest)
{
    static const struct gal_str none = {NULL, 0};
    size_t marks = 0;
    while (marks < rest.n && rest.p[marks] == '=')
        marks++;
    rest = gal_str_trim((struct gal_str){rest.p + marks, rest.n - marks});
    const char *build = rest.n ? memchr(rest.p, '=', rest.n) : NULL;
    if (marks == 1 && build)
        rest.n = (size_t)(build - rest.p);
    else if (marks < 2 || marks > 3)
        return none;
    for (size_t i = 0; i < rest.n; i++) {
        if (!is_name_char(rest.p[i]) && rest.p[i] != '+' && rest.p[i] != '!')
            return none; /* a second clause, a wildcard */
    }
    return rest;
}

static enum gal_status add_package(struct reader *r, struct gal_str text, unsigned line)
{
    struct gal_pinned *p = &r->packages[r->count];
    size_t n = 0;
    while (n < text.n && is_name_char(text.p[n]))
        n++;
    if (n == 0)
        return wrong(r, line, "no requirement", text);
    struct gal_str rest = gal_str_trim((struct gal_str){text.p + n, text.n - n});
    if (rest.n > 0 && rest.p[0] == '[') { /* extras */
        const char *end = memchr(rest.p, ']', rest.n);
        if (!end)
            return wrong(r, line, "no requirement: the bracket does not close", text);
        rest = gal_str_trim((struct gal_str){end + 1, rest.n - (size_t)(end + 1 - rest.p)});
    }
    if (rest.n > 0 && !strchr("=<>!~@;(", rest.p[0]))
        return wrong(r, line, "no requirement", text);
    if (rest.n > 0 && rest.p[0] != '@')
        rest = before(rest, ";");
    if (r->count >= GAL_FREEZE_PACKAGES_MAX)
        return wrong(r, line, "more than 5000 packages", text);
    *p = (struct gal_pinned){.written = text, .line = line, .version = pinned_version(rest)};
    p->pinned = p->version.n > 0;
    if (!put_name(r, (struct gal_str){text.p, n}, &p->name))
        return no_memory(r);
    r->count++;
    return GAL_OK;
}

/* Whole path or URL: a wheel, a source tree, "-e ...": never a version that one can compare. */
static enum gal_status add_direct(struct reader *r, struct gal_str text, unsigned line)
{
    const char *egg = memmem(text.p, text.n, "#egg=", 5);
    struct gal_str name = text;
    size_t n = 0;
    if (egg)
        name = (struct gal_str){egg + 5, text.n - (size_t)(egg + 5 - text.p)};
    while (egg && n < name.n && is_name_char(name.p[n]))
        n++;
    name = n > 0 ? (struct gal_str){name.p, n} : text;
    if (r->count >= GAL_FREEZE_PACKAGES_MAX)
        return wrong(r, line, "more than 5000 packages", text);
    r->packages[r->count] = (struct gal_pinned){.written = text, .line = line, .name = name};
    if (n > 0 && !put_name(r, name, &r->packages[r->count].name))
        return no_memory(r);
    r->count++;
    return GAL_OK;
}

static bool is_direct(struct gal_str text)
{
    return gal_str_starts(text, GAL_STR("-e ")) || gal_str_starts(text, GAL_STR("--editable")) ||
           gal_str_starts(text, GAL_STR(".")) || gal_str_starts(text, GAL_STR("/")) ||
           gal_str_starts(text, GAL_STR("git+")) || gal_str_starts(text, GAL_STR("http://")) ||
           gal_str_starts(text, GAL_STR("https://")) || gal_str_starts(text, GAL_STR("file:"));
}

static enum gal_status take_line(struct reader *r, struct gal_str text, unsigned line)
{
    text = before(text, " #");
    if (text.n == 0 || text.p[0] == '#')
        return GAL_OK;
    if (!gal_utf8_valid(text))
        return wrong(r, line, "not UTF-8", (struct gal_str){"", 0});
    if (is_direct(text))
        return add_direct(r, text, line);
    if (text.p[0] == '-') {
        if (r->option_count < GAL_FREEZE_PACKAGES_MAX)
            r->options[r->option_count++] = text;
        return GAL_OK;
    }
    return add_package(r, before(before(text, " --"), "\t--"), line);
}

/* A backslash at a line's end joins it with the next. The joined line is copied, once. */
static enum gal_status join(struct reader *r, struct gal_str *rest, struct gal_str *text,
                            unsigned *line)
{
    size_t room = text->n + rest->n + 2, n = 0;
    char *copy = gal_arena_small(r->arena, room);
    struct gal_str next = *text;
    bool more = true;
    if (!copy)
        return no_memory(r);
    while (more) {
        more = next.n > 0 && next.p[next.n - 1] == '\\';
        size_t take = next.n - more;
        memcpy(copy + n, next.p, take);
        n += take;
        copy[n++] = ' ';
        if (!more || !gal_str_cut(rest, '\n', &next))
            break;
        next = gal_str_trim(next);
        ++*line;
    }
    gal_arena_trim(r->arena, copy, room, n + 1);
    *text = gal_str_trim((struct gal_str){copy, n});
    return GAL_OK;
}

static enum gal_status read_lines(struct reader *r, struct gal_str text)
{
    struct gal_str line;
    unsigned number = 0;
    enum gal_status status = GAL_OK;
    while (!status && gal_str_cut(&text, '\n', &line)) {
        unsigned first = ++number;
        line = gal_str_trim(line);
        if (line.n > 0 && line.p[line.n - 1] == '\\')
            status = join(r, &text, &line, &number);
        if (!status)
            status = take_line(r, line, first);
    }
    return status;
}

/* --- what it tells --- */

static enum gal_status find(struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum gal_status find(struct reader *r, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *copy = gal_arena_strdup(r->arena, gal_str_of(text));
    if (!copy)
        return no_memory(r);
    r->findings[r->finding_count++] = gal_str_of(copy);
    return GAL_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

#define CUDA_SIZE 16

/* "cu121" is 12.1, "cu12" is 12; empty: no tag of CUDA. */
static void cuda_of(const struct gal_pinned *p, char out[CUDA_SIZE], bool *cpu)
{
    struct gal_str tag = {NULL, 0};
    const char *plus = p->version.n ? memchr(p->version.p, '+', p->version.n) : NULL;
    if (plus)
        tag = (struct gal_str){plus + 1, p->version.n - (size_t)(plus + 1 - p->version.p)};
    *cpu = gal_str_is(tag, "cpu");
    for (size_t i = p->name.n; !plus && i-- > 0;) {
        if (p->name.p[i] != '-' || !gal_str_starts(p->name, GAL_STR("nvidia-")))
            continue;
        tag = (struct gal_str){p->name.p + i + 1, p->name.n - i - 1};
        break;
    }
    size_t n = 2;
    while (n < tag.n && n < CUDA_SIZE - 2 && is_digit(tag.p[n]))
        n++;
    out[0] = '\0';
    if (gal_str_starts(tag, GAL_STR("cu")) && n >= 4)
        (void)snprintf(out, CUDA_SIZE, "%.2s%s%.*s", tag.p + 2, n > 4 ? "." : "", (int)n - 4,
                       tag.p + 4);
}

bool gal_cuda_agrees(struct gal_str a, struct gal_str b)
{
    struct gal_str x, y;
    while (a.n > 0 && b.n > 0) {
        (void)gal_str_cut(&a, '.', &x);
        (void)gal_str_cut(&b, '.', &y);
        if (!gal_str_eq(x, y))
            return false;
    }
    return true;
}

static enum gal_status look_at_cuda(struct reader *r, struct gal_environment *out)
{
    const struct gal_pinned *with = NULL, *without = NULL;
    enum gal_status status = GAL_OK;
    char first[CUDA_SIZE] = "", cuda[CUDA_SIZE];
    for (size_t i = 0; i < r->count && !status; i++) {
        const struct gal_pinned *p = &r->packages[i];
        bool cpu;
        cuda_of(p, cuda, &cpu);
        without = cpu && !without ? p : without;
        if (!cuda[0])
            continue;
        if (!gal_cuda_agrees(gal_str_of(cuda), gal_str_of(first))) {
            status = find(r, "%s:%u: %.*s is for CUDA %s, %.*s for CUDA %s", r->path, p->line,
                          GAL_STR_SHOWN(p->written), cuda, GAL_STR_SHOWN(with->written), first);
        } else if (strlen(cuda) > strlen(first)) {
            memcpy(first, cuda, sizeof first);
            with = p;
        }
    }
    if (!status && with && without)
        status = find(r, "%s:%u: %.*s is without CUDA, %.*s for CUDA %s", r->path, without->line,
                      GAL_STR_SHOWN(without->written), GAL_STR_SHOWN(with->written), first);
    out->cuda = gal_str_of(gal_arena_strdup(r->arena, gal_str_of(first)));
    return out->cuda.p ? status : no_memory(r);
}

/* MKL comes as packages of its own; numpy's and scipy's wheels bring OpenBLAS. */
static void look_at_blas(const struct reader *r, struct gal_environment *out)
{
    bool mkl = false, openblas = false, numpy = false;
    for (size_t i = 0; i < r->count; i++) {
        struct gal_str name = r->packages[i].name;
        mkl = mkl || gal_str_is(name, "mkl") || gal_str_is(name, "mkl-service") ||
              gal_str_is(name, "intel-mkl") || gal_str_is(name, "mkl-fft");
        openblas = openblas || gal_str_starts(name, GAL_STR("scipy-openblas")) ||
                   gal_str_is(name, "openblas") || gal_str_is(name, "libopenblas");
        numpy = numpy || gal_str_is(name, "numpy");
    }
    out->blas = mkl ? GAL_STR("MKL") : openblas || numpy ? GAL_STR("OpenBLAS") : out->blas;
}

static enum gal_status look(struct reader *r, struct gal_environment *out)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < r->count && !status; i++) {
        const struct gal_pinned *p = &r->packages[i];
        out->unpinned += !p->pinned;
        if (!p->pinned)
            status = find(r, "%s:%u: %.*s is not pinned to a version", r->path, p->line,
                          GAL_STR_SHOWN(p->written));
        else if (i > 0 && r->packages[i - 1].pinned &&
                 gal_str_eq(r->packages[i - 1].name, p->name) &&
                 !gal_str_eq(r->packages[i - 1].version, p->version))
            status = find(r, "%s:%u: %.*s contradicts line %u", r->path, p->line,
                          GAL_STR_SHOWN(p->written), r->packages[i - 1].line);
    }
    look_at_blas(r, out);
    return status ? status : look_at_cuda(r, out);
}

static int compare(const void *a, const void *b)
{
    const struct gal_pinned *x = a, *y = b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int order = n ? memcmp(x->name.p, y->name.p, n) : 0;
    if (order == 0)
        order = (x->name.n > y->name.n) - (x->name.n < y->name.n);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

enum gal_status gal_environment_read(struct gal_str text, const char *path, struct gal_arena *arena,
                                     struct gal_environment *out, struct gal_err *err)
{
    struct reader r = {.arena = arena, .path = path, .err = err};
    size_t lines = 1;
    *out = (struct gal_environment){.count = 0};
    if (text.n > GAL_FREEZE_BYTES_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%s: larger than %u bytes", path, GAL_FREEZE_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    lines = lines < GAL_FREEZE_PACKAGES_MAX ? lines : GAL_FREEZE_PACKAGES_MAX;
    r.packages = gal_arena_array(arena, lines + 1, sizeof *r.packages);
    r.options = gal_arena_array(arena, lines + 1, sizeof *r.options);
    r.findings = gal_arena_array(arena, 2 * lines + 2, sizeof *r.findings);
    if (!r.packages || !r.options || !r.findings)
        return no_memory(&r);
    enum gal_status status = read_lines(&r, text);
    if (status)
        return status;
    if (r.count > 0)
        qsort(r.packages, r.count, sizeof *r.packages, compare);
    out->packages = r.packages;
    out->count = r.count;
    out->options = r.options;
    out->option_count = r.option_count;
    status = look(&r, out);
    out->findings = r.findings;
    out->finding_count = r.finding_count;
    return status;
}

const struct gal_pinned *gal_environment_find(const struct gal_environment *e, struct gal_str name)
{
    for (size_t i = 0; i < e->count; i++) {
        if (gal_str_eq(e->packages[i].name, name))
            return &e->packages[i];
    }
    return NULL;
}
