/* SPDX-License-Identifier: Apache-2.0 */
/* JSON whose weight is in arrays of numbers: these are read past the tree, straight into memory of
 * 8 bytes a number; yyjson reads what is left. It is an attempt: whatever is not plain makes it say
 * no, and the text is then gal_json_read's, which finds the words for what is wrong.
 *
 * A value that stands for an array is, in the tree, an empty string; gal_json_numbers_of tells it
 * from all others by where it lies. Who has decoded the tree must look whether all arrays were
 * asked for (taken == count): one that was not may stand where an array is a mistake. */
#ifndef GAL_TEXT_JSON_NUMBERS_H
#define GAL_TEXT_JSON_NUMBERS_H

#include "base/limits.h"
#include "text/json.h"

enum gal_json_kind {
    GAL_JSON_UNSIGNED, /* uint64_t: integers without a sign */
    GAL_JSON_SIGNED,   /* int64_t: integers, some with a minus (-0 too) */
    GAL_JSON_REAL,     /* double, finite: a fraction, an exponent, or beyond 64 bits somewhere */
};

struct gal_json_numbers {
    struct gal_json_numbers *next;
    const char *at; /* where its stand-in lies */
    void *values;   /* `count` of 8 bytes, aligned to GAL_ARENA_ALIGN; the reader may reuse them */
    size_t count;   /* 1 or more */
    enum gal_json_kind kind;
    size_t depth;              /* levels of nesting, 1 or more; numbers are in the last one only */
    size_t lens[GAL_RANK_MAX]; /* of the arrays of each level, all of one length */
    bool taken;
};

struct gal_json_arrays {
    struct gal_json_numbers *first; /* in the text's order */
    struct gal_json_numbers *hint;  /* where the next one asked for is likely to be */
    size_t count, taken;
};

/* Reads `text` as gal_json_read does, arrays of numbers that are members named `key` aside. False
 * when there is no such array or anything is wrong; memory that was taken stays with the arena
 * (rewind it). */
bool gal_json_read_numbers(struct gal_str text, struct gal_str key, struct gal_arena *arena,
                           unsigned depth_max, yyjson_val **root, struct gal_json_arrays *arrays);
/* The array that v stands for, taken by this call; NULL when v is itself, or was taken before. */
struct gal_json_numbers *gal_json_numbers_of(struct gal_json_arrays *arrays, yyjson_val *v);

#endif
