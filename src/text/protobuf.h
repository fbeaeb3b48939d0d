/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire format, read field by field without a schema and without copies, and written.
 * https://protobuf.dev/programming-guides/encoding/. Any thread. */
#ifndef GAL_TEXT_PROTOBUF_H
#define GAL_TEXT_PROTOBUF_H

#include "base/buf.h"

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

/* --- writing; numbers of fields are below 2^29 --- */
size_t gal_pb_varint_size(uint64_t v);          /* 1 to 10 */
char *gal_pb_varint_write(char *p, uint64_t v); /* returns the end of what was written */
/* Bytes of a BYTES field with its tag and length. */
size_t gal_pb_bytes_size(uint32_t number, size_t n);
void gal_pb_put_varint(struct gal_buf *out, uint64_t v);
void gal_pb_put_tag(struct gal_buf *out, uint32_t number, enum gal_pb_wire wire);
void gal_pb_put_u64(struct gal_buf *out, uint32_t number, uint64_t v);
void gal_pb_put_bytes(struct gal_buf *out, uint32_t number, struct gal_str bytes);
/* Tag and length of a message or bytes whose n bytes the caller appends. */
void gal_pb_put_head(struct gal_buf *out, uint32_t number, size_t n);
/* What stands in out from `start` on becomes field `number`. */
void gal_pb_wrap(struct gal_buf *out, size_t start, uint32_t number);

#endif
