/* SPDX-License-Identifier: Apache-2.0 */
/* Models loaded and unloaded by request (the model repository extension), as every protocol's
 * endpoints see it. server/ fills the table; the command line has none (gal_api.control NULL). */
#ifndef GAL_API_CONTROL_H
#define GAL_API_CONTROL_H

#include "base/buf.h"
#include "net/loop.h"

/* A file that takes the place of one of the model's directory for this load. */
struct gal_control_file {
    struct gal_str
        path; /* within the model's directory: "1/model.onnx"; checked by whom it reaches */
    struct gal_str bytes;
};

/* DEMAND: of a model that its first request loads (api/lazy.h). */
enum gal_control_action { GAL_CONTROL_LOAD, GAL_CONTROL_UNLOAD, GAL_CONTROL_DEMAND };

/* Lives until on_done; what it borrows (text, bytes) as well. */
struct gal_control_request {
    enum gal_control_action action;
    struct gal_str model;
    struct gal_str version; /* DEMAND */
    struct gal_str config;  /* LOAD: a ModelConfig in JSON in the file's place; p NULL: none */
    const struct gal_control_file *files; /* LOAD: need a config */
    size_t file_count;
    struct gal_loop *home;
    /* On home's thread, exactly once. status and err are set. */
    void (*on_done)(struct gal_control_request *r);
    void *user;
    enum gal_status status; /* UNAVAILABLE: not in explicit mode; NOT_FOUND; INVALID; INTERNAL: the
                               load failed, err says why */
    struct gal_err err;
    /* of who fills the table */
    struct gal_task task; /* the way there, and home */
    struct gal_control_request *next;
    void *ctx;
};

/* Thread: any loop's. */
struct gal_control_ops {
    void (*submit)(void *ctx, struct gal_control_request *r);
    void *ctx;
};

/* The index: one row a version of what is served, and of what was (UNAVAILABLE, "unloaded"). */
enum gal_index_state {
    GAL_INDEX_UNKNOWN,
    GAL_INDEX_READY,
    GAL_INDEX_UNAVAILABLE,
    GAL_INDEX_LOADING,
    GAL_INDEX_UNLOADING
};
struct gal_index_row {
    struct gal_str name, version; /* version empty: none is known */
    enum gal_index_state state;
    struct gal_str reason; /* why not READY; empty: unsaid */
};
const char *gal_index_state_name(enum gal_index_state s); /* "READY" */

/* Names that are known and not served, and what became of them: written by server/, read by all
 * loops under its lock. */
struct gal_repository;

struct gal_repository *gal_repository_new(void);    /* returns owned; NULL when memory is out */
void gal_repository_free(struct gal_repository *r); /* NULL is fine */
/* Notes a name, replacing what was noted of it; NO_MEMORY, and TOO_LARGE beyond
 * GAL_MODELS_MAX names, leave it as it was. version and reason may be empty. */
enum gal_status gal_repository_note(struct gal_repository *r, struct gal_str name,
                                    struct gal_str version, enum gal_index_state state,
                                    struct gal_str reason);
void gal_repository_forget(struct gal_repository *r, struct gal_str name);
bool gal_repository_knows(struct gal_repository *r, struct gal_str name);

struct gal_exchange;
/* Rows by name, then version, newest first; in the exchange's arena. only_ready leaves the others
 * out. A name that is served is told as it is served, also while it is loaded anew. */
enum gal_status gal_control_index(struct gal_exchange *x, bool only_ready,
                                  struct gal_index_row **out, size_t *count, struct gal_err *err);
/* Whether a request may load or unload: UNAVAILABLE when models stay as they are. */
enum gal_status gal_control_allowed(const struct gal_exchange *x, struct gal_err *err);

#endif
