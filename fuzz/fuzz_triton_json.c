/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a ModelConfig in JSON: a configuration that holds its own bounds, or an error that
 * names the place. */
#include "model/triton.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct gal_model_config *c)
{
    struct gal_policy policy = c->policy;
    if (policy.rows_max == 0) /* found from the model */
        policy.rows_max = GAL_BATCH_ROWS_MAX;
    GAL_ASSERT(gal_policy_check(&policy, NULL) == GAL_OK);
    GAL_ASSERT(c->warmup_count <= GAL_WARMUPS_MAX && c->version_list_count <= GAL_VERSION_LIST_MAX);
    for (const struct gal_declared *d = c->declared; d; d = d->next)
        GAL_ASSERT(d->rank > 0 && d->rank < GAL_RANK_MAX && d->name.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gal_model_config config;
    struct gal_str text = {(const char *)data, size};
    struct gal_arena arena;
    struct gal_err err;
    gal_arena_init(&arena, 4096, 0, 64u << 20);
    gal_model_config_init(&config);
    gal_err_clear(&err);
    if (gal_triton_read_json(text, "config", "m", "m", &config, &arena, &err))
        GAL_ASSERT(err.code != GAL_OK && err.message[0] && (err.place[0] || size > 1000));
    else if (gal_model_config_settle(&config, text, &err) == GAL_OK)
        look(&config);
    gal_arena_release(&arena);
    return 0;
}
