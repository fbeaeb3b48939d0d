/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/image_config.h"

#include "base/mem.h"
#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* An object being written: the comma in front of each member but the first. */
struct object {
    struct gal_buf *out;
    bool has_member;
};

static void key(struct object *o, const char *name)
{
    if (o->has_member)
        gal_buf_putc(o->out, ',');
    o->has_member = true;
    gal_json_put_key(o->out, name);
}

static void text(struct object *o, const char *name, struct gal_str value)
{
    if (value.n == 0)
        return;
    key(o, name);
    gal_json_put_str(o->out, value);
}

static void list(struct object *o, const char *name, const struct gal_str *items, size_t count)
{
    if (count == 0)
        return;
    key(o, name);
    for (size_t i = 0; i < count; i++) {
        gal_buf_putc(o->out, i ? ',' : '[');
        gal_json_put_str(o->out, items[i]);
    }
    gal_buf_putc(o->out, ']');
}

/* OCI's and Docker's way to write a set: {"8080/tcp":{}}. */
static void set(struct object *o, const char *name, const struct gal_str *items, size_t count)
{
    if (count == 0)
        return;
    key(o, name);
    for (size_t i = 0; i < count; i++) {
        gal_buf_putc(o->out, i ? ',' : '{');
        gal_json_put_str(o->out, items[i]);
        gal_buf_puts(o->out, ":{}");
    }
    gal_buf_putc(o->out, '}');
}

static int compare(const void *a, const void *b)
{
    const struct gal_oci_annotation *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int order = n ? memcmp(x->key.p, y->key.p, n) : 0;
    return order ? order : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static enum gal_status labels(struct object *o, const struct gal_ship_config *c,
                              struct gal_err *err)
{
    struct gal_oci_annotation *sorted;
    if (c->label_count == 0)
        return GAL_OK;
    sorted = gal_calloc(c->label_count, sizeof *sorted);
    if (!sorted)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an image's labels");
    memcpy(sorted, c->labels, c->label_count * sizeof *sorted);
    qsort(sorted, c->label_count, sizeof *sorted, compare);
    key(o, "Labels");
    for (size_t i = 0; i < c->label_count; i++) {
        gal_buf_putc(o->out, i ? ',' : '{');
        gal_json_put_str(o->out, sorted[i].key);
        gal_buf_putc(o->out, ':');
        gal_json_put_str(o->out, sorted[i].value);
    }
    gal_buf_putc(o->out, '}');
    gal_free(sorted);
    return GAL_OK;
}

/* Docker counts in nanoseconds. */
static void seconds(struct object *o, const char *name, uint64_t s)
{
    if (s == 0)
        return;
    key(o, name);
    gal_buf_put_u64(o->out, s * UINT64_C(1000000000));
}

static void health(struct object *o, const struct gal_ship_config *c)
{
    struct object h = {.out = o->out};
    if (!c->health)
        return;
    key(o, "Healthcheck");
    gal_buf_putc(o->out, '{');
    list(&h, "Test", c->health, c->health_count);
    seconds(&h, "Interval", c->health_interval_s);
    seconds(&h, "Timeout", c->health_timeout_s);
    seconds(&h, "StartPeriod", c->health_start_s);
    if (c->health_retries) {
        key(&h, "Retries");
        gal_buf_put_u64(o->out, c->health_retries);
    }
    gal_buf_putc(o->out, '}');
}

static enum gal_status run(struct gal_buf *out, const struct gal_ship_config *c,
                           struct gal_err *err)
{
    struct object o = {.out = out};
    enum gal_status status;
    gal_buf_putc(out, '{');
    text(&o, "User", c->user);
    set(&o, "ExposedPorts", c->ports, c->port_count);
    list(&o, "Env", c->env, c->env_count);
    list(&o, "Entrypoint", c->entrypoint, c->entrypoint_count);
    list(&o, "Cmd", c->cmd, c->cmd_count);
    health(&o, c);
    text(&o, "WorkingDir", c->working_dir);
    status = labels(&o, c, err);
    gal_buf_putc(out, '}');
    return status;
}

static void steps(struct object *o, const struct gal_ship_config *c, struct gal_str created)
{
    key(o, "history");
    gal_buf_putc(o->out, '[');
    for (size_t i = 0; i < c->step_count; i++) {
        const struct gal_ship_step *s = &c->steps[i];
        struct object step = {.out = o->out};
        gal_buf_puts(o->out, i ? ",{" : "{");
        text(&step, "created", s->created.n ? s->created : created);
        text(&step, "created_by", s->created_by);
        text(&step, "comment", s->comment);
        if (s->empty_layer) {
            key(&step, "empty_layer");
            gal_buf_puts(o->out, "true");
        }
        gal_buf_putc(o->out, '}');
    }
    gal_buf_putc(o->out, ']');
}

enum gal_status gal_ship_config_write(struct gal_buf *out, const struct gal_ship_config *c,
                                      struct gal_err *err)
{
    struct object o = {.out = out}, rootfs = {.out = out};
    time_t when = (time_t)c->epoch;
    struct tm tm = {.tm_mday = 1, .tm_year = 70};
    char created[32];
    enum gal_status status;
    (void)gmtime_r(&when, &tm);
    (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &tm);
    gal_buf_putc(out, '{');
    text(&o, "created", gal_str_of(created));
    text(&o, "architecture", c->platform.architecture);
    text(&o, "os", c->platform.os);
    text(&o, "variant", c->platform.variant);
    key(&o, "config");
    status = run(out, c, err);
    key(&o, "rootfs");
    gal_buf_putc(out, '{');
    key(&rootfs, "type");
    gal_buf_puts(out, "\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < c->diff_id_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, c->diff_ids[i]);
    }
    gal_buf_puts(out, "]}");
    steps(&o, c, gal_str_of(created));
    gal_buf_putc(out, '}');
    if (!status && out->failed)
        status = gal_fail(err, GAL_TOO_LARGE, "the image's configuration is too large: its labels");
    return status;
}
