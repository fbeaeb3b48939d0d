/* SPDX-License-Identifier: Apache-2.0 */
/* Finds ONNX Runtime's shared library, opens it once, and makes the one environment. */
#include "backend/onnx_internal.h"

#include "base/file.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The path that tools/setup left the library at; the build defines it. */
#ifndef GALLEY_ORT_DEFAULT
#define GALLEY_ORT_DEFAULT ""
#endif

#define LIBRARY "libonnxruntime.so.1"
#define INSTALL_HINT                                                                               \
    "install ONNX Runtime 1.15 or later beside galley, or name its library: --onnxruntime FILE"

/* One a process by ONNX Runtime's own rule: a second OrtEnv is the first one again. */
static struct {
    pthread_mutex_t lock;
    bool ready;
    char path[PATH_MAX]; /* of the library that was opened */
    struct gal_ort ort;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Warnings reach nobody: what matters comes back as a status. */
static void ORT_API_CALL drop_log(void *param, OrtLoggingLevel severity, const char *category,
                                  const char *logid, const char *code_location, const char *message)
{
    (void)param, (void)severity, (void)category, (void)logid, (void)code_location, (void)message;
}

/* "1.29.0" -> 29; later majors count as newer than every minor. */
static long api_of_version(const char *version)
{
    char *end = NULL;
    long major = strtol(version, &end, 10);
    if (major > 1)
        return LONG_MAX;
    return major == 1 && *end == '.' ? strtol(end + 1, NULL, 10) : 0;
}

static enum gal_status make_env(struct gal_ort *ort, struct gal_err *err)
{
    const OrtApi *api = ort->api;
    enum gal_status status;
    status = gal_ort_check(ort,
                           api->CreateEnvWithCustomLogger(drop_log, NULL, ORT_LOGGING_LEVEL_FATAL,
                                                          "galley", &ort->env),
                           GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->DisableTelemetryEvents(ort->env), GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(
            ort, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &ort->cpu),
            GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->GetAllocatorWithDefaultOptions(&ort->allocator),
                               GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->CreateRunOptions(&ort->run_options), GAL_ORT_LOAD, err);
    if (!status)
        status = gal_ort_check(ort, api->CreateRunOptions(&ort->trim_options), GAL_ORT_LOAD, err);
    if (!status)
        status =
            gal_ort_check(ort,
                          api->AddRunConfigEntry(ort->trim_options,
                                                 "memory.enable_memory_arena_shrinkage", "cpu:0"),
                          GAL_ORT_LOAD, err);
    return status;
}

/* Takes an opened library into use; closes it when it will not do. */
static enum gal_status adopt(void *library, const char *path, struct gal_err *err)
{
    /* A data pointer becomes a function pointer: what dlsym is for, and what C has no cast for. */
    const OrtApiBase *(ORT_API_CALL * get_base)(void) = NULL;
    void *symbol = dlsym(library, "OrtGetApiBase");
    memcpy(&get_base, &symbol, sizeof get_base);
    const OrtApiBase *base = get_base ? get_base() : NULL;
    if (!base) {
        dlclose(library);
        return gal_fail(err, GAL_UNAVAILABLE, "%s is not ONNX Runtime: no OrtGetApiBase in it",
                        path);
    }
    struct gal_ort ort = {.version = base->GetVersionString()};
    long have = api_of_version(ort.version);
    /* Asking for an API that is not there makes the engine write to stderr: look first. */
    ort.api = have >= GAL_ORT_API_MIN ? base->GetApi(GAL_ORT_API_MIN) : NULL;
    ort.recent = have >= GAL_ORT_API_RECENT ? base->GetApi(GAL_ORT_API_RECENT) : NULL;
    enum gal_status status;
    if (!ort.api) {
        status =
            gal_fail(err, GAL_UNAVAILABLE,
                     "%s is ONNX Runtime %s, galley needs 1.%d or later (its C API version %d)",
                     path, ort.version, GAL_ORT_API_MIN, GAL_ORT_API_MIN);
        gal_err_hint(err, INSTALL_HINT);
        dlclose(library);
        return status;
    }
    status = make_env(&ort, err);
    if (status)
        return status; /* half an environment may be left: the library stays */
    snprintf(engine.path, sizeof engine.path, "%s", path);
    engine.ort = ort;
    engine.ready = true;
    return GAL_OK;
}

/* Official builds from 1.29 on report models and their use to Microsoft, by a thread of their own,
 * unless this is set before they start. A model server talks to nobody unasked. */
static void silence_telemetry(void)
{
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    setenv("ORT_TELEMETRY_DISABLED", "1", 1); /* its first name */
}

static enum gal_status open_library(const char *path, struct gal_err *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return adopt(library, path, err);
    const char *why = dlerror();
    gal_fail(err, GAL_UNAVAILABLE, "ONNX Runtime cannot be loaded: %s", why ? why : path);
    gal_err_hint(err, INSTALL_HINT);
    return GAL_UNAVAILABLE;
}

/* "/opt/galley/bin/" of the running program; empty when /proc is not there. */
static void executable_dir(char *out, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        slash[1] = '\0';
}

static bool is_file(const char *path)
{
    struct gal_file_info info;
    return path[0] != '\0' && !gal_file_stat(path, &info, NULL) && info.kind == GAL_FILE_REGULAR;
}

/* A file that is there is taken or is the error; only one that is missing lets the search go on. */
static enum gal_status search(struct gal_err *err)
{
    char dir[PATH_MAX], beside[PATH_MAX + 32], in_lib[PATH_MAX + 32];
    executable_dir(dir, sizeof dir);
    snprintf(beside, sizeof beside, "%s" LIBRARY, dir);
    snprintf(in_lib, sizeof in_lib, "%s../lib/" LIBRARY, dir);
    const char *const files[] = {beside, in_lib, GALLEY_ORT_DEFAULT};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (is_file(files[i]))
            return open_library(files[i], err);
    }
    static const char *const names[] = {LIBRARY, "libonnxruntime.so"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library)
            return adopt(library, names[i], err);
    }
    gal_fail(err, GAL_UNAVAILABLE,
             "ONNX Runtime was not found: no %s in %.100s, in its ../lib, or in the system's "
             "library folders",
             LIBRARY, dir);
    gal_err_hint(err, INSTALL_HINT);
    return GAL_UNAVAILABLE;
}

enum gal_status gal_ort_get(const char *library, const struct gal_ort **out, struct gal_err *err)
{
    if (library && library[0] == '\0')
        library = NULL;
    pthread_mutex_lock(&engine.lock);
    enum gal_status status = GAL_OK;
    if (!engine.ready)
        silence_telemetry();
    if (!engine.ready)
        status = library ? open_library(library, err) : search(err);
    else if (library && strcmp(library, engine.path) != 0)
        status = gal_fail(err, GAL_CONFLICT, "ONNX Runtime is already loaded from %s", engine.path);
    pthread_mutex_unlock(&engine.lock);
    *out = status ? NULL : &engine.ort;
    return status;
}
