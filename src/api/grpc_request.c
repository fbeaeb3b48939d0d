/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInferRequest, straight from the wire into tensors. Two walks over its top level: one counts
 * and finds the model, one decodes. */
#include "api/grpc.h"

#include <inttypes.h>

enum request_field {
    REQUEST_MODEL = 1,
    REQUEST_VERSION = 2,
    REQUEST_ID = 3,
    REQUEST_PARAMETERS = 4,
    REQUEST_INPUTS = 5,
    REQUEST_OUTPUTS = 6,
    REQUEST_RAW = 7
};
enum input_field {
    INPUT_NAME = 1,
    INPUT_DATATYPE = 2,
    INPUT_SHAPE = 3,
    INPUT_PARAMETERS = 4,
    INPUT_CONTENTS = 5
};
enum output_field { OUTPUT_NAME = 1, OUTPUT_PARAMETERS = 2 };

/* Of text from a request, so much goes into a message. */

enum gal_status gal_grpc_fail_wire(enum gal_pb_next why, const char *place, struct gal_err *err)
{
    if (why == GAL_PB_SHORT)
        gal_fail(err, GAL_INVALID, "the message ends within a field");
    else
        gal_fail(err, GAL_INVALID, "the message is not protobuf, or not of this method");
    if (err != NULL)
        gal_err_place(err, "%s", place);
    return GAL_INVALID;
}

/* A known field has the wire type that it should have. */
static enum gal_status want_wire(const struct gal_pb_field *f, enum gal_pb_wire wire,
                                 const char *place, struct gal_err *err)
{
    return f->wire == wire ? GAL_OK : gal_grpc_fail_wire(GAL_PB_BAD, place, err);
}

enum gal_status gal_grpc_scan(struct gal_str message, struct gal_grpc_head *head,
                              struct gal_err *err)
{
    struct gal_pb_field f;
    enum gal_pb_next r;

    memset(head, 0, sizeof(*head));
    while ((r = gal_pb_next(&message, &f)) == GAL_PB_FIELD) {
        if (f.number > REQUEST_RAW)
            continue; /* of a newer protocol */
        if (want_wire(&f, GAL_PB_BYTES, "", err) != GAL_OK)
            return GAL_INVALID;
        switch (f.number) {
        case REQUEST_MODEL:
            head->model = f.bytes;
            break;
        case REQUEST_VERSION:
            head->version = f.bytes;
            break;
        case REQUEST_ID:
            head->id = f.bytes;
            break;
        case REQUEST_INPUTS:
            head->inputs++;
            break;
        case REQUEST_OUTPUTS:
            head->outputs++;
            break;
        case REQUEST_RAW:
            head->raws++;
            break;
        default:
            break;
        }
    }
    if (r != GAL_PB_END)
        return gal_grpc_fail_wire(r, "", err);
    if (!gal_utf8_valid(head->id)) {
        gal_fail(err, GAL_INVALID, "text must be UTF-8");
        if (err != NULL)
            gal_err_place(err, "id");
        return GAL_INVALID;
    }
    return GAL_OK;
}

size_t gal_grpc_raw_at(struct gal_str begin)
{
    struct gal_str rest = begin;
    struct gal_pb_field f;
    const unsigned char *p;
    size_t n = 1;

    while (gal_pb_next(&rest, &f) == GAL_PB_FIELD)
        if (f.number == REQUEST_RAW)
            return f.wire == GAL_PB_BYTES ? (size_t)(f.bytes.p - begin.p) : 0;
    /* The field that is not whole: its tag and its length, and then its bytes. */
    p = (const unsigned char *)rest.p;
    if (rest.n == 0 || p[0] != (REQUEST_RAW << 3 | GAL_PB_BYTES))
        return 0;
    while (n < rest.n && p[n] >= 0x80)
        n++;
    return n < rest.n ? begin.n - rest.n + n + 1 : 0;
}

/* --- parameters --- */

struct decoder {
    struct gal_str model;
    struct gal_arena *arena;
    struct gal_oip_request *out;
    size_t inputs_max;
    bool in_stream;
};

/* `take` is what a request, an input or an output does with one of its parameters. */
static enum gal_status read_param(struct decoder *d, struct gal_str entry,
                                  enum gal_status (*take)(struct decoder *d,
                                                          const struct gal_grpc_param *p,
                                                          void *owner, struct gal_err *err),
                                  void *owner, struct gal_err *err)
{
    struct gal_grpc_param p;
    enum gal_status st = gal_grpc_read_param(entry, &p, err);

    if (st == GAL_OK) {
        st = take(d, &p, owner, err);
        if (st != GAL_OK && err != NULL && err->place[0] == '\0')
            gal_err_place(err, "parameters.%.*s", GAL_STR_SHOWN(p.key));
    }
    return st;
}

