/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json.h"

#include <math.h>

void gal_json_put_str(struct gal_buf *out, struct gal_str s)
{
    gal_buf_put_quoted(out, s);
}

void gal_json_put_key(struct gal_buf *out, const char *key)
{
    size_t n = strlen(key);
    char *p = gal_buf_reserve(out, n + 3);
    if (!p)
        return;
    p[0] = '"';
    memcpy(p + 1, key, n);
    memcpy(p + 1 + n, "\":", 2);
    out->n += n + 3;
}

void gal_json_put_member(struct gal_buf *out, const char *separator, const char *key,
                         struct gal_str value)
{
    gal_buf_puts(out, separator);
    gal_json_put_key(out, key);
    gal_json_put_str(out, value);
}

/* yyjson writes into memory that it asks for: hand it the caller's. */
struct number_room {
    char bytes[2 * GAL_JSON_NUMBER_MAX];
};

static void *room_alloc(void *ctx, size_t bytes)
{
    struct number_room *room = ctx;
    return bytes <= sizeof room->bytes ? room->bytes : NULL;
}

static void *room_realloc(void *ctx, void *p, size_t from, size_t to)
{
    (void)p;
    (void)from;
    return room_alloc(ctx, to);
}

static void room_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static char *write_not_finite(char *p, double v)
{
    const char *text = isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    size_t n = strlen(text);
    memcpy(p, text, n);
    return p + n;
}

char *gal_json_write_f64(char *p, double v)
{
    if (!isfinite(v))
        return write_not_finite(p, v);
    struct number_room room;
    const yyjson_alc alc = {room_alloc, room_realloc, room_free, &room};
    yyjson_val number = {0};
    size_t n = 0;
    number.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL;
    number.uni.f64 = v;
    const char *text = yyjson_val_write_opts(&number, YYJSON_WRITE_NOFLAG, &alc, &n, NULL);
    GAL_ASSERT(text && n <= GAL_JSON_NUMBER_MAX);
    memcpy(p, text, n);
    return p + n;
}

char *gal_json_write_i64(char *p, int64_t v)
{
    return gal_i64_write(p, v);
}

char *gal_json_write_u64(char *p, uint64_t v)
{
    return gal_u64_write(p, v);
}

void gal_json_put_f32(struct gal_buf *out, float v)
{
    char *p = gal_buf_reserve(out, GAL_JSON_NUMBER_MAX);
    if (p)
        out->n += (size_t)(gal_json_write_f32(p, v) - p);
}

void gal_json_put_f64(struct gal_buf *out, double v)
{
    char *p = gal_buf_reserve(out, GAL_JSON_NUMBER_MAX);
    if (p)
        out->n += (size_t)(gal_json_write_f64(p, v) - p);
}

void gal_json_put_i64(struct gal_buf *out, int64_t v)
{
    gal_buf_put_i64(out, v);
}

void gal_json_put_u64(struct gal_buf *out, uint64_t v)
{
    gal_buf_put_u64(out, v);
}
