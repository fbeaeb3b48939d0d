/* SPDX-License-Identifier: Apache-2.0 */
/* What `galley init` has written is opened as a server would open it. */
#include "backend/onnx.h"
#include "cli/init.h"
#include "cli/print.h"
#include "package/golden.h"
#include "package/session.h"

enum gal_status gal_init_check(struct gal_init *in, struct gal_err *err)
{
    struct gal_backend_options options = gal_cli_backend(&in->config);
    struct gal_session *inner = NULL, *session = NULL;
    struct gal_package *p = NULL;
    struct gal_golden *golden;
    enum gal_status status = gal_package_open(in->dir, &p, err);

    if (status == GAL_OK)
        status = gal_backend_onnx.load(gal_init_path(in, in->dir, p->manifest->model_file.p),
                                       &options, &inner, err);
    if (status == GAL_OK)
        status = gal_packed_new(p, &gal_backend_onnx, inner, &session, err);
    if (status == GAL_OK)
        status = gal_package_prove(p, &gal_packed_ops, session, &in->arena, &golden, NULL, err);
    if (status != GAL_OK && err && err->hint[0] == '\0')
        gal_err_hint(err, "the package is written but does not hold together yet: change %s/%s",
                     in->dir, GAL_MANIFEST_FILE);
    gal_packed_ops.free(session);
    gal_package_close(p);
    return status;
}
