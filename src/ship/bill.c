/* SPDX-License-Identifier: Apache-2.0 */
#include "ship/bill.h"

#include "text/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOT_SAID "NOASSERTION"
#define BILL_MAX (64u << 20)

void gal_bill_init(struct gal_bill *b, struct gal_arena *arena)
{
    *b = (struct gal_bill){.arena = arena};
}

/* Room for one more item of a list. */
static void *grow(struct gal_bill *b, void *items, size_t count, size_t *room, size_t size)
{
    void *more;
    if (count < *room)
        return items;
    *room = *room ? 2 * *room : 16;
    more = gal_arena_array(b->arena, *room, size);
    if (!more)
        b->failed = true;
    else if (count)
        memcpy(more, items, count * size);
    return more;
}

size_t gal_bill_package(struct gal_bill *b, struct gal_bill_package package)
{
    struct gal_bill_package *items = b->packages;
    for (size_t i = 0; i < b->package_count; i++) {
        if (gal_str_eq(items[i].name, package.name) && gal_str_eq(items[i].purl, package.purl) &&
            gal_str_eq(items[i].version, package.version))
            return i;
    }
    items = grow(b, items, b->package_count, &b->package_room, sizeof *items);
    if (!items)
        return 0;
    b->packages = items;
    items[b->package_count] = package;
    return b->package_count++;
}

static void add_file(struct gal_bill *b, const struct gal_bill_file *file)
{
    struct gal_bill_file *items = grow(b, b->files, b->file_count, &b->file_room, sizeof *items);
    if (!items)
        return;
    b->files = items;
    items[b->file_count++] = *file;
}

void gal_bill_file(struct gal_bill *b, size_t package, const char *path, struct gal_str bytes)
{
    struct gal_bill_file file = {.package = package};
    file.path = gal_arena_strdup(b->arena, gal_str_of(path));
    if (!file.path || gal_sha256_bytes(bytes, file.sha256, NULL) ||
        gal_sha1_hex(bytes, file.sha1, NULL))
        b->failed = true;
    else
        add_file(b, &file);
}

void gal_bill_join(struct gal_bill *b, const struct gal_bill *other)
{
    b->failed = b->failed || other->failed;
    for (size_t i = 0; i < other->package_count; i++) {
        size_t package = gal_bill_package(b, other->packages[i]);
        for (size_t k = 0; k < other->file_count; k++) {
            struct gal_bill_file file = other->files[k];
            if (file.package != i)
                continue;
            file.package = package;
            add_file(b, &file);
        }
    }
}

/* --- purl --- */

static void put_escaped(struct gal_buf *out, struct gal_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr(".-_~/", c))) {
            gal_buf_putc(out, c);
        } else {
            gal_buf_putc(out, '%');
            gal_buf_putc(out, hex[(unsigned char)c >> 4]);
            gal_buf_putc(out, hex[(unsigned char)c & 15]);
        }
    }
}

struct gal_str gal_bill_purl(struct gal_arena *arena, const char *type, struct gal_str name,
                             struct gal_str version, struct gal_str arch)
{
    struct gal_str purl = {NULL, 0};
    struct gal_buf b;
    gal_buf_init(&b, 4096);
    gal_buf_puts(&b, "pkg:");
    gal_buf_puts(&b, type);
    gal_buf_putc(&b, '/');
    put_escaped(&b, name);
    if (version.n) {
        gal_buf_putc(&b, '@');
        put_escaped(&b, version);
    }
    if (arch.n) {
        gal_buf_puts(&b, "?arch=");
        put_escaped(&b, arch);
    }
    purl.p = b.failed ? NULL : gal_arena_strdup(arena, gal_buf_str(&b));
    purl.n = purl.p ? b.n : 0;
    gal_buf_release(&b);
    return purl;
}

/* --- the document --- */

static void put_member(struct gal_buf *out, const char *name, struct gal_str value)
{
    gal_buf_puts(out, ",");
    gal_json_put_key(out, name);
    if (value.n)
        gal_json_put_str(out, value);
    else
        gal_buf_puts(out, "\"" NOT_SAID "\"");
}

