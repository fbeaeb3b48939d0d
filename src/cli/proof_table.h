/* SPDX-License-Identifier: Apache-2.0 */
/* A proof for people and for scripts. */
#ifndef GAL_CLI_PROOF_TABLE_H
#define GAL_CLI_PROOF_TABLE_H

#include "package/golden.h"

#include <stdio.h>

/* A row an output: how many values, how many beyond tolerance, the worst absolute and relative
 * difference; below it, where values are beyond tolerance, the worst of them. g: the cases that
 * were proven. */
void gal_proof_print(FILE *out, const struct gal_proof *proof, const struct gal_golden *g);
/* "cases":30,"failed":0,"outputs":[...] */
void gal_proof_json(struct gal_buf *out, const struct gal_proof *proof, const struct gal_golden *g);

#endif
