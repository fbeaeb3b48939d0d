/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection of the load generator speaks, behind one table: requests and bytes in, bytes
 * and answers out. No sockets, no clock. One request at a time; the wire is IDLE or BUSY with it:
 *
 *   IDLE -> BUSY [send] -> IDLE [feed or end says DONE];  any -> IDLE [open]
 *   any -> over [feed says OVER or BAD]: the connection is to be closed */
#ifndef GAL_LOAD_WIRE_H
#define GAL_LOAD_WIRE_H

#include "base/status.h"
#include "base/str.h"

struct gal_http2_pool;

enum gal_wire_step {
    GAL_WIRE_MORE,
    GAL_WIRE_DONE, /* the answer is whole, and *answer filled */
    GAL_WIRE_OVER, /* between requests: the server takes no more of them here */
    GAL_WIRE_BAD   /* what came is not of this protocol, or was not asked for */
};

struct gal_wire_answer {
    int status;          /* HTTP's, or what an answer's gRPC code is counted as; below 600 */
    bool again;          /* the connection may carry another request */
    struct gal_str text; /* of an answer that is not 2xx: how it begins; until the next call */
};

/* What the wires of one generator share; borrowed. */
struct gal_wire_head {
    struct gal_http2_pool *pool; /* gRPC's; so the others */
    const char *authority;       /* "127.0.0.1:8080" */
    uint64_t timeout_us;         /* grpc-timeout; 0: none */
};

struct gal_wire_ops {
    bool interleaves; /* a request may follow one whose bytes are not all written */
    enum gal_status (*new)(const struct gal_wire_head *head, void **wire, struct gal_err *err);
    void (*free)(void *wire);                            /* NULL is fine */
    bool (*open)(void *wire);                            /* a new connection; false: no memory */
    bool (*send)(void *wire, struct gal_str request);    /* borrowed; false: close */
    size_t (*gather)(void *wire, struct gal_str *parts); /* what goes out next, until the
                                                            next gather; 0: nothing now */
    enum gal_wire_step (*feed)(void *wire, const char *p, size_t n, struct gal_wire_answer *answer);
    enum gal_wire_step (*end)(void *wire, struct gal_wire_answer *answer); /* the peer has closed */
};

#define GAL_WIRE_PARTS_MAX 64 /* room for gather */

extern const struct gal_wire_ops gal_wire_http1; /* requests are whole, head and body */
extern const struct gal_wire_ops gal_wire_grpc;  /* requests are messages behind their prefix */
/* "NOT_FOUND" */
const char *gal_wire_grpc_code(int code);

#endif
