/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: rows of server/config.def, each one key with the same name on the command line
 * (--http-port), in the environment (GALLEY_HTTP_PORT) and in YAML (http_port). The command line
 * wins over the environment, that over the file, that over the default. Every error names where
 * the value came from (`galley.yaml:3`, `GALLEY_HTTP_PORT`, `--http-port`) and what would be right.
 */
#ifndef GAL_SERVER_CONFIG_H
#define GAL_SERVER_CONFIG_H

#include "base/arena.h"
#include "base/log.h"

enum gal_config_type {
    GAL_CONF_TEXT,
    GAL_CONF_COUNT,    /* whole number within [min, max]; 0 may stand for "automatic" */
    GAL_CONF_BYTES,    /* 65536, 64KB, 64MiB */
    GAL_CONF_DURATION, /* 250ms, 10s, 2m; a bare number is seconds; kept in microseconds */
    GAL_CONF_SHARE,    /* 0..1, on, off */
    GAL_CONF_BOOL,     /* on/off, true/false, yes/no, 1/0 */
    GAL_CONF_LEVEL,    /* debug info warn error off */
    GAL_CONF_FORMAT,   /* json console auto */
};

enum gal_config_key {
#define GAL_CONFIG_ROW(key, name, type, default_text, min, max, reload, arg, help) GAL_KEY_##key,
#include "server/config.def"
#undef GAL_CONFIG_ROW
    GAL_KEY_COUNT
};

struct gal_config_row {
    enum gal_config_key key;
    const char *name; /* "http_port" */
    enum gal_config_type type;
    const char *default_text;
    uint64_t min, max;
    bool reload; /* SIGHUP applies a change; else a change is reported and waits for a restart */
    const char *arg; /* what stands for the value in help: "PORT" */
    const char *help;
};
extern const struct gal_config_row gal_config_rows[GAL_KEY_COUNT];

enum gal_config_source { GAL_FROM_DEFAULT, GAL_FROM_FILE, GAL_FROM_ENV, GAL_FROM_FLAG };

struct gal_config_value {
    enum gal_config_source source;
    const char *text; /* as given, NUL-terminated; arena's */
    uint64_t number;  /* COUNT, BYTES, DURATION (us), BOOL, LEVEL, FORMAT */
    double share;     /* SHARE */
};

struct gal_config {
    struct gal_config_value values[GAL_KEY_COUNT];
    const char **paths; /* what to serve */
    size_t path_count;
    const char *file;   /* --config; NULL: none */
    struct gal_arena arena;
};

void gal_config_init(struct gal_config *c); /* defaults */
void gal_config_release(struct gal_config *c);
/* `where` is for errors. A source of lower rank than the present one changes nothing. */
enum gal_status gal_config_set(struct gal_config *c, const struct gal_config_row *row,
                               enum gal_config_source source, const char *text, const char *where,
                               struct gal_err *err);
enum gal_status gal_config_read_env(struct gal_config *c, char *const *environ,
                                    struct gal_err *err);
/* YAML: the rows' keys and `models:` (a list of paths). Unknown keys are errors with their line and
 * the nearest known key as hint. */
enum gal_status gal_config_read_file(struct gal_config *c, const char *path, struct gal_err *err);
/* "http-port", "http_port", "HTTP_PORT": one row; NULL when unknown. */
const struct gal_config_row *gal_config_find(struct gal_str name);
/* Nearest known name by edit distance for a hint; NULL when nothing is near. */
const char *gal_config_nearest(struct gal_str name);

#endif
