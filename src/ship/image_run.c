/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/image_run.h"

#include "package/environment.h"
#include "ship/audit_rules.h"
#include "source/source.h"

#include <stdio.h>

#define ID_MAX 4294967294u /* -1 means "no change" to the system */

struct lists {
    struct gal_arena *arena;
    struct gal_oci_annotation *labels;
    struct gal_str *env;
    size_t label_count, env_count;
};

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's configuration");
}

/* --- user --- */

static bool id_of(struct gal_str text, uint64_t *out)
{
    return gal_str_u64(text, out) == GAL_OK && *out <= ID_MAX;
}

enum gal_status gal_ship_user(const char *text, bool has_base, uint64_t *uid, uint64_t *gid,
                              struct gal_err *err)
{
    struct gal_str rest = gal_str_of(text), part = rest;
    *uid = *gid = GAL_SHIP_UID;
    if (!text)
        return GAL_OK;
    gal_str_cut(&rest, ':', &part);
    if (id_of(part, uid)) {
        *gid = *uid;
        if (rest.n == 0 || id_of(rest, gid))
            return GAL_OK;
    }
    if (has_base && text[0] && !strpbrk(text, " \t\n"))
        return GAL_OK; /* a name of the base's */
    gal_fail(err, GAL_INVALID, "'%.64s' is not UID or UID:GID", text);
    gal_err_hint(err, "numbers, as Kubernetes' runAsNonRoot can only check those; untold it is "
                      "65532:65532");
    return GAL_INVALID;
}

/* --- environment --- */

/* The last of a name wins, in its first place. */
static void put_env(struct lists *l, struct gal_str pair)
{
    struct gal_str name, rest = pair;
    gal_str_cut(&rest, '=', &name);
    for (size_t i = 0; i < l->env_count; i++) {
        struct gal_str other, text = l->env[i];
        gal_str_cut(&text, '=', &other);
        if (gal_str_eq(name, other)) {
            l->env[i] = pair;
            return;
        }
    }
    l->env[l->env_count++] = pair;
}

/* Value of NAME in "NAME=VALUE"s; empty when absent. */
static struct gal_str env_value(const struct gal_str *env, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        struct gal_str key, text = env[i];
        gal_str_cut(&text, '=', &key);
        if (gal_str_is(key, name))
            return text;
    }
    return (struct gal_str){NULL, 0};
}

static enum gal_status fill_env(const struct gal_ship_options *o, const struct gal_view *base,
                                struct lists *l, struct gal_err *err)
{
    size_t base_count = base ? base->env_count : 0;
    struct gal_str path =
        base ? env_value(base->env, base_count, "PATH") : (struct gal_str){NULL, 0};
    const char *path_text, *port, *source = "";
    l->env = gal_arena_array(l->arena, base_count + o->env_count + 4, sizeof *l->env);
    path_text = gal_arena_printf(l->arena, "PATH=/" GAL_SHIP_PREFIX "/bin%s%.*s", path.n ? ":" : "",
                                 GAL_STR_ARG(path));
    port = gal_arena_printf(l->arena, "GALLEY_HTTP_PORT=%u", o->port ? o->port : 8080);
    if (o->source)
        source = gal_arena_printf(l->arena, GAL_MODEL_DEFAULT "=%s", o->source);
    if (!l->env || !path_text || !port || !source)
        return no_memory(err);
    for (size_t i = 0; i < base_count; i++)
        put_env(l, base->env[i]);
    put_env(l, gal_str_of(path_text));
    put_env(l, GAL_STR("GALLEY_HOST=0.0.0.0"));
    put_env(l, gal_str_of(port));
    if (o->source)
        put_env(l, gal_str_of(source));
    for (size_t i = 0; i < o->env_count; i++)
        put_env(l, o->env[i]);
    return GAL_OK;
}

/* --- labels --- */

static void put_label(struct lists *l, const char *key, struct gal_str value)
{
    struct gal_oci_annotation label = {gal_str_of(key), value};
    if (value.n == 0)
        return;
    for (size_t i = 0; i < l->label_count; i++) {
        if (gal_str_eq(l->labels[i].key, label.key)) {
            l->labels[i] = label;
            return;
        }
    }
    l->labels[l->label_count++] = label;
}

