/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox.h"

#include "base/clock.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX 64u
#define FILE_BYTES_MAX (64ull << 30) /* of one file that it writes */
#define OPEN_FILES_MAX 4096u
/* Rights of Landlock's versions 2 and 3 (LANDLOCK_ACCESS_FS_REFER, _TRUNCATE), which headers older
 * than the kernel do not name. */
#define MOVE (1ull << 13)
#define TRUNCATE (1ull << 14)

/* What the child could not do before it became the program: read by the parent from a pipe. */
enum step { STEP_NETWORK, STEP_LIMITS, STEP_PLACE, STEP_EXEC };
struct failure {
    enum step step;
    int error;
};

/* --- the child's side: system calls only --- */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, text, strlen(text)) : -1;

    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text);
}

/* A network namespace holds nothing but a loopback that is down. Who may not make one may make one
 * inside a user namespace, in which the user stays who they are. */
static bool leave_network(void)
{
    char map[64];
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    (void)write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
    if (!write_text("/proc/self/uid_map", map))
        return false;
    snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
    return write_text("/proc/self/gid_map", map);
}

static bool limit(int what, uint64_t value)
{
    struct rlimit now, wanted;

    if (getrlimit((__rlimit_resource_t)what, &now) != 0)
        return false;
    wanted.rlim_cur = wanted.rlim_max = value < now.rlim_max ? (rlim_t)value : now.rlim_max;
    return setrlimit((__rlimit_resource_t)what, &wanted) == 0;
}

static bool take_limits(const struct gal_sandbox *s)
{
    uint64_t seconds = s->timeout_us / 1000000 + 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, FILE_BYTES_MAX) &&
           limit(RLIMIT_NOFILE, OPEN_FILES_MAX) &&
           limit(RLIMIT_CPU, seconds * (uint64_t)(cores > 0 ? cores : 1)) &&
           (s->memory_bytes == 0 || limit(RLIMIT_AS, s->memory_bytes));
}

static bool may_write(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    long r = rule.parent_fd < 0
                 ? 0
                 : syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (rule.parent_fd >= 0)
        close(rule.parent_fd);
    return r == 0;
}

/* Nothing is written outside dir, from here on and for good. A kernel without Landlock, or with its
 * first version, under which no file can move to another directory, goes without: the network is
 * what has to be closed. */
static bool keep_inside(const char *dir)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                      LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                      LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                      LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | MOVE |
                      (version >= 3 ? TRUNCATE : 0);
    uint64_t device = LANDLOCK_ACCESS_FS_WRITE_FILE | (version >= 3 ? TRUNCATE : 0);
    struct landlock_ruleset_attr attr = {.handled_access_fs = access};
    int rules;
    bool ok;

    if (version < 2)
        return true;
    rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0)
        return true;
    ok = may_write(rules, dir, access) && may_write(rules, "/dev/null", device) &&
         may_write(rules, "/dev/shm", access) && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return ok;
}

static _Noreturn void give_up(int pipe_fd, enum step step)
{
    struct failure f = {step, errno};

    (void)!write(pipe_fd, &f, sizeof(f));
    _exit(127);
}

static _Noreturn void become(const struct gal_sandbox *s, char *const *env, int log_fd, int pipe_fd,
                             pid_t parent)
{
    sigset_t none;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (!s->allow_network && !leave_network())
        give_up(pipe_fd, STEP_NETWORK);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !take_limits(s))
        give_up(pipe_fd, STEP_LIMITS);
    if (chdir(s->dir) != 0 || !keep_inside(s->dir))
        give_up(pipe_fd, STEP_PLACE);
    (void)dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    execve(s->argv[0], (char *const *)(uintptr_t)s->argv, env);
    give_up(pipe_fd, STEP_EXEC);
}

/* --- the environment --- */

/* What a framework needs to compute right and to find the system's libraries; nothing that is a
 * secret, a proxy or Python's own. */
