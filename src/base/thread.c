/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum gal_status gal_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg,
                                 struct gal_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* a thread's own fault, see gal_file_explain_cuts */
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int code = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code)
        return gal_fail(err, GAL_UNAVAILABLE, "thread %s does not start: %s", name, strerror(code));
    (void)pthread_setname_np(*out, name);
    return GAL_OK;
}

/* struct sched_attr of the kernel's interface, its first version; the C library has none. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

void gal_thread_slice(unsigned slice_us)
{
    struct attributes a = {.size = sizeof a};
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || a.policy != SCHED_OTHER)
        return;
    a.size = sizeof a;
    a.runtime_ns = (uint64_t)slice_us * 1000;
    (void)syscall(SYS_sched_setattr, 0, &a, 0);
}

void gal_thread_give_way(int nice)
{
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice); /* Linux: of a thread */
}

static unsigned quota_cpus(struct gal_str quota, struct gal_str period)
{
    uint64_t q, p;
    if (gal_str_u64(gal_str_trim(quota), &q) || gal_str_u64(gal_str_trim(period), &p) || q == 0 ||
        p == 0)
        return 0;
    uint64_t cpus = q / p + (q % p != 0);
    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

unsigned gal_cpu_quota_parse(const char *text)
{
    struct gal_str rest = gal_str_trim(gal_str_of(text)), quota;
    return gal_str_cut(&rest, ' ', &quota) && rest.p ? quota_cpus(quota, rest) : 0;
}

/* Content of the small file dir/name as a string; false when it cannot be read. */
static bool read_small(const char *dir, const char *name, char *text, size_t size)
{
    struct gal_buf content;
    char *path = gal_path_join(dir, name);
    bool done = path && gal_file_read(path, size - 1, &content, NULL) == GAL_OK;
    if (done) {
        memcpy(text, content.p, content.n + 1);
        gal_buf_release(&content);
    }
    gal_free(path);
    return done;
}

/* Limits of one cgroup's directory, of version 2 or 1; UINT64_MAX: none. */
static uint64_t group_cpus(const char *dir)
{
    char text[64], period[64];
    unsigned cpus = 0;
    if (read_small(dir, "cpu.max", text, sizeof text))
        cpus = gal_cpu_quota_parse(text);
    else if (read_small(dir, "cpu.cfs_quota_us", text, sizeof text) &&
             read_small(dir, "cpu.cfs_period_us", period, sizeof period))
        cpus = quota_cpus(gal_str_of(text), gal_str_of(period)); /* "-1", no number: no limit */
    return cpus ? cpus : UINT64_MAX;
}

static uint64_t group_memory(const char *dir)
{
    char text[64];
    uint64_t bytes;
    if (!read_small(dir, "memory.max", text, sizeof text) &&
        !read_small(dir, "memory.limit_in_bytes", text, sizeof text))
        return UINT64_MAX;
    return gal_str_u64(gal_str_trim(gal_str_of(text)), &bytes) == GAL_OK ? bytes : UINT64_MAX;
}

/* A limit as it stands in one directory of a controller. */
struct limit {
    const char *controller;
    uint64_t (*of)(const char *dir);
};

/* Smallest limit from mount + group up to mount. In a container the host's path may be listed
 * while the container's own group is mounted at the top: what does not exist is passed over. */
static uint64_t limit_upwards(const struct limit *limit, const char *mount, struct gal_str group)
{
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof dir, "%s%.*s", mount, GAL_STR_ARG(group));
    size_t top = strlen(mount);
    size_t end = n > 0 && (size_t)n < sizeof dir ? (size_t)n : top;
    uint64_t least = UINT64_MAX;
    for (;;) {
        dir[end] = '\0';
        uint64_t one = limit->of(dir);
        if (one < least)
            least = one;
        if (end <= top)
            return least;
        while (end > top && dir[end] != '/')
            end--;
    }
}

/* A line of /proc/self/cgroup is ID:CONTROLLERS:PATH; version 2 has the one line 0::PATH. */
static uint64_t limit_of_line(const struct limit *limit, struct gal_str line)
{
    struct gal_str id, controllers, one;
    char mount[64];
    if (!gal_str_cut(&line, ':', &id) || !gal_str_cut(&line, ':', &controllers) || !line.p)
        return UINT64_MAX;
    if (controllers.n == 0)
        return limit_upwards(limit, "/sys/fs/cgroup", line);
    snprintf(mount, sizeof mount, "/sys/fs/cgroup/%s", limit->controller);
    while (gal_str_cut(&controllers, ',', &one))
        if (gal_str_is(one, limit->controller))
            return limit_upwards(limit, mount, line);
    return UINT64_MAX;
}

static uint64_t least_limit(const struct limit *limit)
{
    char text[4096];
    uint64_t least = UINT64_MAX;
    if (read_small("/proc/self", "cgroup", text, sizeof text)) {
        struct gal_str rest = gal_str_of(text), line;
        while (gal_str_cut(&rest, '\n', &line)) {
            uint64_t one = limit_of_line(limit, line);
            least = one < least ? one : least;
        }
    }
    return least;
}

unsigned gal_cpu_affinity(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
    return online > 0 ? (unsigned)online : 1;
}

unsigned gal_cpu_count(void)
{
    static const struct limit quota = {"cpu", group_cpus};
    unsigned count = gal_cpu_affinity();
    uint64_t most = least_limit(&quota);
    if (most < count)
        count = (unsigned)most;
    return count ? count : 1;
}

uint64_t gal_memory_max(void)
{
    static const struct limit memory = {"memory", group_memory};
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
    uint64_t group = least_limit(&memory);
    return group < machine ? group : machine;
}
