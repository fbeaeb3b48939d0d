/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onnx.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/inspect_package.h"
#include "cli/loaded.h"
#include "cli/place.h"
#include "cli/print.h"
#include "model/catalog.h"
#include "text/json.h"

#include <inttypes.h>

#define JSON_BYTES_MAX (64u << 20)
#define META_BYTES_SHOWN 160u

/* One model file, described without serving it. */
struct report {
    const struct gal_model *model;  /* borrowed */
    const struct gal_place *place;  /* what it was fetched for; NULL: it was not; borrowed */
    struct gal_session *session;    /* owned; NULL when it is broken, or the model has it */
    struct gal_model_config config; /* as it was before the load */
    const struct gal_model_info *info;
    char sha256[GAL_SHA256_HEX_SIZE]; /* empty when unknown */
    uint64_t bytes;
    struct gal_err err; /* why it is broken; code GAL_OK: it is not */
};

/* A package is loaded as a whole, but for its golden cases. */
static void describe_package(struct gal_model *m, const struct gal_config *config, struct report *r)
{
    for (size_t i = 0; i < m->package->file_count; i++)
        r->bytes += m->package->files[i].size;
    if (gal_cli_load_model(m, config, true, &r->err) == GAL_OK)
        r->info = m->info;
    if (m->package->digest[0])
        snprintf(r->sha256, sizeof r->sha256, "%s", m->package->digest + strlen("sha256:"));
}

static void describe(struct gal_model *m, const struct gal_config *config, struct report *r)
{
    struct gal_backend_options options = gal_cli_backend(config);
    struct gal_file_info file;

    *r = (struct report){.model = m, .config = m->config};
    if (m->package) {
        describe_package(m, config, r);
        return;
    }
    if (gal_file_stat(m->path, &file, NULL) == GAL_OK)
        r->bytes = file.bytes;
    if (gal_sha256_file(m->path, r->sha256, NULL) != GAL_OK)
        r->sha256[0] = '\0';
    if (m->error.code != GAL_OK) { /* its configuration is wrong */
        r->err = m->error;
        return;
    }
    options.entries = m->config.backend.entries;
    options.entry_count = m->config.backend.entry_count;
    options.graph_level = m->config.backend.graph_level;
    if (gal_backend_onnx.load(m->path, &options, &r->session, &r->err) == GAL_OK) {
        r->info = gal_backend_onnx.info(r->session);
        gal_model_config_check(&m->config, r->info, &r->err);
    } else {
        r->session = NULL;
    }
}

static void report_release(struct report *r)
{
    gal_backend_onnx.free(r->session);
}

/* --- text --- */

/* "[batch,30]": symbolic names where the model has them, ? for what it leaves open. */
static void shape_text(const struct gal_port *p, struct gal_buf *out)
{
    if (!p->shape_known) {
        gal_buf_puts(out, p->kind == GAL_KIND_TENSOR ? "[...]" : "");
        return;
    }
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < p->rank; i++) {
        gal_buf_puts(out, i ? "," : "");
        if (p->dims && p->dims[i] && p->dims[i][0])
            gal_buf_puts(out, p->dims[i]);
        else if (p->shape[i] < 0)
            gal_buf_putc(out, '?');
        else
            gal_buf_put_i64(out, p->shape[i]);
    }
    gal_buf_putc(out, ']');
}

static int name_width(const struct gal_port *ports, size_t count)
{
    size_t width = 8;

    for (size_t i = 0; i < count; i++)
        width = ports[i].name.n > width ? ports[i].name.n : width;
    return width > 40 ? 40 : (int)width;
}

static void print_ports(FILE *out, const char *title, const struct gal_port *ports, size_t count)
{
    int width = name_width(ports, count);

    fprintf(out, "  %s\n", title);
    for (size_t i = 0; i < count; i++) {
        struct gal_buf shape;
        gal_buf_init(&shape, 65536);
        shape_text(&ports[i], &shape);
        fputs("    ", out);
        gal_print_text(out, ports[i].name);
        fprintf(out, "%*s  %-6s ",
                ports[i].name.n < (size_t)width ? width - (int)ports[i].name.n : 0, "",
                ports[i].kind == GAL_KIND_TENSOR ? gal_dtype_name(ports[i].dtype) : "-");
        gal_print_text(out, gal_buf_str(&shape));
        fprintf(out, "%s%s%s\n", shape.n ? "  " : "", ports[i].type_text,
                ports[i].optional ? ", optional" : "");
        gal_buf_release(&shape);
    }
}

