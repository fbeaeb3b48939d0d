/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of all frames that come (RFC 9113 4.1), before nghttp2 sees them: of frames that it
 * passes over it tells nothing, and they cost all the same. Pure. */
#ifndef GAL_HTTP_HTTP2_FRAMES_H
#define GAL_HTTP_HTTP2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAL_HTTP2_FRAME_HEAD_BYTES 9u

struct gal_http2_frame {
    uint32_t length; /* of the payload */
    uint8_t type, flags;
    int32_t stream;
};

struct gal_http2_frames {
    size_t skip; /* bytes until the next head */
    unsigned head_n;
    uint8_t head[GAL_HTTP2_FRAME_HEAD_BYTES]; /* the part of it that has come */
};

/* skip: bytes in front of the first frame. */
void gal_http2_frames_init(struct gal_http2_frames *f, size_t skip);
/* Moves *p to the end of the next head that is whole in [*p, end) and tells it; false when there is
 * none: all bytes are taken. */
bool gal_http2_frames_next(struct gal_http2_frames *f, const char **p, const char *end,
                           struct gal_http2_frame *out);
/* All of the frame that was told last has been taken. */
static inline bool gal_http2_frames_at_end(const struct gal_http2_frames *f)
{
    return f->skip == 0;
}

#endif
