/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `galley bench` share. A benchmark is a list of steps (rows a request, and
 * connections or a rate); each is run for a number of rounds against one or two sides, in turn.
 *
 *   bench_plan.c   options -> struct gal_bench_plan      bench_run.c   steps -> summaries
 *   bench_side.c   a URL or a path -> requests           bench_table.c, bench_plot.c: the terminal
 *   bench_learn.c  what it says of its models            bench_json.c, bench_html.c: files
 *   bench_child.c  a path -> a server of our own
 *
 * One thread. What lives as long as the command lies in cli's arena. */
#ifndef GAL_CLI_BENCH_H
#define GAL_CLI_BENCH_H

#include "cli/command.h"
#include "cli/fetch.h"
#include "load/objective.h"
#include "load/request.h"
#include "load/summary.h"
#include "load/sweep.h"

#define GAL_BENCH_SHAPES_MAX 64u
#define GAL_BENCH_STEPS_MAX 1024u
#define GAL_BENCH_ASK_US 10000000u /* for each question before the load */

/* --- the plan --- */

struct gal_bench_shape {
    struct gal_str name;
    int64_t shape[GAL_RANK_MAX];
    size_t rank;
};

struct gal_bench_plan {
    struct gal_sweep concurrency; /* closed loop */
    struct gal_sweep rate;        /* open loop; count 0: closed */
    struct gal_sweep rows;
    bool rows_given;
    enum gal_arrival_kind arrivals;
    uint64_t duration_ns, warmup_ns, client_timeout_ns;
    size_t connections;            /* open loop */
    uint64_t timeout_us;           /* sent with requests; 0: none */
    enum gal_protocol protocol;    /* GAL_PROTOCOL_COUNT: what the server speaks best */
    struct gal_str model, version; /* empty: the only one, the server's choice */
    const char *input;             /* file; NULL: made-up inputs */
    struct gal_bench_shape shapes[GAL_BENCH_SHAPES_MAX];
    size_t shape_count;
    size_t distinct; /* different requests that are made up */
    uint64_t seed;
    size_t rounds;
    struct gal_objectives objectives;
    bool json, quiet, allow_remote;
    const char *html;                        /* file; NULL: none */
    const char *server_cores, *client_cores; /* "0,2-3"; NULL: as they are */
};
/* The exit code; not OK after it has said what is wrong. */
int gal_bench_plan_read(struct gal_cli *cli, struct gal_bench_plan *plan);

/* --- a server of our own --- */

struct gal_bench_child {
    long pid;   /* 0: none */
    int log_fd; /* what it writes; -1: none */
    int pid_fd;
};
/* Starts `galley serve path ARGS` on a loopback port of the system's choosing, and waits until it
 * is ready. cores may be NULL. stop is looked at while waiting. Not OK leaves nothing running; err
 * has the end of its log. */
enum gal_status gal_bench_child_start(struct gal_bench_child *c, const char *path,
                                      const char *const *args, size_t arg_count, const char *cores,
                                      bool (*stop)(void *ctx), void *ctx, struct gal_target *target,
                                      struct gal_err *err);
void gal_bench_child_stop(struct gal_bench_child *c); /* at most a few seconds; none is fine */
/* Processor time that it has used, ns, and resident memory; 0 when it cannot be told. */
uint64_t gal_bench_child_cpu_ns(const struct gal_bench_child *c);
uint64_t gal_bench_child_rss(const struct gal_bench_child *c);

/* "0,2-3" for this thread and what it starts. INVALID for another form, or cores that are not
 * there. */
enum gal_status gal_cores_pin(const char *list, struct gal_err *err);

/* --- sides --- */

