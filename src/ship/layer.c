/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/layer.h"

#include "base/file_write.h"
#include "base/mem.h"
#include "base/thread.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (256u << 10)      /* of a tar, before it is compressed */
#define SAMPLE (1u << 20)       /* of a file, to see whether it shrinks */
#define SAMPLE_FROM (4u << 20)  /* layers below are compressed anyway */
#define FORMAT "galley layer 1" /* of the key: another number when the bytes made change */
#define META_MAX 1024u

const char *gal_layer_media_type(enum gal_compression compression)
{
    static const char *const types[] = {[GAL_COMPRESS_NONE] = GAL_OCI_LAYER_TAR,
                                        [GAL_COMPRESS_GZIP] = GAL_OCI_LAYER_GZIP,
                                        [GAL_COMPRESS_ZSTD] = GAL_OCI_LAYER_ZSTD};
    return types[compression];
}

/* A layer being made. */
struct making {
    const struct gal_layer_options *options;
    const struct gal_cargo *cargo;
    struct gal_layer *out;
    struct gal_compressor *compressor;
    struct gal_sha256 *tar_sha, *blob_sha;
    struct gal_file_writer *file;
    struct gal_buf tar, packed;
    struct gal_err *err;
};

static int level_of(enum gal_compression compression)
{
    return compression == GAL_COMPRESS_GZIP ? 6 : compression == GAL_COMPRESS_ZSTD ? 9 : 0;
}

/* --- the key --- */

static enum gal_status key_of(const struct gal_cargo *c, enum gal_compression compression,
                              int64_t epoch, char key[GAL_SHA256_HEX_SIZE], struct gal_err *err)
{
    struct gal_buf text;
    enum gal_status status;
    gal_buf_init(&text, 1u << 30);
    gal_buf_printf(&text, FORMAT " %d %d %lld\n", (int)compression, level_of(compression),
                   (long long)epoch);
    for (size_t i = 0; i < c->count; i++) {
        const struct gal_cargo_item *item = &c->items[i];
        gal_buf_printf(&text, "%d %o %llu %s ", (int)item->type, item->mode,
                       (unsigned long long)item->size, item->sha256);
        gal_buf_put_quoted(&text, gal_str_of(item->path));
        gal_buf_putc(&text, ' ');
        gal_buf_put_quoted(&text, gal_str_of(item->target));
        gal_buf_putc(&text, '\n');
    }
    status = text.failed ? gal_fail(err, GAL_NO_MEMORY, "no memory for a layer's key")
                         : gal_sha256_bytes(gal_buf_str(&text), key, err);
    gal_buf_release(&text);
    return status;
}

/* --- what shrinks --- */

struct sampling {
    struct gal_compressor *c;
    struct gal_buf out;
    struct gal_err *err;
};

static enum gal_status on_sample(struct gal_str piece, void *ctx)
{
    struct sampling *s = ctx;
    return gal_compress(s->c, piece, false, &s->out, s->err);
}

/* Weights are often noise: compressing gigabytes for a few per cent costs more at every start than
 * it saves. A piece from the middle of the largest file tells. */
static enum gal_status shrinks(const struct gal_cargo *c, enum gal_compression kind, bool *out,
                               struct gal_err *err)
{
    const struct gal_cargo_item *largest = NULL;
    struct sampling s = {.err = err};
    enum gal_status status;
    *out = true;
    for (size_t i = 0; i < c->count; i++) {
        if (c->items[i].file && (!largest || c->items[i].size > largest->size))
            largest = &c->items[i];
    }
    if (!largest || largest->size < SAMPLE_FROM || largest->size < c->bytes / 2)
        return GAL_OK;
    gal_buf_init(&s.out, 2 * SAMPLE);
    status = gal_compressor_new(kind, 1, &s.c, err);
    if (!status)
        status = gal_file_scan_part(largest->file, largest->offset + largest->size / 2, SAMPLE,
                                    on_sample, &s, err);
    if (!status)
        status = gal_compress(s.c, GAL_STR(""), true, &s.out, err);
    *out = !status && s.out.n < SAMPLE / 100 * 93;
    gal_compressor_free(s.c);
    gal_buf_release(&s.out);
    return status;
}

