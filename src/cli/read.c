/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/read.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>

#define PIECE 65536u

static enum gal_status read_stream(FILE *in, size_t bytes_max, struct gal_buf *out,
                                   struct gal_err *err)
{
    for (;;) {
        char *space = gal_buf_reserve(out, PIECE);
        size_t n = space ? fread(space, 1, PIECE, in) : 0;
        if (!space)
            return gal_fail(err, GAL_TOO_LARGE, "standard input is larger than %zu bytes",
                            bytes_max);
        out->n += n;
        if (n == 0)
            return ferror(in) ? gal_fail(err, GAL_IO, "standard input could not be read") : GAL_OK;
    }
}

enum gal_status gal_cli_read(struct gal_cli *cli, const char *path, size_t bytes_max,
                             struct gal_buf *out, struct gal_err *err)
{
    enum gal_status status;

    gal_buf_init(out, bytes_max);
    if (strcmp(path, "-") == 0)
        return read_stream(cli->in, bytes_max, out, err);
    gal_buf_release(out);
    status = gal_file_read(path, bytes_max, out, err);
    if (status)
        gal_buf_init(out, bytes_max);
    return status;
}

static enum gal_status number(const struct gal_cli *cli, const char *name, double *out,
                              struct gal_err *err)
{
    const char *text = gal_cli_value(cli, name);
    char *end;
    double v;

    if (!text)
        return GAL_OK;
    v = strtod(text, &end);
    if (end == text || *end || !(v >= 0) || !isfinite(v))
        return gal_fail(err, GAL_INVALID, "--%s is a number from 0, got '%.40s'", name, text);
    *out = v;
    return GAL_OK;
}

enum gal_status gal_cli_tolerance(const struct gal_cli *cli, double *rtol, double *atol,
                                  struct gal_err *err)
{
    enum gal_status status = number(cli, "rtol", rtol, err);
    return status ? status : number(cli, "atol", atol, err);
}
