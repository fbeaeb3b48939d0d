/* SPDX-License-Identifier: Apache-2.0 */
/* An OCI image layout: a directory, or one uncompressed tar of it (a `.galley` file, the archives
 * that skopeo, podman and docker read). Blobs are mapped, not copied. Nothing is believed: names
 * outside blobs/, links, entries twice, sizes that do not fit and files that end early are errors.
 * One thread a writer; an open layout may be read by any number. */
#ifndef GAL_OCI_LAYOUT_H
#define GAL_OCI_LAYOUT_H

#include "oci/descriptor.h"

struct gal_layout;

/* INVALID: not a layout, or a damaged one; NOT_FOUND. Blobs are not looked for, nor at. */
enum gal_status gal_layout_open(const char *path, struct gal_layout **out, struct gal_err *err);
void gal_layout_close(struct gal_layout *l); /* NULL is fine; mapped blobs go with it */
const struct gal_oci_index *gal_layout_index(const struct gal_layout *l);
/* The blob's bytes, mapped, as long as the layout is open. Its size is held against the
 * descriptor's, its digest is not looked at. NOT_FOUND: no such blob. */
enum gal_status gal_layout_blob(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                struct gal_str *out, struct gal_err *err);
/* Where the blob lies as part of a file, for reading it without a map. */
enum gal_status gal_layout_place(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                 const char **path, uint64_t *offset, struct gal_err *err);
/* INVALID: its bytes have another digest; says both. */
enum gal_status gal_layout_check(struct gal_layout *l, const struct gal_oci_descriptor *d,
                                 struct gal_err *err);
/* Manifest by digest, by the annotation org.opencontainers.image.ref.name, or with name NULL the
 * only one; an index inside is followed by platform (NULL: this machine's). Its text has the digest
 * that was promised, and is borrowed, as d's texts are, while the layout is open. NOT_FOUND: none
 * of that name or platform; INVALID: with name NULL there are several, or damaged. */
enum gal_status gal_layout_manifest(struct gal_layout *l, const char *name,
                                    const struct gal_oci_platform *platform,
                                    struct gal_oci_descriptor *d, struct gal_str *text,
                                    struct gal_err *err);

/* --- writing: blobs come in any order, bytes leave in one order; equal content, equal bytes --- */
struct gal_layout_writer;
enum gal_layout_kind { GAL_LAYOUT_TAR, GAL_LAYOUT_DIR };
/* What has been written is put in place by _finish (rename): a path never holds half a layout. A
 * tar takes the place of a file that is there, a directory only that of an empty one (CONFLICT). */
enum gal_status gal_layout_create(const char *path, enum gal_layout_kind kind,
                                  struct gal_layout_writer **out, struct gal_err *err);
/* A blob from memory (copied) or from a part of a file (read when the layout is finished; the file
 * has to stay as it is, a changed one is CONFLICT). d tells digest and size: bytes that do not have
 * them are INVALID when the layout is finished. Twice the same is fine. */
enum gal_status gal_layout_add(struct gal_layout_writer *w, const struct gal_oci_descriptor *d,
                               struct gal_str bytes, struct gal_err *err);
enum gal_status gal_layout_add_file(struct gal_layout_writer *w, const struct gal_oci_descriptor *d,
                                    const char *path, uint64_t offset, struct gal_err *err);
/* One more file beside index.json (docker's manifest.json); tar only. */
enum gal_status gal_layout_add_extra(struct gal_layout_writer *w, const char *name,
                                     struct gal_str bytes, struct gal_err *err);
/* Writes index.json with these manifests, closes, frees w in any case. on_progress may be NULL. */
enum gal_status gal_layout_finish(struct gal_layout_writer *w, const struct gal_oci_index *index,
                                  void (*on_progress)(uint64_t done, uint64_t total, void *ctx),
                                  void *ctx, struct gal_err *err);
void gal_layout_abandon(struct gal_layout_writer *w); /* nothing stays; NULL is fine */

#endif
