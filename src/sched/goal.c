/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/goal.h"

#include <math.h>

#define RATE_WINDOW_US 20000u   /* arrivals are counted that long ... */
#define RATE_MEMORY_US 100000.0 /* ... and weigh in this memory */
#define ANSWERS_WINDOW 500u
#define JUDGE_US 1000000u /* or a second, when there are few, but not from fewer than */
#define ANSWERS_MIN 20u
#define OVER_HIGH 0.006 /* 1 % is promised: there are windows on both sides of a mean */
#define OVER_LOW 0.002
#define OVER_FAR 0.03
#define MARGIN_MIN 0.4
#define MARGIN_STEP_UP 0.005 /* a bad window is a whole call or two: one in thirty is 0.4 % */
#define BUSY_FREE                                                                                  \
    0.5 /* workers that are busy no longer than that with single rows need no delay                \
         */
#define BUSY_SHARE 0.8
#define DOUBT 2.0      /* mean deviations: about 95 of 100 */
#define SPARE_RATE 1.1 /* what a batch's rate must have over the arrivals to count as enough */

void gal_goal_init(struct gal_goal *g, uint64_t target_us)
{
    *g = (struct gal_goal){.target_us = target_us, .margin = 1.0};
}

void gal_goal_on_arrival(struct gal_goal *g, size_t rows, uint64_t now_us)
{
    if (g->rate_since_us == 0 || now_us < g->rate_since_us) {
        g->rate_since_us = now_us;
        g->rate_rows = 0;
    }
    uint64_t us = now_us - g->rate_since_us;
    if (us >= RATE_WINDOW_US) {
        double measured = (double)g->rate_rows * 1e6 / (double)us;
        double weight = (double)us / ((double)us + RATE_MEMORY_US);
        g->rate = g->rate > 0.0 ? g->rate + (measured - g->rate) * weight : measured;
        g->rate_since_us = now_us;
        g->rate_rows = 0;
    }
    g->rate_rows += rows;
}

void gal_goal_on_answer(struct gal_goal *g, uint64_t latency_us, uint64_t now_us)
{
    g->answers++;
    g->over += latency_us > g->target_us;
    if (g->judged_us == 0 || now_us < g->judged_us)
        g->judged_us = now_us;
    bool enough = g->answers >= ANSWERS_WINDOW ||
                  (g->answers >= ANSWERS_MIN && now_us - g->judged_us >= JUDGE_US);
    if (!enough)
        return;
    double share = (double)g->over / (double)g->answers;
    if (share > OVER_HIGH)
        g->margin *= share > OVER_FAR ? 0.85 : 0.95;
    else if (share < OVER_LOW)
        g->margin += MARGIN_STEP_UP;
    if (g->margin < MARGIN_MIN)
        g->margin = MARGIN_MIN;
    if (g->margin > 1.0)
        g->margin = 1.0;
    g->answers = g->over = 0;
    g->judged_us = now_us;
}

static double goal_us(const struct gal_goal *g)
{
    return (double)g->target_us * g->margin;
}

static double cost_us(const struct gal_cost *c, size_t rows)
{
    return (double)gal_cost_hope_ns(c, rows) / 1000.0;
}

/* Rows a second of one worker that runs calls of `rows` rows. */
static double rate_of(const struct gal_cost *c, size_t rows)
{
    return (double)rows * 1e6 / cost_us(c, rows);
}

