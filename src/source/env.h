/* SPDX-License-Identifier: Apache-2.0 */
/* The environment as an argument. Pure. */
#ifndef GAL_SOURCE_ENV_H
#define GAL_SOURCE_ENV_H

#include "base/arena.h"

/* NULL when unset or empty; env may be NULL. Borrowed. */
const char *gal_env(char *const *env, const char *name);
/* PATH with a leading ~/ put in place by HOME; in the arena. */
const char *gal_env_path(char *const *env, const char *path, struct gal_arena *arena);

#endif
