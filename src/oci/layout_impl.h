/* SPDX-License-Identifier: Apache-2.0 */
/* What an open layout is, for the files of oci/layout. */
#ifndef GAL_OCI_LAYOUT_IMPL_H
#define GAL_OCI_LAYOUT_IMPL_H

#include "oci/layout.h"

#include <pthread.h>

/* A blob of a directory that somebody has asked for. */
struct mapped {
    struct mapped *next;
    char digest[GAL_DIGEST_SIZE];
    struct gal_str bytes;
    char *path;
};

struct gal_layout {
    const char *path; /* arena's */
    bool is_dir;
    struct gal_arena arena;
    struct gal_str tar;   /* map of it */
    struct gal_buf blobs; /* of the tar, by digest */
    struct gal_buf index_text;
    struct gal_oci_index index;
    pthread_mutex_t lock; /* arena and maps, once it is open */
    struct mapped *maps;
};

/* Puts the path in front of an error's words, unless it is there. Returns status. */
enum gal_status gal_layout_name_path(const struct gal_layout *l, enum gal_status status,
                                     struct gal_err *err);

#endif
