/* SPDX-License-Identifier: Apache-2.0 */
/* Server reflection: which services there are, and the files that describe their messages. The two
 * versions of the protocol differ in their names only. A request is answered by a message, an
 * unknown name by an error in it: the call goes on. */
#include "api/assets.h"
#include "api/grpc.h"
#include "api/route.h"

enum request_field {
    REQUEST_HOST = 1,
    REQUEST_FILE_BY_NAME = 3,
    REQUEST_FILE_OF_SYMBOL = 4,
    REQUEST_FILE_OF_EXTENSION = 5,
    REQUEST_EXTENSIONS_OF_TYPE = 6,
    REQUEST_LIST_SERVICES = 7
};
enum response_field {
    RESPONSE_HOST = 1,
    RESPONSE_REQUEST = 2,
    RESPONSE_FILES = 4,
    RESPONSE_SERVICES = 6,
    RESPONSE_ERROR = 7
};
/* google/protobuf/descriptor.proto */
enum file_field {
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_DEPENDENCY = 3,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6
};
enum message_field { MESSAGE_NESTED = 3, MESSAGE_ENUM = 4 };
enum { SERVICE_METHOD = 2, ANY_NAME = 1, SET_FILE = 1 };

/* Files that a file needs, itself among them; there are five in all. */
#define FILES_MAX 16u
#define NESTED_MAX 8u

static struct gal_str descriptors(void)
{
    return (struct gal_str){(const char *)gal_asset_descriptors, gal_asset_descriptors_size};
}

static struct gal_str field_of(struct gal_str message, uint64_t number)
{
    struct gal_pb_field f;

    while (gal_pb_next(&message, &f) == GAL_PB_FIELD)
        if (f.number == number && f.wire == GAL_PB_BYTES)
            return f.bytes;
    return (struct gal_str){NULL, 0};
}

static struct gal_str file_named(struct gal_str name)
{
    struct gal_str set = descriptors();
    struct gal_pb_field f;

    while (gal_pb_next(&set, &f) == GAL_PB_FIELD)
        if (f.number == SET_FILE && gal_str_eq(field_of(f.bytes, FILE_NAME), name))
            return f.bytes;
    return (struct gal_str){NULL, 0};
}

/* Takes "name" or "name." off the front of *symbol. */
static bool take_name(struct gal_str *symbol, struct gal_str name)
{
    if (name.n == 0 || !gal_str_starts(*symbol, name))
        return false;
    if (symbol->n > name.n && symbol->p[name.n] != '.')
        return false;
    size_t n = symbol->n > name.n ? name.n + 1 : name.n;
    symbol->p += n;
    symbol->n -= n;
    return true;
}

static bool in_message(struct gal_str message, struct gal_str symbol, unsigned depth)
{
    struct gal_pb_field f;

    if (!take_name(&symbol, field_of(message, ANY_NAME)))
        return false;
    if (symbol.n == 0)
        return true;
    while (depth > 0 && gal_pb_next(&message, &f) == GAL_PB_FIELD) {
        if (f.number == MESSAGE_NESTED && in_message(f.bytes, symbol, depth - 1))
            return true;
        if (f.number == MESSAGE_ENUM && gal_str_eq(field_of(f.bytes, ANY_NAME), symbol))
            return true;
    }
    return false;
}

static bool in_service(struct gal_str service, struct gal_str symbol)
{
    struct gal_pb_field f;

    if (!take_name(&symbol, field_of(service, ANY_NAME)))
        return false;
    if (symbol.n == 0)
        return true;
    while (gal_pb_next(&service, &f) == GAL_PB_FIELD)
        if (f.number == SERVICE_METHOD && gal_str_eq(field_of(f.bytes, ANY_NAME), symbol))
            return true;
    return false;
}

static bool in_file(struct gal_str file, struct gal_str symbol)
{
    struct gal_pb_field f;

    if (!take_name(&symbol, field_of(file, FILE_PACKAGE)))
        return false;
    while (gal_pb_next(&file, &f) == GAL_PB_FIELD) {
        if (f.number == FILE_MESSAGE && in_message(f.bytes, symbol, NESTED_MAX))
            return true;
        if (f.number == FILE_SERVICE && in_service(f.bytes, symbol))
            return true;
        if (f.number == FILE_ENUM && gal_str_eq(field_of(f.bytes, ANY_NAME), symbol))
            return true;
    }
    return false;
}

