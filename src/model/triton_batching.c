/* SPDX-License-Identifier: Apache-2.0 */
/* dynamic_batching of a config.pbtxt: sizes, delay, priorities, queue policies. */
#include "model/triton_fields.h"

/* Policies wait here until the number of levels is known. */
struct batching {
    struct gal_level_policy fallback, level[GAL_LEVELS_MAX];
    bool has_fallback, has_level[GAL_LEVELS_MAX];
    unsigned highest;      /* largest key of priority_queue_policy */
    unsigned highest_line; /* where it stands */
};

/* ---- queue policies ---- */

static enum gal_status take_action(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    struct gal_level_policy *l = to;
    bool is_delay = gal_str_is(v->text, "DELAY");
    if (!is_delay && !gal_str_is(v->text, "REJECT"))
        return gal_triton_refuse(t, n, "timeout_action: %.*s is none of REJECT, DELAY",
                                 v->text.n < 64 ? (int)v->text.n : 64, v->text.p);
    l->action = is_delay ? GAL_TIMEOUT_DELAY : GAL_TIMEOUT_REJECT;
    return GAL_OK;
}

static enum gal_status take_timeout(struct gal_triton *t, const struct gal_pbtxt *n,
                                    const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n;
    ((struct gal_level_policy *)to)->timeout_us = v->u;
    return GAL_OK;
}

static enum gal_status take_override(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n;
    ((struct gal_level_policy *)to)->override = v->b;
    return GAL_OK;
}

static enum gal_status take_queue_size(struct gal_triton *t, const struct gal_pbtxt *n,
                                       const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n;
    ((struct gal_level_policy *)to)->jobs_max = (size_t)v->u;
    return GAL_OK;
}

static const struct gal_triton_field policy_fields[] = {
    {"timeout_action", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_action, NULL, NULL},
    {"default_timeout_microseconds", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_timeout, NULL, NULL},
    {"allow_timeout_override", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_override, NULL, NULL},
    {"max_queue_size", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_queue_size, NULL, NULL},
};
static const struct gal_triton_table default_policy_table =
    GAL_TRITON_TABLE("dynamic_batching.default_queue_policy.", policy_fields);
static const struct gal_triton_table level_policy_table =
    GAL_TRITON_TABLE("dynamic_batching.priority_queue_policy.value.", policy_fields);

static enum gal_status take_default_policy(struct gal_triton *t, const struct gal_pbtxt *n,
                                           const struct gal_triton_value *v, void *to)
{
    struct batching *b = to;
    (void)v;
    b->has_fallback = true;
    return gal_triton_read_message(t, n, &default_policy_table, &b->fallback);
}

/* An entry of the map. */
struct entry {
    uint64_t key;
    struct gal_level_policy policy;
};

static enum gal_status take_key(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_value *v, void *to)
{
    if (v->u == 0 || v->u > GAL_LEVELS_MAX)
        return gal_triton_refuse(t, n,
                                 "priority_queue_policy: key %llu is no priority from 1 to %u",
                                 (unsigned long long)v->u, GAL_LEVELS_MAX);
    ((struct entry *)to)->key = v->u;
    return GAL_OK;
}

static enum gal_status take_policy(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    (void)v;
    return gal_triton_read_message(t, n, &level_policy_table, &((struct entry *)to)->policy);
}

static const struct gal_triton_field entry_fields[] = {
    {"key", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_key, NULL, NULL},
    {"value", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_policy, NULL, NULL},
};
static const struct gal_triton_table entry_table =
    GAL_TRITON_TABLE("dynamic_batching.priority_queue_policy.", entry_fields);

static enum gal_status take_level_policy(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to)
{
    struct batching *b = to;
    struct entry e = {0};
    (void)v;
    enum gal_status status = gal_triton_read_message(t, n, &entry_table, &e);
    if (status)
        return status;
    if (e.key == 0)
        return gal_triton_refuse(t, n, "priority_queue_policy: key is missing");
    if (b->has_level[e.key - 1])
        return gal_triton_refuse(t, n, "priority_queue_policy: key %llu stands twice",
                                 (unsigned long long)e.key);
    b->has_level[e.key - 1] = true;
    b->level[e.key - 1] = e.policy;
    if (e.key > b->highest) {
        b->highest = (unsigned)e.key;
        b->highest_line = n->line;
    }
    return GAL_OK;
}

/* ---- the rest ---- */

