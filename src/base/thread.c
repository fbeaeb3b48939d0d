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
#include <unistd.h>

enum gal_status gal_thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg,
                                 struct gal_err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits the mask */
    int code = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code)
        return gal_fail(err, GAL_UNAVAILABLE, "thread %s does not start: %s", name, strerror(code));
    (void)pthread_setname_np(*out, name);
    return GAL_OK;
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

/* Quota of one cgroup's directory, of version 2 or 1; 0: none. */
static unsigned group_quota(const char *dir)
{
    char text[64], period[64];
    if (read_small(dir, "cpu.max", text, sizeof text))
        return gal_cpu_quota_parse(text);
    if (read_small(dir, "cpu.cfs_quota_us", text, sizeof text) &&
        read_small(dir, "cpu.cfs_period_us", period, sizeof period))
        return quota_cpus(gal_str_of(text), gal_str_of(period)); /* "-1", no number: no limit */
    return 0;
}

/* Smallest quota from mount + group up to mount. In a container the host's path may be listed
 * while the container's own group is mounted at the top: what does not exist is passed over. */
static unsigned quota_upwards(const char *mount, struct gal_str group, unsigned least)
{
    char dir[PATH_MAX];
    int n = snprintf(dir, sizeof dir, "%s%.*s", mount, GAL_STR_ARG(group));
    size_t top = strlen(mount);
    size_t end = n > 0 && (size_t)n < sizeof dir ? (size_t)n : top;
    for (;;) {
        dir[end] = '\0';
        unsigned quota = group_quota(dir);
        if (quota > 0 && quota < least)
            least = quota;
        if (end <= top)
            return least;
        while (end > top && dir[end] != '/')
            end--;
    }
}

/* A line of /proc/self/cgroup is ID:CONTROLLERS:PATH; version 2 has the one line 0::PATH. */
static unsigned quota_of_line(struct gal_str line, unsigned least)
{
    struct gal_str id, controllers, one;
    if (!gal_str_cut(&line, ':', &id) || !gal_str_cut(&line, ':', &controllers) || !line.p)
        return least;
    if (controllers.n == 0)
        return quota_upwards("/sys/fs/cgroup", line, least);
    while (gal_str_cut(&controllers, ',', &one))
        if (gal_str_is(one, "cpu"))
            return quota_upwards("/sys/fs/cgroup/cpu", line, least);
    return least;
}

unsigned gal_cpu_count(void)
{
    cpu_set_t set;
    char text[4096];
    unsigned count;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    } else { /* more processors than a cpu_set_t holds */
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (unsigned)online : 1;
    }
    if (read_small("/proc/self", "cgroup", text, sizeof text)) {
        struct gal_str rest = gal_str_of(text), line;
        while (gal_str_cut(&rest, '\n', &line))
            count = quota_of_line(line, count);
    }
    return count ? count : 1;
}
