/* SPDX-License-Identifier: Apache-2.0 */
/* What `galley init` has written is opened as a server would open it. */
#include "backend/onnx.h"
#include "base/file.h"
#include "cli/init.h"
#include "cli/print.h"
#include "package/golden.h"
#include "package/session.h"

static enum gal_status prove(struct gal_init *in, struct gal_package *p,
                             struct gal_session *session, struct gal_err *err)
{
    const char *path = gal_init_path(in, in->dir, p->manifest->golden_file.p);
    struct gal_golden *golden = NULL;
    struct gal_buf text;
    enum gal_status status = gal_file_read(path, GAL_INIT_JSON_BYTES_MAX, &text, err);

    if (status != GAL_OK)
        return status;
    status = gal_golden_read(gal_buf_str(&text), path, p->manifest->rtol, p->manifest->atol,
                             &in->arena, &golden, err);
    if (status == GAL_OK)
        status = gal_golden_prove(golden, &gal_packed_ops, session, &in->arena, NULL, err);
    gal_buf_release(&text);
    return status;
}

enum gal_status gal_init_check(struct gal_init *in, struct gal_err *err)
{
    struct gal_backend_options options = gal_cli_backend(&in->config);
    struct gal_session *inner = NULL, *session = NULL;
    struct gal_package *p = NULL;
    enum gal_status status = gal_package_open(in->dir, &p, err);

    if (status == GAL_OK)
        status = gal_backend_onnx.load(gal_init_path(in, in->dir, p->manifest->model_file.p),
                                       &options, &inner, err);
    if (status == GAL_OK)
        status = gal_packed_new(p, &gal_backend_onnx, inner, &session, err);
    if (status == GAL_OK && p->manifest->golden_file.n)
        status = prove(in, p, session, err);
    if (status != GAL_OK && err && err->hint[0] == '\0')
        gal_err_hint(err, "the package is written but does not hold together yet: change %s/%s",
                     in->dir, GAL_MANIFEST_FILE);
    gal_packed_ops.free(session);
    gal_package_close(p);
    return status;
}
