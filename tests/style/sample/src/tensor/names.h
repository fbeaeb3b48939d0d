/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAMES_H
#define NAMES_H
typedef struct thing { /* EXPECT typedef */
    int x;
} thing_t;
typedef enum { THING_A } thing_e;       /* EXPECT typedef */
int tensor_size(const struct thing *t); /* EXPECT name */
extern int tensor_count;                /* EXPECT name */
int gal_tensor_ok(void);
#endif