static int compare_sha1(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SPDX 2.3, 7.9: SHA-1 over the sorted SHA-1s of the package's files. False: it has none. */
static bool verification_code(const struct gal_bill *b, size_t package, char hex[GAL_SHA1_HEX_SIZE])
{
    const char **sums = gal_arena_array(b->arena, b->file_count + 1, sizeof *sums);
    struct gal_buf text;
    size_t n = 0;
    bool ok;
    for (size_t i = 0; sums && i < b->file_count; i++) {
        if (b->files[i].package == package)
            sums[n++] = b->files[i].sha1;
    }
    if (n == 0)
        return false;
    qsort((void *)sums, n, sizeof *sums, compare_sha1);
    gal_buf_init(&text, n * GAL_SHA1_HEX_SIZE + 1);
    for (size_t i = 0; i < n; i++)
        gal_buf_puts(&text, sums[i]);
    ok = !text.failed && gal_sha1_hex(gal_buf_str(&text), hex, NULL) == GAL_OK;
    gal_buf_release(&text);
    return ok;
}

/* id 0 is the root; code NULL: it has no files. */
static void put_package(struct gal_buf *out, const struct gal_bill_package *p, size_t id,
                        const char *code, bool is_first)
{
    gal_buf_printf(out, "%s{\"SPDXID\":\"SPDXRef-Package-%zu\"", is_first ? "" : ",", id);
    put_member(out, "name", p->name);
    if (p->version.n)
        put_member(out, "versionInfo", p->version);
    if (p->supplier.n)
        put_member(out, "supplier", p->supplier);
    gal_buf_puts(out, ",\"downloadLocation\":\"" NOT_SAID "\"");
    if (code)
        gal_buf_printf(out,
                       ",\"filesAnalyzed\":true,\"packageVerificationCode\":"
                       "{\"packageVerificationCodeValue\":\"%s\"}",
                       code);
    else
        gal_buf_puts(out, ",\"filesAnalyzed\":false");
    if (p->purpose)
        put_member(out, "primaryPackagePurpose", gal_str_of(p->purpose));
    put_member(out, "licenseConcluded", (struct gal_str){NULL, 0});
    put_member(out, "licenseDeclared", p->licence);
    put_member(out, "copyrightText", (struct gal_str){NULL, 0});
    if (p->purl.n) {
        gal_buf_puts(out, ",\"externalRefs\":[{\"referenceCategory\":\"PACKAGE-MANAGER\","
                          "\"referenceType\":\"purl\"");
        put_member(out, "referenceLocator", p->purl);
        gal_buf_puts(out, "}]");
    }
    gal_buf_putc(out, '}');
}

static void put_files(struct gal_buf *out, const struct gal_bill *b)
{
    for (size_t i = 0; i < b->file_count; i++) {
        const struct gal_bill_file *f = &b->files[i];
        gal_buf_printf(out, "%s{\"SPDXID\":\"SPDXRef-File-%zu\",\"fileName\":", i ? "," : "",
                       i + 1);
        gal_json_put_str(out, gal_str_of(f->path));
        gal_buf_printf(out,
                       ",\"checksums\":[{\"algorithm\":\"SHA1\",\"checksumValue\":\"%s\"},"
                       "{\"algorithm\":\"SHA256\",\"checksumValue\":\"%s\"}]",
                       f->sha1, f->sha256);
        put_member(out, "licenseConcluded", (struct gal_str){NULL, 0});
        put_member(out, "copyrightText", (struct gal_str){NULL, 0});
        gal_buf_putc(out, '}');
    }
}

static void put_relations(struct gal_buf *out, const struct gal_bill *b, bool has_root)
{
    size_t first = has_root ? 0 : 1;
    for (size_t i = first; i <= b->package_count; i++) {
        bool is_described = !has_root || i == 0;
        gal_buf_printf(out,
                       "%s{\"spdxElementId\":\"%s\",\"relationshipType\":\"%s\","
                       "\"relatedSpdxElement\":\"SPDXRef-Package-%zu\"}",
                       i > first ? "," : "",
                       is_described ? "SPDXRef-DOCUMENT" : "SPDXRef-Package-0",
                       is_described ? "DESCRIBES" : "CONTAINS", i);
    }
    for (size_t i = 0; i < b->file_count; i++)
        gal_buf_printf(out,
                       ",{\"spdxElementId\":\"SPDXRef-Package-%zu\",\"relationshipType\":"
                       "\"CONTAINS\",\"relatedSpdxElement\":\"SPDXRef-File-%zu\"}",
                       b->files[i].package + 1, i + 1);
}

/* All but the head, whose name for the document is made of this. */
static void put_body(struct gal_buf *out, const struct gal_bill *b,
                     const struct gal_bill_package *root)
{
    gal_buf_puts(out, ",\"packages\":[");
    if (root)
        put_package(out, root, 0, NULL, true);
    for (size_t i = 0; i < b->package_count; i++) {
        char code[GAL_SHA1_HEX_SIZE];
        bool has_files = verification_code(b, i, code);
        put_package(out, &b->packages[i], i + 1, has_files ? code : NULL, i == 0 && !root);
    }
    gal_buf_puts(out, "],\"files\":[");
    put_files(out, b);
    gal_buf_puts(out, "],\"relationships\":[");
    put_relations(out, b, root != NULL);
    gal_buf_puts(out, "]}\n");
}

static void put_head(struct gal_buf *out, const char *name, const char *sha256, int64_t epoch)
{
    time_t when = (time_t)epoch;
    struct tm tm = {.tm_mday = 1, .tm_year = 70};
    char created[32];
    (void)gmtime_r(&when, &tm);
    (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", &tm);
    gal_buf_puts(out, "{\"spdxVersion\":\"SPDX-2.3\",\"dataLicense\":\"CC0-1.0\","
                      "\"SPDXID\":\"SPDXRef-DOCUMENT\"");
    put_member(out, "name", gal_str_of(name));
    gal_buf_printf(out,
                   ",\"documentNamespace\":\"https://spdx.org/spdxdocs/galley-image-%s\","
                   "\"creationInfo\":{\"created\":\"%s\",\"creators\":[\"Tool: galley\"]}",
                   sha256, created);
}

enum gal_status gal_bill_write(struct gal_buf *out, const struct gal_bill *b, const char *name,
                               const struct gal_bill_package *root, int64_t epoch,
                               struct gal_err *err)
{
    char sha256[GAL_SHA256_HEX_SIZE];
    struct gal_buf body;
    enum gal_status status;
    gal_buf_init(&body, BILL_MAX);
    put_body(&body, b, root);
    if (b->failed || body.failed) {
        gal_buf_release(&body);
        return gal_fail(err, GAL_NO_MEMORY, "no memory for an SBOM");
    }
    status = gal_sha256_bytes(gal_buf_str(&body), sha256, err);
    if (!status) {
        put_head(out, name, sha256, epoch);
        gal_buf_put_str(out, gal_buf_str(&body));
    }
    gal_buf_release(&body);
    return status;
}
