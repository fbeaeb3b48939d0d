/* SPDX-License-Identifier: Apache-2.0 */
/* The arena of a test of parsers, set up before all its tests and released after
 * them: cmocka_run_group_tests(tests, arena_set_up, arena_tear_down). One file, one thread. */
#ifndef GAL_TESTS_SUPPORT_ARENA_H
#define GAL_TESTS_SUPPORT_ARENA_H

#include "base/arena.h"

static struct gal_arena arena;

static inline int arena_set_up(void **state)
{
    (void)state;
    gal_arena_init(&arena, 4096, 1u << 20, 256u << 20);
    return 0;
}

static inline int arena_tear_down(void **state)
{
    (void)state;
    gal_arena_release(&arena);
    return 0;
}

#endif
