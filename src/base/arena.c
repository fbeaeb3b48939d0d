/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#if __has_include(<sanitizer/asan_interface.h>) /* clang has it in a package of its own */
#include <sanitizer/asan_interface.h>           /* empty without AddressSanitizer */
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

/* Blocks double up to this, so that many small pieces take few calls and waste stays bounded. */
#define BLOCK_BYTES_MAX ((size_t)1 << 20)
#define SPARE_BYTES 16384u

/* A block's bytes begin at an address that is a multiple of GAL_ARENA_ALIGN, and so does its size:
 * pieces that filled several blocks therefore fit one of the sum of their sizes. */
struct gal_arena_block {
    struct gal_arena_block *next;
    char *bytes;
    size_t cap;
    size_t used;
};

static size_t round_up(size_t n, size_t to)
{
    return (n + (to - 1)) & ~(to - 1);
}

void gal_arena_init(struct gal_arena *a, size_t block_first, size_t keep_max, size_t bytes_max)
{
    GAL_ASSERT(block_first > 0);
    *a = (struct gal_arena){.bytes_max = bytes_max < SIZE_MAX / 4 ? bytes_max : SIZE_MAX / 4,
                            .keep_max = keep_max,
                            .block_first = round_up(block_first, GAL_ARENA_ALIGN)};
}

static void block_free(struct gal_arena *a, struct gal_arena_block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(b->bytes, b->cap);
    gal_budget_release(a->budget, gal_budget_counts(b->cap));
    gal_free(b);
}

static struct gal_arena_block *block_new(struct gal_arena *a, size_t cap)
{
    if (!gal_budget_charge(a->budget, gal_budget_counts(cap)))
        return NULL;
    struct gal_arena_block *b = gal_alloc(sizeof *b + GAL_ARENA_ALIGN + cap);
    if (!b) {
        gal_budget_release(a->budget, gal_budget_counts(cap));
        return NULL;
    }
    uintptr_t end = (uintptr_t)(b + 1);
    *b = (struct gal_arena_block){.bytes = (char *)(b + 1) + (round_up(end, GAL_ARENA_ALIGN) - end),
                                  .cap = cap};
    ASAN_POISON_MEMORY_REGION(b->bytes, cap);
    return b;
}

void gal_arena_release(struct gal_arena *a)
{
    while (a->head) {
        struct gal_arena_block *b = a->head;
        a->head = b->next;
        block_free(a, b);
    }
    a->used = 0;
}

/* Frees all blocks but the largest that keep_max allows; returns the sum of all sizes. */
static size_t keep_largest(struct gal_arena *a)
{
    struct gal_arena_block *kept = NULL;
    size_t sum = 0;
    while (a->head) {
        struct gal_arena_block *b = a->head;
        a->head = b->next;
        sum += b->cap;
        if (b->cap <= a->keep_max && (!kept || b->cap > kept->cap)) {
            struct gal_arena_block *smaller = kept;
            kept = b;
            b = smaller;
        }
        if (b)
            block_free(a, b);
    }
    a->head = kept;
    return sum;
}

void gal_arena_clear(struct gal_arena *a)
{
    a->used = 0;
    a->has_spare = false;
    if (!a->head)
        return;
    size_t sum = keep_largest(a);
    if (a->head && sum <= a->keep_max && a->head->cap < sum) {
        block_free(a, a->head);
        a->head = block_new(a, sum); /* NULL is fine: the next round begins anew */
    }
    if (!a->head)
        return;
    a->head->next = NULL;
    a->head->used = 0;
    ASAN_POISON_MEMORY_REGION(a->head->bytes, a->head->cap);
}

/* A new head block with room for `bytes`. */
static struct gal_arena_block *add_block(struct gal_arena *a, size_t bytes)
{
    size_t cap = a->head ? 2 * a->head->cap : a->block_first;
    if (cap > BLOCK_BYTES_MAX && cap > a->block_first)
        cap = BLOCK_BYTES_MAX;
    if (cap < bytes)
        cap = round_up(bytes, GAL_ARENA_ALIGN);
    struct gal_arena_block *b = block_new(a, cap);
    /* When the budget is out, one small block still comes free: what has no memory is told so. */
    if (!b && !gal_budget_fits(a->budget, gal_budget_counts(cap)) && !a->has_spare &&
        bytes <= SPARE_BYTES) {
        a->has_spare = true;
        b = block_new(a, SPARE_BYTES);
    }
    if (!b)
        return NULL;
    b->next = a->head;
    a->head = b;
    return b;
}

