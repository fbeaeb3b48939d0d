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
#include "base/name.h"
#include "model/config.h"

enum gal_config_type {
    GAL_CONF_TEXT,     /* min..max bytes; one of the words when `arg` lists them: "auto|inline" */
    GAL_CONF_COUNT,    /* whole number within [min, max]; 0 may stand for "automatic" */
    GAL_CONF_BYTES,    /* 65536, 64KB (1000), 64KiB (1024); a bare K, M or G is refused */
    GAL_CONF_DURATION, /* 200us, 250ms, 1.5s, 2m, 1h; a bare number is seconds; kept in us */
    GAL_CONF_SHARE,    /* 0..1; BOOL's words are 0 and 1 */
    GAL_CONF_BOOL,     /* on/off, true/false, yes/no, 1/0 */
    GAL_CONF_LEVEL,    /* debug info warn error off */
    GAL_CONF_FORMAT,   /* json console auto; auto is GAL_CONF_FORMAT_AUTO */
    GAL_CONF_PORT,     /* whole number within [min, max], or "off": GAL_CONF_PORT_OFF */
    GAL_CONF_LIST,     /* whole numbers within [min, max], ascending: "4,8"; may be empty */
};
#define GAL_CONF_FORMAT_AUTO 1000u
#define GAL_CONF_PORT_OFF 65536u
#define GAL_CONF_LIST_MAX GAL_PREFERRED_MAX /* numbers of a LIST */

enum gal_config_key {
#define GAL_CONFIG_ROW(key, name, type, default_text, min, max, scope, arg, help) GAL_KEY_##key,
#include "server/config.def"
#undef GAL_CONFIG_ROW
    GAL_KEY_COUNT
};

/* Whose a key is, and what a change needs; see server/config.def. */
enum gal_config_scope { GAL_SCOPE_START, GAL_SCOPE_RELOAD, GAL_SCOPE_MODEL };

struct gal_config_row {
    enum gal_config_key key;
    enum gal_config_type type;
    const char *name; /* "http_port" */
    const char *default_text;
    uint64_t min, max;
    const char *arg; /* what stands for the value in help: "PORT" */
    const char *help;
    enum gal_config_scope scope;
};
extern const struct gal_config_row gal_config_rows[GAL_KEY_COUNT];

/* In order of rank. */
enum gal_config_source { GAL_FROM_DEFAULT, GAL_FROM_FILE, GAL_FROM_ENV, GAL_FROM_FLAG };

struct gal_config_value {
    enum gal_config_source source;
    const char *text; /* as given, NUL-terminated; arena's */
    uint64_t number;  /* COUNT, BYTES, DURATION (us), BOOL, LEVEL, FORMAT */
    double share;     /* SHARE */
};

/* A value of one entry of `models:`. */
struct gal_config_own {
    enum gal_config_key key; /* of scope MODEL */
    struct gal_config_value value;
    const char *where; /* "galley.yaml:7: workers" */
};

/* What to serve. Texts are the arena's. */
struct gal_config_path {
    const char *path;
    const char *name;  /* of its only model; NULL: as found */
    const char *where; /* "galley.yaml:5"; NULL: from elsewhere */
    struct gal_config_own *own;
    size_t own_count;
    struct gal_padding *padding;
    size_t padding_count;
    struct gal_image_config image;
};

struct gal_config {
    struct gal_config_value values[GAL_KEY_COUNT];
    struct gal_config_path *paths;
    size_t path_count, path_cap;
    enum gal_config_source path_source;
    const char *file; /* --config; NULL: none */
    char *const *env; /* as it was read; borrowed; NULL: never */
    struct gal_arena arena;
};

void gal_config_init(struct gal_config *c); /* defaults; allocates nothing */
void gal_config_release(struct gal_config *c);
/* Reads a value and checks its type and bounds, without a configuration. The error has no place. */
enum gal_status gal_config_parse(const struct gal_config_row *row, const char *text,
                                 struct gal_config_value *out, struct gal_err *err);
/* `where` is the error's place. A source of lower rank than the present one is checked and changes
 * nothing; among equals the later wins. text is copied. */
enum gal_status gal_config_set(struct gal_config *c, const struct gal_config_row *row,
                               enum gal_config_source source, const char *text, const char *where,
                               struct gal_err *err);
/* One more path to serve; paths of a higher rank replace those of a lower one. Copied. */
enum gal_status gal_config_add_path(struct gal_config *c, enum gal_config_source source,
                                    struct gal_str path, struct gal_err *err);
/* GALLEY_... of the rows; GALLEY_MODELS (paths, `:` between them); GALLEY_CONFIG (c->file, unless
 * it is set); INFERENCE_SERVICE_NAME, KServe's, as model_name's default. A GALLEY_ name that is
 * nearly one of these is an error, any other is somebody else's. Empty values count as unset. env:
 * NULL-terminated, borrowed. */
enum gal_status gal_config_read_env(struct gal_config *c, char *const *env, struct gal_err *err);
/* YAML: the rows' keys and `models:`, a list whose items are paths or mappings of `path`, `name`,
 * keys of scope MODEL, `padding` (one mapping or a list of `axis`, `buckets`, `value`, `mask`) and
 * `image` (server/config_image.h).
 * Unknown keys are errors with their line and the nearest known key as hint. */
enum gal_status gal_config_read_file(struct gal_config *c, const char *path, struct gal_err *err);
/* The numbers of a LIST's text; returns how many, at most `room` of which are written. */
size_t gal_config_list(const char *text, uint64_t *out, size_t room);
/* "http-port", "http_port", "HTTP_PORT": one row; NULL when unknown. */
const struct gal_config_row *gal_config_find(struct gal_str name);
/* The value as a log may show it: what may hold a password is hidden. */
const char *gal_config_shown(const struct gal_config_row *row, const char *text);
/* Nearest known name by edit distance for a hint; NULL when nothing is near. */
const char *gal_config_nearest(struct gal_str name);
/* The same among the rows and `more` (NULL-terminated, or NULL). */
const char *gal_config_nearest_of(struct gal_str name, const char *const *more);
/* Bounds as a user writes them: "0..65535", "1KiB..1GiB", "1ms..1h", "at most 255 bytes"; empty for
 * types without. Returns out. */
char *gal_config_range(const struct gal_config_row *row, char *out, size_t size);

#endif