/* --- making --- */

/* Moves what the tar's buffer holds on: digest, compression, digest, file. */
static enum gal_status flush(struct making *m, bool last)
{
    struct gal_str tar = gal_buf_str(&m->tar), packed = tar;
    enum gal_status status = gal_sha256_add(m->tar_sha, tar);
    m->out->unpacked += tar.n;
    if (!status && m->compressor) {
        status = gal_compress(m->compressor, tar, last, &m->packed, m->err);
        packed = gal_buf_str(&m->packed);
    }
    if (!status && packed.n) {
        status = gal_sha256_add(m->blob_sha, packed);
        status = status ? status : gal_file_write(m->file, packed, m->err);
        m->out->size += packed.n;
    }
    gal_buf_clear(&m->tar, 2 * PIECE);
    gal_buf_clear(&m->packed, 2 * PIECE);
    return status;
}

static enum gal_status on_bytes(struct gal_str piece, void *ctx)
{
    struct making *m = ctx;
    enum gal_status status = GAL_OK;
    while (piece.n && !status) {
        size_t n = piece.n < PIECE ? piece.n : PIECE;
        gal_buf_put(&m->tar, piece.p, n);
        if (m->tar.failed)
            return gal_fail(m->err, GAL_NO_MEMORY, "no memory for a layer");
        piece = (struct gal_str){piece.p + n, piece.n - n};
        if (m->tar.n >= PIECE)
            status = flush(m, false);
    }
    return status;
}

static enum gal_status put_item(struct making *m, const struct gal_cargo_item *item)
{
    struct gal_tar_entry e = {.path = item->path,
                              .type = item->type,
                              .target = item->target,
                              .mode = item->mode,
                              .size = item->size,
                              .mtime = m->options->epoch};
    enum gal_status status = gal_tar_put_header(&m->tar, &e, m->err);
    if (status || item->type != GAL_TAR_FILE)
        return status;
    status = item->bytes.p
                 ? on_bytes(item->bytes, m)
                 : gal_file_scan_part(item->file, item->offset, item->size, on_bytes, m, m->err);
    if (!status)
        gal_tar_put_padding(&m->tar, item->size);
    return status;
}

static enum gal_status put_all(struct making *m)
{
    char hex[GAL_SHA256_HEX_SIZE];
    enum gal_status status = GAL_OK;
    for (size_t i = 0; i < m->cargo->count && !status; i++)
        status = put_item(m, &m->cargo->items[i]);
    if (!status) {
        gal_tar_put_end(&m->tar);
        status = m->tar.failed ? gal_fail(m->err, GAL_NO_MEMORY, "no memory for a layer")
                               : flush(m, true);
    }
    if (!status)
        status = gal_sha256_end(m->tar_sha, hex);
    if (!status) {
        snprintf(m->out->diff_id, sizeof m->out->diff_id, "sha256:%s", hex);
        status = gal_sha256_end(m->blob_sha, hex);
        snprintf(m->out->digest, sizeof m->out->digest, "sha256:%s", hex);
    }
    return status;
}

static enum gal_status write_meta(const struct gal_layer *l, const char *path, struct gal_err *err)
{
    char text[META_MAX];
    int n = snprintf(text, sizeof text, "%d %llu %llu %s %s\n", (int)l->compression,
                     (unsigned long long)l->size, (unsigned long long)l->unpacked, l->digest,
                     l->diff_id);
    return gal_file_put(path, (struct gal_str){text, (size_t)n}, err);
}

