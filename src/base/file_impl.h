/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of base/file share: failures that tests ask for, errno as a status. */
#ifndef GAL_BASE_FILE_IMPL_H
#define GAL_BASE_FILE_IMPL_H

#include "base/file.h"

#include <sys/types.h>

/* True when this file call is the one to fail (gal_file_fail_at); errno is then set. */
bool gal_file_fails(void);
enum gal_status gal_file_errno(struct gal_err *err, const char *path, int code);
#ifdef __clang_analyzer__
#define gal_file_errno(...) gal_fail_known((gal_file_errno)(__VA_ARGS__), GAL_IO)
#endif
void gal_file_close(int fd); /* keeps errno; -1 is fine */
/* read(2) and pread(2) that go on after a signal. */
ssize_t gal_file_read_some(int fd, char *to, size_t n);
ssize_t gal_file_read_at(int fd, char *to, size_t n, uint64_t offset);

#endif
