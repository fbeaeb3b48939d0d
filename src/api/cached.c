/* SPDX-License-Identifier: Apache-2.0 */
#include "api/cached.h"

#include "cache/key.h"
#include "cache/redis.h"

enum stage {
    LEADS,      /* computes for itself and all that wait for it */
    ASKS_REDIS, /* leads, and may find its answer there */
    WAITS,      /* for the leader's answer */
    ALONE,      /* computes for itself */
    OVER,       /* nothing is owed to the cache */
};

/* In the exchange's arena. */
struct gal_cached {
    struct gal_cache_ask ask;
    struct gal_redis_get get;
    struct gal_exchange *x;
    enum stage stage;
    enum gal_status ended;         /* why it waits no longer; OK: it does */
    uint64_t start_ns, ttl_us;     /* start_ns: when it asked */
    uint64_t look_ns;              /* what looking up has taken */
    struct gal_cache_entry *entry; /* that the answer borrows from; owned reference */
    struct gal_hash128 name_hash;  /* in Redis */
    struct gal_task task;
};

/* The one place that says whether and how a model's answers are cached. */
static const struct gal_cache_config *config_of(const struct gal_exchange *x)
{
    return &x->model->config.cache;
}

static uint64_t ns_since(const struct gal_exchange *x, uint64_t start_ns)
{
    return gal_mono_ns(x->api->clock) - start_ns;
}

static void count(const struct gal_cached *k, enum gal_cache_count what, uint64_t by)
{
    gal_cache_count(k->ask.model, what, by);
}

/* ---- ends ---- */

static void show(struct gal_exchange *x, const char *how)
{
    gal_http_response_header(&x->resp, GAL_STR("X-Galley-Cache"), gal_str_of(how));
}

/* The reference to the entry is handed over. */
static void answer(struct gal_cached *k, struct gal_cache_entry *e, const char *how)
{
    struct gal_exchange *x = k->x;
    struct gal_infer *inf = x->infer;

    GAL_ASSERT(e->output_count == inf->run_count);
    k->stage = OVER;
    k->entry = e;
    memcpy(inf->outputs, e->outputs, e->output_count * sizeof(*inf->outputs));
    x->job_running = false;
    show(x, how);
    gal_infer_answer(x);
}

static void end_badly(struct gal_cached *k)
{
    struct gal_exchange *x = k->x;
    struct gal_err err;

    k->stage = OVER;
    x->job_running = false;
    if (k->ended == GAL_CANCELLED)
        gal_fail(&err, GAL_CANCELLED, "the client has gone");
    else
        gal_fail(&err, k->ended, "the request's deadline passed before it had an answer");
    gal_exchange_fail(x, &err);
}

static void compute(struct gal_cached *k, enum stage as)
{
    k->stage = as;
    gal_exchange_go_on(k->x, gal_infer_submit);
}

/* ---- Redis ---- */

static struct gal_cache_name name_of(const struct gal_cached *k)
{
    const struct gal_model *m = k->x->model;
    return (struct gal_cache_name){gal_str_of(m->name), gal_str_of(m->version),
                                   gal_str_of(m->sha256), k->ask.key};
}

/* Keeps what Redis had, for no longer than it would have. NULL: it is of no use. */
static struct gal_cache_entry *take_over(struct gal_cached *k, struct gal_str value,
                                         uint64_t *ttl_us)
{
    struct gal_exchange *x = k->x;
    struct gal_cache_name name = name_of(k);
    struct gal_cache_entry *e;
    uint64_t expires_us, now_us = gal_wall_us(x->api->clock);

    if (gal_cache_entry_unpack(value, &name, x->model->info->outputs, x->infer->wanted,
                               x->infer->run_count, &x->arena, x->infer->outputs, &expires_us,
                               NULL) != GAL_OK ||
        (expires_us != 0 && expires_us <= now_us) ||
        gal_cache_entry_new(k->ask.key, x->infer->outputs, x->infer->run_count, &e, NULL) != GAL_OK)
        return NULL;
    *ttl_us = k->ttl_us;
    if (expires_us != 0 && (*ttl_us == 0 || expires_us - now_us < *ttl_us))
        *ttl_us = expires_us - now_us;
    return e;
}