static void put_package_labels(struct lists *l, const struct gal_models *m)
{
    put_label(l, "org.opencontainers.image.title", gal_str_of(m->name));
    put_label(l, "org.opencontainers.image.version", gal_str_of(m->version));
    put_label(l, "ai.galley.package.digest", gal_str_of(m->digest));
    put_label(l, "ai.galley.freeze", m->freeze);
    if (!m->package)
        return;
    put_label(l, "org.opencontainers.image.description", m->package->manifest->description);
    put_label(l, "org.opencontainers.image.licenses", m->package->manifest->licence);
    put_label(l, "org.opencontainers.image.authors", m->package->manifest->owner);
    put_label(l, "ai.galley.manifest", m->package->manifest_text);
}

/* What a base says of itself is not true of what stands on it. */
static bool is_of_base_alone(struct gal_str key)
{
    return gal_str_starts(key, GAL_STR("org.opencontainers.image.")) ||
           gal_str_starts(key, GAL_STR("ai.galley."));
}

static enum gal_status fill_labels(const struct gal_ship_options *o, struct gal_ship *image,
                                   struct lists *l, struct gal_err *err)
{
    const struct gal_view *base = o->base ? o->base->view : NULL;
    size_t base_count = base ? base->label_count : 0, bytes = 0;
    l->labels = gal_arena_array(l->arena, base_count + o->label_count + 16, sizeof *l->labels);
    if (!l->labels)
        return no_memory(err);
    for (size_t i = 0; i < base_count; i++) {
        if (!is_of_base_alone(base->labels[i].key))
            l->labels[l->label_count++] = base->labels[i];
    }
    put_label(l, "ai.galley.version", GAL_STR(GAL_VERSION));
    put_label(l, "ai.galley.onnxruntime", gal_str_of(o->runtime.engine_version));
    put_package_labels(l, &image->models);
    if (o->base) {
        put_label(l, GAL_BASE_NAME, o->base->name);
        put_label(l, "org.opencontainers.image.base.digest", gal_str_of(base->top.digest));
    }
    for (size_t i = 0; i < o->label_count; i++) {
        const char *key = gal_arena_strdup(l->arena, o->labels[i].key);
        if (!key)
            return no_memory(err);
        put_label(l, key, o->labels[i].value);
    }
    for (size_t i = 0; i < l->label_count; i++)
        bytes += l->labels[i].key.n + l->labels[i].value.n;
    if (bytes > GAL_SHIP_LABEL_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "labels of %zu bytes: an image takes %u", bytes,
                        GAL_SHIP_LABEL_MAX);
    return GAL_OK;
}

/* --- all of it --- */

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
static const struct gal_str serve[] = {TEXT(GAL_SHIP_BINARY), TEXT("serve"), TEXT("/models")};
static const struct gal_str health[] = {TEXT("CMD"), TEXT(GAL_SHIP_BINARY), TEXT("health")};

static enum gal_status fill_user(const struct gal_ship_options *o, struct gal_ship *image,
                                 struct gal_ship_config *c, struct gal_err *err)
{
    uint64_t uid, gid;
    const char *text = o->user;
    enum gal_status status = gal_ship_user(o->user, o->base != NULL, &uid, &gid, err);
    if (status)
        return status;
    if (!text || (text[0] >= '0' && text[0] <= '9'))
        text = gal_arena_printf(&image->arena, "%llu:%llu", (unsigned long long)uid,
                                (unsigned long long)gid);
    if (!text)
        return no_memory(err);
    c->user = gal_str_of(text);
    return GAL_OK;
}

static void fill_health(const struct gal_ship_health *h, struct gal_ship_config *c)
{
    static const struct gal_str none[] = {TEXT("NONE")}; /* a base's is off too */
    c->health = h->is_off ? none : health;
    c->health_count = h->is_off ? 1 : 3;
    if (h->is_off)
        return;
    c->health_interval_s = h->interval_s ? h->interval_s : 30;
    c->health_timeout_s = h->timeout_s ? h->timeout_s : 10;
    c->health_start_s = h->start_s ? h->start_s : 60;
    c->health_retries = h->retries ? h->retries : 3;
}

