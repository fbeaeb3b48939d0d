/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/flat.h"

#include "api/infer.h"
#include "base/mem.h"

struct flat {
    const struct gal_backend_ops *ops; /* borrowed */
    struct gal_session *session;       /* borrowed */
    struct gal_model_info info;
    struct gal_port *outputs; /* owned */
};

static struct flat *own(struct gal_session *s)
{
    return (struct flat *)s;
}

static enum gal_status flat_version(const struct gal_backend_options *options, const char **out,
                                    struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "a view has no engine of its own");
}

static enum gal_status flat_load(const char *path, const struct gal_backend_options *options,
                                 struct gal_session **out, struct gal_err *err)
{
    (void)options;
    *out = NULL;
    return gal_fail(err, GAL_UNSUPPORTED, "%s: a view is made of a session, not of a file", path);
}

static void flat_free(struct gal_session *session)
{
    struct flat *f = own(session);
    if (!f)
        return;
    gal_free(f->outputs);
    gal_free(f);
}

static const struct gal_model_info *flat_info(const struct gal_session *session)
{
    return &((const struct flat *)session)->info;
}

/* The values of the maps; the maps themselves go back at once. */
static enum gal_status flatten(const struct flat *f, struct gal_value *v, struct gal_arena *arena,
                               struct gal_err *err)
{
    struct gal_tensor labels, scores;
    enum gal_status status = gal_value_zipmap(v, arena, &labels, &scores, err);

    if (status)
        return status;
    f->ops->release_output(f->session, v);
    *v = (struct gal_value){.kind = GAL_KIND_TENSOR, .tensor = scores};
    return GAL_OK;
}

static enum gal_status flat_run(struct gal_session *session, const struct gal_value *inputs,
                                const size_t *wanted, size_t output_count, struct gal_arena *arena,
                                struct gal_value *outputs, struct gal_err *err)
{
    const struct flat *f = own(session);
    enum gal_status status =
        f->ops->run(f->session, inputs, wanted, output_count, arena, outputs, err);

    if (status)
        return status;
    for (size_t i = 0; i < output_count && !status; i++) {
        if (outputs[i].kind == GAL_KIND_SEQUENCE || outputs[i].kind == GAL_KIND_MAP)
            status = flatten(f, &outputs[i], arena, err);
    }
    for (size_t i = 0; status && i < output_count; i++) {
        if (outputs[i].handle)
            f->ops->release_output(f->session, &outputs[i]);
    }
    return status;
}

static void flat_release_output(struct gal_session *session, struct gal_value *output)
{
    const struct flat *f = own(session);
    if (output->handle)
        f->ops->release_output(f->session, output);
}

static void flat_trim(struct gal_session *session)
{
    const struct flat *f = own(session);
    f->ops->trim(f->session);
}

const struct gal_backend_ops gal_flat_ops = {
    .abi = GAL_BACKEND_ABI,
    .name = "flat",
    .version = flat_version,
    .load = flat_load,
    .free = flat_free,
    .info = flat_info,
    .run = flat_run,
    .release_output = flat_release_output,
    .trim = flat_trim,
};

enum gal_status gal_flat_new(const struct gal_backend_ops *ops, struct gal_session *session,
                             struct gal_session **out, struct gal_err *err)
{
    const struct gal_model_info *info = ops->info(session);
    struct flat *f = gal_calloc(1, sizeof *f);
    struct gal_port *outputs = gal_calloc(info->output_count + 1, sizeof *outputs);

    *out = NULL;
    if (!f || !outputs) {
        gal_free(f);
        gal_free(outputs);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a view of a model");
    }
    for (size_t i = 0; i < info->output_count; i++) {
        outputs[i] = info->outputs[i];
        if (outputs[i].of_maps || outputs[i].kind == GAL_KIND_MAP)
            outputs[i].kind = GAL_KIND_TENSOR;
    }
    *f = (struct flat){ops, session, *info, outputs};
    f->info.outputs = outputs;
    f->info.own_count = 0;
    *out = (struct gal_session *)f;
    return GAL_OK;
}
