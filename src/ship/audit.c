/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/audit.h"

#include "base/limits.h"
#include "base/map.h"
#include "ship/audit_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FINDINGS_MAX 1000u

/* A file as a layer brings it. */
struct file {
    struct file *next; /* of all, the newest first */
    const char *path;
    uint64_t size;
    size_t layer;
    bool hidden, is_dir;
};

struct auditor {
    struct gal_view *view;
    struct gal_audit *out;
    struct gal_map visible; /* path -> struct file */
    struct gal_map folders; /* paths that something lies in or that are told to be directories */
    struct file *files;
    size_t layer;
    bool full;   /* of findings */
    bool alpine; /* its release file is there */
};

const char *gal_severity_name(enum gal_severity s)
{
    static const char *const names[] = {"info", "warning", "error"};
    return names[s];
}

static struct gal_arena *arena_of(struct auditor *a)
{
    return &a->view->arena;
}

/* --- findings --- */

static struct gal_audit_finding *find(struct auditor *a, const struct gal_audit_rule *rule,
                                      const char *path, uint64_t bytes, const char *message)
{
    struct gal_audit *out = a->out;
    if (out->finding_count == FINDINGS_MAX || !message) {
        a->full = true;
        return NULL;
    }
    struct gal_audit_finding *f = &out->findings[out->finding_count++];
    *f = (struct gal_audit_finding){.severity = rule->severity,
                                    .code = rule->code,
                                    .message = message,
                                    .remedy = rule->remedy,
                                    .path = path,
                                    .layer = path ? a->layer : SIZE_MAX,
                                    .bytes = bytes};
    return f;
}

/* The same code in the same folder is one finding: a tool brings hundreds of files. */
static bool joined(struct auditor *a, const struct gal_audit_rule *rule, const char *path,
                   uint64_t bytes)
{
    for (size_t i = a->out->finding_count; rule->joins && i-- > 0;) {
        struct gal_audit_finding *f = &a->out->findings[i];
        if (f->code != rule->code || f->layer != a->layer || !f->path)
            continue;
        size_t n = gal_audit_root(rule, f->path);
        if (n == gal_audit_root(rule, path) && strncmp(f->path, path, n) == 0) {
            f->bytes += bytes;
            return true;
        }
    }
    return false;
}

static void look_at(struct auditor *a, const struct gal_view_entry *e)
{
    const struct gal_audit_rule *rule = gal_audit_file(e->path, e->tar, e->content);
    uint64_t bytes = e->tar->type == GAL_TAR_FILE ? e->tar->size : 0;
    if (!rule || joined(a, rule, e->path, bytes))
        return;
    find(a, rule, e->path, bytes, rule->message);
}

/* --- what layers do to each other --- */

static void hide(struct auditor *a, struct file *f)
{
    if (f->hidden || f->layer == a->layer)
        return;
    f->hidden = true;
    a->out->layers[f->layer].hidden += f->size;
    a->out->hidden += f->size;
}

/* All of lower layers that lies under the folder, and with `itself` what has just this name. */
static void hide_under(struct auditor *a, const char *folder, bool itself)
{
    size_t n = strlen(folder);
    for (struct file *f = a->files; f; f = f->next) {
        bool inside = n == 0 || (strncmp(f->path, folder, n) == 0 && f->path[n] == '/');
        if (inside || (itself && strcmp(f->path, folder) == 0))
            hide(a, f);
    }
}

/* image-spec 1.1 layer.md, "Whiteouts". False: the entry is none. */
static bool white_out(struct auditor *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t folder_n = slash ? (size_t)(slash - path) : 0;
    char *folder;
    if (strncmp(name, ".wh.", 4) != 0)
        return false;
    folder = gal_arena_strdup(arena_of(a), (struct gal_str){path, folder_n});
    if (!folder)
        return true;
    if (strcmp(name, ".wh..wh..opq") == 0) {
        hide_under(a, folder, false);
        return true;
    }
    const char *target =
        gal_arena_printf(arena_of(a), "%s%s%s", folder, folder_n ? "/" : "", name + 4);
    if (target)
        hide_under(a, target, true);
    return true;
}

/* The folders that a path lies in, also those that no layer has an entry for. */
static enum gal_status note_folders(struct auditor *a, const struct file *f, struct gal_err *err)
{
    for (size_t n = strlen(f->path) + f->is_dir; n-- > 1;) {
        struct gal_str folder = {f->path, n};
        if (f->path[n] != '/' && f->path[n] != '\0')
            continue;
        if (gal_map_get(&a->folders, folder))
            return GAL_OK; /* and those above it */
        if (gal_map_set(&a->folders, folder, a))
            return gal_fail(err, GAL_NO_MEMORY, "no memory for the names of an image's files");
    }
    return GAL_OK;
}

static enum gal_status on_entry(const struct gal_view_entry *e, void *ctx, struct gal_err *err)
{
    struct auditor *a = ctx;
    enum gal_status status;
    struct gal_audit_layer *l = &a->out->layers[a->layer];
    if (white_out(a, e->path))
        return GAL_OK;
    struct file *f = gal_arena_small(arena_of(a), sizeof *f), *old;
    if (!f)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the names of an image's files");
    *f = (struct file){.next = a->files,
                       .path = e->path,
                       .layer = a->layer,
                       .size = e->tar->type == GAL_TAR_FILE ? e->tar->size : 0,
                       .is_dir = e->tar->type == GAL_TAR_DIR};
    a->files = f;
    old = gal_map_get(&a->visible, gal_str_of(e->path));
    if (old && !(old->is_dir && f->is_dir))
        hide(a, old);
    bool again = old && !old->is_dir && old->layer == a->layer; /* twice in one layer */
    if (!f->is_dir && !again && gal_map_get(&a->folders, gal_str_of(e->path)))
        hide_under(a, e->path, false); /* a file or a link in a folder's place */
    if (gal_map_set(&a->visible, gal_str_of(e->path), f))
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the names of an image's files");
    status = note_folders(a, f, err);
    if (status)
        return status;
    l->unpacked += f->size;
    l->files += !f->is_dir;
    a->alpine = a->alpine || strcmp(e->path, "etc/alpine-release") == 0;
    look_at(a, e);
    return GAL_OK;
}

