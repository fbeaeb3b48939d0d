/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of answers, fed whole and byte by byte: the same answers must come out, and the same end
 * must follow. */
#include "http/answer.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t hash, uint64_t v)
{
    return (hash ^ v) * 0x100000001b3u;
}

static uint64_t run(const char *data, size_t size, size_t piece)
{
    enum gal_answer_step step = GAL_ANSWER_MORE;
    struct gal_answer *a;
    struct gal_buf body;
    uint64_t hash = 0;
    size_t at = 0, taken;

    gal_buf_init(&body, INPUT_BYTES_MAX);
    if (gal_answer_new(&a, INPUT_BYTES_MAX * 2, NULL) != GAL_OK)
        abort();
    gal_answer_keep(a, &body);
    while (step != GAL_ANSWER_ERROR && (at < size || !gal_answer_idle(a))) {
        size_t n = size - at < piece ? size - at : piece;
        step = at < size ? gal_answer_feed(a, data + at, n, &taken, NULL) : gal_answer_end(a, NULL);
        at += at < size ? taken : 0;
        if (step == GAL_ANSWER_DONE) {
            hash = mix(mix(mix(hash, (uint64_t)gal_answer_status(a)), gal_answer_body_bytes(a)),
                       gal_answer_keep_alive(a));
            gal_answer_next(a);
        }
    }
    for (size_t i = 0; i < body.n; i++)
        hash = mix(hash, (unsigned char)body.p[i]);
    hash = mix(hash, step == GAL_ANSWER_ERROR);
    gal_buf_release(&body);
    gal_answer_free(a);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= INPUT_BYTES_MAX &&
        run((const char *)data, size, size ? size : 1) != run((const char *)data, size, 1))
        abort();
    return 0;
}
