/* SPDX-License-Identifier: Apache-2.0 */
#include "support/grpc_peer.h"

#include <proto/inference.pb-c.h>

static bool same_text(struct gal_str s, const char *peer)
{
    return s.n == strlen(peer) && (s.n == 0 || memcmp(s.p, peer, s.n) == 0);
}

/* protobuf-c's strings end at a NUL byte; ours are compared up to there. */
static void check_text(struct gal_str s, const char *peer)
{
    const char *nul = s.n > 0 ? memchr(s.p, '\0', s.n) : NULL;

    if (nul != NULL)
        s.n = (size_t)(nul - s.p);
    GAL_ASSERT(same_text(s, peer));
}

static void check_contents(const struct gal_tensor *t, const Inference__InferTensorContents *c)
{
    const size_t counts[] = {c->n_bool_contents, c->n_int_contents,    c->n_int64_contents,
                             c->n_uint_contents, c->n_uint64_contents, c->n_fp32_contents,
                             c->n_fp64_contents, c->n_bytes_contents};
    size_t sum = 0;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        sum += counts[i];
    GAL_ASSERT(sum == t->count);
    for (size_t i = 0; i < t->count; i++) {
        const struct gal_str *items = t->data;

        switch (t->dtype) {
        case GAL_DT_BOOL:
            GAL_ASSERT(((const uint8_t *)t->data)[i] == (c->bool_contents[i] != 0));
            break;
        case GAL_DT_INT8:
            GAL_ASSERT(((const int8_t *)t->data)[i] == c->int_contents[i]);
            break;
        case GAL_DT_INT16:
            GAL_ASSERT(((const int16_t *)t->data)[i] == c->int_contents[i]);
            break;
        case GAL_DT_INT32:
            GAL_ASSERT(((const int32_t *)t->data)[i] == c->int_contents[i]);
            break;
        case GAL_DT_INT64:
            GAL_ASSERT(((const int64_t *)t->data)[i] == c->int64_contents[i]);
            break;
        case GAL_DT_UINT8:
            GAL_ASSERT(((const uint8_t *)t->data)[i] == c->uint_contents[i]);
            break;
        case GAL_DT_UINT16:
            GAL_ASSERT(((const uint16_t *)t->data)[i] == c->uint_contents[i]);
            break;
        case GAL_DT_UINT32:
            GAL_ASSERT(((const uint32_t *)t->data)[i] == c->uint_contents[i]);
            break;
        case GAL_DT_UINT64:
            GAL_ASSERT(((const uint64_t *)t->data)[i] == c->uint64_contents[i]);
            break;
        case GAL_DT_FP32:
            GAL_ASSERT(memcmp((const float *)t->data + i, &c->fp32_contents[i], 4) == 0);
            break;
        case GAL_DT_FP64:
            GAL_ASSERT(memcmp((const double *)t->data + i, &c->fp64_contents[i], 8) == 0);
            break;
        case GAL_DT_BYTES:
            GAL_ASSERT(items[i].n == c->bytes_contents[i].len);
            GAL_ASSERT(items[i].n == 0 ||
                       memcmp(items[i].p, c->bytes_contents[i].data, items[i].n) == 0);
            break;
        default:
            GAL_ASSERT(false);
        }
    }
}

static void check_input(const struct gal_tensor *t, const struct gal_oip_place *place,
                        const Inference__ModelInferRequest__InferInputTensor *peer)
{
    check_text(t->name, peer->name);
    GAL_ASSERT(gal_str_is(gal_str_of(gal_dtype_name(t->dtype)), peer->datatype));
    GAL_ASSERT(t->rank == peer->n_shape);
    for (size_t i = 0; i < t->rank; i++)
        GAL_ASSERT(t->shape[i] == peer->shape[i]);
    if (t->data != NULL && peer->contents != NULL && (place == NULL || place->region.p == NULL))
        check_contents(t, peer->contents);
}

static void check_raws(const struct gal_oip_request *r, const Inference__ModelInferRequest *peer)
{
    size_t k = 0;

    if (peer->n_raw_input_contents == 0)
        return;
    for (size_t i = 0; i < r->input_count; i++) {
        const struct gal_tensor *t = &r->inputs[i];
        const ProtobufCBinaryData *raw;

        if (r->input_places != NULL && r->input_places[i].region.p != NULL)
            continue;
        raw = &peer->raw_input_contents[k++];
        GAL_ASSERT(gal_tensor_raw_size(t) == raw->len);
        if (t->dtype != GAL_DT_BYTES && raw->len > 0)
            GAL_ASSERT(memcmp(t->data, raw->data, raw->len) == 0);
    }
    GAL_ASSERT(k == peer->n_raw_input_contents);
}

static void check(const struct gal_grpc_head *head, const struct gal_oip_request *r,
                  const Inference__ModelInferRequest *peer)
{
    check_text(head->model, peer->model_name);
    check_text(head->version, peer->model_version);
    check_text(r->id, peer->id);
    GAL_ASSERT(r->input_count == peer->n_inputs && r->output_count == peer->n_outputs);
    for (size_t i = 0; i < r->input_count; i++)
        check_input(&r->inputs[i], r->input_places != NULL ? &r->input_places[i] : NULL,
                    peer->inputs[i]);
    for (size_t i = 0; i < r->output_count; i++)
        check_text(r->outputs[i].name, peer->outputs[i]->name);
    check_raws(r, peer);
}

enum gal_status grpc_peer_check(struct gal_str message, struct gal_arena *arena, bool *peer_read,
                                struct gal_err *err)
{
    Inference__ModelInferRequest *peer =
        inference__model_infer_request__unpack(NULL, message.n, (const uint8_t *)message.p);
    struct gal_grpc_head head;
    struct gal_oip_request r;
    enum gal_status st = gal_grpc_scan(message, &head, err);

    if (st == GAL_OK)
        st = gal_grpc_decode(message, &head, head.model, false, arena, &r, err);
    *peer_read = peer != NULL;
    if (st == GAL_OK && peer != NULL)
        check(&head, &r, peer);
    if (peer != NULL)
        inference__model_infer_request__free_unpacked(peer, NULL);
    return st;
}
