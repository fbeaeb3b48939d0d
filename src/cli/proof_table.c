/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/proof_table.h"

#include "cli/print.h"
#include "text/json.h"

#include <inttypes.h>
#include <math.h>

#define WIDTH_MAX 40

static int width_of(const struct gal_proof *proof)
{
    int width = 8;
    for (size_t i = 0; i < proof->output_count; i++)
        width = (int)proof->outputs[i].output.n > width ? (int)proof->outputs[i].output.n : width;
    return width < WIDTH_MAX ? width : WIDTH_MAX;
}

/* Texts, whole numbers and NaN beside a number have no distance. */
static const char *difference_text(double d, char out[32])
{
    if (isinf(d))
        return "differs";
    snprintf(out, 32, "%.3g", d);
    return out;
}

void gal_proof_print(FILE *out, const struct gal_proof *proof, const struct gal_golden *g)
{
    int width = width_of(proof);
    char abs_text[32], rel_text[32];

    if (proof->output_count)
        fprintf(out, "    %-*s  %9s  %7s  %11s  %11s\n", width, "OUTPUT", "VALUES", "BEYOND",
                "ABSOLUTE", "RELATIVE");
    for (size_t i = 0; i < proof->output_count; i++) {
        const struct gal_difference *d = &proof->outputs[i];
        fputs("    ", out);
        gal_print_text(out, d->output);
        fprintf(out, "%*s  %9" PRIu64 "  %7" PRIu64 "  %11s  %11s\n",
                (int)d->output.n < width ? width - (int)d->output.n : 0, "", d->elements,
                d->differing, difference_text(d->abs_max, abs_text),
                difference_text(d->rel_max, rel_text));
        if (d->worst_case == SIZE_MAX || d->worst_case >= g->case_count)
            continue;
        fputs("      worst in '", out);
        gal_print_text(out, g->cases[d->worst_case].name);
        if (d->worst_element == SIZE_MAX) { /* its datatype or shape */
            fputs("': another datatype or shape\n", out);
            continue;
        }
        fprintf(out, "' [%zu]: expected ", d->worst_element);
        gal_print_text(out, gal_str_of(d->want));
        fputs(", got ", out);
        gal_print_text(out, gal_str_of(d->got));
        fputc('\n', out);
    }
}

static void put_worst(struct gal_buf *out, const struct gal_difference *d,
                      const struct gal_golden *g)
{
    gal_buf_puts(out, ",\"worst\":");
    if (d->worst_case == SIZE_MAX || d->worst_case >= g->case_count) {
        gal_buf_puts(out, "null");
        return;
    }
    gal_buf_puts(out, "{\"case\":");
    gal_json_put_str(out, g->cases[d->worst_case].name);
    if (d->worst_element != SIZE_MAX) {
        gal_buf_puts(out, ",\"element\":");
        gal_json_put_u64(out, d->worst_element);
        gal_buf_puts(out, ",\"expected\":");
        gal_json_put_str(out, gal_str_of(d->want));
        gal_buf_puts(out, ",\"got\":");
        gal_json_put_str(out, gal_str_of(d->got));
    }
    gal_buf_putc(out, '}');
}

void gal_proof_json(struct gal_buf *out, const struct gal_proof *proof, const struct gal_golden *g)
{
    gal_buf_puts(out, "\"cases\":");
    gal_json_put_u64(out, proof->cases);
    gal_buf_puts(out, ",\"failed\":");
    gal_json_put_u64(out, proof->failed_cases);
    gal_buf_puts(out, ",\"outputs\":[");
    for (size_t i = 0; i < proof->output_count; i++) {
        const struct gal_difference *d = &proof->outputs[i];
        gal_buf_puts(out, i ? ",{\"name\":" : "{\"name\":");
        gal_json_put_str(out, d->output);
        gal_buf_puts(out, ",\"values\":");
        gal_json_put_u64(out, d->elements);
        gal_buf_puts(out, ",\"beyond\":");
        gal_json_put_u64(out, d->differing);
        gal_buf_puts(out, ",\"absolute\":");
        gal_json_put_f64(out, d->abs_max);
        gal_buf_puts(out, ",\"relative\":");
        gal_json_put_f64(out, d->rel_max);
        put_worst(out, d, g);
        gal_buf_putc(out, '}');
    }
    gal_buf_putc(out, ']');
}
