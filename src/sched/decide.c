/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/decide.h"

bool gal_job_is_late(uint64_t deadline_us, uint64_t now_us)
{
    return deadline_us != 0 && now_us >= deadline_us;
}

bool gal_workers_want_one(size_t waiting, unsigned idle, unsigned started, unsigned workers_max)
{
    return waiting > idle && started < workers_max;
}

unsigned gal_workers_to_wake(size_t rows_waiting, size_t rows_max, unsigned idle)
{
    size_t calls = rows_max ? (rows_waiting + rows_max - 1) / rows_max : rows_waiting;
    return calls < idle ? (unsigned)calls : idle;
}

uint64_t gal_wait_ends_us(const struct gal_policy *p, const struct gal_entry *e, uint64_t now_us)
{
    unsigned level = e->level ? e->level : p->default_level;
    const struct gal_level_policy *l = &p->level[(level < p->levels ? level : p->levels) - 1];
    uint64_t wait_us = l->timeout_us, ends_us;
    if (l->override && e->timeout_us != 0 && (wait_us == 0 || e->timeout_us < wait_us))
        wait_us = e->timeout_us;
    if (wait_us == 0 || l->action == GAL_TIMEOUT_DELAY)
        return e->deadline_us;
    ends_us = wait_us < UINT64_MAX - now_us ? now_us + wait_us : UINT64_MAX;
    return e->deadline_us == 0 || ends_us < e->deadline_us ? ends_us : e->deadline_us;
}
