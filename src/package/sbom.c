/* SPDX-License-Identifier: Apache-2.0 */
/* The bill of materials, by SPDX 2.3 (JSON): the package, its files with their checksums, and what
 * the freeze list names as dependencies of its making. */
#include "package/plan.h"

#include "base/mem.h"
#include "text/json.h"

#include <stdio.h>
#include <time.h>

/* --- licences --- */

/* Identifiers of SPDX's list that models are under; anything else is a LicenseRef of its own. */
static bool is_listed(struct gal_str licence)
{
    static const char *const listed[] = {
        "Apache-2.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "0BSD",
        "Unlicense",
        "Zlib",
        "MPL-2.0",
        "EPL-2.0",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "LGPL-2.1-only",
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "CC0-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
        "CC-BY-ND-4.0",
        "PostgreSQL",
        "Python-2.0",
        "EUPL-1.2",
        "ODC-By-1.0",
        "CDLA-Permissive-2.0",
        "BSL-1.0",
    };
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        if (gal_str_is(licence, listed[i]))
            return true;
    }
    return false;
}

static void put_license_ref(struct gal_buf *out, struct gal_str licence)
{
    gal_buf_puts(out, "\"LicenseRef-");
    for (size_t i = 0; i < licence.n; i++) {
        char c = licence.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-';
        gal_buf_putc(out, plain ? c : '-');
    }
    gal_buf_putc(out, '"');
}

static void put_licence(struct gal_buf *out, struct gal_str licence)
{
    if (licence.n == 0)
        gal_buf_puts(out, "\"NOASSERTION\"");
    else if (is_listed(licence))
        gal_json_put_str(out, licence);
    else
        put_license_ref(out, licence);
}

static void put_own_licence(struct gal_buf *out, struct gal_str licence)
{
    if (licence.n == 0 || is_listed(licence))
        return;
    gal_buf_puts(out, ",\n  \"hasExtractedLicensingInfos\": [{\"licenseId\": ");
    put_license_ref(out, licence);
    gal_plan_put_member(out, ", ", "name", licence);
    gal_plan_put_member(out, ", ", "extractedText", licence);
    gal_buf_puts(out, "}]");
}

/* --- the package --- */

static int compare_sha1(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SPDX 2.3, 7.9: SHA-1 over the files' SHA-1s, sorted. */
static enum gal_status verification_code(const struct gal_plan *plan, char hex[GAL_SHA1_HEX_SIZE],
                                         struct gal_err *err)
{
    const char **sums = gal_calloc(plan->file_count + 1, sizeof *sums);
    struct gal_buf text;
    enum gal_status status;
    gal_buf_init(&text, (plan->file_count + 1) * GAL_SHA1_HEX_SIZE);
    for (size_t i = 0; sums && i < plan->file_count; i++)
        sums[i] = plan->files[i].sha1;
    if (sums && plan->file_count > 0)
        qsort((void *)sums, plan->file_count, sizeof *sums, compare_sha1);
    for (size_t i = 0; sums && i < plan->file_count; i++)
        gal_buf_puts(&text, sums[i]);
    status = sums && !text.failed ? gal_sha1_hex(gal_buf_str(&text), hex, err)
                                  : gal_fail(err, GAL_NO_MEMORY, "no memory for an SBOM");
    gal_free((void *)sums);
    gal_buf_release(&text);
    return status;
}

#define NOTHING_SAID ", \"licenseConcluded\": \"NOASSERTION\", \"copyrightText\": \"NOASSERTION\""

static void put_package(struct gal_buf *out, const struct gal_manifest *m, const char *code)
{
    gal_plan_put_member(out, "\n    {\"SPDXID\": \"SPDXRef-Package\", ", "name", m->name);
    gal_plan_put_member(out, ", ", "versionInfo", m->version);
    if (m->description.n > 0)
        gal_plan_put_member(out, ", ", "description", m->description);
    gal_buf_puts(out, ", \"downloadLocation\": \"NOASSERTION\", \"filesAnalyzed\": true, "
                      "\"primaryPackagePurpose\": \"OTHER\", \"packageVerificationCode\": {"
                      "\"packageVerificationCodeExcludedFiles\": [\"./" GAL_SBOM_FILE "\"]");
    gal_plan_put_member(out, ", ", "packageVerificationCodeValue", gal_str_of(code));
    gal_buf_puts(out, "}, \"licenseDeclared\": ");
    put_licence(out, m->licence);
    gal_buf_puts(out, ", \"licenseInfoFromFiles\": [\"NOASSERTION\"]" NOTHING_SAID "}");
}

/* purl: what is neither a letter, a digit nor one of .-_~ is escaped. */
static void put_purl(struct gal_buf *out, const struct gal_pinned *p)
{
    static const char hex[] = "0123456789ABCDEF";
    gal_buf_puts(out, "\"pkg:pypi/");
    for (int part = 0; part < (p->pinned ? 2 : 1); part++) {
        struct gal_str s = part ? p->version : p->name;
        gal_buf_puts(out, part ? "@" : "");
        for (size_t i = 0; i < s.n; i++) {
            char c = s.p[i];
            if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                strchr(".-_~", c)) {
                gal_buf_putc(out, c);
            } else {
                gal_buf_putc(out, '%');
                gal_buf_putc(out, hex[(unsigned char)c >> 4]);
                gal_buf_putc(out, hex[(unsigned char)c & 15]);
            }
        }
    }
    gal_buf_putc(out, '"');
}

