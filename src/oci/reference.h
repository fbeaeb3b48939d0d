/* SPDX-License-Identifier: Apache-2.0 */
/* References as docker and oras write them: [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:HEX], with an
 * oci:// in front if the user likes. The host is told by a dot, a colon or "localhost"; without one
 * it is docker.io (registry-1.docker.io, library/ for a bare name). Plain data. */
#ifndef GAL_OCI_REFERENCE_H
#define GAL_OCI_REFERENCE_H

#include "oci/descriptor.h"

struct gal_reference {
    char host[256];       /* "localhost:5000", lower case */
    char repository[256]; /* "models/fraud" */
    char tag[129]; /* "latest" when neither tag nor digest is told; may be empty beside one */
    char digest[GAL_DIGEST_SIZE]; /* may be empty */
};
#define GAL_REFERENCE_SIZE 720 /* of its text */

enum gal_status gal_reference_parse(struct gal_str text, struct gal_reference *out,
                                    struct gal_err *err);
/* "localhost:5000/models/fraud:1@sha256:..."; returns out. */
char *gal_reference_text(const struct gal_reference *r, char *out, size_t size);
/* What a registry is asked for: the digest, else the tag. */
static inline const char *gal_reference_name(const struct gal_reference *r)
{
    return r->digest[0] ? r->digest : r->tag;
}

/* "localhost:5000", "https://index.docker.io/v1/": what users and Docker's files call a registry,
 * as `host` of a reference. */
enum gal_status gal_registry_host_parse(struct gal_str text, char host[256], struct gal_err *err);
/* Is it this machine: localhost, 127.x.x.x, [::1], with or without a port? */
bool gal_registry_host_is_loopback(const char *host);
/* Name of a repository, or tag, of the distribution specification. */
bool gal_repository_valid(struct gal_str s);
bool gal_tag_valid(struct gal_str s);

#endif
