/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in the dialect of the route. */
#include "api/exchange.h"
#include "api/route.h"
#include "text/json.h"

#include <stdio.h>

/* Seconds after which a refused client may try again. */
#define RETRY_AFTER_S "1"

static enum gal_dialect dialect_of(const struct gal_exchange *x)
{
    if (x->route != NULL)
        return x->route->dialect;
    if (gal_str_is(x->req->path, "/v2") || gal_str_starts(x->req->path, GAL_STR("/v2/")))
        return GAL_DIALECT_OIP;
    return GAL_DIALECT_NATIVE;
}

/* message (place); hint */
static void put_sentence(struct gal_exchange *x, const struct gal_err *err, bool with_place)
{
    const char *text = gal_arena_printf(
        &x->arena, "%s%s%s%s%s%s", err->message, with_place && err->place[0] ? " (at " : "",
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

void gal_exchange_fail(struct gal_exchange *x, const struct gal_err *err)
{
    int status = gal_status_http(err->code);

    x->outcome = err->code;
    snprintf(x->outcome_text, sizeof(x->outcome_text), "%.*s", (int)sizeof(x->outcome_text) - 1,
             err->message);
    gal_buf_clear(&x->out, GAL_ARENA_KEEP_BYTES);
    if (dialect_of(x) == GAL_DIALECT_OIP) {
        gal_buf_puts(&x->out, "{\"error\":");
        put_sentence(x, err, true);
        gal_buf_putc(&x->out, '}');
    } else {
        if (err->code == GAL_INVALID && x->route != NULL)
            status = 422;
        put_native(x, err);
    }
    if (status == 429 || status == 503)
        gal_http_response_header(&x->resp, GAL_STR("Retry-After"), GAL_STR(RETRY_AFTER_S));
    gal_exchange_finish(x, status, GAL_TYPE_JSON);
}
