/* SPDX-License-Identifier: Apache-2.0 */
/* The trace and logging extensions, whatever protocol asks: settings that clients read and change,
 * and what follows from them. A call changes all of its settings or, at an error, none.
 *
 * Tracing writes lines to the file that the configuration names: a JSON object of a traced
 * inference with Triton's names of moments, one of each of its tensors. One of `trace_rate`
 * inferences is traced, the first of them, until `trace_count` have been (-1: without end). With
 * `log_frequency` N each N traces go to a file of their own, FILE.0, FILE.1, ... Thread: any. */
#ifndef GAL_API_TRACE_LOG_H
#define GAL_API_TRACE_LOG_H

#include "api/exchange.h"

/* A setting as texts: what a client sends, and what it is shown. */
struct gal_setting {
    struct gal_str key;
    const struct gal_str *values; /* trace_level may have several, the others have one */
    size_t count;                 /* 0, and a null in JSON: back to what it was untold */
};

struct gal_trace {
    _Atomic bool on; /* something may have to be traced */
    struct gal_tracer *tracer;
};

/* file empty: traces have nowhere to go, and cannot be turned on. IO when it cannot be written. */
enum gal_status gal_trace_new(const char *file, struct gal_trace **out, struct gal_err *err);
void gal_trace_free(struct gal_trace *t); /* NULL is fine */
/* Whether there is something to set or show: UNSUPPORTED where nothing traces, NOT_FOUND for a
 * model that is not served. */
enum gal_status gal_trace_check(const struct gal_exchange *x, struct gal_str model,
                                struct gal_err *err);
/* model empty: those of all models, which a model's own stand above. INVALID names the key as
 * place; UNSUPPORTED for what galley does not trace. */
enum gal_status gal_trace_update(struct gal_trace *t, struct gal_str model,
                                 const struct gal_setting *settings, size_t count,
                                 struct gal_err *err);
/* All settings, in the arena. */
enum gal_status gal_trace_show(struct gal_trace *t, struct gal_str model, struct gal_arena *arena,
                               struct gal_setting **out, size_t *count, struct gal_err *err);

static inline bool gal_trace_on(const struct gal_trace *t)
{
    return t != NULL && t->on;
}
/* An inference has ended: written when it is one to be traced. */
void gal_trace_request(struct gal_exchange *x, uint64_t now_us);

/* --- logging --- */

enum gal_log_kind { GAL_LOG_FLAG, GAL_LOG_NUMBER, GAL_LOG_TEXT };
struct gal_log_setting {
    const char *key;
    enum gal_log_kind kind;
    bool flag;
    uint64_t number;
    struct gal_str text;
};
#define GAL_LOG_SETTINGS 6

/* log_file, log_info, log_warning, log_error, log_verbose_level, log_format. */
void gal_log_show(const struct gal_log *log, struct gal_log_setting out[GAL_LOG_SETTINGS]);
/* Severities are ordered here: without errors there are no warnings either. INVALID names the key
 * as place. */
enum gal_status gal_log_update(struct gal_log *log, const struct gal_log_setting *settings,
                               size_t count, struct gal_err *err);
/* Whether clients may change settings: UNSUPPORTED when not. */
enum gal_status gal_settings_allowed(const struct gal_exchange *x, struct gal_err *err);

#endif
