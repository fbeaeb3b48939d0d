/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry wants to see before it answers: WWW-Authenticate (RFC 9110 11.6.1), with Docker's
 * parameters of Bearer. Plain data, pure. */
#ifndef GAL_OCI_CHALLENGE_H
#define GAL_OCI_CHALLENGE_H

#include "base/str.h"

enum gal_challenge_kind { GAL_CHALLENGE_NONE, GAL_CHALLENGE_BASIC, GAL_CHALLENGE_BEARER };

struct gal_challenge {
    enum gal_challenge_kind kind;
    char realm[1024]; /* of Bearer: the token server's URL */
    char service[256];
    char scope[1024];
    char error[64]; /* "insufficient_scope", "invalid_token" */
};

/* Reads the value of one header, which may hold several challenges, into out; what out holds stays
 * unless a better one comes: Bearer over Basic over none. Parameters that do not fit, or are twice
 * there, make their challenge worth nothing. */
void gal_challenge_parse(struct gal_str text, struct gal_challenge *out);

#endif
