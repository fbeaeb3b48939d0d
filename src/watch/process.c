/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own figures, read from Linux. What cannot be read is left out. */
#include "watch/metrics.h"

#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_value(struct gal_expo *e, const char *name, enum gal_expo_type type,
                      const char *help, uint64_t value)
{
    gal_expo_family(e, name, type, help);
    gal_expo_u64(e, "", value);
}

static void put_seconds(struct gal_expo *e, const char *name, enum gal_expo_type type,
                        const char *help, uint64_t us)
{
    gal_expo_family(e, name, type, help);
    gal_expo_f64(e, "", (double)us / 1e6);
}

/* Field `number` (proc(5), from 1) of /proc/self/stat; fields are counted behind the command's
 * closing bracket because the command may hold spaces. False when it is not there. */
static bool stat_field(struct gal_str text, size_t number, uint64_t *out)
{
    struct gal_str field;
    size_t at = text.n;

    while (at > 0 && text.p[at - 1] != ')')
        at--;
    if (at == 0 || at == text.n)
        return false;
    text = (struct gal_str){text.p + at + 1, text.n - at - 1};
    for (size_t i = 3; gal_str_cut(&text, ' ', &field); i++) {
        if (i == number)
            return gal_str_u64(field, out) == GAL_OK;
    }
    return false;
}

static struct gal_str stat_read(char *space, size_t size)
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, space, size);

    if (fd >= 0)
        close(fd);
    return (struct gal_str){space, n > 0 ? (size_t)n : 0};
}

static void put_memory(struct gal_expo *e)
{
    char space[2048];
    struct gal_str text = stat_read(space, sizeof(space));
    uint64_t value;

    if (stat_field(text, 24, &value))
        put_value(e, "process_resident_memory_bytes", GAL_EXPO_GAUGE,
                  "Resident memory size in bytes", value * (uint64_t)sysconf(_SC_PAGESIZE));
    if (stat_field(text, 23, &value))
        put_value(e, "process_virtual_memory_bytes", GAL_EXPO_GAUGE, "Virtual memory size in bytes",
                  value);
    if (stat_field(text, 20, &value))
        put_value(e, "process_threads", GAL_EXPO_GAUGE, "Threads of the process", value);
}

/* Since Linux 6.2 the directory's size is the count; before that it is 0 and names are counted.
 * 0: unknown. */
static uint64_t count_fds(void)
{
    uint64_t count = 0;
    struct stat st;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* without the one that counts */
}

static void put_files(struct gal_expo *e)
{
    uint64_t open_fds = count_fds();
    struct rlimit limit;

    if (open_fds)
        put_value(e, "process_open_fds", GAL_EXPO_GAUGE, "Open file descriptors", open_fds);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_value(e, "process_max_fds", GAL_EXPO_GAUGE, "Most file descriptors that may be open",
                  (uint64_t)limit.rlim_cur);
}

static uint64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void gal_metrics_render_process(struct gal_expo *e, uint64_t start_wall_us)
{
    put_seconds(e, "process_cpu_seconds_total", GAL_EXPO_COUNTER, "User and system CPU time",
                cpu_us());
    put_seconds(e, "process_start_time_seconds", GAL_EXPO_GAUGE,
                "Start of the process since 1970-01-01T00:00:00Z", start_wall_us);
    put_memory(e);
    put_files(e);
    put_value(e, "galley_allocations_total", GAL_EXPO_COUNTER,
              "Calls of galley's code to the allocator", gal_alloc_count());
    gal_expo_family(e, "galley_build_info", GAL_EXPO_GAUGE, "Version of galley, always 1");
    gal_expo_u64(e, "version=\"" GAL_VERSION "\"", 1);
}
