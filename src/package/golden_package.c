/* SPDX-License-Identifier: Apache-2.0 */
/* The golden cases of a package. */
#include "package/golden.h"
#include "package/package.h"

enum gal_status gal_package_golden(struct gal_package *p, struct gal_arena *arena,
                                   struct gal_golden **out, struct gal_err *err)
{
    const struct gal_manifest *m = p->manifest;
    const struct gal_package_file *file;
    struct gal_str text;
    enum gal_status status;

    *out = NULL;
    if (m->golden_file.n == 0)
        return GAL_OK;
    file = gal_package_find(p, m->golden_file);
    if (!file) /* what is opened has what its manifest names */
        return gal_fail(err, GAL_NOT_FOUND, "the package holds no file %.*s, its golden cases",
                        GAL_STR_SHOWN(m->golden_file));
    status = gal_package_bytes(p, file, &text, err);
    return status ? status : gal_golden_read(text, file->name.p, m->rtol, m->atol, arena, out, err);
}

enum gal_status gal_package_prove(struct gal_package *p, const struct gal_backend_ops *ops,
                                  struct gal_session *session, struct gal_arena *arena,
                                  struct gal_golden **golden, struct gal_proof *proof,
                                  struct gal_err *err)
{
    enum gal_status status = gal_package_golden(p, arena, golden, err);

    if (!status && *golden && (*golden)->case_count == 0) { /* it would pass whatever it answers */
        *golden = NULL;
        status = gal_fail(err, GAL_INVALID, "it holds no golden cases: they prove nothing");
        gal_err_place(err, "%.*s", GAL_STR_SHOWN(p->manifest->golden_file));
        gal_err_hint(err, "`galley record` makes some; a package may also name none");
    }
    if (!status && *golden)
        status = gal_golden_prove(*golden, ops, session, arena, proof, err);
    return status;
}
