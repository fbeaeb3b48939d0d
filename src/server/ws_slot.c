/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ws_slot.h"

#include "base/mem.h"

#define KEPT_MAX 256u /* for later messages; more than that are a burst's */
#define INPUT_KEEP_BYTES (1u << 20)
#define HEAD_BYTES_MAX (GAL_WS_HEAD_BYTES_MAX + GAL_WS_JOIN_BYTES_MAX)

void gal_ws_list_add(struct gal_ws_list *l, struct gal_ws_slot *s)
{
    s->next = NULL;
    s->prev = l->last;
    if (l->last != NULL)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

void gal_ws_list_remove(struct gal_ws_list *l, struct gal_ws_slot *s)
{
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        l->first = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    else
        l->last = s->prev;
    s->next = s->prev = NULL;
}

static void slot_free(struct gal_ws_slot *s)
{
    gal_buf_release(&s->in);
    gal_buf_release(&s->head);
    gal_exchange_release(&s->x);
    gal_free(s);
}

struct gal_ws_slot *gal_ws_slot_take(struct gal_ws_slots *slots, struct gal_api *api, size_t in_max)
{
    struct gal_ws_slot *s = slots->free;

    if (s != NULL) {
        slots->free = s->next;
        slots->count--;
    } else {
        s = gal_calloc(1, sizeof(*s));
        if (s == NULL)
            return NULL;
        gal_exchange_init(&s->x, api);
        gal_buf_init(&s->in, 0);
        gal_buf_init(&s->head, HEAD_BYTES_MAX);
        s->in.budget = &api->process->memory;
    }
    s->in.max = in_max;
    s->next = s->prev = NULL;
    return s;
}

void gal_ws_slot_give(struct gal_ws_slots *slots, struct gal_ws_slot *s)
{
    if (s == NULL)
        return;
    if (slots->count == KEPT_MAX || gal_budget_is_tight(s->in.budget)) {
        slot_free(s);
        return;
    }
    gal_exchange_reset(&s->x);
    gal_buf_clear(&s->in, INPUT_KEEP_BYTES);
    gal_buf_clear(&s->head, HEAD_BYTES_MAX);
    s->answered = s->cancelled = s->expired = s->head_sent = false;
    s->parts_sent = 0;
    s->next = slots->free;
    slots->free = s;
    slots->count++;
}

void gal_ws_slots_free(struct gal_ws_slots *slots)
{
    while (slots->free != NULL) {
        struct gal_ws_slot *s = slots->free;
        slots->free = s->next;
        slot_free(s);
    }
    slots->count = 0;
}

bool gal_ws_slot_frame(struct gal_ws_slot *s)
{
    const struct gal_http_response *r = &s->x.resp;
    enum gal_ws_opcode op = s->x.message == GAL_MESSAGE_BINARY ? GAL_WS_OP_BINARY : GAL_WS_OP_TEXT;
    char *to = gal_buf_reserve(&s->head, GAL_WS_HEAD_BYTES_MAX);

    if (to == NULL)
        return false;
    s->head.n += gal_ws_head(to, op, r->body_bytes);
    if (r->body_bytes <= GAL_WS_JOIN_BYTES_MAX)
        while (s->parts_sent < r->part_count)
            gal_buf_put_str(&s->head, r->parts[s->parts_sent++]);
    return !s->head.failed;
}
