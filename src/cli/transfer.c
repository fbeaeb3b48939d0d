/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/transfer.h"

#include "base/limits.h"
#include "cli/print.h"
#include "net/loop.h"
#include "text/json.h"

static const struct gal_config_row parallel_row = {.name = "concurrency",
                                                   .type = GAL_CONF_COUNT,
                                                   .min = 1,
                                                   .max = GAL_REGISTRY_PARALLEL_MAX,
                                                   .arg = "N"};
static const struct gal_config_row chunk_row = {.name = "chunk-size",
                                                .type = GAL_CONF_BYTES,
                                                .min = 1024,
                                                .max = UINT64_C(1) << 40,
                                                .arg = "SIZE"};

/* --- progress --- */

/* What people call a blob: its file, else the start of its digest. */
static void name_blob(const struct gal_oci_descriptor *d, char *out, size_t size)
{
    struct gal_str name = gal_oci_annotation(d, "org.cncf.model.filepath");
    if (name.n == 0)
        name = gal_oci_annotation(d, "org.opencontainers.image.title");
    if (name.n)
        snprintf(out, size, "%.*s", (int)(name.n < size ? name.n : size - 1), name.p);
    else
        snprintf(out, size, "%.19s", d->digest);
}

static void on_progress(const struct gal_oci_descriptor *d, enum gal_transfer_step step,
                        uint64_t done, uint64_t total, void *ctx)
{
    struct gal_cli_transfer *t = ctx;
    char label[64];
    name_blob(d, label, sizeof label);
    switch (step) {
    case GAL_TRANSFER_EXISTS:
        gal_progress_done(t->progress, d->digest, label, "exists already", total);
        break;
    case GAL_TRANSFER_MOUNTED:
        gal_progress_done(t->progress, d->digest, label, "mounted", total);
        break;
    case GAL_TRANSFER_DONE:
        gal_progress_done(t->progress, d->digest, label, t->sent, total);
        break;
    case GAL_TRANSFER_FAILED:
        gal_progress_done(t->progress, d->digest, label, "failed", done);
        break;
    case GAL_TRANSFER_UPLOADING:
        gal_progress_step(t->progress, d->digest, label, "uploading", done, total);
        break;
    case GAL_TRANSFER_DOWNLOADING:
        gal_progress_step(t->progress, d->digest, label, "downloading", done, total);
        break;
    case GAL_TRANSFER_RESUMED:
        gal_progress_step(t->progress, d->digest, label, "resumed", done, total);
        break;
    }
}

/* --- options --- */

void gal_transfer_trust(const struct gal_cli *cli, struct gal_registry_options *out)
{
    out->plain_http = gal_cli_has(cli, "plain-http");
    out->fetch.insecure = gal_cli_has(cli, "insecure");
    out->fetch.ca_file = gal_cli_value(cli, "ca");
    out->env = cli->env;
}

static enum gal_status number_of(const struct gal_cli *cli, const struct gal_config_row *row,
                                 uint64_t *out, struct gal_err *err)
{
    const char *text = gal_cli_value(cli, row->name);
    struct gal_config_value value;
    if (!text)
        return GAL_OK;
    enum gal_status status = gal_config_parse(row, text, &value, err);
    if (status)
        gal_err_place(err, "--%s", row->name);
    else
        *out = value.number;
    return status;
}

enum gal_status gal_transfer_init(struct gal_cli_transfer *t, struct gal_cli *cli,
                                  struct gal_err *err)
{
    uint64_t parallel = 0;
    *t = (struct gal_cli_transfer){.cli = cli, .begin_us = gal_mono_us(&gal_clock_system)};
    gal_transfer_trust(cli, &t->options);
    enum gal_status status = number_of(cli, &parallel_row, &parallel, err);
    if (!status)
        status = number_of(cli, &chunk_row, &t->options.chunk_bytes, err);
    if (status)
        return status;
    t->options.parallel = (unsigned)parallel;
    t->options.on_progress = on_progress;
    t->options.ctx = t;
    if (!gal_cli_has(cli, "quiet")) {
        struct gal_progress_options o = gal_progress_of(cli->err, cli->env);
        t->progress = gal_progress_new(&o);
    }
    return GAL_OK;
}

void gal_transfer_release(struct gal_cli_transfer *t)
{
    gal_progress_free(t->progress);
    t->progress = NULL;
}

/* --- results --- */

static void put_json(struct gal_cli *cli, const struct gal_transfer *r, const char *name,
                     const char *path)
{
    struct gal_buf b;
    gal_buf_init(&b, 65536);
    gal_buf_puts(&b, "{\"reference\":");
    gal_json_put_str(&b, gal_str_of(name));
    gal_buf_printf(&b,
                   ",\"digest\":\"%s\",\"bytes\":%llu,\"bytes_moved\":%llu,\"blobs\":%zu,"
                   "\"blobs_moved\":%zu",
                   r->digest, (unsigned long long)r->bytes_all, (unsigned long long)r->bytes_moved,
                   r->blobs_all, r->blobs_moved);
    if (path) {
        gal_buf_puts(&b, ",\"path\":");
        gal_json_put_str(&b, gal_str_of(path));
    }
    gal_buf_putc(&b, '}');
    gal_print_json(cli->out, gal_buf_str(&b), false);
    gal_buf_release(&b);
}

void gal_transfer_print(struct gal_cli_transfer *t, const struct gal_reference *ref,
                        const struct gal_transfer *result, const char *path)
{
    struct gal_reference full = *ref;
    char name[GAL_REFERENCE_SIZE], moved[24], all[24], took[32];
    bool is_quiet = !t->progress;
    uint64_t us = gal_mono_us(&gal_clock_system) - t->begin_us;
    memcpy(full.digest, result->digest, sizeof full.digest);
    gal_reference_text(&full, name, sizeof name);
    gal_transfer_release(t);
    if (us < 10000000)
        snprintf(took, sizeof took, "%.1f s", (double)us / 1e6);
    else
        gal_humane_seconds(us / 1000000, took, sizeof took);
    if (!is_quiet)
        fprintf(t->cli->err, "%s of %s moved (%zu of %zu blobs) in %s\n",
                gal_humane_bytes(result->bytes_moved, moved, sizeof moved),
                gal_humane_bytes(result->bytes_all, all, sizeof all), result->blobs_moved,
                result->blobs_all, took);
    if (!is_quiet && path) {
        fputs("it lies in ", t->cli->err);
        gal_print_text(t->cli->err, gal_str_of(path));
        fputc('\n', t->cli->err);
    }
    if (gal_cli_has(t->cli, "json"))
        put_json(t->cli, result, name, path);
    else
        fprintf(t->cli->out, "%s\n", name);
}
