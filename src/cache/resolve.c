/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/resolve.h"

#include "base/mem.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

struct gal_resolve {
    char *host; /* owned */
    char address[GAL_ADDRESS_SIZE];
    _Atomic bool ended;
    _Atomic unsigned refs;
};

void gal_resolve_drop(struct gal_resolve *q)
{
    if (q == NULL || atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) > 1)
        return;
    gal_free(q->host);
    gal_free(q);
}

static void *run(void *arg)
{
    struct gal_resolve *q = arg;
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;

    if (getaddrinfo(q->host, NULL, &wanted, &found) == 0 && found != NULL &&
        getnameinfo(found->ai_addr, found->ai_addrlen, q->address, sizeof(q->address), NULL, 0,
                    NI_NUMERICHOST) != 0)
        q->address[0] = '\0';
    if (found != NULL)
        freeaddrinfo(found);
    atomic_store_explicit(&q->ended, true, memory_order_release);
    gal_resolve_drop(q);
    return NULL;
}

enum gal_status gal_resolve_start(const char *host, struct gal_resolve **out, struct gal_err *err)
{
    struct gal_resolve *q = gal_calloc(1, sizeof(*q));
    pthread_t thread;
    enum gal_status st;

    *out = NULL;
    if (q != NULL)
        q->host = gal_strdup(host);
    if (q == NULL || q->host == NULL) {
        gal_free(q);
        return gal_fail(err, GAL_NO_MEMORY, "no memory to resolve '%s'", host);
    }
    q->refs = 2;
    st = gal_thread_start(&thread, "galley-resolve", run, q, err);
    if (st != GAL_OK) {
        q->refs = 1;
        gal_resolve_drop(q);
        return st;
    }
    pthread_detach(thread);
    *out = q;
    return GAL_OK;
}

bool gal_resolve_ended(struct gal_resolve *q, char address[GAL_ADDRESS_SIZE])
{
    if (!atomic_load_explicit(&q->ended, memory_order_acquire))
        return false;
    memcpy(address, q->address, GAL_ADDRESS_SIZE);
    return true;
}

bool gal_resolve_is_numeric(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || strchr(host, ':') != NULL;
}
