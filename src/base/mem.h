/* SPDX-License-Identifier: Apache-2.0 */
/* The only door to the allocator: every allocation of galley's code goes through it, so that it
 * can be counted (`galley_allocations_total`) and made to fail in tests. Any thread.
 * A size of 0 is never asked for. Functions return NULL when memory is out. */
#ifndef GAL_BASE_MEM_H
#define GAL_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *gal_alloc(size_t bytes) __attribute__((malloc, alloc_size(1)));
void *gal_calloc(size_t count, size_t bytes); /* zeroed; NULL on overflow too */
void *gal_realloc(void *p, size_t bytes);
void gal_free(void *p);                     /* NULL is fine */
char *gal_strdup(const char *s);            /* returns owned */
char *gal_strndup(const char *s, size_t n); /* returns owned, NUL-terminated */

/* Hands memory that the C library's allocator holds but nobody uses back to the system, where the
 * library can do that. Takes its locks: not for a busy loop. */
void gal_mem_trim(void);

/* Calls to gal_alloc, gal_calloc and gal_realloc since the process started (relaxed count). */
uint64_t gal_alloc_count(void);

/* Tests only: the n-th call from now (1 = next) and, when `once` is 0, all after it return NULL.
 * n = 0 turns it off. Counts calls of the whole process. */
void gal_alloc_fail_at(uint64_t n, int once);

#endif
