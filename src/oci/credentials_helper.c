/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's credential helpers: programs that keep passwords where the system keeps them. */
#include "oci/credentials.h"

#include "base/buf.h"
#include "net/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 65536u
#define TIME_US 30000000u
#define PIECE_MS 50

struct helper {
    pid_t pid;
    int in, out; /* its standard input and output; -1: closed */
    const struct gal_clock *clock;
    uint64_t until_us;
};

static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return name[0] && strspn(name, allowed) == strlen(name) && strlen(name) < 64;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum gal_status start(struct helper *h, char *const argv[], char *const *env,
                             struct gal_err *err)
{
    static char *const none[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
        close_fd(&in[0]);
        close_fd(&in[1]);
        return gal_fail(err, GAL_UNAVAILABLE, "%s: %s", argv[0], strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    /* Ours may be a thread that blocks all signals, in a process that ignores some. */
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawnp(&h->pid, argv[0], &actions, &attributes, argv, env ? env : none);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_fd(&in[0]);
    close_fd(&out[1]);
    h->in = in[1];
    h->out = out[0];
    if (!code)
        return GAL_OK;
    close_fd(&h->in);
    close_fd(&h->out);
    gal_fail(err, code == ENOENT ? GAL_NOT_FOUND : GAL_UNAVAILABLE, "%s: %s", argv[0],
             strerror(code));
    gal_err_hint(err, "the file of credentials names this helper; it has to be in PATH");
    return err ? err->code : code == ENOENT ? GAL_NOT_FOUND : GAL_UNAVAILABLE;
}

/* What is asked, as far as the helper takes it: it may answer without having read. */
static void feed(struct helper *h, struct gal_str *in)
{
    ssize_t n = write(h->in, in->p, in->n);
    if (n > 0)
        *in = (struct gal_str){in->p + n, in->n - (size_t)n};
    if (in->n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&h->in);
}

static void drain(struct helper *h, struct gal_buf *out)
{
    char piece[4096];
    ssize_t n = read(h->out, piece, sizeof piece);
    if (n > 0)
        gal_buf_put(out, piece, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&h->out);
}

/* Until it has closed its output. False: its time is over. */
static bool talk(struct helper *h, struct gal_str in, struct gal_buf *out)
{
    if (in.n == 0)
        close_fd(&h->in);
    if (h->in >= 0)
        fcntl(h->in, F_SETFL, O_NONBLOCK);
    while (h->out >= 0) {
        struct pollfd fds[2] = {{.fd = h->out, .events = POLLIN}, {.fd = h->in, .events = POLLOUT}};
        if (gal_mono_us(h->clock) >= h->until_us)
            return false;
        if (poll(fds, 2, PIECE_MS) <= 0)
            continue;
        if (h->in >= 0 && fds[1].revents)
            feed(h, &in);
        if (fds[0].revents)
            drain(h, out);
    }
    return true;
}

/* Its exit; ends it when its time is over. */
static bool reap(struct helper *h, bool talked, int *code)
{
    int status = 0;
    pid_t got = 0;
    while (talked && (got = waitpid(h->pid, &status, WNOHANG)) == 0) {
        if (gal_mono_us(h->clock) >= h->until_us)
            break;
        poll(NULL, 0, PIECE_MS);
    }
    if (got == 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
            continue;
        return false;
    }
    *code = got == h->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return true;
}

enum gal_status gal_credential_helper(const struct gal_credential_places *places, const char *name,
                                      const char *verb, struct gal_str in, struct gal_arena *arena,
                                      struct gal_str *out, bool *ok, struct gal_err *err)
{
    char program[96], verb_text[16];
    char *const argv[] = {program, verb_text, NULL};
    const struct gal_clock *clock = places->clock ? places->clock : &gal_clock_system;
    struct helper h = {
        .in = -1, .out = -1, .clock = clock, .until_us = gal_mono_us(clock) + TIME_US};
    struct gal_buf answer;
    int code = -1;
    *ok = false;
    *out = (struct gal_str){NULL, 0};
    if (!is_name(name))
        return gal_fail(err, GAL_INVALID, "%.*s: not the name of a credential helper",
                        GAL_STR_SHOWN(gal_str_of(name)));
    snprintf(program, sizeof program, "docker-credential-%s", name);
    snprintf(verb_text, sizeof verb_text, "%s", verb);
    enum gal_status status = start(&h, argv, places->env, err);
    if (status)
        return status;
    gal_buf_init(&answer, ANSWER_BYTES_MAX);
    bool talked = talk(&h, in, &answer);
    close_fd(&h.in);
    close_fd(&h.out);
    if (!reap(&h, talked, &code))
        status = gal_fail(err, GAL_DEADLINE, "%s %s did not answer within %u s", program, verb,
                          TIME_US / 1000000);
    else if (answer.failed)
        status = gal_fail(err, GAL_TOO_LARGE, "%s %s: its answer is larger than %u bytes", program,
                          verb, ANSWER_BYTES_MAX);
    char *text = status ? NULL : gal_arena_strdup(arena, gal_buf_str(&answer));
    if (!status && !text)
        status = gal_arena_fail(arena, answer.n, "a helper's answer", err);
    *out = (struct gal_str){text, text ? answer.n : 0};
    *ok = code == 0;
    gal_buf_release(&answer);
    return status;
}