static enum gal_status read_layers(struct auditor *a, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    for (size_t i = 0; !status && i < a->view->layer_count; i++) {
        struct gal_audit_layer *l = &a->out->layers[i];
        *l = (struct gal_audit_layer){.packed = a->view->layers[i].blob.size};
        a->layer = i;
        status = gal_view_walk(a->view, i, on_entry, a, err);
        a->out->packed += l->packed;
        a->out->unpacked += l->unpacked;
    }
    return status;
}

/* --- the image as a whole --- */

static void check_hidden(struct auditor *a)
{
    for (size_t i = 0; i < a->view->layer_count; i++) {
        const struct gal_audit_layer *l = &a->out->layers[i];
        const struct gal_audit_rule *rule = gal_audit_rule(GAL_RULE_HIDDEN);
        if (l->hidden == 0)
            continue;
        struct gal_audit_finding *f =
            find(a, rule, NULL, l->hidden,
                 gal_arena_printf(arena_of(a),
                                  "layer %zu holds %llu bytes that later layers delete or replace: "
                                  "they are moved and stored all the same",
                                  i, (unsigned long long)l->hidden));
        if (f)
            f->layer = i;
    }
}

static void check_env(struct auditor *a)
{
    for (size_t i = 0; i < a->view->env_count; i++) {
        struct gal_str name, rest = a->view->env[i];
        if (!gal_str_cut(&rest, '=', &name) || !gal_audit_secret_name(name) || rest.n == 0)
            continue;
        find(a, gal_audit_rule(GAL_RULE_SECRET_ENV), NULL, 0,
             gal_arena_printf(arena_of(a), "environment variable %.*s carries a value in the image",
                              GAL_STR_SHOWN(name)));
    }
}

static void check_one(struct auditor *a, bool wrong, enum gal_audit_image_rule which,
                      uint64_t bytes)
{
    const struct gal_audit_rule *rule = gal_audit_rule(which);
    if (wrong)
        find(a, rule, NULL, bytes, rule->message);
}

static void check_image(struct auditor *a, const char *reference)
{
    struct gal_view *v = a->view;
    struct gal_str base = gal_view_label(v, GAL_BASE_NAME);
    bool brings_glibc = gal_view_label(v, "ai.galley.version").n > 0;
    check_one(a, gal_audit_is_root(v->user), GAL_RULE_ROOT, 0);
    check_one(a, v->healthcheck_count == 0 || gal_str_is(v->healthcheck[0], "NONE"),
              GAL_RULE_HEALTHCHECK, 0);
    check_one(a, v->port_count == 0, GAL_RULE_PORT, 0);
    check_one(a, v->entrypoint_count == 0 && v->cmd_count == 0, GAL_RULE_ENTRYPOINT, 0);
    check_one(a, gal_view_label(v, "org.opencontainers.image.version").n == 0, GAL_RULE_VERSION, 0);
    check_one(a, gal_audit_is_devel(v), GAL_RULE_DEVEL, 0);
    check_one(a, a->alpine && !brings_glibc, GAL_RULE_ALPINE, 0);
    check_one(a, gal_audit_is_full(base), GAL_RULE_FULL_BASE, 0);
    check_one(a, reference && gal_audit_floats(gal_str_of(reference)), GAL_RULE_FLOATING, 0);
    check_one(a, base.n && gal_audit_floats(base), GAL_RULE_FLOATING_BASE, 0);
    check_one(a, a->out->packed > GAL_AUDIT_IMAGE_BYTES_MAX, GAL_RULE_SIZE, a->out->packed);
    check_one(a, v->layer_count > GAL_AUDIT_LAYERS_MAX, GAL_RULE_LAYERS, 0);
}

static int by_severity(const void *x, const void *y)
{
    const struct gal_audit_finding *a = x, *b = y;
    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    int names = strcmp(a->code, b->code);
    return names ? names : strcmp(a->path ? a->path : a->message, b->path ? b->path : b->message);
}

enum gal_status gal_audit(struct gal_view *v, const char *reference, struct gal_audit *out,
                          struct gal_err *err)
{
    struct auditor a = {.view = v, .out = out};
    *out = (struct gal_audit){.layer_count = v->layer_count};
    out->layers = gal_arena_array(&v->arena, v->layer_count + 1, sizeof *out->layers);
    out->findings = gal_arena_array(&v->arena, FINDINGS_MAX, sizeof *out->findings);
    if (!out->layers || !out->findings)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an audit");
    gal_map_init(&a.visible);
    gal_map_init(&a.folders);
    enum gal_status status = read_layers(&a, err);
    gal_map_release(&a.visible);
    gal_map_release(&a.folders);
    if (status)
        return status;
    check_hidden(&a);
    check_env(&a);
    check_image(&a, reference);
    if (a.full) /* a report with a part left out would be a lie by omission */
        return gal_fail(err, GAL_TOO_LARGE, "the image has more than %u findings", FINDINGS_MAX);
    qsort(out->findings, out->finding_count, sizeof *out->findings, by_severity);
    for (size_t i = 0; i < out->finding_count; i++) {
        out->errors += out->findings[i].severity == GAL_AUDIT_ERROR;
        out->warnings += out->findings[i].severity == GAL_AUDIT_WARNING;
    }
    return GAL_OK;
}
