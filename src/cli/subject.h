/* SPDX-License-Identifier: Apache-2.0 */
/* What a command asks and compares: a package, a model file or directory, the model of a container
 * image, or a model of a running server by its URL. All become a session whose outputs are tensors.
 * One thread. */
#ifndef GAL_CLI_SUBJECT_H
#define GAL_CLI_SUBJECT_H

#include "cli/stored.h"
#include "model/catalog.h"
#include "package/golden.h"
#include "package/package.h"

struct gal_subject {
    const char *text;            /* as it was typed; borrowed */
    const char *path;            /* where it lies: `text`, or what was fetched or taken out */
    struct gal_package *package; /* NULL: it is none */
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_model *model; /* as far as it is known: what rows are read by */
    struct gal_catalog *catalog;   /* NULL: a server's */
    struct gal_model remote;       /* a server's, of which only name, info and batch_dim are set */
    struct gal_stored stored;      /* what was fetched or taken out of an image */
};

/* The command has GAL_REGISTRY_OPTIONS. `model`: as of gal_stored_open. out is to be closed in any
 * case. */
enum gal_status gal_subject_open(const struct gal_cli *cli, const struct gal_config *config,
                                 const char *text, const char *model, struct gal_subject *out,
                                 struct gal_err *err);
/* The same in two steps: a package is opened, then its model is loaded.
 * Digests and golden cases are the caller's matter. */
enum gal_status gal_subject_package(const char *text, struct gal_subject *out, struct gal_err *err);
enum gal_status gal_subject_load(const struct gal_config *config, struct gal_subject *s,
                                 struct gal_err *err);
void gal_subject_close(struct gal_subject *s);
/* The package's golden cases; *out NULL when it has none, or is no package. They live as long as
 * the arena and the subject. */
enum gal_status gal_subject_golden(struct gal_subject *s, struct gal_arena *arena,
                                   struct gal_golden **out, struct gal_err *err);
/* Runs them; without any *golden is NULL and all is well. INVALID as of gal_golden_prove. */
enum gal_status gal_subject_prove(struct gal_subject *s, struct gal_arena *arena,
                                  struct gal_golden **golden, struct gal_proof *proof,
                                  struct gal_err *err);

#endif
