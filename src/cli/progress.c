/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/mem.h"
#include "cli/print.h"
#include "net/loop.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINES_MAX 64u
#define SHOWN_MAX 8u /* lines of what moves, on a terminal */
#define DRAW_US 100000u
#define TELL_US 15000000u
#define BAR_WIDTH 20u
#define LABEL_WIDTH 26u
#define WIDTH_MIN 40u

/* One thing that moves. */
struct line {
    char id[96], label[64], verb[24];
    uint64_t first, done, total; /* bytes; first: when it was first seen */
    uint64_t begin_us, told_us;
};

struct gal_progress {
    struct gal_progress_options o;
    struct line lines[LINES_MAX];
    size_t count;
    unsigned drawn; /* lines on the terminal that are to be drawn over */
    uint64_t drawn_us;
};

static bool speaks_utf8(char *const *env)
{
    static const char *const names[] = {"LC_ALL=", "LC_CTYPE=", "LANG="};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (char *const *e = env; e && *e; e++) {
            const char *value = *e + strlen(names[i]);
            if (strncmp(*e, names[i], strlen(names[i])) == 0 && *value)
                return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
        }
    }
    return false;
}

static bool is_dumb(char *const *env)
{
    for (; env && *env; env++) {
        if (strcmp(*env, "TERM=dumb") == 0)
            return true;
    }
    return false;
}

struct gal_progress_options gal_progress_of(FILE *out, char *const *env)
{
    struct gal_progress_options o = {.out = out, .width = 80, .clock = &gal_clock_system};
    struct winsize size;
    int fd = fileno(out); /* -1 where it is memory */
    o.bars = fd >= 0 && isatty(fd) && !is_dumb(env);
    o.utf8 = speaks_utf8(env);
    if (o.bars && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        o.width = size.ws_col;
    return o;
}

struct gal_progress *gal_progress_new(const struct gal_progress_options *options)
{
    struct gal_progress *p = gal_calloc(1, sizeof *p);
    if (p)
        p->o = *options;
    return p;
}

#define HUMANE_SECONDS_MAX 3599999999u /* a million hours are for ever */

char *gal_humane_seconds(uint64_t seconds, char *out, size_t size)
{
    unsigned s = seconds < HUMANE_SECONDS_MAX ? (unsigned)seconds : HUMANE_SECONDS_MAX;
    if (s >= 3600)
        snprintf(out, size, "%u h %02u min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, size, "%u min %02u s", s / 60, s % 60);
    else
        snprintf(out, size, "%u s", s);
    return out;
}

/* --- lines --- */

static struct line *find(struct gal_progress *p, const char *id)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strncmp(p->lines[i].id, id, sizeof p->lines[i].id - 1) == 0)
            return &p->lines[i];
    }
    return NULL;
}

/* NULL: more move at once than there are lines; then some are not shown. */
static struct line *take(struct gal_progress *p, const char *id, const char *label, uint64_t done,
                         uint64_t now_us)
{
    struct line *l = find(p, id);
    if (l || p->count == LINES_MAX)
        return l;
    l = &p->lines[p->count++];
    *l = (struct line){.first = done, .begin_us = now_us, .told_us = now_us};
    snprintf(l->id, sizeof l->id, "%s", id);
    snprintf(l->label, sizeof l->label, "%s", label);
    return l;
}

/* Bytes a second since it was first seen; 0: too early to tell. */
static uint64_t rate_of(const struct line *l, uint64_t now_us)
{
    uint64_t us = now_us - l->begin_us, moved = l->done > l->first ? l->done - l->first : 0;
    return us < 200000 ? 0 : (uint64_t)((double)moved * 1e6 / (double)us);
}

/* "12.3 MiB of 45.6 MiB, 10.1 MiB/s, 3 s left" */
static void put_figures(char *out, size_t size, const struct line *l, uint64_t now_us)
{
    char done[24], total[24], rate[24], left[24];
    uint64_t speed = rate_of(l, now_us);
    int n = snprintf(out, size, "%s", gal_humane_bytes(l->done, done, sizeof done));
    if (l->total)
        n += snprintf(out + n, size - (size_t)n, " of %s",
                      gal_humane_bytes(l->total, total, sizeof total));
    if (speed)
        n += snprintf(out + n, size - (size_t)n, ", %s/s",
                      gal_humane_bytes(speed, rate, sizeof rate));
    if (speed && l->total > l->done)
        snprintf(out + n, size - (size_t)n, ", %s left",
                 gal_humane_seconds((l->total - l->done) / speed + 1, left, sizeof left));
}

