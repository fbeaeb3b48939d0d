/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files as a loader sees them (System V gABI; symbol versions by the GNU extension): what a
 * program or library needs, where it wants to be looked for, which versions of symbols it needs and
 * offers. Only 64-bit little-endian files, which is what images are made of here. Every offset is
 * checked: the file may be anything. Pure; texts point into the file's bytes. Any thread. */
#ifndef GAL_SHIP_ELF_H
#define GAL_SHIP_ELF_H

#include "base/arena.h"
#include "base/buf.h"

#define GAL_ELF_ENTRIES_MAX 65536u /* of any table in it */

/* A version of symbols: needed from `file`, or offered (file empty). */
struct gal_elf_version {
    struct gal_str file, name; /* "libc.so.6", "GLIBC_2.34" */
};

struct gal_elf {
    unsigned machine;                /* EM_X86_64, ... */
    struct gal_str interpreter;      /* "/lib64/ld-linux-x86-64.so.2"; empty: none */
    struct gal_str soname;           /* empty: none */
    struct gal_str rpath, runpath;   /* "A:B"; empty: none */
    const struct gal_str *libraries; /* DT_NEEDED, in order */
    size_t library_count;
    const struct gal_elf_version *needs, *offers;
    size_t need_count, offer_count;
};

/* Begins with ELF's magic bytes. */
bool gal_elf_is(struct gal_str bytes);
/* INVALID: damaged, says where. UNSUPPORTED: 32 bits or big-endian. */
enum gal_status gal_elf_read(struct gal_str bytes, struct gal_arena *arena, struct gal_elf *out,
                             struct gal_err *err);
/* OCI's word for the machine: "amd64", "arm64"; NULL: unknown. */
const char *gal_elf_architecture(const struct gal_elf *e);
/* The machine of an OCI word; 0: unknown. */
unsigned gal_elf_machine(struct gal_str architecture);

/* A program without what running it does not need (section headers, symbols, debug information:
 * all behind the last loaded segment), and, unless interpreter is NULL, with that path in place of
 * the loader's it had; UNSUPPORTED when there is no room for it. Appends to out. */
enum gal_status gal_elf_slim(struct gal_str bytes, const char *interpreter, struct gal_buf *out,
                             struct gal_err *err);

#endif
