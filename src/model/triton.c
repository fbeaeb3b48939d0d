/* SPDX-License-Identifier: Apache-2.0 */
/* The top of a config.pbtxt, its inputs and outputs, versions and instance groups. */
#include "model/triton.h"

#include "model/triton_fields.h"

#define TREE_BYTES_MAX (64u << 20)

/* ---- datatypes ---- */

static const char *const type_names[GAL_DT_COUNT] = {
    [GAL_DT_NONE] = "TYPE_INVALID",  [GAL_DT_BOOL] = "TYPE_BOOL",
    [GAL_DT_UINT8] = "TYPE_UINT8",   [GAL_DT_UINT16] = "TYPE_UINT16",
    [GAL_DT_UINT32] = "TYPE_UINT32", [GAL_DT_UINT64] = "TYPE_UINT64",
    [GAL_DT_INT8] = "TYPE_INT8",     [GAL_DT_INT16] = "TYPE_INT16",
    [GAL_DT_INT32] = "TYPE_INT32",   [GAL_DT_INT64] = "TYPE_INT64",
    [GAL_DT_FP16] = "TYPE_FP16",     [GAL_DT_FP32] = "TYPE_FP32",
    [GAL_DT_FP64] = "TYPE_FP64",     [GAL_DT_BYTES] = "TYPE_STRING",
    [GAL_DT_BF16] = "TYPE_BF16",
};

const char *gal_triton_type_name(enum gal_dtype t)
{
    return type_names[t];
}

enum gal_status gal_triton_take_type(struct gal_triton *t, const struct gal_pbtxt *n,
                                     struct gal_str word, enum gal_dtype *out)
{
    for (size_t i = GAL_DT_NONE + 1; i < GAL_DT_COUNT; i++) {
        if (gal_str_is(word, type_names[i])) {
            *out = (enum gal_dtype)i;
            return GAL_OK;
        }
    }
    gal_triton_refuse(t, n, "data_type: %.*s is none of TYPE_FP32, TYPE_INT64, TYPE_STRING, ...",
                      word.n < 64 ? (int)word.n : 64, word.p);
    if (gal_str_is(word, "TYPE_BYTES"))
        gal_err_hint(t->err, "text is TYPE_STRING here");
    return GAL_INVALID;
}

/* ---- inputs and outputs ---- */

static enum gal_status take_port_name(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    struct gal_declared *d = to;
    (void)n;
    d->name = (struct gal_str){gal_arena_strdup(t->arena, v->text), v->text.n};
    return d->name.p ? GAL_OK : gal_triton_no_memory(t);
}

static enum gal_status take_port_type(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    return gal_triton_take_type(t, n, v->text, &((struct gal_declared *)to)->dtype);
}

static enum gal_status take_dim(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_value *v, void *to)
{
    struct gal_declared *d = to;
    if (v->i == 0 || v->i < -1)
        return gal_triton_refuse(t, n, "dims: %lld is no size: sizes are 1 and more, -1 is any",
                                 (long long)v->i);
    if (d->rank == GAL_RANK_MAX - 1)
        return gal_triton_refuse(t, n, "dims: more than %u dimensions", GAL_RANK_MAX - 1);
    d->shape[d->rank++] = v->i;
    return GAL_OK;
}

static enum gal_status take_optional(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n;
    ((struct gal_declared *)to)->optional = v->b;
    return GAL_OK;
}

static enum gal_status take_format(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (gal_str_is(v->text, "FORMAT_NONE"))
        return GAL_OK;
    if (!gal_str_is(v->text, "FORMAT_NHWC") && !gal_str_is(v->text, "FORMAT_NCHW"))
        return gal_triton_refuse(t, n,
                                 "input.format: none of FORMAT_NONE, FORMAT_NHWC, FORMAT_NCHW");
    return gal_triton_note(t, n->line, "input.format", "tensors are taken as they come");
}

static enum gal_status take_reshape_size(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to)
{
    struct gal_declared *d = to;
    if (v->i == 0 || v->i < -1)
        return gal_triton_refuse(t, n, "reshape: %lld is no size: sizes are 1 and more, -1 is any",
                                 (long long)v->i);
    if (d->reshape_rank == GAL_RANK_MAX - 1)
        return gal_triton_refuse(t, n, "reshape: more than %u dimensions", GAL_RANK_MAX - 1);
    d->reshape[d->reshape_rank++] = v->i;
    return GAL_OK;
}

