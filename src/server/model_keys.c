/* SPDX-License-Identifier: Apache-2.0 */
#include "server/model_keys.h"

#include "base/mem.h"
#include "base/thread.h"

#define ARENA_BYTES_MAX (4u << 20)

/* --- keys that are more than a number --- */

static size_t word_index(const char *text, const char *const *words)
{
    size_t i = 0;

    while (words[i] && strcmp(words[i], text) != 0)
        i++;
    return words[i] ? i : 0; /* the row's type has seen to it that the word is known */
}

static enum gal_status set_schedule(struct gal_model_config *c, const struct gal_config_value *v,
                                    struct gal_err *err)
{
    static const char *const words[] = {[GAL_SCHED_AUTO] = "auto",
                                        [GAL_SCHED_INLINE] = "inline",
                                        [GAL_SCHED_WORKERS] = "workers",
                                        NULL};

    (void)err;
    c->mode = (enum gal_sched_mode)word_index(v->text, words);
    return GAL_OK;
}

static enum gal_status set_graph(struct gal_model_config *c, const struct gal_config_value *v,
                                 struct gal_err *err)
{
    static const char *const words[] = {[GAL_GRAPH_ALL] = "all",
                                        [GAL_GRAPH_EXTENDED] = "extended",
                                        [GAL_GRAPH_BASIC] = "basic",
                                        [GAL_GRAPH_OFF] = "off",
                                        NULL};

    (void)err;
    c->backend.graph_level = (enum gal_graph_level)word_index(v->text, words);
    return GAL_OK;
}

static enum gal_status set_preferred(struct gal_model_config *c, const struct gal_config_value *v,
                                     struct gal_err *err)
{
    uint64_t sizes[GAL_PREFERRED_MAX];

    (void)err;
    c->policy.preferred_count = gal_config_list(v->text, sizes, GAL_PREFERRED_MAX);
    for (size_t i = 0; i < c->policy.preferred_count; i++)
        c->policy.preferred[i] = (size_t)sizes[i];
    return GAL_OK;
}

/* A number over 0 stands above what a config.pbtxt says of batching, 0 leaves it as it is. */
static enum gal_status set_batch_size(struct gal_model_config *c, const struct gal_config_value *v,
                                      struct gal_err *err)
{
    (void)err;
    if (c->batch_told == GAL_BATCH_NONE && v->number > 0)
        c->batch_told = GAL_BATCH_UNTOLD;
    if (v->number > 0)
        c->max_batch_size = (size_t)v->number;
    return GAL_OK;
}

/* 0 leaves what all models have untold. */
static enum gal_status set_queue_bytes(struct gal_model_config *c, const struct gal_config_value *v,
                                       struct gal_err *err)
{
    (void)err;
    if (v->number > 0)
        c->policy.bytes_max = (size_t)v->number;
    c->policy.bytes_told |= v->number > 0;
    return GAL_OK;
}

/* Every level's. */
static enum gal_status set_queue_timeout(struct gal_model_config *c,
                                         const struct gal_config_value *v, struct gal_err *err)
{
    (void)err;
    for (size_t i = 0; i < GAL_LEVELS_MAX; i++)
        c->policy.level[i].timeout_us = v->number;
    return GAL_OK;
}

static enum gal_status set_queue_action(struct gal_model_config *c,
                                        const struct gal_config_value *v, struct gal_err *err)
{
    static const char *const words[] = {
        [GAL_TIMEOUT_REJECT] = "reject", [GAL_TIMEOUT_DELAY] = "delay", NULL};

    (void)err;
    for (size_t i = 0; i < GAL_LEVELS_MAX; i++)
        c->policy.level[i].action = (enum gal_timeout_action)word_index(v->text, words);
    return GAL_OK;
}

static enum gal_status set_override(struct gal_model_config *c, const struct gal_config_value *v,
                                    struct gal_err *err)
{
    (void)err;
    for (size_t i = 0; i < GAL_LEVELS_MAX; i++)
        c->policy.level[i].override = v->number != 0;
    return GAL_OK;
}

