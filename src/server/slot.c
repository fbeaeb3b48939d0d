/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slot.h"

#include "base/mem.h"

#include <stdio.h>

#define INPUT_KEEP_BYTES (1u << 20)
#define SLOTS_KEPT_MAX 256u /* for later requests; more than that are a burst's */

static void slot_free(struct gal_slot *s)
{
    if (s == NULL)
        return;
    gal_http1_free(s->codec);
    gal_buf_release(&s->in);
    gal_buf_release(&s->head);
    gal_exchange_release(&s->x);
    gal_free(s);
}

static struct gal_slot *slot_new(struct gal_front *f)
{
    struct gal_slot *s = gal_calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    gal_exchange_init(&s->x, &f->api);
    gal_buf_init(&s->head, GAL_SLOT_HEAD_BYTES + GAL_SLOT_JOIN_BYTES);
    gal_buf_init(&s->in, 0);
    s->in.budget = &f->api.process->memory;
    if (gal_http1_new(&s->codec, &f->options->http1, NULL) != GAL_OK) {
        slot_free(s);
        return NULL;
    }
    return s;
}

struct gal_slot *gal_slot_take(struct gal_front *f)
{
    struct gal_slot *s = f->free_slots;

    if (s != NULL) {
        f->free_slots = s->next;
        f->free_slot_count--;
    } else {
        s = slot_new(f);
    }
    return s;
}

void gal_slot_give(struct gal_front *f, struct gal_slot *s)
{
    if (s == NULL)
        return;
    if (f->free_slot_count == SLOTS_KEPT_MAX || gal_budget_is_tight(&f->api.process->memory)) {
        slot_free(s);
        return;
    }
    gal_exchange_reset(&s->x);
    gal_buf_clear(&s->in, INPUT_KEEP_BYTES);
    gal_buf_clear(&s->head, GAL_SLOT_HEAD_BYTES + GAL_SLOT_JOIN_BYTES);
    s->next = f->free_slots;
    f->free_slots = s;
    f->free_slot_count++;
}

void gal_slots_free_kept(struct gal_front *f)
{
    while (f->free_slots != NULL) {
        struct gal_slot *s = f->free_slots;
        f->free_slots = s->next;
        slot_free(s);
    }
    f->free_slot_count = 0;
}

size_t gal_slot_gap(const struct gal_http_request *req, size_t at)
{
    uint64_t head = 0;

    /* Without it, or of no meaning: the handler says so, or the body is a tensor from its start. */
    if (gal_str_u64(req->known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH], &head) != GAL_OK)
        head = 0;
    return (size_t)(-(at + head) % GAL_SLOT_ALIGN);
}

void gal_slot_abandon(struct gal_slot *s)
{
    snprintf(s->peer, sizeof(s->peer), "%s", s->x.peer);
    s->x.peer = s->peer;
    snprintf(s->client, sizeof(s->client), "%.*s", GAL_STR_ARG(s->x.client_name));
    if (s->x.client_name.p != NULL)
        s->x.client_name = gal_str_of(s->client);
    s->x.on_deadline = NULL;
    gal_exchange_cancel(&s->x);
}

enum gal_status gal_slot_fail_memory(const struct gal_front *f, size_t bytes, struct gal_err *err)
{
    uint64_t max = f->api.process->memory.max;

    if (max != 0 && gal_budget_counts(bytes) > max) {
        gal_fail(err, GAL_TOO_LARGE, "the body is larger than the %llu bytes for all requests",
                 (unsigned long long)max);
        gal_err_hint(err, "send less at once, or raise max_request_memory");
        return GAL_TOO_LARGE;
    }
    gal_fail(err, GAL_NO_MEMORY, "other requests have taken the memory for requests");
    gal_err_hint(err, "try again later; max_request_memory bounds what all take together");
    return GAL_NO_MEMORY;
}

enum gal_status gal_slot_admit(struct gal_front *f, const struct gal_buf *in, size_t bytes,
                               struct gal_err *err)
{
    struct gal_budget *b = &f->api.process->memory;
    size_t more;

    if (bytes <= in->cap)
        return GAL_OK;
    more = gal_budget_counts(bytes) - gal_budget_counts(in->cap);
    if (!gal_budget_fits(b, more))
        gal_slots_free_kept(f);
    return gal_budget_fits(b, more) ? GAL_OK : gal_slot_fail_memory(f, bytes, err);
}
