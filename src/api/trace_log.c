/* SPDX-License-Identifier: Apache-2.0 */
#include "api/trace_impl.h"
#include "base/mem.h"

/* --- life --- */

static const struct gal_trace_values untold = {0, GAL_TRACE_RATE, -1, 0};

enum gal_status gal_trace_new(const char *file, struct gal_trace **out, struct gal_err *err)
{
    struct gal_trace *t = gal_calloc(1, sizeof(*t));
    struct gal_tracer *r = gal_calloc(1, sizeof(*r));

    if (t == NULL || r == NULL) {
        gal_free(t);
        gal_free(r);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for traces");
    }
    pthread_mutex_init(&r->lock, NULL);
    r->values = untold;
    r->file = file;
    t->tracer = r;
    *out = t;
    if (file[0] == '\0' || gal_trace_open(r, 0, 0))
        return GAL_OK;
    gal_trace_free(t);
    *out = NULL;
    gal_fail(err, GAL_IO, "cannot write '%.200s'", file);
    gal_err_place(err, "trace_file");
    return GAL_IO;
}

void gal_trace_free(struct gal_trace *t)
{
    struct gal_tracer *r;

    if (t == NULL)
        return;
    r = t->tracer;
    while (r->models != NULL) {
        struct gal_trace_model *m = r->models;
        r->models = m->next;
        gal_free(m);
    }
    gal_trace_let_go(r->out);
    pthread_mutex_destroy(&r->lock);
    gal_free(r);
    gal_free(t);
}

struct gal_trace_model *gal_trace_find(struct gal_tracer *t, struct gal_str model)
{
    struct gal_trace_model *m = t->models;

    while (m != NULL && !gal_str_eq((struct gal_str){m->name, m->name_bytes}, model))
        m = m->next;
    return m;
}

struct gal_trace_values gal_trace_values_of(const struct gal_tracer *t,
                                            const struct gal_trace_model *m)
{
    struct gal_trace_values v = t->values;

    if (m == NULL)
        return v;
    if (m->own & 1u << GAL_TRACE_LEVEL)
        v.levels = m->values.levels;
    if (m->own & 1u << GAL_TRACE_RATE_KEY)
        v.rate = m->values.rate;
    if (m->own & 1u << GAL_TRACE_COUNT)
        v.left = m->values.left;
    if (m->own & 1u << GAL_TRACE_FREQUENCY)
        v.frequency = m->values.frequency;
    return v;
}

/* --- values of a client --- */

static enum gal_status fail_value(const struct gal_setting *s, const char *expected,
                                  struct gal_err *err)
{
    struct gal_str got = s->count == 1 ? s->values[0] : GAL_STR("a list");

    gal_fail(err, GAL_INVALID, "%.*s must be %s, got '%.*s'", GAL_STR_SHOWN(s->key), expected,
             GAL_STR_SHOWN(got));
    gal_err_place(err, "%.*s", GAL_STR_SHOWN(s->key));
    return GAL_INVALID;
}

static enum gal_status take_level(const struct gal_setting *s, unsigned *levels,
                                  struct gal_err *err)
{
    *levels = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (gal_str_is(s->values[i], "TIMESTAMPS"))
            *levels |= GAL_TRACE_TIMESTAMPS;
        else if (gal_str_is(s->values[i], "TENSORS"))
            *levels |= GAL_TRACE_TENSORS;
        else if (!gal_str_is(s->values[i], "OFF") || s->count > 1)
            return fail_value(&(struct gal_setting){s->key, &s->values[i], 1},
                              "OFF, or TIMESTAMPS and TENSORS", err);
    }
    return GAL_OK;
}

static enum gal_status take_number(const struct gal_setting *s, int64_t min, int64_t *out,
                                   struct gal_err *err)
{
    if (s->count == 1 && gal_str_i64(s->values[0], out) == GAL_OK && *out >= min)
        return GAL_OK;
    return fail_value(s,
                      min < 0   ? "a whole number, -1 or more"
                      : min > 0 ? "a whole number, 1 or more"
                                : "a whole number, 0 or more",
                      err);
}

/* What cannot be changed by a client: to say what it is already is fine. */
static enum gal_status take_fixed(const struct gal_setting *s, const char *is, const char *why,
                                  struct gal_err *err)
{
    if (s->count == 0 || (s->count == 1 && gal_str_is(s->values[0], is)))
        return GAL_OK;
    gal_fail(err, GAL_UNSUPPORTED, "%.*s cannot be changed by a request", GAL_STR_SHOWN(s->key));
    gal_err_place(err, "%.*s", GAL_STR_SHOWN(s->key));
    gal_err_hint(err, "%s", why);
    return GAL_UNSUPPORTED;
}

