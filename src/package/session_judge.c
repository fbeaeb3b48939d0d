/* SPDX-License-Identifier: Apache-2.0 */
/* Does the decision stand? The rows once as they are, then their moved copies through the same
 * steps and the same model, as many as fit one run. */
#include "package/check.h"
#include "package/session_impl.h"
#include "package/stability.h"

static enum gal_status no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for the request");
}

/* Copies `first`, ... of the rows; what they decide is counted. The arena is then as it was. */
static enum gal_status ask_copies(const struct gal_packed *p, const struct gal_value *filled,
                                  const struct gal_tensor *decided, const uint64_t *hashes,
                                  size_t first, size_t count, float *agree, struct gal_arena *arena,
                                  struct gal_err *err)
{
    struct gal_arena_mark mark = gal_arena_mark(arena);
    struct gal_value *moved = gal_arena_array(arena, p->info.input_count + 1, sizeof *moved);
    struct gal_value decision;
    size_t rows = (size_t)decided->shape[0];
    enum gal_status status = moved ? GAL_OK : no_memory(err);

    if (!status)
        status = gal_stability_copies(p->manifest, filled, hashes, rows, first, count, arena, moved,
                                      err);
    if (!status)
        status = gal_packed_ask(p, moved, &p->decision, 1, arena, &decision, err);
    if (!status) {
        status = gal_stability_count(decided, &decision.tensor, agree, err);
        gal_packed_release(p, &decision);
    }
    gal_arena_rewind(arena, mark);
    return status;
}

/* How many copies of all rows go through the model together. An image's size is known when it is
 * decoded: one. */
static size_t copies_at_once(const struct gal_packed *p, const struct gal_value *filled,
                             size_t rows)
{
    size_t bytes = 0, count;

    for (size_t i = 0; i < p->info.input_count; i++) {
        if (p->manifest->features[i].type == GAL_FEATURE_IMAGE)
            return 1;
        if (filled[i].kind == GAL_KIND_TENSOR)
            bytes += gal_tensor_raw_size(&filled[i].tensor);
    }
    if (rows == 0 || p->rows_fixed)
        return 1;
    count = GAL_STABILITY_ROWS_MAX / rows;
    if (bytes > 0 && count > GAL_STABILITY_BYTES_MAX / bytes)
        count = GAL_STABILITY_BYTES_MAX / bytes;
    return count > 0 ? count : 1;
}

/* The share of copies that decide as each row does, as an output [rows,1]. */
static enum gal_status measure(const struct gal_packed *p, const struct gal_value *inputs,
                               const struct gal_tensor *decided, struct gal_arena *arena,
                               struct gal_value *out, struct gal_err *err)
{
    size_t n = p->info.input_count, rows, samples = (size_t)p->manifest->stability.samples, at_once;
    struct gal_value *filled = gal_arena_array(arena, n + 1, sizeof *filled);
    int64_t *shape = gal_arena_array(arena, 2, sizeof *shape);
    enum gal_status status;

    if (!filled || !shape)
        return no_memory(err);
    memcpy(filled, inputs, n * sizeof *filled);
    if (!gal_packed_rows(filled, n, &rows) || decided->rank == 0 ||
        (size_t)decided->shape[0] != rows)
        return gal_fail(err, GAL_INVALID,
                        "%.*s has other rows than the features: it is no decision",
                        GAL_STR_SHOWN(decided->name));
    float *agree = gal_arena_array(arena, rows + 1, sizeof *agree);
    if (!agree)
        return no_memory(err);
    memset(agree, 0, (rows + 1) * sizeof *agree);
    status = gal_check_fill(p->manifest, rows, filled, arena, err);
    const uint64_t *hashes = status ? NULL : gal_stability_hashes(p->manifest, filled, rows, arena);
    if (!status && !hashes)
        status = no_memory(err);
    at_once = status ? 1 : copies_at_once(p, filled, rows);
    for (size_t i = 0; !status && rows > 0 && i < samples; i += at_once)
        status = ask_copies(p, filled, decided, hashes, i,
                            samples - i < at_once ? samples - i : at_once, agree, arena, err);
    for (size_t i = 0; i < rows; i++)
        agree[i] /= (float)samples;
    shape[0] = (int64_t)rows;
    shape[1] = 1;
    *out = (struct gal_value){.kind = GAL_KIND_TENSOR,
                              .tensor = {.name = p->info.outputs[p->info.output_count].name,
                                         .dtype = GAL_DT_FP32,
                                         .rank = 2,
                                         .shape = shape,
                                         .count = rows,
                                         .data = agree}};
    return status;
}

/* Places of what is wanted among what is asked for: the decision once, the stability not at all. */
static size_t plan(const struct gal_packed *p, const size_t *wanted, size_t count, size_t *asked,
                   size_t *decision)
{
    size_t n = 0;

    *decision = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        if (wanted[i] == p->info.output_count)
            continue;
        if (wanted[i] == p->decision)
            *decision = n;
        asked[n++] = wanted[i];
    }
    if (*decision == SIZE_MAX) {
        *decision = n;
        asked[n++] = p->decision;
    }
    return n;
}

enum gal_status gal_packed_judge(const struct gal_packed *p, const struct gal_value *inputs,
                                 const size_t *wanted, size_t count, struct gal_arena *arena,
                                 struct gal_value *outputs, struct gal_err *err)
{
    size_t *asked = gal_arena_array(arena, count + 1, sizeof *asked), decision, n, at = 0;
    struct gal_value *got = gal_arena_array(arena, count + 1, sizeof *got), stability;
    enum gal_status status;

    if (!asked || !got)
        return no_memory(err);
    n = plan(p, wanted, count, asked, &decision);
    status = gal_packed_ask(p, inputs, asked, n, arena, got, err);
    if (status)
        return status;
    status = measure(p, inputs, &got[decision].tensor, arena, &stability, err);
    for (size_t i = 0; !status && i < count; i++)
        outputs[i] = wanted[i] == p->info.output_count ? stability : got[at++];
    for (; at < n; at++) /* the decision that nobody wants; all, when it failed */
        gal_packed_release(p, &got[at]);
    return status;
}