static const struct gal_triton_field reshape_fields[] = {
    {"shape", GAL_TRITON_INT, GAL_TRITON_MANY, take_reshape_size, NULL, NULL}};
static const struct gal_triton_table reshape_table = GAL_TRITON_TABLE("reshape.", reshape_fields);

static enum gal_status take_reshape(struct gal_triton *t, const struct gal_pbtxt *n,
                                    const struct gal_triton_value *v, void *to)
{
    struct gal_declared *d = to;
    (void)v;
    d->has_reshape = true;
    return gal_triton_read_message(t, n, &reshape_table, d);
}

/* Open sizes are as many, and the others multiply to the same. */
static bool same_count(const struct gal_declared *d)
{
    size_t open[2] = {0, 0};
    uint64_t product[2] = {1, 1};
    for (size_t side = 0; side < 2; side++) {
        const int64_t *shape = side ? d->reshape : d->shape;
        size_t rank = side ? d->reshape_rank : d->rank;
        for (size_t i = 0; i < rank; i++) {
            open[side] += shape[i] < 0;
            if (shape[i] > 0 &&
                __builtin_mul_overflow(product[side], (uint64_t)shape[i], &product[side]))
                return false;
        }
    }
    return open[0] == open[1] && product[0] == product[1];
}

static const char no_shape_tensor[] = "that is a matter of TensorRT: take it out";
static const char no_ragged[] =
    "take it out: requests of different shapes run apart, or together by `padding` in galley.yaml";

static enum gal_status take_labels(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    struct gal_declared *d = to;
    if (v->text.n == 0)
        return GAL_OK;
    if (v->text.p[0] == '/' || v->text.n > GAL_NAME_BYTES_MAX ||
        memmem(v->text.p, v->text.n, "..", 2))
        return gal_triton_refuse(t, n, "output.label_filename: a file in the model's directory");
    d->label_path = gal_arena_printf(t->arena, "%s/%s", t->dir, v->text.p);
    if (d->label_path)
        d->label_file = d->label_path + strlen(t->dir) + 1;
    return d->label_path ? GAL_OK : gal_triton_no_memory(t);
}

static const struct gal_triton_field input_fields[] = {
    {"name", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_port_name, NULL, NULL},
    {"data_type", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_port_type, NULL, NULL},
    {"format", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_format, NULL, NULL},
    {"dims", GAL_TRITON_INT, GAL_TRITON_MANY, take_dim, NULL, NULL},
    {"reshape", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_reshape, NULL, NULL},
    {"is_shape_tensor", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL, no_shape_tensor},
    {"allow_ragged_batch", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL, no_ragged},
    {"optional", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_optional, NULL, NULL},
    {"is_non_linear_format_io", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL, no_shape_tensor},
};
static const struct gal_triton_field output_fields[] = {
    {"name", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_port_name, NULL, NULL},
    {"data_type", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_port_type, NULL, NULL},
    {"dims", GAL_TRITON_INT, GAL_TRITON_MANY, take_dim, NULL, NULL},
    {"reshape", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_reshape, NULL, NULL},
    {"label_filename", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_labels, NULL, NULL},
    {"is_shape_tensor", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL, no_shape_tensor},
    {"is_non_linear_format_io", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL, no_shape_tensor},
};
static const struct gal_triton_table input_table = GAL_TRITON_TABLE("input.", input_fields);
static const struct gal_triton_table output_table = GAL_TRITON_TABLE("output.", output_fields);

