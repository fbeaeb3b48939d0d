/* SPDX-License-Identifier: Apache-2.0 */
/* The running process: wires loops, catalog, metrics and log together; start, reload, drain, stop.
 *
 * States: STARTING -> SERVING [first load of all models ended]
 *         STARTING -> STOPPED [a source cannot be fetched]
 *         STARTING or SERVING -> DRAINING [SIGTERM, SIGINT: readiness 503, listeners still answer
 *                                for drain_delay]
 *         DRAINING -> REFUSING [drain_delay over: listeners closed, new inference refused, idle
 *                               connections closed, requests in flight, and those of which
 *                               a part has come, finish]
 *         REFUSING -> STOPPED [none in flight, or grace over]
 * A second SIGINT or SIGTERM ends the grace at once. */
#ifndef GAL_SERVER_SERVER_H
#define GAL_SERVER_SERVER_H

#include "server/config.h"

struct gal_server;

/* Listens, starts loops and begins to load; the configuration is borrowed until gal_server_free.
 * reread (may be NULL) makes a fresh configuration on SIGHUP: the caller knows flags, environment
 * and file. */
enum gal_status
gal_server_new(const struct gal_config *config,
               enum gal_status (*reread)(struct gal_config *out, void *ctx, struct gal_err *err),
               void *ctx, struct gal_log *log, struct gal_server **out, struct gal_err *err);
uint16_t gal_server_port(const struct gal_server *s);       /* of HTTP; 0: off */
uint16_t gal_server_https_port(const struct gal_server *s); /* 0: off */
uint16_t gal_server_grpc_port(const struct gal_server *s);  /* 0: off */
/* Blocks until stopped. Returns the process's exit code: 0 after a clean drain, 1 when the grace
 * ended with requests in flight. */
int gal_server_run(struct gal_server *s);
/* Why the start came to nothing after gal_server_new, as when a source cannot be fetched: exit code
 * 1. NULL: it did not. */
const struct gal_err *gal_server_failure(const struct gal_server *s);
void gal_server_free(struct gal_server *s);

#endif
