/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing HTTP and HTTPS over libcurl, which is opened when the first fetcher is made
 * (libcurl.so.4): a galley that fetches nothing needs none. Blocking, with retries. The process
 * ignores SIGPIPE from there on.
 *
 * Proxies are the environment's (http_proxy, https_proxy, no_proxy), as are certificates
 * (CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR), unless the options name a file.
 *
 * Thread: one fetcher a thread; `stop` may be set by any. Memory: what a call hands out belongs to
 * its response until gal_fetch_response_release. */
#ifndef GAL_NET_FETCH_H
#define GAL_NET_FETCH_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"

#include <stdatomic.h>

struct gal_fetch_options {
    const char *user_agent;      /* NULL: galley/VERSION */
    const char *ca_file;         /* PEM; NULL: the environment's, then the system's */
    bool insecure;               /* certificates are not checked: only when the user asked */
    uint64_t connect_timeout_us; /* 0: 10 s */
    uint64_t stall_timeout_us;   /* less than 1 KiB/s for so long ends a try; 0: 30 s. Who has
                                    sent a whole body is given ten times that for the answer */
    unsigned tries; /* 0: 4; waits of 0.5 s, 1 s, 2 s (up to a quarter more) between them, or
                       Retry-After up to a minute. One that got on by 1 MiB does not count */
    const struct gal_clock *clock; /* NULL: the system's */
    const atomic_bool *stop;       /* true ends calls with CANCELLED soon; may be NULL */
    const atomic_bool *also_stop;  /* the same, for who has two reasons */
};

struct gal_fetcher; /* keeps connections between requests */
/* Copies the options' texts. UNAVAILABLE: no libcurl, with what to install. */
enum gal_status gal_fetcher_new(const struct gal_fetch_options *options, struct gal_fetcher **out,
                                struct gal_err *err);
void gal_fetcher_free(struct gal_fetcher *f); /* NULL is fine */

struct gal_fetch_header {
    const char *name, *value;
};

struct gal_fetch_request {
    const char *method; /* NULL: GET */
    const char *url;    /* http or https */
    const struct gal_fetch_header *headers;
    size_t header_count;
    struct gal_str body; /* sent when p is not NULL */
    int body_fd;         /* else sent when body_from_fd: [body_offset, body_offset + body_bytes) */
    bool body_from_fd;
    uint64_t body_offset, body_bytes;
    uint64_t range_first, range_bytes; /* bytes of the resource; range_bytes 0: up to its end */
    bool immutable;              /* a URL whose content never changes (the caller holds it against a
                                    digest): goes on after a cut although no validator was named */
    const char *user, *password; /* basic auth, or the key pair of sigv4; NULL: none */
    const char *sigv4;           /* "aws:amz:REGION:s3": signs so; NULL: does not */
    /* Else up to 5. Another origin (scheme, host, port) sees none of user, password and headers
     * but Accept..., Content-..., If-... and Range; from https to http nothing goes. */
    bool no_redirects;
    bool no_retry;   /* one try: what is not to be repeated */
    size_t body_max; /* of the answer in memory; TOO_LARGE beyond. 0: 1 MiB */
    /* The answer's body of a 2xx goes here in pieces and not into memory. `offset` is the place of
     * the piece in the resource; after a cut connection the next try goes on behind the last piece
     * (by Range, with If-Range; an answer that is not 206 begins at 0 again). A status other than
     * OK ends the request and is returned; err is then on_piece's to fill, through ctx. NULL: into
     * memory. */
    enum gal_status (*on_piece)(uint64_t offset, struct gal_str piece, void *ctx);
    /* Bytes of the body sent or received so far and in all (0: unknown), a few times a second and
     * at the end. Falls back when a try begins anew. May be NULL. */
    void (*on_progress)(uint64_t done, uint64_t total, void *ctx);
    void *ctx;
};

struct gal_fetch_response {
    int status;          /* HTTP's */
    struct gal_buf head; /* lines of the final answer's head, each "name: value\n" */
    struct gal_buf body; /* when there was no on_piece, or the status is not 2xx (cut to 64 KiB) */
    char url[GAL_URL_BYTES_MAX]; /* after redirects */
    uint64_t bytes;              /* of the body that arrived, all tries together */
    unsigned tries;              /* that it took */
};

/* OK: an answer came, whatever its status; connection failures, 429, 500, 502, 503, 504 are
 * retried first. UNAVAILABLE: none came (the message says to whom and why); DEADLINE, CANCELLED,
 * TOO_LARGE, INVALID (a URL or header that is none, an answer of another range). out is initialised
 * in any case, to be released. */
enum gal_status gal_fetch(struct gal_fetcher *f, const struct gal_fetch_request *request,
                          struct gal_fetch_response *out, struct gal_err *err);
void gal_fetch_response_release(struct gal_fetch_response *r);
/* Value of a header by name (any case), empty when absent; the first of several. Borrowed. */
struct gal_str gal_fetch_header(const struct gal_fetch_response *r, const char *name);
/* The next one of that name behind `after`, which is what the last call returned. */
struct gal_str gal_fetch_header_next(const struct gal_fetch_response *r, const char *name,
                                     struct gal_str after);
/* Makes an error of an answer that is not wanted: "GET https://host/path: 403 Forbidden: words of
 * the body"; the code is by its status (NOT_FOUND, UNAUTHENTICATED, FORBIDDEN, ...). */
enum gal_status gal_fetch_failed(const struct gal_fetch_request *request,
                                 const struct gal_fetch_response *r, struct gal_err *err);
/* The code that gal_fetch_failed gives. */
enum gal_status gal_fetch_status(int http_status);
/* A URL as it may be shown: without user, password, query (signatures) and fragment, cut at `size`;
 * returns out. */
char *gal_fetch_shown(const char *url, char *out, size_t size);
/* The URL that `location`, which may be relative, names in an answer from `base`. INVALID: none, or
 * one that does not fit. */
enum gal_status gal_fetch_resolve(const struct gal_fetcher *f, const char *base,
                                  const char *location, char *out, size_t size,
                                  struct gal_err *err);
/* Scheme, host and port. False also when one of them is no URL of http or https. */
bool gal_fetch_same_origin(const struct gal_fetcher *f, const char *a, const char *b);

#endif
