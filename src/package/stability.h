/* SPDX-License-Identifier: Apache-2.0 */
/* Would a row be decided otherwise if its numbers were a little other (VAL-08)? A row near a
 * boundary of the decision, or one that somebody has pushed just across it, changes its mind.
 *
 * Each row is copied `samples` times; in each copy every number that may move is v * (1 + noise *
 * u), u even in [-1,1), rounded where the feature is whole. Beyond a bound of the feature it is v *
 * (1 - noise * u) instead. Nulls, zeros, texts and lists of values stay. u comes from a hash of the
 * row's own bytes (as tensors lie in memory, so little-endian) and a fixed seed: the same row has
 * the same copies, in whatever batch, on whatever machine galley is built for. Immutable; any
 * thread.
 *
 * Cost: the copies are rows like any other, for the steps before the model too (session_judge.c):
 * what does not move is tokenized, decoded or looked up again for each of them. */
#ifndef GAL_PACKAGE_STABILITY_H
#define GAL_PACKAGE_STABILITY_H

#include "package/manifest.h"

/* Most rows of one run of copies, and bytes of their features: more samples are run one after
 * another, with a copy of each row at least. */
#define GAL_STABILITY_ROWS_MAX 1024u
#define GAL_STABILITY_BYTES_MAX (16u << 20)

/* What each row's chance begins with: of its values, in the order of the features. NULL: no memory.
 */
const uint64_t *gal_stability_hashes(const struct gal_manifest *m, const struct gal_value *values,
                                     size_t rows, struct gal_arena *arena);
/* The rows of `values` (m's features; kind NONE: absent, stays so) `count` times, as copies number
 * `first`, first + 1, ...: out's columns have count * rows rows, a copy behind the other. rows > 0.
 * Memory is the arena's. */
enum gal_status gal_stability_copies(const struct gal_manifest *m, const struct gal_value *values,
                                     const uint64_t *hashes, size_t rows, size_t first,
                                     size_t count, struct gal_arena *arena, struct gal_value *out,
                                     struct gal_err *err);

/* May a tensor of this datatype, `width` elements a row (0: not known), be a decision? Texts, whole
 * numbers and truths as they are; several floats by the place of the largest. One float is none. */
bool gal_stability_decides(enum gal_dtype dtype, size_t width);

/* Adds to agree[row] how many of the copies in `moved` (a multiple of decided's rows) decide as
 * `decided` does. INVALID: their shapes do not go together. */
enum gal_status gal_stability_count(const struct gal_tensor *decided,
                                    const struct gal_tensor *moved, float *agree,
                                    struct gal_err *err);

#endif
