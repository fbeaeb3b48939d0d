/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include "base/mem.h"
#include "server/model_keys.h"

#include <unistd.h>

#define LINE_WIDTH 100u

/* End of the string, array, object or bare word that begins at `at`. The text is valid JSON. */
static size_t value_end(struct gal_str s, size_t at)
{
    size_t depth = 0;
    bool quoted = false;

    for (; at < s.n; at++) {
        char c = s.p[at];
        if (quoted) {
            at += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == ']' || c == '}' || c == ':')) {
            return at;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return s.n;
}

/* One line, with a space behind commas and colons. */
static void put_flat(FILE *out, struct gal_str s)
{
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!quoted && strchr(" \t\r\n", c))
            continue;
        fputc(c, out);
        if (quoted && c == '\\' && i + 1 < s.n)
            fputc(s.p[++i], out);
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == ',' || c == ':'))
            fputc(' ', out);
    }
}

/* An object or array that does not fit on the line has a line for each member. */
static void put_value(FILE *out, struct gal_str s, unsigned indent)
{
    size_t at = 1, end;

    s = gal_str_trim(s);
    if (s.n < 2 || (s.p[0] != '{' && s.p[0] != '[') || indent + s.n <= LINE_WIDTH) {
        put_flat(out, s);
        return;
    }
    fputc(s.p[0], out);
    for (; at + 1 < s.n; at = end + 1) {
        end = value_end(s, at);
        fprintf(out, "%s\n%*s", at > 1 ? "," : "", (int)indent + 2, "");
        if (s.p[0] == '{' && s.p[end] == ':') {
            put_flat(out, gal_str_trim((struct gal_str){s.p + at, end - at}));
            fputs(": ", out);
            at = end + 1;
            end = value_end(s, at);
        }
        put_value(out, (struct gal_str){s.p + at, end - at}, indent + 2);
    }
    fprintf(out, "\n%*s%c", (int)indent, "", s.p[s.n - 1]);
}

void gal_print_json_pretty(FILE *out, struct gal_str json)
{
    put_value(out, json, 0);
    fputc('\n', out);
}

void gal_print_json(FILE *out, struct gal_str json, bool raw)
{
    if (!raw && isatty(fileno(out))) {
        gal_print_json_pretty(out, json);
        return;
    }
    if (json.n)
        fwrite(json.p, 1, json.n, out);
    fputc('\n', out);
}

void gal_print_text(FILE *out, struct gal_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        fputc(c < ' ' || c == 0x7f ? '?' : c, out);
    }
}

char *gal_humane_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1024;
    snprintf(out, size, "%.*f %s", unit && value < 100 ? 1 : 0, value, units[unit]);
    return out;
}

struct gal_backend_options gal_cli_backend(const struct gal_config *config)
{
    const char *library = config->values[GAL_KEY_ONNXRUNTIME].text;

    return (struct gal_backend_options){
        .intra_op_threads = (unsigned)config->values[GAL_KEY_INTRA_OP_THREADS].number,
        .inter_op_threads = 1,
        .library = library[0] ? library : NULL,
    };
}

enum gal_status gal_cli_scan(const struct gal_config *config, const char *const *paths, size_t n,
                             struct gal_model ***models, size_t *count, struct gal_err *err)
{
    struct gal_model_config base;
    struct gal_scan_path *all = gal_calloc(n, sizeof(*all));
    struct gal_scan_options o = {.paths = all,
                                 .path_count = n,
                                 .base = &base,
                                 .serving = gal_model_keys_serving,
                                 .serving_ctx = config};
    enum gal_status status;

    *models = NULL;
    *count = 0;
    if (!all)
        return gal_fail(err, GAL_NO_MEMORY, "no memory for the list of models");
    for (size_t i = 0; i < n; i++)
        all[i].path = paths[i];
    status = gal_model_keys_base(config, &base, err);
    if (status == GAL_OK)
        status = gal_catalog_scan(&o, models, count, err);
    gal_free(all);
    return status;
}
