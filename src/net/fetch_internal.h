/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of net/fetch share: libcurl's functions by pointer, and a request under way. */
#ifndef GAL_NET_FETCH_INTERNAL_H
#define GAL_NET_FETCH_INTERNAL_H

#include "net/fetch.h"

#include <curl/curl.h>

/* Each becomes a member of struct gal_curl, typed by the header's declaration. */
#define GAL_CURL_FUNCTIONS(X)                                                                      \
    X(easy_cleanup)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_init)                                                                                   \
    X(easy_reset)                                                                                  \
    X(easy_setopt)                                                                                 \
    X(easy_strerror)                                                                               \
    X(free)                                                                                        \
    X(global_init)                                                                                 \
    X(multi_add_handle)                                                                            \
    X(multi_cleanup)                                                                               \
    X(multi_info_read)                                                                             \
    X(multi_init)                                                                                  \
    X(multi_perform)                                                                               \
    X(multi_poll)                                                                                  \
    X(multi_remove_handle)                                                                         \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(url)                                                                                         \
    X(url_cleanup)                                                                                 \
    X(url_get)                                                                                     \
    X(url_set)                                                                                     \
    X(version_info)

struct gal_curl {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declaration
#define GAL_CURL_MEMBER(name) __typeof__(curl_##name) *name;
    GAL_CURL_FUNCTIONS(GAL_CURL_MEMBER)
#undef GAL_CURL_MEMBER
};

/* Opens the library once a process and never closes it. Any thread. */
enum gal_status gal_curl_open(const struct gal_curl **out, struct gal_err *err);

#define GAL_ORIGIN_SIZE 320 /* "https://" host ":65535" */

struct gal_fetcher {
    const struct gal_curl *curl;
    CURL *easy;
    CURLM *multi;
    struct gal_fetch_options options; /* texts owned, defaults filled in */
    char *ca_dir;                     /* of the environment; NULL */
    uint64_t jitter;                  /* of the waits */
    char error[CURL_ERROR_SIZE];      /* of the last try */
};

/* A request under way. The first part holds for all its tries, the second for one hop of one try:
 * gal_fetch_hop sets it. */
struct gal_fetch_run {
    struct gal_fetcher *f;
    const struct gal_fetch_request *q;
    struct gal_fetch_response *out;
    const char *first_method;
    char first_origin[GAL_ORIGIN_SIZE];
    uint64_t body_total; /* bytes to send */
    uint64_t next;       /* place in the resource behind the last piece that was handed on */
    uint64_t size;       /* of the resource; 0: not known */
    uint64_t total;      /* of the body that is received; 0: not known */
    char validator[256]; /* strong, of what arrived so far; empty: none */

    const char *method;
    char origin[GAL_ORIGIN_SIZE]; /* of out->url */
    bool has_body, same_origin;   /* same: all hops so far went to the first one */
    bool begun;                   /* a byte of the answer's body is there */
    bool cut;                     /* of an answer that is not 2xx enough has come */
    uint64_t sent, moved;         /* bytes of this hop: of the body, and both ways */
    uint64_t mark_us, mark_moved; /* where the watch over stalls began */
    uint64_t shown_us;            /* progress was last told */
    enum gal_status failed;       /* a callback ended it: this is why, and err is filled */
    bool piece_failed;            /* it was on_piece: err is not ours */
    CURLcode code;                /* libcurl's verdict of the hop */
    struct gal_err *err;
};

/* --- fetch_url.c --- */
/* INVALID: no http or https URL. */
enum gal_status gal_fetch_origin(const struct gal_curl *curl, const char *url,
                                 char out[GAL_ORIGIN_SIZE], struct gal_err *err);
/* May a header of the request go to another origin? */
bool gal_fetch_header_travels(const char *name);
/* No line breaks: nothing can be smuggled in. */
enum gal_status gal_fetch_check_headers(const struct gal_fetch_request *q, struct gal_err *err);

/* --- fetch_hop.c --- */
/* One exchange with out->url: sends, receives, watches. OK: an answer is there; else r->code or
 * r->failed says why not, and err is filled. */
enum gal_status gal_fetch_hop(struct gal_fetch_run *r);
/* Whether the caller wants it to stop. */
bool gal_fetch_stopped(const struct gal_fetcher *f);
void gal_fetch_tell(struct gal_fetch_run *r); /* progress, now */

/* --- fetch_body.c: libcurl's callbacks --- */
size_t gal_fetch_on_head(char *p, size_t one, size_t n, void *ctx);
size_t gal_fetch_on_body(char *p, size_t one, size_t n, void *ctx);
size_t gal_fetch_on_read(char *p, size_t one, size_t n, void *ctx);
int gal_fetch_on_seek(void *ctx, curl_off_t offset, int origin);

/* --- fetch_error.c --- */
/* The error of a hop that had no answer: "GET https://host/path: Could not resolve host: host". */
enum gal_status gal_fetch_no_answer(struct gal_fetch_run *r);
/* "first-last/size" or "*" in the place of the first or the size; false when it is none. */
bool gal_content_range_parse(struct gal_str text, uint64_t *first, uint64_t *size);

#endif
