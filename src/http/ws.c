/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws.h"

#define FIN 0x80u
#define RSV 0x70u
#define OPCODE 0x0fu
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_16 126u
#define LENGTH_64 127u
#define MASK_BYTES 4u

struct frame {
    bool fin;
    unsigned op;
    uint64_t bytes; /* of the payload */
    size_t head;    /* bytes of the head, mask included */
};

void gal_ws_init(struct gal_ws *ws, size_t message_bytes_max)
{
    memset(ws, 0, sizeof(*ws));
    ws->message_bytes_max = message_bytes_max;
}

static enum gal_ws_step refuse(struct gal_ws *ws, unsigned code)
{
    ws->state = GAL_WS_FAILED;
    ws->close_code = code;
    return GAL_WS_ERROR;
}

/* --- masks --- */

static void turn_mask(struct gal_ws *ws, size_t by)
{
    unsigned char old[MASK_BYTES];

    memcpy(old, ws->mask, sizeof(old));
    for (size_t i = 0; i < MASK_BYTES; i++)
        ws->mask[i] = old[(i + by) % MASK_BYTES];
}

/* to <= from, and they may overlap: a word is loaded before what lies in front of it is stored. */
static void unmask(struct gal_ws *ws, char *to, const char *from, size_t n)
{
    uint64_t mask, a, b;
    size_t i = 0;

    memcpy(&mask, ws->mask, MASK_BYTES);
    memcpy((char *)&mask + MASK_BYTES, ws->mask, MASK_BYTES);
    for (; i + 16 <= n; i += 16) {
        memcpy(&a, from + i, 8);
        memcpy(&b, from + i + 8, 8);
        a ^= mask;
        b ^= mask;
        memcpy(to + i, &a, 8);
        memcpy(to + i + 8, &b, 8);
    }
    for (; i < n; i++)
        to[i] = (char)((unsigned char)from[i] ^ ws->mask[i % MASK_BYTES]);
    turn_mask(ws, n);
}

/* --- heads --- */