static bool is_harmless(const char *entry)
{
    static const char *const names[] = {"LANG=",
                                        "LC_ALL=",
                                        "LC_CTYPE=",
                                        "TZ=",
                                        "LD_LIBRARY_PATH=",
                                        "OMP_NUM_THREADS=",
                                        "MKL_NUM_THREADS=",
                                        "OPENBLAS_",
                                        "PATH="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

static void choose_env(const struct gal_sandbox *s, char *home, char *tmp, char **out)
{
    size_t n = 0;

    out[n++] = home;
    out[n++] = tmp;
    for (size_t i = 0; s->env && s->env[i] && n < ENV_MAX; i++) {
        if (is_harmless(s->env[i]))
            out[n++] = s->env[i];
    }
    out[n] = NULL;
}

/* --- the parent's side --- */

static enum gal_status told(const struct gal_sandbox *s, const struct failure *f,
                            struct gal_err *err)
{
    const char *why = strerror(f->error);

    if (f->step == STEP_NETWORK) {
        gal_fail(err, GAL_UNSUPPORTED,
                 "this system lets us make no network namespace (%s): the process could reach the "
                 "network",
                 why);
        gal_err_hint(err, "run it as root, allow user namespaces (sysctl "
                          "kernel.unprivileged_userns_clone=1), or say --allow-network");
        return GAL_UNSUPPORTED;
    }
    if (f->step == STEP_EXEC)
        return gal_fail(err, f->error == ENOENT ? GAL_NOT_FOUND : GAL_UNAVAILABLE,
                        "%s cannot be started: %s", s->argv[0], why);
    return gal_fail(err, GAL_UNAVAILABLE, "the isolated process cannot be set up (%s): %s",
                    f->step == STEP_LIMITS ? "limits" : "its directory", why);
}

static void read_log(int fd, struct gal_buf *log)
{
    while (log->n < log->max) {
        size_t room = log->max - log->n < 4096 ? log->max - log->n : 4096;
        char *space = gal_buf_reserve(log, room);
        ssize_t n = space ? pread(fd, space, room, (off_t)log->n) : 0;
        if (n <= 0)
            return;
        log->n += (size_t)n;
    }
}

/* True when the process has ended in time. */
static bool wait_end(int pid_fd, uint64_t timeout_us)
{
    uint64_t end_us = gal_mono_us(&gal_clock_system) + timeout_us;
    struct pollfd p = {.fd = pid_fd, .events = POLLIN};

    for (;;) {
        uint64_t now_us = gal_mono_us(&gal_clock_system);
        uint64_t left_ms = now_us < end_us ? (end_us - now_us) / 1000 + 1 : 0;
        int r = poll(&p, 1, left_ms > 3600000 ? 3600000 : (int)left_ms);
        if (r > 0)
            return true;
        if (r == 0 && left_ms == 0)
            return false;
    }
}

static enum gal_status wait_for(const struct gal_sandbox *s, pid_t pid, int *code,
                                struct gal_err *err)
{
    int pid_fd = pidfd_open(pid, 0), state = 0;
    bool in_time = pid_fd >= 0 && wait_end(pid_fd, s->timeout_us);

    (void)kill(-pid, SIGKILL); /* what it has started goes with it */
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        continue;
    if (pid_fd >= 0)
        close(pid_fd);
    *code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    if (!in_time)
        return gal_fail(err, GAL_DEADLINE, "the isolated process has not ended within %llu s",
                        (unsigned long long)(s->timeout_us / 1000000));
    return GAL_OK;
}

static enum gal_status start(const struct gal_sandbox *s, char *const *env, int log_fd, pid_t *pid,
                             struct gal_err *err)
{
    struct failure f;
    int ends[2];
    ssize_t n;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return gal_fail(err, GAL_IO, "no pipe: %s", strerror(errno));
    pid_t parent = getpid();
    *pid = fork();
    if (*pid == 0)
        become(s, env, log_fd, ends[1], parent);
    close(ends[1]);
    if (*pid < 0) {
        close(ends[0]);
        return gal_fail(err, GAL_UNAVAILABLE, "no process: %s", strerror(errno));
    }
    do /* the pipe ends when the child becomes the program */
        n = read(ends[0], &f, sizeof(f));
    while (n < 0 && errno == EINTR);
    close(ends[0]);
    if (n != (ssize_t)sizeof(f))
        return GAL_OK;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return told(s, &f, err);
}

enum gal_status gal_sandbox_run(const struct gal_sandbox *s, int *code, struct gal_buf *log,
                                struct gal_err *err)
{
    char home[4200], tmp[4200], *env[ENV_MAX + 1];
    int log_fd = memfd_create("galley-sandbox-log", MFD_CLOEXEC);
    enum gal_status status;
    pid_t pid;

    if (log_fd < 0)
        return gal_fail(err, GAL_IO, "no place for the process's output: %s", strerror(errno));
    (void)fcntl(log_fd, F_SETFL, O_APPEND);
    snprintf(home, sizeof(home), "HOME=%s", s->dir);
    snprintf(tmp, sizeof(tmp), "TMPDIR=%s", s->dir);
    choose_env(s, home, tmp, env);
    status = start(s, env, log_fd, &pid, err);
    if (status == GAL_OK) {
        status = wait_for(s, pid, code, err);
        read_log(log_fd, log);
    }
    close(log_fd);
    return status;
}
