/* SPDX-License-Identifier: Apache-2.0 */
#include "text/protobuf.h"

#define VARINT_BYTES_MAX 10
#define FIELD_NUMBER_MAX ((1u << 29) - 1)

static enum gal_pb_next read_varint(struct gal_str *rest, uint64_t *value)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 10; i++) {
        if (i >= rest->n)
            return GAL_PB_SHORT;
        uint8_t byte = (uint8_t)rest->p[i];
        if (i == 9 && byte > 1)
            return GAL_PB_BAD;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = v;
            rest->p += i + 1;
            rest->n -= i + 1;
            return GAL_PB_FIELD;
        }
    }
    return GAL_PB_BAD;
}

static enum gal_pb_next read_fixed(struct gal_str *rest, size_t bytes, uint64_t *value)
{
    if (rest->n < bytes)
        return GAL_PB_SHORT;
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)(uint8_t)rest->p[i] << (8 * i);
    *value = v;
    rest->p += bytes;
    rest->n -= bytes;
    return GAL_PB_FIELD;
}

static enum gal_pb_next read_bytes(struct gal_str *rest, struct gal_str *bytes)
{
    uint64_t n;
    enum gal_pb_next r = read_varint(rest, &n);
    if (r != GAL_PB_FIELD)
        return r;
    if (n > rest->n)
        return GAL_PB_SHORT;
    *bytes = (struct gal_str){rest->p, (size_t)n};
    rest->p += n;
    rest->n -= (size_t)n;
    return GAL_PB_FIELD;
}

enum gal_pb_next gal_pb_next(struct gal_str *rest, struct gal_pb_field *field)
{
    if (rest->n == 0)
        return GAL_PB_END;
    struct gal_str at = *rest;
    uint64_t tag;
    enum gal_pb_next r = read_varint(&at, &tag);
    if (r != GAL_PB_FIELD)
        return r;
    *field = (struct gal_pb_field){.number = tag >> 3, .wire = (enum gal_pb_wire)(tag & 7)};
    if (field->number == 0 || field->number > FIELD_NUMBER_MAX)
        return GAL_PB_BAD;
    switch (field->wire) {
    case GAL_PB_VARINT:
        r = read_varint(&at, &field->value);
        break;
    case GAL_PB_FIXED64:
        r = read_fixed(&at, 8, &field->value);
        break;
    case GAL_PB_BYTES:
        r = read_bytes(&at, &field->bytes);
        break;
    case GAL_PB_FIXED32:
        r = read_fixed(&at, 4, &field->value);
        break;
    default:
        return GAL_PB_BAD;
    }
    if (r == GAL_PB_FIELD)
        *rest = at;
    return r;
}

bool gal_pb_packed_varint(struct gal_str *rest, uint64_t *value)
{
    return rest->n > 0 && read_varint(rest, value) == GAL_PB_FIELD;
}

size_t gal_pb_varint_size(uint64_t v)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);

    return (bits + 6) / 7;
}

char *gal_pb_varint_write(char *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (char)(uint8_t)(v | 0x80);
    *p++ = (char)(uint8_t)v;
    return p;
}

size_t gal_pb_bytes_size(uint32_t number, size_t n)
{
    return gal_pb_varint_size((uint64_t)number << 3) + gal_pb_varint_size(n) + n;
}

void gal_pb_put_varint(struct gal_buf *out, uint64_t v)
{
    char *p = gal_buf_reserve(out, VARINT_BYTES_MAX);

    if (p != NULL)
        out->n += (size_t)(gal_pb_varint_write(p, v) - p);
}

void gal_pb_put_tag(struct gal_buf *out, uint32_t number, enum gal_pb_wire wire)
{
    gal_pb_put_varint(out, (uint64_t)number << 3 | wire);
}

void gal_pb_put_u64(struct gal_buf *out, uint32_t number, uint64_t v)
{
    gal_pb_put_tag(out, number, GAL_PB_VARINT);
    gal_pb_put_varint(out, v);
}

void gal_pb_put_head(struct gal_buf *out, uint32_t number, size_t n)
{
    gal_pb_put_tag(out, number, GAL_PB_BYTES);
    gal_pb_put_varint(out, n);
}

void gal_pb_put_bytes(struct gal_buf *out, uint32_t number, struct gal_str bytes)
{
    gal_pb_put_head(out, number, bytes.n);
    if (bytes.n > 0)
        gal_buf_put_str(out, bytes);
}

void gal_pb_wrap(struct gal_buf *out, size_t start, uint32_t number)
{
    size_t n = out->n - start;
    size_t head = gal_pb_bytes_size(number, n) - n;
    char *p;

    if (gal_buf_reserve(out, head) == NULL)
        return;
    memmove(out->p + start + head, out->p + start, n);
    p = gal_pb_varint_write(out->p + start, (uint64_t)number << 3 | GAL_PB_BYTES);
    gal_pb_varint_write(p, n);
    out->n += head;
}
