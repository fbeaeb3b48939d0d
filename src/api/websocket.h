/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v2/models/{model}[/versions/{version}]/ws: a connection that carries inference requests and
 * answers as messages. The handshake is an exchange that ends with 101; the carrier
 * (server/ws_conn.c) then has an exchange for each message, of the same method and path, whose
 * `message` says that it is one. */
#ifndef GAL_API_WEBSOCKET_H
#define GAL_API_WEBSOCKET_H

#include "api/exchange.h"

#define GAL_WEBSOCKET_PROTOCOL GAL_STR("galley.v1") /* the subprotocol */
/* In front of a binary message's JSON: its length, unsigned, the least byte first. */
#define GAL_WEBSOCKET_PREFIX_BYTES 4u

/* The state of an exchange that ended with 101. */
struct gal_websocket {
    bool ordered; /* ?ordered=true: answers come in the order of the requests */
};

#endif
