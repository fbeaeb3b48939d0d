/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol buffers' text format, the form of Triton's config.pbtxt: a small tree whose nodes know
 * their line, for errors that say `config.pbtxt:14`. It knows no schema: what a field means, and
 * whether it may come twice, is its reader's matter.
 *
 *     name: "iris"                  TEXT; adjacent literals are one, escapes are taken off
 *     max_batch_size: 8             WORD; so are enums, true, -1.5e3, inf
 *     input { dims: [ -1, 4 ] }     MESSAGE (`{}` or `<>`, `:` may stand before it), LIST
 *
 * Strict, and bounded (GAL_PBTXT_BYTES_MAX, _DEPTH_MAX, _NODES_MAX); extensions and Any are
 * refused. Not thread-safe per tree. */
#ifndef GAL_TEXT_PBTXT_H
#define GAL_TEXT_PBTXT_H

#include "base/arena.h"

enum gal_pbtxt_type { GAL_PBTXT_MESSAGE, GAL_PBTXT_LIST, GAL_PBTXT_TEXT, GAL_PBTXT_WORD };

struct gal_pbtxt {
    enum gal_pbtxt_type type;
    unsigned line;       /* 1-based: where the field's name stands; in a LIST, the element */
    struct gal_str name; /* of the field; elements of a LIST have the list's; the root has none */
    struct gal_str text; /* TEXT: its bytes (a NUL may be among them); WORD: as written, a sign
                            in front. The arena's, NUL-terminated */
    const char *where;   /* made from JSON: its path, "input[0].dims"; else NULL */
    struct gal_pbtxt *child; /* MESSAGE: first field, LIST: first element; in the file's order */
    struct gal_pbtxt *next;
};

/* Parses one message; `name` (file name) is used in places. *root is a MESSAGE. The tree lives in
 * the arena and borrows nothing. */
enum gal_status gal_pbtxt_parse(struct gal_str text, const char *name, struct gal_arena *arena,
                                struct gal_pbtxt **root, struct gal_err *err);

/* The same tree from a message in protocol buffers' JSON: objects are MESSAGEs (a map too: its
 * reader knows), arrays LISTs, text is TEXT (an enum's name and a 64-bit integer too), a null is
 * left out. Names in lowerCamelCase become what they are in the text format. Parse errors have
 * `name:line:column` as place; those of the bounds the path. */
enum gal_status gal_pbtxt_from_json(struct gal_str text, const char *name, struct gal_arena *arena,
                                    struct gal_pbtxt **root, struct gal_err *err);
/* The name of a field as the text format has it: "maxBatchSize" is max_batch_size. Equal to n's? */
bool gal_pbtxt_is(const struct gal_pbtxt *n, const char *name);

/* What a WORD (from JSON a TEXT, but for bool) says as a number or bool; false when it is none, or
 * does not fit. Integers may be decimal, octal (017) or hexadecimal (0x1f); f64 takes them too, and
 * inf, nan, 1.5f. bool: true, True, t, 1 and their opposites. */
bool gal_pbtxt_u64(const struct gal_pbtxt *n, uint64_t *out);
bool gal_pbtxt_i64(const struct gal_pbtxt *n, int64_t *out);
bool gal_pbtxt_f64(const struct gal_pbtxt *n, double *out);
bool gal_pbtxt_bool(const struct gal_pbtxt *n, bool *out);
/* The first field of that name in a message; NULL when there is none. */
const struct gal_pbtxt *gal_pbtxt_get(const struct gal_pbtxt *message, const char *name);

#endif
