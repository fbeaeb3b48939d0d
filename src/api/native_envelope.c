/* SPDX-License-Identifier: Apache-2.0 */
/* The outside of a native request, and errors as the client sees them. */
#include "api/native.h"

#include <stdio.h>

/* Keys of a client in an error: longer ones are cut. */
#define KEY_BYTES_MAX 128u

void gal_native_wrong(struct gal_native *n, struct gal_arena *arena, struct gal_str root,
                      const char *type, const char *message)
{
    const char *copy = gal_arena_strdup(arena, gal_str_of(message));

    if (n->errors.count == GAL_NATIVE_ERRORS_MAX)
        return;
    n->errors.at[n->errors.count++] = (struct gal_native_error){
        .root = root,
        .row = SIZE_MAX,
        .indexes = "",
        .type = type,
        .message = copy != NULL ? copy : "out of memory",
    };
}

static void wrong_type(struct gal_native *n, struct gal_arena *arena, struct gal_str root,
                       const char *expected, const yyjson_val *got)
{
    char text[128];

    snprintf(text, sizeof(text), "expected %s, got %s", expected, gal_json_type_name(got));
    gal_native_wrong(n, arena, root, "type", text);
}

static void take_version(struct gal_native *n, struct gal_arena *arena, yyjson_val *v)
{
    if (yyjson_is_null(v))
        return;
    if (yyjson_is_str(v))
        n->version = (struct gal_str){yyjson_get_str(v), yyjson_get_len(v)};
    else
        wrong_type(n, arena, GAL_STR("model_version"), "a string or null", v);
}

static void take_features(struct gal_native *n, struct gal_arena *arena, yyjson_val *v, bool batch)
{
    if (batch)
        gal_native_wrong(n, arena, GAL_STR("features"), "unknown",
                         "a batch request takes \"instances\"");
    else if (!yyjson_is_ctn(v))
        wrong_type(n, arena, GAL_STR("features"), "an object or an array", v);
    n->form = GAL_NATIVE_FEATURES;
    n->data = v;
    n->rows = 1;
}

static void take_instances(struct gal_native *n, struct gal_arena *arena, yyjson_val *v)
{
    if (!yyjson_is_arr(v))
        wrong_type(n, arena, GAL_STR("instances"), "an array", v);
    else if (yyjson_arr_size(v) == 0)
        gal_native_wrong(n, arena, GAL_STR("instances"), "length",
                         "expected at least one instance");
    n->form = GAL_NATIVE_INSTANCES;
    n->data = v;
    n->rows = yyjson_arr_size(v);
}

static void take_envelope(struct gal_native *n, struct gal_arena *arena, yyjson_val *root,
                          bool batch)
{
    size_t i, max;
    yyjson_val *k, *v;
    bool has_version = false;

    yyjson_obj_foreach(root, i, max, k, v)
    {
        bool twice = false;

        if (yyjson_equals_str(k, "features") || yyjson_equals_str(k, "instances")) {
            twice = n->data != NULL;
            if (!twice && yyjson_equals_str(k, "features"))
                take_features(n, arena, v, batch);
            else if (!twice)
                take_instances(n, arena, v);
        } else if (yyjson_equals_str(k, "model_version")) {
            twice = has_version;
            has_version = true;
            take_version(n, arena, v);
        } else {
            gal_native_wrong(n, arena, (struct gal_str){yyjson_get_str(k), yyjson_get_len(k)},
                             "unknown",
                             "unknown field; a request has \"features\" or \"instances\", and "
                             "\"model_version\"");
        }
        if (twice)
            gal_native_wrong(n, arena, (struct gal_str){yyjson_get_str(k), yyjson_get_len(k)},
                             "duplicate",
                             "a request has \"features\" or \"instances\", and each key once");
    }
}

enum gal_status gal_native_envelope(yyjson_val *root, bool batch, struct gal_arena *arena,
                                    struct gal_native *n)
{
    n->data = NULL;
    n->rows = 0;
    n->form = GAL_NATIVE_FLAT;
    n->version = n->root = n->columns_root = n->unwrap = (struct gal_str){NULL, 0};
    n->columns = NULL;
    n->column_count = 0;
    n->errors.count = 0;
    if (!yyjson_is_obj(root)) {
        wrong_type(n, arena, (struct gal_str){NULL, 0},
                   batch ? "an object with \"instances\""
                         : "an object with \"features\" or \"instances\"",
                   root);
    } else if (yyjson_obj_get(root, "features") != NULL ||
               yyjson_obj_get(root, "instances") != NULL) {
        take_envelope(n, arena, root, batch);
    } else if (batch) {
        gal_native_wrong(n, arena, GAL_STR("instances"), "missing", "missing field");
    } else {
        n->data = root;
        n->rows = 1;
    }
    return n->errors.count > 0 ? GAL_INVALID : GAL_OK;
}

