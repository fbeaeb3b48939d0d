/* SPDX-License-Identifier: Apache-2.0 */
/* Until package/manifest.c is there. */
#include "base/buf.h"
#include "package/manifest.h"

static struct gal_str text(const struct gal_yaml *root, const char *a, const char *b)
{
    const struct gal_yaml *v = gal_yaml_get(root, a);
    if (v && b)
        v = v->type == GAL_YAML_MAP ? gal_yaml_get(v, b) : NULL;
    return v && v->type == GAL_YAML_SCALAR ? v->scalar : (struct gal_str){NULL, 0};
}

enum gal_status gal_manifest_read(struct gal_str yaml, const char *path, struct gal_arena *arena,
                                  struct gal_manifest **out, struct gal_err *err)
{
    struct gal_yaml *root;
    struct gal_manifest *m = gal_arena_alloc(arena, sizeof *m);
    *out = m;
    if (!m)
        return gal_fail(err, GAL_NO_MEMORY, "memory");
    *m = (struct gal_manifest){.path = path};
    enum gal_status status = gal_yaml_parse(yaml, path, arena, &root, err);
    if (status)
        return status;
    m->name = text(root, "name", NULL);
    m->version = text(root, "version", NULL);
    m->description = text(root, "description", NULL);
    m->model_file = text(root, "model", NULL);
    m->model_format = GAL_STR("onnx");
    m->golden_file = text(root, "golden", "file");
    m->freeze_file = text(root, "provenance", "freeze");
    m->licence = text(root, "metadata", "licence");
    m->owner = text(root, "metadata", "owner");
    if (m->name.n == 0)
        return gal_fail(err, GAL_INVALID, "name is missing");
    const struct gal_yaml *files = gal_yaml_get(root, "files");
    struct gal_str *list = gal_arena_array(arena, 100, sizeof *list);
    if (!list)
        return gal_fail(err, GAL_NO_MEMORY, "memory");
    for (const struct gal_yaml *f = files ? files->child : NULL; f; f = f->next)
        list[m->file_count++] = f->scalar;
    m->files = list;
    m->before = gal_yaml_get(root, "before");
    const struct gal_yaml *p = gal_yaml_get(root, "provenance");
    struct gal_pair *pairs = gal_arena_array(arena, 100, sizeof *pairs);
    if (!pairs)
        return gal_fail(err, GAL_NO_MEMORY, "memory");
    for (const struct gal_yaml *f = p ? p->child : NULL; f; f = f->next)
        pairs[m->provenance_count++] = (struct gal_pair){f->key, f->scalar, f->line};
    m->provenance = pairs;
    return GAL_OK;
}
