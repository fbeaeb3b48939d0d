/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks Google: a service account's or a user's file (GOOGLE_APPLICATION_CREDENTIALS, gcloud's
 * default), else an instance's metadata, else nobody. */
#ifndef GAL_SOURCE_GOOGLE_H
#define GAL_SOURCE_GOOGLE_H

#include "source/plan.h"

/* Sets the run's auth; NONE when nothing was found. */
enum gal_status gal_google_find(struct gal_source_run *r, struct gal_err *err);

/* access_token of a token endpoint's answer as "Bearer ...", in the arena (RFC 6749 5.1). */
enum gal_status gal_token_read(struct gal_str json, struct gal_arena *arena, const char **out,
                               struct gal_err *err);
/* POST of a form to a token endpoint; sets the run's auth to its token. */
enum gal_status gal_token_ask(struct gal_source_run *r, const char *url, struct gal_str form,
                              struct gal_err *err);
/* GET of a token at a metadata endpoint that is near, or not there: then *found is false. */
enum gal_status gal_token_near(struct gal_source_run *r, const char *url,
                               const struct gal_fetch_header *header, bool *found,
                               struct gal_err *err);
/* `{"alg":"RS256"}` and these claims (RFC 7515), signed with a key in PEM. */
enum gal_status gal_jwt_make(struct gal_str claims, struct gal_str pem, struct gal_buf *out,
                             struct gal_err *err);

#endif