static enum gal_status fail_param(const struct gal_grpc_param *p, const char *expected,
                                  struct gal_err *err)
{
    return gal_fail(err, GAL_INVALID, "the parameter '%.*s' must be %s", GAL_STR_SHOWN(p->key),
                    expected);
}

static enum gal_status take_u64(const struct gal_grpc_param *p, uint64_t *out, struct gal_err *err)
{
    if ((p->kind != GAL_GRPC_PARAM_INT64 && p->kind != GAL_GRPC_PARAM_UINT64) ||
        (p->kind == GAL_GRPC_PARAM_INT64 && (int64_t)p->bits < 0))
        return fail_param(p, "an integer of 0 or more", err);
    *out = p->bits;
    return GAL_OK;
}

/* MLServer's; gal_oip_fill_content knows which there are. */
static enum gal_status take_content_type(const struct gal_grpc_param *p, struct gal_str *out,
                                         struct gal_err *err)
{
    if (p->kind != GAL_GRPC_PARAM_STRING)
        return fail_param(p, "a string", err);
    *out = p->text;
    return GAL_OK;
}

static enum gal_status take_bool(const struct gal_grpc_param *p, bool *out, struct gal_err *err)
{
    if (p->kind != GAL_GRPC_PARAM_BOOL)
        return fail_param(p, "a boolean", err);
    *out = p->bits != 0;
    return GAL_OK;
}

/* A model here has no state between requests. */
static enum gal_status take_sequence(const struct gal_grpc_param *p, struct gal_err *err)
{
    if (p->kind == GAL_GRPC_PARAM_DOUBLE || p->kind == GAL_GRPC_PARAM_NONE)
        return fail_param(p, "an integer, a string or a boolean", err);
    if (p->kind == GAL_GRPC_PARAM_STRING ? p->text.n == 0 : p->bits == 0)
        return GAL_OK;
    gal_fail(err, GAL_UNSUPPORTED, "'%.*s' is not supported: models have no state between requests",
             GAL_STR_SHOWN(p->key));
    if (err != NULL)
        gal_err_hint(err, "keep the state in the client, as an input and output of the model");
    return GAL_UNSUPPORTED;
}

static enum gal_status take_request_param(struct decoder *d, const struct gal_grpc_param *p,
                                          void *owner, struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    bool flag;

    (void)owner;
    if (gal_str_is(p->key, "timeout"))
        return take_u64(p, &r->timeout_us, err);
    if (gal_str_is(p->key, "priority"))
        return take_u64(p, &r->priority, err);
    if (gal_str_is(p->key, "content_type"))
        return take_content_type(p, &r->content_type, err);
    if (gal_str_is(p->key, "binary_data_output"))
        return take_bool(p, &flag, err);
    if (gal_str_starts(p->key, GAL_STR("sequence_")))
        return take_sequence(p, err);
    if (d->in_stream && gal_str_is(p->key, "triton_enable_empty_final_response"))
        return take_bool(p, &flag, err); /* each answer is final, and says so */
    if (gal_str_starts(p->key, GAL_STR("triton_")))
        return gal_fail(err, GAL_INVALID,
                        "parameter keys that start with 'triton_' are reserved and should not be "
                        "specified, got '%.*s'",
                        GAL_STR_SHOWN(p->key));
    return GAL_OK;
}

static enum gal_status take_place(const struct gal_grpc_param *p, struct gal_oip_place *place,
                                  struct gal_err *err)
{
    if (gal_str_is(p->key, "shared_memory_offset"))
        return take_u64(p, &place->offset, err);
    if (gal_str_is(p->key, "shared_memory_byte_size"))
        return take_u64(p, &place->bytes, err);
    if (!gal_str_is(p->key, "shared_memory_region"))
        return GAL_OK;
    if (p->kind != GAL_GRPC_PARAM_STRING || p->text.n == 0)
        return fail_param(p, "a region's name", err);
    place->region = p->text;
    return GAL_OK;
}

/* What an input's parameters say, and whether it has typed contents. */
struct input_extras {
    struct gal_oip_place place;
    struct gal_str content_type; /* p NULL: none */
    bool has_contents;
};

