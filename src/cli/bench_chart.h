/* SPDX-License-Identifier: Apache-2.0 */
/* A chart as inline SVG: lines over a linear x, y linear or logarithmic. Colours are the page's
 * classes s0, s1, ...; text takes the page's colour. For bench_html.c. */
#ifndef GAL_CLI_BENCH_CHART_H
#define GAL_CLI_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define GAL_CHART_SERIES_MAX 8u

struct gal_chart_point {
    double x, y;
    const char *label; /* what a pointer shows; NULL: no mark is drawn */
};

struct gal_chart_series {
    char name[80];
    const struct gal_chart_point *points; /* by x or in order of the line; borrowed */
    size_t count;
    bool dashed;
};

struct gal_chart {
    const char *id;          /* for the title's id; unique on the page */
    const char *title, *sum; /* sum: what the chart shows, for who cannot see it */
    const char *x_name, *y_name;
    bool log_y; /* y are ns, above 0 */
    bool nines; /* x is the number of nines of a share */
    struct gal_chart_series series[GAL_CHART_SERIES_MAX];
    size_t series_count;
};

void gal_chart_put(FILE *out, const struct gal_chart *chart);
/* Text for HTML: & < > and quotes escaped, control characters as `?`. */
void gal_html_text(FILE *out, const char *text);

#endif