static enum gal_status take_port(struct gal_triton *t, const struct gal_pbtxt *n, bool is_output)
{
    const char *kind = is_output ? "output" : "input";
    struct gal_declared *d = gal_arena_small(t->arena, sizeof *d);
    if (!d)
        return gal_triton_no_memory(t);
    *d = (struct gal_declared){.is_output = is_output, .line = n->line};
    enum gal_status status =
        gal_triton_read_message(t, n, is_output ? &output_table : &input_table, d);
    if (status)
        return status;
    if (d->name.n == 0)
        return gal_triton_refuse(t, n, "%s: name is missing", kind);
    if (d->dtype == GAL_DT_NONE)
        return gal_triton_refuse(t, n, "%s '%.*s': data_type is missing", kind,
                                 GAL_STR_ARG(d->name));
    if (d->rank == 0)
        return gal_triton_refuse(t, n, "%s '%.*s': dims are missing", kind, GAL_STR_ARG(d->name));
    if (d->has_reshape && !same_count(d))
        return gal_triton_refuse(t, n,
                                 "%s '%.*s': reshape holds another number of elements than dims",
                                 kind, GAL_STR_ARG(d->name));
    for (const struct gal_declared *o = t->c->declared; o; o = o->next) {
        if (o->is_output == is_output && gal_str_eq(o->name, d->name))
            return gal_triton_refuse(t, n, "%s '%.*s' stands twice, in line %u already", kind,
                                     GAL_STR_ARG(d->name), o->line);
    }
    *t->declared_tail = d;
    t->declared_tail = &d->next;
    return GAL_OK;
}

static enum gal_status take_input(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return take_port(t, n, false);
}

static enum gal_status take_output(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return take_port(t, n, true);
}

/* ---- versions ---- */

static enum gal_status take_num_versions(struct gal_triton *t, const struct gal_pbtxt *n,
                                         const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->u == 0)
        return gal_triton_refuse(t, n, "version_policy.latest.num_versions must be at least 1");
    t->c->version_latest = v->u;
    return GAL_OK;
}

static enum gal_status take_version(struct gal_triton *t, const struct gal_pbtxt *n,
                                    const struct gal_triton_value *v, void *to)
{
    struct gal_model_config *c = t->c;
    (void)to;
    if (v->i < 0)
        return gal_triton_refuse(t, n, "version_policy.specific.versions: %lld is no version",
                                 (long long)v->i);
    if (c->version_list_count == GAL_VERSION_LIST_MAX)
        return gal_triton_refuse(t, n, "version_policy.specific: more than %u versions",
                                 GAL_VERSION_LIST_MAX);
    c->version_list[c->version_list_count++] = (uint64_t)v->i;
    return GAL_OK;
}

static const struct gal_triton_field latest_fields[] = {
    {"num_versions", GAL_TRITON_UINT, GAL_TRITON_ONCE, take_num_versions, NULL, NULL}};
static const struct gal_triton_field specific_fields[] = {
    {"versions", GAL_TRITON_INT, GAL_TRITON_MANY, take_version, NULL, NULL}};
static const struct gal_triton_table latest_table =
    GAL_TRITON_TABLE("version_policy.latest.", latest_fields);
static const struct gal_triton_table all_table = {"version_policy.all.", NULL, 0};
static const struct gal_triton_table specific_table =
    GAL_TRITON_TABLE("version_policy.specific.", specific_fields);

static enum gal_status take_latest(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    t->c->versions = GAL_VERSIONS_LATEST;
    t->c->version_latest = 1;
    return gal_triton_read_message(t, n, &latest_table, NULL);
}

static enum gal_status take_all(struct gal_triton *t, const struct gal_pbtxt *n,
                                const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    t->c->versions = GAL_VERSIONS_ALL;
    return gal_triton_read_message(t, n, &all_table, NULL);
}

static enum gal_status take_specific(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    t->c->versions = GAL_VERSIONS_LISTED;
    t->c->version_list_count = 0;
    enum gal_status status = gal_triton_read_message(t, n, &specific_table, NULL);
    if (!status && t->c->version_list_count == 0)
        return gal_triton_refuse(t, n, "version_policy.specific lists no version");
    return status;
}

static const struct gal_triton_field policy_fields[] = {
    {"latest", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_latest, NULL, NULL},
    {"all", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_all, NULL, NULL},
    {"specific", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_specific, NULL, NULL},
};
static const struct gal_triton_table policy_table =
    GAL_TRITON_TABLE("version_policy.", policy_fields);

static enum gal_status take_version_policy(struct gal_triton *t, const struct gal_pbtxt *n,
                                           const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    if (n->child && n->child->next)
        return gal_triton_refuse(t, n->child->next,
                                 "version_policy takes one of latest, all and specific");
    t->c->versions_told = n->child != NULL;
    return gal_triton_read_message(t, n, &policy_table, NULL);
}

/* ---- instance groups ---- */

struct group {
    uint64_t count;
};

