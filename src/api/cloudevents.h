/* SPDX-License-Identifier: Apache-2.0 */
/* CloudEvents 1.0 over HTTP at the endpoints of inference: a request that is an event is answered
 * by an event of the same mode; its data is the body that the endpoint takes.
 *
 * binary: ce-id, ce-source, ce-specversion, ce-type beside the body. structured: Content-Type
 * application/cloudevents+json, the body is the event. Errors stay in the endpoint's own dialect.
 */
#ifndef GAL_API_CLOUDEVENTS_H
#define GAL_API_CLOUDEVENTS_H

#include "api/exchange.h"
#include "base/clock.h"

#define GAL_EVENT_TYPE "io.kserve.inference.response"       /* of every answer */
#define GAL_EVENT_SOURCE_PREFIX "io.kserve.inference."      /* the model's name follows */
#define GAL_EVENT_MEDIA_TYPE "application/cloudevents+json" /* of a structured event */
/* Of a structured event, beside its data: as much as the same attributes may take as headers. */
#define GAL_EVENT_BYTES_MAX GAL_HTTP_HEAD_BYTES_MAX

/* In the exchange's arena. */
struct gal_event {
    bool structured;
    char id[GAL_UUID_SIZE]; /* this and what follows: the answer's, from close */
    char time[GAL_TIMESTAMP_SIZE];
    const char *source;
};

struct gal_event_data {
    struct gal_str type; /* media type; application/json where the event has none */
    struct gal_str text; /* JSON borrows the event's text as it was sent; else decoded. May be
                            empty */
    bool is_json;        /* text is the member `data`, not checked to be JSON */
};

/* A structured event in JSON. INVALID names the attribute that is missing or wrong. Pure. */
enum gal_status gal_event_read(struct gal_str text, struct gal_arena *arena,
                               struct gal_event_data *out, struct gal_err *err);

/* True when the route answers events with events. */
bool gal_event_takes(const struct gal_route *route);
/* With the route found and the content coding off, before the handler. Nothing happens when the
 * request is no event or the route no inference. Else x->event is set, and body and content type
 * become those of the data. On INVALID x->malformed is set. */
enum gal_status gal_event_open(struct gal_exchange *x, struct gal_err *err);
/* The answer to x->event: adds headers (binary), or puts the parts into an event (structured). What
 * is neither JSON nor text becomes data_base64. */
enum gal_status gal_event_close(struct gal_exchange *x, struct gal_str *content_type,
                                const struct gal_str **parts, size_t *count, struct gal_err *err);

#endif
