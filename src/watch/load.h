/* SPDX-License-Identifier: Apache-2.0 */
/* Families that are read from the schedulers when they are asked for: the gauges of watch/load.def,
 * and what Triton Inference Server calls the same things, so that its dashboards and autoscalers
 * work as they are. Whoever serves models gathers what they are under; nothing is kept here. */
#ifndef GAL_WATCH_LOAD_H
#define GAL_WATCH_LOAD_H

#include "sched/sched.h"
#include "watch/exposition.h"

/* What a response cache has done for a model; zero where there is none. Hits: requests that it
 * answered, with the time to look up, or to wait for an equal request's answer. Misses: those that
 * it did not, with the time to look up and to keep. */
struct gal_cache_spans {
    struct gal_span hit, miss;
};

/* Labels of a version: two names of GAL_NAME_BYTES_MAX, each byte escaped at worst. */
#define GAL_LOAD_LABELS_MAX 2048u

struct gal_load {
    const char *labels;         /* model="x",model_version="1", as gal_expo_put_labels writes */
    const char *triton_labels;  /* model="x",version="1"; at most GAL_LOAD_LABELS_MAX bytes */
    const char *package_labels; /* the same as labels, and package_digest; NULL: it is no package */
    struct gal_sched_stats stats;
    struct gal_cache_spans cache;
    uint64_t executions; /* successful calls of the engine */
    uint64_t refused;    /* requests that never reached the scheduler: not valid, mostly */
    uint64_t load_us;    /* start of its load to ready */
};

void gal_load_render(struct gal_expo *e, const struct gal_load *loads, size_t count);

/* Share of the time that the machine's processors were busy. */
struct gal_cpu_meter {
    uint64_t busy, total; /* ticks at the last sample; 0: none yet */
};
/* Since the last call, 0 to 1; 0 at the first, or when it cannot be read. */
double gal_cpu_sample(struct gal_cpu_meter *m);
/* From the first line of /proc/stat; false when it is no such text. Pure; for tests. */
bool gal_cpu_parse(struct gal_str text, uint64_t *busy, uint64_t *total);

/* cpu: as gal_cpu_sample last said. */
void gal_triton_render(struct gal_expo *e, const struct gal_load *loads, size_t count, double cpu);

#endif
