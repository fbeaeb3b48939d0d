/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of gRPC that are streams: ModelStreamInfer, reflection, Health/Watch. A call's messages are
 * cut out of its bytes; each is an exchange of its own, in a slot of its own, with the call's
 * metadata as headers. Answers go out in the order of the messages, whatever order they end in.
 *
 * Bounds: at most GAL_GRPC_AHEAD_MAX messages of a call are under way, from their begin to the last
 * byte of their answer; then the call's window stays closed. A message is at most max_body_bytes.
 *
 * Times: the call ends at its deadline (grpc-timeout); a message that has begun arrives within
 * body_timeout, as a unary call's body; answers that wait move on within write_timeout. A call that
 * has nothing under way may stay open: whether its client is still there, TCP asks.
 *
 * States: OPEN -> ENDING [its status is sent, nothing more is read] -> gone [on_close]. */
#ifndef GAL_SERVER_GRPC_STREAM_H
#define GAL_SERVER_GRPC_STREAM_H

#include "http/call.h"
#include "server/front.h"

#define GAL_GRPC_AHEAD_MAX 64u

/* gal_api's claim: takes the calls that are streams of gRPC. */
bool gal_grpc_claim(struct gal_exchange *x, struct gal_call *call);

#endif
