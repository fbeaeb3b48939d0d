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
