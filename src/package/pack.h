/* SPDX-License-Identifier: Apache-2.0 */
/* Packages to files and back to directories. Packing is deterministic: equal files give equal
 * bytes, whatever the folder, the time, the machine. The lock of provenance (lock.json) and the
 * SBOM (SPDX 2.3, sbom.spdx.json) are made and go in as files. */
#ifndef GAL_PACKAGE_PACK_H
#define GAL_PACKAGE_PACK_H

#include "package/package.h"

struct gal_pack_options {
    bool proved;      /* its golden cases were run and reproduced: the lock says so */
    int64_t epoch;    /* SOURCE_DATE_EPOCH, seconds since 1970: the SBOM's time. 0 untold */
    unsigned threads; /* that compute digests; 0: one a processor */
    void (*on_progress)(uint64_t done, uint64_t total, void *ctx); /* may be NULL */
    void *ctx;
};

struct gal_pack_report {
    char digest[GAL_DIGEST_SIZE];
    uint64_t bytes;
    size_t files;
};

/* A package to a .galley file, which takes the place of one that is there. A sealed package keeps
 * its manifest to the byte; its files are checked on the way. options NULL: all zero. */
enum gal_status gal_pack(struct gal_package *p, const char *out_path,
                         const struct gal_pack_options *options, struct gal_pack_report *report,
                         struct gal_err *err);
/* A package's files into a new directory, sealed when each file has a layer of its own, and checked
 * on the way. Nothing is written outside it; on failure nothing stays. CONFLICT: it is there. */
enum gal_status gal_unpack(struct gal_package *p, const char *dir, struct gal_err *err);

#endif