enum gal_status gal_ship_run(const struct gal_ship_options *options, struct gal_ship *image,
                             struct gal_ship_config *c, struct gal_err *err)
{
    const struct gal_view *base = options->base ? options->base->view : NULL;
    struct lists l = {.arena = &image->arena};
    struct gal_str *port = gal_arena_small(&image->arena, sizeof *port);
    const char *text =
        gal_arena_printf(&image->arena, "%u/tcp", options->port ? options->port : 8080);
    enum gal_status status;
    if (!port || !text)
        return no_memory(err);
    status = fill_user(options, image, c, err);
    if (!status)
        status = fill_labels(options, image, &l, err);
    c->labels = l.labels;
    c->label_count = l.label_count;
    if (status || options->data_only)
        return status;
    status = fill_env(options, base, &l, err);
    if (status)
        return status;
    *port = gal_str_of(text);
    c->ports = port;
    c->port_count = 1;
    c->env = l.env;
    c->env_count = l.env_count;
    c->entrypoint = serve;
    c->entrypoint_count = options->source ? 2 : 3;
    fill_health(&options->health, c);
    c->working_dir = base && base->working_dir.n ? base->working_dir : GAL_STR("/");
    c->epoch = options->epoch;
    return GAL_OK;
}

/* --- CUDA --- */

static enum gal_status read_cuda(struct gal_ship *image, struct gal_str *cuda, struct gal_err *err)
{
    struct gal_environment e;
    const struct gal_models *m = &image->models;
    enum gal_status status;
    *cuda = (struct gal_str){NULL, 0};
    if (m->freeze.n == 0)
        return GAL_OK;
    status = gal_environment_read(m->freeze, "freeze list", &image->arena, &e, err);
    if (!status)
        *cuda = e.cuda;
    return status;
}

/* "12.1" of CUDA_VERSION=12.1.0: releases of one minor version go together. */
static struct gal_str minor_of(struct gal_str version)
{
    unsigned dots = 0;
    for (size_t i = 0; i < version.n; i++) {
        if (version.p[i] == '.' && ++dots == 2)
            return (struct gal_str){version.p, i};
    }
    return version;
}

static void warn(struct gal_ship *image, bool so, const char *text)
{
    if (so && image->warning_count < GAL_SHIP_WARNINGS_MAX)
        image->warnings[image->warning_count++] = text;
}

void gal_ship_advise_base(const struct gal_ship_options *options, struct gal_ship *image)
{
    const struct gal_ship_base *base = options->base;
    if (!base)
        return;
    warn(image, base->name.n && gal_audit_floats(base->name),
         "the base is named by a tag that moves: pin its full version or its digest");
    warn(
        image, gal_audit_names_devel(base->name) || gal_audit_is_devel(base->view),
        "the base is CUDA's -devel image, with compilers and headers: the -runtime one of the same "
        "version is enough");
    warn(image, gal_audit_is_full(base->name),
         "the base is a full image: the -slim one of the same version is enough, as galley brings "
         "what it needs; for a CPU no base is needed at all");
}

enum gal_status gal_ship_check_cuda(const struct gal_ship_options *options, struct gal_ship *image,
                                    struct gal_err *err)
{
    const struct gal_package *package = image->models.package;
    const struct gal_view *base = options->base ? options->base->view : NULL;
    bool requires = package && package->manifest->require_cuda;
    struct gal_str wanted, there = {NULL, 0};
    enum gal_status status = read_cuda(image, &wanted, err);
    if (status)
        return status;
    if (base)
        there = minor_of(env_value(base->env, base->env_count, "CUDA_VERSION"));
    if (requires && !base) {
        gal_fail(err, GAL_CONFLICT, "the package requires CUDA, and nothing of the image has it");
        gal_err_hint(err, "--base an image with it, e.g. nvidia/cuda:12.4.1-cudnn-runtime-...");
        return GAL_CONFLICT;
    }
    if (base && wanted.n && there.n && !gal_cuda_agrees(wanted, there)) {
        gal_fail(err, GAL_CONFLICT, "the freeze list is of CUDA %.*s, the base image has CUDA %.*s",
                 GAL_STR_SHOWN(wanted), GAL_STR_SHOWN(there));
        gal_err_hint(err, "take a base image of CUDA %.*s", GAL_STR_SHOWN(wanted));
        return GAL_CONFLICT;
    }
    warn(image, base && wanted.n && there.n == 0,
         "the freeze list is of a CUDA; the base image does not say (CUDA_VERSION) which it has");
    warn(image, base && wanted.n == 0 && requires && there.n == 0,
         "the package requires CUDA; the base image does not say (CUDA_VERSION) that it has one");
    return GAL_OK;
}
