/* SPDX-License-Identifier: Apache-2.0 */
/* A model of a running server as a session of the backend interface: described by its metadata, run
 * over the Open Inference Protocol, whatever server speaks it. Every input counts as optional: the
 * server knows which may be left out. Blocking; one thread. */
#ifndef GAL_CLI_REMOTE_H
#define GAL_CLI_REMOTE_H

#include "backend/backend.h"
#include "net/fetch.h"

extern const struct gal_backend_ops gal_remote_ops;

/* True for what begins with http:// or https://. */
bool gal_remote_is(const char *text);
/* url: http://HOST:PORT/v2/models/NAME[/versions/VERSION]; copied. Asks for the metadata. INVALID:
 * another path; UNAVAILABLE, NOT_FOUND and so on as the server answers. */
enum gal_status gal_remote_new(const char *url, const struct gal_fetch_options *options,
                               struct gal_session **out, struct gal_err *err);

#endif