static void on_value(struct gal_redis_get *get, enum gal_redis_result result, struct gal_str value)
{
    struct gal_cached *k =
        (struct gal_cached *)(void *)((char *)get - offsetof(struct gal_cached, get));
    uint64_t start_ns = gal_mono_ns(k->x->api->clock), ttl_us;
    struct gal_cache_entry *e = NULL;

    if (result == GAL_REDIS_FOUND)
        e = take_over(k, value, &ttl_us);
    if (e == NULL) {
        count(k, result == GAL_REDIS_ABSENT ? GAL_CACHE_REDIS_MISSES : GAL_CACHE_REDIS_ERRORS, 1);
        compute(k, LEADS);
        return;
    }
    gal_cache_settle(k->x->api->cache, &k->ask, e, ttl_us, start_ns / 1000);
    count(k, GAL_CACHE_REDIS_HITS, 1);
    count(k, GAL_CACHE_HITS, 1);
    count(k, GAL_CACHE_HIT_NS, k->look_ns + ns_since(k->x, start_ns));
    answer(k, e, "hit");
}

/* False when Redis cannot be asked now. */
static bool ask_redis(struct gal_cached *k)
{
    struct gal_exchange *x = k->x;
    struct gal_cache_name name = name_of(k);
    bool is_made;

    if (x->api->redis == NULL || !gal_redis_is_ready(x->api->redis))
        return false;
    k->name_hash = gal_cache_name_hash(&name, &x->packed);
    k->get.on_value = on_value;
    is_made = !x->packed.failed;
    gal_buf_clear(&x->packed, GAL_ARENA_KEEP_BYTES);
    return is_made && gal_redis_get(x->api->redis, k->name_hash, &k->get);
}

static void tell_redis(struct gal_cached *k, const struct gal_cache_entry *e)
{
    struct gal_exchange *x = k->x;
    struct gal_cache_name name = name_of(k);
    uint64_t expires_us = k->ttl_us != 0 ? gal_wall_us(x->api->clock) + k->ttl_us : 0;

    if (x->api->redis == NULL || !gal_redis_is_ready(x->api->redis))
        return;
    k->name_hash = gal_cache_name_hash(&name, &x->packed);
    gal_cache_entry_pack(e, &name, expires_us, &x->packed);
    if (!x->packed.failed)
        (void)gal_redis_set(x->api->redis, k->name_hash, gal_buf_str(&x->packed), k->ttl_us);
    gal_buf_clear(&x->packed, GAL_ARENA_KEEP_BYTES);
}

/* ---- waiting ---- */

static void on_answer(struct gal_cache_ask *ask)
{
    struct gal_cached *k =
        (struct gal_cached *)(void *)((char *)ask - offsetof(struct gal_cached, ask));

    switch (ask->answer) {
    case GAL_CACHE_HIT:
        count(k, GAL_CACHE_WAITS, 1);
        count(k, GAL_CACHE_WAIT_NS, ns_since(k->x, k->start_ns));
        answer(k, ask->entry, "wait"); /* also when it has ended meanwhile: here it is */
        return;
    case GAL_CACHE_LEAD:
        if (k->ended == GAL_OK) {
            compute(k, LEADS);
            return;
        }
        gal_cache_give_up(k->x->api->cache, ask);
        break;
    case GAL_CACHE_ALONE:
        if (k->ended == GAL_OK) {
            compute(k, ALONE);
            return;
        }
        break;
    case GAL_CACHE_WITHDRAWN:
    case GAL_CACHE_WAIT:
        break;
    }
    end_badly(k);
}

static void on_end_task(struct gal_task *task)
{
    struct gal_cached *k =
        (struct gal_cached *)(void *)((char *)task - offsetof(struct gal_cached, task));

    gal_cache_give_up(k->x->api->cache, &k->ask);
    end_badly(k);
}

bool gal_cached_end_wait(struct gal_exchange *x, enum gal_status why)
{
    struct gal_cached *k = x->cached;

    if (k == NULL || (k->stage != WAITS && k->stage != ASKS_REDIS))
        return false;
    if (k->ended != GAL_OK)
        return true; /* its end is on the way */
    k->ended = why;
    if (k->stage == WAITS) {
        (void)gal_cache_withdraw(x->api->cache, &k->ask);
        return true;
    }
    gal_redis_forget(&k->get);
    k->task.run = on_end_task;
    gal_loop_post(x->api->loop, &k->task);
    return true;
}

/* ---- begin and end ---- */

/* True when an entry can hold the outputs. */
static bool has_form(const struct gal_exchange *x)
{
    const struct gal_model_info *info = x->model->info;

    for (size_t i = 0; i < x->infer->run_count; i++) {
        if (gal_dtype_size(info->outputs[x->infer->wanted[i]].dtype) == 0)
            return false;
    }
    return true;
}

