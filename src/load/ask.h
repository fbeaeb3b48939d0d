/* SPDX-License-Identifier: Apache-2.0 */
/* One unary gRPC call that waits for its answer, on a loop of its own: what is to be known of a
 * server before it is loaded. */
#ifndef GAL_LOAD_ASK_H
#define GAL_LOAD_ASK_H

#include "base/buf.h"
#include "net/connect.h"

struct gal_ask {
    struct gal_endpoint target;
    const char *authority; /* "127.0.0.1:8080" */
    const char *path;      /* "/package.Service/Method" */
    uint64_t timeout_us;
};
/* Sends `message` and appends the answer's to `out`. NOT_FOUND when the server knows no such method
 * or says no, with its words; UNAVAILABLE when it speaks no gRPC, or does not answer in time. */
enum gal_status gal_ask_grpc(const struct gal_ask *ask, struct gal_str message, struct gal_buf *out,
                             struct gal_err *err);

#endif
