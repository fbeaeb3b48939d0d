/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of object stores and of AWS's STS, over expat: elements that end, with their text. No
 * document types, so no entities of a peer's own. Bounded depth and text; bytes come whole. */
#ifndef GAL_SOURCE_XML_H
#define GAL_SOURCE_XML_H

#include "base/buf.h"

/* Calls on_end at the end of each element: its path ("ListBucketResult/Contents/Key", without
 * namespaces) and the text that stood right in it. A status other than OK ends the reading and is
 * returned. INVALID: no well-formed XML, with line and column as place. */
enum gal_status gal_xml_read(struct gal_str text,
                             enum gal_status (*on_end)(const char *path, struct gal_str value,
                                                       void *ctx),
                             void *ctx, struct gal_err *err);

#endif
