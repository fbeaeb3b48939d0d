/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sampler.h"

#include "base/mem.h"
#include "watch/meter.h"

struct slot {
    unsigned index; /* gal_model.index: never given twice */
    bool seen;      /* in this round */
    gal_series busy, fill;
    struct gal_meter meter;
};

struct gal_sampler {
    struct gal_metrics *metrics; /* borrowed */
    struct slot *slots;          /* owned; in no order */
    size_t count, cap;
};

enum gal_status gal_sampler_new(struct gal_metrics *metrics, struct gal_sampler **out,
                                struct gal_err *err)
{
    *out = gal_calloc(1, sizeof(**out));
    if (*out == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for samples");
    (*out)->metrics = metrics;
    return GAL_OK;
}

void gal_sampler_free(struct gal_sampler *s)
{
    if (s == NULL)
        return;
    gal_free(s->slots);
    gal_free(s);
}

static struct slot *add_slot(struct gal_sampler *s, const struct gal_model *m)
{
    const struct gal_str labels[] = {gal_str_of(m->name), gal_str_of(m->version)};

    if (s->count == s->cap) {
        size_t cap = s->cap > 0 ? 2 * s->cap : 8;
        struct slot *grown = gal_realloc(s->slots, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        s->slots = grown;
        s->cap = cap;
    }
    s->slots[s->count] =
        (struct slot){.index = m->index,
                      .busy = gal_metrics_series(s->metrics, GAL_METRIC_BUSY, labels),
                      .fill = gal_metrics_series(s->metrics, GAL_METRIC_FILL, labels)};
    return &s->slots[s->count++];
}

/* The slot of a version that stands at `place` in the walk, moved to that place among the slots, so
 * that the next walk finds it there. */
static struct slot *find(struct gal_sampler *s, const struct gal_model *m, size_t place)
{
    size_t at = place;

    if (at >= s->count || s->slots[at].index != m->index)
        for (at = 0; at < s->count && s->slots[at].index != m->index;)
            at++;
    if (at == s->count && add_slot(s, m) == NULL)
        return NULL;
    if (at != place && place < s->count) {
        struct slot moved = s->slots[place];
        s->slots[place] = s->slots[at];
        s->slots[at] = moved;
        at = place;
    }
    return &s->slots[at];
}

static void sample(struct gal_sampler *s, struct slot *slot, const struct gal_model *m,
                   uint64_t now_us)
{
    struct gal_sched_stats stats;
    double rows;

    gal_sched_stats(m->sched, &stats);
    gal_meter_add(&slot->meter,
                  &(struct gal_meter_sample){now_us, stats.busy_ns, stats.executions, stats.rows});
    rows = gal_meter_rows(&slot->meter);
    gal_gauge_set(s->metrics, slot->busy, gal_meter_busy(&slot->meter, stats.workers));
    gal_gauge_set(s->metrics, slot->fill,
                  rows < (double)stats.rows_max ? rows / (double)stats.rows_max : rows > 0);
}

/* Before the new ones are set: a version that came anew has the same series. */
static void drop_unseen(struct gal_sampler *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        if (s->slots[i].seen) {
            s->slots[kept++] = s->slots[i];
            continue;
        }
        gal_gauge_hide(s->metrics, s->slots[i].busy);
        gal_gauge_hide(s->metrics, s->slots[i].fill);
    }
    s->count = kept;
}

/* Calls `visit` for each READY version, with its place in the walk. */
static void walk(struct gal_sampler *s, const struct gal_catalog *c, uint64_t now_us,
                 void (*visit)(struct gal_sampler *s, const struct gal_model *m, size_t place,
                               uint64_t now_us))
{
    size_t place = 0;

    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; k < c->entries[i].version_count; k++)
            if (gal_model_state(c->entries[i].versions[k]) == GAL_MODEL_READY)
                visit(s, c->entries[i].versions[k], place++, now_us);
}

static void mark(struct gal_sampler *s, const struct gal_model *m, size_t place, uint64_t now_us)
{
    struct slot *slot = find(s, m, place);

    (void)now_us;
    if (slot != NULL)
        slot->seen = true;
}

static void take(struct gal_sampler *s, const struct gal_model *m, size_t place, uint64_t now_us)
{
    struct slot *slot = find(s, m, place);

    if (slot != NULL)
        sample(s, slot, m, now_us);
}

void gal_sampler_take(struct gal_sampler *s, const struct gal_catalog *catalog, uint64_t now_us)
{
    for (size_t i = 0; i < s->count; i++)
        s->slots[i].seen = false;
    walk(s, catalog, now_us, mark);
    drop_unseen(s);
    walk(s, catalog, now_us, take);
}
