/* SPDX-License-Identifier: Apache-2.0 */
/* How a unary method begins and ends: framing, compression, status. */
#include "api/grpc.h"
#include "api/route.h"
#include "api/validate.h"

#include <stdio.h>

/* Below this many bytes a compressed answer gains nothing. */
#define COMPRESS_BYTES_MIN 1024u

enum gal_status gal_grpc_begin(struct gal_exchange *x, struct gal_str *message, struct gal_err *err)
{
    size_t max = x->api->options->body_bytes_max;
    struct gal_grpc_frame frame;
    enum gal_status st = gal_grpc_only(x->body, max, &frame, err);

    if (st == GAL_OK)
        st = gal_grpc_unpack(&frame, x->req->known[GAL_HDR_GRPC_ENCODING], max, &x->arena, message,
                             err);
    return st;
}

static void add_trailer(struct gal_exchange *x, struct gal_str name, struct gal_str value)
{
    x->resp.trailers[x->resp.trailer_count++] = (struct gal_header){name, value};
}

/* Like with like: who sends compressed messages gets them too. A client that does not tells what it
 * could read as well, but pays for the work. */
static bool compress(struct gal_exchange *x, const struct gal_str *parts, size_t count,
                     struct gal_str *part)
{
    enum gal_coding coding = gal_coding_parse(x->req->known[GAL_HDR_GRPC_ENCODING]);
    size_t bytes = 0;

    if (!x->api->options->compress || coding == GAL_CODING_IDENTITY ||
        coding == GAL_CODING_UNKNOWN ||
        !gal_grpc_accepts(x->req->known[GAL_HDR_GRPC_ACCEPT_ENCODING], coding))
        return false;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].n;
    if (bytes < COMPRESS_BYTES_MIN)
        return false;
    struct gal_str *plain = gal_arena_array(&x->arena, count, sizeof(*plain));
    if (plain == NULL || gal_buf_reserve(&x->packed, GAL_GRPC_PREFIX_BYTES) == NULL)
        return false;
    memcpy(plain, parts, count * sizeof(*plain));
    plain[0].p += GAL_GRPC_PREFIX_BYTES;
    plain[0].n -= GAL_GRPC_PREFIX_BYTES;
    x->packed.n = GAL_GRPC_PREFIX_BYTES;
    if (gal_deflate(coding, plain, count, &x->arena, &x->packed, NULL) != GAL_OK)
        return false; /* the plain answer is as right */
    gal_grpc_prefix(x->packed.p, true, x->packed.n - GAL_GRPC_PREFIX_BYTES);
    *part = gal_buf_str(&x->packed);
    gal_http_response_header(&x->resp, GAL_STR("grpc-encoding"),
                             gal_str_of(gal_coding_name(coding)));
    return true;
}

void gal_grpc_finish_parts(struct gal_exchange *x, const struct gal_str *parts, size_t count)
{
    struct gal_str *packed = gal_arena_small(&x->arena, sizeof(*packed));

    if (packed != NULL && compress(x, parts, count, packed)) {
        parts = packed;
        count = 1;
    }
    add_trailer(x, GAL_STR("grpc-status"), GAL_STR("0"));
    gal_http_response_header(&x->resp, GAL_STR("grpc-accept-encoding"),
                             GAL_STR(GAL_GRPC_ACCEPT_ENCODING));
    gal_exchange_finish_parts(x, 200, GAL_TYPE_GRPC, parts, count);
}

void gal_grpc_finish(struct gal_exchange *x)
{
    struct gal_str *parts = gal_arena_array(&x->arena, 2, sizeof(*parts));
    char *prefix = gal_arena_small(&x->arena, GAL_GRPC_PREFIX_BYTES);
    struct gal_err err;

    if (x->out.failed || parts == NULL || prefix == NULL) {
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the answer");
        gal_exchange_fail(x, &err);
        return;
    }
    gal_grpc_prefix(prefix, false, x->out.n);
    parts[0] = (struct gal_str){prefix, GAL_GRPC_PREFIX_BYTES};
    parts[1] = gal_buf_str(&x->out);
    gal_grpc_finish_parts(x, parts, x->out.n > 0 ? 2 : 1);
}

/* message (at place); hint. It is a string of protobuf, and what it quotes is a client's. */
static struct gal_str sentence(struct gal_exchange *x, const struct gal_err *err)
{
    struct gal_str path = x->req->path;
    char *text;

