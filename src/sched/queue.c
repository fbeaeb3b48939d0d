/* SPDX-License-Identifier: Apache-2.0 */
/* TEMPORARY */
#include "sched/queue.h"
#include <string.h>
void gal_queue_init(struct gal_queue *q, const struct gal_policy *policy){memset(q,0,sizeof *q);q->policy=policy;q->rows_max=policy->rows_max;q->delay_us=policy->delay_us_max;}
void gal_queue_bound(struct gal_queue *q, size_t rows_max, uint64_t delay_us){q->rows_max=rows_max;q->delay_us=delay_us;}
static void put(struct gal_entry_list*l,struct gal_entry*e){e->next=NULL;e->prev=l->tail;if(l->tail)l->tail->next=e;else l->head=e;l->tail=e;l->count++;}
static void del(struct gal_entry_list*l,struct gal_entry*e){if(e->prev)e->prev->next=e->next;else l->head=e->next;if(e->next)e->next->prev=e->prev;else l->tail=e->prev;l->count--;e->next=e->prev=NULL;}
enum gal_admit gal_queue_admit(struct gal_queue *q, struct gal_entry *e, uint64_t now_us){
 if(e->deadline_us&&now_us>=e->deadline_us)return GAL_ADMIT_LATE;
 if(q->count>=q->policy->jobs_max)return GAL_ADMIT_FULL;
 e->since_us=now_us;e->expires_us=e->deadline_us;put(&q->live[0],e);e->waiting=true;q->count++;q->rows+=e->rows;q->bytes+=e->bytes;return GAL_ADMITTED;}
void gal_queue_remove(struct gal_queue *q, struct gal_entry *e){del(&q->live[0],e);e->waiting=false;q->count--;q->rows-=e->rows;q->bytes-=e->bytes;}
void gal_queue_sweep(struct gal_queue *q, uint64_t now_us, size_t looks, struct gal_entry_list *out){(void)looks;struct gal_entry*e=q->live[0].head;while(e){struct gal_entry*n=e->next;if(e->expires_us&&now_us>=e->expires_us){gal_queue_remove(q,e);put(out,e);}e=n;}}
enum gal_take gal_queue_take(struct gal_queue *q, const struct gal_cost *cost, uint64_t now_us, struct gal_taken *out){(void)cost;
 memset(out,0,sizeof *out);gal_queue_sweep(q,now_us,0,&out->late);
 struct gal_entry*f=q->live[0].head;if(!f)return GAL_TAKE_NOTHING;
 struct gal_entry*e=f;while(e){struct gal_entry*n=e->next;if(e==f||(!f->alone&&!e->alone&&e->key==f->key&&out->rows+e->rows<=q->rows_max)){gal_queue_remove(q,e);put(&out->batch,e);out->rows+=e->rows;if(e->alone)break;}e=n;}
 return GAL_TAKE_BATCH;}
void gal_queue_check(const struct gal_queue *q){(void)q;}