static void print_fact(FILE *out, const char *key, struct gal_str value)
{
    if (value.n == 0)
        return;
    fprintf(out, "  %-12s ", key);
    gal_print_text(out, value);
    fputc('\n', out);
}

static void print_meta(FILE *out, const struct gal_model_info *info)
{
    if (info->meta_count)
        fputs("  metadata\n", out);
    for (size_t i = 0; i < info->meta_count; i++) {
        struct gal_str value = info->meta[i].value;
        bool is_long = value.n > META_BYTES_SHOWN;
        size_t shown = is_long ? META_BYTES_SHOWN : value.n;
        while (is_long && shown > 0 && ((unsigned char)value.p[shown] & 0xc0) == 0x80)
            shown--; /* never half a character */
        fputs("    ", out);
        gal_print_text(out, info->meta[i].key);
        fputs(": ", out);
        gal_print_text(out, (struct gal_str){value.p, shown});
        fputs(is_long ? " ... (--json shows all)\n" : "\n", out);
    }
}

static void print_info(FILE *out, const struct gal_model_info *info)
{
    char number[24];

    print_fact(out, "opset", info->opsets);
    if (info->ir_version) {
        snprintf(number, sizeof(number), "%" PRId64, info->ir_version);
        print_fact(out, "IR version", gal_str_of(number));
    }
    print_fact(out, "producer", gal_str_of(info->producer));
    print_fact(out, "graph", gal_str_of(info->graph_name));
    print_fact(out, "domain", gal_str_of(info->domain));
    if (info->model_version) {
        snprintf(number, sizeof(number), "%" PRId64, info->model_version);
        print_fact(out, "own version", gal_str_of(number));
    }
    print_fact(out, "description", gal_str_of(info->description));
    print_ports(out, "inputs", info->inputs, info->input_count);
    print_ports(out, "outputs", info->outputs, info->output_count);
    print_meta(out, info);
}

/* --- configuration --- */

/* A text without quotes, anything else as JSON. */
static void print_json_value(FILE *out, yyjson_val *v)
{
    char *json = yyjson_is_str(v) ? NULL : yyjson_val_write(v, 0, NULL);

    gal_print_text(out, gal_str_of(yyjson_is_str(v) ? yyjson_get_str(v) : json ? json : ""));
    fputc('\n', out);
    if (json)
        (free)(json); /* yyjson's own allocator gave it */
}

/* Times are microseconds in JSON; in a configuration file a bare number is seconds. */
static bool is_time(const char *name)
{
    static const char *const times[] = {"max_queue_delay", "latency_target", "inline_limit",
                                        "response_cache_ttl", "request_timeout"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        if (strcmp(name, times[i]) == 0)
            return true;
    }
    return false;
}

/* The keys of `c` whose values are not those of galley untold, one a line. */
static void print_config(FILE *out, const struct gal_model_config *c)
{
    struct gal_model_config untold;
    struct gal_arena arena;
    struct gal_buf text[2];
    yyjson_val *root[2] = {NULL, NULL}, *key;
    yyjson_obj_iter it;
    size_t shown = 0;

    gal_arena_init(&arena, 16384, 0, JSON_BYTES_MAX);
    gal_model_config_init(&untold);
    gal_model_config_settle(&untold, (struct gal_str){NULL, 0}, NULL);
    for (size_t i = 0; i < 2; i++) {
        gal_buf_init(&text[i], JSON_BYTES_MAX);
        gal_model_config_json(&text[i], i ? c : &untold);
        gal_json_read(gal_buf_str(&text[i]), &arena, GAL_JSON_DEPTH_MAX, &root[i], NULL);
    }
    if (root[0] && root[1] && yyjson_obj_iter_init(root[1], &it)) {
        while ((key = yyjson_obj_iter_next(&it)) != NULL) {
            yyjson_val *value = yyjson_obj_iter_get_val(key);
            const char *name = yyjson_get_str(key);
            if (yyjson_equals(value, yyjson_obj_get(root[0], name)))
                continue;
            fputs(shown++ ? "" : "  configuration\n", out);
            fprintf(out, "    %s: ", name);
            if (is_time(name) && yyjson_is_uint(value))
                fprintf(out, "%" PRIu64 "us\n", yyjson_get_uint(value));
            else
                print_json_value(out, value);
        }
    }
    for (size_t i = 0; i < 2; i++)
        gal_buf_release(&text[i]);
    gal_arena_release(&arena);
}

