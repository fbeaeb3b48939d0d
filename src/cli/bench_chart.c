/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_chart.h"

#include "cli/bench.h"

#include <math.h>

#define WIDTH 560.0
#define HEIGHT 300.0
#define LEFT 76.0
#define RIGHT 16.0
#define TOP 34.0
#define BOTTOM 46.0

struct frame {
    double x_min, x_max, y_min, y_max; /* y in log10 where the chart is */
};

void gal_html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else
            fputc(c < ' ' || c == 0x7f ? '?' : c, out);
    }
}

/* --- scales --- */

static double scaled(const struct gal_chart *c, double y)
{
    return c->log_y ? log10(y) : y;
}

static double x_at(const struct frame *f, double x)
{
    return LEFT + (x - f->x_min) / (f->x_max - f->x_min) * (WIDTH - LEFT - RIGHT);
}

static double y_at(const struct frame *f, double y)
{
    return HEIGHT - BOTTOM - (y - f->y_min) / (f->y_max - f->y_min) * (HEIGHT - TOP - BOTTOM);
}

static void fit(const struct gal_chart *c, struct frame *f)
{
    double low = INFINITY, high = -INFINITY;

    *f = (struct frame){.x_min = 0, .x_max = 0};
    for (size_t s = 0; s < c->series_count; s++) {
        for (size_t i = 0; i < c->series[s].count; i++) {
            double y = scaled(c, c->series[s].points[i].y);
            f->x_max = fmax(f->x_max, c->series[s].points[i].x);
            low = fmin(low, y);
            high = fmax(high, y);
        }
    }
    f->x_max = f->x_max > 0 ? f->x_max * 1.03 : 1;
    f->y_min = c->log_y ? low - 0.08 : 0;
    f->y_max = c->log_y ? fmax(high + 0.08, low + 0.5) : high > 0 ? high * 1.06 : 1;
}

/* 1, 2 or 5 times a power of ten, so that about `wanted` steps fit. */
static double step_of(double span, double wanted)
{
    double raw = span / wanted, power = pow(10, floor(log10(raw)));

    if (raw <= power)
        return power;
    if (raw <= 2 * power)
        return 2 * power;
    return raw <= 5 * power ? 5 * power : 10 * power;
}

/* --- axes --- */

static void put_x_tick(FILE *out, const struct frame *f, double x, const char *label)
{
    fprintf(out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
            x_at(f, x), TOP, x_at(f, x), HEIGHT - BOTTOM, x_at(f, x), HEIGHT - BOTTOM + 16, label);
}

static void put_y_tick(FILE *out, const struct frame *f, double y, const char *label)
{
    fprintf(out,
            "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            LEFT, y_at(f, y), WIDTH - RIGHT, y_at(f, y), LEFT - 6, y_at(f, y) + 4, label);
}

static void put_x_axis(FILE *out, const struct gal_chart *c, const struct frame *f)
{
    static const char *const shares[] = {"0", "90 %", "99 %", "99.9 %", "99.99 %"};
    double step = c->nines ? 1 : step_of(f->x_max, 6);
    char label[GAL_SHORT_SIZE];

    for (int i = 0; i * step <= f->x_max && i < 50; i++) {
        if (c->nines)
            put_x_tick(out, f, i, i < 5 ? shares[i] : "");
        else
            put_x_tick(out, f, i * step, gal_short_count(i * step, label));
    }
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" class=\"name\">%s</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, c->x_name);
}

static void put_log_axis(FILE *out, const struct frame *f)
{
    static const double steps[] = {1, 2, 5};
    bool few = f->y_max - f->y_min > 3; /* decades only */
    char label[GAL_SHORT_SIZE];

    for (int power = (int)floor(f->y_min); power <= (int)f->y_max; power++) {
        for (size_t i = 0; i < (few ? 1 : 3); i++) {
            double ns = steps[i] * pow(10, power);
            if (log10(ns) >= f->y_min && log10(ns) <= f->y_max)
                put_y_tick(out, f, log10(ns), gal_short_ns(ns, label));
        }
    }
}

static void put_y_axis(FILE *out, const struct gal_chart *c, const struct frame *f)
{
    double step = step_of(f->y_max, 6);
    char label[GAL_SHORT_SIZE];

    if (c->log_y)
        put_log_axis(out, f);
    for (int i = 0; !c->log_y && i * step <= f->y_max && i < 50; i++)
        put_y_tick(out, f, i * step, gal_short_count(i * step, label));
    fprintf(out,
            "<text x=\"14\" y=\"%.1f\" text-anchor=\"middle\" class=\"name\" "
            "transform=\"rotate(-90 14 %.1f)\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2, c->y_name);
}

/* --- lines --- */

static void put_mark(FILE *out, double x, double y, size_t series, const char *label)
{
    static const char *const shapes[] = {"<circle r=\"4\"", "<path d=\"M-4-4H4V4H-4z\"",
                                         "<path d=\"M0-5L5 4H-5z\"",
                                         "<path d=\"M0-6L6 0 0 6-6 0z\""};

    fprintf(out, "%s class=\"m s%zu\" transform=\"translate(%.1f %.1f)\">", shapes[series % 4],
            series, x, y);
    if (label) {
        fputs("<title>", out);
        gal_html_text(out, label);
        fputs("</title>", out);
    }
    fputs(series % 4 == 0 ? "</circle>\n" : "</path>\n", out);
}

static void put_series(FILE *out, const struct gal_chart *c, const struct frame *f, size_t index)
{
    const struct gal_chart_series *s = &c->series[index];

    fprintf(out, "<polyline class=\"l s%zu\"%s points=\"", index,
            s->dashed ? " stroke-dasharray=\"6 4\"" : "");
    for (size_t i = 0; i < s->count; i++)
        fprintf(out, "%s%.1f,%.1f", i ? " " : "", x_at(f, s->points[i].x),
                y_at(f, scaled(c, s->points[i].y)));
    fputs("\"/>\n", out);
    for (size_t i = 0; i < s->count; i++) {
        if (s->points[i].label)
            put_mark(out, x_at(f, s->points[i].x), y_at(f, scaled(c, s->points[i].y)), index,
                     s->points[i].label);
    }
}

static void put_legend(FILE *out, const struct gal_chart *c)
{
    double x = LEFT + 8;

    for (size_t i = 0; i < c->series_count; i++) {
        put_mark(out, x, 18, i, NULL);
        fprintf(out, "<text x=\"%.1f\" y=\"22\">", x + 10);
        gal_html_text(out, c->series[i].name);
        fputs("</text>\n", out);
        x += 30 + 7.0 * (double)strlen(c->series[i].name);
    }
}

void gal_chart_put(FILE *out, const struct gal_chart *c)
{
    struct frame f;

    fit(c, &f);
    fprintf(out,
            "<figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"%s-t %s-d\">\n"
            "<title id=\"%s-t\">",
            WIDTH, HEIGHT, c->id, c->id, c->id);
    gal_html_text(out, c->title);
    fprintf(out, "</title><desc id=\"%s-d\">", c->id);
    gal_html_text(out, c->sum);
    fputs("</desc>\n", out);
    put_x_axis(out, c, &f);
    put_y_axis(out, c, &f);
    for (size_t i = 0; i < c->series_count; i++)
        put_series(out, c, &f, i);
    put_legend(out, c);
    fputs("</svg><figcaption>", out);
    gal_html_text(out, c->title);
    fputs("</figcaption></figure>\n", out);
}
