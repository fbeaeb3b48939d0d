/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024
#define STALL_MS_MAX 100 /* a reader that takes nothing for so long loses lines */

struct level {
    const char *word;   /* "info" */
    const char *label;  /* "INFO " */
    const char *colour; /* escape sequence of the console */
};

static const struct level levels[] = {
    [GAL_LOG_DEBUG] = {"debug", "DEBUG", "\033[2m"},
    [GAL_LOG_INFO] = {"info", "INFO ", "\033[32m"},
    [GAL_LOG_WARN] = {"warn", "WARN ", "\033[33m"},
    [GAL_LOG_ERROR] = {"error", "ERROR", "\033[31m"},
    [GAL_LOG_OFF] = {"off", "OFF  ", ""},
};

void gal_log_init(struct gal_log *log, int fd, enum gal_log_level level, enum gal_log_format format,
                  bool colour, const struct gal_clock *clock)
{
    *log = (struct gal_log){.fd = fd,
                            .level = (int)level,
                            .format = (int)format,
                            .format_first = format,
                            .colour = colour,
                            .clock = clock};
}

static void render_json(struct gal_buf *out, const char *time, enum gal_log_level level,
                        const char *event, const struct gal_log_field *fields, size_t count)
{
    gal_buf_puts(out, "{\"time\":\"");
    gal_buf_puts(out, time);
    gal_buf_puts(out, "\",\"level\":\"");
    gal_buf_puts(out, levels[level].word);
    gal_buf_puts(out, "\",\"event\":");
    gal_buf_put_quoted(out, gal_str_of(event));
    for (size_t i = 0; i < count; i++) {
        gal_buf_putc(out, ',');
        gal_buf_put_quoted(out, gal_str_of(fields[i].key));
        gal_buf_putc(out, ':');
        if (fields[i].raw)
            gal_buf_put_str(out, fields[i].value);
        else
            gal_buf_put_quoted(out, fields[i].value);
    }
    gal_buf_puts(out, "}\n");
}

/* Text that reads as one word of a console line: printable ASCII without quotes and '='. */
static bool is_plain(struct gal_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=')
            return false;
    return s.n > 0;
}

static void render_console(const struct gal_log *log, struct gal_buf *out, const char *time,
                           enum gal_log_level level, const char *event,
                           const struct gal_log_field *fields, size_t count)
{
    gal_buf_put(out, time + 11, 12); /* of 2024-01-15T14:23:41.123Z */
    gal_buf_putc(out, ' ');
    gal_buf_puts(out, log->colour ? levels[level].colour : "");
    gal_buf_puts(out, levels[level].label);
    gal_buf_puts(out, log->colour ? "\033[0m " : " ");
    gal_buf_puts(out, event);
    for (size_t i = 0; i < count; i++) {
        gal_buf_putc(out, ' ');
        gal_buf_puts(out, fields[i].key);
        gal_buf_putc(out, '=');
        if (fields[i].raw || is_plain(fields[i].value))
            gal_buf_put_str(out, fields[i].value);
        else
            gal_buf_put_quoted(out, fields[i].value);
    }
    gal_buf_putc(out, '\n');
}

void gal_log_render(const struct gal_log *log, struct gal_buf *out, enum gal_log_level level,
                    const char *event, const struct gal_log_field *fields, size_t count)
{
    char time[GAL_TIMESTAMP_SIZE];
    size_t before = out->n;
    gal_timestamp_format(gal_wall_us(log->clock), time);
    if (log->format == GAL_LOG_JSON)
        render_json(out, time, level, event, fields, count);
    else
        render_console(log, out, time, level, event, fields, count);
    if (out->failed)
        out->n = before;
}

/* Bytes for the next write: whole lines within PIPE_BUF, which a pipe takes at once or not at all;
 * a longer line goes in parts. */
static size_t next_write(struct gal_str lines)
{
    if (lines.n <= PIPE_BUF)
        return lines.n;
    const char *end = memrchr(lines.p, '\n', PIPE_BUF);
    return end ? (size_t)(end - lines.p) + 1 : PIPE_BUF;
}

bool gal_log_flush(struct gal_log *log, struct gal_str lines)
{
    while (lines.n > 0) {
        /* Asked before each write: a pipe that is not full has room for PIPE_BUF bytes, so that
         * a blocking one does not block. */
        struct pollfd p = {.fd = log->fd, .events = POLLOUT};
        int ready = poll(&p, 1, log->stalled ? 0 : STALL_MS_MAX);
        if (ready < 0 && errno == EINTR)
            continue;
        if (log->stalled != (ready == 0)) /* loops share the line of this flag */
            log->stalled = ready == 0;
        if (ready <= 0 || !(p.revents & POLLOUT))
            return false;
        ssize_t n = write(log->fd, lines.p, next_write(lines));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (n > 0)
            lines = (struct gal_str){lines.p + n, lines.n - (size_t)n};
    }
    return true;
}

void gal_log_write(struct gal_log *log, enum gal_log_level level, const char *event,
                   const struct gal_log_field *fields, size_t count)
{
    if (!log || !gal_log_on(log, level))
        return;
    /* A buffer that never grows: a log line takes no memory, also when memory is out. */
    char bytes[PIPE_BUF];
    struct gal_buf line = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    gal_log_render(log, &line, level, event, fields, count);
    if (line.failed) {
        const struct gal_log_field cut = {"truncated", GAL_STR("true"), true};
        line.failed = false;
        gal_log_render(log, &line, level, event, &cut, 1);
    }
    gal_log_flush(log, gal_buf_str(&line));
}

void gal_log_msg(struct gal_log *log, enum gal_log_level level, const char *event,
                 const char *format, ...)
{
    if (!log || !gal_log_on(log, level))
        return;
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0)
        text[0] = '\0';
    const struct gal_log_field message = {"message", gal_str_of(text), false};
    gal_log_write(log, level, event, &message, 1);
}

enum gal_status gal_log_level_parse(struct gal_str s, enum gal_log_level *out)
{
    for (int i = 0; i <= GAL_LOG_OFF; i++) {
        if (gal_str_ieq(s, gal_str_of(levels[i].word))) {
            *out = (enum gal_log_level)i;
            return GAL_OK;
        }
    }
    return GAL_INVALID;
}

enum gal_status gal_log_format_parse(struct gal_str s, enum gal_log_format *out)
{
    bool json = gal_str_ieq(s, GAL_STR("json"));
    if (!json && !gal_str_ieq(s, GAL_STR("console")))
        return GAL_INVALID;
    *out = json ? GAL_LOG_JSON : GAL_LOG_CONSOLE;
    return GAL_OK;
}
