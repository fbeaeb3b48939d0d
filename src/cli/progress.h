/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of what takes a while, on stderr. On a terminal each thing that moves has a line with a
 * bar, bytes, rate and time left; what is done stays above. Elsewhere a line says what is done, and
 * every 15 seconds how far the rest is. One thread, or calls one at a time. */
#ifndef GAL_CLI_PROGRESS_H
#define GAL_CLI_PROGRESS_H

#include "base/clock.h"
#include "base/str.h"

#include <stdio.h>

struct gal_progress;

struct gal_progress_options {
    FILE *out;
    bool bars; /* a terminal */
    bool utf8;
    unsigned width; /* columns of it */
    const struct gal_clock *clock;
};
/* As `out` and the environment are. */
struct gal_progress_options gal_progress_of(FILE *out, char *const *env);
/* NULL when memory is out; all calls take NULL, as --quiet hands it in, and do nothing then. */
struct gal_progress *gal_progress_new(const struct gal_progress_options *options);
/* `id` tells one thing from another, `label` names it (both copied, cut at their room); `verb` is
 * what happens to it: "uploading". total 0: not known. Bytes before the first call were there
 * already: they are no part of the rate. */
void gal_progress_step(struct gal_progress *p, const char *id, const char *label, const char *verb,
                       uint64_t done, uint64_t total);
/* It is over: "uploaded", "exists already", "failed". */
void gal_progress_done(struct gal_progress *p, const char *id, const char *label, const char *verb,
                       uint64_t bytes);
void gal_progress_free(struct gal_progress *p); /* lines of what is not done go; NULL is fine */

/* "1 h 02 min", "2 min 05 s", "9 s"; returns out. */
char *gal_humane_seconds(uint64_t seconds, char *out, size_t size);

#endif
