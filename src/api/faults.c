/* SPDX-License-Identifier: Apache-2.0 */
#include "api/faults.h"

#include "api/route.h"

/* --- the list --- */

static struct gal_faults *list_of(struct gal_exchange *x)
{
    struct gal_faults *f = x->faults;
    size_t inputs = x->model != NULL && x->model->info != NULL ? x->model->info->input_count : 0;

    if (f != NULL)
        return f;
    f = gal_arena_small(&x->arena, sizeof(*f));
    if (f == NULL)
        return NULL;
    memset(f, 0, sizeof(*f));
    f->text = gal_arena_array(&x->arena, GAL_FAULTS_BYTES_MAX, 1);
    f->wrong = gal_arena_array(&x->arena, inputs + 1, sizeof(bool));
    if (f->text == NULL || f->wrong == NULL)
        return NULL;
    memset(f->wrong, 0, (inputs + 1) * sizeof(bool));
    x->faults = f;
    return f;
}

void gal_faults_add(struct gal_exchange *x, const char *text)
{
    struct gal_faults *f = list_of(x);
    size_t n = text != NULL ? strlen(text) : 0, gap = f != NULL && f->told > 0 ? 2 : 0;

    if (f == NULL)
        return;
    f->count++; /* without its text too: what was counted refuses the request */
    f->full = f->full || text == NULL || f->n + gap + n > GAL_FAULTS_BYTES_MAX;
    if (f->full)
        return;
    memcpy(f->text + f->n, "; ", gap);
    memcpy(f->text + f->n + gap, text, n);
    f->n += gap + n;
    f->told++;
}

struct gal_str gal_faults_text(struct gal_exchange *x)
{
    const struct gal_faults *f = x->faults;
    const char *whole;

    if (f == NULL || f->told == 0)
        return (struct gal_str){NULL, 0};
    if (f->told == f->count)
        return (struct gal_str){f->text, f->n};
    whole = f->uncounted ? gal_arena_printf(&x->arena, "%.*s; and more", (int)f->n, f->text)
                         : gal_arena_printf(&x->arena, "%.*s; and %zu more", (int)f->n, f->text,
                                            f->count - f->told);
    return whole != NULL ? gal_str_of(whole) : (struct gal_str){f->text, f->n};
}

/* --- what decoders find --- */

static bool has_features(const struct gal_exchange *x)
{
    const struct gal_manifest *m = x->model != NULL ? x->model->manifest : NULL;

    return m != NULL && m->feature_count > 0 && m->feature_count == x->model->info->input_count;
}

static bool applies(const struct gal_exchange *x)
{
    return has_features(x) && x->route != NULL &&
           (x->route->dialect == GAL_DIALECT_OIP || x->route->dialect == GAL_DIALECT_MLFLOW);
}

/* With the field's name, where the sentence has it not. */
static void add_err(struct gal_exchange *x, struct gal_str name, const struct gal_err *err)
{
    bool named = name.n == 0 || memmem(err->message, strlen(err->message), name.p, name.n) != NULL;
    struct gal_str front = named ? (struct gal_str){NULL, 0} : name;

    if (x->faults->full) { /* very many: no text that nobody will read */
        x->faults->count++;
        return;
    }
    gal_faults_add(x, gal_arena_printf(&x->arena, "%.*s%s%s%s%s%s%s%s", GAL_STR_SHOWN(front),
                                       named ? "" : ": ", err->message,
                                       err->place[0] != '\0' ? " (at " : "", err->place,
                                       err->place[0] != '\0' ? ")" : "",
                                       err->hint[0] != '\0' ? "; " : "", err->hint));
}

bool gal_faults_take(struct gal_exchange *x, struct gal_str name, const struct gal_err *err)
{
    struct gal_faults *f = err->code == GAL_INVALID && applies(x) ? list_of(x) : NULL;
    size_t i;

    if (f == NULL)
        return false;
    i = gal_port_find(x->model->info->inputs, x->model->info->input_count, name);
    if (i != SIZE_MAX)
        f->wrong[i] = true;
    add_err(x, name, err);
    return true;
}

bool gal_faults_take_row(struct gal_exchange *x, size_t input, size_t row,
                         const struct gal_err *err)
{
    struct gal_faults *f = err->code == GAL_INVALID && applies(x) ? list_of(x) : NULL;

    if (f == NULL)
        return false;
    if (f->spoilt_count < GAL_FAULTS_SPOILT_MAX)
        f->spoilt[f->spoilt_count++] = (struct gal_spoilt){input, row};
    else
        f->wrong[input] = true;
    add_err(x, x->model->info->inputs[input].name, err);
    return true;
}

