/* SPDX-License-Identifier: Apache-2.0 */
/* What download.c (threads, chunks) and journal.c (what is there already) share. */
#ifndef GAL_SOURCE_DOWNLOAD_IMPL_H
#define GAL_SOURCE_DOWNLOAD_IMPL_H

#include "source/plan.h"

#define GAL_CHUNK_BYTES (8ull << 20)

struct gal_chunk {
    const struct gal_source_object *object;
    uint64_t first, bytes; /* bytes 0: the whole object, whatever its size */
};

/* Which chunks are there: one byte each in DIR/journal, behind the name of the machine's start. A
 * chunk counts after its bytes were written; as long as the machine runs the system remembers both.
 * After a crash of the machine nothing in the directory is believed. */
struct gal_journal {
    int fd;
    char *done;    /* one byte a chunk: '0' or '1'; owned */
    size_t header; /* bytes before them in the file */
};
/* Opens or begins it; *fresh: what lies in the directory is not to be believed. */
enum gal_status gal_journal_open(const char *dir, const char *identity, size_t chunks,
                                 struct gal_journal *out, bool *fresh, struct gal_err *err);
/* Any thread, each for chunks of its own. A journal that cannot be written costs a later try. */
void gal_journal_mark(struct gal_journal *j, size_t chunk);
void gal_journal_close(struct gal_journal *j);

#endif
