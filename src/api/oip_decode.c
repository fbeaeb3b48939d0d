/* SPDX-License-Identifier: Apache-2.0 */
/* https://github.com/kserve/open-inference-protocol (REST), with the binary tensor data extension
 * and the request parameters that Triton's clients send. */
#include "api/oip.h"

#include "api/validate.h"
#include "codec/tensor_json.h"

/* --- members of objects --- */

#define KEYS_MAX 5
#define KEY(literal)                                                                               \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
/* Of text from a request, so much goes into a message. */

static struct gal_str text_of(yyjson_val *v)
{
    return (struct gal_str){unsafe_yyjson_get_str(v), unsafe_yyjson_get_len(v)};
}

static bool absent(yyjson_val *v)
{
    return v == NULL || unsafe_yyjson_is_null(v);
}

static void put_place(struct gal_err *err, const char *place)
{
    if (err != NULL)
        gal_err_place(err, "%s", place);
}

/* Puts `prefix`, an index when it is no list's whole, and a dot before the place in err. */
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

static enum gal_status fail_type(yyjson_val *v, const char *expected, const char *place,
                                 struct gal_err *err)
{
    if (v == NULL)
        gal_fail(err, GAL_INVALID, "'%s' is missing, expected %s", place, expected);
    else
        gal_fail(err, GAL_INVALID, "expected %s, got %s", expected, gal_json_type_name(v));
    put_place(err, place);
    return GAL_INVALID;
}

/* Sorts an object's members into `members` by the names in `keys`; absent ones are NULL. */
static enum gal_status read_members(yyjson_val *object, const struct gal_str *keys, size_t count,
                                    yyjson_val *members[KEYS_MAX], struct gal_err *err)
{
    size_t i, n, k;
    yyjson_val *key, *value;

    for (k = 0; k < count; k++)
        members[k] = NULL;
    if (!unsafe_yyjson_is_obj(object))
        return fail_type(object, "an object", "", err);
    yyjson_obj_foreach(object, i, n, key, value)
    {
        struct gal_str name = text_of(key);

        for (k = 0; k < count; k++)
            if (keys[k].n == name.n && memcmp(keys[k].p, name.p, name.n) == 0)
                break;
        if (k < count && members[k] == NULL) {
            members[k] = value;
            continue;
        }
        gal_fail(err, GAL_INVALID, "%s '%.*s'", k < count ? "repeated key" : "unknown key",
                 GAL_STR_SHOWN(name));
        if (err != NULL)
            gal_err_place(err, "%.*s", GAL_STR_SHOWN(name));
        return GAL_INVALID;
    }
    return GAL_OK;
}

static enum gal_status read_name(yyjson_val *v, struct gal_str *out, struct gal_err *err)
{
    if (v == NULL || !unsafe_yyjson_is_str(v))
        return fail_type(v, "a string", "name", err);
    *out = text_of(v);
    if (out->n > 0 && out->n <= GAL_NAME_BYTES_MAX)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "a name has 1 to %u bytes, this one %zu", GAL_NAME_BYTES_MAX,
             out->n);
    put_place(err, "name");
    return GAL_INVALID;
}

/* --- parameters --- */

/* `take` is what a request, an input or an output does with one of its parameters. */
static enum gal_status read_params(yyjson_val *object,
                                   enum gal_status (*take)(struct gal_str key, yyjson_val *v,
                                                           void *owner, struct gal_err *err),
                                   void *owner, struct gal_err *err)
{
    size_t i, n;
    yyjson_val *key, *value;

    if (absent(object))
        return GAL_OK;
    if (!unsafe_yyjson_is_obj(object))
        return fail_type(object, "an object", "parameters", err);
    yyjson_obj_foreach(object, i, n, key, value)
    {
        struct gal_str name = text_of(key);
        enum gal_status st = take(name, value, owner, err);

        if (st != GAL_OK && err != NULL)
            gal_err_place(err, "parameters.%.*s", GAL_STR_SHOWN(name));
        if (st != GAL_OK)
            return st;
    }
    return GAL_OK;
}

static enum gal_status take_u64(yyjson_val *v, uint64_t *out, struct gal_err *err)
{
    if (!unsafe_yyjson_is_uint(v))
        return fail_type(v, "an integer of 0 or more", "", err);
    *out = unsafe_yyjson_get_uint(v);
    return GAL_OK;
}

