/* SPDX-License-Identifier: Apache-2.0 */
#include "source/xml.h"

#include "base/mem.h"

#include <expat.h>
#include <limits.h>
#include <stdio.h>

#define PATH_BYTES_MAX 512u /* bounds the depth */
#define TEXT_BYTES_MAX 65536u

struct reading {
    XML_Parser parser;
    char path[PATH_BYTES_MAX];
    size_t path_n;
    struct gal_buf text; /* of the innermost element, since its last child */
    enum gal_status (*on_end)(const char *path, struct gal_str value, void *ctx);
    void *ctx;
    enum gal_status status;
    bool refused; /* by us: err says why */
    struct gal_err *err;
};

static void refuse(struct reading *r, const char *why)
{
    r->status = gal_fail(r->err, GAL_INVALID, "XML: %s", why);
    r->refused = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *r = ctx;
    const char *colon = strrchr(name, ':');
    size_t n;
    (void)attributes;
    name = colon ? colon + 1 : name;
    n = strlen(name);
    if (r->path_n + n + 2 > sizeof r->path) {
        refuse(r, "elements lie too deep");
        return;
    }
    if (r->path_n > 0)
        r->path[r->path_n++] = '/';
    memcpy(r->path + r->path_n, name, n + 1);
    r->path_n += n;
    gal_buf_clear(&r->text, TEXT_BYTES_MAX);
}

static void XMLCALL on_stop(void *ctx, const XML_Char *name)
{
    struct reading *r = ctx;
    (void)name;
    if (r->status == GAL_OK)
        r->status = r->on_end(r->path, gal_buf_str(&r->text), r->ctx);
    if (r->status)
        XML_StopParser(r->parser, XML_FALSE);
    const char *slash = memrchr(r->path, '/', r->path_n);
    r->path_n = slash ? (size_t)(slash - r->path) : 0;
    r->path[r->path_n] = '\0';
    gal_buf_clear(&r->text, TEXT_BYTES_MAX);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int n)
{
    struct reading *r = ctx;
    gal_buf_put(&r->text, text, (size_t)n);
    if (r->text.failed)
        refuse(r, "a text is too long");
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_subset;
    refuse(ctx, "document types are refused");
}

enum gal_status gal_xml_read(struct gal_str text,
                             enum gal_status (*on_end)(const char *path, struct gal_str value,
                                                       void *ctx),
                             void *ctx, struct gal_err *err)
{
    static const XML_Memory_Handling_Suite memory = {gal_alloc, gal_realloc, gal_free};
    struct reading r = {.on_end = on_end, .ctx = ctx, .err = err};
    gal_err_clear(err);
    if (text.n > INT_MAX)
        return gal_fail(err, GAL_TOO_LARGE, "XML of more than 2 GiB");
    r.parser = XML_ParserCreate_MM(NULL, &memory, NULL);
    if (!r.parser)
        return gal_fail(err, GAL_NO_MEMORY, "out of memory");
    gal_buf_init(&r.text, TEXT_BYTES_MAX);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_stop);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    enum XML_Status done = XML_Parse(r.parser, text.p ? text.p : "", (int)text.n, 1);
    if (done != XML_STATUS_OK && r.status == GAL_OK) {
        enum XML_Error code = XML_GetErrorCode(r.parser);
        r.status = code == XML_ERROR_NO_MEMORY ? GAL_NO_MEMORY : GAL_INVALID;
        gal_fail(err, r.status, "no XML: %s", XML_ErrorString(code));
        r.refused = true;
    }
    if (r.refused)
        gal_err_place(err, "%lu:%lu", (unsigned long)XML_GetCurrentLineNumber(r.parser),
                      (unsigned long)XML_GetCurrentColumnNumber(r.parser) + 1);
    XML_ParserFree(r.parser);
    gal_buf_release(&r.text);
    return r.status;
}