static enum gal_status take_input_param(struct decoder *d, const struct gal_grpc_param *p,
                                        void *owner, struct gal_err *err)
{
    struct input_extras *extras = owner;

    (void)d;
    if (gal_str_is(p->key, "content_type"))
        return take_content_type(p, &extras->content_type, err);
    return take_place(p, &extras->place, err);
}

static enum gal_status take_output_param(struct decoder *d, const struct gal_grpc_param *p,
                                         void *owner, struct gal_err *err)
{
    struct gal_oip_output *out = owner;
    uint64_t classes = 0;
    enum gal_status st;

    (void)d;
    if (gal_str_is(p->key, "content_type"))
        return gal_oip_check_output_content(p->text, err);
    if (!gal_str_is(p->key, "classification"))
        return take_place(p, &out->place, err);
    st = take_u64(p, &classes, err);
    if (st == GAL_OK && classes > UINT32_MAX)
        st = fail_param(p, "a number of classes", err);
    out->classes = (uint32_t)classes;
    return st;
}

/* A size or an offset is of a region. */
static enum gal_status check_place(const struct gal_oip_place *place, struct gal_err *err)
{
    if (place->region.p != NULL || (place->offset == 0 && place->bytes == 0))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "'shared_memory_region' is missing beside its offset or size");
    if (err != NULL)
        gal_err_place(err, "parameters");
    return GAL_INVALID;
}

/* --- inputs --- */

static enum gal_status check_name(struct gal_str name, struct gal_err *err)
{
    if (name.n > 0 && name.n <= GAL_NAME_BYTES_MAX)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "a name has 1 to %u bytes, this one %zu", GAL_NAME_BYTES_MAX,
             name.n);
    if (err != NULL)
        gal_err_place(err, "name");
    return GAL_INVALID;
}

/* One field of sizes, packed or not, behind those that are there. */
static enum gal_status read_sizes(const struct gal_pb_field *f, int64_t *shape, size_t *rank,
                                  struct gal_err *err)
{
    struct gal_str rest = f->bytes;
    uint64_t v = f->value;
    bool one = f->wire == GAL_PB_VARINT;

    if (!one && want_wire(f, GAL_PB_BYTES, "shape", err) != GAL_OK)
        return GAL_INVALID;
    while (one || gal_pb_packed_varint(&rest, &v)) {
        if (*rank == GAL_RANK_MAX || (int64_t)v < 0) {
            if (*rank == GAL_RANK_MAX)
                gal_fail(err, GAL_INVALID, "at most %u dimensions", GAL_RANK_MAX);
            else
                gal_fail(err, GAL_INVALID, "dimension %zu is negative: %" PRId64, *rank,
                         (int64_t)v);
            if (err != NULL)
                gal_err_place(err, "shape");
            return GAL_INVALID;
        }
        shape[(*rank)++] = (int64_t)v;
        if (one)
            return GAL_OK;
    }
    return rest.n == 0 ? GAL_OK : gal_grpc_fail_wire(GAL_PB_SHORT, "shape", err);
}

static enum gal_status set_type(struct gal_tensor *t, struct gal_str datatype, const int64_t *shape,
                                struct decoder *d, struct gal_err *err)
{
    int64_t *copy;
    enum gal_status st;

    t->dtype = gal_dtype_parse(datatype);
    if (t->dtype == GAL_DT_NONE) {
        gal_fail(err, GAL_INVALID, "unknown datatype '%.*s' for input '%.*s'",
                 GAL_STR_SHOWN(datatype), GAL_STR_SHOWN(t->name));
        if (err != NULL)
            gal_err_place(err, "datatype");
        return GAL_INVALID;
    }
    copy = gal_arena_small(d->arena, t->rank * sizeof(*copy));
    if (copy == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    if (t->rank > 0)
        memcpy(copy, shape, t->rank * sizeof(*copy));
    t->shape = copy;
    st = gal_shape_count(copy, t->rank, t->dtype, &t->count, err);
    if (st != GAL_OK && err != NULL)
        gal_err_place(err, "shape");
    return st;
}

/* Everything but the contents, which need the datatype, wherever it stands. */
static enum gal_status read_input_head(struct decoder *d, struct gal_str bytes,
                                       struct gal_tensor *t, struct input_extras *extras,
                                       struct gal_err *err)
{
    struct gal_str datatype = {NULL, 0};
    int64_t shape[GAL_RANK_MAX];
    struct gal_pb_field f;
    enum gal_pb_next r;
    enum gal_status st = GAL_OK;

