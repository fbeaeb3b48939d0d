/* SPDX-License-Identifier: Apache-2.0 */
/* What `galley cache ls`, `rm` and `prune` share: the cache as it is now, and removals from it.
 * What a process uses is told so and never goes (source/shelf.h). One thread. */
#ifndef GAL_CLI_CACHE_H
#define GAL_CLI_CACHE_H

#include "cli/command.h"
#include "source/shelf.h"

#define GAL_CACHE_KEY_SHOWN 12u /* of a key, as git and docker show digests */

struct gal_cache {
    struct gal_cli *cli;
    struct gal_config config;
    const char *dir;                 /* of it; in cli's arena */
    uint64_t bytes_max;              /* cache_size */
    struct gal_shelf_entry *entries; /* most lately used first; owned */
    size_t count;
    uint64_t bytes; /* all of them */
    int64_t now_ns; /* since 1970 */
};
/* To be closed in any case. A cache that is not there is empty. */
enum gal_status gal_cache_open(struct gal_cli *cli, struct gal_cache *out, struct gal_err *err);
void gal_cache_close(struct gal_cache *c);

/* "12 s ago", "3 h ago", "9 d ago"; returns out. */
char *gal_cache_age(const struct gal_cache *c, const struct gal_shelf_entry *e, char *out,
                    size_t size);
const char *gal_cache_state(const struct gal_shelf_entry *e);
/* Members of a JSON object, without its braces. */
void gal_cache_put(struct gal_buf *out, const struct gal_shelf_entry *e);

/* What goes, told as it goes, or (dry_run) only told. */
struct gal_cache_removal {
    struct gal_cache *cache;
    bool dry_run, as_json;
    struct gal_buf removed, kept; /* JSON, lists without brackets */
    uint64_t bytes;               /* that went */
    uint64_t gone;                /* that are not there any more, whoever removed them */
    size_t count, kept_count;     /* that went; that were wanted and did not go */
};
void gal_cache_removal_init(struct gal_cache_removal *r, struct gal_cache *c);
/* CONFLICT: in use, counted as kept. OK too when another has removed it meanwhile. */
enum gal_status gal_cache_remove(struct gal_cache_removal *r, const struct gal_shelf_entry *e,
                                 struct gal_err *err);
/* The last line, or the JSON; frees what r has. */
void gal_cache_removal_end(struct gal_cache_removal *r);

#endif
