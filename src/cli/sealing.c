/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sealing.h"

#include "cli/subject.h"

#define YEAR_9999_END INT64_C(253402300799)

enum gal_status gal_seal_prove(struct gal_cli *cli, const struct gal_config *config,
                               const char *path, bool *proved, struct gal_err *err)
{
    struct gal_subject subject;
    struct gal_golden *golden = NULL;
    struct gal_proof proof;
    enum gal_status status = gal_subject_package(path, &subject, err);
    bool has_cases = !status && subject.package->manifest->golden_file.n > 0;
    if (has_cases)
        status = gal_subject_load(config, &subject, err);
    if (has_cases && !status)
        status = gal_subject_prove(&subject, &cli->arena, &golden, &proof, err);
    *proved = !status && golden;
    gal_subject_close(&subject);
    return status;
}

enum gal_status gal_cli_epoch(const struct gal_cli *cli, int64_t *out, struct gal_err *err)
{
    static const char name[] = "SOURCE_DATE_EPOCH=";
    const char *text = NULL;
    for (char *const *e = cli->env; e && *e; e++) {
        if (strncmp(*e, name, sizeof name - 1) == 0)
            text = *e + sizeof name - 1;
    }
    *out = 0;
    if (!text || !text[0])
        return GAL_OK;
    if (gal_str_i64(gal_str_of(text), out) == GAL_OK && *out >= 0 && *out <= YEAR_9999_END)
        return GAL_OK;
    return gal_fail(err, GAL_INVALID,
                    "SOURCE_DATE_EPOCH: seconds since 1970 are expected, not '%.64s'", text);
}
