/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of `galley image build`: the one that goes in, which may be another machine's, and the
 * one that a package proves itself with. One thread. */
#ifndef GAL_CLI_IMAGE_ENGINE_H
#define GAL_CLI_IMAGE_ENGINE_H

#include "base/file.h"
#include "cli/command.h"

struct gal_image_engine {
    char path[GAL_PATH_SIZE]; /* of its library */
    char version[32];         /* "1.29.0"; empty: not known */
    bool is_foreign;          /* for another architecture: this process cannot open it */
};

/* --onnxruntime's, else the one that galley itself opens. INVALID: no ELF file. */
enum gal_status gal_image_engine_find(const struct gal_config *config, struct gal_image_engine *out,
                                      struct gal_err *err);
/* A package at `path` that nobody has sealed proves itself, as galley pack has it, by the engine
 * that goes in or, where that is foreign, by this machine's. *proved: it had cases. */
enum gal_status gal_image_engine_prove(struct gal_cli *cli, const struct gal_config *config,
                                       const struct gal_image_engine *engine, const char *path,
                                       bool *proved, struct gal_err *err);

#endif
