/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that name a source, taken apart. Nothing is decoded: keys of object stores are taken as
 * they stand. Pure; texts are borrowed. */
#ifndef GAL_SOURCE_URL_H
#define GAL_SOURCE_URL_H

#include "base/buf.h"
#include "base/digest.h"
#include "source/source.h"

struct gal_source_url {
    enum gal_source_kind kind;
    struct gal_str text;      /* without the fragment */
    struct gal_str host;      /* bucket, account; of http: the authority */
    struct gal_str container; /* AZURE */
    struct gal_str key;       /* behind the first slash; of http: path without its slash, no query;
                                 of models:/ the model's name; of a path or oci:// all of it */
    struct gal_str version;   /* models:/ : version or stage; empty beside an alias */
    struct gal_str alias;     /* models:/NAME@ALIAS */
    bool is_prefix;           /* the key is empty or ends in a slash: a directory */
    char sha256[GAL_SHA256_HEX_SIZE]; /* of #sha256=HEX, lower case; empty: none */
};

/* INVALID says which form would be right. */
enum gal_status gal_source_url_parse(struct gal_str text, struct gal_source_url *out,
                                     struct gal_err *err);
/* Appends where an object of this key goes below a cache entry: its last three parts, made safe as
 * names of files ("models/fraud/3/model.onnx" -> "fraud/3/model.onnx"). A directory keeps its last
 * two. `fallback` names what has no part of its own. */
void gal_source_place(struct gal_buf *out, struct gal_str key, bool is_dir,
                      struct gal_str fallback);
/* Appends the key with each part percent-encoded, slashes kept. */
void gal_source_put_key(struct gal_buf *out, struct gal_str key);
/* May this stand below a directory as it is? No empty part, "." or "..", NUL, control byte, part or
 * path too long. */
bool gal_source_name_safe(struct gal_str path);

#endif
