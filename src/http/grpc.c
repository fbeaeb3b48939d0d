/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc.h"

#define TIMEOUT_DIGITS_MAX 8

static bool is_dialect(struct gal_str type)
{
    static const struct gal_str name = {"application/grpc", 16};

    if (type.n < name.n || !gal_str_ieq((struct gal_str){type.p, name.n}, name))
        return false;
    return type.n == name.n || type.p[name.n] == '+' || type.p[name.n] == ';' ||
           type.p[name.n] == ' ';
}

bool gal_grpc_is_type(struct gal_str type)
{
    struct gal_str rest, coding;

    if (!is_dialect(type))
        return false;
    rest = (struct gal_str){type.p + 16, type.n - 16};
    if (rest.n == 0)
        return true;
    gal_str_cut(&rest, ';', &coding);
    coding = gal_str_trim(coding);
    return coding.n == 0 || gal_str_ieq(coding, GAL_STR("+proto"));
}

bool gal_grpc_speaks(const struct gal_http_request *req)
{
    struct gal_str type = req->known[GAL_HDR_CONTENT_TYPE];

    return req->version_major >= 2 && type.p != NULL && gal_grpc_is_type(type);
}

enum gal_grpc_next gal_grpc_next(struct gal_str *rest, size_t bytes_max,
                                 struct gal_grpc_frame *frame, struct gal_err *err)
{
    const uint8_t *p = (const uint8_t *)rest->p;
    size_t n;

    if (rest->n == 0)
        return GAL_GRPC_SHORT;
    if (p[0] > 1) {
        gal_fail(err, GAL_INVALID, "a gRPC message begins with byte 0 or 1, this one with %u",
                 (unsigned)p[0]);
        return GAL_GRPC_BAD;
    }
    if (rest->n < GAL_GRPC_PREFIX_BYTES)
        return GAL_GRPC_SHORT;
    n = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (n > bytes_max) {
        gal_fail(err, GAL_TOO_LARGE, "a message of %zu bytes is larger than %zu bytes", n,
                 bytes_max);
        gal_err_hint(err, "max_body_bytes is the limit");
        return GAL_GRPC_BAD;
    }
    if (rest->n - GAL_GRPC_PREFIX_BYTES < n)
        return GAL_GRPC_SHORT;
    frame->compressed = p[0] == 1;
    frame->bytes = (struct gal_str){rest->p + GAL_GRPC_PREFIX_BYTES, n};
    rest->p += GAL_GRPC_PREFIX_BYTES + n;
    rest->n -= GAL_GRPC_PREFIX_BYTES + n;
    return GAL_GRPC_FRAME;
}

enum gal_status gal_grpc_only(struct gal_str body, size_t bytes_max, struct gal_grpc_frame *frame,
                              struct gal_err *err)
{
    struct gal_err bad;

    switch (gal_grpc_next(&body, bytes_max, frame, &bad)) {
    case GAL_GRPC_SHORT:
        return gal_fail(err, GAL_INVALID,
                        body.n == 0 ? "the request has no message"
                                    : "the request ends within a message, after %zu bytes",
                        body.n);
    case GAL_GRPC_BAD:
        if (err != NULL)
            *err = bad;
        return bad.code;
    case GAL_GRPC_FRAME:
        break;
    }
    if (body.n > 0)
        return gal_fail(err, GAL_INVALID, "this method takes one message, %zu bytes follow it",
                        body.n);
    return GAL_OK;
}

enum gal_status gal_grpc_unpack(const struct gal_grpc_frame *frame, struct gal_str encoding,
                                size_t bytes_max, struct gal_arena *arena, struct gal_str *message,
                                struct gal_err *err)
{
    enum gal_coding coding;

    *message = frame->bytes;
    if (!frame->compressed)
        return GAL_OK;
    coding = gal_coding_parse(encoding);
    if (coding == GAL_CODING_IDENTITY)
        return gal_fail(err, GAL_INVALID,
                        "the message says that it is compressed, the header grpc-encoding does not "
                        "say how");
    if (coding == GAL_CODING_UNKNOWN) {
        gal_fail(err, GAL_UNSUPPORTED, "grpc-encoding '%.*s' is not supported",
                 (int)(encoding.n < 64 ? encoding.n : 64), encoding.p);
        gal_err_hint(err, "use gzip, deflate or identity");
        return GAL_UNSUPPORTED;
    }
    return gal_inflate(coding, frame->bytes, bytes_max, arena, message, err);
}

void gal_grpc_prefix(char out[GAL_GRPC_PREFIX_BYTES], bool compressed, size_t n)
{
    out[0] = compressed ? 1 : 0;
    for (unsigned i = 0; i < 4; i++)
        out[1 + i] = (char)(uint8_t)(n >> (24 - 8 * i));
}

bool gal_grpc_accepts(struct gal_str accept, enum gal_coding coding)
{
    struct gal_str one;

    if (accept.p == NULL)
        return coding == GAL_CODING_IDENTITY;
    while (gal_str_cut(&accept, ',', &one))
        if (gal_coding_parse(gal_str_trim(one)) == coding)
            return true;
    return coding == GAL_CODING_IDENTITY;
}

/* Nanoseconds of a unit; 0: none such. */
static uint64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return 3600000000000u;
    case 'M':
        return 60000000000u;
    case 'S':
        return 1000000000u;
    case 'm':
        return 1000000u;
    case 'u':
        return 1000u;
    case 'n':
        return 1u;
    default:
        return 0;
    }
}

enum gal_status gal_grpc_timeout(struct gal_str value, uint64_t *us, struct gal_err *err)
{
    uint64_t n = 0, ns = value.n >= 2 ? unit_ns(value.p[value.n - 1]) : 0;

    if (ns == 0 || value.n > TIMEOUT_DIGITS_MAX + 1 ||
        gal_str_u64((struct gal_str){value.p, value.n - 1}, &n) != GAL_OK) {
        gal_fail(err, GAL_INVALID, "the header grpc-timeout is '%.*s'",
                 (int)(value.n < 32 ? value.n : 32), value.n > 0 ? value.p : "");
        gal_err_hint(err, "1 to 8 digits and one of H M S m u n");
        return GAL_INVALID;
    }
    *us = ns >= 1000 ? n * (ns / 1000) : (n + 999) / 1000;
    return GAL_OK;
}

struct gal_str gal_grpc_message(struct gal_str text, struct gal_arena *arena)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = gal_arena_small(arena, text.n * 3 + 1), *p = out;

    for (size_t i = 0; out != NULL && i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];

        if (c >= ' ' && c <= '~' && c != '%') {
            *p++ = (char)c;
            continue;
        }
        *p++ = '%';
        *p++ = hex[c >> 4];
        *p++ = hex[c & 15];
    }
    return (struct gal_str){out, (size_t)(p - out)};
}
