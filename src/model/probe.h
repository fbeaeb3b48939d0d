/* SPDX-License-Identifier: Apache-2.0 */
/* Inferences with made-up input: do they work at all, what do they cost? */
#ifndef GAL_MODEL_PROBE_H
#define GAL_MODEL_PROBE_H

#include "backend/backend.h"
#include "base/clock.h"

/* Input number 0 is zeros, with 1 for each open dimension. A model may refuse it with good reason
 * (an index that must be at least 1, an image smaller than the kernel): the others have ones, and
 * larger open dimensions behind the first. */
#define GAL_PROBE_TRIES 10u

struct gal_probe_target {
    const struct gal_backend_ops *ops;
    struct gal_session *session;
    const struct gal_clock *clock;
    size_t rows; /* of a made-up input whose first dimension is open; 0: 1 */
};

/* Runs once with input number `try`, below GAL_PROBE_TRIES, and throws the outputs away. cost_us
 * and shape_text (size bytes; the first output's shape) may be NULL. The backend's status;
 * NO_MEMORY also when the input would be unreasonably large. Any thread. */
enum gal_status gal_probe_run(const struct gal_probe_target *target, unsigned try,
                              uint64_t *cost_us, char *shape_text, size_t size,
                              struct gal_err *err);
/* The size of open dimensions behind the first in input number `try`. */
int64_t gal_probe_open_size(unsigned try);
/* Runs once with these inputs, the model's in its order, and throws the outputs away. The arena has
 * them and takes what the run needs. cost_us, shape_text, size: as above. */
enum gal_status gal_probe_call(const struct gal_probe_target *target,
                               const struct gal_value *inputs, struct gal_arena *arena,
                               uint64_t *cost_us, char *shape_text, size_t size,
                               struct gal_err *err);

#endif
