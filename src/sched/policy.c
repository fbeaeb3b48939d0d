/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/policy.h"

#include "base/limits.h"

#include <inttypes.h>

void gal_policy_init(struct gal_policy *p)
{
    *p = (struct gal_policy){
        .rows_max = GAL_BATCH_ROWS_MAX,
        .levels = 1,
        .default_level = 1,
        .jobs_max = GAL_QUEUE_MAX,
        .bytes_max = GAL_QUEUE_BYTES_MAX,
    };
    for (unsigned i = 0; i < GAL_LEVELS_MAX; i++)
        p->level[i].override = true;
}

/* A field and what it may hold. */
struct bound {
    const char *name;
    uint64_t value, least, most;
};

/* level: of which level the fields are; 0: of the policy. */
static enum gal_status check_bounds(const struct bound *fields, size_t count, unsigned level,
                                    struct gal_err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *b = &fields[i];
        if (b->value >= b->least && b->value <= b->most)
            continue;
        gal_fail(err, GAL_INVALID, "%s is %" PRIu64, b->name, b->value);
        if (level)
            gal_err_place(err, "level[%u].%s", level, b->name);
        else
            gal_err_place(err, "%s", b->name);
        gal_err_hint(err, "%" PRIu64 " to %" PRIu64, b->least, b->most);
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status check_preferred(const struct gal_policy *p, struct gal_err *err)
{
    for (size_t i = 0; i < p->preferred_count; i++) {
        size_t size = p->preferred[i];
        bool in_range = size >= 1 && size <= p->rows_max;
        if (in_range && (i == 0 || size > p->preferred[i - 1]))
            continue;
        if (in_range)
            gal_fail(err, GAL_INVALID, "preferred batch size %zu comes after %zu", size,
                     p->preferred[i - 1]);
        else
            gal_fail(err, GAL_INVALID, "a batch of at most %zu rows cannot have the preferred %zu",
                     p->rows_max, size);
        gal_err_place(err, "preferred[%zu]", i);
        gal_err_hint(err, "sizes from 1 to %zu, ascending, each once", p->rows_max);
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status check_levels(const struct gal_policy *p, struct gal_err *err)
{
    for (unsigned i = 0; i < p->levels; i++) {
        const struct gal_level_policy *l = &p->level[i];
        const struct bound fields[] = {
            {"jobs_max", l->jobs_max, 0, GAL_QUEUE_JOBS_MOST},
            {"timeout_us", l->timeout_us, 0, GAL_TIMEOUT_US_MOST},
            {"action", (uint64_t)l->action, GAL_TIMEOUT_REJECT, GAL_TIMEOUT_DELAY},
        };
        enum gal_status st = check_bounds(fields, sizeof fields / sizeof *fields, i + 1, err);
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

/* A batch that waits as long as the whole latency may be is late whatever its call costs. */
static enum gal_status check_target(const struct gal_policy *p, struct gal_err *err)
{
    if (p->target_us == 0 || p->delay_us_max < p->target_us)
        return GAL_OK;
    gal_fail(err, GAL_INVALID,
             "waiting %" PRIu64 " us for company leaves nothing of a target of "
             "%" PRIu64 " us",
             p->delay_us_max, p->target_us);
    gal_err_place(err, "delay_us_max");
    gal_err_hint(
        err, "a latency target adds no delay: leave it out, or make it shorter than the target");
    return GAL_INVALID;
}

enum gal_status gal_policy_check(const struct gal_policy *p, struct gal_err *err)
{
    const struct bound fields[] = {
        {"rows_max", p->rows_max, 1, GAL_BATCH_ROWS_MOST},
        {"preferred_count", p->preferred_count, 0, GAL_PREFERRED_MAX},
        {"delay_us_max", p->delay_us_max, 0, GAL_DELAY_US_MOST},
        {"levels", p->levels, 1, GAL_LEVELS_MAX},
        {"default_level", p->default_level, 1, p->levels},
        {"jobs_max", p->jobs_max, 1, GAL_QUEUE_JOBS_MOST},
        {"bytes_max", p->bytes_max, 1, SIZE_MAX},
        {"target_us", p->target_us, 0, GAL_TIMEOUT_US_MOST},
    };
    enum gal_status st = check_bounds(fields, sizeof fields / sizeof *fields, 0, err);
    if (st == GAL_OK)
        st = check_preferred(p, err);
    if (st == GAL_OK)
        st = check_levels(p, err);
    return st == GAL_OK ? check_target(p, err) : st;
}

size_t gal_policy_needs_queue(const struct gal_policy *p, const char *names[GAL_POLICY_NEEDS_MAX])
{
    const struct {
        bool needed;
        const char *name;
    } all[GAL_POLICY_NEEDS_MAX] = {{p->delay_us_max > 0, "max_queue_delay"},
                                   {p->levels > 1, "priority_levels"},
                                   {p->keep_order, "preserve_ordering"},
                                   {p->preferred_count > 0, "preferred_batch_sizes"}};
    size_t n = 0;
    for (size_t i = 0; i < GAL_POLICY_NEEDS_MAX; i++) {
        if (!all[i].needed)
            continue;
        if (names)
            names[n] = all[i].name;
        n++;
    }
    return n;
}
