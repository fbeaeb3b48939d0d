/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of an audit: a table each for files and for the image. Pure; any thread. */
#ifndef GAL_SHIP_AUDIT_RULES_H
#define GAL_SHIP_AUDIT_RULES_H

#include "ship/audit.h"

#define GAL_AUDIT_IMAGE_BYTES_MAX (5ull << 30)  /* IMG-15 */
#define GAL_AUDIT_WEIGHT_BYTES_MAX (1ull << 30) /* IMG-15 */
#define GAL_AUDIT_LARGE_BYTES (100ull << 20)    /* IMG-15 */
#define GAL_AUDIT_LAYERS_MAX 100u               /* runtimes stop at 127 */

#define GAL_BASE_NAME "org.opencontainers.image.base.name" /* label: what it stands on */

struct gal_audit_rule {
    const char *code;
    enum gal_severity severity;
    const char *message;
    const char *remedy;
    bool joins;        /* findings under one folder are one */
    const char *names; /* of files: patterns, "|" between; see audit_rules.c */
};

enum gal_audit_image_rule {
    GAL_RULE_HIDDEN,
    GAL_RULE_SECRET_ENV,
    GAL_RULE_ROOT,
    GAL_RULE_HEALTHCHECK,
    GAL_RULE_PORT,
    GAL_RULE_ENTRYPOINT,
    GAL_RULE_VERSION,
    GAL_RULE_DEVEL,
    GAL_RULE_FLOATING,
    GAL_RULE_FLOATING_BASE,
    GAL_RULE_ALPINE,
    GAL_RULE_FULL_BASE,
    GAL_RULE_SIZE,
    GAL_RULE_LAYERS,
};
const struct gal_audit_rule *gal_audit_rule(enum gal_audit_image_rule which);
/* The rule that a file breaks; NULL: none. content may have p NULL. */
const struct gal_audit_rule *gal_audit_file(const char *path, const struct gal_tar_entry *tar,
                                            struct gal_str content);
/* Length of the folder of `path` within which findings of the rule are one. */
size_t gal_audit_root(const struct gal_audit_rule *rule, const char *path);
bool gal_audit_secret_name(struct gal_str variable);
bool gal_audit_is_root(struct gal_str user);
/* A reference without digest whose tag is missing, "latest" or names no full version (three
 * numbers; of Debian two). */
bool gal_audit_floats(struct gal_str reference);
/* A base's name with CUDA's "-devel" in it. Empty: no. */
bool gal_audit_names_devel(struct gal_str base);
/* By the base's name, or by what CUDA's images say of themselves in their environment. */
bool gal_audit_is_devel(const struct gal_view *v);
/* "python:3.10.12" without -slim. */
bool gal_audit_is_full(struct gal_str base);

#endif
