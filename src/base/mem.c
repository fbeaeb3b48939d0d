/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#define give_back() ((void)malloc_trim(0))
#else
#define give_back() ((void)0)
#endif

static _Atomic uint64_t calls;
static _Atomic uint64_t fail_at; /* value of `calls` that fails; 0: none */
static _Atomic bool fail_once;

/* Counts the call; true when it is to fail. */
static bool count_call(void)
{
    uint64_t now = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return false;
    return atomic_load_explicit(&fail_once, memory_order_relaxed) ? now == at : now >= at;
}

void *gal_alloc(size_t bytes)
{
    return count_call() ? NULL : malloc(bytes);
}

void *gal_calloc(size_t count, size_t bytes)
{
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all)) /* a sanitizer's calloc would end the process */
        return NULL;
    return count_call() ? NULL : calloc(count, bytes);
}

void *gal_realloc(void *p, size_t bytes)
{
    return count_call() ? NULL : realloc(p, bytes);
}

void gal_free(void *p)
{
    free(p);
}

char *gal_strdup(const char *s)
{
    return gal_strndup(s, strlen(s));
}

char *gal_strndup(const char *s, size_t n)
{
    char *copy = gal_alloc(n + 1);
    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void gal_mem_trim(void)
{
    give_back();
}

uint64_t gal_alloc_count(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

void gal_alloc_fail_at(uint64_t n, int once)
{
    atomic_store(&fail_once, once != 0);
    atomic_store(&fail_at, n ? atomic_load(&calls) + n : 0);
}
