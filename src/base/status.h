/* SPDX-License-Identifier: Apache-2.0 */
/* Errors have one shape: a status from status.def and, beside it, a fixed-size struct gal_err
 * with a sentence, the place and what to do. Functions that can fail return enum gal_status and
 * take `struct gal_err *err` last; err may be NULL. Nothing here allocates; any thread. */
#ifndef GAL_BASE_STATUS_H
#define GAL_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum gal_status {
#define GAL_STATUS_ROW(name, text, http, grpc, retryable) GAL_##name,
#include "base/status.def"
#undef GAL_STATUS_ROW
    GAL_STATUS_COUNT
};

struct gal_err {
    enum gal_status code;
    char message[384]; /* one sentence, no trailing full stop, UTF-8, NUL-terminated */
    char place[192];   /* `instances[3].hour_of_day`, `galley.yaml:14`; empty when none */
    char hint[192];    /* what would be right; empty when nothing is known */
};

/* The row's columns. `status` must be below GAL_STATUS_COUNT. */
const char *gal_status_name(enum gal_status status); /* "INVALID" */
const char *gal_status_text(enum gal_status status);
int gal_status_http(enum gal_status status);
int gal_status_grpc(enum gal_status status);
bool gal_status_retryable(enum gal_status status);

void gal_err_clear(struct gal_err *err);

/* Fills err (when not NULL) and returns code, so that `return gal_fail(err, GAL_INVALID, ...)`
 * reads well. Text that does not fit is cut at a UTF-8 boundary. place and hint are emptied. */
enum gal_status gal_fail(struct gal_err *err, enum gal_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* it reads one file at a time, and would take it that OK is returned */
static inline enum gal_status gal_fail_known(enum gal_status returned, enum gal_status code)
{
    (void)returned;
    return code;
}
#define gal_fail(err, code, ...) gal_fail_known((gal_fail)(err, code, __VA_ARGS__), code)
#endif
/* Adds place or hint to an error that gal_fail has filled. */
void gal_err_place(struct gal_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gal_err_hint(struct gal_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Program errors only: prints file, line and expression, then aborts. Bytes from a peer, a
 * configuration or a model never reach one. Active in every build. */
#define GAL_ASSERT(expr) ((expr) ? (void)0 : gal_assert_failed(__FILE__, __LINE__, #expr))
_Noreturn void gal_assert_failed(const char *file, int line, const char *expr);

#endif