static enum gal_status take_bool(yyjson_val *v, bool *out, struct gal_err *err)
{
    if (!unsafe_yyjson_is_bool(v))
        return fail_type(v, "true or false", "", err);
    *out = unsafe_yyjson_get_bool(v);
    return GAL_OK;
}

/* A parameter that is not ours: the protocol allows strings, numbers and booleans. */
static enum gal_status take_other(yyjson_val *v, struct gal_err *err)
{
    if (unsafe_yyjson_is_str(v) || unsafe_yyjson_is_num(v) || unsafe_yyjson_is_bool(v))
        return GAL_OK;
    return fail_type(v, "a string, a number or a boolean", "", err);
}

/* MLServer's: looked at by whoever fills the model's inputs (api/oip_content.c). */
static enum gal_status take_content_type(yyjson_val *v, struct gal_str *out, struct gal_err *err)
{
    if (!unsafe_yyjson_is_str(v))
        return fail_type(v, "a string", "", err);
    *out = text_of(v);
    return GAL_OK;
}

/* Where a tensor lies in a client's memory; *is_ours tells whether the key says so. */
static enum gal_status take_place(struct gal_str key, yyjson_val *v, struct gal_oip_place *place,
                                  bool *is_ours, struct gal_err *err)
{
    *is_ours = true;
    if (gal_str_is(key, "shared_memory_offset"))
        return take_u64(v, &place->offset, err);
    if (gal_str_is(key, "shared_memory_byte_size"))
        return take_u64(v, &place->bytes, err);
    *is_ours = gal_str_is(key, "shared_memory_region");
    if (!*is_ours)
        return GAL_OK;
    if (!unsafe_yyjson_is_str(v) || unsafe_yyjson_get_len(v) == 0)
        return fail_type(v, "a region's name", "", err);
    place->region = text_of(v);
    return GAL_OK;
}

/* A size or an offset is of a region. */
static enum gal_status check_place(const struct gal_oip_place *place, struct gal_err *err)
{
    if (place->region.p != NULL || (place->offset == 0 && place->bytes == 0))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "'shared_memory_region' is missing beside its offset or size");
    put_place(err, "parameters");
    return GAL_INVALID;
}

/* A model here has no state between requests. What says "no sequence" is fine: clients send 0 and
 * false by default. */
static enum gal_status take_sequence(struct gal_str key, yyjson_val *v, struct gal_err *err)
{
    bool is_none = gal_str_is(key, "sequence_id")
                       ? unsafe_yyjson_is_uint(v)
                             ? unsafe_yyjson_get_uint(v) == 0
                             : unsafe_yyjson_is_str(v) && unsafe_yyjson_get_len(v) == 0
                       : unsafe_yyjson_is_false(v);

    if (is_none)
        return GAL_OK;
    if (gal_str_is(key, "sequence_id") && !unsafe_yyjson_is_uint(v) && !unsafe_yyjson_is_str(v))
        return fail_type(v, "an integer of 0 or more, or a string", "", err);
    if (!gal_str_is(key, "sequence_id") && !unsafe_yyjson_is_bool(v))
        return fail_type(v, "true or false", "", err);
    gal_fail(err, GAL_UNSUPPORTED, "'%.*s' is not supported: models have no state between requests",
             GAL_STR_SHOWN(key));
    if (err != NULL)
        gal_err_hint(err, "keep the state in the client, as an input and output of the model");
    return GAL_UNSUPPORTED;
}

static enum gal_status take_request_param(struct gal_str key, yyjson_val *v, void *owner,
                                          struct gal_err *err)
{
    struct gal_oip_request *r = owner;

    if (gal_str_is(key, "timeout"))
        return take_u64(v, &r->timeout_us, err);
    if (gal_str_is(key, "priority"))
        return take_u64(v, &r->priority, err);
    if (gal_str_is(key, "content_type"))
        return take_content_type(v, &r->content_type, err);
    if (gal_str_is(key, "binary_data_output"))
        return take_bool(v, &r->binary_output, err);
    if (gal_str_starts(key, GAL_STR("sequence_")))
        return take_sequence(key, v, err);
    if (gal_str_starts(key, GAL_STR("triton_")))
        return gal_fail(err, GAL_INVALID,
                        "parameter keys that start with 'triton_' are reserved and should not be "
                        "specified, got '%.*s'",
                        GAL_STR_SHOWN(key));
    return take_other(v, err);
}

enum gal_status gal_oip_take_parameter(struct gal_str key, yyjson_val *v, struct gal_oip_request *r,
                                       struct gal_err *err)
{
    enum gal_status st = take_request_param(key, v, r, err);

