/* SPDX-License-Identifier: Apache-2.0 */
/* What commands read besides their options: files, standard input, tolerances. */
#ifndef GAL_CLI_READ_H
#define GAL_CLI_READ_H

#include "cli/command.h"

/* A file, or standard input for "-". out is initialised in any case, to be released. */
enum gal_status gal_cli_read(struct gal_cli *cli, const char *path, size_t bytes_max,
                             struct gal_buf *out, struct gal_err *err);
/* --rtol and --atol where they are given; the others stay. */
enum gal_status gal_cli_tolerance(const struct gal_cli *cli, double *rtol, double *atol,
                                  struct gal_err *err);

#endif
