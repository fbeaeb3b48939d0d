/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one life: taken piece by piece, given back whole. A request owns one, recycled from
 * exchange to exchange, so that a request in steady state calls no allocator.
 *
 * Life: init, any number of (alloc..., clear), release. Not thread-safe: one owner at a time (it
 * may be handed to a worker and back). Pieces are aligned to GAL_ARENA_ALIGN bytes: what a
 * backend reads can be put there as it is. */
#ifndef GAL_BASE_ARENA_H
#define GAL_BASE_ARENA_H

#include "base/budget.h"
#include "base/str.h"

#define GAL_ARENA_ALIGN 64

struct gal_arena_block;

struct gal_arena {
    struct gal_arena_block *head; /* block being filled; owned */
    size_t used;                  /* bytes handed out since the last clear, all blocks */
    size_t bytes_max;             /* a call that would pass it fails */
    size_t keep_max;              /* clear keeps at most this many bytes of blocks */
    size_t block_first;           /* size of the first block, bytes */
    struct gal_budget *budget;    /* borrowed; NULL: none. Set by the owner behind init */
    bool has_spare;               /* a small block was taken beyond the budget */
};

/* Takes no memory yet. */
void gal_arena_init(struct gal_arena *a, size_t block_first, size_t keep_max, size_t bytes_max);
void gal_arena_release(struct gal_arena *a);
/* Forgets all pieces. Keeps one block of up to keep_max bytes: when the last round needed several
 * blocks and their sum fits, they become one, so that the next round fits without a call. */
void gal_arena_clear(struct gal_arena *a);

/* NULL when bytes_max or the budget would be passed or memory is out. Size 0 gives a valid unique
 * pointer. */
void *gal_arena_alloc(struct gal_arena *a, size_t bytes);
/* Like alloc with 8-byte alignment only, for small structures and text. */
void *gal_arena_small(struct gal_arena *a, size_t bytes);
void *gal_arena_array(struct gal_arena *a, size_t count, size_t bytes); /* NULL on overflow too */
/* A piece of `from` bytes becomes one of `to` >= from bytes, in place when it is the latest piece
 * and its block has room, else as a copy (the old piece stays taken). NULL as for alloc: the piece
 * is then as it was. */
void *gal_arena_grow(struct gal_arena *a, void *p, size_t from, size_t to);
/* The latest piece gives back what it does not need: `from` bytes become `to` <= from. Any other
 * piece stays as it is. */
void gal_arena_trim(struct gal_arena *a, void *p, size_t from, size_t to);
/* Where the arena stands, to forget all pieces taken since: for an attempt that came to nothing. No
 * clear may lie between the two. */
struct gal_arena_mark {
    struct gal_arena_block *head;
    size_t head_used, used;
};
struct gal_arena_mark gal_arena_mark(const struct gal_arena *a);
void gal_arena_rewind(struct gal_arena *a, struct gal_arena_mark mark);
char *gal_arena_strdup(struct gal_arena *a, struct gal_str s); /* NUL-terminated copy */
char *gal_arena_printf(struct gal_arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Why a call for `bytes` has just returned NULL: TOO_LARGE (bytes_max) or NO_MEMORY, with a
 * message that names `what` was wanted. */
enum gal_status gal_arena_fail(const struct gal_arena *a, size_t bytes, const char *what,
                               struct gal_err *err);
#ifdef __clang_analyzer__
#define gal_arena_fail(...) gal_fail_known((gal_arena_fail)(__VA_ARGS__), GAL_NO_MEMORY)
#endif

#endif
