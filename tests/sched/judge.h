/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that every step of a queue must keep, told again without the queue's code: each looks at
 * all that waits. Entries that are admitted later lie at higher addresses. */
#ifndef GAL_TESTS_JUDGE_H
#define GAL_TESTS_JUDGE_H

#include "sched/queue.h"

/* Aborts with the place and the expression. */
#define JUDGE(expr) ((expr) ? (void)0 : judge_failed(__FILE__, __LINE__, #expr))
_Noreturn void judge_failed(const char *file, int line, const char *expr);

#define JUDGE_KEYS 8u

struct judge {
    unsigned urgent_since;           /* batches since one began out of turn */
    uint64_t passed_over[GAL_LANES]; /* batches that a lane has waited for its turn */
    /* the last that was answered, by level and key; keep_order alone */
    const struct gal_entry *left[GAL_LEVELS_MAX][JUDGE_KEYS];
};

void judge_init(struct judge *j);
/* What the answer to an admission must be, from all that waits. */
struct judge_admit {
    enum gal_admit verdict;
    unsigned level;
    uint64_t now_us, expires_us, demotes_us; /* exact when the clock did not step back */
};
struct judge_admit judge_before_admit(const struct gal_queue *q, const struct gal_entry *e,
                                      uint64_t now_us);
void judge_admitted(const struct gal_entry *e, const struct judge_admit *wanted,
                    enum gal_admit verdict);
void judge_swept(const struct gal_entry_list *late, uint64_t now_us);
void judge_take(struct judge *j, const struct gal_queue *q, const struct gal_cost *cost,
                uint64_t now_us, enum gal_take took, const struct gal_taken *t);

/* With keep_order: an answer to what has run leaves. Of those that go together and are of one
 * level, nobody's does before that of who came earlier, but for those that may be passed. */
void judge_leave(struct judge *j, const struct gal_entry *e);

#endif