static enum gal_status take_group_name(struct gal_triton *t, const struct gal_pbtxt *n,
                                       const struct gal_triton_value *v, void *to)
{
    (void)t, (void)n, (void)v, (void)to; /* a name for logs: nothing to be done */
    return GAL_OK;
}

static enum gal_status take_group_count(struct gal_triton *t, const struct gal_pbtxt *n,
                                        const struct gal_triton_value *v, void *to)
{
    if (v->i < 0 || v->i > 1024)
        return gal_triton_refuse(t, n, "instance_group.count: %lld is out of range 0..1024",
                                 (long long)v->i);
    ((struct group *)to)->count = v->i ? (uint64_t)v->i : 1;
    return GAL_OK;
}

static enum gal_status take_group_kind(struct gal_triton *t, const struct gal_pbtxt *n,
                                       const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (gal_str_is(v->text, "KIND_CPU") || gal_str_is(v->text, "KIND_AUTO"))
        return GAL_OK;
    if (!gal_str_is(v->text, "KIND_GPU") && !gal_str_is(v->text, "KIND_MODEL"))
        return gal_triton_refuse(t, n, "instance_group.kind: %.*s is none of KIND_CPU, KIND_AUTO",
                                 v->text.n < 64 ? (int)v->text.n : 64, v->text.p);
    gal_triton_refuse(t, n, "instance_group.kind: %.*s is not supported", GAL_STR_ARG(v->text));
    t->err->code = GAL_UNSUPPORTED;
    gal_err_hint(t->err, "this galley runs models on CPUs: use KIND_CPU, or KIND_AUTO");
    return GAL_UNSUPPORTED;
}

static const char on_cpus[] = "this galley runs models on CPUs: take it out";
static const struct gal_triton_field group_fields[] = {
    {"name", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_group_name, NULL, NULL},
    {"count", GAL_TRITON_INT, GAL_TRITON_ONCE, take_group_count, NULL, NULL},
    {"kind", GAL_TRITON_WORD, GAL_TRITON_ONCE, take_group_kind, NULL, NULL},
    {"gpus", GAL_TRITON_INT, GAL_TRITON_MANY, NULL, NULL, on_cpus},
    {"profile", GAL_TRITON_TEXT, GAL_TRITON_MANY, NULL, "profiles are a matter of TensorRT", NULL},
    {"rate_limiter", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL,
     "each model has workers of its own, bounded by count", NULL},
    {"passive", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL,
     "take it out: an instance that never runs"},
    {"secondary_devices", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, NULL, NULL, on_cpus},
    {"host_policy", GAL_TRITON_TEXT, GAL_TRITON_ONCE, NULL, "the process's CPU affinity rules",
     NULL},
};
static const struct gal_triton_table group_table =
    GAL_TRITON_TABLE("instance_group.", group_fields);

static enum gal_status take_group(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    struct group g = {1};
    (void)v, (void)to;
    enum gal_status status = gal_triton_read_message(t, n, &group_table, &g);
    t->workers += (unsigned)g.count;
    if (!status && t->workers > 1024)
        return gal_triton_refuse(t, n, "instance_group: more than 1024 instances");
    return status;
}

/* ---- the top ---- */

static enum gal_status take_name(struct gal_triton *t, const struct gal_pbtxt *n,
                                 const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->text.n == 0 || gal_str_is(v->text, t->name))
        return GAL_OK;
    gal_triton_refuse(t, n, "name: \"%.*s\" is not the directory's name, %.100s",
                      v->text.n < 100 ? (int)v->text.n : 100, v->text.p, t->name);
    gal_err_hint(t->err, "rename one of them, or take the line out");
    return GAL_INVALID;
}

static enum gal_status take_engine(struct gal_triton *t, const struct gal_pbtxt *n,
                                   const struct gal_triton_value *v, const char *known)
{
    if (v->text.n == 0 || gal_str_is(v->text, known))
        return GAL_OK;
    gal_triton_refuse(t, n, "%.*s: \"%.*s\" is not supported", GAL_STR_ARG(n->name),
                      v->text.n < 100 ? (int)v->text.n : 100, v->text.p);
    t->err->code = GAL_UNSUPPORTED;
    gal_err_hint(t->err, "galley serves ONNX models, %.*s: \"%s\"; export the model to ONNX",
                 GAL_STR_ARG(n->name), known);
    return GAL_UNSUPPORTED;
}

