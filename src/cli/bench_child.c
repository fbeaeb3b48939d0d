/* SPDX-License-Identifier: Apache-2.0 */
/* A galley of our own, for `galley bench PATH`: started, waited for, stopped. Its log goes to a
 * file in memory, which nobody has to drain while the clock runs. */
#include "base/buf.h"
#include "cli/bench.h"
#include "net/loop.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_US 120000000u /* for loading and warming what PATH holds */
#define STEP_MS 20          /* between looks */
#define STOP_MS 10000       /* then it is killed */
#define LOG_BYTES_MAX (1u << 20)
#define ARGS_MAX 256u

/* --- the child's side --- */

/* It goes when we go, and does not see our Ctrl-C. */
static _Noreturn void become(const char *const *argv, const char *cores, int log_fd, pid_t parent)
{
    struct gal_err err;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    if (cores && gal_cores_pin(cores, &err) != GAL_OK) {
        dprintf(log_fd, "--server-cores: %s\n", err.message);
        _exit(127);
    }
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    (void)signal(SIGPIPE, SIG_DFL);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "galley cannot start itself: %s\n", strerror(errno));
    _exit(127);
}

/* --- its log --- */

static enum gal_status read_log(const struct gal_bench_child *c, struct gal_buf *out)
{
    char *space;

    gal_buf_clear(out, SIZE_MAX);
    while ((space = gal_buf_reserve(out, 4096))) {
        ssize_t n = pread(c->log_fd, space, 4096, (off_t)out->n);
        if (n <= 0)
            return n == 0 ? GAL_OK : GAL_IO;
        out->n += (size_t)n;
    }
    return GAL_OK; /* as much as fits */
}

/* The line that tells of an error, else the last, as words. */
static void put_reason(struct gal_str log, struct gal_arena *arena, struct gal_err *err)
{
    struct gal_str line, last = {NULL, 0};
    yyjson_val *root, *text;

    while (log.n && gal_str_cut(&log, '\n', &line)) {
        if (line.n && !gal_str_starts(last, GAL_STR("galley: ")))
            last = line;
    }
    if (gal_json_read(last, arena, GAL_JSON_DEPTH_MAX, &root, NULL) == GAL_OK) {
        text = yyjson_obj_get(root, "error");
        text = text ? text : yyjson_obj_get(root, "message");
        if (yyjson_is_str(text))
            last = (struct gal_str){yyjson_get_str(text), yyjson_get_len(text)};
    }
    gal_fail(err, GAL_UNAVAILABLE, "the server that was started is not ready: %.*s",
             last.n ? (int)(last.n < 300 ? last.n : 300) : 9, last.n ? last.p : "no reason");
}

/* {"event":"listening","url":"http://127.0.0.1:39877",...}; false when there is no such line yet.
 */
static bool find_url(struct gal_str log, struct gal_arena *arena, struct gal_target *target)
{
    struct gal_str line;

    while (log.n && gal_str_cut(&log, '\n', &line)) {
        yyjson_val *root;
        if (gal_json_read(line, arena, GAL_JSON_DEPTH_MAX, &root, NULL) == GAL_OK &&
            yyjson_equals_str(yyjson_obj_get(root, "event"), "listening"))
            return gal_target_parse(yyjson_get_str(yyjson_obj_get(root, "url")), target, NULL) ==
                   GAL_OK;
    }
    return false;
}

/* A model that does not load is told by the line "not_ready" and leaves the server running. */
static bool has_failed(struct gal_str log)
{
    return log.n && memmem(log.p, log.n, "\"event\":\"not_ready\"", 19) != NULL;
}

/* --- start --- */

/* True when the child has ended meanwhile. */
static bool ended(const struct gal_bench_child *c, int wait_ms)
{
    struct pollfd p = {.fd = c->pid_fd, .events = POLLIN};
    return poll(&p, 1, wait_ms) > 0;
}

static enum gal_status wait_ready(struct gal_bench_child *c, bool (*stop)(void *ctx), void *ctx,
                                  struct gal_target *target, struct gal_err *err)
{
    uint64_t end_us = gal_mono_us(&gal_clock_system) + READY_US;
    struct gal_buf log, body;
    struct gal_arena arena;
    enum gal_status status = GAL_OK;
    bool found = false;
    int code = 0;