    if (st != GAL_OK && err != NULL)
        gal_err_place(err, "%.*s", GAL_STR_SHOWN(key));
    return st;
}

struct input_params {
    uint64_t binary_size;
    bool is_binary;
    struct gal_oip_place place;
    struct gal_str content_type;
};

static enum gal_status take_input_param(struct gal_str key, yyjson_val *v, void *owner,
                                        struct gal_err *err)
{
    struct input_params *p = owner;
    enum gal_status st;
    bool is_place;

    if (gal_str_is(key, "binary_data_size")) {
        p->is_binary = true;
        return take_u64(v, &p->binary_size, err);
    }
    if (gal_str_is(key, "content_type"))
        return take_content_type(v, &p->content_type, err);
    st = take_place(key, v, &p->place, &is_place, err);
    return st != GAL_OK || is_place ? st : take_other(v, err);
}

static enum gal_status take_classes(yyjson_val *v, uint32_t *out, struct gal_err *err)
{
    if (!unsafe_yyjson_is_uint(v) || unsafe_yyjson_get_uint(v) > UINT32_MAX)
        return fail_type(v, "a number of classes, 0 or more", "", err);
    *out = (uint32_t)unsafe_yyjson_get_uint(v);
    return GAL_OK;
}

static enum gal_status take_output_param(struct gal_str key, yyjson_val *v, void *owner,
                                         struct gal_err *err)
{
    struct gal_oip_output *out = owner;
    enum gal_status st;
    bool is_place;

    if (gal_str_is(key, "binary_data"))
        return take_bool(v, &out->binary, err);
    if (gal_str_is(key, "content_type"))
        return gal_oip_check_output_content(
            unsafe_yyjson_is_str(v) ? text_of(v) : (struct gal_str){NULL, 0}, err);
    if (gal_str_is(key, "classification"))
        return take_classes(v, &out->classes, err);
    st = take_place(key, v, &out->place, &is_place, err);
    return st != GAL_OK || is_place ? st : take_other(v, err);
}

/* --- inputs and outputs --- */

struct decoder {
    struct gal_str model;
    const struct gal_model *of;     /* NULL: only its name is known */
    struct gal_str binary;          /* not taken by an input yet */
    struct gal_json_arrays *arrays; /* of numbers, beside the tree; NULL: all is in the tree */
    struct gal_arena *arena;
    struct gal_oip_request *out;
    size_t input_max; /* inputs that the request has */
};

static enum gal_status read_datatype(yyjson_val *v, struct gal_tensor *t, struct gal_err *err)
{
    if (v == NULL || !unsafe_yyjson_is_str(v))
        return fail_type(v, "a string", "datatype", err);
    t->dtype = gal_dtype_parse(text_of(v));
    if (t->dtype != GAL_DT_NONE)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "unknown datatype '%.*s' for input '%.*s'",
             GAL_STR_SHOWN(text_of(v)), GAL_STR_SHOWN(t->name));
    put_place(err, "datatype");
    if (err != NULL)
        gal_err_hint(err, "BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 or BYTES");
    return GAL_INVALID;
}

static enum gal_status read_shape(yyjson_val *v, struct gal_tensor *t, struct gal_arena *arena,
                                  struct gal_err *err)
{
    enum gal_status st;
    int64_t *shape;
    yyjson_val *size;

    if (v == NULL || !unsafe_yyjson_is_arr(v))
        return fail_type(v, "an array of integers", "shape", err);
    t->rank = unsafe_yyjson_get_len(v);
    if (t->rank > GAL_RANK_MAX) {
        gal_fail(err, GAL_INVALID, "at most %u dimensions, got %zu", GAL_RANK_MAX, t->rank);
        put_place(err, "shape");
        return GAL_INVALID;
    }
    shape = gal_arena_small(arena, t->rank * sizeof(*shape));
    if (shape == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    t->shape = shape;
    size = unsafe_yyjson_get_first(v);
    for (size_t i = 0; i < t->rank; i++, size = unsafe_yyjson_get_next(size)) {
        if (!unsafe_yyjson_is_uint(size) || unsafe_yyjson_get_uint(size) > INT64_MAX) {
            fail_type(size, "an integer of 0 or more", "shape", err);
            if (err != NULL)
                gal_err_place(err, "shape[%zu]", i);
            return GAL_INVALID;
        }
        shape[i] = unsafe_yyjson_get_sint(size);
    }
    st = gal_shape_count(shape, t->rank, t->dtype, &t->count, err);
    if (st != GAL_OK)
        put_place(err, "shape");
    return st;
}

static enum gal_status take_binary(struct decoder *d, struct gal_tensor *t, uint64_t size,
                                   struct gal_err *err)
{
    struct gal_str raw = {d->binary.p, (size_t)size};

