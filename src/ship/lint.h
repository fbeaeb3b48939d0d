/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a Dockerfile, before anything is built of it: its bases, what its layers keep,
 * the order that lets a cache work, who runs it (requirements IMG-03, IMG-05, IMG-07, IMG-09,
 * IMG-11, IMG-12). What an image became is ship/audit.h's. Pure; any thread. */
#ifndef GAL_SHIP_LINT_H
#define GAL_SHIP_LINT_H

#include "ship/audit.h"
#include "ship/docker_text.h"

#define GAL_LINT_FINDINGS_MAX 1000u

struct gal_lint_finding {
    enum gal_severity severity;
    const char *code;    /* "floating-base"; static */
    const char *message; /* the arena's or static */
    const char *remedy;  /* static */
    unsigned line;       /* 0: of the file as a whole */
};
struct gal_lint {
    struct gal_lint_finding *findings; /* in order of lines */
    size_t count, errors, warnings;
};

/* has_ignore: a .dockerignore stands beside it. INVALID as of gal_docker_read; TOO_LARGE: more
 * findings than can be told. */
enum gal_status gal_lint_dockerfile(struct gal_str text, bool has_ignore, struct gal_arena *arena,
                                    struct gal_lint *out, struct gal_err *err);

#endif