static enum gal_status take_platform(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct gal_triton_value *v, void *to)
{
    (void)to;
    return take_engine(t, n, v, "onnxruntime_onnx");
}

static enum gal_status take_backend(struct gal_triton *t, const struct gal_pbtxt *n,
                                    const struct gal_triton_value *v, void *to)
{
    (void)to;
    return take_engine(t, n, v, "onnxruntime");
}

static enum gal_status take_max_batch(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->i < 0 || v->i > GAL_BATCH_ROWS_MOST)
        return gal_triton_refuse(t, n, "max_batch_size: %lld is out of range 0..%u",
                                 (long long)v->i, GAL_BATCH_ROWS_MOST);
    t->c->max_batch_line = n->line;
    t->c->max_batch_size = (size_t)v->i;
    t->c->batch_told = v->i ? GAL_BATCH_ROWS : GAL_BATCH_NONE;
    return GAL_OK;
}

static enum gal_status take_file_name(struct gal_triton *t, const struct gal_pbtxt *n,
                                      const struct gal_triton_value *v, void *to)
{
    (void)to;
    if (v->text.n == 0)
        return GAL_OK;
    if (memchr(v->text.p, '/', v->text.n) || gal_str_is(v->text, ".") || gal_str_is(v->text, ".."))
        return gal_triton_refuse(t, n, "default_model_filename: a file's name without a directory");
    t->c->file_name = gal_arena_strdup(t->arena, v->text);
    return t->c->file_name ? GAL_OK : gal_triton_no_memory(t);
}

static enum gal_status take_cache_on(struct gal_triton *t, const struct gal_pbtxt *n,
                                     const struct gal_triton_value *v, void *to)
{
    (void)n, (void)to;
    t->c->cache.on = v->b;
    return GAL_OK;
}

static const struct gal_triton_field cache_fields[] = {
    {"enable", GAL_TRITON_FLAG, GAL_TRITON_ONCE, take_cache_on, NULL, NULL}};
static const struct gal_triton_table cache_table =
    GAL_TRITON_TABLE("response_cache.", cache_fields);

static enum gal_status take_cache(struct gal_triton *t, const struct gal_pbtxt *n,
                                  const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return gal_triton_read_message(t, n, &cache_table, NULL);
}

static const struct gal_triton_field transaction_fields[] = {
    {"decoupled", GAL_TRITON_FLAG, GAL_TRITON_ONCE, NULL, NULL,
     "one request has one answer: take it out"}};
static const struct gal_triton_table transaction_table =
    GAL_TRITON_TABLE("model_transaction_policy.", transaction_fields);

static enum gal_status take_transaction(struct gal_triton *t, const struct gal_pbtxt *n,
                                        const struct gal_triton_value *v, void *to)
{
    (void)v, (void)to;
    return gal_triton_read_message(t, n, &transaction_table, NULL);
}

