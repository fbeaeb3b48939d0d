/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors of registries, as clusters have them near their machines: who reads asks the mirror
 * first. Pure; any thread. */
#ifndef GAL_OCI_MIRROR_H
#define GAL_OCI_MIRROR_H

#include "oci/reference.h"

#define GAL_MIRRORS_ENV "REGISTRY_MIRRORS"

/* setting: "docker.io=localhost:5000,ghcr.io=harbor.example.com/ghcr": a registry's host, and where
 * its repositories stand too, with what stands in front of their names there; NULL: none.
 * *there: `out` is the same image in the mirror of ref's host. INVALID: the setting is wrong. */
enum gal_status gal_mirror_of(const char *setting, const struct gal_reference *ref,
                              struct gal_reference *out, bool *there, struct gal_err *err);

#endif
