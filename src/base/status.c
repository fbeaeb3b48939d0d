/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    const char *text;
    int http;
    int grpc;
    bool retryable;
};

static const struct row rows[GAL_STATUS_COUNT] = {
#define GAL_STATUS_ROW(name, text, http, grpc, retryable)                                          \
    [GAL_##name] = {#name, text, http, grpc, retryable},
#include "base/status.def"
#undef GAL_STATUS_ROW
};

static const struct row *row_of(enum gal_status status)
{
    GAL_ASSERT((unsigned)status < GAL_STATUS_COUNT);
    return &rows[status];
}

const char *gal_status_name(enum gal_status status)
{
    return row_of(status)->name;
}

const char *gal_status_text(enum gal_status status)
{
    return row_of(status)->text;
}

int gal_status_http(enum gal_status status)
{
    return row_of(status)->http;
}

int gal_status_grpc(enum gal_status status)
{
    return row_of(status)->grpc;
}

bool gal_status_retryable(enum gal_status status)
{
    return row_of(status)->retryable;
}

void gal_err_clear(struct gal_err *err)
{
    if (!err)
        return;
    err->code = GAL_OK;
    err->message[0] = err->place[0] = err->hint[0] = '\0';
}

/* Takes a character that vsnprintf has cut in two off the end of a full buffer. */
static void trim_cut_character(char *text, size_t n)
{
    size_t start = n;
    while (start > 0 && n - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (lead >= 0xc0 && n - start + 1 < want)
        text[start - 1] = '\0';
}

static void format_cut(char *out, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void format_cut(char *out, size_t size, const char *format, va_list args)
{
    int n = vsnprintf(out, size, format, args);
    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= size)
        trim_cut_character(out, size - 1);
}

#undef gal_fail /* the analyzer's, see status.h */
enum gal_status gal_fail(struct gal_err *err, enum gal_status code, const char *format, ...)
{
    if (!err)
        return code;
    gal_err_clear(err);
    err->code = code;
    va_list args;
    va_start(args, format);
    format_cut(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

void gal_err_place(struct gal_err *err, const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    format_cut(err->place, sizeof err->place, format, args);
    va_end(args);
}

void gal_err_hint(struct gal_err *err, const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    format_cut(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

_Noreturn void gal_assert_failed(const char *file, int line, const char *expr)
{
    fprintf(stderr, "galley: program error at %s:%d: %s\n", file, line, expr);
    abort();
}
