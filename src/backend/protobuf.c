/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/protobuf.h"

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