static const struct gal_triton_field model_fields[] = {
    {"name", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_name, NULL, NULL},
    {"platform", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_platform, NULL, NULL},
    {"backend", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_backend, NULL, NULL},
    {"runtime", GAL_TRITON_TEXT, GAL_TRITON_ONCE, NULL, "galley brings its own way to ONNX Runtime",
     NULL},
    {"version_policy", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_version_policy, NULL, NULL},
    {"max_batch_size", GAL_TRITON_INT, GAL_TRITON_ONCE, take_max_batch, NULL, NULL},
    {"input", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, take_input, NULL, NULL},
    {"output", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, take_output, NULL, NULL},
    {"batch_input", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, NULL, NULL, no_ragged},
    {"batch_output", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, NULL, NULL, no_ragged},
    {"optimization", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, gal_triton_take_optimization, NULL, NULL},
    {"dynamic_batching", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, gal_triton_take_batching, NULL, NULL},
    {"sequence_batching", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, NULL,
     "requests have no state between them here: keep the state in the client, as an input and "
     "output of the model"},
    {"ensemble_scheduling", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, NULL,
     "merge the models into one ONNX graph (onnx.compose), or call them one by one"},
    {"instance_group", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, take_group, NULL, NULL},
    {"default_model_filename", GAL_TRITON_TEXT, GAL_TRITON_ONCE, take_file_name, NULL, NULL},
    {"cc_model_filenames", GAL_TRITON_MESSAGE, GAL_TRITON_MAP, NULL,
     "it chooses a file by the GPU, and galley runs models on CPUs", NULL},
    {"metric_tags", GAL_TRITON_MESSAGE, GAL_TRITON_MAP, NULL,
     "metrics have the labels model and version; add others where they are scraped", NULL},
    {"parameters", GAL_TRITON_MESSAGE, GAL_TRITON_MAP, gal_triton_take_parameter, NULL, NULL},
    {"model_warmup", GAL_TRITON_MESSAGE, GAL_TRITON_MANY, gal_triton_take_warmup, NULL, NULL},
    {"model_operations", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, NULL,
     "libraries of operators are not loaded: export the model with standard operators"},
    {"model_transaction_policy", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_transaction, NULL, NULL},
    {"model_repository_agents", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL, NULL,
     "agents are not run: take them out, and do their work before the model is put here"},
    {"response_cache", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, take_cache, NULL, NULL},
    {"model_metrics", GAL_TRITON_MESSAGE, GAL_TRITON_ONCE, NULL,
     "histograms have buckets of their own", NULL},
};
static const struct gal_triton_table model_table = GAL_TRITON_TABLE("", model_fields);

/* What follows from fields together. */
static enum gal_status conclude(struct gal_triton *t, const struct gal_pbtxt *root)
{
    struct gal_model_config *c = t->c;
    const struct gal_pbtxt *batching = gal_pbtxt_get(root, "dynamic_batching");
    const struct gal_pbtxt preferred = {.line = t->preferred_line};
    if (c->batch_told == GAL_BATCH_ROWS && t->preferred_max > c->max_batch_size)
        return gal_triton_refuse(t, &preferred,
                                 "dynamic_batching.preferred_batch_size: %zu is more than "
                                 "max_batch_size, %zu",
                                 t->preferred_max, c->max_batch_size);
    if (t->workers > 0)
        c->workers = t->workers;
    if (c->batch_told != GAL_BATCH_UNTOLD || t->has_dynamic_batching)
        c->batching = t->has_dynamic_batching;
    c->rows_told = c->batch_told == GAL_BATCH_ROWS && t->has_dynamic_batching;
    if (!c->versions_told) {
        c->versions = GAL_VERSIONS_LATEST;
        c->version_latest = 1;
    }
    if (c->batch_told == GAL_BATCH_NONE && batching)
        return gal_triton_note(t, batching->line, "dynamic_batching",
                               "with max_batch_size: 0 requests run one by one");
    return GAL_OK;
}

static enum gal_status read_by(bool is_json, struct gal_str text, const char *path, const char *dir,
                               const char *name, struct gal_model_config *c,
                               struct gal_arena *arena, struct gal_err *err)
{
    struct gal_triton t = {.path = path, .dir = dir, .name = name, .c = c, .arena = arena};
    struct gal_arena tree;
    struct gal_pbtxt *root;
    struct gal_err own;
    t.err = err ? err : &own;
    t.declared_tail = &c->declared;
    t.notes_tail = &c->notes;
    c->source = gal_arena_strdup(arena, gal_str_of(path));
    if (!c->source)
        return gal_triton_no_memory(&t);
    gal_arena_init(&tree, 16384, 0, TREE_BYTES_MAX);
    enum gal_status status =
        (is_json ? gal_pbtxt_from_json : gal_pbtxt_parse)(text, path, &tree, &root, err);
    if (!status)
        status = gal_triton_read_message(&t, root, &model_table, NULL);
    if (!status)
        status = conclude(&t, root);
    gal_arena_release(&tree);
    return status;
}

enum gal_status gal_triton_read(struct gal_str text, const char *path, const char *dir,
                                const char *name, struct gal_model_config *c,
                                struct gal_arena *arena, struct gal_err *err)
{
    return read_by(false, text, path, dir, name, c, arena, err);
}

enum gal_status gal_triton_read_json(struct gal_str text, const char *source, const char *dir,
                                     const char *name, struct gal_model_config *c,
                                     struct gal_arena *arena, struct gal_err *err)
{
    return read_by(true, text, source, dir, name, c, arena, err);
}
