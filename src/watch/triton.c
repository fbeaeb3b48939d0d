/* SPDX-License-Identifier: Apache-2.0 */
#include "watch/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { COUNTER = GAL_EXPO_COUNTER, GAUGE = GAL_EXPO_GAUGE };

static const struct {
    const char *name, *help;
    enum gal_expo_type type;
} rows[] = {
#define GAL_TRITON_ROW(name, type, value, help) {name, help, (enum gal_expo_type)(type)},
#include "watch/triton.def"
#undef GAL_TRITON_ROW
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void read_all(const struct gal_load *l, double values[ROW_COUNT])
{
    const struct gal_sched_stats *s = &l->stats;
    size_t i = 0;
#define GAL_TRITON_ROW(name, type, value, help) values[i++] = (double)(value);
#include "watch/triton.def"
#undef GAL_TRITON_ROW
}

/* --- the machine --- */

bool gal_cpu_parse(struct gal_str text, uint64_t *busy, uint64_t *total)
{
    enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 }; /* user nice system idle iowait irq softirq steal */
    struct gal_str line, field;
    size_t i = 0;
    uint64_t ticks;

    *busy = *total = 0;
    if (!gal_str_cut(&text, '\n', &line) || !gal_str_starts(line, GAL_STR("cpu ")))
        return false;
    line = gal_str_trim((struct gal_str){line.p + 4, line.n - 4});
    for (; i < FIELDS && gal_str_cut(&line, ' ', &field); i++) {
        if (gal_str_u64(field, &ticks) != GAL_OK)
            return false;
        *total += ticks;
        *busy += i == IDLE || i == IOWAIT ? 0 : ticks;
    }
    return i > IOWAIT;
}

static struct gal_str read_front(const char *path, char *space, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, space, size);

    if (fd >= 0)
        close(fd);
    return (struct gal_str){space, n > 0 ? (size_t)n : 0};
}

double gal_cpu_sample(struct gal_cpu_meter *m)
{
    char space[512];
    uint64_t busy, total;
    double share = 0;

    if (!gal_cpu_parse(read_front("/proc/stat", space, sizeof(space)), &busy, &total))
        return 0;
    if (m->total > 0 && total > m->total && busy >= m->busy)
        share = (double)(busy - m->busy) / (double)(total - m->total);
    *m = (struct gal_cpu_meter){busy, total};
    return share < 1 ? share : 1;
}

/* "MemTotal:       16384 kB"; 0 when the line is not there. */
static uint64_t memory_bytes(struct gal_str text, struct gal_str name)
{
    struct gal_str line, field;
    uint64_t kib;

    while (gal_str_cut(&text, '\n', &line)) {
        if (!gal_str_starts(line, name))
            continue;
        line = gal_str_trim((struct gal_str){line.p + name.n, line.n - name.n});
        return gal_str_cut(&line, ' ', &field) && gal_str_u64(field, &kib) == GAL_OK ? kib * 1024
                                                                                     : 0;
    }
    return 0;
}

static void render_machine(struct gal_expo *e, double cpu)
{
    char space[2048];
    struct gal_str text = read_front("/proc/meminfo", space, sizeof(space));
    uint64_t total = memory_bytes(text, GAL_STR("MemTotal:"));
    uint64_t free = memory_bytes(text, GAL_STR("MemAvailable:"));

    gal_expo_family(e, "nv_cpu_utilization", GAL_EXPO_GAUGE,
                    "Share of the machine's processors that was busy in the last second");
    gal_expo_f64(e, "", cpu);
    if (total == 0 || free == 0)
        return;
    gal_expo_family(e, "nv_cpu_memory_total_bytes", GAL_EXPO_GAUGE, "Memory of the machine");
    gal_expo_u64(e, "", total);
    gal_expo_family(e, "nv_cpu_memory_used_bytes", GAL_EXPO_GAUGE,
                    "Memory of the machine that is in use");
    gal_expo_u64(e, "", total > free ? total - free : 0);
}

/* --- models --- */

static void put_failures(struct gal_expo *e, const struct gal_load *l)
{
    const struct gal_sched_stats *s = &l->stats;
    const struct {
        const char *name;
        uint64_t count;
    } reasons[] = {{"REJECTED", s->rejected + s->expired},
                   {"CANCELED", s->cancelled},
                   {"BACKEND", s->failed},
                   {"OTHER", l->refused}};
    char labels[GAL_LOAD_LABELS_MAX + 32];

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        snprintf(labels, sizeof(labels), "%s,reason=\"%s\"", l->triton_labels, reasons[i].name);
        gal_expo_u64(e, labels, reasons[i].count);
    }
}

void gal_triton_render(struct gal_expo *e, const struct gal_load *loads, size_t count, double cpu)
{
    double values[ROW_COUNT];

    for (size_t r = 0; count > 0 && r < ROW_COUNT; r++) {
        gal_expo_family(e, rows[r].name, rows[r].type, rows[r].help);
        for (size_t i = 0; i < count; i++) {
            read_all(&loads[i], values);
            gal_expo_f64(e, loads[i].triton_labels, values[r]);
        }
    }
    if (count > 0)
        gal_expo_family(e, "nv_inference_request_failure", GAL_EXPO_COUNTER,
                        "Inference requests that failed, by reason");
    for (size_t i = 0; i < count; i++)
        put_failures(e, &loads[i]);
    render_machine(e, cpu);
}
