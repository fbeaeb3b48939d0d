/* SPDX-License-Identifier: Apache-2.0 */
#include "source/plan.h"

#undef gal_plan_no_memory /* the analyzer's, see base/status.h */
enum gal_status gal_plan_no_memory(struct gal_err *err)
{
    return gal_fail(err, GAL_NO_MEMORY, "no memory for what a source holds");
}

const char *gal_plan_text(struct gal_source_run *r, struct gal_str s)
{
    return gal_arena_strdup(r->arena, s);
}

enum gal_status gal_plan_add(struct gal_source_run *r, struct gal_source_object **out,
                             struct gal_err *err)
{
    struct gal_source_plan *p = &r->plan;
    if (p->count == GAL_SOURCE_OBJECTS_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "%.*s holds more than %u files",
                        GAL_STR_SHOWN(r->url.text), GAL_SOURCE_OBJECTS_MAX);
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 8;
        struct gal_source_object *more = gal_arena_array(r->arena, cap, sizeof *more);
        if (!more)
            return gal_plan_no_memory(err);
        if (p->count)
            memcpy(more, p->objects, p->count * sizeof *more);
        p->objects = more;
        p->cap = cap;
    }
    *out = &p->objects[p->count++];
    **out = (struct gal_source_object){0};
    return GAL_OK;
}

enum gal_status gal_plan_add_below(struct gal_source_run *r, struct gal_str name,
                                   struct gal_source_object **out, struct gal_err *err)
{
    if (!gal_source_name_safe(name))
        return gal_fail(err, GAL_INVALID, "%.*s: '%.*s' cannot be a file's name",
                        GAL_STR_SHOWN(r->url.text), GAL_STR_SHOWN(name));
    enum gal_status status = gal_plan_add(r, out, err);
    if (status)
        return status;
    (*out)->place = gal_arena_printf(r->arena, "%s/%.*s", r->plan.root, GAL_STR_ARG(name));
    return (*out)->place ? GAL_OK : gal_plan_no_memory(err);
}

enum gal_status gal_plan_root(struct gal_source_run *r, struct gal_str key, bool is_dir,
                              struct gal_str fallback, struct gal_err *err)
{
    struct gal_buf place;
    if (r->root) {
        r->plan.root = r->root;
        return GAL_OK;
    }
    gal_buf_init(&place, 1024);
    gal_source_place(&place, key, is_dir, fallback);
    r->plan.root = place.failed ? NULL : gal_plan_text(r, gal_buf_str(&place));
    gal_buf_release(&place);
    return r->plan.root ? GAL_OK : gal_plan_no_memory(err);
}

enum gal_status gal_plan_settle(struct gal_source_run *r, struct gal_err *err)
{
    struct gal_source_plan *p = &r->plan;
    enum gal_status status = GAL_OK;
    struct gal_buf text;
    bool lasts = p->count > 0 || p->local;
    gal_buf_init(&text, (size_t)GAL_SOURCE_OBJECTS_MAX * 4096);
    gal_buf_printf(&text, "%s\n%s\n", p->origin, p->root);
    for (size_t i = 0; i < p->count; i++) {
        const struct gal_source_object *o = &p->objects[i];
        lasts = lasts && (o->versioned || o->etag || o->modified || o->sha256[0] || o->md5[0]);
        gal_buf_printf(&text, "%s %llu %s %s %s %s %s\n", o->place, (unsigned long long)o->size,
                       o->etag ? o->etag : "", o->modified ? o->modified : "", o->sha256, o->md5,
                       o->versioned ? o->url : "");
    }
    if (p->local)
        gal_buf_puts(&text, p->local);
    if (text.failed)
        status = gal_plan_no_memory(err);
    else if (lasts)
        p->identity = gal_plan_text(r, gal_buf_str(&text));
    if (!status && lasts && !p->identity)
        status = gal_plan_no_memory(err);
    gal_buf_release(&text);
    return status;
}
