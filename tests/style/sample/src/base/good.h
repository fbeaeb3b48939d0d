/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing here is a breach: the words time( and malloc( in a comment, "strcpy(" in a literal,
 * .time() of an object. */
#ifndef GOOD_H
#define GOOD_H
#include <stddef.h>
#define GOOD_ROW(x) "strcpy(" #x
struct good {
    size_t (*time)(void *ctx);
    size_t free;
};
typedef size_t good_fn(struct good *g);
extern const struct good gal_good;
__attribute__((malloc)) void *gal_good_new(size_t n) __attribute__((alloc_size(1)));
static inline size_t good_time(struct good *g)
{
    return g->time(g);
}
#endif
