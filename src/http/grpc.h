/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC's own layer over HTTP/2: messages behind prefixes of five bytes, their compression, and the
 * text forms of its headers. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. Pure:
 * bytes in, bytes out. */
#ifndef GAL_HTTP_GRPC_H
#define GAL_HTTP_GRPC_H

#include "http/coding.h"
#include "http/message.h"

#define GAL_GRPC_PREFIX_BYTES 5u

/* application/grpc and application/grpc+proto, with parameters or without. */
bool gal_grpc_is_type(struct gal_str content_type);
/* HTTP/2 and such a type. */
bool gal_grpc_speaks(const struct gal_http_request *req);

/* A message as it stands in a stream. */
struct gal_grpc_frame {
    bool compressed;
    struct gal_str bytes; /* borrowed */
};
enum gal_grpc_next {
    GAL_GRPC_SHORT, /* the frame has not ended: more bytes are needed */
    GAL_GRPC_FRAME, /* *frame is filled */
    GAL_GRPC_BAD,   /* err is filled: no frame, or one beyond bytes_max */
};
/* Reads the frame at the front of *rest and moves *rest behind it (only for FRAME). SHORT depends
 * on the bytes alone, so a stream may be split anywhere: call again with more of it. */
enum gal_grpc_next gal_grpc_next(struct gal_str *rest, size_t bytes_max,
                                 struct gal_grpc_frame *frame, struct gal_err *err);
/* The one message of a unary request's body. INVALID when it is cut, or not alone. */
enum gal_status gal_grpc_only(struct gal_str body, size_t bytes_max, struct gal_grpc_frame *frame,
                              struct gal_err *err);
/* Takes the message's compression off; `encoding` is the header grpc-encoding (p NULL: none came).
 * UNSUPPORTED for an encoding that is not here, TOO_LARGE past bytes_max. */
enum gal_status gal_grpc_unpack(const struct gal_grpc_frame *frame, struct gal_str encoding,
                                size_t bytes_max, struct gal_arena *arena, struct gal_str *message,
                                struct gal_err *err);
void gal_grpc_prefix(char out[GAL_GRPC_PREFIX_BYTES], bool compressed, size_t n);

/* What grpc-accept-encoding tells. */
#define GAL_GRPC_ACCEPT_ENCODING "identity, deflate, gzip"
/* Is the coding among those that a grpc-accept-encoding lists? */
bool gal_grpc_accepts(struct gal_str accept_encoding, enum gal_coding coding);

/* grpc-timeout: at most 8 digits and a unit (H M S m u n), in microseconds, rounded up; 0 only for
 * a time that is over. */
enum gal_status gal_grpc_timeout(struct gal_str value, uint64_t *us, struct gal_err *err);

/* grpc-message: percent-encoded; in the arena. p NULL when memory is out. */
struct gal_str gal_grpc_message(struct gal_str text, struct gal_arena *arena);

/* grpc-status-details-bin: google.rpc.Status in base64, with a BadRequest of as many violations as
 * a trailer has room for; none without any. p NULL when memory is out. */
struct gal_grpc_violation {
    const char *field, *text;
};
struct gal_str gal_grpc_details(int code, struct gal_str message,
                                const struct gal_grpc_violation *violations, size_t count,
                                struct gal_arena *arena);

#endif
