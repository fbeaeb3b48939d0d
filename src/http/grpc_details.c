/* SPDX-License-Identifier: Apache-2.0 */
/* google.rpc.Status { code = 1, message = 2, details = 3 Any { type_url = 1, value = 2 } } with
 * google.rpc.BadRequest { field_violations = 1 { field = 1, description = 2 } }. */
#include "http/grpc.h"

#define BAD_REQUEST "type.googleapis.com/google.rpc.BadRequest"
/* Text of an error is bounded by its structure; each length here takes at most two bytes. */
#define STATUS_BYTES_MAX 4096u
#define BAD_REQUEST_BYTES_MAX 1800u /* beside the message, which takes up to half of it */

struct writer {
    char *p, *end;
};

static void put_varint(struct writer *w, size_t v)
{
    for (; v >= 0x80 && w->p < w->end; v >>= 7)
        *w->p++ = (char)(uint8_t)(v | 0x80);
    if (w->p < w->end)
        *w->p++ = (char)(uint8_t)v;
}

static void put_bytes(struct writer *w, unsigned number, struct gal_str s)
{
    put_varint(w, number << 3 | 2u);
    put_varint(w, s.n);
    if (s.n <= (size_t)(w->end - w->p)) {
        memcpy(w->p, s.p, s.n);
        w->p += s.n;
    }
}

/* Writes `part` into a buffer of its own, to be put as a field. */
static struct gal_str put_violation(char *room, size_t size, const struct gal_grpc_violation *v)
{
    char fields[640];
    struct writer inner = {fields, fields + sizeof(fields)}, outer = {room, room + size};

    put_bytes(&inner, 1, gal_str_of(v->field));
    put_bytes(&inner, 2, gal_str_of(v->text));
    put_bytes(&outer, 1, (struct gal_str){fields, (size_t)(inner.p - fields)});
    return (struct gal_str){room, (size_t)(outer.p - room)};
}

static struct gal_str base64(struct gal_str s, struct gal_arena *arena)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = gal_arena_small(arena, s.n / 3 * 4 + 4), *p = out;

    for (size_t i = 0; out != NULL && i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(uint8_t)s.p[i] << 16;

        v |= left > 1 ? (uint32_t)(uint8_t)s.p[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)(uint8_t)s.p[i + 2] : 0;
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        if (left > 1)
            *p++ = digits[v >> 6 & 63];
        if (left > 2)
            *p++ = digits[v & 63];
    }
    return (struct gal_str){out, (size_t)(p - out)}; /* without padding, as senders should */
}

/* BadRequest's fields, one behind the other, as far as there is room. */
static struct gal_str put_violations(char *room, size_t size,
                                     const struct gal_grpc_violation *violations, size_t count)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        char one[704];
        struct gal_str s = put_violation(one, sizeof(one), &violations[i]);

        if (s.n > size - used)
            break;
        memcpy(room + used, s.p, s.n);
        used += s.n;
    }
    return (struct gal_str){room, used};
}

struct gal_str gal_grpc_details(int code, struct gal_str message,
                                const struct gal_grpc_violation *violations, size_t count,
                                struct gal_arena *arena)
{
    char status[STATUS_BYTES_MAX], any[BAD_REQUEST_BYTES_MAX + 128], all[BAD_REQUEST_BYTES_MAX];
    struct writer w = {status, status + sizeof(status)}, a = {any, any + sizeof(any)};

    put_varint(&w, 1u << 3);
    put_varint(&w, (size_t)code);
    if (message.n <= STATUS_BYTES_MAX / 2)
        put_bytes(&w, 2, message);
    if (count > 0) {
        put_bytes(&a, 1, GAL_STR(BAD_REQUEST));
        put_bytes(&a, 2, put_violations(all, sizeof(all), violations, count));
        put_bytes(&w, 3, (struct gal_str){any, (size_t)(a.p - any)});
    }
    return base64((struct gal_str){status, (size_t)(w.p - status)}, arena);
}
