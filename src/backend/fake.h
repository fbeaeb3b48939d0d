/* SPDX-License-Identifier: Apache-2.0 */
/* A backend without an engine, for tests: its "model file" is a small text that says what it has
 * and how it behaves (see fake.c's opening). y = 2 * x a tensor, on command slow or failing. */
#ifndef GAL_BACKEND_FAKE_H
#define GAL_BACKEND_FAKE_H

#include "backend/backend.h"

extern const struct gal_backend_ops gal_backend_fake;

#endif
