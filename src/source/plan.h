/* SPDX-License-Identifier: Apache-2.0 */
/* What a source stands for at this moment: objects with their URLs, sizes and versions, who may ask
 * for them, and the identity under which they are cached. Each kind of source makes one; the
 * download and the cache know no kinds. Not for other parts. All texts lie in the run's arena. */
#ifndef GAL_SOURCE_PLAN_H
#define GAL_SOURCE_PLAN_H

#include "net/fetch.h"
#include "source/shelf.h"
#include "source/sigv4.h"
#include "source/url.h"

#define GAL_SOURCE_OBJECTS_MAX 10000u /* files of one source */

struct gal_source_object {
    const char *place; /* below the entry: "fraud/3/model.onnx" */
    const char *url;
    uint64_t size;
    bool size_known;
    bool ranges;                      /* parts may be asked for: the server tells versions apart */
    bool versioned;                   /* the URL is of one version, for good */
    const char *etag, *modified;      /* as answers tell them; NULL: not told */
    char sha256[GAL_SHA256_HEX_SIZE]; /* hex; empty: not told */
    char md5[33];
};

enum gal_auth_kind { GAL_AUTH_NONE, GAL_AUTH_SIGV4, GAL_AUTH_HEADER, GAL_AUTH_BASIC };

/* How requests for the objects prove who asks. Immutable once made: threads share it. */
struct gal_auth {
    enum gal_auth_kind kind;
    struct gal_aws_keys keys; /* SIGV4 */
    const char *region, *service;
    const char *header;                /* HEADER: the value of Authorization */
    const char *user, *password;       /* BASIC */
    struct gal_fetch_header always[2]; /* headers of each request, name NULL: none */
};

struct gal_source_plan {
    struct gal_source_object *objects;
    size_t count, cap;
    const char *root;     /* what is handed out, below the entry */
    const char *origin;   /* as a user may see it: with version or digest */
    const char *local;    /* what is handed out lies there on this machine; NULL: it is fetched */
    const char *identity; /* equal text, equal content; NULL: nothing tells versions apart */
    struct gal_auth auth;
};

/* One opening of a source. */
struct gal_source_run {
    const struct gal_source_options *options;
    struct gal_source_url url;
    const struct gal_clock *clock;
    struct gal_arena *arena;
    struct gal_fetcher *fetcher; /* of the calling thread */
    const char *root; /* of the plan, when the kind that is asked is not the user's; NULL */
    struct gal_source_plan plan;
    const char *shelf; /* while it is fetched: the cache's root, and the entry in it */
    const struct gal_shelf_hold *hold;
};

/* --- each kind --- */
enum gal_status gal_plan_http(struct gal_source_run *r, struct gal_err *err);
enum gal_status gal_plan_s3(struct gal_source_run *r, struct gal_err *err);
enum gal_status gal_plan_gs(struct gal_source_run *r, struct gal_err *err);
enum gal_status gal_plan_azure(struct gal_source_run *r, struct gal_err *err);
enum gal_status gal_plan_mlflow(struct gal_source_run *r, struct gal_err *err);
enum gal_status gal_plan_oci(struct gal_source_run *r, struct gal_err *err); /* no objects */
/* The artifact into `dir`/plan.root, when the cache has made room for it. */
enum gal_status gal_pull_oci(struct gal_source_run *r, const char *dir, struct gal_err *err);

/* --- what they share (plan.c) --- */
enum gal_status gal_plan_no_memory(struct gal_err *err);
#ifdef __clang_analyzer__
#define gal_plan_no_memory(...) gal_fail_known((gal_plan_no_memory)(__VA_ARGS__), GAL_NO_MEMORY)
#endif
/* A zeroed object at the end of the list. TOO_LARGE beyond GAL_SOURCE_OBJECTS_MAX. */
enum gal_status gal_plan_add(struct gal_source_run *r, struct gal_source_object **out,
                             struct gal_err *err);
/* For a directory: the object `name` below plan.root, INVALID when it is no safe name. */
enum gal_status gal_plan_add_below(struct gal_source_run *r, struct gal_str name,
                                   struct gal_source_object **out, struct gal_err *err);
/* root of a source of one file (is_dir false; the object's place) or of a directory. */
enum gal_status gal_plan_root(struct gal_source_run *r, struct gal_str key, bool is_dir,
                              struct gal_str fallback, struct gal_err *err);
/* identity from origin, places, sizes, tags and digests. Call it last. */
enum gal_status gal_plan_settle(struct gal_source_run *r, struct gal_err *err);
/* Text as the arena's copy. */
const char *gal_plan_text(struct gal_source_run *r, struct gal_str s);

/* --- requests (auth.c) --- */
struct gal_auth_room { /* what a signed request borrows while it is made */
    struct gal_fetch_header headers[8];
    struct gal_sigv4_headers signature;
};
/* Adds to q what proves who asks; q's own headers (at most 3) are kept. Thread-safe. */
enum gal_status gal_auth_apply(const struct gal_auth *a, const struct gal_clock *clock,
                               struct gal_fetch_request *q, struct gal_auth_room *room,
                               struct gal_arena *arena, struct gal_err *err);
/* Signs and sends with the run's fetcher. */
enum gal_status gal_plan_ask(struct gal_source_run *r, const struct gal_fetch_request *request,
                             struct gal_fetch_response *out, struct gal_err *err);
/* GET of a small document; an answer that is not 2xx is an error. */
enum gal_status gal_plan_get(struct gal_source_run *r, const char *url,
                             struct gal_fetch_response *out, struct gal_err *err);
/* Asks, unsigned, what is near and answers at once, or is not there: the metadata of an instance.
 * An answer other than 200 is an error. out is to be released in any case. */
enum gal_status gal_plan_ask_near(struct gal_source_run *r, const struct gal_fetch_request *request,
                                  struct gal_fetch_response *out, struct gal_err *err);
/* The size, tags and digests that an answer's head tells. */
enum gal_status gal_plan_take_head(struct gal_source_run *r, const struct gal_fetch_response *a,
                                   struct gal_source_object *o, struct gal_err *err);

#endif
