/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with an image, and what to do about it: hidden bytes, tools that do not belong in
 * production, secrets, root, floating tags, size (requirements IMG-03, IMG-04, IMG-09, IMG-11,
 * IMG-14, IMG-15, PKG-07, SEC-11). One thread. */
#ifndef GAL_SHIP_AUDIT_H
#define GAL_SHIP_AUDIT_H

#include "ship/view.h"

enum gal_severity { GAL_AUDIT_INFO, GAL_AUDIT_WARNING, GAL_AUDIT_ERROR };

struct gal_audit_finding {
    enum gal_severity severity;
    const char *code;    /* "compiler", "secret", "root-user"; static */
    const char *message; /* the arena's */
    const char *remedy;  /* static */
    const char *path;    /* of a file; NULL: the image itself */
    size_t layer;        /* SIZE_MAX: none */
    uint64_t bytes;      /* that it costs; 0: none, or unknown */
};

/* A layer in figures. */
struct gal_audit_layer {
    uint64_t packed, unpacked; /* bytes as they move, and of files */
    uint64_t hidden;           /* of files that a later layer deletes or replaces */
    size_t files;
};

struct gal_audit {
    struct gal_audit_layer *layers;
    size_t layer_count;
    uint64_t packed, unpacked, hidden;
    struct gal_audit_finding *findings; /* the worst first */
    size_t finding_count;
    size_t errors, warnings;
};

/* reference: what the user called the image, for floating tags; NULL: unknown. Everything lies in
 * the view's arena. Reads every byte of every layer. */
enum gal_status gal_audit(struct gal_view *v, const char *reference, struct gal_audit *out,
                          struct gal_err *err);
const char *gal_severity_name(enum gal_severity s);

#endif
