/* SPDX-License-Identifier: Apache-2.0 */
/* The fake backend. Its model file is text, one statement a line, `#` begins a comment:
 *
 *     input NAME DATATYPE [SHAPE]   a tensor: input x FP32 [-1,4]; no SHAPE: a scalar
 *     optional NAME DATATYPE [SHAPE]  the same, and may be left out
 *     output NAME DATATYPE [SHAPE]  output i answers input i (modulo the inputs), which has its
 *                                   datatype: numbers doubled, BOOL as it is, BYTES said twice
 *     cost_us N                     each run takes at least so long
 *     fail_every N                  every N-th run is INTERNAL "fake failure"
 *     refuse_every N                every N-th run is INVALID "fake refusal"
 *     load_fails TEXT               load is INVALID with TEXT
 *     meta KEY VALUE                custom metadata
 *
 * Same file, same inputs, same order of runs: same answers. */
#include "backend/fake.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define FILE_BYTES_MAX 65536u
#define PORTS_MAX 64u

struct fake {
    struct gal_model_info info;
    struct gal_port inputs[PORTS_MAX], outputs[PORTS_MAX];
    struct gal_meta meta[PORTS_MAX];
    uint64_t cost_us, fail_every, refuse_every;
    _Atomic uint64_t runs, trims;
    _Atomic bool has_gate; /* the gate is looked at only when a test has closed it */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool closed;
    size_t at_gate;
    struct gal_arena arena;
};

static struct fake *own(struct gal_session *s)
{
    return (struct fake *)s;
}

/* ---- the file ---- */

/* "[-1,4]" */
static enum gal_status parse_shape(struct fake *f, struct gal_str text, struct gal_port *port,
                                   struct gal_err *err)
{
    if (text.n == 0)
        return GAL_OK;
    if (text.p[0] != '[' || text.p[text.n - 1] != ']')
        return gal_fail(err, GAL_INVALID, "a shape is written [2,-1]");
    struct gal_str rest = {text.p + 1, text.n - 2}, part;
    int64_t *shape = gal_arena_array(&f->arena, GAL_RANK_MAX, sizeof *shape);
    const char **dims = gal_arena_array(&f->arena, GAL_RANK_MAX, sizeof *dims);
    if (!shape || !dims)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a shape");
    while (port->rank < GAL_RANK_MAX && gal_str_cut(&rest, ',', &part)) {
        if (gal_str_i64(gal_str_trim(part), &shape[port->rank]) || shape[port->rank] < -1)
            return gal_fail(err, GAL_INVALID, "not a size: %.*s", GAL_STR_ARG(part));
        dims[port->rank++] = "";
    }
    port->shape = shape;
    port->dims = dims;
    return GAL_OK;
}

static enum gal_status parse_port(struct fake *f, struct gal_str args, struct gal_port *ports,
                                  size_t *count, struct gal_err *err)
{
    struct gal_str name = {NULL, 0}, dtype = {NULL, 0};
    gal_str_cut(&args, ' ', &name);
    gal_str_cut(&args, ' ', &dtype);
    if (*count == PORTS_MAX)
        return gal_fail(err, GAL_INVALID, "more than %u tensors", PORTS_MAX);
    struct gal_port *port = &ports[*count];
    *port = (struct gal_port){
        .name = {gal_arena_strdup(&f->arena, name), name.n},
        .kind = GAL_KIND_TENSOR,
        .dtype = gal_dtype_parse(dtype),
        .type_text = gal_arena_strdup(&f->arena, dtype),
        .shape_known = true,
    };
    if (!port->name.p || !port->type_text)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a tensor's name");
    if (name.n == 0 || port->dtype == GAL_DT_NONE)
        return gal_fail(err, GAL_INVALID, "a tensor is written: NAME DATATYPE [SHAPE]");
    (*count)++;
    return parse_shape(f, gal_str_trim(args), port, err);
}

