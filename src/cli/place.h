/* SPDX-License-Identifier: Apache-2.0 */
/* Where a command's operand lies: a path of this machine is taken as it is; what a URL names
 * (source/source.h) is fetched into the cache that servers share, with a bar on a terminal's
 * stderr, and is held there until the place is closed. Blocking; one thread. */
#ifndef GAL_CLI_PLACE_H
#define GAL_CLI_PLACE_H

#include "cli/command.h"
#include "source/source.h"

/* Keys that such a command takes as options too. */
#define GAL_PLACE_KEYS GAL_KEY_CACHE_DIR, GAL_KEY_CACHE_SIZE
/* For its help. */
#define GAL_PLACE_HELP                                                                             \
    "SOURCE is a file or directory, or a URL that `galley serve` takes too: http(s)://, s3://, "   \
    "gs://, az://, oci://, models:/. It is fetched into the cache that servers use (cache_dir), "  \
    "once; `galley cache ls` lists it."

struct gal_place {
    const char *text;          /* as it was typed; borrowed */
    char shown[512];           /* a URL as it may be printed; empty: text may */
    const char *path;          /* what is there, of this machine: text, or the source's */
    struct gal_source *source; /* NULL: text is a path; owned */
};

/* out is to be closed in any case. The error's place is the text. */
enum gal_status gal_place_open(const struct gal_cli *cli, const struct gal_config *config,
                               const char *text, struct gal_place *out, struct gal_err *err);
/* What was typed, without what is secret in a URL. */
const char *gal_place_shown(const struct gal_place *p);
/* Where it is scanned for models: path, or the file in it (gal_sources_scan_place). *out is owned.
 */
enum gal_status gal_place_scan(const struct gal_place *p, char **out, struct gal_err *err);
/* What the user knows it by: the URL with its version or digest, or the path. */
const char *gal_place_origin(const struct gal_place *p);
/* Is this path, of an error or a model, within what was fetched? */
bool gal_place_has(const struct gal_place *p, const char *path);
/* An error that names a path in the cache is told by what the user has typed. */
void gal_place_explain(const struct gal_place *p, struct gal_err *err);
void gal_place_close(struct gal_place *p);

/* All operands of a command. */
struct gal_places {
    struct gal_place *all; /* owned, as is the next */
    char **scans;
    size_t count;
};
/* out is to be closed in any case. */
enum gal_status gal_places_open(const struct gal_cli *cli, const struct gal_config *config,
                                struct gal_places *out, struct gal_err *err);
/* The one that a path is within; NULL. */
const struct gal_place *gal_places_find(const struct gal_places *p, const char *path);
void gal_places_close(struct gal_places *p);

#endif
