/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http2_ids.h"

/* Clients' streams have odd numbers: the n-th is at n modulo GAL_HTTP2_IDS. */
static unsigned place(int32_t id)
{
    return ((uint32_t)id >> 1) % GAL_HTTP2_IDS;
}

static bool get(const uint64_t *bits, int32_t id)
{
    return bits[place(id) / 64] >> place(id) % 64 & 1;
}

static void set(uint64_t *bits, int32_t id, bool to)
{
    uint64_t bit = (uint64_t)1 << place(id) % 64;

    bits[place(id) / 64] = to ? bits[place(id) / 64] | bit : bits[place(id) / 64] & ~bit;
}

enum gal_http2_id gal_http2_ids_find(const struct gal_http2_ids *ids, int32_t id)
{
    if (id <= 0 || id % 2 == 0)
        return GAL_HTTP2_ID_UNKNOWN;
    if (id > ids->last)
        return GAL_HTTP2_ID_NEW;
    if ((uint32_t)(ids->last - id) >> 1 >= GAL_HTTP2_IDS)
        return GAL_HTTP2_ID_UNKNOWN;
    if (!get(ids->begun, id))
        return GAL_HTTP2_ID_SKIPPED;
    return get(ids->ended, id) ? GAL_HTTP2_ID_ENDED : GAL_HTTP2_ID_BEGUN;
}

void gal_http2_ids_begin(struct gal_http2_ids *ids, int32_t id)
{
    uint32_t steps = ((uint32_t)id >> 1) - ((uint32_t)ids->last >> 1);

    if (ids->last == 0)
        steps++; /* the first may be 1 */
    if (steps > GAL_HTTP2_IDS)
        steps = GAL_HTTP2_IDS;
    for (uint32_t i = 0; i < steps; i++) {
        set(ids->begun, id - (int32_t)(2 * i), false);
        set(ids->ended, id - (int32_t)(2 * i), false);
    }
    set(ids->begun, id, true);
    ids->last = id;
}

void gal_http2_ids_end(struct gal_http2_ids *ids, int32_t id)
{
    enum gal_http2_id is = gal_http2_ids_find(ids, id);

    if (is == GAL_HTTP2_ID_BEGUN)
        set(ids->ended, id, true);
}
