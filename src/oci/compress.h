/* SPDX-License-Identifier: Apache-2.0 */
/* Layers' compressions, streaming: gzip (no name, no time: equal input, equal bytes) and zstd.
 * Unpacking is bounded, a bomb is TOO_LARGE. One thread a stream. */
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
void gal_compressor_free(struct gal_compressor *c);

struct gal_decompressor;
/* bytes_max: of all that comes out. */
enum gal_status gal_decompressor_new(enum gal_compression kind, uint64_t bytes_max,
                                     struct gal_decompressor **out, struct gal_err *err);
enum gal_status gal_decompress(struct gal_decompressor *d, struct gal_str piece,
                               struct gal_buf *out, struct gal_err *err);
/* INVALID when the stream has not ended. */
enum gal_status gal_decompress_end(struct gal_decompressor *d, struct gal_err *err);
void gal_decompressor_free(struct gal_decompressor *d);
/* By a layer's media type (OCI's, Docker's, ModelPack's); false: not one that is known. */
bool gal_compression_of(struct gal_str media_type, enum gal_compression *out);

#endif
