/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the latest streams of a connection its peer has begun and ended: nghttp2 forgets a
 * stream with its end, and passes over what still comes on it. A peer that sends on a stream which
 * it has ended itself is wrong (RFC 9113 5.1); one that sends on a stream which we have reset may
 * just not know yet. Pure. */
#ifndef GAL_HTTP_HTTP2_IDS_H
#define GAL_HTTP_HTTP2_IDS_H

#include <stdbool.h>
#include <stdint.h>

#define GAL_HTTP2_IDS 256u /* streams that are remembered */

/* Zeroed: no stream yet. */
struct gal_http2_ids {
    int32_t last; /* largest so far */
    uint64_t begun[GAL_HTTP2_IDS / 64], ended[GAL_HTTP2_IDS / 64];
};

enum gal_http2_id {
    GAL_HTTP2_ID_NEW,
    GAL_HTTP2_ID_BEGUN,
    GAL_HTTP2_ID_ENDED,   /* by the peer */
    GAL_HTTP2_ID_SKIPPED, /* never begun, and too small to begin now */
    GAL_HTTP2_ID_UNKNOWN, /* too long ago, or no client's */
};

enum gal_http2_id gal_http2_ids_find(const struct gal_http2_ids *ids, int32_t id);
/* A new one. Those between it and the last are skipped. */
void gal_http2_ids_begin(struct gal_http2_ids *ids, int32_t id);
/* The peer has ended it, or reset it. */
void gal_http2_ids_end(struct gal_http2_ids *ids, int32_t id);

#endif