struct gal_bench_side {
    const char *operand;     /* as typed */
    const char *const *args; /* for the server that is started */
    size_t arg_count;
    struct gal_bench_child child;
    struct gal_target target; /* path empty: the Open Inference Protocol or native REST */
    char authority[300];      /* "127.0.0.1:8080" */
    struct gal_endpoint endpoint;
    struct gal_request_spec spec;
    struct gal_load_model model; /* input_count 0: not asked for */
    struct gal_str *bodies;      /* of --input */
    size_t body_count;
    struct gal_arena arena;   /* of the side's life */
    struct gal_buf bytes;     /* the requests of the present step */
    struct gal_str *requests; /* arena's; they borrow from bytes */
    size_t request_count;
    uint64_t rows; /* of each; 0: unknown */
    bool no_stats; /* it has none to tell */
};
void gal_bench_side_init(struct gal_bench_side *s, const char *operand, const char *const *args,
                         size_t arg_count);
/* Starts or reaches the target and learns what to send. */
enum gal_status gal_bench_side_open(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                    bool (*stop)(void *ctx), void *ctx, struct gal_err *err);
/* For gal_bench_side_open: its part behind the connection. Which protocol, which model, its inputs.
 */
enum gal_status gal_bench_side_learn(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                     struct gal_err *err);
/* Makes the requests of a step with so many rows. */
enum gal_status gal_bench_side_make(struct gal_bench_side *s, const struct gal_bench_plan *plan,
                                    uint64_t rows, struct gal_err *err);
/* Unknown when the server has none. */
void gal_bench_side_stats(struct gal_bench_side *s, struct gal_server_stats *out);
void gal_bench_side_release(struct gal_bench_side *s);

/* --- the run --- */

struct gal_bench_step {
    uint64_t rows;
    size_t connections;
    double rate; /* 0: closed loop */
};

struct gal_bench {
    struct gal_cli *cli;
    struct gal_bench_plan plan;
    struct gal_bench_side sides[2];
    size_t side_count;
    struct gal_bench_step *steps;     /* arena's */
    size_t step_count, steps_done;    /* done: on all sides, at least one round */
    struct gal_load_summary *results; /* [step][round][side]; arena's */
    size_t *rounds_done;              /* of each step; arena's */
    struct gal_loop *loop;
    struct gal_load *load; /* running */
    bool interrupted;
    bool progress; /* stderr is a terminal */
    bool utf8;     /* the terminal shows more than ASCII */
    bool table_begun;
};

struct gal_load_summary *gal_bench_result(const struct gal_bench *b, size_t step, size_t round,
                                          size_t side);
/* The round whose rate is the median of its rounds; NULL when none was done. */
const struct gal_load_summary *gal_bench_median(const struct gal_bench *b, size_t step,
                                                size_t side);
/* Ratios of side 0 to side 1 over the rounds of a step, of what `value` picks. */
void gal_bench_compare(const struct gal_bench *b, size_t step,
                       double (*value)(const struct gal_load_summary *s), struct gal_ratio *out);
enum gal_status gal_bench_run(struct gal_bench *b, struct gal_err *err);

/* --- reports --- */

void gal_bench_progress(struct gal_bench *b, const struct gal_bench_step *step, size_t index,
                        size_t round, size_t side, const struct gal_load_live *live);
void gal_bench_progress_clear(struct gal_bench *b);
void gal_bench_table_head(struct gal_bench *b);
void gal_bench_table_step(struct gal_bench *b, size_t step);
void gal_bench_table_end(struct gal_bench *b); /* errors, notes, comparison, objectives */
/* Nothing unless three steps or more of one number of rows were answered. */
void gal_bench_plot(struct gal_bench *b);
/* Writes plan.html. */
enum gal_status gal_bench_html(const struct gal_bench *b, struct gal_err *err);
void gal_bench_json(struct gal_bench *b, FILE *out);

/* Short text for people; all return out. */
#define GAL_SHORT_SIZE 24
char *gal_short_ns(double ns, char out[GAL_SHORT_SIZE]);       /* "812 ns", "1.24 ms" */
char *gal_short_count(double value, char out[GAL_SHORT_SIZE]); /* "131,204", "0.35" */
char *gal_short_share(double share, char out[GAL_SHORT_SIZE]); /* "0.12 %" */

/* Whether a step kept every objective; NULL or the first that was missed. */
const struct gal_objective *gal_bench_missed(const struct gal_bench *b,
                                             const struct gal_load_summary *s);

#endif
