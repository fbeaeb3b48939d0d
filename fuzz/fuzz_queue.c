/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes make a policy, each further pair an operation on a queue; gal_queue_check judges,
 * and every entry must come out once. */
#include "sched/queue.h"

#include <stdlib.h>

#define INPUT_BYTES_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gal_entry entries[INPUT_BYTES_MAX];

static void set_policy(struct gal_policy *p, const uint8_t *d)
{
    gal_policy_init(p);
    p->rows_max = 1 + d[0] % 64;
    p->delay_us_max = (uint64_t)d[1] * 10;
    p->levels = 1 + d[2] % GAL_LEVELS_MAX;
    p->jobs_max = 1 + d[3];
    p->bytes_max = 1 + (size_t)d[4] * 64;
    for (size_t size = 1 + d[5] % 16; size <= p->rows_max && p->preferred_count < 3; size *= 2)
        p->preferred[p->preferred_count++] = size;
    for (unsigned i = 0; i < p->levels; i++)
        p->level[i] = (struct gal_level_policy){d[6] % 32, d[7], d[6] & 64, d[6] & 128};
}

/* Operations take their details from the bits of `how`. */
static size_t step(struct gal_queue *q, struct gal_cost *cost, struct gal_entry *e, unsigned op,
                   unsigned how, uint64_t now_us)
{
    struct gal_taken t;
    *e = (struct gal_entry){.level = how % 40, .rows = 1 + how % 70, .bytes = how, .key = how & 3};
    e->alone = how % 11 == 0;
    e->timeout_us = how & 4 ? how * 3 : 0;
    e->deadline_us = how & 8 ? now_us + how * 5 : 0;
    if (op % 4 < 2)
        return gal_queue_admit(q, e, now_us) != GAL_ADMITTED;
    if (op % 4 == 2 && q->lane[how % q->policy->levels].list.tail) {
        gal_queue_remove(q, q->lane[how % q->policy->levels].list.tail);
        return 2;
    }
    gal_cost_observe(cost, e->rows, how * 1000);
    gal_queue_take(q, op & 64 ? cost : NULL, now_us, &t);
    return 1 + t.batch.count + t.late.count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gal_policy p;
    struct gal_queue q;
    struct gal_cost cost = {0};
    uint64_t now_us = 1;
    size_t out = 0, in = 0;
    if (size < 8 || size > INPUT_BYTES_MAX)
        return 0;
    set_policy(&p, data);
    if (gal_policy_check(&p, NULL) != GAL_OK)
        return 0;
    gal_queue_init(&q, &p);
    for (size_t i = 8; i + 1 < size; i += 2, in++) {
        out += step(&q, &cost, &entries[in], data[i], data[i + 1], now_us);
        now_us += data[i] >> 2;
        gal_queue_check(&q);
    }
    if (out + q.count != in)
        abort();
    return 0;
}
