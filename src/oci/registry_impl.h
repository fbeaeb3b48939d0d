/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of oci/registry share. A registry that is open is two things: what all threads of
 * a transfer know (shared), and the connections of one of them. */
#ifndef GAL_OCI_REGISTRY_IMPL_H
#define GAL_OCI_REGISTRY_IMPL_H

#include "oci/challenge.h"
#include "oci/credentials.h"
#include "oci/registry.h"

#include <pthread.h>

#define GAL_REGISTRY_URL_SIZE 1024 /* of what we write ourselves; Locations are longer */

struct gal_registry_shared {
    struct gal_reference ref;
    struct gal_registry_options options;
    char base[300];   /* "https://registry-1.docker.io" */
    atomic_bool stop; /* a worker has failed */

    pthread_mutex_t lock; /* all below */
    struct gal_arena arena;
    struct gal_challenge challenge;
    struct gal_credential credential;
    bool credential_known;
    struct gal_buf token; /* bearer; n 0: none */
    bool token_pushes;    /* it covers push too */
    unsigned token_turn;  /* counts tokens, so that one that was refused is dropped once */
    pthread_mutex_t progress_lock;
};

struct gal_registry {
    struct gal_registry_shared *shared;
    struct gal_fetcher *fetcher;
    bool is_clone;
};

/* For another thread, which may use it as long as r is open; closed by gal_registry_close. */
enum gal_status gal_registry_clone(struct gal_registry *r, struct gal_registry **out,
                                   struct gal_err *err);
/* Tells the caller's on_progress, under its lock. */
void gal_registry_tell(struct gal_registry *r, const struct gal_oci_descriptor *d,
                       enum gal_transfer_step step, uint64_t done, uint64_t total);

/* --- registry_call.c --- */
/* One call with what authentication it takes; `pushes` decides the token's scope. q->headers has at
 * most 6. OK: an answer came, 401 is none of them. */
enum gal_status gal_registry_call(struct gal_registry *r, bool pushes, struct gal_fetch_request *q,
                                  struct gal_fetch_response *out, struct gal_err *err);
/* "BASE/v2/REPOSITORY/..." */
void gal_registry_url(const struct gal_registry *r, char url[GAL_REGISTRY_URL_SIZE],
                      const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The registry's own words (errors[0]) or the status's; returns the code. */
enum gal_status gal_registry_failed(const struct gal_registry *r, const struct gal_fetch_request *q,
                                    const struct gal_fetch_response *answer, struct gal_err *err);
/* What the user can do about a connection that failed. */
void gal_registry_hint(const struct gal_registry_shared *s, struct gal_err *err);
/* errors[0].code of an answer, as "NAME_UNKNOWN"; empty when it is none. */
void gal_registry_error_code(const struct gal_fetch_response *answer, char out[64]);

/* --- registry_auth.c --- */
struct gal_registry_pass {
    char header[GAL_URL_BYTES_MAX]; /* value of Authorization; empty: none is known to be needed */
    unsigned turn;
};
enum gal_status gal_registry_authorize(struct gal_registry *r, bool pushes,
                                       struct gal_registry_pass *out, struct gal_err *err);
/* An answer was 401: what it wants is learnt, the pass is worth nothing. */
void gal_registry_refused(struct gal_registry *r, const struct gal_fetch_response *answer,
                          const struct gal_registry_pass *pass);
/* Words for a registry that will not have us. */
enum gal_status gal_registry_denied(struct gal_registry *r, struct gal_err *err);

/* --- crew.c --- */
/* Runs `count` jobs, `parallel` at a time, each on a thread with a registry of its own. The first
 * that fails ends all; its error is the call's. */
struct gal_crew_job {
    enum gal_status (*run)(struct gal_registry *r, size_t index, void *ctx, struct gal_err *err);
    void *ctx;
    size_t count;
};
enum gal_status gal_registry_crew(struct gal_registry *r, const struct gal_crew_job *job,
                                  struct gal_err *err);

/* --- registry_tags.c --- */
/* "its tags: 1.0.0, 2.0.0", for who has mistyped one. NOT_FOUND: there is no such repository. */
enum gal_status gal_registry_hint_tags(struct gal_registry *r, struct gal_err *err);

/* --- registry.c --- */
bool gal_oci_is_index_type(struct gal_str media_type);
bool gal_oci_is_manifest_type(struct gal_str media_type); /* of either kind */

#endif
