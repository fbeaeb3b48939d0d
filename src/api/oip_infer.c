/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v2/models/{model}[/versions/{version}]/infer */
#include "api/faults.h"
#include "api/image_body.h"
#include "api/oip.h"
#include "api/route.h"

enum gal_status gal_oip_take(struct gal_exchange *x, struct gal_str json, struct gal_str binary,
                             bool is_raw, struct gal_oip_request *req, struct gal_err *err)
{
    enum gal_status st = is_raw ? gal_oip_decode_raw(x->model, binary, &x->arena, req, err)
                                : gal_oip_decode_model(x->model, json, binary, &x->arena, req, err);

    return req->wrong_count > 0 ? GAL_OK : st;
}

/* What follows the JSON is binary data; a length of 0 says that there is no JSON. */
static enum gal_status decode(struct gal_exchange *x, struct gal_oip_request *req,
                              struct gal_err *err)
{
    struct gal_str length = x->req->known[GAL_HDR_INFERENCE_HEADER_CONTENT_LENGTH];
    struct gal_str json = x->body, binary = {NULL, 0};
    uint64_t n = 0;

    if (length.p != NULL) {
        if (gal_str_u64(length, &n) != GAL_OK || n > x->body.n)
            return gal_fail(err, GAL_INVALID,
                            "inference header size should be in range (0, %zu), got '%.*s'",
                            x->body.n, (int)(length.n < 32 ? length.n : 32), length.p);
        json.n = (size_t)n;
        binary = (struct gal_str){x->body.p + n, x->body.n - json.n};
    }
    return gal_oip_take(x, json, binary, length.p != NULL && n == 0, req, err);
}

/* Inputs that the protocol has no form for make the whole model unreachable by it. */
static enum gal_status check_ports(const struct gal_model *m, struct gal_err *err)
{
    for (size_t i = 0; i < m->info->input_count; i++) {
        const struct gal_port *port = &m->info->inputs[i];

        if (port->kind != GAL_KIND_TENSOR && !port->optional)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "input '%s' of model '%s' is a %s, which the Open Inference Protocol "
                            "cannot carry",
                            port->name.p, m->name, port->type_text);
    }
    return GAL_OK;
}

static enum gal_status want(struct gal_exchange *x, struct gal_infer *inf,
                            const struct gal_oip_request *req, struct gal_err *err)
{
    const struct gal_model_info *info = x->model->info;

    if (req->output_count == 0)
        return GAL_OK; /* all */
    inf->wanted_count = 0;
    for (size_t i = 0; i < req->output_count; i++) {
        struct gal_str name = req->outputs[i].name;
        size_t index = gal_port_find(info->outputs, info->output_count, name);

        if (index == SIZE_MAX)
            return gal_fail(err, GAL_INVALID, "unexpected inference output '%.*s' for model '%s'",
                            (int)name.n, name.p, x->model->name);
        if (req->outputs[i].classes > 0 && info->outputs[index].dtype == GAL_DT_BYTES)
            return gal_fail(err, GAL_UNSUPPORTED,
                            "class result not available for output '%.*s' due to unsupported type "
                            "'BYTES'",
                            (int)name.n, name.p);
        for (size_t k = 0; k < inf->wanted_count; k++)
            if (inf->wanted[k] == index)
                return gal_fail(err, GAL_INVALID, "output '%.*s' already exists in request",
                                (int)name.n, name.p);
        inf->wanted[inf->wanted_count++] = index;
    }
    return GAL_OK;
}

static enum gal_status fill(struct gal_exchange *x, struct gal_infer *inf,
                            struct gal_oip_request *req, struct gal_err *err)
{
    if (req->input_places != NULL && gal_oip_fetch(x, req, err) != GAL_OK)
        return err->code;
    if (gal_oip_has_content(req)) {
        if (gal_oip_fill_content(x, inf, req, err) != GAL_OK || want(x, inf, req, err) != GAL_OK)
            return err->code;
        return gal_oip_hold(x, req, err);
    }
    for (size_t i = 0; i < req->input_count; i++) {
        enum gal_status st;

        if (req->wrong_count > 0 && req->inputs[i].dtype == GAL_DT_NONE)
            continue;
        st = gal_infer_set(x, inf, &req->inputs[i], err);
        if (st != GAL_OK) {
            gal_err_place(err, "inputs[%zu]", i);
            if (!gal_faults_take(x, req->inputs[i].name, err))
                return st;
        }
    }
    if (want(x, inf, req, err) != GAL_OK)
        return err->code;
    return gal_oip_hold(x, req, err);
}

static bool has_classes(const struct gal_oip_request *req)
{
    for (size_t i = 0; i < req->output_count; i++)
        if (req->outputs[i].classes > 0)
            return true;
    return false;
}

