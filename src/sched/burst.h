/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a burst of large calls is over, so that the memory which it left with the engine is worth
 * giving back: calls of the last seconds, and the smallest that the model has had, need less than a
 * fourth of the largest since memory was last given back. Calls that are about as large as ever are
 * no burst, however many come or how few. Zero-initialised: no call yet. */
#ifndef GAL_SCHED_BURST_H
#define GAL_SCHED_BURST_H

#include <stdbool.h>
#include <stddef.h>

/* Looks in a row that have to find calls small. */
#define GAL_BURST_LOOKS 3u

struct gal_burst {
    _Atomic size_t most;  /* the largest call since the last look */
    _Atomic size_t least; /* the smallest share of a row in a call, ever; 0: no call yet */
    /* who looks */
    size_t peak;    /* the largest call since memory was given back */
    size_t small;   /* the largest of the last looks */
    unsigned looks; /* in a row that found calls small */
};

/* A call is made whose inputs take so many bytes. Any thread; stores only what is new. */
void gal_burst_note(struct gal_burst *b, size_t bytes, size_t rows);
/* Once a second or so, by one thread at a time. True: now memory is to be given back. */
bool gal_burst_is_over(struct gal_burst *b);

#endif