static void *take(struct gal_arena *a, size_t bytes, size_t align)
{
    if (bytes == 0)
        bytes = 1;
    if (bytes > a->bytes_max - a->used)
        return NULL;
    struct gal_arena_block *b = a->head;
    size_t at = b ? round_up(b->used, align) : 0;
    if (!b || at > b->cap || bytes > b->cap - at) {
        b = add_block(a, bytes);
        at = 0;
    }
    if (!b)
        return NULL;
    b->used = at + bytes;
    a->used += bytes;
    ASAN_UNPOISON_MEMORY_REGION(b->bytes + at, bytes);
    return b->bytes + at;
}

void *gal_arena_alloc(struct gal_arena *a, size_t bytes)
{
    return take(a, bytes, GAL_ARENA_ALIGN);
}

void *gal_arena_small(struct gal_arena *a, size_t bytes)
{
    return take(a, bytes, 8);
}

void *gal_arena_array(struct gal_arena *a, size_t count, size_t bytes)
{
    size_t total;
    return __builtin_mul_overflow(count, bytes, &total) ? NULL : gal_arena_alloc(a, total);
}

void *gal_arena_grow(struct gal_arena *a, void *p, size_t from, size_t to)
{
    struct gal_arena_block *b = a->head;
    GAL_ASSERT(b && to >= from);
    /* The last piece of the head block grows where it is. */
    if (from > 0 && (char *)p + from == b->bytes + b->used && to - from <= b->cap - b->used) {
        if (to - from > a->bytes_max - a->used)
            return NULL;
        ASAN_UNPOISON_MEMORY_REGION(b->bytes + b->used, to - from);
        b->used += to - from;
        a->used += to - from;
        return p;
    }
    void *moved = gal_arena_alloc(a, to);
    if (moved && from > 0)
        memcpy(moved, p, from);
    return moved;
}

void gal_arena_trim(struct gal_arena *a, void *p, size_t from, size_t to)
{
    struct gal_arena_block *b = a->head;
    GAL_ASSERT(b && to <= from);
    if ((char *)p + from != b->bytes + b->used)
        return;
    b->used -= from - to;
    a->used -= from - to;
    ASAN_POISON_MEMORY_REGION(b->bytes + b->used, from - to);
}

struct gal_arena_mark gal_arena_mark(const struct gal_arena *a)
{
    return (struct gal_arena_mark){a->head, a->head ? a->head->used : 0, a->used};
}

void gal_arena_rewind(struct gal_arena *a, struct gal_arena_mark mark)
{
    while (a->head != mark.head) {
        struct gal_arena_block *b = a->head;
        a->head = b->next;
        block_free(a, b);
    }
    a->used = mark.used;
    if (!a->head)
        return;
    ASAN_POISON_MEMORY_REGION(a->head->bytes + mark.head_used, a->head->used - mark.head_used);
    a->head->used = mark.head_used;
}

char *gal_arena_strdup(struct gal_arena *a, struct gal_str s)
{
    char *copy = s.n < SIZE_MAX ? gal_arena_small(a, s.n + 1) : NULL;
    if (!copy)
        return NULL;
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

char *gal_arena_printf(struct gal_arena *a, const char *format, ...)
{
    char *text = NULL;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0)
        text = gal_arena_small(a, (size_t)n + 1);
    if (text)
        (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

#undef gal_arena_fail /* the analyzer's, see base/status.h */
enum gal_status gal_arena_fail(const struct gal_arena *a, size_t bytes, const char *what,
                               struct gal_err *err)
{
    if (bytes > a->bytes_max - a->used)
        return gal_fail(err, GAL_TOO_LARGE, "%s: more than the %zu bytes that a request may take",
                        what, a->bytes_max);
    if (gal_budget_fits(a->budget, gal_budget_counts(bytes)))
        return gal_fail(err, GAL_NO_MEMORY, "%s: out of memory", what);
    gal_fail(err, GAL_NO_MEMORY, "%s: other requests have taken the memory for requests", what);
    gal_err_hint(err, "try again later; max_request_memory bounds what all take together");
    return GAL_NO_MEMORY;
}
