/* SPDX-License-Identifier: Apache-2.0 */
/* Writing files and directories so that a path never holds half of one: what is written lies beside
 * its place under a hidden name until it is whole and on the disk, then it is renamed. File
 * operations can be made to fail in tests (gal_file_fail_at). One thread an object. */
#ifndef GAL_BASE_FILE_WRITE_H
#define GAL_BASE_FILE_WRITE_H

#include "base/file.h"

struct gal_file_writer;

/* A file that will stand at `path` (its directory is there already), in place of one that stands
 * there now. */
enum gal_status gal_file_create(const char *path, struct gal_file_writer **out,
                                struct gal_err *err);
enum gal_status gal_file_write(struct gal_file_writer *w, struct gal_str bytes,
                               struct gal_err *err);
/* On the disk, then in place. Frees w in any case; on failure nothing stays. */
enum gal_status gal_file_commit(struct gal_file_writer *w, struct gal_err *err);
void gal_file_abandon(struct gal_file_writer *w); /* nothing stays; NULL is fine */
/* All of the above for bytes that are there. */
enum gal_status gal_file_put(const char *path, struct gal_str bytes, struct gal_err *err);
/* The same, for its owner's eyes alone (mode 0600). */
enum gal_status gal_file_put_secret(const char *path, struct gal_str bytes, struct gal_err *err);
/* A file that is not there yet, straight under its name: for directories that are put in place as a
 * whole. Links are not followed; CONFLICT when there is something. */
enum gal_status gal_file_create_new(const char *path, struct gal_file_writer **out,
                                    struct gal_err *err);
/* A file without a name that is gone when it is abandoned, in the directory of `beside` or, where
 * that cannot be written, in /tmp. It is read by the path that follows, by this process only. */
enum gal_status gal_file_create_scratch(const char *beside, struct gal_file_writer **out,
                                        struct gal_err *err);
const char *gal_file_writer_path(const struct gal_file_writer *w);

/* --- directories --- */
enum gal_status gal_dir_make(const char *path, struct gal_err *err); /* one that is there is fine */
/* With the directories above it. */
enum gal_status gal_dir_make_all(const char *path, struct gal_err *err);
/* A new directory beside `path`, hidden, to be renamed to it or removed. *out is owned. */
enum gal_status gal_dir_make_beside(const char *path, char **out, struct gal_err *err);
/* `from` becomes `to`, which must be missing or an empty directory (else CONFLICT). */
enum gal_status gal_dir_place(const char *from, const char *to, struct gal_err *err);
/* Names in it are on the disk, where its file system can do that. */
enum gal_status gal_dir_sync(const char *path, struct gal_err *err);
/* A directory and all in it; links are removed, not followed. What is gone already is fine. */
enum gal_status gal_dir_remove(const char *path, struct gal_err *err);
/* A new, empty directory "galley-WHAT-..." (mode 0700) in the one that TMPDIR names by an absolute
 * path, else in /tmp. *out is owned; the directory is the caller's too, until the call that follows
 * takes both: nothing else removes it, a crash leaves it. IO with a hint when none can be made. */
enum gal_status gal_dir_make_temporary(const char *what, char **out, struct gal_err *err);
/* Takes the path; NULL is fine. All in it goes, however deep, links as links; what cannot be
 * removed stays, as there is nobody to tell. */
void gal_dir_remove_temporary(char *path);
enum gal_status gal_path_rename(const char *from, const char *to, struct gal_err *err);

#endif
