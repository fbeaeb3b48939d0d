/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks AWS, and where: the environment, profiles, web identity through STS, a container's or an
 * instance's metadata, in this order. Texts lie in the run's arena. */
#ifndef GAL_SOURCE_AWS_H
#define GAL_SOURCE_AWS_H

#include "source/plan.h"

struct gal_aws {
    struct gal_aws_keys keys; /* id NULL: none were found, requests are not signed */
    const char *region;
    const char *endpoint; /* of S3; NULL: AWS's own */
    const char *tried;    /* where keys were looked for, for an error's hint */
};
/* INVALID, UNAVAILABLE, ...: something was set up and does not work. */
enum gal_status gal_aws_find(struct gal_source_run *r, struct gal_aws *out, struct gal_err *err);

/* Keys from a JSON document with AccessKeyId, SecretAccessKey, Token (metadata endpoints). */
enum gal_status gal_aws_keys_read(struct gal_str json, struct gal_arena *arena,
                                  struct gal_aws_keys *out, struct gal_err *err);
/* Keys from STS's answer. */
enum gal_status gal_aws_sts_read(struct gal_str xml, struct gal_arena *arena,
                                 struct gal_aws_keys *out, struct gal_err *err);

#endif