/* NULL when the request does not go by the cache. */
static struct gal_cached *prepare(struct gal_exchange *x)
{
    const struct gal_key_parts parts = {x->infer->inputs, x->model->info->input_count,
                                        x->infer->wanted, x->infer->run_count};
    const struct gal_model *m = x->model;
    struct gal_cached *k;
    size_t bytes;
    char *key;

    if (x->api->cache == NULL || x->api->loop == NULL || !config_of(x)->on || !has_form(x))
        return NULL;
    bytes = gal_key_size(&parts);
    if (bytes == 0 || bytes > GAL_CACHE_KEY_BYTES_MAX)
        return NULL;
    k = gal_arena_small(&x->arena, sizeof(*k));
    key = gal_arena_small(&x->arena, bytes);
    if (k == NULL || key == NULL)
        return NULL;
    memset(k, 0, sizeof(*k));
    gal_key_write(&parts, key);
    k->ask.model = gal_cache_model(x->api->cache, m->index, m->name, m->version);
    k->ask.key = (struct gal_str){key, bytes};
    k->ask.home = x->api->loop;
    k->ask.on_answer = on_answer;
    k->x = x;
    k->ttl_us = config_of(x)->ttl_us;
    return k->ask.model != NULL ? k : NULL;
}

/* Of the exchange's last request; one that is answered from here runs nothing. To wait for
 * another's answer is no wait in a queue: it ends at the deadline, or when the request itself says
 * so where that is its queue policy's matter. */
static void clear_times(struct gal_exchange *x, uint64_t now_us)
{
    struct gal_job *job = &x->job;

    job->status = GAL_OK;
    job->submitted_us = job->started_us = job->finished_us = 0;
    job->expires_us = x->model->config.queue_policies && job->timeout_us != 0
                          ? gal_job_ends_us(x->model->sched, job, now_us)
                          : job->deadline_us;
    job->call_rows = 0;
    job->led = false;
    job->input_ns = job->infer_ns = job->output_ns = 0;
}

bool gal_cached_begin(struct gal_exchange *x)
{
    uint64_t start_ns;
    struct gal_cached *k;

    if (x->api->cache == NULL || !config_of(x)->on)
        return false;
    start_ns = gal_mono_ns(x->api->clock);
    k = prepare(x);
    if (k == NULL)
        return false;
    x->cached = k;
    k->start_ns = start_ns;
    clear_times(x, start_ns / 1000);
    switch (gal_cache_ask(x->api->cache, &k->ask, start_ns / 1000)) {
    case GAL_CACHE_HIT:
        count(k, GAL_CACHE_HITS, 1);
        count(k, GAL_CACHE_HIT_NS, ns_since(x, start_ns));
        answer(k, k->ask.entry, "hit");
        return true;
    case GAL_CACHE_WAIT:
        k->stage = WAITS;
        return true;
    default:
        break;
    }
    k->look_ns = ns_since(x, start_ns);
    k->stage = ASKS_REDIS;
    if (ask_redis(k))
        return true;
    k->stage = LEADS;
    return false;
}

/* The leader's answer for those that wait and those to come. */
static void keep(struct gal_cached *k, uint64_t now_us)
{
    struct gal_exchange *x = k->x;
    struct gal_cache_entry *e;

    if (gal_cache_entry_new(k->ask.key, x->infer->outputs, x->infer->run_count, &e, NULL) !=
        GAL_OK) {
        gal_cache_settle(x->api->cache, &k->ask, NULL, 0, now_us);
        return;
    }
    gal_cache_settle(x->api->cache, &k->ask, e, k->ttl_us, now_us);
    tell_redis(k, e);
    gal_cache_entry_unref(e);
}

void gal_cached_done(struct gal_exchange *x)
{
    struct gal_cached *k = x->cached;
    uint64_t start_ns;

    if (k == NULL)
        return;
    start_ns = gal_mono_ns(x->api->clock);
    if (k->stage == LEADS && x->job.status == GAL_OK)
        keep(k, start_ns / 1000);
    else if (k->stage == LEADS)
        gal_cache_give_up(x->api->cache, &k->ask);
    k->stage = OVER;
    count(k, GAL_CACHE_MISSES, 1);
    count(k, GAL_CACHE_MISS_NS, k->look_ns + ns_since(x, start_ns));
    if (x->job.status == GAL_OK)
        show(x, "miss");
}

void gal_cached_release(struct gal_exchange *x)
{
    if (x->cached != NULL)
        gal_cache_entry_unref(x->cached->entry);
    x->cached = NULL;
}
