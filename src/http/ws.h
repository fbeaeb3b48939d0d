/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket (RFC 6455) as protocol code, the server's side: bytes in, messages out; heads of frames
 * for what goes out. No sockets, no clock, no memory of its own: a struct gal_ws lies in its
 * connection. No extension is spoken (so no bit of RSV may be set).
 *
 * The caller owns ONE contiguous buffer. It appends what it reads and calls gal_ws_parse with the
 * buffer's base and fill until that returns MORE. The payload of a message is unmasked and put
 * together within the buffer, fragments behind one another, so that a message is one slice however
 * it came. The base may move between calls.
 *
 *     [ start: payload so far | bytes that were taken | at: bytes not looked at yet | n ]
 *
 * States: HEAD -> PAYLOAD [head of a data frame] -> HEAD [its last byte];
 *         HEAD -> CLOSED [the peer's Close]; any -> FAILED [a violation].
 * In CLOSED and FAILED nothing more is taken: gal_ws_parse throws away what is given. */
#ifndef GAL_HTTP_WS_H
#define GAL_HTTP_WS_H

#include "base/str.h"

/* Close codes (RFC 6455 7.4.1 and IANA's registry). */
#define GAL_WS_NORMAL 1000u
#define GAL_WS_GOING_AWAY 1001u
#define GAL_WS_PROTOCOL 1002u
#define GAL_WS_NO_CODE 1005u /* never on the wire: the peer's Close had none */
#define GAL_WS_BAD_DATA 1007u
#define GAL_WS_POLICY 1008u
#define GAL_WS_TOO_LARGE 1009u
#define GAL_WS_TRY_LATER 1013u

#define GAL_WS_CONTROL_BYTES_MAX 125u /* payload of a control frame (RFC 6455 5.5) */

enum gal_ws_opcode {
    GAL_WS_OP_CONTINUE = 0,
    GAL_WS_OP_TEXT = 1,
    GAL_WS_OP_BINARY = 2,
    GAL_WS_OP_CLOSE = 8,
    GAL_WS_OP_PING = 9,
    GAL_WS_OP_PONG = 10
};

enum gal_ws_step {
    GAL_WS_MORE,    /* all bytes taken, more are needed. base and *n may have changed places: what
                       lies in base[0, *n) now is to be given again, with more behind it */
    GAL_WS_MESSAGE, /* `message` is whole, text when is_text; take it by gal_ws_next or
                       gal_ws_leave */
    GAL_WS_PING,    /* `control` is to be sent back in a pong */
    GAL_WS_PONG,
    GAL_WS_CLOSE, /* the peer ends it: close_code, reason in `control` */
    GAL_WS_ERROR  /* err; the connection ends with close_code */
};

enum gal_ws_state { GAL_WS_HEAD, GAL_WS_PAYLOAD, GAL_WS_CLOSED, GAL_WS_FAILED };

struct gal_ws {
    enum gal_ws_state state;
    size_t message_bytes_max;
    size_t start;          /* of the message in the buffer */
    size_t at;             /* what is before it has been looked at */
    size_t left;           /* bytes of the present frame that have not come */
    unsigned char mask[4]; /* turned, so that mask[0] is the next byte's */
    bool in_message;       /* a first fragment has come, the last has not */
    bool is_text;          /* the message */
    bool fin;              /* the present frame is its message's last */
    /* results */
    struct gal_str message; /* payload so far, whole at MESSAGE */
    struct gal_str control; /* valid until the next call */
    unsigned close_code;
};

void gal_ws_init(struct gal_ws *ws, size_t message_bytes_max);

/* base[0, *n) is all that the buffer holds. Text is checked to be UTF-8 when it is whole. */
enum gal_ws_step gal_ws_parse(struct gal_ws *ws, char *base, size_t *n, struct gal_err *err);
/* Behind MESSAGE: on to the next one in the same buffer; the message's bytes stay where they are
 * until the next gal_ws_parse that returns MORE. */
void gal_ws_next(struct gal_ws *ws);
/* Behind MESSAGE: the buffer stays with the message, and the bytes behind it, which are returned,
 * are to be copied to the base of another one. */
struct gal_str gal_ws_leave(struct gal_ws *ws, char *base, size_t n);
/* Bytes that are still missing of the present frame, so that the caller reserves once; 0 when not
 * known. */
size_t gal_ws_want(const struct gal_ws *ws);

/* A frame for the peer, unmasked as a server's are: its head, at most so many bytes; returns how
 * many. The payload follows as it is. */
#define GAL_WS_HEAD_BYTES_MAX 10
size_t gal_ws_head(char out[GAL_WS_HEAD_BYTES_MAX], enum gal_ws_opcode op, uint64_t payload_bytes);
/* A whole control frame (payload cut at its maximum) or Close (its reason cut likewise; code
 * NO_CODE: none). Returns its bytes. */
#define GAL_WS_CONTROL_FRAME_MAX (2 + GAL_WS_CONTROL_BYTES_MAX)
size_t gal_ws_control(char out[GAL_WS_CONTROL_FRAME_MAX], enum gal_ws_opcode op,
                      struct gal_str payload);
size_t gal_ws_close(char out[GAL_WS_CONTROL_FRAME_MAX], unsigned code, struct gal_str reason);

#endif
