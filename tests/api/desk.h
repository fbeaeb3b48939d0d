/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints without sockets: a catalog of models of the fake backend, one exchange, a clock
 * that stands until it is moved. */
#ifndef TESTS_API_DESK_H
#define TESTS_API_DESK_H

#include "api/exchange.h"
#include "base/buf.h"

struct desk_model {
    const char *name, *version;
    const char *text; /* the fake's file; NULL: the model stays LOADING */
};

#define DESK_MODELS_MAX 16

struct desk {
    struct gal_process process;
    struct gal_api_options options;
    struct gal_api api;
    struct gal_exchange x;
    struct gal_http_request req;
    struct gal_buf body; /* of the answer, a NUL behind it */
    struct gal_model *models[DESK_MODELS_MAX];
    size_t count;
    uint64_t now_us; /* both clocks */
    struct gal_clock clock;
    unsigned finished;
    char dir[32];
};

/* Loads the models, inline, with one warm-up inference; fails the test when one that has a text
 * does not end as `ready` says. `loop`: a real one, for what is posted. */
void desk_open(struct desk *d, const struct desk_model *models, size_t count, bool loop);
void desk_close(struct desk *d);
/* Loads a model that desk_open has left LOADING. */
enum gal_status desk_load(struct desk *d, size_t index, const char *text);
/* Sends one request and waits for its answer; headers set in d->req are sent too. Returns the
 * status; the answer is in d->body and d->x until desk_next. */
int desk_ask(struct desk *d, enum gal_method method, const char *target, const char *body);
void desk_begin(struct desk *d, enum gal_method method, const char *target, const char *body);
void desk_await(struct desk *d);
const char *desk_header(struct desk *d, const char *name); /* NULL when absent */
void desk_next(struct desk *d);
/* Inferences that the model of this index has run. */
uint64_t desk_runs(const struct desk *d, size_t index);

#endif