static enum gal_status make(struct making *m, const char *meta)
{
    struct gal_layer *l = m->out;
    bool worth = l->compression != GAL_COMPRESS_NONE;
    enum gal_status status = GAL_OK;
    if (worth)
        status = shrinks(m->cargo, l->compression, &worth, m->err);
    if (!worth)
        l->compression = GAL_COMPRESS_NONE;
    gal_buf_init(&m->tar, 16u << 20);
    gal_buf_init(&m->packed, 16u << 20);
    m->tar_sha = gal_sha256_new();
    m->blob_sha = gal_sha256_new();
    if (!m->tar_sha || !m->blob_sha)
        status = gal_fail(m->err, GAL_NO_MEMORY, "no memory for a layer");
    if (!status && l->compression != GAL_COMPRESS_NONE)
        status =
            gal_compressor_new(l->compression, level_of(l->compression), &m->compressor, m->err);
    if (!status)
        status = gal_file_create(l->path, &m->file, m->err);
    if (!status)
        status = put_all(m);
    if (!status) {
        struct gal_file_writer *file = m->file;
        m->file = NULL;
        status = gal_file_commit(file, m->err);
    }
    if (!status)
        status = write_meta(l, meta, m->err);
    gal_file_abandon(m->file);
    gal_compressor_free(m->compressor);
    gal_sha256_free(m->tar_sha);
    gal_sha256_free(m->blob_sha);
    gal_buf_release(&m->tar);
    gal_buf_release(&m->packed);
    return status;
}

/* --- the folder --- */

/* What stands there is believed only when its bytes have the digest. */
static bool find(struct gal_layer *l, const char *meta)
{
    struct gal_layer got = *l;
    struct gal_buf text;
    char hex[GAL_SHA256_HEX_SIZE];
    int compression;
    unsigned long long size, unpacked;
    bool ok;
    if (gal_file_read(meta, META_MAX, &text, NULL))
        return false;
    // NOLINTNEXTLINE(cert-err34-c): a number that does not fit gives no digest that is right
    ok = sscanf(text.p, "%d %llu %llu %71s %71s", &compression, &size, &unpacked, got.digest,
                got.diff_id) == 5 &&
         compression >= GAL_COMPRESS_NONE && compression <= GAL_COMPRESS_ZSTD &&
         gal_oci_digest_valid(gal_str_of(got.digest)) &&
         gal_oci_digest_valid(gal_str_of(got.diff_id)) &&
         !gal_sha256_part(l->path, 0, size, hex, NULL) &&
         strcmp(hex, got.digest + strlen("sha256:")) == 0;
    gal_buf_release(&text);
    if (!ok)
        return false;
    got.compression = (enum gal_compression)compression;
    got.size = size;
    got.unpacked = unpacked;
    got.was_there = true;
    *l = got;
    (void)utimensat(AT_FDCWD, l->path, NULL, 0); /* used now: it stays longest */
    return true;
}

struct work {
    struct gal_cargo *const *cargo;
    size_t count;
    const struct gal_layer_options *options;
    struct gal_layer *out;
    enum gal_status *statuses;
    struct gal_err *errs;
    atomic_size_t next;
    pthread_mutex_t lock; /* arena and on_layer */
    struct gal_arena *arena;
};

static enum gal_status make_one(struct work *w, size_t i)
{
    struct gal_layer *l = &w->out[i];
    struct making m = {.options = w->options, .cargo = w->cargo[i], .out = l, .err = &w->errs[i]};
    char key[GAL_SHA256_HEX_SIZE];
    const char *meta = NULL;
    enum gal_status status =
        key_of(w->cargo[i], w->options->compression, w->options->epoch, key, m.err);
    if (status)
        return status;
    *l = (struct gal_layer){.compression = w->options->compression};
    pthread_mutex_lock(&w->lock);
    l->path = gal_arena_printf(w->arena, "%s/%s.layer", w->options->dir, key);
    meta = gal_arena_printf(w->arena, "%s/%s.txt", w->options->dir, key);
    pthread_mutex_unlock(&w->lock);
    if (!l->path || !meta)
        return gal_fail(m.err, GAL_NO_MEMORY, "no memory for a layer");
    if (!find(l, meta))
        status = make(&m, meta);
    if (!status && w->options->on_layer) {
        pthread_mutex_lock(&w->lock);
        w->options->on_layer(w->cargo[i], l, w->options->ctx);
        pthread_mutex_unlock(&w->lock);
    }
    return status;
}

