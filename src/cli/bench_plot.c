/* SPDX-License-Identifier: Apache-2.0 */
/* Latency against rate, drawn with characters: lines of braille dots where the terminal has them,
 * full stops elsewhere. */
#include "base/mem.h"
#include "cli/bench.h"
#include "cli/help.h"

#include <math.h>

#define COLUMNS 72
#define ROWS 16
#define DOTS_X 2 /* of a braille character */
#define DOTS_Y 4
#define LABEL_WIDTH 9

struct cell {
    unsigned char dots;   /* braille: bit a dot; else 1 where the line goes */
    unsigned char series; /* of what is drawn there last, from 1; 0: nothing */
    bool is_point;
};

struct canvas {
    struct cell cells[ROWS][COLUMNS];
    double x_max;     /* requests a second at the right edge */
    double low, high; /* log10 of ns at the bottom and the top */
    bool utf8, colour;
};

/* Side A's p50 and p99, then side B's. */
static const struct {
    const char *utf8, *ascii, *colour;
} marks[] = {
    {"\u25cb", "o", "34"}, {"\u25cf", "x", "33"}, {"\u25b3", "+", "36"}, {"\u25b2", "#", "35"}};

/* --- geometry --- */

static double column_of(const struct canvas *c, double rate)
{
    return rate / c->x_max * (COLUMNS - 1);
}

static double row_of(const struct canvas *c, double ns)
{
    double share = (log10(ns) - c->low) / (c->high - c->low);
    return (1 - share) * (ROWS - 1);
}

static void put_dot(struct canvas *c, double column, double row, unsigned char series)
{
    static const unsigned char bits[DOTS_Y][DOTS_X] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int x = (int)((column + 0.5) * DOTS_X), y = (int)((row + 0.5) * DOTS_Y);
    struct cell *cell;

    if (x < 0 || y < 0 || x >= COLUMNS * DOTS_X || y >= ROWS * DOTS_Y)
        return;
    cell = &c->cells[y / DOTS_Y][x / DOTS_X];
    if (cell->is_point)
        return;
    cell->dots |= bits[y % DOTS_Y][x % DOTS_X];
    cell->series = series;
}

static void put_line(struct canvas *c, double x1, double y1, double x2, double y2,
                     unsigned char series)
{
    double length = fmax(fabs(x2 - x1) * DOTS_X, fabs(y2 - y1) * DOTS_Y);
    int steps = length < 1 ? 1 : (int)length;

    for (int i = 0; i <= steps; i++) {
        double t = (double)i / steps;
        put_dot(c, x1 + (x2 - x1) * t, y1 + (y2 - y1) * t, series);
    }
}

static void put_point(struct canvas *c, double column, double row, unsigned char series)
{
    int x = (int)(column + 0.5), y = (int)(row + 0.5);

    if (x >= 0 && y >= 0 && x < COLUMNS && y < ROWS)
        c->cells[y][x] = (struct cell){.series = series, .is_point = true};
}

/* --- series --- */

static double latency_of(const struct gal_load_summary *s, unsigned series)
{
    return (double)(series % 2 == 0 ? s->latency.p50 : s->latency.p99);
}

static bool is_drawn(const struct gal_load_summary *s)
{
    return s && s->ok > 0 && s->latency.p50 > 0;
}

static size_t find_bounds(const struct gal_bench *b, struct canvas *c)
{
    double low = INFINITY, high = 0;
    size_t points = 0;

    for (size_t side = 0; side < b->side_count; side++) {
        size_t here = 0;
        for (size_t i = 0; i < b->steps_done; i++) {
            const struct gal_load_summary *s = gal_bench_median(b, i, side);
            if (!is_drawn(s))
                continue;
            c->x_max = fmax(c->x_max, s->rate);
            low = fmin(low, latency_of(s, 0));
            high = fmax(high, latency_of(s, 1));
            here++;
        }
        points = here > points ? here : points;
    }
    c->low = log10(low) - 0.05;
    c->high = fmax(log10(high) + 0.05, c->low + 0.5);
    return points;
}

/* Lines first: points lie on top. */
static void draw(const struct gal_bench *b, struct canvas *c, unsigned series, bool lines)
{
    const struct gal_load_summary *last = NULL;

    for (size_t i = 0; i < b->steps_done; i++) {
        const struct gal_load_summary *s = gal_bench_median(b, i, series / 2);
        double x, y;
        if (!is_drawn(s))
            continue;
        x = column_of(c, s->rate);
        y = row_of(c, latency_of(s, series));
        if (!lines)
            put_point(c, x, y, (unsigned char)(series + 1));
        else if (last)
            put_line(c, column_of(c, last->rate), row_of(c, latency_of(last, series)), x, y,
                     (unsigned char)(series + 1));
        last = s;
    }
}