static enum gal_status set_verify(struct gal_model_config *c, const struct gal_config_value *v,
                                  struct gal_err *err)
{
    static const char *const words[] = {[GAL_VERIFY_BEFORE] = "before",
                                        [GAL_VERIFY_AFTER] = "after",
                                        [GAL_VERIFY_OFF] = "off",
                                        NULL};

    (void)err;
    c->verify = (enum gal_verify)word_index(v->text, words);
    return GAL_OK;
}

static enum gal_status set_load(struct gal_model_config *c, const struct gal_config_value *v,
                                struct gal_err *err)
{
    (void)err;
    c->lazy = strcmp(v->text, "lazy") == 0;
    return GAL_OK;
}

static enum gal_status set_timeout(struct gal_model_config *c, const struct gal_config_value *v,
                                   struct gal_err *err)
{
    (void)err;
    c->timeout_us = v->number ? v->number : GAL_NO_TIMEOUT;
    return GAL_OK;
}

static enum gal_status set_versions(struct gal_model_config *c, const struct gal_config_value *v,
                                    struct gal_err *err)
{
    enum gal_status status = gal_model_config_versions(c, gal_str_of(v->text), err);

    if (status == GAL_OK && v->source == GAL_FROM_DEFAULT)
        c->versions_told = false;
    return status;
}

static enum gal_status set_labels(struct gal_model_config *c, const struct gal_config_value *v,
                                  struct gal_err *err)
{
    return gal_model_config_labels(c, gal_str_of(v->text), err);
}

/* --- the table --- */

enum kind { SIZE, UNSIGNED, U64, FLAG, CALL };

#define PLACE(member) offsetof(struct gal_model_config, member)
static const struct {
    enum gal_config_key key;
    enum kind kind;
    size_t at; /* all but CALL */
    enum gal_status (*set)(struct gal_model_config *c, const struct gal_config_value *v,
                           struct gal_err *err); /* CALL */
} keys[] = {
    {GAL_KEY_WORKERS, UNSIGNED, PLACE(workers), NULL},
    {GAL_KEY_INTRA_OP_THREADS, UNSIGNED, PLACE(backend.intra_op_threads), NULL},
    {GAL_KEY_MODEL_MEMORY_LIMIT, SIZE, PLACE(backend.memory_bytes_max), NULL},
    {GAL_KEY_GRAPH_OPTIMIZATION, CALL, 0, set_graph},
    {GAL_KEY_SHARE_WEIGHTS, FLAG, PLACE(backend.share_weights), NULL},
    {GAL_KEY_SCHEDULE, CALL, 0, set_schedule},
    {GAL_KEY_INLINE_LIMIT, U64, PLACE(inline_us_max), NULL},
    {GAL_KEY_BATCHING, FLAG, PLACE(batching), NULL},
    {GAL_KEY_MAX_BATCH_SIZE, CALL, 0, set_batch_size},
    {GAL_KEY_PREFERRED_BATCH_SIZES, CALL, 0, set_preferred},
    {GAL_KEY_MAX_QUEUE_DELAY, U64, PLACE(policy.delay_us_max), NULL},
    {GAL_KEY_PRESERVE_ORDERING, FLAG, PLACE(policy.keep_order), NULL},
    {GAL_KEY_PRIORITY_LEVELS, UNSIGNED, PLACE(policy.levels), NULL},
    {GAL_KEY_DEFAULT_PRIORITY, UNSIGNED, PLACE(policy.default_level), NULL},
    {GAL_KEY_WARMUP, UNSIGNED, PLACE(warmup_runs), NULL},
    {GAL_KEY_MAX_QUEUE_SIZE, SIZE, PLACE(policy.jobs_max), NULL},
    {GAL_KEY_MAX_QUEUE_BYTES, CALL, 0, set_queue_bytes},
    {GAL_KEY_QUEUE_TIMEOUT, CALL, 0, set_queue_timeout},
    {GAL_KEY_QUEUE_TIMEOUT_ACTION, CALL, 0, set_queue_action},
    {GAL_KEY_ALLOW_TIMEOUT_OVERRIDE, CALL, 0, set_override},
    {GAL_KEY_LATENCY_TARGET, U64, PLACE(policy.target_us), NULL},
    {GAL_KEY_RESPONSE_CACHE, FLAG, PLACE(cache.on), NULL},
    {GAL_KEY_RESPONSE_CACHE_TTL, U64, PLACE(cache.ttl_us), NULL},
    {GAL_KEY_VERIFY, CALL, 0, set_verify},
    {GAL_KEY_LOAD, CALL, 0, set_load},
    {GAL_KEY_VERSIONS, CALL, 0, set_versions},
    {GAL_KEY_VERSION_LABELS, CALL, 0, set_labels},
    {GAL_KEY_REQUEST_TIMEOUT, CALL, 0, set_timeout}, /* the server's stays the server's */
};