    gal_buf_init(&log, LOG_BYTES_MAX);
    gal_buf_init(&body, 65536);
    gal_arena_init(&arena, 16384, 0, 16u << 20);
    while (status == GAL_OK && code != 200) {
        bool gone = ended(c, STEP_MS);
        (void)read_log(c, &log);
        gal_arena_clear(&arena);
        found = found || find_url(gal_buf_str(&log), &arena, target);
        if (gone || has_failed(gal_buf_str(&log))) {
            put_reason(gal_buf_str(&log), &arena, err);
            status = GAL_UNAVAILABLE;
        } else if (stop(ctx)) {
            status = gal_fail(err, GAL_CANCELLED, "interrupted");
        } else if (gal_mono_us(&gal_clock_system) > end_us) {
            status = gal_fail(err, GAL_UNAVAILABLE,
                              "the server that was started is not ready after 2 minutes");
        } else if (found && gal_target_fetch(target, "/health/ready", 1000000, &code, &body,
                                             NULL) != GAL_OK) {
            code = 0;
        }
    }
    gal_arena_release(&arena);
    gal_buf_release(&body);
    gal_buf_release(&log);
    return status;
}

static enum gal_status start(struct gal_bench_child *c, const char *const *argv, const char *cores,
                             struct gal_err *err)
{
    pid_t parent = getpid(), pid;

    c->log_fd = memfd_create("galley-bench-log", MFD_CLOEXEC);
    if (c->log_fd < 0)
        return gal_fail(err, GAL_IO, "no place for the server's log: %s", strerror(errno));
    (void)fcntl(c->log_fd, F_SETFL, O_APPEND);
    pid = fork();
    if (pid == 0)
        become(argv, cores, c->log_fd, parent);
    if (pid < 0)
        return gal_fail(err, GAL_UNAVAILABLE, "no server can be started: %s", strerror(errno));
    c->pid = pid;
    c->pid_fd = pidfd_open(pid, 0);
    if (c->pid_fd < 0)
        return gal_fail(err, GAL_UNAVAILABLE, "the server cannot be watched: %s", strerror(errno));
    return GAL_OK;
}

enum gal_status gal_bench_child_start(struct gal_bench_child *c, const char *path,
                                      const char *const *args, size_t arg_count, const char *cores,
                                      bool (*stop)(void *ctx), void *ctx, struct gal_target *target,
                                      struct gal_err *err)
{
    const char *argv[ARGS_MAX] = {"galley",    "serve",        path,   "--host",
                                  "127.0.0.1", "--log-format", "json", "--log-level",
                                  "info",      "--access-log", "off",  "--http-port",
                                  "0"};
    size_t n = 13;
    enum gal_status status;

    *c = (struct gal_bench_child){.log_fd = -1, .pid_fd = -1};
    if (arg_count >= ARGS_MAX - n)
        return gal_fail(err, GAL_TOO_LARGE, "there are too many arguments for the server");
    for (size_t i = 0; i < arg_count; i++)
        argv[n++] = args[i];
    argv[n] = NULL;
    status = start(c, argv, cores, err);
    if (status == GAL_OK)
        status = wait_ready(c, stop, ctx, target, err);
    if (status != GAL_OK)
        gal_bench_child_stop(c);
    return status;
}

void gal_bench_child_stop(struct gal_bench_child *c)
{
    if (c->pid > 0) {
        (void)kill((pid_t)c->pid, SIGTERM);
        if (c->pid_fd < 0 || !ended(c, STOP_MS))
            (void)kill((pid_t)c->pid, SIGKILL);
        while (waitpid((pid_t)c->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (c->pid_fd >= 0)
        close(c->pid_fd);
    if (c->log_fd >= 0)
        close(c->log_fd);
    *c = (struct gal_bench_child){.log_fd = -1, .pid_fd = -1};
}

/* --- what it takes --- */

/* The index-th number behind the name in /proc/PID/FILE, the first being 0. */
static uint64_t proc_number(const struct gal_bench_child *c, const char *file, char behind,
                            size_t index)
{
    char path[64], text[1024], *p;
    ssize_t n;
    int fd;

    if (c->pid <= 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%ld/%s", c->pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    p = behind ? strrchr(text, behind) : text;
    p = p && behind ? p + 1 : p;
    for (size_t i = 0; p && i < index; i++) {
        p += strspn(p, " ");
        p = strchr(p, ' ');
    }
    return p ? strtoull(p, NULL, 10) : 0;
}

uint64_t gal_bench_child_cpu_ns(const struct gal_bench_child *c)
{
    long tick = sysconf(_SC_CLK_TCK);
    /* utime and stime, fields 14 and 15; the first behind the name in brackets is 3. */
    uint64_t ticks = proc_number(c, "stat", ')', 11) + proc_number(c, "stat", ')', 12);
    return tick > 0 ? ticks * (1000000000u / (uint64_t)tick) : 0;
}

uint64_t gal_bench_child_rss(const struct gal_bench_child *c)
{
    return proc_number(c, "statm", '\0', 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}
