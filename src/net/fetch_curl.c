/* SPDX-License-Identifier: Apache-2.0 */
/* Opens libcurl and takes its functions by name. */
#include "net/fetch_internal.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

#define LIBRARY "libcurl.so.4"
#define VERSION_MIN 0x074b00 /* 7.75: signs for S3 */

static struct {
    pthread_mutex_t lock;
    bool ready;
    struct gal_curl curl;
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    const char *name;
    size_t place;
} functions[] = {
#define ROW(name) {"curl_" #name, offsetof(struct gal_curl, name)},
    GAL_CURL_FUNCTIONS(ROW)
#undef ROW
};

static enum gal_status take_functions(void *handle, struct gal_curl *curl, struct gal_err *err)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = dlsym(handle, functions[i].name);
        if (!symbol)
            return gal_fail(err, GAL_UNAVAILABLE, LIBRARY " is not libcurl: no %s in it",
                            functions[i].name);
        /* A data pointer becomes a function pointer: what dlsym is for, and what C has no cast for.
         */
        memcpy((char *)curl + functions[i].place, &symbol, sizeof symbol);
    }
    return GAL_OK;
}

static enum gal_status start(const struct gal_curl *curl, struct gal_err *err)
{
    const curl_version_info_data *info = curl->version_info(CURLVERSION_NOW);
    if (info->version_num < VERSION_MIN)
        return gal_fail(err, GAL_UNAVAILABLE, LIBRARY " is libcurl %s, galley needs 7.75 or later",
                        info->version);
    if (!(info->features & CURL_VERSION_SSL))
        return gal_fail(err, GAL_UNAVAILABLE, LIBRARY " was built without TLS");
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    if (curl->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return gal_fail(err, GAL_UNAVAILABLE, "libcurl does not start");
    return GAL_OK;
}

static enum gal_status open_once(struct gal_err *err)
{
    enum gal_status status;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (handle) {
        status = take_functions(handle, &library.curl, err);
        if (!status)
            status = start(&library.curl, err);
        if (status)
            dlclose(handle);
    } else {
        const char *why = dlerror();
        status = gal_fail(err, GAL_UNAVAILABLE, "what is fetched needs libcurl: %s",
                          why ? why : LIBRARY);
    }
    if (status)
        gal_err_hint(err, "install it (Debian, Ubuntu: apt-get install libcurl4)");
    return status;
}

enum gal_status gal_curl_open(const struct gal_curl **out, struct gal_err *err)
{
    enum gal_status status = GAL_OK;
    pthread_mutex_lock(&library.lock);
    if (!library.ready)
        status = open_once(err);
    library.ready = status == GAL_OK;
    pthread_mutex_unlock(&library.lock);
    *out = status == GAL_OK ? &library.curl : NULL;
    return status;
}
