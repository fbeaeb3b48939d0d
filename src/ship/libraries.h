/* SPDX-License-Identifier: Apache-2.0 */
/* The shared libraries that a program needs, found where the loader would find them: RPATH, folders
 * of the caller's (as LD_LIBRARY_PATH), RUNPATH, the folders of ld.so.conf, the standard ones; a
 * file of another machine is passed by. Under a root of its own, for programs of other
 * architectures and systems. Files stay mapped while the object lives. One thread. */
#ifndef GAL_SHIP_LIBRARIES_H
#define GAL_SHIP_LIBRARIES_H

#include "ship/elf.h"

#define GAL_LIBRARIES_MAX 512u
#define GAL_LOADER_FILE_MAX (256u << 10) /* of an ld.so.conf */

struct gal_library {
    struct gal_str name; /* as it is asked for: "libz.so.1" */
    const char *path;    /* with links followed */
    const char *found;   /* where it was found, a link perhaps: what package managers know */
    struct gal_str bytes;
    struct gal_elf elf;
    bool is_loader;       /* the program's PT_INTERP */
    struct gal_str asker; /* who needs it first */
};

struct gal_libraries {
    struct gal_arena arena;
    const char *root; /* "" for /, else without a / at its end */
    const char **dirs;
    size_t dir_count, dir_room;
    size_t own_dirs;           /* the first ones are the caller's */
    struct gal_library *items; /* in the order in which they were needed */
    size_t count;
};

/* root NULL or "/": this system. To be released in any case. */
enum gal_status gal_libraries_init(struct gal_libraries *l, const char *root,
                                   const char *const *dirs, size_t dir_count, struct gal_err *err);
void gal_libraries_release(struct gal_libraries *l);
/* Everything that the file, which is itself not one of them, and its needs need. `path` is what
 * $ORIGIN stands for. NOT_FOUND names the library, who needs it and where it was looked for. */
enum gal_status gal_libraries_add(struct gal_libraries *l, const char *path, struct gal_str bytes,
                                  struct gal_err *err);
/* What a program opens by name: the library, and its needs. machine: as gal_elf's. */
enum gal_status gal_libraries_add_named(struct gal_libraries *l, const char *name, unsigned machine,
                                        struct gal_err *err);
/* Every version of symbols that the file and the libraries need is offered by the libraries that
 * were found. CONFLICT names it. */
enum gal_status gal_libraries_check(const struct gal_libraries *l, const char *path,
                                    const struct gal_elf *elf, struct gal_err *err);
/* NULL: none of that name. */
const struct gal_library *gal_libraries_find(const struct gal_libraries *l, struct gal_str name);

#endif
