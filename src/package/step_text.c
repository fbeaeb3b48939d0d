/* SPDX-License-Identifier: Apache-2.0 */
/* The step text. */
#include "package/step_impl.h"

#include "text/unicode.h"

static enum gal_status run_text(const struct gal_step *s, struct gal_step_run *r)
{
    const struct gal_tensor *t = gal_step_in(r, s->in);
    const struct gal_str *from = t->data;
    struct gal_str *to = gal_step_out(r, s->out, t);
    enum gal_status st = GAL_OK;

    if (to == NULL)
        return gal_step_no_out(r);
    for (size_t i = 0; st == GAL_OK && i < t->count; i++) {
        st = gal_unicode_apply(s->state, from[i], r->arena, &to[i], r->err);
        if (st == GAL_INVALID)
            st = gal_step_fail_at(r, s->in, i, "the text is no valid UTF-8");
    }
    return st;
}

enum gal_status gal_step_make_text(struct gal_step_compiler *c)
{
    struct gal_unicode_plan *plan = gal_arena_small(c->arena, sizeof(*plan));
    size_t *slots, count;
    enum gal_status st = gal_step_sources(c, &slots, &count);

    if (plan == NULL)
        return gal_step_no_memory(c->arena, c->err);
    *plan = (struct gal_unicode_plan){
        .form = (enum gal_unicode_form)(gal_step_choice(c, "normalize", SIZE_MAX) + 1)};
    gal_step_bool(c, "lower", &plan->lower);
    gal_step_bool(c, "strip", &plan->strip);
    gal_step_bool(c, "collapse", &plan->collapse);
    if (st == GAL_OK && plan->form == GAL_UNICODE_AS_IS && !plan->lower && !plan->strip &&
        !plan->collapse)
        st = gal_step_refuse(c, c->line, "text needs one of normalize, lower, strip, collapse");
    for (size_t i = 0; st == GAL_OK && i < count; i++) {
        struct gal_column column = *gal_step_column(c, slots[i]);
        struct gal_step step = {
            .run = run_text, .in = slots[i], .out_more = SIZE_MAX, .state = plan};

        st = gal_step_want_text(c, slots[i]);
        column.name = gal_step_to(c, slots[i]);
        if (st == GAL_OK)
            st = gal_step_finish(c, &column, &step);
    }
    return st;
}
