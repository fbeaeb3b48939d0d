/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's decisions as pure functions of state and time. */
#ifndef GAL_SCHED_DECIDE_H
#define GAL_SCHED_DECIDE_H

#include "sched/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* deadline 0: none. */
bool gal_job_is_late(uint64_t deadline_us, uint64_t now_us);
/* When a job that comes now leaves the queue unanswered: its deadline, or the timeout of its level
 * under GAL_TIMEOUT_REJECT; 0: never. */
uint64_t gal_wait_ends_us(const struct gal_policy *p, const struct gal_entry *e, uint64_t now_us);
/* Another worker thread is worth starting: more jobs wait than idle workers can take. */
bool gal_workers_want_one(size_t waiting, unsigned idle, unsigned started, unsigned workers_max);
/* Idle workers to wake for what waits: each takes up to rows_max rows. */
unsigned gal_workers_to_wake(size_t rows_waiting, size_t rows_max, unsigned idle);

#endif
