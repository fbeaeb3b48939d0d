/* SPDX-License-Identifier: Apache-2.0 */
/* TEMPORARY */
#include "sched/goal.h"
void gal_goal_init(struct gal_goal *g, uint64_t t){*g=(struct gal_goal){.target_us=t};}
void gal_goal_on_arrival(struct gal_goal *g, size_t rows, uint64_t now_us){(void)g;(void)rows;(void)now_us;}
void gal_goal_on_answer(struct gal_goal *g, uint64_t latency_us, uint64_t now_us){(void)g;(void)latency_us;(void)now_us;}
struct gal_goal_plan gal_goal_plan(const struct gal_goal *g, const struct gal_cost *cost, unsigned workers, size_t rows_max){(void)g;(void)cost;(void)workers;return (struct gal_goal_plan){rows_max,0};}
uint64_t gal_goal_predict_us(const struct gal_cost *cost, size_t rows, size_t a, unsigned r, uint64_t re, unsigned w, size_t m){(void)cost;(void)rows;(void)a;(void)r;(void)re;(void)w;(void)m;return 0;}
bool gal_goal_sheds(const struct gal_goal *g, uint64_t p){(void)g;(void)p;return false;}