/* Kept ascending. */
static enum gal_status take_preferred(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    struct gal_policy *p = &t->c->policy;
    size_t at = p->preferred_count;
    (void)to;
    if (v->i < 1 || v->i > GAL_BATCH_ROWS_MOST)
        return gal_triton_refuse(t, n, "preferred_batch_size: %lld is out of range 1..%u",
                                 (long long)v->i, GAL_BATCH_ROWS_MOST);
    if ((size_t)v->i > t->preferred_max) {
        t->preferred_max = (size_t)v->i;
        t->preferred_line = n->line;
    }
    if (at == GAL_PREFERRED_MAX)
        return gal_triton_refuse(t, n, "preferred_batch_size: more than %u sizes",
                                 GAL_PREFERRED_MAX);
    while (at > 0 && p->preferred[at - 1] > (uint64_t)v->i) {
        p->preferred[at] = p->preferred[at - 1];
        at--;
    }
    if (at > 0 && p->preferred[at - 1] == (uint64_t)v->i)
        return gal_triton_refuse(t, n, "preferred_batch_size: %lld stands twice", (long long)v->i);
    p->preferred[at] = (size_t)v->i;
    p->preferred_count++;
    return GAL_OK;
}

static enum gal_status take_delay(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)n, (void)to;
    t->c->policy.delay_us_max = v->u;
    return GAL_OK;
}

static enum gal_status take_order(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)n, (void)to;
    t->c->policy.keep_order = v->b;
    return GAL_OK;
}

static enum gal_status take_levels(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->u > GAL_LEVELS_MAX)
        return gal_triton_refuse(t, n, "priority_levels: %llu is out of range 0..%u",
                                 (unsigned long long)v->u, GAL_LEVELS_MAX);
    t->c->policy.levels = v->u ? (unsigned)v->u : 1;
    return GAL_OK;
}

static enum gal_status take_default_level(struct gal_triton *t, const struct gal_pbtxt *n,
                                          const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->u > GAL_LEVELS_MAX)
        return gal_triton_refuse(t, n, "default_priority_level: %llu is out of range 0..%u",
                                 (unsigned long long)v->u, GAL_LEVELS_MAX);
    t->c->policy.default_level = (unsigned)v->u;
    t->priority_line = n->line;
    return GAL_OK;
}

static const struct gal_triton_field batching_fields[] = {
    {"preferred_batch_size", GAL_TRITON_INT, GAL_TRITON_MANY, take_preferred, NULL, NULL},
    {"max_queue_delay_microseconds", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_delay, NULL, NULL},
    {"preserve_ordering", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_order, NULL, NULL},
    {"priority_levels", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_levels, NULL, NULL},
    {"default_priority_level", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_default_level, NULL, NULL},
    {"default_queue_policy", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_default_policy, NULL, NULL},
    {"priority_queue_policy", GAL_TRITON_MESSAGE, GAL_TRITON_MAP, take_level_policy, NULL, NULL},
};
static const struct gal_triton_table batching_table =
    GAL_TRITON_TABLE("dynamic_batching.", batching_fields);

static enum gal_status settle_levels(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct batching *b)
{
    struct gal_policy *p = &t->c->policy;
    const struct gal_pbtxt at = {.line = t->priority_line ? t->priority_line : n->line};
    const struct gal_pbtxt highest = {.line = b->highest_line};
    if (p->levels > 1 && (p->default_level == 0 || p->default_level > p->levels))
        return gal_triton_refuse(t, &at, "default_priority_level: %u is none of the %u levels",
                                 p->default_level, p->levels);
    if (b->highest > p->levels)
        return gal_triton_refuse(t, &highest,
                                 "priority_queue_policy: key %u is beyond "
                                 "priority_levels, %u",
                                 b->highest, p->levels);
    if (p->levels == 1)
        p->default_level = 1;
    t->c->queue_policies = b->has_fallback || b->highest > 0;
    for (size_t i = 0; t->c->queue_policies && i < GAL_LEVELS_MAX; i++)
        p->level[i] = b->has_level[i] ? b->level[i] : b->fallback; /* zeros are Triton's own */
    return GAL_OK;
}

enum gal_status gal_triton_take_batching(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to)
{
    struct gal_policy *p = &t->c->policy;
    struct batching b = {0};
    (void)v, (void)to;
    t->has_dynamic_batching = true;
    p->preferred_count = 0;
    p->delay_us_max = 0;
    p->levels = 1;
    p->default_level = 0;
    enum gal_status status = gal_triton_read_message(t, n, &batching_table, &b);
    return status ? status : settle_levels(t, n, &b);
}
