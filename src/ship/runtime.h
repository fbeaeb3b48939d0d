/* SPDX-License-Identifier: Apache-2.0 */
/* What an image needs to run galley, as cargo for layers: the C runtime with its loader and the
 * libraries, the engine, galley itself, and (where no base image brings them) users, /tmp and what
 * scanners want to know of the libraries' origin.
 *
 *     /opt/galley/ld.so          the C library's loader
 *     /opt/galley/lib/           libraries, engine
 *     /opt/galley/bin/galley     its loader is the one above, its libraries are found by its own
 *                                RPATH, $ORIGIN/../lib: neither ld.so.cache nor LD_LIBRARY_PATH is
 *                                needed, and no base image's C library matters
 *     /opt/galley/share/sbom/    a bill of materials a layer
 *     /opt/galley/share/doc/     copyright files of Debian packages
 */
#ifndef GAL_SHIP_RUNTIME_H
#define GAL_SHIP_RUNTIME_H

#include "ship/bill.h"
#include "ship/cargo.h"
#include "ship/libraries.h"

#define GAL_SHIP_PREFIX "opt/galley"
#define GAL_SHIP_LOADER "/" GAL_SHIP_PREFIX "/ld.so"
#define GAL_SHIP_BINARY "/" GAL_SHIP_PREFIX "/bin/galley"
#define GAL_SHIP_UID 65532u /* "nonroot", as distroless images have it */

struct gal_runtime_options {
    const char *galley, *engine; /* files */
    const char *engine_version;  /* NULL: not known */
    const char *root;            /* where libraries come from; NULL: this system */
    const char *const *dirs;     /* folders below root that are looked in first */
    size_t dir_count;
    bool with_sources; /* libcurl and certificates: what fetching needs */
    bool has_base;     /* a base image has users, /tmp and its own databases */
    uint64_t uid, gid; /* for /etc/passwd */
    int64_t epoch;
};

struct gal_runtime {
    struct gal_arena arena;
    struct gal_libraries libraries;
    struct gal_str galley_map, engine_map;
    struct gal_elf galley_elf;
    struct gal_buf galley_slim;
    struct gal_cargo system; /* count 0 with a base */
    struct gal_cargo runtime, engine, galley;
    struct gal_bill bill; /* of all of it */
};

/* To be released in any case; cargo points into it. NOT_FOUND, UNSUPPORTED, CONFLICT say what of
 * the system does not fit. */
enum gal_status gal_runtime_gather(const struct gal_runtime_options *options,
                                   struct gal_runtime *out, struct gal_err *err);
void gal_runtime_release(struct gal_runtime *r);

#endif