    if (size > d->binary.n) {
        gal_fail(err, GAL_INVALID,
                 "unexpected size for input '%.*s', expecting %llu additional bytes for model "
                 "'%.*s'",
                 GAL_STR_SHOWN(t->name), (unsigned long long)(size - d->binary.n),
                 GAL_STR_SHOWN(d->model));
        if (err != NULL)
            gal_err_hint(err, "binary data follows the JSON, whose length the header "
                              "Inference-Header-Content-Length tells");
        return GAL_INVALID;
    }
    if (size > 0)
        d->binary.p += size;
    d->binary.n -= raw.n;
    return gal_tensor_from_raw(t, raw, d->arena, err);
}

/* An input has its data in one place of three. */
static enum gal_status take_data(struct decoder *d, yyjson_val *data, struct gal_tensor *t,
                                 const struct input_params *p, struct gal_err *err)
{
    bool is_placed = p->place.region.p != NULL;
    struct gal_json_numbers *numbers;

    if (!absent(data) + p->is_binary + is_placed != 1)
        return gal_fail(err, GAL_INVALID, "input '%.*s' has %s", GAL_STR_SHOWN(t->name),
                        absent(data) && !p->is_binary ? "neither 'data' nor 'binary_data_size' nor "
                                                        "'shared_memory_region'"
                        : is_placed                   ? "data beside 'shared_memory_region'"
                                                      : "both 'data' and 'binary_data_size'");
    if (p->is_binary)
        return take_binary(d, t, p->binary_size, err);
    numbers = d->arrays != NULL && !is_placed ? gal_json_numbers_of(d->arrays, data) : NULL;
    if (numbers != NULL)
        return gal_tensor_from_numbers(numbers, t) ? GAL_OK : GAL_INVALID; /* see gal_oip_decode */
    if (!is_placed) {
        if (d->of != NULL && d->of->manifest != NULL)
            gal_validate_nulls(
                gal_validate_feature(d->of, gal_manifest_feature(d->of->manifest, t->name)), data);
        return gal_tensor_from_json(data, t, "data", d->arena, err);
    }
    t->data = NULL; /* gal_oip_run's matter */
    return GAL_OK;
}

static enum gal_status read_input(struct decoder *d, yyjson_val *v, struct gal_tensor *t,
                                  struct gal_oip_place *place, struct gal_err *err)
{
    static const struct gal_str keys[] = {KEY("name"), KEY("shape"), KEY("datatype"), KEY("data"),
                                          KEY("parameters")};
    enum { NAME, SHAPE, DATATYPE, DATA, PARAMETERS, COUNT };
    yyjson_val *at[KEYS_MAX];
    struct input_params params = {0};
    enum gal_status st = read_members(v, keys, COUNT, at, err);

    if (st == GAL_OK)
        st = read_name(at[NAME], &t->name, err);
    if (st == GAL_OK)
        st = read_datatype(at[DATATYPE], t, err);
    if (st == GAL_OK)
        st = read_shape(at[SHAPE], t, d->arena, err);
    if (st == GAL_OK && at[PARAMETERS] != NULL)
        st = read_params(at[PARAMETERS], take_input_param, &params, err);
    if (st == GAL_OK && params.content_type.p != NULL)
        st = gal_oip_note_content(d->out, params.content_type, d->input_max, d->arena, err);
    if (st == GAL_OK)
        st = check_place(&params.place, err);
    if (st == GAL_OK)
        st = take_data(d, at[DATA], t, &params, err);
    *place = params.place;
    return st;
}

static enum gal_status read_output(struct decoder *d, yyjson_val *v, struct gal_oip_output *out,
                                   struct gal_err *err)
{
    static const struct gal_str keys[] = {KEY("name"), KEY("parameters")};
    yyjson_val *at[KEYS_MAX];
    enum gal_status st = read_members(v, keys, 2, at, err);