static uint64_t read_be(const char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* The head at p, of which n bytes are there; head is 0 when they are not all of it. */
static struct frame read_head(const char *p, size_t n)
{
    struct frame f = {false, 0, 0, 0};
    unsigned length;
    size_t more;

    if (n < 2)
        return f;
    length = (unsigned char)p[1] & LENGTH;
    more = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    if (n < 2 + more + MASK_BYTES)
        return f;
    f.fin = ((unsigned char)p[0] & FIN) != 0;
    f.op = (unsigned char)p[0] & OPCODE;
    f.bytes = more == 0 ? length : read_be(p + 2, more);
    f.head = 2 + more + MASK_BYTES;
    return f;
}

/* What the first two bytes tell already. */
static enum gal_status check_start(const struct gal_ws *ws, const char *p, struct gal_err *err)
{
    unsigned first = (unsigned char)p[0], second = (unsigned char)p[1];
    unsigned op = first & OPCODE;
    bool is_control = op >= GAL_WS_OP_CLOSE;

    if (first & RSV)
        return gal_fail(err, GAL_INVALID, "a frame has a reserved bit, and no extension is spoken");
    if (op > GAL_WS_OP_PONG || (op > GAL_WS_OP_BINARY && !is_control))
        return gal_fail(err, GAL_INVALID, "a frame has the unknown opcode %u", op);
    if (!(second & MASKED))
        return gal_fail(err, GAL_INVALID, "a frame is not masked, as a client's must be");
    if (is_control && !(first & FIN))
        return gal_fail(err, GAL_INVALID, "a control frame is fragmented");
    if (is_control && (second & LENGTH) > GAL_WS_CONTROL_BYTES_MAX)
        return gal_fail(err, GAL_INVALID, "a control frame has more than %u bytes",
                        GAL_WS_CONTROL_BYTES_MAX);
    if (op == GAL_WS_OP_CONTINUE && !ws->in_message)
        return gal_fail(err, GAL_INVALID, "a continuation frame has nothing to continue");
    if (!is_control && op != GAL_WS_OP_CONTINUE && ws->in_message)
        return gal_fail(err, GAL_INVALID, "a message begins before the last one has ended");
    return GAL_OK;
}

static enum gal_status check_length(const struct frame *f, struct gal_err *err)
{
    size_t more = f->head - MASK_BYTES - 2;

    if ((more == 2 && f->bytes < LENGTH_16) || (more == 8 && f->bytes <= UINT16_MAX))
        return gal_fail(err, GAL_INVALID, "a frame's length is not in its shortest form");
    if (f->bytes >> 63)
        return gal_fail(err, GAL_INVALID, "a frame's length has its highest bit set");
    return GAL_OK;
}

/* --- steps --- */

/* What was taken goes out of the buffer, so that it holds no more than a message and a head. */
static enum gal_ws_step more(struct gal_ws *ws, char *base, size_t *n)
{
    size_t kept = ws->message.n, rest = *n - ws->at;

    if (ws->start > 0 && kept > 0)
        memmove(base, base + ws->start, kept);
    if (ws->at > kept && rest > 0)
        memmove(base + kept, base + ws->at, rest);
    ws->start = 0;
    ws->at = kept;
    ws->message.p = base;
    *n = kept + rest;
    return GAL_WS_MORE;
}

static enum gal_ws_step end_message(struct gal_ws *ws, struct gal_err *err)
{
    ws->in_message = false;
    if (!ws->is_text || gal_utf8_valid(ws->message))
        return GAL_WS_MESSAGE;
    gal_fail(err, GAL_INVALID, "a text message is not UTF-8");
    return refuse(ws, GAL_WS_BAD_DATA);
}

/* True when the frame is complete. */
static bool take_payload(struct gal_ws *ws, char *base, size_t n)
{
    size_t here = n - ws->at < ws->left ? n - ws->at : ws->left;

    unmask(ws, base + ws->start + ws->message.n, base + ws->at, here);
    ws->message.p = base + ws->start;
    ws->message.n += here;
    ws->at += here;
    ws->left -= here;
    return ws->left == 0;
}

static bool code_may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static enum gal_ws_step take_close(struct gal_ws *ws, struct gal_err *err)
{
    struct gal_str body = ws->control;

    ws->close_code = GAL_WS_NO_CODE;
    if (body.n == 1) {
        gal_fail(err, GAL_INVALID, "a Close has half a code");
        return refuse(ws, GAL_WS_PROTOCOL);
    }
    if (body.n >= 2) {
        ws->close_code = (unsigned)read_be(body.p, 2);
        ws->control = (struct gal_str){body.p + 2, body.n - 2};
    }
    if (body.n >= 2 && !code_may_be_sent(ws->close_code)) {
        gal_fail(err, GAL_INVALID, "a Close has the code %u, which may not be sent",
                 ws->close_code);
        return refuse(ws, GAL_WS_PROTOCOL);
    }
    if (!gal_utf8_valid(ws->control)) {
        gal_fail(err, GAL_INVALID, "a Close has a reason that is not UTF-8");
        return refuse(ws, GAL_WS_BAD_DATA);
    }
    ws->state = GAL_WS_CLOSED;
    return GAL_WS_CLOSE;
}

/* A control frame may come between the fragments of a message; it is unmasked where it lies. */
static enum gal_ws_step take_control(struct gal_ws *ws, char *base, const struct frame *f,
                                     struct gal_err *err)
{
    char *p = base + ws->at + f->head;
    size_t n = (size_t)f->bytes;

    memcpy(ws->mask, p - MASK_BYTES, MASK_BYTES);
    unmask(ws, p, p, n);
    ws->at += f->head + n;
    ws->control = (struct gal_str){p, n};
    if (f->op == GAL_WS_OP_CLOSE)
        return take_close(ws, err);
    return f->op == GAL_WS_OP_PING ? GAL_WS_PING : GAL_WS_PONG;
}

static enum gal_ws_step begin_data(struct gal_ws *ws, char *base, const struct frame *f,
                                   struct gal_err *err)
{
    if (!ws->in_message) {
        ws->start = ws->at;
        ws->message = (struct gal_str){base + ws->at, 0};
        ws->is_text = f->op == GAL_WS_OP_TEXT;
    }
    if (f->bytes > ws->message_bytes_max - ws->message.n) {
        gal_fail(err, GAL_TOO_LARGE, "a message has more than %zu bytes", ws->message_bytes_max);
        return refuse(ws, GAL_WS_TOO_LARGE);
    }
    memcpy(ws->mask, base + ws->at + f->head - MASK_BYTES, MASK_BYTES);
    ws->in_message = true;
    ws->fin = f->fin;
    ws->left = (size_t)f->bytes;
    ws->at += f->head;
    ws->state = GAL_WS_PAYLOAD;
    return GAL_WS_MORE;
}

/* MORE with the state PAYLOAD: a data frame has begun. MORE with HEAD: bytes are missing. */
static enum gal_ws_step take_head(struct gal_ws *ws, char *base, size_t n, struct gal_err *err)
{
    size_t here = n - ws->at;
    struct frame f;

    if (here < 2)
        return GAL_WS_MORE;
    if (check_start(ws, base + ws->at, err) != GAL_OK)
        return refuse(ws, GAL_WS_PROTOCOL);
    f = read_head(base + ws->at, here);
    if (f.head == 0)
        return GAL_WS_MORE;
    if (check_length(&f, err) != GAL_OK)
        return refuse(ws, GAL_WS_PROTOCOL);
    if (f.op < GAL_WS_OP_CLOSE)
        return begin_data(ws, base, &f, err);
    return here - f.head < f.bytes ? GAL_WS_MORE : take_control(ws, base, &f, err);
}

enum gal_ws_step gal_ws_parse(struct gal_ws *ws, char *base, size_t *n, struct gal_err *err)
{
    GAL_ASSERT(ws->at <= *n);
    ws->message.p = base + ws->start;
    for (;;) {
        enum gal_ws_step step;

        if (ws->state == GAL_WS_CLOSED || ws->state == GAL_WS_FAILED) {
            *n = ws->at = ws->start = ws->message.n = 0;
            return GAL_WS_MORE;
        }
        if (ws->state == GAL_WS_PAYLOAD) {
            if (!take_payload(ws, base, *n))
                return more(ws, base, n);
            ws->state = GAL_WS_HEAD;
            if (ws->fin)
                return end_message(ws, err);
        }
        step = take_head(ws, base, *n, err);
        if (step != GAL_WS_MORE)
            return step;
        if (ws->state == GAL_WS_HEAD)
            return more(ws, base, n);
    }
}

void gal_ws_next(struct gal_ws *ws)
{
    ws->start = ws->at;
    ws->message.n = 0;
}

struct gal_str gal_ws_leave(struct gal_ws *ws, char *base, size_t n)
{
    struct gal_str rest = {base + ws->at, n - ws->at};

    ws->start = ws->at = 0;
    ws->message.n = 0;
    return rest;
}

size_t gal_ws_want(const struct gal_ws *ws)
{
    return ws->state == GAL_WS_PAYLOAD ? ws->left : 0;
}

/* --- out --- */

size_t gal_ws_head(char out[GAL_WS_HEAD_BYTES_MAX], enum gal_ws_opcode op, uint64_t payload_bytes)
{
    size_t more_bytes = payload_bytes < LENGTH_16 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
    unsigned length = more_bytes == 0   ? (unsigned)payload_bytes
                      : more_bytes == 2 ? LENGTH_16
                                        : LENGTH_64;

    out[0] = (char)(FIN | (unsigned)op);
    out[1] = (char)length;
    for (size_t i = 0; i < more_bytes; i++)
        out[2 + i] = (char)(payload_bytes >> (8 * (more_bytes - 1 - i)));
    return 2 + more_bytes;
}

size_t gal_ws_control(char out[GAL_WS_CONTROL_FRAME_MAX], enum gal_ws_opcode op,
                      struct gal_str payload)
{
    size_t n = payload.n < GAL_WS_CONTROL_BYTES_MAX ? payload.n : GAL_WS_CONTROL_BYTES_MAX;
    char head[GAL_WS_HEAD_BYTES_MAX];
    size_t head_n = gal_ws_head(head, op, n);

    memcpy(out, head, head_n);
    if (n > 0)
        memmove(out + head_n, payload.p, n);
    return head_n + n;
}

size_t gal_ws_close(char out[GAL_WS_CONTROL_FRAME_MAX], unsigned code, struct gal_str reason)
{
    char payload[GAL_WS_CONTROL_BYTES_MAX];
    size_t n = reason.n < sizeof(payload) - 2 ? reason.n : sizeof(payload) - 2;

    if (code == GAL_WS_NO_CODE)
        return gal_ws_control(out, GAL_WS_OP_CLOSE, (struct gal_str){NULL, 0});
    while (n < reason.n && n > 0 && ((unsigned char)reason.p[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    if (n > 0)
        memcpy(payload + 2, reason.p, n);
    return gal_ws_control(out, GAL_WS_OP_CLOSE, (struct gal_str){payload, n + 2});
}
