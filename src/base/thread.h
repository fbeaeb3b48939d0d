/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, and how many of them this process should run. */
#ifndef GAL_BASE_THREAD_H
#define GAL_BASE_THREAD_H

#include "base/status.h"

#include <pthread.h>
#include <stdint.h>

/* Starts a joinable thread with a name of at most 15 bytes; signals stay blocked in it, so that
 * only the main thread receives them. */
enum gal_status gal_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg,
                                 struct gal_err *err);
/* Processors that this process may keep busy: the smallest of the affinity mask and the cgroup's
 * quota (cgroup v2 cpu.max, v1 cpu.cfs_quota_us; rounded up), at least 1. */
unsigned gal_cpu_count(void);
/* Memory that this process may take, bytes: the smallest of the machine's and the cgroups' limits
 * (memory.max, v1 memory.limit_in_bytes). */
uint64_t gal_memory_max(void);
/* Parses the content of cpu.max ("max 100000", "150000 100000") into processors rounded up; 0 when
 * there is no limit. Pure; for tests. */
unsigned gal_cpu_quota_parse(const char *text);

#endif