    if (x->route == NULL && err->code == GAL_NOT_FOUND)
        text = gal_arena_printf(&x->arena, "unknown method '%.*s'; reflection lists the services",
                                (int)(path.n < 128 ? path.n : 128), path.p);
    else
        text = gal_arena_printf(&x->arena, "%s%s%s%s%s%s", err->message,
                                err->place[0] ? " (at " : "", err->place, err->place[0] ? ")" : "",
                                err->hint[0] ? "; " : "", err->hint);
    if (text == NULL)
        return GAL_STR("no memory for the error");
    if (!gal_utf8_valid(gal_str_of(text)))
        for (char *p = text; *p != '\0'; p++)
            if ((uint8_t)*p >= 0x80)
                *p = '?';
    return gal_str_of(text);
}

/* In a stream of inferences an error is an answer, ModelStreamInferResponse.error_message; whether
 * the status goes out in its place is the carrier's matter. NULL when memory is out. */
static struct gal_str *error_message(struct gal_exchange *x, struct gal_str text)
{
    struct gal_str *part = gal_arena_small(&x->arena, sizeof(*part));
    char prefix[GAL_GRPC_PREFIX_BYTES];

    gal_grpc_prefix(prefix, false, gal_pb_bytes_size(1, text.n));
    gal_buf_put(&x->out, prefix, sizeof(prefix));
    gal_pb_put_bytes(&x->out, 1, text);
    if (part == NULL || x->out.failed)
        return NULL;
    *part = gal_buf_str(&x->out);
    return part;
}

/* What is wrong with which field: a package's findings, or the error's place. */
static size_t violations_of(struct gal_exchange *x, const struct gal_err *err,
                            struct gal_grpc_violation out[GAL_FINDINGS_MAX])
{
    const struct gal_findings *f =
        err->code == GAL_INVALID && x->infer != NULL ? x->infer->findings : NULL;
    size_t count = 0;

    for (size_t i = 0; f != NULL && f->refused > 0 && i < f->count; i++) {
        const struct gal_finding *one = &f->at[i];
        const char *field;

        if (one->flag)
            continue;
        field = gal_arena_printf(&x->arena, "%s[%zu]", gal_check_field(x->model->manifest, one).p,
                                 one->row);
        if (field != NULL)
            out[count++] = (struct gal_grpc_violation){field, one->message};
    }
    if (count == 0 && err->place[0] != '\0')
        out[count++] = (struct gal_grpc_violation){err->place, err->message};
    return count;
}

void gal_grpc_fail(struct gal_exchange *x, const struct gal_err *err)
{
    struct gal_grpc_violation violations[GAL_FINDINGS_MAX];
    size_t count;
    int code = x->route == NULL && err->code == GAL_NOT_FOUND ? gal_status_grpc(GAL_UNSUPPORTED)
                                                              : gal_status_grpc(err->code);
    struct gal_str text = sentence(x, err);
    struct gal_str message = gal_grpc_message(text, &x->arena);
    struct gal_str details = {NULL, 0}, *part = NULL;
    char *number = gal_arena_small(&x->arena, GAL_U64_CHARS_MAX);

    x->resp.trailer_count = 0;
    if (number != NULL)
        add_trailer(
            x, GAL_STR("grpc-status"),
            (struct gal_str){number, (size_t)(gal_u64_write(number, (uint64_t)code) - number)});
    else
        add_trailer(x, GAL_STR("grpc-status"), GAL_STR("8"));
    if (message.p != NULL)
        add_trailer(x, GAL_STR("grpc-message"), message);
    count = violations_of(x, err, violations);
    if (count > 0)
        details = gal_grpc_details(code, text, violations, count, &x->arena);
    if (details.p != NULL)
        add_trailer(x, GAL_STR("grpc-status-details-bin"), details);
    if (err->code == GAL_UNSUPPORTED)
        gal_http_response_header(&x->resp, GAL_STR("grpc-accept-encoding"),
                                 GAL_STR(GAL_GRPC_ACCEPT_ENCODING));
    if (x->route != NULL && x->route->id == GAL_ROUTE_GRPC_STREAM_INFER)
        part = error_message(x, text);
    gal_exchange_finish_parts(x, 200, GAL_TYPE_GRPC, part, part != NULL ? 1 : 0);
}
