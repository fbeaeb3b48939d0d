/* SPDX-License-Identifier: Apache-2.0 */
/* Powers of ten, for who reads or writes decimal numbers. Immutable; any thread. */
#ifndef GAL_BASE_DECIMAL_H
#define GAL_BASE_DECIMAL_H

#include <stdint.h>

#define GAL_POW10_COUNT 23     /* that a double holds exactly: 10^0 to 10^22 */
#define GAL_POW10_U64_COUNT 20 /* that 64 bits hold: 10^0 to 10^19 */

/* The i-th is 10^i. One multiplication or division of a whole number up to 2^53 by one of them
 * rounds once: the result is the double nearest to the decimal number. */
extern const double gal_pow10[GAL_POW10_COUNT];
extern const uint64_t gal_pow10_u64[GAL_POW10_U64_COUNT];

#endif
