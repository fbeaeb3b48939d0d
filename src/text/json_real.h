/* SPDX-License-Identifier: Apache-2.0 */
/* The double nearest to a decimal number. Pure. */
#ifndef GAL_TEXT_JSON_REAL_H
#define GAL_TEXT_JSON_REAL_H

#include "base/str.h"

/* The double nearest to digits * 10^exponent (ties to even). False when it cannot tell, or the
 * number is 0 or far from 1: 10^-65 to 10^44 are covered, which all of FP32's texts are. */
bool gal_json_real(uint64_t digits, int exponent, double *out);

#endif