static void print_report(FILE *out, const struct report *r)
{
    char size[32], exact[96];

    fprintf(out, "%s version %s\n", r->model->name, r->model->version);
    if (r->place)
        print_fact(out, "source", gal_str_of(gal_place_origin(r->place)));
    print_fact(out, "file", gal_str_of(r->model->path));
    gal_humane_bytes(r->bytes, size, sizeof(size));
    if (r->bytes < 1024)
        snprintf(exact, sizeof(exact), "%s", size);
    else
        snprintf(exact, sizeof(exact), "%s (%" PRIu64 " bytes)", size, r->bytes);
    print_fact(out, "size", gal_str_of(exact));
    print_fact(out, "sha256", gal_str_of(r->sha256));
    if (r->model->package)
        gal_inspect_print_package(out, r->model->package);
    if (r->info)
        print_info(out, r->info);
    print_config(out, &r->config);
    if (r->err.code != GAL_OK)
        print_fact(out, "broken", gal_str_of(r->err.message));
}

/* --- JSON --- */

static void put_shape(struct gal_buf *out, const struct gal_port *p)
{
    gal_buf_puts(out, ",\"shape\":[");
    for (size_t i = 0; i < p->rank; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_i64(out, p->shape[i]);
    }
    gal_buf_puts(out, "],\"dims\":[");
    for (size_t i = 0; i < p->rank; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, gal_str_of(p->dims && p->dims[i] ? p->dims[i] : ""));
    }
    gal_buf_putc(out, ']');
}

static void put_ports(struct gal_buf *out, const char *key, const struct gal_port *ports,
                      size_t count)
{
    gal_buf_putc(out, ',');
    gal_json_put_key(out, key);
    gal_buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        const struct gal_port *p = &ports[i];
        gal_buf_puts(out, i ? ",{" : "{");
        gal_json_put_key(out, "name");
        gal_json_put_str(out, p->name);
        if (p->kind == GAL_KIND_TENSOR)
            gal_json_put_member(out, ",", "datatype", gal_str_of(gal_dtype_name(p->dtype)));
        if (p->shape_known)
            put_shape(out, p);
        gal_json_put_member(out, ",", "type", gal_str_of(p->type_text));
        gal_buf_puts(out, p->optional ? ",\"optional\":true}" : "}");
    }
    gal_buf_putc(out, ']');
}

static void put_info(struct gal_buf *out, const struct gal_model_info *info)
{
    gal_json_put_member(out, ",", "platform", gal_str_of(info->platform));
    gal_json_put_member(out, ",", "opset", info->opsets);
    gal_buf_puts(out, ",\"ir_version\":");
    gal_json_put_i64(out, info->ir_version);
    gal_json_put_member(out, ",", "producer", gal_str_of(info->producer));
    gal_json_put_member(out, ",", "graph", gal_str_of(info->graph_name));
    gal_json_put_member(out, ",", "domain", gal_str_of(info->domain));
    gal_buf_puts(out, ",\"model_version\":");
    gal_json_put_i64(out, info->model_version);
    gal_json_put_member(out, ",", "description", gal_str_of(info->description));
    put_ports(out, "inputs", info->inputs, info->input_count);
    put_ports(out, "outputs", info->outputs, info->output_count);
    gal_buf_puts(out, ",\"metadata\":{");
    for (size_t i = 0; i < info->meta_count; i++) {
        gal_buf_puts(out, i ? "," : "");
        gal_json_put_str(out, info->meta[i].key);
        gal_buf_putc(out, ':');
        gal_json_put_str(out, info->meta[i].value);
    }
    gal_buf_putc(out, '}');
}

static void put_report(struct gal_buf *out, const struct report *r)
{
    gal_buf_putc(out, '{');
    gal_json_put_key(out, "name");
    gal_json_put_str(out, gal_str_of(r->model->name));
    gal_json_put_member(out, ",", "version", gal_str_of(r->model->version));
    if (r->place)
        gal_json_put_member(out, ",", "source", gal_str_of(gal_place_origin(r->place)));
    gal_json_put_member(out, ",", "file", gal_str_of(r->model->path));
    gal_buf_puts(out, ",\"bytes\":");
    gal_json_put_u64(out, r->bytes);
    gal_json_put_member(out, ",", "sha256", gal_str_of(r->sha256));
    if (r->info)
        put_info(out, r->info);
    if (r->model->package) {
        gal_buf_puts(out, ",\"package\":");
        gal_inspect_put_package(out, r->model->package);
    }
    if (r->err.code != GAL_OK)
        gal_json_put_member(out, ",", "error", gal_str_of(r->err.message));
    gal_buf_puts(out, ",\"config\":");
    gal_model_config_json(out, &r->config);
    gal_buf_putc(out, '}');
}

