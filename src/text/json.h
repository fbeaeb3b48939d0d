/* SPDX-License-Identifier: Apache-2.0 */
/* JSON over yyjson: reading into an arena with bounds, and writing straight into a buffer.
 * Readers use yyjson's own accessors (yyjson_obj_iter, yyjson_get_type, ...) on what
 * gal_json_read returns; no other header includes yyjson. Not thread-safe per object. */
#ifndef GAL_TEXT_JSON_H
#define GAL_TEXT_JSON_H

#include "base/arena.h"
#include "base/buf.h"

#include <yyjson.h>

/* Parses RFC 8259 JSON (UTF-8 checked, no comments, no trailing commas, no NaN). All memory comes
 * from the arena and lives as long as it; *root is never NULL on OK. INVALID carries what is wrong
 * and `line:column` as place; deeper than depth_max is INVALID, arena's bound is TOO_LARGE.
 * Depth is checked without recursion. Integers beyond 64 bits become doubles; codecs refuse
 * doubles where an integer is asked for. */
enum gal_status gal_json_read(struct gal_str text, struct gal_arena *arena, unsigned depth_max,
                              yyjson_val **root, struct gal_err *err);

/* Values that stand for other formats' fields, so that one decoder reads all. */
/* A number in JSON's grammar, whole; false when it is none. */
bool gal_json_set_number(yyjson_val *v, struct gal_str text);
void gal_json_set_str(yyjson_val *v, struct gal_str text); /* borrowed */
/* An array whose `count` items are no containers and lie behind v (nodes == count), or whose items
 * take `nodes` values in all. */
void gal_json_set_array(yyjson_val *v, size_t count, size_t nodes);

/* Writers: append to out, watch out->failed at the end. Commas and brackets are the caller's. */
void gal_json_put_str(struct gal_buf *out, struct gal_str s); /* quoted, escaped; invalid UTF-8 is
                                                                 replaced by U+FFFD */
void gal_json_put_key(struct gal_buf *out, const char *key);  /* "key": for plain ASCII keys */
/* `separator`, the key, the text: `,"name":"fraud"`; `{` or `,\n  ` are separators as well. */
void gal_json_put_member(struct gal_buf *out, const char *separator, const char *key,
                         struct gal_str value);
/* Shortest text that reads back to the same value of the same width. JSON has no NaN and no
 * infinity: they are written as the strings "NaN", "Infinity", "-Infinity" (protobuf's mapping). */
void gal_json_put_f32(struct gal_buf *out, float v);
void gal_json_put_f64(struct gal_buf *out, double v);
void gal_json_put_i64(struct gal_buf *out, int64_t v);
void gal_json_put_u64(struct gal_buf *out, uint64_t v);
/* The same without a buffer's checks, for loops over tensors that have reserved
 * GAL_JSON_NUMBER_MAX bytes a number: return the end of what was written. */
#define GAL_JSON_NUMBER_MAX 40
char *gal_json_write_f32(char *p, float v);
/* n numbers, a comma behind each (a byte more a number): the same texts in a fraction of the time.
 */
char *gal_json_write_f32s(char *p, const float *v, size_t n);
char *gal_json_write_f64(char *p, double v);
char *gal_json_write_i64(char *p, int64_t v);
char *gal_json_write_u64(char *p, uint64_t v);

/* What a user calls the type of a value: "string", "number", "object", "null", ... */
const char *gal_json_type_name(const yyjson_val *v);

#endif