    memset(out, 0, sizeof(*out));
    out->binary = d->out->binary_output;
    if (st == GAL_OK)
        st = read_name(at[0], &out->name, err);
    if (st == GAL_OK)
        st = read_params(at[1], take_output_param, out, err);
    if (st == GAL_OK)
        st = check_place(&out->place, err);
    return st;
}

/* Length of the list, when it is one of a length that may be. */
static enum gal_status count_list(yyjson_val *v, const char *name, size_t *out, struct gal_err *err)
{
    if (v == NULL || !unsafe_yyjson_is_arr(v))
        return fail_type(v, "an array of objects", name, err);
    *out = unsafe_yyjson_get_len(v);
    if (*out <= GAL_TENSORS_MAX)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "at most %u %s, got %zu", GAL_TENSORS_MAX, name, *out);
    put_place(err, name);
    return GAL_INVALID;
}

/* Is the input noted, and may the next one be read? Not where the place of its binary data hangs on
 * this one, nor where only the first error is looked for. */
static bool note_wrong(struct decoder *d, struct gal_str binary_before, const struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    struct gal_tensor *t = &r->inputs[r->input_count];
    const struct gal_manifest *m = d->of != NULL ? d->of->manifest : NULL;

    if (m == NULL || m->feature_count == 0 || err == NULL || err->code != GAL_INVALID ||
        t->name.p == NULL || (d->binary.n > 0 && d->binary.n == binary_before.n))
        return false;
    if (r->wrong_count == GAL_OIP_WRONG_MAX) {
        r->wrong_more = true;
        return true;
    }
    if (r->wrong == NULL)
        r->wrong = gal_arena_array(d->arena, GAL_OIP_WRONG_MAX, sizeof(*r->wrong));
    if (r->wrong == NULL)
        return false;
    r->wrong[r->wrong_count++] = (struct gal_oip_wrong){t->name, *err};
    t->dtype = GAL_DT_NONE;
    return true;
}

static enum gal_status read_inputs(struct decoder *d, yyjson_val *list, struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    size_t count = 0;
    enum gal_status st = count_list(list, "inputs", &count, err);
    struct gal_oip_place *places;
    yyjson_val *v;

    if (st != GAL_OK)
        return st;
    r->inputs = gal_arena_small(d->arena, count * sizeof(*r->inputs));
    places = gal_arena_small(d->arena, count * sizeof(*places));
    if (r->inputs == NULL || places == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu inputs", count);
    d->input_max = count;
    v = unsafe_yyjson_get_first(list);
    for (; r->input_count < count; r->input_count++, v = unsafe_yyjson_get_next(v)) {
        struct gal_str binary = d->binary;

        r->inputs[r->input_count].name.p = NULL;
        st = read_input(d, v, &r->inputs[r->input_count], &places[r->input_count], err);
        if (st != GAL_OK) {
            fail_under("inputs", r->input_count, st, err);
            if (!note_wrong(d, binary, err)) {
                r->wrong_count = 0;
                return st;
            }
            if (r->wrong_more)
                break;
        }
        if (places[r->input_count].region.p != NULL)
            r->input_places = places;
    }
    if (r->wrong_count > 0) {
        *err = r->wrong[0].err;
        return GAL_INVALID;
    }
    if (d->binary.n > 0)
        return gal_fail(err, GAL_INVALID,
                        "unexpected additional input data for model '%.*s': %zu bytes follow the "
                        "last input",
                        GAL_STR_SHOWN(d->model), d->binary.n);
    return GAL_OK;
}

static enum gal_status read_outputs(struct decoder *d, yyjson_val *list, struct gal_err *err)
{
    struct gal_oip_request *r = d->out;
    size_t count = 0;
    enum gal_status st;
    yyjson_val *v;

    if (absent(list))
        return GAL_OK;
    st = count_list(list, "outputs", &count, err);
    if (st != GAL_OK)
        return st;
    r->outputs = gal_arena_small(d->arena, count * sizeof(*r->outputs));
    if (r->outputs == NULL)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for %zu outputs", count);
    v = unsafe_yyjson_get_first(list);
    for (; r->output_count < count; r->output_count++, v = unsafe_yyjson_get_next(v)) {
        st = read_output(d, v, &r->outputs[r->output_count], err);
        if (st != GAL_OK)
            return fail_under("outputs", r->output_count, st, err);
    }
    return GAL_OK;
}

/* --- the request --- */

static enum gal_status read_id(yyjson_val *v, struct gal_str *out, struct gal_err *err)
{
    if (absent(v))
        return GAL_OK;
    if (!unsafe_yyjson_is_str(v))
        return fail_type(v, "a string", "id", err);
    *out = text_of(v);
    if (out->n <= GAL_REQUEST_ID_BYTES_MAX)
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "at most %u bytes, got %zu", GAL_REQUEST_ID_BYTES_MAX, out->n);
    put_place(err, "id");
    return GAL_INVALID;
}