static void put_bar(FILE *out, const struct line *l, bool utf8)
{
    double share = l->total ? (double)l->done / (double)l->total : 0;
    unsigned full = (unsigned)(share * BAR_WIDTH + 0.5);
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        if (utf8)
            fputs(i < full ? "\u2588" : "\u2591", out);
        else
            fputc(i < full ? '#' : '.', out);
    }
}

/* The start of a text without what could steer a terminal, in exactly `width` columns. */
static void put_cell(FILE *out, const char *text, unsigned width)
{
    struct gal_str s = gal_str_of(text);
    unsigned columns = 0;
    for (size_t i = 0, n; i < s.n && columns < width; i += n, columns++) {
        n = gal_utf8_next(s.p + i, s.n - i);
        n = n ? n : 1;
        gal_print_text(out, (struct gal_str){s.p + i, n});
    }
    fprintf(out, "%*s", (int)(width - columns), "");
}

/* --- terminals --- */

static void wipe(struct gal_progress *p)
{
    if (p->drawn)
        fprintf(p->o.out, "\033[%uA\r\033[J", p->drawn);
    p->drawn = 0;
}

static void draw(struct gal_progress *p, uint64_t now_us)
{
    char figures[160];
    unsigned used = LABEL_WIDTH + 1 + BAR_WIDTH + 1;
    wipe(p);
    for (size_t i = 0; i < p->count && i < SHOWN_MAX; i++) {
        const struct line *l = &p->lines[i];
        put_figures(figures, sizeof figures, l, now_us);
        put_cell(p->o.out, l->label, LABEL_WIDTH);
        fputc(' ', p->o.out);
        if (p->o.width > used + WIDTH_MIN / 2) {
            put_bar(p->o.out, l, p->o.utf8);
            fputc(' ', p->o.out);
        }
        int room = (int)p->o.width - (int)used - 1;
        fprintf(p->o.out, "%.*s\n", room > 0 ? room : 0, figures);
        p->drawn++;
    }
    if (p->count > SHOWN_MAX) {
        fprintf(p->o.out, "and %zu more\n", p->count - SHOWN_MAX);
        p->drawn++;
    }
    p->drawn_us = now_us;
    fflush(p->o.out);
}

/* --- calls --- */

void gal_progress_step(struct gal_progress *p, const char *id, const char *label, const char *verb,
                       uint64_t done, uint64_t total)
{
    char figures[160];
    if (!p)
        return;
    uint64_t now_us = gal_mono_us(p->o.clock);
    struct line *l = take(p, id, label, done, now_us);
    if (!l)
        return;
    l->done = done;
    l->total = total;
    snprintf(l->verb, sizeof l->verb, "%s", verb);
    if (p->o.bars && now_us - p->drawn_us >= DRAW_US) {
        draw(p, now_us);
    } else if (!p->o.bars && now_us - l->told_us >= TELL_US) {
        l->told_us = now_us;
        put_figures(figures, sizeof figures, l, now_us);
        gal_print_text(p->o.out, gal_str_of(l->label));
        fprintf(p->o.out, ": %s: %s\n", verb, figures);
        fflush(p->o.out);
    }
}

void gal_progress_done(struct gal_progress *p, const char *id, const char *label, const char *verb,
                       uint64_t bytes)
{
    char text[24], rate[24];
    if (!p)
        return;
    uint64_t now_us = gal_mono_us(p->o.clock), speed = 0;
    struct line *l = find(p, id);
    if (l) {
        l->done = bytes;
        speed = rate_of(l, now_us);
        *l = p->lines[--p->count];
    }
    if (p->o.bars)
        wipe(p);
    if (p->o.bars)
        put_cell(p->o.out, label, LABEL_WIDTH);
    else
        gal_print_text(p->o.out, gal_str_of(label));
    fprintf(p->o.out, "%s %s, %s", p->o.bars ? "" : ":", verb,
            gal_humane_bytes(bytes, text, sizeof text));
    if (speed)
        fprintf(p->o.out, ", %s/s", gal_humane_bytes(speed, rate, sizeof rate));
    fputc('\n', p->o.out);
    if (p->o.bars)
        draw(p, now_us);
    fflush(p->o.out);
}

void gal_progress_free(struct gal_progress *p)
{
    if (!p)
        return;
    wipe(p);
    fflush(p->o.out);
    gal_free(p);
}