static enum gal_status take_setting(const struct gal_tracer *t, const struct gal_setting *s,
                                    struct gal_trace_values *v, unsigned *own, struct gal_err *err)
{
    enum gal_trace_key key;
    int64_t n = 0;
    enum gal_status st = GAL_OK;

    if (gal_str_is(s->key, "trace_file"))
        return take_fixed(s, t->file, "start galley with --trace-file", err);
    if (gal_str_is(s->key, "trace_mode"))
        return take_fixed(s, "triton", "galley writes Triton's form", err);
    if (gal_str_is(s->key, "trace_level")) {
        key = GAL_TRACE_LEVEL;
        st = s->count > 0 ? take_level(s, &v->levels, err) : GAL_OK;
        if (s->count == 0)
            v->levels = untold.levels;
    } else if (gal_str_is(s->key, "trace_rate")) {
        key = GAL_TRACE_RATE_KEY;
        st = s->count > 0 ? take_number(s, 1, &n, err) : GAL_OK;
        v->rate = s->count > 0 ? (uint64_t)n : untold.rate;
    } else if (gal_str_is(s->key, "trace_count")) {
        key = GAL_TRACE_COUNT;
        st = s->count > 0 ? take_number(s, -1, &n, err) : GAL_OK;
        v->left = s->count > 0 ? n : untold.left;
    } else if (gal_str_is(s->key, "log_frequency")) {
        key = GAL_TRACE_FREQUENCY;
        st = s->count > 0 ? take_number(s, 0, &n, err) : GAL_OK;
        v->frequency = s->count > 0 ? (uint64_t)n : untold.frequency;
    } else {
        gal_fail(err, GAL_INVALID, "there is no trace setting '%.*s'", GAL_STR_SHOWN(s->key));
        gal_err_place(err, "%.*s", GAL_STR_SHOWN(s->key));
        gal_err_hint(err, "trace_level, trace_rate, trace_count, log_frequency");
        return GAL_INVALID;
    }
    *own = s->count > 0 ? *own | 1u << key : *own & ~(1u << key);
    return st;
}

static enum gal_status check_file(const struct gal_tracer *t, const struct gal_trace_values *v,
                                  struct gal_err *err)
{
    if (v->levels == 0 || t->file[0] != '\0')
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "there is no file to write traces to");
    gal_err_place(err, "trace_level");
    gal_err_hint(err, "start galley with --trace-file FILE");
    return GAL_INVALID;
}

/* An entry of a model that has none yet. */
static enum gal_status add_model(struct gal_tracer *t, struct gal_str model,
                                 struct gal_trace_model **out, struct gal_err *err)
{
    struct gal_trace_model *m;

    if (t->model_count == GAL_MODELS_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "more than %u models have trace settings",
                        GAL_MODELS_MAX);
    m = gal_calloc(1, sizeof(*m) + model.n);
    if (m == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's trace settings");
    m->name_bytes = model.n;
    memcpy(m->name, model.p, model.n);
    m->next = t->models;
    t->models = m;
    t->model_count++;
    *out = m;
    return GAL_OK;
}

static bool any_on(const struct gal_tracer *t)
{
    bool on = t->values.levels != 0;

    for (const struct gal_trace_model *m = t->models; m != NULL; m = m->next)
        on |= gal_trace_values_of(t, m).levels != 0;
    return on;
}

static enum gal_status update(struct gal_tracer *t, struct gal_str model,
                              const struct gal_setting *settings, size_t count, struct gal_err *err)
{
    struct gal_trace_model *m = model.n > 0 ? gal_trace_find(t, model) : NULL;
    struct gal_trace_values v = gal_trace_values_of(t, m);
    enum gal_status st = GAL_OK;
    unsigned own = m != NULL ? m->own : 0;

    for (size_t i = 0; i < count && st == GAL_OK; i++)
        st = take_setting(t, &settings[i], &v, &own, err);
    if (st == GAL_OK)
        st = check_file(t, &v, err);
    if (st == GAL_OK && m == NULL && model.n > 0)
        st = add_model(t, model, &m, err);
    if (st != GAL_OK)
        return st;
    if (m == NULL) {
        t->seen = v.rate == t->values.rate ? t->seen : 0;
        t->values = v;
        return GAL_OK;
    }
    m->seen = v.rate == gal_trace_values_of(t, m).rate ? m->seen : 0;
    m->values = v;
    m->own = own;
    return GAL_OK;
}

enum gal_status gal_trace_check(const struct gal_exchange *x, struct gal_str model,
                                struct gal_err *err)
{
    struct gal_model *m;

