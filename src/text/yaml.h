/* SPDX-License-Identifier: Apache-2.0 */
/* YAML over libyaml: a small tree whose nodes know their line, for configuration whose errors say
 * `galley.yaml:14`. Bounded (bytes, depth, nodes); anchors, aliases and tags are refused; a key
 * twice in one mapping is an error. Not thread-safe per tree; libyaml is hidden. */
#ifndef GAL_TEXT_YAML_H
#define GAL_TEXT_YAML_H

#include "base/arena.h"

enum gal_yaml_type { GAL_YAML_SCALAR, GAL_YAML_LIST, GAL_YAML_MAP };

struct gal_yaml {
    enum gal_yaml_type type;
    unsigned line;          /* 1-based line where the node begins */
    bool quoted;            /* scalar: written in quotes or as a block: text, never null or bool */
    struct gal_str key;     /* when the parent is a MAP */
    struct gal_str scalar;  /* SCALAR; bytes in the arena, NUL-terminated */
    struct gal_yaml *child; /* LIST, MAP: first child */
    struct gal_yaml *next;  /* next sibling */
};

/* Parses one document; `name` (file name) is used in places. An empty document gives an empty MAP.
 * The tree lives in the arena. */
enum gal_status gal_yaml_parse(struct gal_str text, const char *name, struct gal_arena *arena,
                               struct gal_yaml **root, struct gal_err *err);
const struct gal_yaml *gal_yaml_get(const struct gal_yaml *map, const char *key);

#endif
