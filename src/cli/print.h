/* SPDX-License-Identifier: Apache-2.0 */
/* What commands share: values printed for people, the engine's options. */
#ifndef GAL_CLI_PRINT_H
#define GAL_CLI_PRINT_H

#include "model/catalog.h"
#include "server/config.h"

#include <stdio.h>

/* Prints JSON text and a newline: laid out for reading when `out` is a terminal and not raw, as it
 * is otherwise. */
void gal_print_json(FILE *out, struct gal_str json, bool raw);
/* The same, always laid out; for tests. */
void gal_print_json_pretty(FILE *out, struct gal_str json);
/* Text that a file or a peer brought: control characters, which could steer a terminal, become `?`.
 */
void gal_print_text(FILE *out, struct gal_str text);
/* "11.2 KiB" into out; returns out. */
char *gal_humane_bytes(uint64_t bytes, char *out, size_t size);
/* Options of the backend; the strings are config's. */
struct gal_backend_options gal_cli_backend(const struct gal_config *config);
/* gal_catalog_scan of a command's operands, each with its config.pbtxt. */
enum gal_status gal_cli_scan(const struct gal_config *config, const char *const *paths, size_t n,
                             struct gal_model ***models, size_t *count, struct gal_err *err);

#endif
