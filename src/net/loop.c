/* SPDX-License-Identifier: Apache-2.0 */
#include "net/loop.h"

#include "base/mem.h"
#include "net/stream_impl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 100
/* A poll that took longer has slept, or the turn before was so long that hundreds of sockets were
 * ready: one part in so many of it. */
#define POLL_US_MAX 50u
#define POLL_SHARE 16u
#define CLOSING_TURNS_MAX 100 /* one is enough, but for signals that are on their way */

struct gal_timer {
    uv_timer_t uv;
    void (*on_fire)(void *ctx);
    void *ctx;
};

struct gal_signal {
    uv_signal_t uv;
    struct gal_signal *next;
    void (*on_signal)(int signum, void *ctx);
    void *ctx;
};

/* --- clocks --- */

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* fails for unknown clocks only */
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t system_mono_us(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall_us(void *ctx)
{
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t system_mono_ns(void *ctx)
{
    struct timespec t;
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

const struct gal_clock gal_clock_system = {system_mono_us, system_wall_us, NULL, system_mono_ns};

/* Read when first asked for in a turn: most turns ask many times, idle ones never. */
uint64_t gal_loop_turn_us(struct gal_loop *loop)
{
    if (loop->turn_us == 0) {
        loop->turn_us = read_clock(CLOCK_MONOTONIC);
        uint64_t polled_us = loop->turn_us - loop->ended_us;
        bool at_once = polled_us < POLL_US_MAX || polled_us < loop->took_us / POLL_SHARE;
        loop->waited_us = at_once ? loop->took_us : 0;
    }
    return loop->turn_us;
}

uint64_t gal_loop_waited_us(struct gal_loop *loop)
{
    (void)gal_loop_turn_us(loop);
    return loop->waited_us;
}

static void end_turn(struct gal_loop *loop)
{
    loop->took_us = 0;
    if (loop->turn_us != 0) {
        loop->ended_us = read_clock(CLOCK_MONOTONIC);
        loop->took_us = loop->ended_us - loop->turn_us;
    }
    loop->turn_us = 0;
}

uint64_t gal_loop_now_us(const struct gal_loop *loop)
{
    (void)loop;
    return read_clock(CLOCK_MONOTONIC);
}

/* --- tasks --- */

/* The latest lies on top, so the pile is turned over. Tasks that are posted meanwhile wait for the
 * next turn: sockets get their share. */
static void run_tasks(struct gal_loop *loop)
{
    struct gal_task *pile = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct gal_task *first = NULL;
    while (pile) {
        struct gal_task *next = pile->next;
        pile->next = first;
        first = pile;
        pile = next;
    }
    while (first) {
        struct gal_task *task = first;
        first = task->next; /* read before run, which may post or free the task */
        task->run(task);
    }
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct gal_loop *loop = wake->data;
    uint64_t count;
    ssize_t n = read(loop->wake_fd, &count, sizeof count); /* before the tasks are taken */
    (void)n, (void)status, (void)events;
    run_tasks(loop);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_stop(&loop->uv);
}

/* The write is the last that the caller does: the loop may take its core at once. An asynchronous
 * handle of libuv 1.44 would have the loop spin until the caller has run on, which on a core that
 * they share is not before the loop's time is over. */
static void wake(const struct gal_loop *loop)
{
    const uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof one);
    (void)n; /* it fails only when it is full of wake-ups */
}

/* Who finds the pile empty wakes the loop. Who puts its task on top of another need not: the loop
 * has not taken that one yet, so the wake-up of the one below is still to come, or to be seen. */
void gal_loop_post(struct gal_loop *loop, struct gal_task *task)
{
    struct gal_task *top = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        task->next = top;
    while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &top, task, memory_order_release,
                                                  memory_order_relaxed));
    if (!top)
        wake(loop);
}

/* --- life --- */

static void *realloc_again(void *p, size_t bytes)
{
    void *q = gal_realloc(p, bytes);
    return q ? q : gal_realloc(p, bytes);
}