bool gal_faults_stop(struct gal_exchange *x)
{
    if (x->faults == NULL || !x->faults->full)
        return false;
    x->faults->stopped = x->faults->uncounted = true;
    return true;
}

void gal_faults_cut(struct gal_exchange *x)
{
    gal_faults_add(x, NULL);
    (void)gal_faults_stop(x);
}

void gal_faults_end(struct gal_exchange *x, const struct gal_err *err)
{
    if (x->faults != NULL && err->code == GAL_INVALID)
        add_err(x, (struct gal_str){NULL, 0}, err);
}

/* --- what the features find --- */

/* A rule's finding stands on all values of its row. */
static bool is_spoilt(const struct gal_faults *f, const struct gal_finding *one)
{
    bool is_rule = strcmp(one->type, "rule") == 0;

    for (size_t i = 0; f != NULL && i < f->spoilt_count; i++)
        if (f->spoilt[i].row == one->row && (is_rule || f->spoilt[i].input == one->feature))
            return true;
    return false;
}

void gal_faults_find(struct gal_exchange *x, const struct gal_findings *findings)
{
    size_t told = 0;

    for (size_t i = 0; i < findings->count; i++) {
        const struct gal_finding *one = &findings->at[i];

        if (one->flag)
            continue;
        told++;
        if (is_spoilt(x->faults, one))
            continue;
        if (x->rows > 1)
            gal_faults_add(x,
                           gal_arena_printf(&x->arena, "instance %zu: %s", one->row, one->message));
        else
            gal_faults_add(x, one->message);
    }
    if (x->faults != NULL && findings->refused > told) {
        x->faults->count += findings->refused - told;
        x->faults->full = true;
        if (x->faults->spoilt_count > 0) /* some of them may be findings of what is not judged */
            x->faults->uncounted = true;
    }
}

static void find_missing(struct gal_exchange *x, const struct gal_infer *inf)
{
    const struct gal_model_info *info = x->model->info;

    for (size_t i = 0; i < info->input_count; i++) {
        if (inf->inputs[i].kind == GAL_KIND_NONE && !info->inputs[i].optional &&
            (x->faults == NULL || !x->faults->wrong[i]))
            gal_faults_add(
                x, gal_arena_printf(&x->arena, "input '%s' is missing", info->inputs[i].name.p));
    }
}

/* Has an element of one of its rows not been read? Beside what stands for the whole row there would
 * be no room for others' findings. */
static bool is_spoilt_vector(const struct gal_exchange *x, size_t input)
{
    const struct gal_faults *f = x->faults;

    for (size_t i = 0; x->model->manifest->features[input].rank > 0 && i < f->spoilt_count; i++)
        if (f->spoilt[i].input == input)
            return true;
    return false;
}

static void find_in_features(struct gal_exchange *x, const struct gal_infer *inf)
{
    size_t count = x->model->info->input_count;
    struct gal_findings *findings = gal_arena_small(&x->arena, sizeof(*findings));
    struct gal_value *given = gal_arena_array(&x->arena, count, sizeof(*given));
    struct gal_err err;

    if (findings == NULL || given == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        given[i] = inf->inputs[i];
        if (x->faults->wrong[i] || is_spoilt_vector(x, i) ||
            (given[i].kind == GAL_KIND_TENSOR && !given[i].tensor.data))
            given[i].kind = GAL_KIND_NONE;
    }
    if (gal_check_features(x->model->manifest, given, &x->arena, findings, &err) == GAL_OK)
        return;
    if (findings->refused > 0)
        gal_faults_find(x, findings);
    else
        gal_faults_add(x, err.message);
}

enum gal_status gal_faults_settle(struct gal_exchange *x, const struct gal_infer *inf,
                                  struct gal_err *err)
{
    bool is_whole = x->faults == NULL || !x->faults->stopped;

    if (!applies(x))
        return GAL_OK;
    if (is_whole)
        find_missing(x, inf);
    if (x->faults == NULL || x->faults->count == 0)
        return GAL_OK;
    if (is_whole)
        find_in_features(x, inf);
    if (x->faults->told == 0)
        return gal_fail(err, GAL_INVALID, "%zu fields are wrong; there is no memory to say which",
                        x->faults->count);
    return gal_fail(
        err, GAL_INVALID, "%.*s",
        (int)(x->faults->n < sizeof(err->message) ? x->faults->n : sizeof(err->message) - 1),
        x->faults->text);
}