    if (x->api->trace == NULL)
        return gal_fail(err, GAL_UNSUPPORTED, "there is nothing that traces");
    if (model.n == 0)
        return GAL_OK;
    return gal_catalog_model(x->api->catalog, model, (struct gal_str){NULL, 0}, &m, err);
}

enum gal_status gal_trace_update(struct gal_trace *t, struct gal_str model,
                                 const struct gal_setting *settings, size_t count,
                                 struct gal_err *err)
{
    struct gal_err own_err;
    enum gal_status st;

    pthread_mutex_lock(&t->tracer->lock);
    st = update(t->tracer, model, settings, count, err != NULL ? err : &own_err);
    t->on = any_on(t->tracer);
    pthread_mutex_unlock(&t->tracer->lock);
    return st;
}

/* --- what is shown --- */

static struct gal_str number_text(struct gal_arena *arena, int64_t n)
{
    char *text = gal_arena_small(arena, GAL_I64_CHARS_MAX);

    return (struct gal_str){text, text != NULL ? (size_t)(gal_i64_write(text, n) - text) : 0};
}

enum gal_status gal_trace_show(struct gal_trace *t, struct gal_str model, struct gal_arena *arena,
                               struct gal_setting **out, size_t *count, struct gal_err *err)
{
    static const char *const keys[] = {"trace_file",  "trace_level",   "trace_rate",
                                       "trace_count", "log_frequency", "trace_mode"};
    static const struct gal_str levels[] = {{"OFF", 3}, {"TIMESTAMPS", 10}, {"TENSORS", 7}};
    enum { FILE_NAME, LEVEL, RATE, COUNT, FREQUENCY, MODE, KEYS };
    struct gal_setting *s = gal_arena_array(arena, KEYS, sizeof(*s));
    struct gal_str *values = gal_arena_array(arena, KEYS, sizeof(*values));
    struct gal_tracer *r = t->tracer;
    struct gal_trace_values v;
    size_t first;

    if (s == NULL || values == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the trace settings");
    pthread_mutex_lock(&r->lock);
    v = gal_trace_values_of(r, model.n > 0 ? gal_trace_find(r, model) : NULL);
    pthread_mutex_unlock(&r->lock);
    values[FILE_NAME] = gal_str_of(r->file);
    values[RATE] = number_text(arena, (int64_t)v.rate);
    values[COUNT] = number_text(arena, v.left);
    values[FREQUENCY] = number_text(arena, (int64_t)v.frequency);
    values[MODE] = GAL_STR("triton");
    for (size_t i = 0; i < KEYS; i++)
        s[i] = (struct gal_setting){gal_str_of(keys[i]), &values[i], 1};
    first = v.levels == 0 ? 0 : v.levels & GAL_TRACE_TIMESTAMPS ? 1 : 2;
    s[LEVEL].values = &levels[first];
    s[LEVEL].count = v.levels == (GAL_TRACE_TIMESTAMPS | GAL_TRACE_TENSORS) ? 2 : 1;
    *out = s;
    *count = KEYS;
    return GAL_OK;
}

/* --- logging --- */

enum { LOG_FILE, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_VERBOSE, LOG_FORMAT };

void gal_log_show(const struct gal_log *log, struct gal_log_setting out[GAL_LOG_SETTINGS])
{
    int level = log != NULL ? log->level : GAL_LOG_OFF;
    bool json = log == NULL || log->format == GAL_LOG_JSON;

    out[LOG_FILE] = (struct gal_log_setting){.key = "log_file", .kind = GAL_LOG_TEXT};
    out[LOG_INFO] =
        (struct gal_log_setting){"log_info", GAL_LOG_FLAG, level <= GAL_LOG_INFO, 0, {NULL, 0}};
    out[LOG_WARNING] =
        (struct gal_log_setting){"log_warning", GAL_LOG_FLAG, level <= GAL_LOG_WARN, 0, {NULL, 0}};
    out[LOG_ERROR] =
        (struct gal_log_setting){"log_error", GAL_LOG_FLAG, level <= GAL_LOG_ERROR, 0, {NULL, 0}};
    out[LOG_VERBOSE] = (struct gal_log_setting){
        "log_verbose_level", GAL_LOG_NUMBER, false, level == GAL_LOG_DEBUG, {NULL, 0}};
    out[LOG_FORMAT] = (struct gal_log_setting){"log_format", GAL_LOG_TEXT, false, 0,
                                               json ? GAL_STR("json") : GAL_STR("console")};
}

static enum gal_status fail_log(const char *key, const char *text, struct gal_err *err)
{
    gal_fail(err, GAL_INVALID, "%s %s", key, text);
    if (err != NULL)
        gal_err_place(err, "%s", key);
    return GAL_INVALID;
}

/* Triton's clients know the first two of the words: "default" is the configuration's format, and
 * ISO8601, of times, is what JSON has. */
static enum gal_status take_format(const struct gal_log *log, struct gal_str word, int *format,
                                   struct gal_err *err)
{
    enum gal_log_format f = log->format_first;