/* In copies: the engine's outputs are given back as they came. */
static enum gal_status classify(struct gal_exchange *x, struct gal_infer *inf,
                                const struct gal_oip_request *req, struct gal_err *err)
{
    bool batched = x->model->batch_dim && x->model->config.batch_told != GAL_BATCH_NONE;
    struct gal_value *copies = gal_arena_array(&x->arena, inf->wanted_count, sizeof(*inf->outputs));

    if (copies == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the classes");
    for (size_t i = 0; i < inf->wanted_count; i++) {
        enum gal_status st;

        copies[i] = inf->outputs[i];
        if (req->outputs[i].classes == 0)
            continue;
        st = gal_oip_classify(&inf->outputs[i], batched, req->outputs[i].classes,
                              gal_labels_of(x->model->labels, inf->wanted[i]), &x->arena,
                              &copies[i], err);
        if (st != GAL_OK)
            return st;
    }
    inf->outputs = copies;
    return GAL_OK;
}

static void finish_run(struct gal_exchange *x, struct gal_infer *inf)
{
    struct gal_oip_request *req = inf->state;
    struct gal_err err;

    if ((has_classes(req) && classify(x, inf, req, &err) != GAL_OK) ||
        (x->region_count > 0 && gal_oip_store(x, req, inf, &err) != GAL_OK))
        gal_exchange_fail(x, &err);
    else
        req->encode(x, inf);
}

static void encode(struct gal_exchange *x, struct gal_infer *inf)
{
    struct gal_oip_answer answer;
    struct gal_err err;
    char length[24];
    char *end;

    if (gal_oip_encode(x->model, inf->state, inf, &x->arena, &x->out, &answer, &err) != GAL_OK) {
        gal_exchange_fail(x, &err);
        return;
    }
    if (answer.binary) {
        end = gal_u64_write(length, answer.parts[0].n);
        gal_exchange_header(x, GAL_STR("Inference-Header-Content-Length"),
                            (struct gal_str){length, (size_t)(end - length)});
    }
    gal_exchange_finish_parts(x, 200, answer.binary ? GAL_TYPE_OCTETS : GAL_TYPE_JSON, answer.parts,
                              answer.part_count);
}

struct gal_infer *gal_oip_open(struct gal_exchange *x, struct gal_str name, struct gal_str version,
                               struct gal_err *err)
{
    struct gal_infer *inf;

    if (gal_infer_resolve(x, name, version, err) != GAL_OK || check_ports(x->model, err) != GAL_OK)
        return NULL;
    inf = gal_infer_new(x);
    if (inf == NULL)
        gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    return inf;
}

/* False: that is all that is told. The others may be more than their data; and where there is no
 * memory to note one, nothing may stand in its place. */
static bool note_wrong(struct gal_exchange *x, const struct gal_oip_request *req)
{
    for (size_t i = 0; i < req->wrong_count; i++)
        if (!gal_faults_take(x, req->wrong[i].name, &req->wrong[i].err))
            return false;
    if (req->wrong_more) {
        gal_faults_cut(x);
        return false;
    }
    return req->wrong_count == 0 || (req->input_places == NULL && !gal_oip_has_content(req));
}

void gal_oip_run(struct gal_exchange *x, struct gal_infer *inf, struct gal_oip_request *req,
                 void (*encode_answer)(struct gal_exchange *x, struct gal_infer *inf))
{
    struct gal_err err;

    if (!note_wrong(x, req)) {
        gal_exchange_fail(x, &req->wrong[0].err);
        return;
    }
    if (fill(x, inf, req, &err) != GAL_OK) {
        gal_faults_end(x, &err);
        gal_exchange_fail(x, &err);
        return;
    }
    inf->encode = finish_run;
    req->encode = encode_answer;
    inf->state = req;
    inf->timeout_us = req->timeout_us;
    inf->priority = req->priority;
    gal_infer_run(x, inf);
}

/* An encoded image goes straight into its input; every output is wanted, as JSON. */
static enum gal_status take_body(struct gal_exchange *x, struct gal_infer *inf,
                                 struct gal_oip_request *req, struct gal_err *err)
{
    memset(req, 0, sizeof(*req));
    gal_err_clear(err);
    return gal_image_is_body(x) ? gal_image_decode_body(x, inf, err) : decode(x, req, err);
}

void gal_handle_oip_infer(struct gal_exchange *x)
{
    struct gal_oip_request *req = gal_arena_small(&x->arena, sizeof(*req));
    struct gal_err err;
    struct gal_infer *inf = gal_oip_open(x, x->params[0], x->params[1], &err);

    if (inf != NULL && req == NULL) {
        inf = NULL;
        gal_fail(&err, GAL_NO_MEMORY, "no memory for the request");
    }
    if (inf != NULL && take_body(x, inf, req, &err) == GAL_OK)
        gal_oip_run(x, inf, req, encode);
    else
        gal_exchange_fail(x, &err);
}