/* KServe's client repeats the model's name of the URL. */
static enum gal_status check_model_name(yyjson_val *v, struct gal_str model, struct gal_err *err)
{
    if (absent(v))
        return GAL_OK;
    if (!unsafe_yyjson_is_str(v))
        return fail_type(v, "a string", "model_name", err);
    if (unsafe_yyjson_get_len(v) == 0 || gal_str_eq(text_of(v), model))
        return GAL_OK;
    gal_fail(err, GAL_INVALID, "the request is for model '%.*s', its URL for '%.*s'",
             GAL_STR_SHOWN(text_of(v)), GAL_STR_SHOWN(model));
    put_place(err, "model_name");
    return GAL_INVALID;
}

static enum gal_status read_request(struct decoder *d, yyjson_val *root, struct gal_err *err)
{
    static const struct gal_str keys[] = {KEY("inputs"), KEY("id"), KEY("outputs"),
                                          KEY("parameters"), KEY("model_name")};
    enum { INPUTS, ID, OUTPUTS, PARAMETERS, MODEL_NAME, COUNT };
    struct gal_oip_request *out = d->out;
    yyjson_val *at[KEYS_MAX];
    enum gal_status st = read_members(root, keys, COUNT, at, err);

    if (st == GAL_OK)
        st = read_id(at[ID], &out->id, err);
    if (st == GAL_OK)
        st = check_model_name(at[MODEL_NAME], d->model, err);
    if (st == GAL_OK)
        st = read_params(at[PARAMETERS], take_request_param, out, err);
    if (st == GAL_OK)
        st = read_outputs(d, at[OUTPUTS], err); /* for their default the parameters come first */
    if (st == GAL_OK)
        st = read_inputs(d, at[INPUTS], err);
    return st;
}

static enum gal_status decode_tree(const struct decoder *of, struct gal_str json,
                                   struct gal_err *err)
{
    struct decoder d = *of;
    yyjson_val *root;
    enum gal_status st;

    memset(d.out, 0, sizeof(*d.out));
    st = gal_json_read(json, d.arena, GAL_JSON_DEPTH_MAX, &root, err);
    return st == GAL_OK ? read_request(&d, root, err) : st;
}

enum gal_status gal_oip_decode_tree(struct gal_str model, struct gal_str json,
                                    struct gal_str binary, struct gal_arena *arena,
                                    struct gal_oip_request *out, struct gal_err *err)
{
    const struct decoder d = {.model = model, .binary = binary, .arena = arena, .out = out};

    return decode_tree(&d, json, err);
}

/* What does not work out with the arrays beside the tree is done again with all in it: there is
 * one place that refuses requests and finds the words. */
static enum gal_status decode(const struct decoder *of, struct gal_str json, struct gal_err *err)
{
    struct gal_json_arrays arrays;
    struct decoder d = *of;
    const struct gal_arena_mark before = gal_arena_mark(d.arena);
    yyjson_val *root;

    d.arrays = &arrays;
    memset(d.out, 0, sizeof(*d.out));
    if (gal_json_read_numbers(json, GAL_STR("data"), d.arena, GAL_JSON_DEPTH_MAX, &root, &arrays) &&
        read_request(&d, root, NULL) == GAL_OK && arrays.taken == arrays.count)
        return GAL_OK;
    gal_arena_rewind(d.arena, before);
    return decode_tree(of, json, err);
}

enum gal_status gal_oip_decode(struct gal_str model, struct gal_str json, struct gal_str binary,
                               struct gal_arena *arena, struct gal_oip_request *out,
                               struct gal_err *err)
{
    const struct decoder d = {.model = model, .binary = binary, .arena = arena, .out = out};

    return decode(&d, json, err);
}

enum gal_status gal_oip_decode_model(const struct gal_model *m, struct gal_str json,
                                     struct gal_str binary, struct gal_arena *arena,
                                     struct gal_oip_request *out, struct gal_err *err)
{
    const struct decoder d = {
        .model = gal_str_of(m->name), .of = m, .binary = binary, .arena = arena, .out = out};

    return decode(&d, json, err);
}