    if (gal_str_is(word, "ISO8601"))
        f = GAL_LOG_JSON;
    else if (!gal_str_is(word, "default") && gal_log_format_parse(word, &f) != GAL_OK)
        return fail_log("log_format", "must be default, ISO8601, json or console", err);
    *format = (int)f;
    return GAL_OK;
}

static enum gal_status take_log(const struct gal_log *log, const struct gal_log_setting *s,
                                struct gal_log_setting now[GAL_LOG_SETTINGS], int *format,
                                struct gal_err *err)
{
    size_t i = 0;

    while (i < GAL_LOG_SETTINGS && strcmp(now[i].key, s->key) != 0)
        i++;
    if (i == GAL_LOG_SETTINGS) {
        gal_fail(err, GAL_INVALID, "there is no log setting '%.64s'", s->key);
        if (err != NULL) {
            gal_err_place(err, "%.64s", s->key);
            gal_err_hint(err, "log_info, log_warning, log_error, log_verbose_level, log_format");
        }
        return GAL_INVALID;
    }
    if (s->kind != now[i].kind)
        return fail_log(now[i].key,
                        now[i].kind == GAL_LOG_FLAG     ? "must be true or false"
                        : now[i].kind == GAL_LOG_NUMBER ? "must be a whole number, 0 or more"
                                                        : "must be a text",
                        err);
    if (i == LOG_FILE && s->text.n > 0)
        return fail_log("log_file",
                        "is empty: the log goes to standard error, which can be "
                        "redirected where galley is started",
                        err);
    if (i == LOG_FORMAT)
        return take_format(log, s->text, format, err);
    now[i].flag = s->flag;
    now[i].number = s->number;
    return GAL_OK;
}

enum gal_status gal_log_update(struct gal_log *log, const struct gal_log_setting *settings,
                               size_t count, struct gal_err *err)
{
    struct gal_log_setting now[GAL_LOG_SETTINGS];
    enum gal_status st = GAL_OK;
    int format;

    if (log == NULL)
        return gal_fail(err, GAL_UNAVAILABLE, "there is no log");
    format = log->format;
    gal_log_show(log, now);
    for (size_t i = 0; i < count && st == GAL_OK; i++)
        st = take_log(log, &settings[i], now, &format, err);
    if (st != GAL_OK)
        return st;
    if (now[LOG_VERBOSE].number > 0 && !now[LOG_INFO].flag)
        return fail_log("log_verbose_level", "needs log_info: severities are ordered", err);
    if (now[LOG_INFO].flag && !now[LOG_WARNING].flag)
        return fail_log("log_warning", "cannot be off while log_info is on: severities are ordered",
                        err);
    if (now[LOG_WARNING].flag && !now[LOG_ERROR].flag)
        return fail_log("log_error",
                        "cannot be off while log_warning is on: severities are ordered", err);
    log->format = format;
    log->level = now[LOG_VERBOSE].number > 0 ? GAL_LOG_DEBUG
                 : now[LOG_INFO].flag        ? GAL_LOG_INFO
                 : now[LOG_WARNING].flag     ? GAL_LOG_WARN
                 : now[LOG_ERROR].flag       ? GAL_LOG_ERROR
                                             : GAL_LOG_OFF;
    return GAL_OK;
}

enum gal_status gal_settings_allowed(const struct gal_exchange *x, struct gal_err *err)
{
    if (x->api->options->client_settings)
        return GAL_OK;
    gal_fail(err, GAL_UNSUPPORTED, "clients may not change settings");
    gal_err_hint(err, "start galley with --allow-client-settings on");
    return GAL_UNSUPPORTED;
}
