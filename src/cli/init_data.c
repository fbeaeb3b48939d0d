/* SPDX-License-Identifier: Apache-2.0 */
/* `galley init --data`: the bounds of outliers out of the training data (VAL-03). */
#include "cli/init.h"

#include "base/file.h"
#include "base/mem.h"
#include "text/csv.h"

#include <math.h>
#include <stdlib.h>

#define ROWS_MIN 100u /* a percentile of fewer says nothing */
#define CELL_BYTES_MAX 64u
#define SHARE 0.01 /* of the rows beyond either bound */

/* One feature's values. */
struct series {
    struct gal_draft_feature *feature; /* NULL: of a column that is none, or holds no numbers */
    double *at;                        /* owned */
    size_t count, cap;
};

struct reader {
    const char *path;
    struct series *series; /* one a column of the file */
    size_t column_count;
    struct gal_err *err;
};

static bool is_number(const struct gal_draft_feature *f)
{
    return f->rank == 0 && !f->values && strcmp(f->type, "text") != 0 &&
           strcmp(f->type, "bool") != 0;
}

static enum gal_status fail_cell(const struct reader *r, const struct series *s, size_t line,
                                 struct gal_str text)
{
    gal_fail(r->err, GAL_INVALID, "%.*s: '%.*s' is no number", GAL_STR_SHOWN(s->feature->name),
             GAL_STR_SHOWN(text));
    gal_err_place(r->err, "%s: line %zu", r->path, line);
    return GAL_INVALID;
}

static bool is_missing(struct gal_str s)
{
    static const char *const words[] = {"", "NaN", "nan", "NA", "null", "None"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (gal_str_is(s, words[i]))
            return true;
    return false;
}

static enum gal_status add(const struct reader *r, struct series *s, size_t line,
                           struct gal_str text)
{
    char copy[CELL_BYTES_MAX], *end;

    text = gal_str_trim(text);
    if (is_missing(text))
        return GAL_OK;
    if (text.n >= sizeof(copy))
        return fail_cell(r, s, line, text);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    double v = strtod(copy, &end);
    if (end != copy + text.n || !isfinite(v))
        return fail_cell(r, s, line, text);
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        double *grown = gal_realloc(s->at, cap * sizeof(*grown));
        if (!grown)
            return gal_fail(r->err, GAL_NO_MEMORY, "no memory for %s", r->path);
        s->at = grown;
        s->cap = cap;
    }
    s->at[s->count++] = v;
    return GAL_OK;
}

/* --- the file --- */

/* The header: which column is which feature. */
static enum gal_status map_columns(struct gal_init *in, struct reader *r,
                                   const struct gal_csv_field *fields, size_t count)
{
    struct gal_draft_feature *features = (struct gal_draft_feature *)(uintptr_t)in->draft.features;
    bool any = false;

    r->series = gal_arena_array(&in->arena, count + 1, sizeof(*r->series));
    if (!r->series)
        return gal_fail(r->err, GAL_NO_MEMORY, "no memory for %s", r->path);
    memset(r->series, 0, (count + 1) * sizeof(*r->series));
    r->column_count = count;
    for (size_t c = 0; c < count; c++)
        for (size_t i = 0; i < in->draft.feature_count; i++) {
            if (!gal_str_eq(features[i].name, gal_str_trim(fields[c].text)))
                continue;
            any = true;
            if (is_number(&features[i]))
                r->series[c].feature = &features[i];
        }
    if (any)
        return GAL_OK;
    gal_fail(r->err, GAL_INVALID, "none of its columns is a feature of the model");
    gal_err_place(r->err, "%s: line 1", r->path);
    return GAL_INVALID;
}

/* Records are forgotten one by one: the file may be large. */
static enum gal_status read_rows(struct gal_init *in, struct reader *r, struct gal_str text)
{
    struct gal_arena scratch;
    struct gal_csv csv;
    struct gal_csv_field *fields;
    size_t count, line;
    enum gal_status status;

    gal_arena_init(&scratch, 4096, 1 << 20, 64u << 20);
    gal_csv_init(&csv, text);
    status = gal_csv_next(&csv, &scratch, &fields, &count, &line, r->err);
    if (status == GAL_OK)
        status = map_columns(in, r, fields, count);
    while (status == GAL_OK && count > 0) {
        gal_arena_clear(&scratch);
        status = gal_csv_next(&csv, &scratch, &fields, &count, &line, r->err);
        for (size_t c = 0; status == GAL_OK && c < count; c++)
            if (r->series[c].feature)
                status = add(r, &r->series[c], line, fields[c].text);
    }
    gal_arena_release(&scratch);
    if (status != GAL_OK && r->err && strncmp(r->err->place, "line", 4) == 0) {
        struct gal_err inner = *r->err;
        gal_err_place(r->err, "%s: %s", r->path, inner.place);
    }
    return status;
}

/* --- percentiles --- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* As numpy.quantile: between its neighbours, in proportion. */
static double quantile(const struct series *s, double share)
{
    double at = share * (double)(s->count - 1), low = floor(at);
    size_t i = (size_t)low;

    return i + 1 < s->count ? s->at[i] + (at - low) * (s->at[i + 1] - s->at[i]) : s->at[i];
}

static void set_bounds(struct gal_init *in, const struct reader *r, struct series *s)
{
    struct gal_draft_feature *f = s->feature;

    if (s->count < ROWS_MIN) {
        gal_init_note(in, gal_arena_printf(&in->arena,
                                           "%.*s: %zu values in %s are too few for "
                                           "bounds of outliers",
                                           GAL_STR_SHOWN(f->name), s->count, r->path));
        return;
    }
    qsort(s->at, s->count, sizeof(*s->at), by_size);
    f->outlier_below = quantile(s, SHARE);
    f->outlier_above = quantile(s, 1 - SHARE);
    f->has_outlier = f->outlier_below < f->outlier_above;
    f->outlier_note = gal_arena_printf(&in->arena, "1st and 99th percentile of %zu rows of %s",
                                       s->count, gal_path_base(r->path));
}

enum gal_status gal_init_data(struct gal_init *in, const char *path, struct gal_err *err)
{
    struct reader r = {.path = path, .err = err};
    struct gal_str map;
    enum gal_status status = gal_file_map(path, &map, err);

    if (status != GAL_OK)
        return status;
    status = read_rows(in, &r, map);
    for (size_t c = 0; c < r.column_count; c++) {
        if (status == GAL_OK && r.series[c].feature)
            set_bounds(in, &r, &r.series[c]);
        gal_free(r.series[c].at);
    }
    gal_file_unmap(map);
    return status;
}