static struct gal_str file_with(struct gal_str symbol)
{
    struct gal_str set = descriptors();
    struct gal_pb_field f;

    while (gal_pb_next(&set, &f) == GAL_PB_FIELD)
        if (f.number == SET_FILE && in_file(f.bytes, symbol))
            return f.bytes;
    return (struct gal_str){NULL, 0};
}

/* --- answers --- */

static void put_error(struct gal_buf *out, struct gal_str what)
{
    size_t start = out->n;

    gal_pb_put_u64(out, 1, (uint64_t)gal_status_grpc(GAL_NOT_FOUND));
    gal_pb_put_bytes(out, 2, what.n > 0 ? what : GAL_STR("not found"));
    gal_pb_wrap(out, start, RESPONSE_ERROR);
}

/* The file and all that it depends on. */
static void put_files(struct gal_buf *out, struct gal_str file)
{
    struct gal_str files[FILES_MAX] = {file};
    size_t count = 1, start = out->n;

    if (file.n == 0) {
        put_error(out, GAL_STR("not found: list_services tells which services there are"));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct gal_str rest = files[i];
        struct gal_pb_field f;

        gal_pb_put_bytes(out, 1, files[i]);
        while (gal_pb_next(&rest, &f) == GAL_PB_FIELD) {
            struct gal_str needed = file_named(f.bytes);
            bool there = f.number != FILE_DEPENDENCY || needed.n == 0;

            for (size_t k = 0; k < count; k++)
                there |= files[k].p == needed.p;
            if (!there && count < FILES_MAX)
                files[count++] = needed;
        }
    }
    gal_pb_wrap(out, start, RESPONSE_FILES);
}

static void put_services(struct gal_buf *out)
{
    struct gal_str set = descriptors();
    struct gal_pb_field file, f;
    size_t start = out->n;

    while (gal_pb_next(&set, &file) == GAL_PB_FIELD) {
        struct gal_str rest = file.bytes, package = field_of(rest, FILE_PACKAGE);

        while (gal_pb_next(&rest, &f) == GAL_PB_FIELD) {
            struct gal_str name = field_of(f.bytes, ANY_NAME);
            size_t service = out->n;

            if (f.number != FILE_SERVICE)
                continue;
            gal_pb_put_head(out, 1, package.n + 1 + name.n);
            gal_buf_put_str(out, package);
            gal_buf_putc(out, '.');
            gal_buf_put_str(out, name);
            gal_pb_wrap(out, service, 1);
        }
    }
    gal_pb_wrap(out, start, RESPONSE_SERVICES);
}

static enum gal_status respond(struct gal_str message, struct gal_buf *out, struct gal_err *err)
{
    struct gal_str rest = message, host = {NULL, 0};
    struct gal_pb_field f, what = {0};
    enum gal_pb_next r;

    while ((r = gal_pb_next(&rest, &f)) == GAL_PB_FIELD) {
        if (f.wire != GAL_PB_BYTES || f.number > REQUEST_LIST_SERVICES)
            continue;
        if (f.number == REQUEST_HOST)
            host = f.bytes;
        else
            what = f;
    }
    if (r != GAL_PB_END)
        return gal_grpc_fail_wire(r, "", err);
    if (host.n > 0)
        gal_pb_put_bytes(out, RESPONSE_HOST, host);
    gal_pb_put_bytes(out, RESPONSE_REQUEST, message);
    if (what.number == REQUEST_LIST_SERVICES)
        put_services(out);
    else if (what.number == REQUEST_FILE_BY_NAME)
        put_files(out, file_named(what.bytes));
    else if (what.number == REQUEST_FILE_OF_SYMBOL)
        put_files(out, file_with(what.bytes));
    else
        put_error(out, GAL_STR("there are no extensions"));
    return GAL_OK;
}

void gal_handle_grpc_reflection(struct gal_exchange *x)
{
    struct gal_str message;
    struct gal_err err;

    if (gal_grpc_begin(x, &message, &err) == GAL_OK && respond(message, &x->out, &err) == GAL_OK)
        gal_grpc_finish(x);
    else
        gal_exchange_fail(x, &err);
}
