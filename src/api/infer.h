/* SPDX-License-Identifier: Apache-2.0 */
/* What all dialects share between decoding and encoding: which model, do the inputs fit it, run. */
#ifndef GAL_API_INFER_H
#define GAL_API_INFER_H

#include "api/exchange.h"

/* Resolves the model of the request (empty name: the default; empty version: X-Model-Version
 * header, else the newest) into x->model with a reference. NOT_FOUND, or UNAVAILABLE with the
 * reason when it is not READY or the server refuses. */
enum gal_status gal_infer_resolve(struct gal_exchange *x, struct gal_str name,
                                  struct gal_str version, struct gal_err *err);

/* An inference being put together; in the exchange's arena. */
struct gal_findings;
struct gal_infer {
    struct gal_value *inputs; /* the model's inputs in its order; kind NONE until given */
    size_t *wanted;           /* indexes of outputs */
    size_t wanted_count;
    size_t run_count; /* with those behind wanted_count by which the server judges the answer */
    struct gal_value *outputs; /* run_count, filled by the run */
    /* Renders outputs into x and finishes it. Called on the loop when the run went well; a failed
     * run is rendered by gal_exchange_fail without it. Outputs stay until gal_exchange_reset, so
     * the answer may point into them. */
    void (*encode)(struct gal_exchange *x, struct gal_infer *inf);
    uint64_t limit_us;   /* the client's deadline, from the request's arrival: headers,
                            grpc-timeout; 0: none. May shorten the server's, not lengthen it */
    uint64_t timeout_us; /* the parameter: a deadline too, but for models with queue_policies
                            (model/config.h); 0: none */
    uint64_t priority;   /* 1 the most urgent; 0: the model's default */
    struct gal_padded padded;
    struct gal_findings *findings; /* of a package's features; NULL: there are none to check */
    /* Renders findings that refuse the request and finishes it; err tells of them in a sentence.
     * NULL: gal_exchange_fail does. */
    void (*refuse)(struct gal_exchange *x, struct gal_infer *inf, const struct gal_err *err);
    /* Of an answer: flagged values, rows of low confidence, rows whose decision does not stand. */
    size_t outliers, unsure, unstable;
    bool withheld; /* the model has answered, and the answer is refused */
    void *state;   /* the dialect's own */
    bool has_run;  /* outputs are to be released */
};

/* Allocates for x->model; all outputs wanted. NULL when memory is out. */
struct gal_infer *gal_infer_new(struct gal_exchange *x);
/* Puts a decoded tensor in its place: INVALID for an unknown name, a name given twice, a datatype
 * or shape that does not fit, with name, expected and got in the message. */
enum gal_status gal_infer_set(struct gal_exchange *x, struct gal_infer *inf,
                              const struct gal_tensor *t, struct gal_err *err);
/* Checks that every input is there, counts rows, sets deadline and priority (inf's, else those of
 * the headers X-Request-Timeout-Ms, X-Envoy-Expected-Rq-Timeout-Ms and X-Request-Priority; the
 * shortest timeout counts), submits. Ends in encode + finish, or fail. */
void gal_infer_run(struct gal_exchange *x, struct gal_infer *inf);
/* Its last step: hands the job, which is filled, to the model's scheduler. For who held it back. */
void gal_infer_submit(struct gal_exchange *x);
/* What x may take of m, from x's arrival, as far as its headers, the model and the server say;
 * 0: for ever. For a request whose model cannot read it yet; what is wrong in a header is told by
 * gal_infer_run. */
uint64_t gal_infer_limit_us(struct gal_exchange *x, const struct gal_model *m);
/* The run's outputs, or the cache's in their place, are in inf->outputs: cuts off what padding has
 * added, encodes, finishes. */
void gal_infer_answer(struct gal_exchange *x);

/* A class model's scores in one form: SEQUENCE of maps (ZipMap) becomes labels [k] (INT64 or
 * BYTES) and scores [n,k]. INVALID when the maps do not share their keys. Arena's memory. */
enum gal_status gal_value_zipmap(const struct gal_value *v, struct gal_arena *arena,
                                 struct gal_tensor *labels, struct gal_tensor *scores,
                                 struct gal_err *err);

#endif
