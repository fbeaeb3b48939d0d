/* SPDX-License-Identifier: Apache-2.0 */
/* Listings of object stores: S3's and Azure's XML, as objects of a plan. */
#ifndef GAL_SOURCE_LISTING_H
#define GAL_SOURCE_LISTING_H

#include "source/plan.h"

enum gal_listing_kind { GAL_LISTING_S3, GAL_LISTING_AZURE };

struct gal_listing {
    struct gal_source_run *run;
    struct gal_str prefix;
    enum gal_listing_kind kind;
    const char *next; /* how to ask for the next page; NULL: this was the last */
    /* of the object that is being read */
    const char *key, *etag, *md5;
    uint64_t size;
    bool has_size, truncated;
};
/* One page; adds to the run's plan what lies below the prefix. An object's url is its key. Keys
 * that end in a slash stand for directories and are passed over. */
enum gal_status gal_listing_read(struct gal_listing *l, struct gal_str xml, struct gal_err *err);
/* "\"0123...\"" of 32 hexadecimal digits: these; else nothing. */
void gal_listing_md5(struct gal_str etag, char hex[33]);
/* Base64 of so many bytes as hex; else nothing. */
void gal_listing_base64(struct gal_arena *arena, struct gal_str text, size_t bytes, char *hex);

#endif
