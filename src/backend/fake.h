/* SPDX-License-Identifier: Apache-2.0 */
/* A backend without an engine, for tests: its "model file" is a small text that says what it has
 * and how it behaves (see fake.c's opening). y = 2 * x a tensor, on command slow or failing. */
#ifndef GAL_BACKEND_FAKE_H
#define GAL_BACKEND_FAKE_H

#include "backend/backend.h"

extern const struct gal_backend_ops gal_backend_fake;

/* A gate before every run of one session, so that tests decide when a run goes on instead of
 * sleeping. Open at load. Any thread. */
void gal_fake_gate_close(struct gal_session *session);
void gal_fake_gate_open(struct gal_session *session);
/* Blocks until `count` runs wait at the closed gate. */
void gal_fake_gate_await(struct gal_session *session, size_t count);
/* Calls of trim so far. */
uint64_t gal_fake_trims(struct gal_session *session);
/* Runs begun so far, the failed ones too. */
uint64_t gal_fake_runs(struct gal_session *session);

#endif
