/* SPDX-License-Identifier: Apache-2.0 */
/* Reading files and directories (writing: base/file_write.h). File operations can be made to fail
 * in tests. Any thread. */
#ifndef GAL_BASE_FILE_H
#define GAL_BASE_FILE_H

#include "base/buf.h"

enum gal_file_kind { GAL_FILE_NONE, GAL_FILE_REGULAR, GAL_FILE_DIR, GAL_FILE_OTHER, GAL_FILE_LINK };

struct gal_file_info {
    enum gal_file_kind kind;
    uint64_t bytes;
    int64_t mtime_ns; /* since 1970 */
    uint64_t inode;
};

/* NONE with OK when the path does not exist; IO for anything else that goes wrong. Follows links.
 */
enum gal_status gal_file_stat(const char *path, struct gal_file_info *out, struct gal_err *err);
/* The same of a link itself, whose kind is LINK. */
enum gal_status gal_file_stat_link(const char *path, struct gal_file_info *out,
                                   struct gal_err *err);
/* Reads a file from front to end and hands it on in pieces (of up to 64 KiB); a status from
 * on_piece other than OK ends it and is returned. NOT_FOUND when there is none, IO for the rest. */
enum gal_status gal_file_scan(const char *path,
                              enum gal_status (*on_piece)(struct gal_str piece, void *ctx),
                              void *ctx, struct gal_err *err);
/* The same of a part of a file, in pieces of up to 1 MiB; IO when the file ends before it. */
enum gal_status gal_file_scan_part(const char *path, uint64_t offset, uint64_t bytes,
                                   enum gal_status (*on_piece)(struct gal_str piece, void *ctx),
                                   void *ctx, struct gal_err *err);
/* Whole file, at most bytes_max bytes (TOO_LARGE beyond); failures as for gal_file_scan. out is
 * initialised by the call and owned by the caller; it is released on failure. A NUL stands behind
 * the content. */
enum gal_status gal_file_read(const char *path, size_t bytes_max, struct gal_buf *out,
                              struct gal_err *err);
/* Names in a directory, sorted bytewise, without "." and ".." and names that begin with a dot.
 * *names is one owned allocation; free with gal_free. */
enum gal_status gal_dir_list(const char *path, char ***names, size_t *count, struct gal_err *err);
/* Read-only map of a whole file. An empty file gives p = NULL, n = 0. */
enum gal_status gal_file_map(const char *path, struct gal_str *out, struct gal_err *err);
void gal_file_unmap(struct gal_str map);
/* As many open files, connections among them, as the system lets this process have: the soft limit
 * becomes the hard one. */
void gal_file_raise_limit(void);
/* From now on a map whose file is cut by somebody else (SIGBUS) ends the process with a line on
 * standard error that says so. Once, at the start of a program. */
void gal_file_explain_cuts(void);
/* "a/b" from "a" and "b", owned; NULL when memory is out. */
char *gal_path_join(const char *dir, const char *name);
const char *gal_path_base(const char *path); /* behind the last slash */
/* The path with all links followed; NOT_FOUND, IO. */
#define GAL_PATH_SIZE 4096
enum gal_status gal_path_real(const char *path, char out[GAL_PATH_SIZE], struct gal_err *err);
/* The same of a path below `root` (a real path without a slash at its end; "": the system's), as
 * who has it for / sees it: links and .. do not lead out. out begins with root. */
enum gal_status gal_path_real_in(const char *root, const char *path, char out[GAL_PATH_SIZE],
                                 struct gal_err *err);

/* Tests only: the n-th file call from now fails with EIO; 0 turns it off. */
void gal_file_fail_at(uint64_t n);

#endif
