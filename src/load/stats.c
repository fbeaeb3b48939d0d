/* SPDX-License-Identifier: Apache-2.0 */
#include "load/stats.h"

#include "base/limits.h"
#include "text/json.h"

#include <stdlib.h>

static uint64_t number(yyjson_val *object, const char *key)
{
    return yyjson_get_uint(yyjson_obj_get(object, key));
}

static void add_batch(struct gal_server_stats *s, struct gal_server_batch b)
{
    size_t i = 0;

    if (b.count == 0)
        return;
    while (i < s->batch_count && s->batch[i].size != b.size)
        i++;
    if (i == GAL_STATS_BATCHES_MAX)
        i--;
    else if (i == s->batch_count)
        s->batch[s->batch_count++] = (struct gal_server_batch){.size = b.size};
    s->batch[i].count += b.count;
    s->batch[i].infer_ns += b.infer_ns;
}

static void add_model(struct gal_server_stats *s, yyjson_val *model)
{
    yyjson_val *times = yyjson_obj_get(model, "inference_stats"), *b;
    yyjson_val *batches = yyjson_obj_get(model, "batch_stats");
    yyjson_arr_iter it;

    s->inferences += number(model, "inference_count");
    s->executions += number(model, "execution_count");
    s->success += number(yyjson_obj_get(times, "success"), "count");
    s->total_ns += number(yyjson_obj_get(times, "success"), "ns");
    s->fail += number(yyjson_obj_get(times, "fail"), "count");
    s->queue_ns += number(yyjson_obj_get(times, "queue"), "ns");
    s->input_ns += number(yyjson_obj_get(times, "compute_input"), "ns");
    s->infer_ns += number(yyjson_obj_get(times, "compute_infer"), "ns");
    s->output_ns += number(yyjson_obj_get(times, "compute_output"), "ns");
    if (!yyjson_is_arr(batches))
        return;
    (void)yyjson_arr_iter_init(batches, &it);
    while ((b = yyjson_arr_iter_next(&it))) {
        yyjson_val *infer = yyjson_obj_get(b, "compute_infer");
        add_batch(s, (struct gal_server_batch){number(b, "batch_size"), number(infer, "count"),
                                               number(infer, "ns")});
    }
}

static int by_size(const void *a, const void *b)
{
    const struct gal_server_batch *x = a, *y = b;
    return (x->size > y->size) - (x->size < y->size);
}

enum gal_status gal_server_stats_parse(struct gal_str json, struct gal_str version,
                                       struct gal_arena *arena, struct gal_server_stats *out,
                                       struct gal_err *err)
{
    yyjson_val *root, *list, *model;
    yyjson_arr_iter it;
    enum gal_status status;

    *out = (struct gal_server_stats){0};
    status = gal_json_read(json, arena, GAL_JSON_DEPTH_MAX, &root, err);
    if (status != GAL_OK)
        return status;
    list = yyjson_obj_get(root, "model_stats");
    if (!yyjson_is_arr(list))
        return gal_fail(err, GAL_INVALID, "the statistics have no \"model_stats\"");
    (void)yyjson_arr_iter_init(list, &it);
    while ((model = yyjson_arr_iter_next(&it))) {
        yyjson_val *v = yyjson_obj_get(model, "version");
        struct gal_str own = {yyjson_get_str(v), yyjson_get_len(v)};
        if (yyjson_is_obj(yyjson_obj_get(model, "inference_stats")) &&
            (version.n == 0 || gal_str_eq(own, version))) {
            add_model(out, model);
            out->known = true;
        }
    }
    qsort(out->batch, out->batch_count, sizeof out->batch[0], by_size);
    return out->known ? GAL_OK
                      : gal_fail(err, GAL_INVALID, "the statistics do not have this model");
}

/* False when it went down. */
static bool since(uint64_t before, uint64_t after, uint64_t *out)
{
    *out = after - before;
    return after >= before;
}

static const struct gal_server_batch *find_batch(const struct gal_server_stats *s, uint64_t size)
{
    for (size_t i = 0; i < s->batch_count; i++) {
        if (s->batch[i].size == size)
            return &s->batch[i];
    }
    return NULL;
}

static bool batches_since(const struct gal_server_stats *before,
                          const struct gal_server_stats *after, struct gal_server_stats *out)
{
    static const struct gal_server_batch none = {0};

    for (size_t i = 0; i < after->batch_count; i++) {
        const struct gal_server_batch *a = &after->batch[i], *b = find_batch(before, a->size);
        struct gal_server_batch *to = &out->batch[out->batch_count];
        b = b ? b : &none;
        to->size = a->size;
        if (!since(b->count, a->count, &to->count) ||
            !since(b->infer_ns, a->infer_ns, &to->infer_ns))
            return false;
        out->batch_count += to->count > 0;
    }
    return true;
}

void gal_server_stats_since(const struct gal_server_stats *before,
                            const struct gal_server_stats *after, struct gal_server_stats *out)
{
    *out = (struct gal_server_stats){0};
    out->known = before->known && after->known &&
                 since(before->inferences, after->inferences, &out->inferences) &&
                 since(before->executions, after->executions, &out->executions) &&
                 since(before->success, after->success, &out->success) &&
                 since(before->fail, after->fail, &out->fail) &&
                 since(before->queue_ns, after->queue_ns, &out->queue_ns) &&
                 since(before->input_ns, after->input_ns, &out->input_ns) &&
                 since(before->infer_ns, after->infer_ns, &out->infer_ns) &&
                 since(before->output_ns, after->output_ns, &out->output_ns) &&
                 since(before->total_ns, after->total_ns, &out->total_ns) &&
                 batches_since(before, after, out);
}

double gal_server_stats_rows(const struct gal_server_stats *s)
{
    return s->executions ? (double)s->inferences / (double)s->executions : 0;
}