/* libuv aborts when the table of its sockets cannot grow, which is the one thing that it reallocs:
 * it gets a second try. SIGPIPE is ignored: a broken connection is a write's result. */
static void prepare_process(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL);
    (void)uv_replace_allocator(gal_alloc, realloc_again, gal_calloc, gal_free);
}

static void before_sleep(uv_prepare_t *prepare)
{
    struct gal_loop *loop = prepare->data;
    if (loop->on_turn)
        loop->on_turn(loop->on_turn_ctx);
    end_turn(loop);
}

static void on_again(uv_idle_t *again)
{
    (void)uv_idle_stop(again);
}

void gal_loop_again(struct gal_loop *loop)
{
    (void)uv_idle_start(&loop->again, on_again);
}

static void on_tick(uv_timer_t *tick)
{
    gal_streams_check_deadlines(tick->data);
    gal_secure_tick(tick->data);
}

static void on_deferred(uv_idle_t *deferred)
{
    (void)uv_idle_stop(deferred);
    gal_secure_run_waiting(deferred->data);
}

void gal_loop_defer(struct gal_loop *loop)
{
    (void)uv_idle_start(&loop->deferred, on_deferred);
}

static int start_handles(struct gal_loop *loop)
{
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return uv_translate_sys_error(errno);
    int rc = uv_poll_init(&loop->uv, &loop->wake, loop->wake_fd);
    if (rc) {
        (void)close(loop->wake_fd);
        return rc;
    }
    loop->wake.data = loop;
    (void)uv_poll_start(&loop->wake, UV_READABLE, on_wake); /* these cannot fail */
    (void)uv_prepare_init(&loop->uv, &loop->before_sleep);
    (void)uv_prepare_start(&loop->before_sleep, before_sleep);
    (void)uv_idle_init(&loop->uv, &loop->again);
    (void)uv_idle_init(&loop->uv, &loop->deferred);
    loop->deferred.data = loop;
    (void)uv_timer_init(&loop->uv, &loop->tick);
    loop->before_sleep.data = loop->tick.data = loop;
    return 0;
}

enum gal_status gal_loop_new(struct gal_loop **out, struct gal_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, prepare_process);
    struct gal_loop *loop = gal_calloc(1, sizeof *loop);
    if (!loop)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an event loop");
    loop->deadline_us = UINT64_MAX;
    int rc = uv_loop_init(&loop->uv);
    if (rc == 0) {
        rc = start_handles(loop);
        if (rc)
            (void)uv_loop_close(&loop->uv);
    }
    if (rc) {
        gal_free(loop);
        return gal_fail(err, rc == UV_ENOMEM ? GAL_NO_MEMORY : GAL_IO,
                        "no event loop could be made: %s", uv_strerror(rc));
    }
    *out = loop;
    return GAL_OK;
}

static void on_signal_closed(uv_handle_t *handle)
{
    gal_free(handle->data);
}