static enum gal_status set(struct gal_model_config *c, size_t row, const struct gal_config_value *v,
                           struct gal_err *err)
{
    char *to = (char *)c + keys[row].at;

    switch (keys[row].kind) {
    case SIZE:
        *(size_t *)(void *)to = (size_t)v->number;
        break;
    case UNSIGNED:
        *(unsigned *)(void *)to = (unsigned)v->number;
        break;
    case U64:
        *(uint64_t *)(void *)to = v->number;
        break;
    case FLAG:
        *(bool *)to = v->number != 0;
        break;
    case CALL:
        return keys[row].set(c, v, err);
    }
    return GAL_OK;
}

static enum gal_status set_key(struct gal_model_config *c, enum gal_config_key key,
                               const struct gal_config_value *v, struct gal_err *err)
{
    size_t row = 0;
    while (row < sizeof(keys) / sizeof(keys[0]) && keys[row].key != key)
        row++;
    GAL_ASSERT(row < sizeof(keys) / sizeof(keys[0])); /* every key of scope MODEL has one */
    return set(c, row, v, err);
}

/* --- a path's own keys --- */

static bool has_own(const struct gal_config_path *p)
{
    return p->own_count || p->padding_count || p->image.on;
}

static bool copy_text(struct gal_arena *arena, struct gal_str *s)
{
    if (s->n == 0)
        return true;
    s->p = gal_arena_strdup(arena, *s);
    return s->p != NULL;
}

static enum gal_status apply_own(struct gal_model_config *c, struct gal_arena *arena, void *ctx,
                                 struct gal_err *err)
{
    const struct gal_config_path *p = ctx;

    for (size_t i = 0; i < p->own_count; i++) {
        if (set_key(c, p->own[i].key, &p->own[i].value, err) != GAL_OK) {
            gal_err_place(err, "%s", p->own[i].where);
            return GAL_INVALID;
        }
    }
    for (size_t i = 0; i < p->padding_count; i++) {
        c->padding[i] = p->padding[i];
        if (!copy_text(arena, &c->padding[i].axis) || !copy_text(arena, &c->padding[i].mask))
            return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's configuration");
    }
    if (p->image.on) {
        c->image = p->image;
        if (!copy_text(arena, &c->image.input))
            return gal_fail(err, GAL_NO_MEMORY, "no memory for a model's configuration");
    }
    if (p->padding_count)
        c->padding_count = p->padding_count;
    return GAL_OK;
}

enum gal_status gal_model_keys_serving(const struct gal_yaml *serving, const char *file,
                                       struct gal_model_config *c, const void *ctx,
                                       struct gal_err *err)
{
    const struct gal_config *users = ctx;
    enum gal_status status = GAL_OK;

    for (const struct gal_yaml *n = serving->child; n && status == GAL_OK; n = n->next) {
        const struct gal_config_row *row = gal_config_find(n->key);
        struct gal_config_value value = {.source = GAL_FROM_FILE};
        if (!row || row->scope != GAL_SCOPE_MODEL || n->type != GAL_YAML_SCALAR) {
            gal_fail(err, GAL_INVALID, "'%.*s' is no setting of a model", GAL_STR_SHOWN(n->key));
            gal_err_hint(err, "galley help --markdown config marks those that are with `model`");
            status = GAL_INVALID;
        } else {
            status = gal_config_parse(row, n->scalar.p, &value, err);
        }
        if (status == GAL_OK && users->values[row->key].source == GAL_FROM_DEFAULT)
            status = set_key(c, row->key, &value, err);
        if (status != GAL_OK)
            gal_err_place(err, "%s:%u", file, n->line);
    }
    return status;
}

