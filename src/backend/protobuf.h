/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the protobuf wire format field by field, without a schema and without copies: enough to
 * look into a model file. https://protobuf.dev/programming-guides/encoding/. Any thread. */
#ifndef GAL_BACKEND_PROTOBUF_H
#define GAL_BACKEND_PROTOBUF_H

#include "base/str.h"

enum gal_pb_wire { GAL_PB_VARINT = 0, GAL_PB_FIXED64 = 1, GAL_PB_BYTES = 2, GAL_PB_FIXED32 = 5 };

struct gal_pb_field {
    uint64_t number;
    enum gal_pb_wire wire;
    uint64_t value;       /* VARINT, FIXED64, FIXED32: the bits */
    struct gal_str bytes; /* BYTES: borrowed from the message */
};

enum gal_pb_next {
    GAL_PB_END,   /* the message is read */
    GAL_PB_FIELD, /* *field is filled */
    GAL_PB_SHORT, /* the message ends inside a field */
    GAL_PB_BAD,   /* no protobuf: field number 0, an unknown wire type, a varint over 64 bits */
};

/* Reads the field at the front of *rest and moves *rest behind it (only for FIELD). */
enum gal_pb_next gal_pb_next(struct gal_str *rest, struct gal_pb_field *field);
/* Reads one element of a packed repeated field of varints; false at the end or when it is bad. */
bool gal_pb_packed_varint(struct gal_str *rest, uint64_t *value);

#endif
