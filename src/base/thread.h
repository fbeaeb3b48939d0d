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
/* The calling thread gets its share of a processor in pieces of at most slice_us (100 to 100,000):
 * a thread that wakes interrupts one whose pieces are longer, instead of waiting for the end of its
 * piece (milliseconds). Its share stays what it is. Linux 6.12 and later; elsewhere nothing
 * happens. */
void gal_thread_slice(unsigned slice_us);
/* The calling thread gives way to others that want its processor, the process's own and strangers
 * alike: under load its share is smaller the greater `nice` is (1 to 19), for good. */
void gal_thread_give_way(int nice);
/* Processors that this process may keep busy: the smallest of the affinity mask and the cgroup's
 * quota (cgroup v2 cpu.max, v1 cpu.cfs_quota_us; rounded up), at least 1. */
unsigned gal_cpu_count(void);
/* Of those the ones that the affinity mask has: with one all threads do share it, whatever the
 * quota. */
unsigned gal_cpu_affinity(void);
/* Memory that this process may take, bytes: the smallest of the machine's and the cgroups' limits
 * (memory.max, v1 memory.limit_in_bytes). */
uint64_t gal_memory_max(void);
/* Parses the content of cpu.max ("max 100000", "150000 100000") into processors rounded up; 0 when
 * there is no limit. Pure; for tests. */
unsigned gal_cpu_quota_parse(const char *text);

#endif
