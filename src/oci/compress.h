/* SPDX-License-Identifier: Apache-2.0 */
/* Layers' compressions, streaming: gzip (no name, no time: equal input, equal bytes) and zstd.
 * Unpacking is bounded in all and by the step: a bomb is TOO_LARGE, and takes no memory before it
 * is. One thread a stream. */
#ifndef GAL_OCI_COMPRESS_H
#define GAL_OCI_COMPRESS_H

#include "base/buf.h"

enum gal_compression { GAL_COMPRESS_NONE, GAL_COMPRESS_GZIP, GAL_COMPRESS_ZSTD };

struct gal_compressor;
enum gal_status gal_compressor_new(enum gal_compression kind, int level, /* 0: the kind's own */
                                   struct gal_compressor **out, struct gal_err *err);
/* Appends to out; last: the stream ends with this piece. */
enum gal_status gal_compress(struct gal_compressor *c, struct gal_str piece, bool last,
                             struct gal_buf *out, struct gal_err *err);
void gal_compressor_free(struct gal_compressor *c); /* NULL is fine */

#define GAL_DECOMPRESS_STEP (256u << 10)

struct gal_decompressor;
/* bytes_max: of all that comes out. */
enum gal_status gal_decompressor_new(enum gal_compression kind, uint64_t bytes_max,
                                     struct gal_decompressor **out, struct gal_err *err);
/* Moves *piece over what it takes and appends what comes of it to out, at most GAL_DECOMPRESS_STEP
 * bytes a call. To be called again while *more, which is also true when nothing of *piece is left:
 *
 *     do {
 *         status = gal_decompress(d, &piece, &out, &more, err);
 *         ...use and clear out...
 *     } while (!status && more);
 *
 * INVALID: broken bytes, bytes behind the end. Members of gzip and frames of zstd may follow each
 * other. */
enum gal_status gal_decompress(struct gal_decompressor *d, struct gal_str *piece,
                               struct gal_buf *out, bool *more, struct gal_err *err);
/* INVALID when the stream has not ended. */
enum gal_status gal_decompress_end(struct gal_decompressor *d, struct gal_err *err);
void gal_decompressor_free(struct gal_decompressor *d); /* NULL is fine */
/* By a layer's media type (OCI's, Docker's, ModelPack's); false: not one that is known. */
bool gal_compression_of(struct gal_str media_type, enum gal_compression *out);

#endif