static void put_dependencies(struct gal_buf *out, const struct gal_environment *e)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct gal_pinned *p = &e->packages[i];
        gal_buf_printf(out, ",\n    {\"SPDXID\": \"SPDXRef-Dependency-%zu\", ", i + 1);
        gal_plan_put_member(out, "", "name", p->name);
        if (p->pinned)
            gal_plan_put_member(out, ", ", "versionInfo", p->version);
        gal_buf_puts(out, ", \"downloadLocation\": \"NOASSERTION\", \"filesAnalyzed\": false, "
                          "\"licenseDeclared\": \"NOASSERTION\"" NOTHING_SAID
                          ", \"externalRefs\": [{\"referenceCategory\": \"PACKAGE-MANAGER\", "
                          "\"referenceType\": \"purl\", \"referenceLocator\": ");
        put_purl(out, p);
        gal_buf_puts(out, "}]}");
    }
}

/* --- files, relations --- */

static const char *file_type(enum gal_file_role role)
{
    static const char *const types[] = {[GAL_ROLE_WEIGHT] = "BINARY",
                                        [GAL_ROLE_CONFIG] = "TEXT",
                                        [GAL_ROLE_DOC] = "DOCUMENTATION",
                                        [GAL_ROLE_CODE] = "SOURCE",
                                        [GAL_ROLE_DATA] = "OTHER"};
    return types[role];
}

static void put_files(struct gal_buf *out, const struct gal_plan *plan)
{
    gal_buf_puts(out, "\n  ],\n  \"files\": [");
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct gal_plan_file *f = &plan->files[i];
        struct gal_buf name;
        gal_buf_init(&name, 2 * GAL_PATH_SIZE);
        gal_buf_puts(&name, "./");
        gal_buf_put_str(&name, f->file.name);
        gal_buf_printf(out, "%s\n    {\"SPDXID\": \"SPDXRef-File-%zu\"", i ? "," : "", i + 1);
        gal_plan_put_member(out, ", ", "fileName", gal_buf_str(&name));
        if (name.failed)
            out->failed = out->starved = true;
        gal_buf_release(&name);
        gal_buf_printf(out, ", \"fileTypes\": [\"%s\"]", file_type(f->file.role));
        gal_plan_put_member(out, ", \"checksums\": [{\"algorithm\": \"SHA1\", ", "checksumValue",
                            gal_str_of(f->sha1));
        gal_plan_put_member(out, "}, {\"algorithm\": \"SHA256\", ", "checksumValue",
                            gal_str_of(f->file.digest + strlen("sha256:")));
        gal_buf_puts(out, "}], \"licenseInfoInFiles\": [\"NOASSERTION\"]" NOTHING_SAID "}");
    }
}

static void put_relations(struct gal_buf *out, const struct gal_plan *plan)
{
    gal_buf_puts(out, "\n  ],\n  \"relationships\": [\n    {\"spdxElementId\": "
                      "\"SPDXRef-DOCUMENT\", \"relationshipType\": \"DESCRIBES\", "
                      "\"relatedSpdxElement\": \"SPDXRef-Package\"}");
    for (size_t i = 0; i < plan->file_count; i++)
        gal_buf_printf(out,
                       ",\n    {\"spdxElementId\": \"SPDXRef-Package\", \"relationshipType\": "
                       "\"CONTAINS\", \"relatedSpdxElement\": \"SPDXRef-File-%zu\"}",
                       i + 1);
    for (size_t i = 0; i < plan->environment.count; i++)
        gal_buf_printf(out,
                       ",\n    {\"spdxElementId\": \"SPDXRef-Dependency-%zu\", "
                       "\"relationshipType\": \"BUILD_DEPENDENCY_OF\", \"relatedSpdxElement\": "
                       "\"SPDXRef-Package\"}",
                       i + 1);
    gal_buf_puts(out, "\n  ]");
}

static void put_head(struct gal_buf *out, const struct gal_manifest *m, int64_t epoch,
                     const char *lock_sha256)
{
    time_t when = (time_t)epoch;
    struct tm tm = {.tm_mday = 1, .tm_year = 70};
    char created[32];
    (void)gmtime_r(&when, &tm);
    (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &tm);
    gal_buf_puts(out, "{\n  \"spdxVersion\": \"SPDX-2.3\",\n  \"dataLicense\": \"CC0-1.0\",\n  "
                      "\"SPDXID\": \"SPDXRef-DOCUMENT\"");
    gal_plan_put_member(out, ",\n  ", "name", m->name);
    gal_buf_puts(out, ",\n  \"documentNamespace\": \"https://spdx.org/spdxdocs/galley-package-");
    gal_buf_puts(out, lock_sha256);
    gal_plan_put_member(out, "\",\n  \"creationInfo\": {", "created", gal_str_of(created));
    gal_buf_puts(out, ", \"creators\": [\"Tool: galley\"]}");
    put_own_licence(out, m->licence);
    gal_buf_puts(out, ",\n  \"packages\": [");
}

enum gal_status gal_sbom_write(struct gal_buf *out, const struct gal_manifest *m,
                               const struct gal_plan *plan, int64_t epoch, const char *lock_sha256,
                               struct gal_err *err)
{
    char code[GAL_SHA1_HEX_SIZE];
    enum gal_status status = verification_code(plan, code, err);
    if (status)
        return status;
    put_head(out, m, epoch, lock_sha256);
    put_package(out, m, code);
    put_dependencies(out, &plan->environment);
    put_files(out, plan);
    put_relations(out, plan);
    gal_buf_puts(out, "\n}\n");
    return GAL_OK;
}
