/* SPDX-License-Identifier: Apache-2.0 */
/* lock.json: where a package comes from, in digests and versions. Nothing in it changes between
 * machines, days or versions of galley that know the same format. */
#include "package/plan.h"

#include "text/json.h"

#define LOCK_FORMAT "1"
#define GALLEY_FORMAT "1" /* `galley:` of galley.yaml */

void gal_plan_put_member(struct gal_buf *out, const char *separator, const char *key,
                         struct gal_str value)
{
    gal_buf_puts(out, separator);
    gal_json_put_key(out, key);
    gal_buf_putc(out, ' ');
    gal_json_put_str(out, value);
}

static struct gal_str hex_of(const char *digest)
{
    return gal_str_of(digest + strlen("sha256:"));
}

static void put_files(struct gal_buf *out, const struct gal_plan *plan)
{
    gal_buf_puts(out, ",\n  \"files\": [");
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct gal_package_file *f = &plan->files[i].file;
        gal_plan_put_member(out, i ? ",\n    {" : "\n    {", "path", f->name);
        gal_buf_puts(out, ", \"size\": ");
        gal_buf_put_u64(out, f->size);
        gal_plan_put_member(out, ", ", "sha256", hex_of(f->digest));
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, "\n  ]");
}

static void put_pairs(struct gal_buf *out, const char *key, const struct gal_pair *pairs,
                      size_t count)
{
    gal_buf_puts(out, ",\n  ");
    gal_json_put_key(out, key);
    gal_buf_puts(out, " {");
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? ",\n    " : "\n    ");
        gal_json_put_str(out, pairs[i].key);
        gal_buf_puts(out, ": ");
        gal_json_put_str(out, pairs[i].value);
    }
    gal_buf_puts(out, count ? "\n  }" : "}");
}

static void put_texts(struct gal_buf *out, const char *key, const struct gal_str *texts,
                      size_t count)
{
    gal_buf_puts(out, ",\n    ");
    gal_json_put_key(out, key);
    gal_buf_puts(out, " [");
    for (size_t i = 0; i < count; i++) {
        gal_buf_puts(out, i ? ",\n      " : "\n      ");
        gal_json_put_str(out, texts[i]);
    }
    gal_buf_puts(out, count ? "\n    ]" : "]");
}

static void put_environment(struct gal_buf *out, const struct gal_manifest *m,
                            const struct gal_environment *e)
{
    if (m->freeze_file.n == 0)
        return;
    gal_plan_put_member(out, ",\n  \"environment\": {\n    ", "file", m->freeze_file);
    if (e->cuda.n > 0)
        gal_plan_put_member(out, ",\n    ", "cuda", e->cuda);
    if (e->blas.n > 0)
        gal_plan_put_member(out, ",\n    ", "blas", e->blas);
    gal_buf_puts(out, ",\n    \"unpinned\": ");
    gal_buf_put_u64(out, e->unpinned);
    gal_buf_puts(out, ",\n    \"packages\": [");
    for (size_t i = 0; i < e->count; i++) {
        const struct gal_pinned *p = &e->packages[i];
        gal_plan_put_member(out, i ? ",\n      {" : "\n      {", "name", p->name);
        gal_plan_put_member(out, ", ", p->pinned ? "version" : "unpinned",
                            p->pinned ? p->version : p->written);
        gal_buf_putc(out, '}');
    }
    gal_buf_puts(out, e->count ? "\n    ]" : "]");
    put_texts(out, "options", e->options, e->option_count);
    put_texts(out, "findings", e->findings, e->finding_count);
    gal_buf_puts(out, "\n  }");
}

void gal_lock_write(struct gal_buf *out, const struct gal_manifest *m, const struct gal_plan *plan,
                    const struct gal_pack_options *options)
{
    gal_buf_puts(out, "{\n  \"lock\": " LOCK_FORMAT ",\n  \"galley\": " GALLEY_FORMAT);
    gal_plan_put_member(out, ",\n  ", "name", m->name);
    gal_plan_put_member(out, ",\n  ", "version", m->version);
    gal_plan_put_member(out, ",\n  \"model\": {", "file", m->model_file);
    gal_plan_put_member(out, ", ", "format", m->model_format);
    gal_buf_putc(out, '}');
    put_files(out, plan);
    put_pairs(out, "provenance", m->provenance, m->provenance_count);
    put_environment(out, m, &plan->environment);
    if (m->golden_file.n > 0) {
        gal_plan_put_member(out, ",\n  \"golden\": {", "file", m->golden_file);
        gal_buf_puts(out, options->proved ? ", \"proved\": true}" : ", \"proved\": false}");
    }
    gal_buf_puts(out, "\n}\n");
}
