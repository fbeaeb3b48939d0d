/* SPDX-License-Identifier: Apache-2.0 */
/* What trace_log.c (settings) and trace_write.c (the file) share. */
#ifndef GAL_API_TRACE_IMPL_H
#define GAL_API_TRACE_IMPL_H

#include "api/trace_log.h"

#include <pthread.h>

#define GAL_TRACE_RATE 1000u /* untold */
/* Of a trace's lines of tensors: of more than fit, none is told. */
#define GAL_TRACE_BYTES_MAX (16u << 20)

enum gal_trace_level { GAL_TRACE_TIMESTAMPS = 1, GAL_TRACE_TENSORS = 2 };

struct gal_trace_values {
    unsigned levels;    /* gal_trace_level; 0: nothing is traced */
    uint64_t rate;      /* one of so many */
    int64_t left;       /* trace_count: to be written still; -1: without end */
    uint64_t frequency; /* traces a file; 0: one file */
};

enum gal_trace_key { GAL_TRACE_LEVEL, GAL_TRACE_RATE_KEY, GAL_TRACE_COUNT, GAL_TRACE_FREQUENCY };

struct gal_trace_model {
    struct gal_trace_model *next;
    struct gal_trace_values values;
    unsigned own;  /* a bit a gal_trace_key: the others are as for all models */
    uint64_t seen; /* inferences since the rate was set */
    size_t name_bytes;
    char name[];
};

/* A file that lines go to. Its last holder closes it: a line on its way holds it, too. */
struct gal_trace_file {
    int fd;
    unsigned holders; /* under the tracer's lock, as all here */
    uint64_t index;   /* where log_frequency is set */
    bool is_indexed;
    bool torn;      /* its last line has no end: the disk was full */
    unsigned tears; /* lines that have none */
};

struct gal_tracer {
    pthread_mutex_t lock; /* of all below */
    struct gal_trace_values values;
    uint64_t seen;
    struct gal_trace_model *models; /* owned */
    size_t model_count;
    const char *file;           /* borrowed; "" none */
    struct gal_trace_file *out; /* owned; NULL: none yet */
    uint64_t written;
};

/* The model's own settings over those of all. Under the lock. */
struct gal_trace_values gal_trace_values_of(const struct gal_tracer *t,
                                            const struct gal_trace_model *m);
struct gal_trace_model *gal_trace_find(struct gal_tracer *t, struct gal_str model);
/* Sees to it that t->out is the file that trace number `trace` goes to; false when it cannot be
 * written. Under the lock. */
bool gal_trace_open(struct gal_tracer *t, uint64_t frequency, uint64_t trace);
/* f may be NULL. Under the lock. */
void gal_trace_let_go(struct gal_trace_file *f);
/* Appends a line a tensor: inputs as they went to the model, outputs as they came. */
void gal_trace_put_tensors(struct gal_buf *out, const struct gal_exchange *x, uint64_t id);

#endif
