/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that speak to registries share: their options, progress, and how they end. */
#ifndef GAL_CLI_TRANSFER_H
#define GAL_CLI_TRANSFER_H

#include "cli/command.h"
#include "cli/progress.h"
#include "oci/registry.h"

/* Rows for a command's table of options. */
#define GAL_REGISTRY_OPTIONS                                                                       \
    {"plain-http", '\0', NULL, "Speak HTTP without TLS; on this machine's own addresses untold"},  \
        {"insecure", '\0', NULL, "Over TLS, trust anybody"},                                       \
    {                                                                                              \
        "ca", '\0', "FILE", "Certificates (PEM) to trust, instead of the system's"                 \
    }
#define GAL_TRANSFER_OPTIONS                                                                       \
    GAL_REGISTRY_OPTIONS, {"concurrency", 'c', "N", "Blobs that move at once, 1 to 64 [4]"},       \
        {"quiet", 'q', NULL, "No progress"},                                                       \
    {                                                                                              \
        "json", '\0', NULL, "The result as JSON"                                                   \
    }

/* One push or pull. */
struct gal_cli_transfer {
    struct gal_cli *cli;
    struct gal_registry_options options;
    struct gal_progress *progress; /* NULL: quiet */
    const char *sent;              /* "uploaded", "downloaded": the word for what is done */
    uint64_t begin_us;
};

/* Options of the command line to t, which the caller releases in any case. INVALID names the one
 * that is wrong: exit with GAL_EXIT_USAGE. */
enum gal_status gal_transfer_init(struct gal_cli_transfer *t, struct gal_cli *cli,
                                  struct gal_err *err);
void gal_transfer_release(struct gal_cli_transfer *t);
/* The options that GAL_REGISTRY_OPTIONS brings. */
void gal_transfer_trust(const struct gal_cli *cli, struct gal_registry_options *out);
/* Prints what moved (stderr) and "HOST/REPOSITORY:TAG@sha256:..." or JSON (stdout). `path`: where
 * it lies now; NULL. */
void gal_transfer_print(struct gal_cli_transfer *t, const struct gal_reference *ref,
                        const struct gal_transfer *result, const char *path);

#endif