    memset(t, 0, sizeof(*t));
    memset(extras, 0, sizeof(*extras));
    while (st == GAL_OK && (r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number == INPUT_SHAPE) {
            st = read_sizes(&f, shape, &t->rank, err);
            continue;
        }
        if (f.number > INPUT_CONTENTS)
            continue;
        st = want_wire(&f, GAL_PB_BYTES, "", err);
        if (st != GAL_OK)
            break;
        if (f.number == INPUT_NAME)
            t->name = f.bytes;
        else if (f.number == INPUT_DATATYPE)
            datatype = f.bytes;
        else if (f.number == INPUT_PARAMETERS)
            st = read_param(d, f.bytes, take_input_param, extras, err);
        else
            extras->has_contents = true;
    }
    if (st == GAL_OK && r != GAL_PB_END)
        st = gal_grpc_fail_wire(r, "", err);
    if (st == GAL_OK)
        st = check_name(t->name, err);
    if (st == GAL_OK)
        st = check_place(&extras->place, err);
    if (st == GAL_OK)
        st = set_type(t, datatype, shape, d, err);
    return st;
}

static enum gal_status read_input_contents(struct decoder *d, struct gal_str bytes,
                                           struct gal_tensor *t, struct gal_err *err)
{
    struct gal_pb_field f;
    size_t at = 0, input_bytes = bytes.n;

    while (gal_pb_next(&bytes, &f) == GAL_PB_FIELD) {
        enum gal_status st = GAL_OK;

        if (f.number == INPUT_CONTENTS)
            st = gal_grpc_read_contents(f.bytes, t, &at, input_bytes, d->arena, err);
        if (st != GAL_OK)
            return st;
    }
    if (at == t->count)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "input '%.*s' has %zu elements in its contents, its shape %zu",
             GAL_STR_SHOWN(t->name), at, t->count);
    if (err != NULL)
        gal_err_place(err, "contents");
    return GAL_INVALID;
}

static enum gal_status read_input(struct decoder *d, struct gal_str bytes, bool raw,
                                  struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    struct gal_tensor *t = &r->inputs[r->input_count];
    struct input_extras extras;
    enum gal_status st = read_input_head(d, bytes, t, &extras, err);
    bool in_shm = extras.place.region.p != NULL;

    if (st == GAL_OK && extras.content_type.p != NULL)
        st = gal_oip_note_content(r, extras.content_type, d->inputs_max, d->arena, err);
    if (st != GAL_OK)
        return st;
    if (in_shm && r->input_places == NULL) {
        r->input_places = gal_arena_array(d->arena, d->inputs_max, sizeof(*r->input_places));
        if (r->input_places == NULL)
            return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu inputs", d->inputs_max);
        memset(r->input_places, 0, d->inputs_max * sizeof(*r->input_places));
    }
    if (r->input_places != NULL)
        r->input_places[r->input_count] = extras.place;
    if (extras.has_contents && (raw || in_shm)) {
        gal_fail(err, GAL_INVALID,
                 "contents field must not be specified when using %s for input '%.*s' for model "
                 "'%.*s'",
                 raw ? "raw_input_contents" : "shared memory", GAL_STR_SHOWN(t->name),
                 GAL_STR_SHOWN(d->model));
        return GAL_INVALID;
    }
    if (raw || in_shm)
        return GAL_OK;
    return read_input_contents(d, bytes, t, err);
}

static bool in_memory(const struct gal_oip_request *r, size_t i)
{
    return r->input_places != NULL && r->input_places[i].region.p != NULL;
}

/* The raw contents belong to the inputs that are not in shared memory, in their order. */
static enum gal_status read_raws(struct decoder *d, struct gal_str message, size_t raws,
                                 struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    struct gal_pb_field f;
    size_t i = 0, used = 0;

    while (gal_pb_next(&message, &f) == GAL_PB_FIELD) {
        enum gal_status st;

        if (f.number != REQUEST_RAW)
            continue;
        while (i < r->input_count && in_memory(r, i))
            i++;
        if (i == r->input_count)
            return gal_fail(err, GAL_INVALID,
                            "unexpected additional input data for model '%.*s': %zu "
                            "raw_input_contents for %zu inputs",
                            GAL_STR_SHOWN(d->model), raws, used);
        st = gal_tensor_from_raw(&r->inputs[i], f.bytes, d->arena, err);
        if (st != GAL_OK) {
            if (err != NULL)
                gal_err_place(err, "raw_input_contents[%zu]", used);
            return st;
        }
        used++;
        i++;
    }
    for (; i < r->input_count; i++)
        if (!in_memory(r, i))
            return gal_fail(err, GAL_INVALID,
                            "unable to find data for input tensor '%.*s' for model '%.*s' in "
                            "request: there are %zu raw_input_contents",
                            GAL_STR_SHOWN(r->inputs[i].name), GAL_STR_SHOWN(d->model), raws);
    return GAL_OK;
}

