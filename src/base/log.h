/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log lines, JSON or for a console, written to one file descriptor. Only server/ and
 * cli/ own a log; library code is silent. A line is one write(2), so that lines of threads never
 * mix. Any thread. Message: a short fact; fields carry the details. */
#ifndef GAL_BASE_LOG_H
#define GAL_BASE_LOG_H

#include "base/buf.h"
#include "base/clock.h"

enum gal_log_level { GAL_LOG_DEBUG, GAL_LOG_INFO, GAL_LOG_WARN, GAL_LOG_ERROR, GAL_LOG_OFF };
enum gal_log_format { GAL_LOG_JSON, GAL_LOG_CONSOLE };

struct gal_log {
    int fd;                           /* borrowed */
    _Atomic int level;                /* enum gal_log_level; may be changed at run time */
    _Atomic int format;               /* enum gal_log_format; may be changed at run time */
    enum gal_log_format format_first; /* as it began */
    bool colour;                      /* console only */
    _Atomic bool stalled; /* the reader took nothing for a while: lines do not wait for it */
    const struct gal_clock *clock; /* borrowed */
};

/* One field of a line. `value` is text; `raw` says that it is a JSON literal (number, true). */
struct gal_log_field {
    const char *key;
    struct gal_str value;
    bool raw;
};

void gal_log_init(struct gal_log *log, int fd, enum gal_log_level level, enum gal_log_format format,
                  bool colour, const struct gal_clock *clock);
static inline bool gal_log_on(const struct gal_log *log, enum gal_log_level level)
{
    return (int)level >= log->level;
}
/* log may be NULL (silent). */
void gal_log_write(struct gal_log *log, enum gal_log_level level, const char *event,
                   const struct gal_log_field *fields, size_t count);
void gal_log_msg(struct gal_log *log, enum gal_log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Renders one line (with its newline) behind what `out` holds, without writing it: for callers
 * that gather lines and write them at the end of a loop's turn. */
void gal_log_render(const struct gal_log *log, struct gal_buf *out, enum gal_log_level level,
                    const char *event, const struct gal_log_field *fields, size_t count);
/* Writes all of p to fd, over partial writes; a full or broken pipe loses the line, never blocks
 * the process for good: after one wait in vain no more is waited until the pipe takes bytes again.
 * False when something was lost. */
bool gal_log_flush(struct gal_log *log, struct gal_str lines);
enum gal_status gal_log_level_parse(struct gal_str s, enum gal_log_level *out);
enum gal_status gal_log_format_parse(struct gal_str s, enum gal_log_format *out);

#endif
