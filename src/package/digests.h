/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of many parts of files, several at once. */
#ifndef GAL_PACKAGE_DIGESTS_H
#define GAL_PACKAGE_DIGESTS_H

#include "base/digest.h"

struct gal_digest_job {
    const char *label; /* for errors: "model.onnx"; borrowed, as all that is here */
    const char *path;
    uint64_t offset, size;
    const char *want; /* "sha256:..." that it has to be; NULL: whatever it is */
    char sha256[GAL_SHA256_HEX_SIZE], sha1[GAL_SHA1_HEX_SIZE]; /* filled; sha1 when asked for */
};

/* Fills all jobs. The first (by place) that fails is told: INVALID where it is another than wanted,
 * or what reading says. threads 0: one a processor. on_progress may be NULL; calls come one at a
 * time, from any thread. */
enum gal_status gal_digest_all(struct gal_digest_job *jobs, size_t count, bool with_sha1,
                               unsigned threads,
                               void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                               void *ctx, struct gal_err *err);

#endif