static enum gal_status parse_meta(struct fake *f, struct gal_str args, struct gal_err *err)
{
    struct gal_str key = {NULL, 0};
    gal_str_cut(&args, ' ', &key);
    if (f->info.meta_count == PORTS_MAX)
        return gal_fail(err, GAL_INVALID, "more than %u metadata entries", PORTS_MAX);
    struct gal_meta *meta = &f->meta[f->info.meta_count++];
    meta->key = (struct gal_str){gal_arena_strdup(&f->arena, key), key.n};
    meta->value = (struct gal_str){gal_arena_strdup(&f->arena, args), args.n};
    bool is_whole = meta->key.p && meta->value.p;
    return is_whole ? GAL_OK : gal_fail(err, GAL_NO_MEMORY, "no memory for metadata");
}

static enum gal_status parse_number(struct gal_str args, uint64_t *out, struct gal_err *err)
{
    if (gal_str_u64(args, out))
        return gal_fail(err, GAL_INVALID, "not a number: %.*s", GAL_STR_ARG(args));
    return GAL_OK;
}

static enum gal_status parse_line(struct fake *f, struct gal_str line, struct gal_err *err)
{
    struct gal_str word = {NULL, 0};
    gal_str_cut(&line, ' ', &word);
    line = gal_str_trim(line);
    if (gal_str_is(word, "input"))
        return parse_port(f, line, f->inputs, &f->info.input_count, err);
    if (gal_str_is(word, "optional")) {
        enum gal_status status = parse_port(f, line, f->inputs, &f->info.input_count, err);
        if (!status)
            f->inputs[f->info.input_count - 1].optional = true;
        return status;
    }
    if (gal_str_is(word, "output"))
        return parse_port(f, line, f->outputs, &f->info.output_count, err);
    if (gal_str_is(word, "meta"))
        return parse_meta(f, line, err);
    if (gal_str_is(word, "cost_us"))
        return parse_number(line, &f->cost_us, err);
    if (gal_str_is(word, "fail_every"))
        return parse_number(line, &f->fail_every, err);
    if (gal_str_is(word, "refuse_every"))
        return parse_number(line, &f->refuse_every, err);
    if (gal_str_is(word, "load_fails"))
        return gal_fail(err, GAL_INVALID, "%.*s", GAL_STR_ARG(line));
    return gal_fail(err, GAL_INVALID, "unknown statement: %.*s", GAL_STR_ARG(word));
}

static enum gal_status parse(struct fake *f, struct gal_str text, struct gal_err *err)
{
    struct gal_str line;
    for (size_t number = 1; gal_str_cut(&text, '\n', &line); number++) {
        struct gal_str rest = line, code = line;
        gal_str_cut(&rest, '#', &code);
        code = gal_str_trim(code);
        enum gal_status status = code.n ? parse_line(f, code, err) : GAL_OK;
        if (status) {
            gal_err_place(err, "line %zu", number);
            return status;
        }
    }
    if (f->info.input_count == 0 || f->info.output_count == 0)
        return gal_fail(err, GAL_INVALID, "a model has at least one input and one output");
    for (size_t i = 0; i < f->info.output_count; i++) {
        if (f->outputs[i].dtype != f->inputs[i % f->info.input_count].dtype)
            return gal_fail(err, GAL_INVALID, "output %s has not its input's datatype",
                            f->outputs[i].name.p);
    }
    return GAL_OK;
}

/* ---- the slots ---- */

static enum gal_status fake_version(const struct gal_backend_options *options, const char **out,
                                    struct gal_err *err)
{
    (void)options, (void)err;
    *out = "1";
    return GAL_OK;
}

static void fake_free(struct gal_session *session)
{
    struct fake *f = own(session);
    if (!f)
        return;
    gal_arena_release(&f->arena);
    pthread_cond_destroy(&f->moved);
    pthread_mutex_destroy(&f->lock);
    gal_free(f);
}

static struct fake *fake_new(void)
{
    struct fake *f = gal_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->moved, NULL);
    gal_arena_init(&f->arena, 4096, 0, 1u << 20);
    f->info = (struct gal_model_info){
        .platform = "fake",
        .inputs = f->inputs,
        .outputs = f->outputs,
        .meta = f->meta,
        .producer = "",
        .graph_name = "fake",
        .description = "",
        .domain = "",
        .opsets = GAL_STR(""),
    };
    return f;
}

