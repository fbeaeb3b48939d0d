/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that are no paths of this machine: fetched on a thread beside the loops (source/source.h),
 * before a first load or a reload goes on, and looked at again by polling. Main thread, but for
 * what the thread itself does. */
#ifndef GAL_SERVER_SOURCES_H
#define GAL_SERVER_SOURCES_H

#include "base/log.h"
#include "net/loop.h"
#include "server/config.h"
#include "source/source.h"

/* The sources of one configuration, as long as it is the newest: what is held stays in the cache.
 */
struct gal_sources {
    struct gal_source **open; /* by path of the configuration; NULL: lies on this machine */
    char **places;            /* by path: where it is scanned */
    size_t count;
};
void gal_sources_free(struct gal_sources *s); /* NULL is fine */
bool gal_sources_needed(const struct gal_config *c);
/* Where a path of the configuration lies; sources may be NULL. */
const char *gal_sources_place(const struct gal_sources *s, const struct gal_config *c, size_t path);
/* A directory that was fetched as NAME/VERSION is that version of NAME: the file in it says so; a
 * package says it itself. *out is owned. */
enum gal_status gal_sources_scan_place(const char *path, char **out, struct gal_err *err);

/* One round of the thread. */
struct gal_sourcing;
struct gal_sourcing_options {
    const struct gal_config *config; /* borrowed until the end */
    struct gal_sources *poll;        /* NULL: fetch; else: have these changed? Borrowed */
    struct gal_log *log;
    struct gal_loop *home; /* on_end runs here */
    const atomic_bool *stop;
    void (*on_end)(struct gal_sourcing *g, void *ctx);
    void *ctx;
};
enum gal_status gal_sourcing_start(const struct gal_sourcing_options *o, struct gal_sourcing **out,
                                   struct gal_err *err);
/* At its end: what was fetched (the caller's), or why not. */
enum gal_status gal_sourcing_take(struct gal_sourcing *g, struct gal_sources **out,
                                  struct gal_err *err);
bool gal_sourcing_changed(const struct gal_sourcing *g);
void gal_sourcing_free(struct gal_sourcing *g); /* waits for the thread; NULL is fine */
/* Options of a configuration, without progress. */
void gal_sources_options(const struct gal_config *c, const atomic_bool *stop,
                         struct gal_source_options *out);

#endif
