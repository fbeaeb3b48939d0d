/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are in doubt (VAL-08). */
#include "package/check_impl.h"

#include <math.h>

struct gal_str gal_check_field(const struct gal_manifest *m, const struct gal_finding *f)
{
    if (f->feature == GAL_FINDING_CONFIDENCE)
        return m->confidence_of;
    return f->feature == GAL_FINDING_STABILITY ? m->stability.output : m->features[f->feature].name;
}

static void doubt(struct gal_findings *out, struct gal_finding finding,
                  enum gal_doubt_action action)
{
    finding.flag = action == GAL_DOUBT_FLAG;
    if (!finding.message) /* memory is out, and still it is told */
        finding.message = finding.type;
    gal_check_add(out, finding);
}

/* Not below: NaN is. */
static bool is_sure(const struct gal_manifest *m, const struct gal_tensor *output, size_t from,
                    size_t width)
{
    double best = gal_tensor_number(output, from);
    for (size_t i = 1; i < width; i++)
        best = fmax(best, gal_tensor_number(output, from + i));
    return best >= m->confidence_min;
}

size_t gal_check_confidence(const struct gal_manifest *m, const struct gal_tensor *output,
                            struct gal_arena *arena, struct gal_findings *out)
{
    size_t rows = output->rank > 0 ? (size_t)output->shape[0] : 1, low = 0;
    size_t width = rows ? output->count / rows : 0;
    const char *message = m->confidence_message;
    for (size_t row = 0; row < rows && width > 0; row++) {
        if (is_sure(m, output, row * width, width))
            continue;
        if (!message)
            message =
                gal_arena_printf(arena, "%s is below %g", m->confidence_of.p, m->confidence_min);
        doubt(out,
              (struct gal_finding){GAL_FINDING_CONFIDENCE, row, 0, "confidence", message, true},
              m->confidence_action);
        low++;
    }
    return low;
}

size_t gal_check_stability(const struct gal_manifest *m, const struct gal_tensor *shares,
                           struct gal_arena *arena, struct gal_findings *out)
{
    const struct gal_stability *s = &m->stability;
    size_t unstable = 0;
    for (size_t row = 0; row < shares->count; row++) {
        double share = gal_tensor_number(shares, row);
        const char *message = s->message;
        if (share >= (double)(float)s->agreement_min)
            continue;
        if (!message &&
            (out->count < GAL_FINDINGS_MAX || (s->action == GAL_DOUBT_REFUSE && out->refused == 0)))
            message = gal_arena_printf(
                arena, "%s changes in %.0f of %llu copies whose numbers are up to %g %% other",
                s->output.p, (1 - share) * (double)s->samples, (unsigned long long)s->samples,
                s->noise * 100);
        doubt(out, (struct gal_finding){GAL_FINDING_STABILITY, row, 0, "stability", message, true},
              s->action);
        unstable++;
    }
    return unstable;
}
