/* SPDX-License-Identifier: Apache-2.0 */
/* A process that may do little: no network, an environment of a few harmless variables, a directory
 * of its own as home, working and temporary directory and (where the kernel has Landlock) with
 * /dev/shm the only place where it can write, bounds on memory, processor, files and time. Its end
 * takes all that it started in its process group along. What it may all the same: docs/convert.md.
 * Linux; one thread. */
#ifndef GAL_CLI_SANDBOX_H
#define GAL_CLI_SANDBOX_H

#include "base/buf.h"

struct gal_sandbox {
    const char *const *argv; /* argv[0] is a path; NULL-terminated */
    const char *dir;         /* absolute; it is HOME and TMPDIR too */
    char *const *env;        /* whose harmless variables are handed on */
    bool allow_network;
    uint64_t timeout_us;
    uint64_t memory_bytes; /* of address space; 0: no bound */
};

/* Runs it to its end. *code: its exit code, or 128 + the signal that ended it. What it wrote on
 * both outputs is in log, which the caller has initialised (the first bytes, when it is more than
 * fits). UNSUPPORTED: the system lets nobody without rights make a network namespace; NOT_FOUND: no
 * such program; DEADLINE. */
enum gal_status gal_sandbox_run(const struct gal_sandbox *s, int *code, struct gal_buf *log,
                                struct gal_err *err);

#endif
