/* SPDX-License-Identifier: Apache-2.0 */
/* Who a registry is told that we are, from the files that docker, podman and their kin write, in
 * this order:
 *   $REGISTRY_AUTH_FILE, which stands for all others;
 *   $DOCKER_CONFIG/config.json, or $HOME/.docker/config.json;
 *   $XDG_RUNTIME_DIR/containers/auth.json;
 *   $XDG_CONFIG_HOME/containers/auth.json, or $HOME/.config/containers/auth.json.
 * In each, credHelpers and credsStore are asked before auths: docker-credential-NAME of $PATH, for
 * at most 30 seconds. A file that is there and cannot be read is an error, not a file less.
 *
 * Passwords are in memory for as long as the arena. Any thread. */
#ifndef GAL_OCI_CREDENTIALS_H
#define GAL_OCI_CREDENTIALS_H

#include "base/arena.h"
#include "base/clock.h"

struct gal_credential {
    const char *user, *password; /* NULL: none */
    const char *identity_token;  /* OAuth2 refresh token; NULL: none */
    const char *registry_token;  /* sent as it is; NULL: none */
    const char *origin;          /* the file or helper that told it; NULL: nobody did */
};

struct gal_credential_places {
    char *const *env;              /* may be NULL: nothing is found */
    const struct gal_clock *clock; /* NULL: the system's */
};

/* For a host as of gal_reference; of several entries of a file the one that names most of
 * host/repository counts (repository may be NULL). OK with origin NULL when there is none. */
enum gal_status gal_credentials_find(const struct gal_credential_places *places, const char *host,
                                     const char *repository, struct gal_arena *arena,
                                     struct gal_credential *out, struct gal_err *err);
/* Looks into the text of such a file, without asking helpers: *helper is the name of one that is to
 * be asked first ("" for none). INVALID: it is no such file. Pure. */
enum gal_status gal_credentials_read(struct gal_str text, const char *host, const char *repository,
                                     struct gal_arena *arena, struct gal_credential *out,
                                     const char **helper, struct gal_err *err);

/* Keeps user and password for host, as docker login does: in the helper that Docker's file names,
 * else in the file itself (mode 0600, replaced as a whole, what else it holds stays). *path: the
 * file, in the arena. */
enum gal_status gal_credentials_store(const struct gal_credential_places *places, const char *host,
                                      const char *user, const char *password,
                                      struct gal_arena *arena, const char **path,
                                      const char **helper, struct gal_err *err);
/* Forgets host. *found: there was something. */
enum gal_status gal_credentials_erase(const struct gal_credential_places *places, const char *host,
                                      struct gal_arena *arena, const char **path, bool *found,
                                      struct gal_err *err);

/* --- credentials_helper.c --- */
/* Runs docker-credential-NAME VERB with `in` on its standard input; what it writes to its output,
 * at most 64 KiB, goes to out (the arena's). *ok: it exited with 0. INVALID for a name that is
 * none, NOT_FOUND: no such program, DEADLINE: it took longer than 30 seconds and was ended. */
enum gal_status gal_credential_helper(const struct gal_credential_places *places, const char *name,
                                      const char *verb, struct gal_str in, struct gal_arena *arena,
                                      struct gal_str *out, bool *ok, struct gal_err *err);
/* The file that login writes; NULL when the environment names none. */
const char *gal_credentials_path(const struct gal_credential_places *places,
                                 struct gal_arena *arena);
/* Value of a variable of the environment; NULL when it is not set or empty. */
const char *gal_credentials_env(char *const *env, const char *name);
/* Puts the file in front of an error's place. */
void gal_credentials_place(const char *path, struct gal_err *err);
/* What helpers and Docker's file call a host. */
const char *gal_credentials_server(const char *host);

#endif
