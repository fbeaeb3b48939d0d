/* SPDX-License-Identifier: Apache-2.0 */
/* A Dockerfile as instructions and stages (Dockerfile reference: continued lines, comments, here
 * documents, the escape directive). Nothing is expanded or run. Pure; any thread. */
#ifndef GAL_SHIP_DOCKER_TEXT_H
#define GAL_SHIP_DOCKER_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

#define GAL_DOCKER_BYTES_MAX (1u << 20) /* of a Dockerfile */
#define GAL_DOCKER_STEPS_MAX 10000u

struct gal_docker_step {
    struct gal_str word; /* "RUN", as it is written; borrowed */
    struct gal_str text; /* behind it: lines joined by spaces, a here document's by newlines */
    unsigned line;       /* its first, from 1 */
    size_t stage;        /* SIZE_MAX: before the first FROM */
};
struct gal_docker_stage {
    struct gal_str image, name; /* of FROM image AS name; name may be empty */
    size_t parent;              /* the earlier stage that it stands on; SIZE_MAX: an image */
    unsigned line;
};
struct gal_docker_text {
    struct gal_docker_step *steps;
    struct gal_docker_stage *stages;
    size_t step_count, stage_count;
};

/* Texts lie in the arena or in `text`. INVALID names the line: no instruction that is known, a here
 * document without its end, no FROM. */
enum gal_status gal_docker_read(struct gal_str text, struct gal_arena *arena,
                                struct gal_docker_text *out, struct gal_err *err);
bool gal_docker_is(const struct gal_docker_step *s, const char *word); /* whatever its case */
/* The next word of *rest, between spaces, tabs and newlines; false: there is none. */
bool gal_docker_word(struct gal_str *rest, struct gal_str *word);
/* The next command of a RUN's shell text, up to &&, ||, ;, | or a newline. Quotes are not looked
 * at. */
bool gal_docker_command(struct gal_str *rest, struct gal_str *command);

#endif
