/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out: frames are copied as nghttp2 writes them, bodies are sent from where they lie,
 * but for small pieces: one buffer costs the kernel less than two. */
#include "http/http2_impl.h"

#define JOIN_BYTES_MAX 4096u
#define FRAME_HEAD_BYTES 9u
/* The most that nghttp2 hands over at once: a whole frame of 16 KiB, its head and padding's. */
#define PIECE_BYTES_MAX 16640u
#define FRAME_BYTES_MIN 16384u /* what every peer takes (RFC 9113, 4.2) */
/* One write's worth: more waits for the next, so that connections take turns. */
#define BORROWED_BYTES_MAX (512u << 10)

/* --- the chunks of a call --- */

/* Bytes that are queued, as far as `most` goes (one more tells that there are more). */
static size_t queued(const struct gal_call *call, size_t most)
{
    size_t n = 0, part = call->part, at = call->part_at;

    for (const struct gal_call_chunk *c = call->out; c != NULL && n <= most; c = c->next) {
        for (; part < c->count && n <= most; part++) {
            n += c->parts[part].n - at;
            at = 0;
        }
        part = at = 0;
    }
    return n;
}

size_t gal_call_queued(const struct gal_call *call)
{
    return queued(call, SIZE_MAX);
}

/* The first chunk has been framed whole. */
static void end_chunk(struct gal_http2 *h, struct gal_call *call)
{
    struct gal_call_chunk *c = call->out;

    call->out = c->next;
    if (call->out == NULL)
        call->out_tail = &call->out;
    call->part = call->part_at = 0;
    if (c->on_sent == NULL)
        return;
    c->next = NULL;
    *h->sent_tail = c;
    h->sent_tail = &c->next;
}

/* The next run of at most n bytes; chunks and parts without bytes are passed over. n = 0 passes
 * over what is empty and takes nothing. */
static struct gal_str next_run(struct gal_http2 *h, struct gal_call *call, size_t n)
{
    struct gal_str run = {NULL, 0};

    while (call->out != NULL) {
        const struct gal_call_chunk *c = call->out;
        const struct gal_str *part = c->parts + call->part;

        if (call->part == c->count) {
            end_chunk(h, call);
        } else if (part->n == call->part_at) {
            call->part++;
            call->part_at = 0;
        } else if (n == 0 || run.n > 0) {
            break;
        } else {
            run = (struct gal_str){part->p + call->part_at, part->n - call->part_at};
            if (run.n > n)
                run.n = n;
            call->part_at += run.n;
            call->sent += run.n;
        }
    }
    return run;
}

void gal_http2_drop_chunks(struct gal_call *call)
{
    struct gal_call_chunk *c = call->out;

    call->out = NULL;
    call->out_tail = &call->out;
    while (c != NULL) {
        struct gal_call_chunk *next = c->next;
        if (c->on_sent != NULL)
            c->on_sent(c, false);
        c = next;
    }
}

/* --- nghttp2's calls --- */

static void end_body(struct gal_http2 *h, struct gal_call *call, uint32_t *flags)
{
    nghttp2_nv nv[GAL_HTTP_RESPONSE_TRAILERS_MAX];
    size_t n = call->trailer_count;

    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n == 0)
        return;
    GAL_ASSERT(n <= GAL_HTTP_RESPONSE_TRAILERS_MAX);
    for (size_t i = 0; i < n; i++)
        nv[i] = gal_http2_nv(&call->trailers[i]);
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(h->session, call->id, nv, n) != 0)
        h->broken = true;
}

/* What a frame with n bytes of the call's body takes when large pieces are borrowed. */
static void measure(const struct gal_call *call, size_t n, size_t *parts, size_t *bytes)
{
    size_t part = call->part, at = call->part_at;

    *parts = 1;
    *bytes = FRAME_HEAD_BYTES;
    for (const struct gal_call_chunk *c = call->out; c != NULL && n > 0; c = c->next) {
        for (; part < c->count && n > 0; part++) {
            size_t run = c->parts[part].n - at;

            run = run < n ? run : n;
            n -= run;
            at = 0;
            if (run > JOIN_BYTES_MAX)
                *parts += 2;
            else
                *bytes += run;
        }
        part = at = 0;
    }
}

/* How large the next frame of DATA may be: what lies there in large pieces goes in few frames, if
 * the peer takes such. Else 16 KiB: those fit the output also where each byte is copied. */
