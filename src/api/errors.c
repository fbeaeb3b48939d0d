/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in the dialect of the route. */
#include "api/exchange.h"
#include "api/faults.h"
#include "api/grpc.h"
#include "api/lazy.h"
#include "api/route.h"
#include "text/json.h"

#include <stdio.h>

/* Seconds after which a refused client may try again: bounds of what is told. */
#define RETRY_S_MIN 1u
#define RETRY_S_MIN_TEXT "1"
#define RETRY_S_MAX 60u

static enum gal_dialect dialect_of(const struct gal_exchange *x)
{
    if (x->route == NULL ? gal_grpc_speaks(x->req) : x->route->dialect == GAL_DIALECT_GRPC)
        return gal_grpc_speaks(x->req) ? GAL_DIALECT_GRPC : GAL_DIALECT_NATIVE;
    if (x->route != NULL)
        return x->route->dialect;
    if (gal_str_is(x->req->path, "/v2") || gal_str_starts(x->req->path, GAL_STR("/v2/")))
        return GAL_DIALECT_OIP;
    return GAL_DIALECT_NATIVE;
}

/* message (place); hint. All that is wrong with the fields, where that was noted. */
static void put_sentence(struct gal_exchange *x, const struct gal_err *err, bool with_place)
{
    struct gal_str all = err->code == GAL_INVALID ? gal_faults_text(x) : (struct gal_str){NULL, 0};
    const char *text;

    if (all.p != NULL) {
        gal_json_put_str(&x->out, all);
        return;
    }
    text = gal_arena_printf(&x->arena, "%s%s%s%s%s%s", err->message,
                            with_place && err->place[0] ? " (at " : "",
                            with_place ? err->place : "", with_place && err->place[0] ? ")" : "",
                            err->hint[0] ? "; " : "", err->hint);

    gal_json_put_str(&x->out, gal_str_of(text != NULL ? text : err->message));
}

/* FastAPI's form: a list of field errors when the place is known, a sentence otherwise. */
static void put_native(struct gal_exchange *x, const struct gal_err *err)
{
    gal_buf_puts(&x->out, "{\"detail\":");
    if (err->code == GAL_INVALID && err->place[0] != '\0') {
        gal_buf_puts(&x->out, "[{\"loc\":[\"body\",");
        gal_json_put_str(&x->out, gal_str_of(err->place));
        gal_buf_puts(&x->out, "],\"field\":");
        gal_json_put_str(&x->out, gal_str_of(err->place));
        gal_buf_puts(&x->out, ",\"msg\":");
        put_sentence(x, err, false);
        gal_buf_puts(&x->out, ",\"type\":\"value_error\"}]");
    } else {
        put_sentence(x, err, true);
    }
    gal_buf_puts(&x->out, ",\"request_id\":");
    gal_json_put_str(&x->out, gal_str_of(x->request_id));
    gal_buf_putc(&x->out, '}');
}

/* MLflow's names for its errors; what it has none for goes by the status's kind. */
static const char *mlflow_code(enum gal_status code)
{
    switch (code) {
    case GAL_NOT_FOUND:
        return "RESOURCE_DOES_NOT_EXIST";
    case GAL_OVERLOADED:
        return "REQUEST_LIMIT_EXCEEDED";
    case GAL_CANCELLED:
        return "CANCELLED";
    case GAL_UNSUPPORTED:
        return "NOT_IMPLEMENTED";
    case GAL_UNAVAILABLE:
    case GAL_NO_MEMORY:
        return "TEMPORARILY_UNAVAILABLE";
    case GAL_DEADLINE:
        return "DEADLINE_EXCEEDED";
    default:
        return gal_status_http(code) >= 500 ? "INTERNAL_ERROR" : "BAD_REQUEST";
    }
}

static void put_mlflow(struct gal_exchange *x, const struct gal_err *err)
{
    gal_buf_puts(&x->out, "{\"error_code\":\"");
    gal_buf_puts(&x->out, mlflow_code(err->code));
    gal_buf_puts(&x->out, "\",\"message\":");
    put_sentence(x, err, true);
    gal_buf_putc(&x->out, '}');
}

/* A message has no status line and no place of its own: both go into the text. */
static void put_message_fields(struct gal_exchange *x, int status)
{
    gal_buf_puts(&x->out, ",\"status\":");
    gal_buf_put_u64(&x->out, (uint64_t)status);
    if (x->message_id.p != NULL) {
        gal_buf_puts(&x->out, ",\"id\":");
        gal_json_put_str(&x->out, x->message_id);
    }
    x->message = GAL_MESSAGE_TEXT;
}

/* When what now waits for the model will have run, where its scheduler can tell. */
static void put_retry_after(struct gal_exchange *x)
{
    uint64_t us = x->submitted && x->outcome == GAL_OVERLOADED ? x->job.retry_us : 0;
    uint64_t s = us / 1000000 + (us % 1000000 != 0);
    char text[24];

    if (s <= RETRY_S_MIN) { /* takes no memory, which may be out */
        gal_http_response_header(&x->resp, GAL_STR("Retry-After"), GAL_STR(RETRY_S_MIN_TEXT));
        return;
    }
    if (s > RETRY_S_MAX)
        s = RETRY_S_MAX;
    snprintf(text, sizeof(text), "%u", (unsigned)s);
    gal_exchange_header(x, GAL_STR("Retry-After"), gal_str_of(text));
}

void gal_exchange_fail(struct gal_exchange *x, const struct gal_err *err)
{
    int status = gal_status_http(err->code);

    if (gal_lazy_park(x))
        return;
    x->outcome = err->code;
    snprintf(x->outcome_text, sizeof(x->outcome_text), "%.*s", (int)sizeof(x->outcome_text) - 1,
             err->message);
    x->render = NULL;
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    if (dialect_of(x) == GAL_DIALECT_GRPC) {
        gal_grpc_fail(x, err);
        return;
    }
    if (dialect_of(x) == GAL_DIALECT_OIP) {
        gal_buf_puts(&x->out, "{\"error\":");
        put_sentence(x, err, true);
        if (x->message != GAL_MESSAGE_NONE)
            put_message_fields(x, status);
        gal_buf_putc(&x->out, '}');
    } else if (dialect_of(x) == GAL_DIALECT_MLFLOW) {
        put_mlflow(x, err);
    } else {
        if (err->code == GAL_INVALID && x->route != NULL && !x->malformed)
            status = 422;
        put_native(x, err);
    }
    if (status == 429 || status == 503)
        put_retry_after(x);
    gal_exchange_finish(x, status, GAL_TYPE_JSON);
}
