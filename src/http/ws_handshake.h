/* SPDX-License-Identifier: Apache-2.0 */
/* The request with which HTTP/1.1 becomes WebSocket (RFC 6455 4.2), and what its answer holds. */
#ifndef GAL_HTTP_WS_HANDSHAKE_H
#define GAL_HTTP_WS_HANDSHAKE_H

#include "http/message.h"

#define GAL_WS_ACCEPT_SIZE 29

struct gal_ws_handshake {
    char accept[GAL_WS_ACCEPT_SIZE]; /* Sec-WebSocket-Accept, NUL-terminated */
    bool has_protocol;               /* the client offers ours: say so in the answer */
};

/* `protocol` is the subprotocol that the server speaks. A client that offers none, or others only,
 * is told of none. UPGRADE (the answer carries Upgrade and Sec-WebSocket-Version, GAL_WS_VERSION)
 * when the request is a plain one or of another version, INVALID when it is malformed. */
#define GAL_WS_VERSION GAL_STR("13")
enum gal_status gal_ws_handshake_read(const struct gal_http_request *req, struct gal_str protocol,
                                      struct gal_ws_handshake *out, struct gal_err *err);

#endif