static void *run(void *arg)
{
    struct work *w = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->count)
            return NULL;
        w->statuses[i] = make_one(w, i);
    }
}

enum gal_status gal_layers_make(struct gal_cargo *const *cargo, size_t count,
                                const struct gal_layer_options *options, struct gal_arena *arena,
                                struct gal_layer *out, struct gal_err *err)
{
    struct work w = {.cargo = cargo,
                     .count = count,
                     .options = options,
                     .out = out,
                     .lock = PTHREAD_MUTEX_INITIALIZER,
                     .arena = arena};
    unsigned threads = options->threads ? options->threads : gal_cpu_count(), started = 0;
    pthread_t ids[16];
    enum gal_status status = GAL_OK;
    w.statuses = gal_calloc(count + 1, sizeof *w.statuses);
    w.errs = gal_calloc(count + 1, sizeof *w.errs);
    if (!w.statuses || !w.errs)
        status = gal_fail(err, GAL_NO_MEMORY, "no memory for layers");
    for (; !status && started + 1 < threads && started < 16 && started + 1 < count; started++) {
        if (gal_thread_start(&ids[started], "galley-layer", run, &w, NULL))
            break;
    }
    if (!status)
        run(&w);
    for (unsigned i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    for (size_t i = 0; i < count && !status; i++) {
        status = w.statuses[i];
        if (status && err)
            *err = w.errs[i];
    }
    gal_free(w.statuses);
    gal_free(w.errs);
    return status;
}

/* --- trimming --- */

struct kept {
    char *path; /* owned */
    int64_t used_s;
    uint64_t bytes;
};

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const struct kept *)a)->used_s, y = ((const struct kept *)b)->used_s;
    return (x > y) - (x < y);
}

static void drop(const struct kept *k)
{
    struct gal_str stem = gal_str_of(k->path);
    char meta[GAL_PATH_SIZE];
    stem.n -= strlen(".layer");
    if (snprintf(meta, sizeof meta, "%.*s.txt", GAL_STR_ARG(stem)) < (int)sizeof meta)
        (void)unlink(meta);
    (void)unlink(k->path);
}

void gal_layers_trim(const char *dir, uint64_t bytes_max, int64_t now)
{
    char **names;
    size_t count, n = 0;
    uint64_t bytes = 0;
    struct kept *all;
    struct gal_file_info info;
    if (gal_dir_list(dir, &names, &count, NULL))
        return;
    all = gal_calloc(count + 1, sizeof *all);
    for (size_t i = 0; i < count && all; i++) {
        struct kept *k = &all[n];
        if (!gal_str_ends(gal_str_of(names[i]), GAL_STR(".layer")))
            continue;
        k->path = gal_path_join(dir, names[i]);
        if (!k->path || gal_file_stat(k->path, &info, NULL)) {
            gal_free(k->path);
            continue;
        }
        k->used_s = info.mtime_ns / 1000000000;
        bytes += k->bytes = info.bytes;
        n++;
    }
    if (all && n)
        qsort(all, n, sizeof *all, by_age);
    for (size_t i = 0; i < n; i++) {
        if (bytes > bytes_max && all[i].used_s < now - 3600) {
            drop(&all[i]);
            bytes -= all[i].bytes;
        }
        gal_free(all[i].path);
    }
    gal_free(all);
    gal_free((void *)names);
}