/* --- outputs and the whole --- */

static enum gal_status read_output(struct decoder *d, struct gal_str bytes, struct gal_err *err)
{
    struct gal_oip_output *out = &d->out->outputs[d->out->output_count];
    struct gal_pb_field f;
    enum gal_pb_next r;
    enum gal_status st = GAL_OK;

    memset(out, 0, sizeof(*out));
    out->binary = true;
    while (st == GAL_OK && (r = gal_pb_next(&bytes, &f)) == GAL_PB_FIELD) {
        if (f.number > OUTPUT_PARAMETERS)
            continue;
        st = want_wire(&f, GAL_PB_BYTES, "", err);
        if (st == GAL_OK && f.number == OUTPUT_NAME)
            out->name = f.bytes;
        else if (st == GAL_OK)
            st = read_param(d, f.bytes, take_output_param, out, err);
    }
    if (st == GAL_OK && r != GAL_PB_END)
        st = gal_grpc_fail_wire(r, "", err);
    if (st == GAL_OK)
        st = check_place(&out->place, err);
    return st != GAL_OK ? st : check_name(out->name, err);
}

/* Puts a list's name and index before the place in err. */
static enum gal_status fail_under(const char *list, size_t index, enum gal_status st,
                                  struct gal_err *err)
{
    char place[sizeof(err->place)];

    if (err == NULL)
        return st;
    memcpy(place, err->place, sizeof(place));
    gal_err_place(err, "%s[%zu]%s%s", list, index, place[0] != '\0' ? "." : "", place);
    return st;
}

static enum gal_status make_room(struct decoder *d, const struct gal_grpc_head *head,
                                 struct gal_err *err)
{
    struct gal_oip_request *r = d->out;

    if (head->inputs > GAL_TENSORS_MAX || head->outputs > GAL_TENSORS_MAX)
        return gal_fail(err, GAL_INVALID, "at most %u inputs and outputs, got %zu and %zu",
                        GAL_TENSORS_MAX, head->inputs, head->outputs);
    r->inputs = gal_arena_small(d->arena, head->inputs * sizeof(*r->inputs));
    r->outputs = gal_arena_small(d->arena, head->outputs * sizeof(*r->outputs));
    if (r->inputs == NULL || r->outputs == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
    return GAL_OK;
}

static enum gal_status read_field(struct decoder *d, const struct gal_pb_field *f, bool raw,
                                  struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    enum gal_status st;

    if (f->number == REQUEST_PARAMETERS)
        return read_param(d, f->bytes, take_request_param, NULL, err);
    if (f->number == REQUEST_INPUTS) {
        st = read_input(d, f->bytes, raw, err);
        if (st != GAL_OK)
            return fail_under("inputs", r->input_count, st, err);
        r->input_count++;
    }
    if (f->number == REQUEST_OUTPUTS) {
        st = read_output(d, f->bytes, err);
        if (st != GAL_OK)
            return fail_under("outputs", r->output_count, st, err);
        r->output_count++;
    }
    return GAL_OK;
}

enum gal_status gal_grpc_decode(struct gal_str message, const struct gal_grpc_head *head,
                                struct gal_str model, bool in_stream, struct gal_arena *arena,
                                struct gal_oip_request *out, struct gal_err *err)
{
    struct decoder d = {model, arena, out, head->inputs, in_stream};
    struct gal_str rest = message;
    struct gal_pb_field f;
    enum gal_status st;

    memset(out, 0, sizeof(*out));
    out->id = head->id;
    out->binary_output = true;
    st = make_room(&d, head, err);
    while (st == GAL_OK && gal_pb_next(&rest, &f) == GAL_PB_FIELD)
        st = read_field(&d, &f, head->raws > 0, err);
    if (st == GAL_OK && head->raws > 0)
        st = read_raws(&d, message, head->raws, err);
    return st;
}