/* --- a package's findings --- */

/* An error of the row's that is about the feature, or about the whole row. */
static bool has_error(const struct gal_native *n, size_t count, size_t row, struct gal_str name,
                      bool any)
{
    for (size_t i = 0; i < count; i++) {
        const struct gal_native_error *e = &n->errors.at[i];

        if ((e->row == row || e->row == SIZE_MAX) &&
            (any || e->key.p == NULL || gal_str_eq(e->key, name)))
            return true;
    }
    return false;
}

void gal_native_find(struct gal_native *n, const struct gal_manifest *m,
                     const struct gal_findings *findings, struct gal_arena *arena)
{
    static const struct gal_str roots[] = {
        [GAL_NATIVE_FEATURES] = {"features", 8},
        [GAL_NATIVE_FLAT] = {NULL, 0},
        [GAL_NATIVE_INSTANCES] = {"instances", 9},
    };
    size_t before = n->errors.count;
    /* Elements of one vector have names of their own: what could not be read of them is in it. */
    bool is_vector = m->feature_count == 1 && m->features[0].rank > 0;

    for (size_t i = 0; i < findings->count && n->errors.count < GAL_NATIVE_ERRORS_MAX; i++) {
        const struct gal_finding *f = &findings->at[i];
        struct gal_str name = gal_check_field(m, f);
        bool is_output = f->feature >= m->feature_count;
        const char *index = "";

        if (f->flag ||
            has_error(n, before, f->row, name, is_vector || strcmp(f->type, "rule") == 0))
            continue;
        if (!is_output && m->features[f->feature].rank > 0)
            index = gal_arena_printf(arena, "[%zu]", f->element);
        n->errors.at[n->errors.count++] = (struct gal_native_error){
            .root = n->root.p != NULL ? n->root : roots[n->form],
            .row = n->form == GAL_NATIVE_INSTANCES ? f->row : SIZE_MAX,
            .key = name,
            .indexes = index != NULL ? index : "",
            .type = f->type,
            .message = f->message,
        };
    }
}

/* --- errors to JSON --- */

static struct gal_str cut(struct gal_str s)
{
    if (s.n > KEY_BYTES_MAX)
        s.n = KEY_BYTES_MAX;
    return s;
}

/* "body","instances",3,"hour_of_day",0 */
static void put_loc(const struct gal_native_error *e, struct gal_buf *out)
{
    gal_buf_puts(out, "\"body\"");
    if (e->root.p != NULL) {
        gal_buf_putc(out, ',');
        gal_json_put_str(out, cut(e->root));
    }
    if (e->row != SIZE_MAX) {
        gal_buf_putc(out, ',');
        gal_buf_put_u64(out, e->row);
    }
    if (e->key.p != NULL) {
        gal_buf_putc(out, ',');
        gal_json_put_str(out, cut(e->key));
    }
    for (const char *p = e->indexes; *p != '\0'; p++) /* [1][0] */
        if (*p != ']')
            gal_buf_putc(out, *p == '[' ? ',' : *p);
}

const char *gal_native_error_place(const struct gal_native_error *e, char *out, size_t size)
{
    struct gal_str root = cut(e->root), key = cut(e->key);
    char row[32] = "";

    if (e->row != SIZE_MAX)
        snprintf(row, sizeof(row), "[%zu]", e->row);
    snprintf(out, size, "%.*s%s%s%.*s%s", GAL_STR_ARG(root), row,
             root.p != NULL && key.p != NULL ? "." : "", GAL_STR_ARG(key), e->indexes);
    return out;
}

void gal_native_put_errors(const struct gal_native_errors *errors, const char *request_id,
                           struct gal_buf *out)
{
    char field[2 * KEY_BYTES_MAX + 256];

    gal_buf_puts(out, "{\"detail\":[");
    for (size_t i = 0; i < errors->count; i++) {
        const struct gal_native_error *e = &errors->at[i];

        gal_buf_puts(out, i > 0 ? ",{\"loc\":[" : "{\"loc\":[");
        put_loc(e, out);
        gal_buf_puts(out, "],\"field\":");
        gal_json_put_str(out, gal_str_of(gal_native_error_place(e, field, sizeof(field))));
        gal_buf_puts(out, ",\"msg\":");
        gal_json_put_str(out, gal_str_of(e->message));
        gal_buf_puts(out, ",\"type\":");
        gal_json_put_str(out, gal_str_of(e->type));
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "],\"request_id\":");
    gal_json_put_str(out, gal_str_of(request_id));
    gal_buf_putc(out, '}');
}