/* --- output --- */

static void put_braille(FILE *out, unsigned char dots)
{
    unsigned code = 0x2800u + dots; /* three bytes of UTF-8 */
    fputc((int)(0xe0 | code >> 12), out);
    fputc((int)(0x80 | (code >> 6 & 0x3f)), out);
    fputc((int)(0x80 | (code & 0x3f)), out);
}

static void put_mark(const struct canvas *c, FILE *out, unsigned series)
{
    fputs(c->utf8 ? marks[series].utf8 : marks[series].ascii, out);
}

static void put_cell(const struct canvas *c, FILE *out, const struct cell *cell)
{
    if (cell->series == 0) {
        fputc(' ', out);
        return;
    }
    if (c->colour)
        fprintf(out, "\033[%sm", marks[cell->series - 1].colour);
    if (cell->is_point)
        put_mark(c, out, cell->series - 1u);
    else if (c->utf8)
        put_braille(out, cell->dots);
    else
        fputc('.', out);
    if (c->colour)
        fputs("\033[0m", out);
}

/* The label of a row: the latency of 1, 2 or 5 times a power of ten that falls into it. */
static void put_label(const struct canvas *c, FILE *out, int row)
{
    static const double steps[] = {1, 2, 5};
    char text[GAL_SHORT_SIZE] = "";

    for (int power = (int)c->low; power <= (int)c->high; power++) {
        for (size_t i = 0; i < 3; i++) {
            double ns = steps[i] * pow(10, power);
            if ((int)(row_of(c, ns) + 0.5) == row && log10(ns) >= c->low)
                gal_short_ns(ns, text);
        }
    }
    fprintf(out, "%*s %s", LABEL_WIDTH, text, c->utf8 ? (text[0] ? "\u2524" : "\u2502") : "|");
}

static void put_axis(const struct canvas *c, FILE *out)
{
    char rate[GAL_SHORT_SIZE], half[GAL_SHORT_SIZE];

    fprintf(out, "%*s %s", LABEL_WIDTH, "", c->utf8 ? "\u2514" : "+");
    for (int i = 0; i < COLUMNS; i++)
        fputs(c->utf8 ? "\u2500" : "-", out);
    gal_short_count(c->x_max, rate);
    gal_short_count(c->x_max / 2, half);
    fprintf(out, "\n%*s 0%*s%*s requests/s\n", LABEL_WIDTH + 1, "", COLUMNS / 2 - 1, half,
            COLUMNS / 2, rate);
}

static void put_legend(const struct gal_bench *b, const struct canvas *c, FILE *out)
{
    fprintf(out, "%*s", LABEL_WIDTH + 2, "");
    for (unsigned i = 0; i < 2 * b->side_count; i++) {
        if (c->colour)
            fprintf(out, "\033[%sm", marks[i].colour);
        put_mark(c, out, i);
        fputs(c->colour ? "\033[0m" : "", out);
        fprintf(out, " %s%s   ",
                b->side_count == 1 ? ""
                : i < 2            ? "A "
                                   : "B ",
                i % 2 ? "p99" : "p50");
    }
    fputc('\n', out);
}

void gal_bench_plot(struct gal_bench *b)
{
    FILE *out = b->cli->out;
    struct canvas *c = gal_calloc(1, sizeof(*c));

    if (!c)
        return; /* the table says the same */
    c->utf8 = b->utf8;
    c->colour = gal_colour_wanted(out);
    if (b->plan.rows.count == 1 && find_bounds(b, c) >= 3) {
        for (unsigned series = 0; series < 2 * b->side_count; series++)
            draw(b, c, series, true);
        for (unsigned series = 0; series < 2 * b->side_count; series++)
            draw(b, c, series, false);
        fprintf(out, "\nlatency against rate\n");
        for (int row = 0; row < ROWS; row++) {
            put_label(c, out, row);
            for (int i = 0; i < COLUMNS; i++)
                put_cell(c, out, &c->cells[row][i]);
            fputc('\n', out);
        }
        put_axis(c, out);
        put_legend(b, c, out);
    }
    gal_free(c);
}
