/* SPDX-License-Identifier: Apache-2.0 */
/* A multi-stage Dockerfile and its .dockerignore for teams that have to build with docker
 * (requirements IMG-01, IMG-06, IMG-07, IMG-08, IMG-09, IMG-12, IMG-13). Text; pure; any thread. */
#ifndef GAL_SHIP_DOCKERFILE_H
#define GAL_SHIP_DOCKERFILE_H

#include "package/package.h"

struct gal_dockerfile_options {
    const char *base;     /* of all stages; NULL: debian:12.12-slim */
    const char *galley;   /* image of `galley image build`; NULL: the binary lies in the context */
    const char *package;  /* path of the package in the build context, fit for a COPY */
    bool is_dir;          /* the package is a directory */
    unsigned user, port;  /* 0: 65532, 8080 */
    bool without_weights; /* the package comes from MODEL_PATH at the start */
};
void gal_dockerfile(struct gal_buf *out, const struct gal_manifest *m,
                    const struct gal_dockerfile_options *options);
void gal_dockerignore(struct gal_buf *out);

#endif
