/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of requests, fed whole, byte by byte, and with bodies that begin further back
 * (gal_http1_leave): the same requests must come out, and the same error must end it. Bodies and
 * heads are read, so that a sanitizer sees a slice that lies. */
#include "http/http1.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 4096
#define GAP_MAX 15u /* less than a request has bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t hash, struct gal_str s)
{
    hash = (hash ^ s.n) * 0x100000001b3u;
    for (size_t i = 0; i < s.n; i++)
        hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t mix_request(uint64_t hash, const struct gal_http_request *r)
{
    hash = (hash ^ (unsigned)r->method ^ (r->keep_alive ? 256u : 0)) * 0x100000001b3u;
    hash = mix(mix(mix(mix(hash, r->target), r->path), r->query), r->body);
    for (size_t i = 0; i < r->header_count; i++)
        hash = mix(mix(hash, r->headers[i].name), r->headers[i].value);
    for (size_t i = 0; i < GAL_HDR_COUNT; i++)
        hash = mix(hash, r->known[i]);
    return hash;
}

/* Moves the body that is to come, and all behind it, `gap` bytes back; returns how many that is. */
static size_t leave(struct gal_http1 *h, char *bytes, size_t n, size_t gap)
{
    size_t at = gal_http1_body_at(h);

    if (at == 0 || gal_http1_want(h) == 0)
        return 0;
    memmove(bytes + at + gap, bytes + at, n - at);
    memset(bytes + at, 'x', gap);
    gal_http1_leave(h, gap);
    return gap;
}

/* gap: 0 to GAP_MAX. */
static uint64_t run(const uint8_t *data, size_t size, size_t piece, size_t gap)
{
    static const struct gal_http1_limits limits = {1024, 512};
    struct gal_http1 *h = NULL;
    struct gal_err err;
    uint64_t hash = 0;
    size_t start = 0, n = 0;
    char *bytes = malloc(2 * size + GAP_MAX);
    if (!bytes || gal_http1_new(&h, &limits, NULL) != GAL_OK)
        abort();
    memcpy(bytes, data, size);
    enum gal_http1_step step = GAL_HTTP1_MORE;
    while (step != GAL_HTTP1_ERROR && (step != GAL_HTTP1_MORE || start + n < size)) {
        if (step == GAL_HTTP1_MORE)
            n = size - start - n < piece ? size - start : n + piece;
        step = gal_http1_parse(h, bytes + start, n, &err);
        if (step == GAL_HTTP1_MORE && n >= gal_http1_bytes_max(&limits) + gap)
            abort(); /* the buffer would be full */
        if (step == GAL_HTTP1_HEAD && gap > 0) {
            size_t moved = leave(h, bytes + start, size - start, gap);
            size += moved;
            n += moved;
        }
        if (step == GAL_HTTP1_DONE) {
            hash = mix_request(hash, gal_http1_request(h));
            size_t taken = gal_http1_next(h);
            start += taken;
            n -= taken;
        }
    }
    if (step == GAL_HTTP1_ERROR)
        hash = mix(hash, gal_str_of(gal_status_name(err.code)));
    gal_http1_free(h);
    free(bytes);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        return 0;
    uint64_t whole = run(data, size, size ? size : 1, 0);
    if (run(data, size, 1, 0) != whole || run(data, size, 1, GAP_MAX) != whole ||
        run(data, size, 30, 3) != whole)
        abort();
    return 0;
}
