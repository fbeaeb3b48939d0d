/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http2_frames.h"

#include <string.h>

void gal_http2_frames_init(struct gal_http2_frames *f, size_t skip)
{
    f->skip = skip;
    f->head_n = 0;
}

static void parse(const uint8_t *h, struct gal_http2_frame *out)
{
    out->length = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
    out->type = h[3];
    out->flags = h[4];
    out->stream = (int32_t)((uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 |
                            (uint32_t)h[7] << 8 | h[8]);
}

bool gal_http2_frames_next(struct gal_http2_frames *f, const char **p, const char *end,
                           struct gal_http2_frame *out)
{
    size_t n = (size_t)(end - *p), want;

    if (n < f->skip) {
        f->skip -= n;
        *p = end;
        return false;
    }
    *p += f->skip;
    n -= f->skip;
    f->skip = 0;
    want = GAL_HTTP2_FRAME_HEAD_BYTES - f->head_n;
    if (want > n)
        want = n;
    if (want > 0)
        memcpy(f->head + f->head_n, *p, want);
    *p += want;
    f->head_n += (unsigned)want;
    if (f->head_n < GAL_HTTP2_FRAME_HEAD_BYTES)
        return false;
    f->head_n = 0;
    parse(f->head, out);
    f->skip = out->length;
    return true;
}