/* Settled on a copy: a contradiction between keys is told at the start, with its place. */
static enum gal_status check(const struct gal_model_config *base, const struct gal_config_path *p,
                             struct gal_err *err)
{
    struct gal_model_config copy = *base;
    struct gal_arena arena;
    enum gal_status status = GAL_OK;

    gal_arena_init(&arena, 4096, 0, ARENA_BYTES_MAX);
    if (p)
        status = apply_own(&copy, &arena, (void *)p, err);
    if (status == GAL_OK) {
        status = gal_model_config_settle(&copy, (struct gal_str){NULL, 0}, err);
        if (status != GAL_OK && p && p->where)
            gal_err_place(err, "%s", p->where);
    }
    gal_arena_release(&arena);
    return status;
}

/* --- the process's defaults --- */

uint64_t gal_model_keys_request_memory(const struct gal_config *c)
{
    uint64_t told = c->values[GAL_KEY_MAX_REQUEST_MEMORY].number;
    return told ? told : gal_memory_max() / 2;
}

/* One model's queue leaves memory for the requests of others. */
static size_t queue_bytes_untold(const struct gal_config *c)
{
    uint64_t share = gal_model_keys_request_memory(c) / 2;
    return share < GAL_QUEUE_BYTES_MAX ? (size_t)share : GAL_QUEUE_BYTES_MAX;
}

enum gal_status gal_model_keys_base(const struct gal_config *c, struct gal_model_config *out,
                                    struct gal_err *err)
{
    enum gal_status status = GAL_OK;

    gal_model_config_init(out);
    out->policy.bytes_max = queue_bytes_untold(c);
    for (size_t i = 0; i < GAL_KEY_COUNT && status == GAL_OK; i++) {
        if (gal_config_rows[i].scope != GAL_SCOPE_MODEL)
            continue;
        status = set_key(out, gal_config_rows[i].key, &c->values[i], err);
        if (status != GAL_OK)
            gal_err_place(err, "%s", gal_config_rows[i].name);
    }
    if (status == GAL_OK)
        status = check(out, NULL, err);
    out->base_minds_queue = gal_model_config_minds_queue(out);
    for (size_t i = 0; i < c->path_count && status == GAL_OK; i++) {
        if (has_own(&c->paths[i]))
            status = check(out, &c->paths[i], err);
    }
    return status;
}

static bool lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

enum gal_status gal_model_keys_scan(const struct gal_config *c, const char *name,
                                    const struct gal_model_config *base,
                                    const struct gal_scan_options *how,
                                    const struct gal_sources *sources, const char *within,
                                    struct gal_model ***models, size_t *count, struct gal_err *err)
{
    struct gal_scan_path *paths = gal_calloc(c->path_count ? c->path_count : 1, sizeof(*paths));
    struct gal_scan_options o = how ? *how : (struct gal_scan_options){.name = NULL};
    enum gal_status status;

    *models = NULL;
    *count = 0;
    if (!paths)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of models");
    o.paths = paths;
    o.serving = gal_model_keys_serving;
    o.serving_ctx = c;
    o.name = name;
    o.base = base;
    for (size_t i = 0; i < c->path_count; i++) {
        const char *place = gal_sources_place(sources, c, i);
        struct gal_scan_path *p = &paths[o.path_count];
        if (within && !lies_in(within, place))
            continue;
        *p = (struct gal_scan_path){.path = place, .name = c->paths[i].name};
        if (has_own(&c->paths[i])) {
            p->configure = apply_own;
            p->ctx = &c->paths[i];
        }
        o.path_count++;
    }
    status = gal_catalog_scan(&o, models, count, err);
    gal_free(paths);
    return status;
}