/* --- the command --- */

static int broken(struct gal_cli *cli, const struct report *r)
{
    struct gal_err err = r->err;

    if (!err.place[0])
        gal_err_place(&err, "%s", r->model->path);
    if (r->place)
        gal_place_explain(r->place, &err);
    return gal_cli_fail(cli, GAL_EXIT_FAILURE, &err);
}

/* All versions of all models, by name, newest first. */
static int inspect_all(struct gal_cli *cli, const struct gal_config *config,
                       const struct gal_catalog *catalog, const struct gal_places *places)
{
    bool as_json = gal_cli_has(cli, "json");
    int code = GAL_EXIT_OK;
    size_t shown = 0;
    struct gal_buf json;

    gal_buf_init(&json, JSON_BYTES_MAX);
    gal_buf_puts(&json, "{\"models\":[");
    for (size_t i = 0; i < catalog->count; i++) {
        for (size_t v = 0; v < catalog->entries[i].version_count; v++, shown++) {
            struct report r;
            describe(catalog->entries[i].versions[v], config, &r);
            r.place = gal_places_find(places, r.model->path);
            fputs(!as_json && shown ? "\n" : "", cli->out);
            gal_buf_puts(&json, shown ? "," : "");
            if (as_json)
                put_report(&json, &r);
            else
                print_report(cli->out, &r);
            if (r.err.code != GAL_OK)
                code = broken(cli, &r);
            report_release(&r);
        }
    }
    gal_buf_puts(&json, "]}");
    if (as_json)
        gal_print_json(cli->out, gal_buf_str(&json), false);
    gal_buf_release(&json);
    return code;
}

static int fail(struct gal_cli *cli, const struct gal_places *places, struct gal_err *err)
{
    for (size_t i = 0; i < places->count; i++)
        gal_place_explain(&places->all[i], err);
    return gal_cli_fail(cli, GAL_EXIT_FAILURE, err);
}

static int run_inspect(struct gal_cli *cli)
{
    struct gal_model **models = NULL;
    size_t count = 0;
    struct gal_catalog *catalog = NULL;
    struct gal_places places = {.count = 0};
    struct gal_config config;
    struct gal_err err;
    int code;

    gal_config_init(&config);
    if (gal_cli_config(cli, &config, &err) != GAL_OK ||
        gal_places_open(cli, &config, &places, &err) != GAL_OK ||
        gal_cli_scan(&config, (const char *const *)places.scans, places.count, &models, &count,
                     &err) != GAL_OK ||
        gal_catalog_new(models, count, &catalog, &err) != GAL_OK)
        code = fail(cli, &places, &err);
    else
        code = inspect_all(cli, &config, catalog, &places);
    if (catalog)
        gal_catalog_unref(catalog);
    for (size_t i = 0; i < count; i++)
        gal_model_unref(models[i]);
    gal_free(models);
    gal_places_close(&places);
    gal_config_release(&config);
    return code;
}

static const struct gal_option options[] = {
    {"json", '\0', NULL, "Print one JSON object"},
};
static const struct gal_example examples[] = {
    {"galley inspect model.onnx", "What the model takes and gives, who made it, its digest."},
    {"galley inspect fraud-2.1.0.galley", "A package: its features, steps and golden cases too."},
    {"galley inspect oci://registry.example.com/models/fraud:2.1.0", "One in a registry."},
    {"galley inspect models/", "All models of a directory; the exit code is 1 when one is broken."},
    {"galley inspect --json model.onnx | jq '.models[0].inputs'", "The inputs, for a script."},
};

const struct gal_command gal_command_inspect = {
    .name = "inspect",
    .summary = "Show what a model takes and gives",
    .operands = "SOURCE...",
    .words = "PATH",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .text =
        "Inputs and outputs with datatype and shape, operator sets, producer, metadata, size "
        "and digest, and what of its configuration is not galley's default: a config.pbtxt is "
        "read and compared with the model. Of a package also its features, steps, outputs, golden "
        "cases and metadata. The model is loaded but not run.\n\n" GAL_PLACE_HELP,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .keys = GAL_KEYS(GAL_KEY_ONNXRUNTIME, GAL_PLACE_KEYS),
    .examples = examples,
    .example_count = sizeof(examples) / sizeof(examples[0]),
    .run = run_inspect,
};
