/* SPDX-License-Identifier: Apache-2.0 */
#include "server/outbox.h"

#define ANSWERS_WAITING_MAX 32u
#define ANSWERS_BYTES_MAX (256u << 10)
#define ANSWERS_WAIT_US_MAX 200u
#define ANSWERS_LOOK_EVERY 4u /* the clock is looked at for one in so many */

void gal_outbox_init(struct gal_outbox *o, struct gal_loop *loop)
{
    *o = (struct gal_outbox){.loop = loop};
    o->end = &o->first;
}

void gal_outbox_send(struct gal_outbox *o)
{
    struct gal_outbox_item *item;

    if (o->sending)
        return;
    o->sending = true;
    while ((item = o->first) != NULL) {
        o->first = item->next;
        if (o->first == NULL)
            o->end = &o->first;
        o->count = 0;
        o->bytes = 0;
        item->waits = false;
        item->send(item->conn);
    }
    o->sending = false;
}

static bool is_full(const struct gal_outbox *o)
{
    if (o->count >= ANSWERS_WAITING_MAX || o->bytes > ANSWERS_BYTES_MAX)
        return true;
    return o->count > 0 && o->count % ANSWERS_LOOK_EVERY == 0 &&
           gal_loop_now_us(o->loop) - o->since_us > ANSWERS_WAIT_US_MAX;
}

void gal_outbox_add(struct gal_outbox *o, struct gal_outbox_item *item, unsigned count,
                    size_t bytes)
{
    if (!item->waits) {
        item->waits = true;
        item->next = NULL;
        *o->end = item;
        o->end = &item->next;
    }
    if (count > 0 && o->count == 0)
        o->since_us = gal_loop_now_us(o->loop);
    o->count += count;
    o->bytes += bytes;
    if (count > 0 && is_full(o))
        gal_outbox_send(o);
}