void gal_loop_free(struct gal_loop *loop)
{
    if (!loop)
        return;
    run_tasks(loop);
    gal_listeners_close(loop);
    gal_connects_close(loop);
    gal_streams_close(loop);
    while (loop->stream_count || loop->connect_count)
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    run_tasks(loop); /* what the ends of connections have posted */
    for (struct gal_signal *s = loop->signals; s; s = s->next)
        uv_close((uv_handle_t *)&s->uv, on_signal_closed);
    uv_close((uv_handle_t *)&loop->wake, NULL); /* is polled no more */
    (void)close(loop->wake_fd);
    uv_close((uv_handle_t *)&loop->before_sleep, NULL);
    uv_close((uv_handle_t *)&loop->again, NULL);
    uv_close((uv_handle_t *)&loop->deferred, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    int rc = UV_EBUSY;
    for (int turn = 0; rc == UV_EBUSY && turn < CLOSING_TURNS_MAX; turn++) {
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
        rc = uv_loop_close(&loop->uv);
    }
    GAL_ASSERT(rc == 0); /* a timer has outlived its loop */
    gal_streams_free_kept(loop);
    gal_secure_loop_free(loop);
    gal_free(loop);
}

void gal_loop_run(struct gal_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    atomic_store_explicit(&loop->stopping, false, memory_order_relaxed);
    before_sleep(&loop->before_sleep); /* the turn that was told to stop has its end too */
}

void gal_loop_turn(struct gal_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
}

void gal_loop_poll(struct gal_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
}

void gal_loop_wait_ns(const struct gal_loop *loop, uint64_t ns)
{
    struct pollfd p = {.fd = uv_backend_fd(&loop->uv), .events = POLLIN};
    const struct timespec limit = {.tv_sec = (time_t)(ns / 1000000000),
                                   .tv_nsec = (long)(ns % 1000000000)};
    (void)ppoll(&p, 1, &limit, NULL); /* a signal ends it early, which is fine */
}

void gal_loop_stop(struct gal_loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    wake(loop);
}

void gal_loop_on_turn(struct gal_loop *loop, void (*on_turn)(void *ctx), void *ctx)
{
    loop->on_turn = on_turn;
    loop->on_turn_ctx = ctx;
}

void gal_loop_tick(struct gal_loop *loop, bool on)
{
    if (on)
        (void)uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
    else
        (void)uv_timer_stop(&loop->tick);
}

/* --- timers --- */

static void on_timer(uv_timer_t *uv)
{
    struct gal_timer *t = uv->data;
    t->on_fire(t->ctx);
}

enum gal_status gal_timer_new(struct gal_loop *loop, void (*on_fire)(void *ctx), void *ctx,
                              struct gal_timer **out, struct gal_err *err)
{
    struct gal_timer *t = gal_alloc(sizeof *t);
    if (!t)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for a timer");
    (void)uv_timer_init(&loop->uv, &t->uv);
    t->uv.data = t;
    t->on_fire = on_fire;
    t->ctx = ctx;
    *out = t;
    return GAL_OK;
}

static uint64_t ms_of(uint64_t us)
{
    return us / 1000 + (us % 1000 != 0);
}

/* libuv counts from the time that it knows, which is old before the loop runs and late in a turn.
 */
void gal_timer_start(struct gal_timer *t, uint64_t delay_us, uint64_t period_us)
{
    uv_update_time(t->uv.loop);
    (void)uv_timer_start(&t->uv, on_timer, ms_of(delay_us), ms_of(period_us));
}

void gal_timer_stop(struct gal_timer *t)
{
    (void)uv_timer_stop(&t->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
    gal_free(handle->data);
}

void gal_timer_free(struct gal_timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

/* --- signals --- */

static void on_signal(uv_signal_t *uv, int signum)
{
    struct gal_signal *s = uv->data;
    s->on_signal(signum, s->ctx);
}

enum gal_status gal_loop_on_signal(struct gal_loop *loop, int signum,
                                   void (*on)(int signum, void *ctx), void *ctx,
                                   struct gal_err *err)
{
    struct gal_signal *s = gal_alloc(sizeof *s);
    if (!s)
        return gal_fail(err, GAL_NO_MEMORY, "no memory to watch for signal %d", signum);
    int rc = uv_signal_init(&loop->uv, &s->uv);
    if (rc) {
        gal_free(s);
        return gal_fail(err, GAL_IO, "signal %d cannot be watched: %s", signum, uv_strerror(rc));
    }
    s->uv.data = s;
    s->on_signal = on;
    s->ctx = ctx;
    rc = uv_signal_start(&s->uv, on_signal, signum);
    if (rc) {
        uv_close((uv_handle_t *)&s->uv, on_signal_closed);
        return gal_fail(err, GAL_IO, "signal %d cannot be watched: %s", signum, uv_strerror(rc));
    }
    s->next = loop->signals;
    loop->signals = s;
    return GAL_OK;
}
