/* SPDX-License-Identifier: Apache-2.0 */
/* A plan's objects into a directory: several parts at once, each tried again where it broke off,
 * sizes, versions and digests checked, all of it on the disk. What an earlier try of the same plan
 * left in the directory is gone on with, if the machine has not been started anew since. */
#ifndef GAL_SOURCE_DOWNLOAD_H
#define GAL_SOURCE_DOWNLOAD_H

#include "source/plan.h"

/* Files go to DIR/d/PLACE. CONFLICT: something changed meanwhile, make a new plan. INVALID: a
 * digest differs, the message has both. */
enum gal_status gal_download(struct gal_source_run *r, const char *dir, struct gal_err *err);
/* Bytes of the objects whose sizes are known. */
uint64_t gal_download_bytes(const struct gal_source_plan *plan);

#endif