static size_t rows_within(const struct gal_cost *c, double us, size_t rows_max)
{
    size_t low = 0;
    size_t high = rows_max;
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (cost_us(c, middle) <= us)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Rows a second served in time by back-to-back calls of at most n rows: a call begins somewhere
 * each cost/workers, and takes those that came so late that they end within the goal. */
static double rate_in_time(const struct gal_goal *g, const struct gal_cost *cost, unsigned workers,
                           size_t n)
{
    double call = cost_us(cost, n);
    double pace = call / (double)workers;
    double window = (double)g->target_us - call;
    if (window > pace)
        window = pace;
    double rows = g->rate * window / 1e6;
    if (rows > (double)n)
        rows = (double)n;
    return rows > 0.0 ? rows * 1e6 / pace : 0.0;
}

static size_t choose_rows(const struct gal_goal *g, const struct gal_cost *cost, unsigned workers,
                          size_t rows_max)
{
    size_t rows = rows_within(cost, goal_us(g) / 2.0, rows_max);
    if (rows > 0 && rate_of(cost, rows) * (double)workers >= g->rate * SPARE_RATE)
        return rows;
    size_t best = rows > 0 ? rows : 1;
    double best_rate = rate_in_time(g, cost, workers, best);
    for (size_t n = best + 1; n <= rows_max && n > best; n += 1 + n / 8) {
        double rate = rate_in_time(g, cost, workers, n);
        if (rate > best_rate) {
            best = n;
            best_rate = rate;
        }
    }
    return best;
}

/* The rows that come within the delay, and two such calls, must fit into the goal. */
static uint64_t cut_delay_us(const struct gal_goal *g, const struct gal_cost *cost, size_t rows_max,
                             uint64_t delay_us)
{
    double came = 1.0 + g->rate * (double)delay_us / 1e6;
    size_t rows = came < (double)rows_max ? (size_t)came : rows_max;
    double left = goal_us(g) - 2.0 * (double)gal_cost_most_us(cost, rows);
    if (left <= 0.0)
        return 0;
    return (double)delay_us < left ? delay_us : (uint64_t)left;
}

struct gal_goal_plan gal_goal_plan(const struct gal_goal *g, const struct gal_cost *cost,
                                   unsigned workers, const struct gal_policy *policy)
{
    struct gal_goal_plan plan = {policy->rows_max, policy->delay_us_max};
    if (g->target_us == 0 || gal_cost_estimate_ns(cost, 1) == 0)
        return plan;
    plan.rows_max = choose_rows(g, cost, workers ? workers : 1, policy->rows_max);
    plan.delay_us = cut_delay_us(g, cost, plan.rows_max, policy->delay_us_max);
    return plan;
}

static bool begins_at_once(const struct gal_goal_view *v)
{
    return v->rows_ahead == 0 && v->running < v->workers;
}

/* What calls deviate by: those in a row even out, so it grows with the root of their squares. */
static double doubt_us(const struct gal_cost *cost, const struct gal_goal_view *v, size_t calls,
                       size_t rows)
{
    double own = cost_us(cost, rows);
    double full = cost_us(cost, v->rows_max ? v->rows_max : 1);
    double squares = own * own + (double)calls * full * full / (v->workers ? v->workers : 1);
    if (v->running > 0 && v->running >= v->workers)
        squares += (double)v->rest_us * (double)v->rest_us;
    return DOUBT * cost->spread * sqrt(squares);
}

uint64_t gal_goal_predict_us(const struct gal_cost *cost, const struct gal_goal_view *v)
{
    if (gal_cost_estimate_ns(cost, 1) == 0)
        return 0;
    size_t most = v->rows_max ? v->rows_max : 1;
    unsigned workers = v->workers ? v->workers : 1;
    size_t calls = v->rows_ahead / most; /* full ones before its own ... */
    size_t rows = v->rows_ahead % most + v->rows;
    if (rows > most && v->rows <= most) { /* ... which it may not fit into */
        calls++;
        rows = v->rows;
    }
    unsigned running = v->running < workers ? v->running : workers;
    unsigned idle = workers - running;
    double wait = 0.0;
    if (calls >= idle && running > 0) {
        /* The first of calls that end at random, and then one each cost/workers. */
        wait = 2.0 * (double)v->rest_us / ((double)running + 1.0);
        wait += (double)(calls - idle) * cost_us(cost, most) / (double)workers;
    } else if (calls >= idle) {
        size_t rounds = (calls - idle) / idle + 1;
        wait = (double)rounds * cost_us(cost, most); /* all begin now */
    }
    if (wait < (double)v->delay_us && rows < most)
        wait = (double)v->delay_us;
    double us = wait + cost_us(cost, rows) + doubt_us(cost, v, calls, rows);
    return us < 1e18 ? (uint64_t)us + 1 : (uint64_t)1e18;
}

/* How long those whose call it would lengthen have waited on average: half as long as the first of
 * them, which came the sooner the further in front it stands. */
static double beside_us(const struct gal_goal_view *v)
{
    size_t most = v->rows_max ? v->rows_max : 1;
    size_t beside = v->rows_ahead % most;
    if (beside == 0 || v->rows > most - beside)
        return 0.0;
    return (double)v->oldest_us * ((double)beside / (double)v->rows_ahead) / 2.0;
}

bool gal_goal_sheds(const struct gal_goal *g, const struct gal_cost *cost,
                    const struct gal_goal_view *v)
{
    if (g->target_us == 0 || begins_at_once(v))
        return false;
    return (double)gal_goal_predict_us(cost, v) + beside_us(v) > goal_us(g);
}
