/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames, fed whole and byte by byte: the same messages and control frames must come
 * out, and the same close code must end it. The buffer must not grow beyond a message and a frame's
 * head or control frame. */
#include "http/ws.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 4096
#define MESSAGE_BYTES_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t hash, uint64_t kind, struct gal_str s)
{
    hash = ((hash ^ kind) * 0x100000001b3u ^ s.n) * 0x100000001b3u;
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece)
{
    char *bytes = malloc(size + 1);
    uint64_t hash = 0;
    struct gal_ws ws;
    struct gal_err err;
    size_t n = 0;

    if (!bytes)
        abort();
    gal_ws_init(&ws, MESSAGE_BYTES_MAX);
    for (size_t at = 0; at < size;) {
        size_t more = size - at < piece ? size - at : piece;
        enum gal_ws_step step;
        memcpy(bytes + n, data + at, more); /* n <= at: what was taken has left the buffer */
        n += more;
        at += more;
        while ((step = gal_ws_parse(&ws, bytes, &n, &err)) != GAL_WS_MORE) {
            struct gal_str s = step == GAL_WS_MESSAGE ? ws.message
                               : step == GAL_WS_ERROR ? gal_str_of("")
                                                      : ws.control;
            hash = mix(hash, (uint64_t)step * 8192 + ws.close_code * 2 + ws.is_text, s);
            if (step == GAL_WS_MESSAGE)
                gal_ws_next(&ws);
        }
        if (n > MESSAGE_BYTES_MAX + 14 + GAL_WS_CONTROL_BYTES_MAX || n > at)
            abort();
    }
    free(bytes);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    if (run(data, size, size ? size : 1) != run(data, size, 1))
        abort();
    return 0;
}
