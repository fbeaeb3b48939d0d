/* SPDX-License-Identifier: Apache-2.0 */
/* The artifact of a package: config and manifest by the CNCF ModelPack specification, whose schema
 * allows no keys of our own. */
#include "package/plan.h"

#include "text/json.h"

#define LAYER_ANNOTATIONS 3u
#define MANIFEST_ANNOTATIONS 5u

static void put_list_of_one(struct gal_buf *out, const char *key, struct gal_str value)
{
    if (value.n == 0)
        return;
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_buf_putc(out, '[');
    gal_json_put_str(out, value);
    gal_buf_putc(out, ']');
}

void gal_artifact_config(struct gal_buf *out, const struct gal_manifest *m,
                         const struct gal_plan *plan)
{
    gal_json_put_member(out, "{\"descriptor\":{", "name", m->name);
    gal_json_put_member(out, ",", "version", m->version);
    if (m->description.n > 0)
        gal_json_put_member(out, ",", "description", m->description);
    put_list_of_one(out, "authors", m->owner);
    put_list_of_one(out, "licenses", m->licence);
    gal_json_put_member(out, "},\"config\":{", "format",
                        m->model_format.n > 0 ? m->model_format : GAL_STR("onnx"));
    gal_buf_puts(out, "},\"modelfs\":{\"type\":\"layers\",\"diffIds\":[");
    for (size_t i = 0; i < plan->file_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, gal_str_of(plan->files[i].file.digest));
    }
    gal_buf_puts(out, "]}}");
}

/* The name as the specification wants it, as oras wants it, and the file's metadata, all constant
 * but for the size. */
static bool annotate(struct gal_oci_descriptor *d, const struct gal_package_file *f,
                     struct gal_arena *arena)
{
    struct gal_oci_annotation *a = gal_arena_array(arena, LAYER_ANNOTATIONS, sizeof *a);
    struct gal_buf text;
    gal_buf_init(&text, 16384);
    gal_json_put_member(&text, "{", "name", f->name);
    gal_buf_puts(&text, ",\"mode\":420,\"uid\":0,\"gid\":0,\"size\":");
    gal_buf_put_u64(&text, f->size);
    gal_buf_puts(&text, ",\"mtime\":\"1970-01-01T00:00:00Z\",\"typeflag\":48}");
    char *metadata = text.failed ? NULL : gal_arena_strdup(arena, gal_buf_str(&text));
    gal_buf_release(&text);
    if (!a || !metadata)
        return false;
    a[0] = (struct gal_oci_annotation){GAL_STR("org.cncf.model.filepath"), f->name};
    a[1] = (struct gal_oci_annotation){GAL_STR("org.cncf.model.file.metadata+json"),
                                       gal_str_of(metadata)};
    a[2] = (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.title"), f->name};
    d->annotations = a;
    d->annotation_count = LAYER_ANNOTATIONS;
    return true;
}

static size_t manifest_annotations(const struct gal_manifest *m, struct gal_oci_annotation *a)
{
    size_t n = 0;
    a[n++] = (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.title"), m->name};
    a[n++] = (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.version"), m->version};
    if (m->description.n > 0)
        a[n++] = (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.description"),
                                             m->description};
    if (m->licence.n > 0)
        a[n++] =
            (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.licenses"), m->licence};
    if (m->owner.n > 0)
        a[n++] = (struct gal_oci_annotation){GAL_STR("org.opencontainers.image.authors"), m->owner};
    return n;
}

enum gal_status gal_artifact_manifest(struct gal_buf *out, const struct gal_manifest *m,
                                      struct gal_plan *plan, struct gal_arena *arena,
                                      struct gal_err *err)
{
    struct gal_oci_descriptor *layers =
        gal_arena_array(arena, plan->file_count + 1, sizeof *layers);
    struct gal_oci_annotation *a = gal_arena_array(arena, MANIFEST_ANNOTATIONS, sizeof *a);
    if (!layers || !a)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an artifact's manifest");
    for (size_t i = 0; i < plan->file_count; i++) {
        struct gal_package_file *f = &plan->files[i].file;
        f->media_type = gal_role_media_type(f->role);
        layers[i] = (struct gal_oci_descriptor){.media_type = f->media_type, .size = f->size};
        memcpy(layers[i].digest, f->digest, sizeof f->digest);
        if (!annotate(&layers[i], f, arena))
            return gal_fail(err, GAL_NO_MEMORY, "no memory for an artifact's manifest");
    }
    plan->oci = (struct gal_oci_manifest){
        .media_type = GAL_STR(GAL_OCI_MANIFEST),
        .artifact_type = GAL_STR(GAL_MODEL_ARTIFACT),
        .config = gal_oci_describe(GAL_STR(GAL_MODEL_CONFIG), plan->config),
        .layers = layers,
        .layer_count = plan->file_count,
        .annotations = a,
        .annotation_count = manifest_annotations(m, a),
    };
    gal_oci_manifest_write(out, &plan->oci);
    return GAL_OK;
}
