/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that look random and follow from a seed: nothing secret is made of them. Pure.
 *
 * Same everywhere: only whole numbers of 64 bits are reckoned with, so one state gives one sequence
 * on every machine, whatever its order of bytes. A sequence that is kept, or compared between
 * machines (a package's copies of rows, a benchmark's arrivals), is as portable as its seed is: a
 * seed that is made of values' bytes in memory holds for machines of one order of bytes, which
 * tensors have anyway (tensor/tensor.c does not build where it is not the little-endian one). */
#ifndef GAL_BASE_RANDOM_H
#define GAL_BASE_RANDOM_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): the next
 * number; every state is a good one, and neighbouring states give numbers that share nothing. */
static inline uint64_t gal_random_split(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
