/* SPDX-License-Identifier: Apache-2.0 */
/* CSV and JSON Lines bodies, turned into what a JSON body would have been. */
#include "api/mlflow.h"

#include "text/csv.h"

/* So many columns beyond the model's inputs are looked up; there are errors about more than that.
 */
#define EXTRA_MAX GAL_NATIVE_ERRORS_MAX

/* What a column's fields are read as; NONE where the column is unknown, which is told later. */
static enum gal_dtype column_type(const struct gal_model *m, const struct gal_native *n, size_t i)
{
    const struct gal_model_info *info = m->info;
    size_t index = i;

    if (info->input_count == 1)
        return info->inputs[0].dtype;
    if (n->columns != NULL)
        index = gal_port_find(info->inputs, info->input_count, n->columns[i]);
    return index < info->input_count ? info->inputs[index].dtype : GAL_DT_NONE;
}

/* JSON's words for what it has no number for. */
static const char *special(struct gal_str s)
{
    static const struct {
        const char *from, *to;
    } words[] = {{"nan", "NaN"},
                 {"inf", "Infinity"},
                 {"+inf", "Infinity"},
                 {"-inf", "-Infinity"},
                 {"infinity", "Infinity"},
                 {"+infinity", "Infinity"},
                 {"-infinity", "-Infinity"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (gal_str_ieq(s, gal_str_of(words[i].from)))
            return words[i].to;
    return NULL;
}

/* What does not fit stays text, and is told where the rows are put into tensors. */
static void set_cell(yyjson_val *v, const struct gal_csv_field *f, enum gal_dtype dtype)
{
    struct gal_str plain = gal_str_trim(f->text);
    const char *word;

    memset(v, 0, sizeof(*v));
    if (dtype == GAL_DT_BOOL && gal_str_ieq(plain, GAL_STR("true"))) {
        unsafe_yyjson_set_bool(v, true);
        return;
    }
    if (dtype == GAL_DT_BOOL && gal_str_ieq(plain, GAL_STR("false"))) {
        unsafe_yyjson_set_bool(v, false);
        return;
    }
    if (dtype != GAL_DT_BYTES && gal_json_set_number(v, plain))
        return;
    memset(v, 0, sizeof(*v));
    word = gal_dtype_is_float(dtype) ? special(plain) : NULL;
    if (word != NULL)
        unsafe_yyjson_set_str(v, word);
    else
        unsafe_yyjson_set_strn(v, f->text.n > 0 ? f->text.p : "", f->text.n);
}

static enum gal_status check_text(const struct gal_csv_field *fields, size_t count, size_t line,
                                  struct gal_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (gal_utf8_valid(fields[i].text))
            continue;
        gal_fail(err, GAL_INVALID, "field %zu is not UTF-8", i + 1);
        if (err != NULL)
            gal_err_place(err, "line %zu", line);
        return GAL_INVALID;
    }
    return GAL_OK;
}

/* Values that the text can hold at most: a row takes one, each of its fields one. */
static size_t count_nodes(struct gal_str text)
{
    size_t n = 3;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == ',' ? 1 : text.p[i] == '\n' ? 2 : 0;
    return n;
}

static enum gal_status read_header(struct gal_csv *csv, struct gal_arena *arena,
                                   struct gal_native *n, struct gal_err *err)
{
    struct gal_csv_field *fields;
    struct gal_str *names;
    size_t count, line;
    enum gal_status st = gal_csv_next(csv, arena, &fields, &count, &line, err);

    if (st == GAL_OK)
        st = check_text(fields, count, line, err);
    if (st != GAL_OK)
        return st;
    names = gal_arena_array(arena, count, sizeof(*names));
    if (names == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; i < count; i++)
        names[i] = fields[i].text;
    n->columns = count > 0 ? names : NULL;
    n->column_count = count;
    n->columns_root = GAL_STR("header");
    return GAL_OK;
}

/* Rows on their way into values. */
struct rows {
    struct gal_csv csv;
    const struct gal_model *m;
    const struct gal_native *n;
    struct gal_arena *arena;
    enum gal_dtype *types; /* of the columns; NULL until the first row tells how many there are */
};

static enum gal_status find_types(struct rows *r, size_t count, struct gal_err *err)
{
    bool known = r->m->info->input_count == 1 || count <= r->m->info->input_count + EXTRA_MAX;

    r->types = gal_arena_array(r->arena, count, sizeof(*r->types));
    if (r->types == NULL)
        return gal_arena_fail(r->arena, count * sizeof(*r->types), "the columns", err);
    for (size_t i = 0; i < count; i++)
        r->types[i] = known ? column_type(r->m, r->n, i) : GAL_DT_NONE;
    return GAL_OK;
}

/* A row's value and its fields' behind it, from `at`. */
static enum gal_status read_row(struct rows *r, yyjson_val *at, size_t *taken, struct gal_err *err)
{
    struct gal_csv_field *fields;
    size_t count, line;
    enum gal_status st = gal_csv_next(&r->csv, r->arena, &fields, &count, &line, err);

    *taken = 0;
    if (st == GAL_OK)
        st = check_text(fields, count, line, err);
    if (st == GAL_OK && count > 0 && r->types == NULL)
        st = find_types(r, count, err);
    if (st != GAL_OK || count == 0)
        return st;
    for (size_t i = 0; i < count; i++)
        set_cell(at + 1 + i, &fields[i], r->types[i]);
    gal_json_set_array(at, count, count);
    *taken = count + 1;
    return GAL_OK;
}

enum gal_status gal_mlflow_csv(struct gal_str text, bool header, const struct gal_model *m,
                               struct gal_arena *arena, struct gal_mlflow *out, struct gal_err *err)
{
    struct gal_native *n = &out->rows;
    struct rows r = {.m = m, .n = n, .arena = arena};
    size_t nodes = 0, taken = 1;
    yyjson_val *tree;
    enum gal_status st;

    memset(out, 0, sizeof(*out));
    out->table = true;
    n->form = GAL_NATIVE_INSTANCES;
    n->root = GAL_STR("row");
    gal_csv_init(&r.csv, text);
    st = header ? read_header(&r.csv, arena, n, err) : GAL_OK;
    if (st != GAL_OK)
        return st;
    tree = gal_arena_array(arena, count_nodes(text), sizeof(*tree));
    if (tree == NULL)
        return gal_arena_fail(arena, count_nodes(text) * sizeof(*tree), "the CSV's values", err);
    for (; st == GAL_OK && taken > 0; n->rows += taken > 0) {
        st = read_row(&r, tree + 1 + nodes, &taken, err);
        nodes += taken;
    }
    if (st == GAL_OK && n->rows == 0)
        return gal_fail(err, GAL_INVALID,
                        header ? "expected a header and at least one row"
                               : "expected at least one row");
    if (st != GAL_OK)
        return st;
    gal_json_set_array(tree, n->rows, nodes);
    n->data = tree;
    return GAL_OK;
}

enum gal_status gal_mlflow_json_lines(struct gal_str text, struct gal_arena *arena,
                                      struct gal_str *out, struct gal_err *err)
{
    char *copy = gal_arena_small(arena, text.n + 2), *p = copy;
    struct gal_str rest = text, line;

    if (copy == NULL)
        return gal_arena_fail(arena, text.n + 2, "the lines", err);
    *p++ = '[';
    while (rest.n > 0 && gal_str_cut(&rest, '\n', &line)) {
        line = gal_str_trim(line);
        if (line.n == 0)
            continue;
        memcpy(p, line.p, line.n);
        p += line.n;
        *p++ = ',';
    }
    if (p[-1] == ',')
        p--;
    *p++ = ']';
    *out = (struct gal_str){copy, (size_t)(p - copy)};
    return GAL_OK;
}
