/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/digest.h"
#include "base/mem.h"

#include <pthread.h>

#define CAP_FIRST 16u

struct gal_map_slot {
    struct gal_str key;
    void *value; /* NULL: empty slot */
    uint64_t hash;
};

static uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), section 2.2, with c = 1
 * compression round a word and d = 3 finalisation rounds. */
uint64_t gal_siphash13(const uint64_t key[2], struct gal_str s)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    uint64_t word;
    size_t i = 0;
    for (; s.n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)s.n << 56;
    for (size_t k = 0; i + k < s.n; k++)
        word |= (uint64_t)(unsigned char)s.p[i + k] << (8 * k);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int k = 0; k < 3; k++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t process_key[2];
static pthread_once_t process_key_once = PTHREAD_ONCE_INIT;

static void make_process_key(void)
{
    struct gal_rng r;
    gal_rng_seed(&r);
    process_key[0] = r.s[0];
    process_key[1] = r.s[1];
}

uint64_t gal_hash_bytes(struct gal_str s)
{
    (void)pthread_once(&process_key_once, make_process_key);
    return gal_siphash13(process_key, s);
}

void gal_map_init(struct gal_map *m)
{
    *m = (struct gal_map){0};
}

void gal_map_release(struct gal_map *m)
{
    gal_free(m->slots);
    gal_map_init(m);
}

/* The slot that holds key, or the empty one where it would go. cap is a power of two and one slot
 * at least is empty. */
static struct gal_map_slot *slot_of(const struct gal_map *m, struct gal_str key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->cap - 1);
    while (m->slots[i].value && (m->slots[i].hash != hash || !gal_str_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

void *gal_map_get(const struct gal_map *m, struct gal_str key)
{
    return m->count ? slot_of(m, key, gal_hash_bytes(key))->value : NULL;
}

static enum gal_status grow(struct gal_map *m)
{
    struct gal_map bigger = {.cap = m->cap ? 2 * m->cap : CAP_FIRST, .count = m->count};
    bigger.slots = gal_calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return GAL_NO_MEMORY;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].value)
            *slot_of(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    gal_free(m->slots);
    *m = bigger;
    return GAL_OK;
}

enum gal_status gal_map_set(struct gal_map *m, struct gal_str key, void *value)
{
    GAL_ASSERT(value);
    uint64_t hash = gal_hash_bytes(key);
    if (4 * (m->count + 1) > 3 * m->cap && grow(m))
        return GAL_NO_MEMORY;
    struct gal_map_slot *slot = slot_of(m, key, hash);
    if (slot->value) {
        slot->value = value;
        return GAL_OK;
    }
    *slot = (struct gal_map_slot){key, value, hash};
    m->count++;
    return GAL_OK;
}