static enum gal_status fake_load(const char *path, const struct gal_backend_options *options,
                                 struct gal_session **out, struct gal_err *err)
{
    (void)options;
    *out = NULL;
    struct gal_file_info info;
    enum gal_status status = gal_file_stat(path, &info, err);
    if (status)
        return status;
    if (info.kind != GAL_FILE_REGULAR)
        return gal_fail(err, GAL_NOT_FOUND, "no such file: %s", path);
    struct gal_buf text;
    status = gal_file_read(path, FILE_BYTES_MAX, &text, err);
    if (status)
        return status;
    struct fake *f = fake_new();
    status = f ? parse(f, gal_buf_str(&text), err)
               : gal_fail(err, GAL_NO_MEMORY, "no memory for a session");
    gal_buf_release(&text);
    if (status)
        fake_free((struct gal_session *)f);
    else
        *out = (struct gal_session *)f;
    return status;
}

static const struct gal_model_info *fake_info(const struct gal_session *session)
{
    return &((const struct fake *)session)->info;
}

static void pass_gate(struct fake *f)
{
    if (!f->has_gate)
        return;
    pthread_mutex_lock(&f->lock);
    f->at_gate++;
    pthread_cond_broadcast(&f->moved);
    while (f->closed)
        pthread_cond_wait(&f->moved, &f->lock);
    f->at_gate--;
    pthread_mutex_unlock(&f->lock);
}

/* Waits on nothing: no clock is read, and no thread is kept busy. */
static void spend(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    if (us > 0)
        ppoll(NULL, 0, &time, NULL);
}

#define DOUBLE(type, T)                                                                            \
    case type:                                                                                     \
        for (size_t i = 0; i < n; i++)                                                             \
            ((T *)to)[i] = (T)(((const T *)from)[i] * 2);                                          \
        break

static void double_numbers(enum gal_dtype t, const void *from, void *to, size_t n)
{
    switch (t) {
        DOUBLE(GAL_DT_UINT8, uint8_t);
        DOUBLE(GAL_DT_UINT16, uint16_t);
        DOUBLE(GAL_DT_UINT32, uint32_t);
        DOUBLE(GAL_DT_UINT64, uint64_t);
        DOUBLE(GAL_DT_INT8, int8_t);
        DOUBLE(GAL_DT_INT16, int16_t);
        DOUBLE(GAL_DT_FP32, float);
        DOUBLE(GAL_DT_FP64, double);
    case GAL_DT_INT32: /* unsigned: signed overflow is undefined */
        double_numbers(GAL_DT_UINT32, from, to, n);
        break;
    case GAL_DT_INT64:
        double_numbers(GAL_DT_UINT64, from, to, n);
        break;
    case GAL_DT_FP16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] =
                gal_fp16_from_fp32(2 * gal_fp16_to_fp32(((const uint16_t *)from)[i]));
        break;
    case GAL_DT_BF16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] =
                gal_bf16_from_fp32(2 * gal_bf16_to_fp32(((const uint16_t *)from)[i]));
        break;
    default:
        if (n > 0)
            memcpy(to, from, n * gal_dtype_size(t));
    }
}

static bool double_texts(const struct gal_str *from, struct gal_str *to, size_t n,
                         struct gal_arena *arena)
{
    for (size_t i = 0; i < n; i++) {
        char *p = gal_arena_small(arena, 2 * from[i].n);
        if (!p)
            return false;
        if (from[i].n > 0) {
            memcpy(p, from[i].p, from[i].n);
            memcpy(p + from[i].n, from[i].p, from[i].n);
        }
        to[i] = (struct gal_str){p, 2 * from[i].n};
    }
    return true;
}

