/* SPDX-License-Identifier: Apache-2.0 */
/* Which Debian packages files come from, by dpkg's database (/var/lib/dpkg). One thread. */
#ifndef GAL_SHIP_DEBIAN_H
#define GAL_SHIP_DEBIAN_H

#include "base/arena.h"

#define GAL_DPKG_STATUS_MAX (64u << 20)
#define GAL_DPKG_LIST_MAX (16u << 20)

struct gal_debian_package {
    struct gal_str name, version, architecture;
    struct gal_str paragraph; /* its own of dpkg's status, with its last newline */
    const char *copyright;    /* file; NULL: none */
};

/* owners[i]: the package of paths[i] (absolute, below root), NULL when none has it. A system
 * without dpkg has none. Everything is the arena's; a package of several files is one object. */
enum gal_status gal_debian_owners(const char *root, const char *const *paths, size_t count,
                                  struct gal_arena *arena, const struct gal_debian_package **owners,
                                  struct gal_err *err);

#endif
