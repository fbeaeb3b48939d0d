/* SPDX-License-Identifier: Apache-2.0 */
/* Traced inferences as lines of JSON. */
#include "api/trace_impl.h"
#include "base/mem.h"
#include "text/json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

void gal_trace_let_go(struct gal_trace_file *f)
{
    if (f == NULL || --f->holders > 0)
        return;
    if (f->fd >= 0)
        close(f->fd);
    gal_free(f);
}

static int open_trace_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
}

bool gal_trace_open(struct gal_tracer *t, uint64_t frequency, uint64_t trace)
{
    uint64_t index = frequency > 0 ? trace / frequency : 0;
    struct gal_trace_file *f = t->out;
    char path[PATH_MAX];

    if (f != NULL && f->is_indexed == (frequency > 0) && f->index == index)
        return true;
    gal_trace_let_go(f);
    t->out = NULL;
    f = gal_calloc(1, sizeof(*f));
    if (f == NULL)
        return false;
    if (frequency > 0)
        snprintf(path, sizeof(path), "%s.%llu", t->file, (unsigned long long)index);
    else
        snprintf(path, sizeof(path), "%s", t->file);
    f->holders = 1;
    f->index = index;
    f->is_indexed = frequency > 0;
    f->fd = open_trace_file(path);
    if (f->fd >= 0)
        t->out = f;
    else
        gal_trace_let_go(f);
    return t->out != NULL;
}

static void put_moment(struct gal_buf *out, const char *name, uint64_t ns)
{
    gal_buf_puts(out, out->p[out->n - 1] == '[' ? "{\"name\":\"" : ",{\"name\":\"");
    gal_buf_puts(out, name);
    gal_buf_puts(out, "\",\"ns\":");
    gal_buf_put_u64(out, ns);
    gal_buf_putc(out, '}');
}

static void put_line(struct gal_buf *out, const struct gal_exchange *x, uint64_t id,
                     uint64_t now_us)
{
    const struct gal_job *job = &x->job;
    uint64_t start_ns = job->started_us * 1000, infer_ns = start_ns + job->input_ns;

    gal_buf_puts(out, "{\"id\":");
    gal_buf_put_u64(out, id);
    gal_buf_puts(out, ",\"model_name\":");
    gal_json_put_str(out, gal_str_of(x->model->name));
    gal_buf_puts(out, ",\"model_version\":");
    gal_json_put_str(out, gal_str_of(x->model->version));
    gal_buf_puts(out, ",\"request_id\":");
    gal_json_put_str(out, gal_str_of(x->request_id));
    gal_buf_puts(out, ",\"timestamps\":[");
    put_moment(out, "HTTP_RECV_START", x->start_us * 1000);
    put_moment(out, "HTTP_RECV_END", x->began_us * 1000);
    put_moment(out, "REQUEST_START", job->submitted_us * 1000);
    put_moment(out, "QUEUE_START", job->submitted_us * 1000);
    if (job->started_us != 0) { /* not answered from the cache, not refused */
        put_moment(out, "COMPUTE_START", start_ns);
        put_moment(out, "COMPUTE_INPUT_END", infer_ns);
        put_moment(out, "COMPUTE_OUTPUT_START", infer_ns + job->infer_ns);
        put_moment(out, "COMPUTE_END", infer_ns + job->infer_ns + job->output_ns);
    }
    put_moment(out, "REQUEST_END", now_us * 1000);
    put_moment(out, "HTTP_SEND_START", now_us * 1000);
    gal_buf_puts(out, "]}\n");
}

/* Is it this one's turn? Counts it, and tells its number. */
static bool choose(struct gal_tracer *t, struct gal_trace_model *m,
                   const struct gal_trace_values *v, uint64_t *index)
{
    bool own_rate = m != NULL && m->own & 1u << GAL_TRACE_RATE_KEY;
    uint64_t *seen = own_rate ? &m->seen : &t->seen;
    int64_t *left = m != NULL && m->own & 1u << GAL_TRACE_COUNT ? &m->values.left : &t->values.left;

    if (v->levels == 0 || (*seen)++ % v->rate != 0 || v->left == 0)
        return false;
    if (*left > 0)
        --*left;
    *index = t->written++;
    return true;
}

/* Not under the lock: a slow disk holds up who traces, nobody else. Lines are one write each, which
 * a file that is appended to takes whole. A full disk: the file tells less, requests go on. */
static void write_out(struct gal_tracer *t, uint64_t frequency, uint64_t index,
                      const struct gal_buf *lines)
{
    struct gal_trace_file *f = NULL;
    unsigned tears = 0;
    bool torn = false, whole;

    pthread_mutex_lock(&t->lock);
    if (gal_trace_open(t, frequency, index)) {
        f = t->out;
        f->holders++;
        torn = f->torn;
        tears = f->tears;
    }
    pthread_mutex_unlock(&t->lock);
    if (f == NULL)
        return;
    whole = (!torn || write(f->fd, "\n", 1) == 1) &&
            write(f->fd, lines->p, lines->n) == (ssize_t)lines->n;
    pthread_mutex_lock(&t->lock);
    f->tears += !whole;
    if (!whole)
        f->torn = true;
    else if (f->tears == tears) /* else another's torn line may have come after this one */
        f->torn = false;
    gal_trace_let_go(f);
    pthread_mutex_unlock(&t->lock);
}

void gal_trace_request(struct gal_exchange *x, uint64_t now_us)
{
    struct gal_tracer *t = x->api->trace->tracer;
    char bytes[LINE_BYTES_MAX];
    struct gal_buf line = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)}, more;
    struct gal_trace_model *m;
    struct gal_trace_values v;
    uint64_t index = 0;
    bool is_chosen;

    pthread_mutex_lock(&t->lock);
    m = gal_trace_find(t, gal_str_of(x->model->name));
    v = gal_trace_values_of(t, m);
    is_chosen = choose(t, m, &v, &index);
    pthread_mutex_unlock(&t->lock);
    if (!is_chosen)
        return;
    if (v.levels & GAL_TRACE_TIMESTAMPS) {
        put_line(&line, x, index + 1, now_us);
        if (!line.failed)
            write_out(t, v.frequency, index, &line);
    }
    if (v.levels & GAL_TRACE_TENSORS) {
        gal_buf_init(&more, GAL_TRACE_BYTES_MAX);
        more.budget = &x->api->process->memory;
        gal_trace_put_tensors(&more, x, index + 1);
        if (!more.failed)
            write_out(t, v.frequency, index, &more);
        gal_buf_release(&more);
    }
}
