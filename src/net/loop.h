/* SPDX-License-Identifier: Apache-2.0 */
/* An event loop over libuv: one a thread. Everything on a loop runs on its thread, but for
 * gal_loop_post and gal_loop_stop, which any thread may call. This file's .c is the one place
 * under src/ (beside cli/) that reads a clock. */
#ifndef GAL_NET_LOOP_H
#define GAL_NET_LOOP_H

#include "base/clock.h"
#include "base/status.h"

struct gal_loop;

/* The system's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). */
extern const struct gal_clock gal_clock_system;

enum gal_status gal_loop_new(struct gal_loop **out, struct gal_err *err);
/* Frees a loop that is not running; its listeners and connections are closed first (callbacks
 * on_close run inside), and tasks that were posted before, or by those, are run. Nobody may post
 * any more; timers must have been freed. NULL is fine. */
void gal_loop_free(struct gal_loop *loop);
/* Runs until gal_loop_stop. */
void gal_loop_run(struct gal_loop *loop);
void gal_loop_stop(struct gal_loop *loop); /* any thread */

/* For who turns the loop by hand instead of gal_loop_run, as a load generator does. */
/* One turn: timers that are due, then sleep until a socket or a timer is ready, and its calls. */
void gal_loop_turn(struct gal_loop *loop);
void gal_loop_poll(struct gal_loop *loop); /* one turn over what is ready; never sleeps */
/* Sleeps until a socket is ready or `ns` have passed, and runs nothing: exact where timers know
 * milliseconds only. Call it behind a gal_loop_poll in which nothing happened: sockets that were
 * opened and writes that were begun since the last poll do not wake it. */
void gal_loop_wait_ns(const struct gal_loop *loop, uint64_t ns);

/* Work handed to a loop from any thread: intrusive, so posting allocates nothing. A task runs once
 * a post, in order of posting, on the loop's thread; it may be posted again from its run. */
struct gal_task {
    void (*run)(struct gal_task *task);
    struct gal_task *next; /* the loop's while posted */
};
void gal_loop_post(struct gal_loop *loop, struct gal_task *task); /* any thread */

/* Called at the end of each turn of the loop, the last thing before it sleeps: after all sockets of
 * the turn were read, and after its timers, tasks and on_close calls, so that what they leave is
 * not left lying while the loop sleeps. Where logs are flushed and, later, batches are cut. One
 * hook a loop; NULL removes it. It also runs as gal_loop_run returns, and inside gal_loop_free. */
void gal_loop_on_turn(struct gal_loop *loop, void (*on_turn)(void *ctx), void *ctx);

/* Within on_turn: the loop does not sleep now, it takes what is ready and ends another turn. */
void gal_loop_again(struct gal_loop *loop);

/* Time of this turn (cheap: read once, when first asked for) and now (a clock call), microseconds
 * monotonic. */
uint64_t gal_loop_turn_us(struct gal_loop *loop);
/* How long what this turn finds may have waited for it: as long as the turn before took, where this
 * one began at once behind it; 0 where the loop slept between, longer than a poll may take. */
uint64_t gal_loop_waited_us(struct gal_loop *loop);
uint64_t gal_loop_now_us(const struct gal_loop *loop);

/* Timers, loop's thread only. on_fire runs every `period_us` (0: once) after `delay_us`. */
struct gal_timer;
enum gal_status gal_timer_new(struct gal_loop *loop, void (*on_fire)(void *ctx), void *ctx,
                              struct gal_timer **out, struct gal_err *err);
void gal_timer_start(struct gal_timer *t, uint64_t delay_us, uint64_t period_us);
void gal_timer_stop(struct gal_timer *t);
void gal_timer_free(struct gal_timer *t); /* also within on_fire; NULL is fine */

/* Signals, on the main loop only: on_signal runs on the loop's thread. */
enum gal_status gal_loop_on_signal(struct gal_loop *loop, int signum,
                                   void (*on_signal)(int signum, void *ctx), void *ctx,
                                   struct gal_err *err);

#endif