ssize_t gal_http2_on_read_length(nghttp2_session *session, uint8_t type, int32_t id,
                                 int32_t session_window, int32_t stream_window, uint32_t frame_max,
                                 void *user)
{
    const struct gal_call *call = nghttp2_session_get_stream_user_data(session, id);
    int32_t window = session_window < stream_window ? session_window : stream_window;
    size_t n = frame_max < GAL_HTTP2_FRAME_BYTES_MAX ? frame_max : GAL_HTTP2_FRAME_BYTES_MAX;
    size_t there, parts, bytes;

    (void)type, (void)user;
    /* All that could cut the frame: what is measured here is what on_send_data gets. */
    if (window < 0 || (size_t)window < n)
        n = window < 0 ? 0 : (size_t)window;
    there = call != NULL && n > FRAME_BYTES_MIN ? queued(call, n) : 0;
    n = there < n ? there : n;
    if (n <= FRAME_BYTES_MIN)
        return FRAME_BYTES_MIN;
    measure(call, n, &parts, &bytes);
    return parts < GAL_HTTP2_PARTS_MAX && bytes + PIECE_BYTES_MAX <= GAL_HTTP2_OUT_BYTES
               ? (ssize_t)n
               : (ssize_t)FRAME_BYTES_MIN;
}

/* How many bytes the next frame has; gal_http2_on_send_data puts them. */
ssize_t gal_http2_on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call = source->ptr;
    size_t n = queued(call, length);

    (void)session, (void)id, (void)buf;
    if (n == 0 && !call->out_ended) {
        (void)next_run(h, call, 0); /* chunks without bytes are sent by this */
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n > length)
        return (ssize_t)length;
    if (call->out_ended)
        end_body(h, call, flags);
    return (ssize_t)n;
}

/* Bytes that follow those of the last part lengthen it. */
void gal_http2_out_put(struct gal_http2_out *out, const void *p, size_t n)
{
    char *to = out->bytes + out->n;
    struct gal_str *last = out->count > 0 ? &out->parts[out->count - 1] : NULL;

    if (n > 0)
        memcpy(to, p, n);
    out->n += n;
    if (last != NULL && last->p + last->n == to)
        last->n += n;
    else
        out->parts[out->count++] = (struct gal_str){to, n};
}

/* Leaves room for what nghttp2 hands over behind it. */
static bool has_room(const struct gal_http2_out *out, size_t parts, size_t bytes)
{
    return out->count + parts < GAL_HTTP2_PARTS_MAX &&
           out->n + bytes + PIECE_BYTES_MAX <= GAL_HTTP2_OUT_BYTES &&
           out->borrowed < BORROWED_BYTES_MAX;
}

/* A frame of DATA. What has no room goes with the next output; into an empty one a frame of too
 * many pieces is copied whole. */
int gal_http2_on_send_data(nghttp2_session *session, nghttp2_frame *frame,
                           const uint8_t *frame_head, size_t length, nghttp2_data_source *source,
                           void *user)
{
    struct gal_http2 *h = user;
    struct gal_call *call = source->ptr;
    struct gal_http2_out *out = h->out;
    size_t parts, bytes;
    bool fits;

    (void)session, (void)frame;
    measure(call, length, &parts, &bytes);
    fits = has_room(out, parts, bytes);
    if (!fits && out->count > 0)
        return NGHTTP2_ERR_WOULDBLOCK;
    GAL_ASSERT(fits || length <= FRAME_BYTES_MIN); /* see gal_http2_on_read_length */
    gal_http2_out_put(out, frame_head, FRAME_HEAD_BYTES);
    while (length > 0) {
        struct gal_str run = next_run(h, call, length);

        length -= run.n;
        if (!fits || run.n <= JOIN_BYTES_MAX) {
            gal_http2_out_put(out, run.p, run.n);
        } else {
            out->parts[out->count++] = run;
            out->borrowed += run.n;
        }
    }
    (void)next_run(h, call, 0);
    return 0;
}

/* --- output --- */

size_t gal_http2_gather(struct gal_http2 *h, struct gal_str *parts)
{
    struct gal_http2_out *out;
    const uint8_t *p;
    ssize_t n = 0;

    GAL_ASSERT(h->out == NULL && !h->inside);
    if (h->broken || !nghttp2_session_want_write(h->session))
        return 0;
    h->out = out = gal_http2_out_take(h->pool);
    if (out == NULL) {
        h->broken = true;
        return 0;
    }
    h->inside = true;
    while (out->n + PIECE_BYTES_MAX <= GAL_HTTP2_OUT_BYTES && out->count < GAL_HTTP2_PARTS_MAX &&
           out->borrowed < BORROWED_BYTES_MAX && (n = nghttp2_session_mem_send(h->session, &p)) > 0)
        gal_http2_out_put(out, p, (size_t)n);
    h->inside = false;
    if (n < 0)
        h->broken = true;
    memcpy(parts, out->parts, out->count * sizeof(*parts));
    if (out->count == 0)
        gal_http2_sent(h);
    return out->count;
}

void gal_http2_sent(struct gal_http2 *h)
{
    struct gal_call_chunk *c = h->sent;

    gal_http2_out_give(h->pool, h->out);
    h->out = NULL;
    h->sent = NULL;
    h->sent_tail = &h->sent;
    while (c != NULL) {
        struct gal_call_chunk *next = c->next;
        c->on_sent(c, true);
        c = next;
    }
    while (h->closed != NULL) {
        struct gal_call *call = h->closed;
        h->closed = call->next;
        gal_http2_close_call(h, call);
    }
}