static enum gal_status answer(const struct gal_tensor *in, const struct gal_port *port,
                              struct gal_arena *arena, struct gal_value *out, struct gal_err *err)
{
    void *data = gal_arena_array(arena, in->count, gal_dtype_size(in->dtype));
    int64_t *shape = gal_arena_array(arena, in->rank, sizeof *shape);
    bool is_done = data && shape;
    if (is_done && in->rank > 0)
        memcpy(shape, in->shape, in->rank * sizeof *shape);
    if (is_done && in->dtype == GAL_DT_BYTES)
        is_done = double_texts(in->data, data, in->count, arena);
    else if (is_done)
        double_numbers(in->dtype, in->data, data, in->count);
    if (!is_done)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an output");
    *out = (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = *in};
    out->tensor.name = port->name;
    out->tensor.shape = shape;
    out->tensor.data = data;
    return GAL_OK;
}

static enum gal_status check_inputs(const struct fake *f, const struct gal_value *inputs,
                                    struct gal_err *err)
{
    for (size_t i = 0; i < f->info.input_count; i++) {
        const struct gal_port *port = &f->inputs[i];
        const struct gal_tensor *t = &inputs[i].tensor;
        if (inputs[i].kind == GAL_KIND_NONE && port->optional)
            continue;
        if (inputs[i].kind != GAL_KIND_TENSOR || t->dtype != port->dtype)
            return gal_fail(err, GAL_INVALID, "fake: input %s is no %s tensor", port->name.p,
                            gal_dtype_name(port->dtype));
        if (!gal_shape_fits(t->shape, t->rank, port->shape, port->rank))
            return gal_fail(err, GAL_INVALID, "fake: input %s has the wrong shape", port->name.p);
    }
    return GAL_OK;
}

static enum gal_status fake_run(struct gal_session *session, const struct gal_value *inputs,
                                const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    struct fake *f = own(session);
    uint64_t run = ++f->runs;
    pass_gate(f);
    spend(f->cost_us);
    if (f->fail_every && run % f->fail_every == 0)
        return gal_fail(err, GAL_INTERNAL, "fake failure of run %llu", (unsigned long long)run);
    if (f->refuse_every && run % f->refuse_every == 0)
        return gal_fail(err, GAL_INVALID, "fake refusal of run %llu", (unsigned long long)run);
    enum gal_status status = check_inputs(f, inputs, err);
    for (size_t i = 0; !status && i < output_count; i++) {
        const struct gal_value *in = &inputs[wanted[i] % f->info.input_count];
        const struct gal_port *port = &f->outputs[wanted[i]];
        outputs[i] = (struct gal_value){.kind = GAL_KIND_NONE, .tensor.name = port->name};
        if (in->kind == GAL_KIND_TENSOR)
            status = answer(&in->tensor, port, arena, &outputs[i], err);
    }
    return status;
}

static void fake_release_output(struct gal_session *session, struct gal_value *output)
{
    (void)session, (void)output;
}

static void fake_trim(struct gal_session *session)
{
    own(session)->trims++;
}

const struct gal_backend_ops gal_backend_fake = {
    .abi = GAL_BACKEND_ABI,
    .name = "fake",
    .version = fake_version,
    .load = fake_load,
    .free = fake_free,
    .info = fake_info,
    .run = fake_run,
    .release_output = fake_release_output,
    .trim = fake_trim,
};

/* ---- the gate ---- */

void gal_fake_gate_close(struct gal_session *session)
{
    struct fake *f = own(session);
    pthread_mutex_lock(&f->lock);
    f->closed = true;
    f->has_gate = true;
    pthread_mutex_unlock(&f->lock);
}

void gal_fake_gate_open(struct gal_session *session)
{
    struct fake *f = own(session);
    pthread_mutex_lock(&f->lock);
    f->closed = false;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
}

void gal_fake_gate_await(struct gal_session *session, size_t count)
{
    struct fake *f = own(session);
    pthread_mutex_lock(&f->lock);
    while (f->at_gate < count)
        pthread_cond_wait(&f->moved, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

uint64_t gal_fake_trims(struct gal_session *session)
{
    return own(session)->trims;
}

uint64_t gal_fake_runs(struct gal_session *session)
{
    return own(session)->runs;
}
