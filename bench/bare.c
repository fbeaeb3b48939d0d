/* SPDX-License-Identifier: Apache-2.0 */
/* The floor under every server: one thread that calls ONNX Runtime's C API in a loop, no network,
 * no text. usage: bare LIBRARY MODEL ROWS SECONDS; prints runs per second. */
#include <onnxruntime_c_api.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COLUMNS 30

static const OrtApi *api;

static void must(OrtStatus *status)
{
    if (status == NULL)
        return;
    fprintf(stderr, "bare: %s\n", api->GetErrorMessage(status));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static OrtSession *open_session(const char *model)
{
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;

    must(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bare", &env));
    must(api->CreateSessionOptions(&options));
    must(api->SetIntraOpNumThreads(options, 1));
    must(api->SetInterOpNumThreads(options, 1));
    must(api->CreateSession(env, model, options, &session));
    return session;
}

static void run_once(OrtSession *session, OrtMemoryInfo *memory, float *data, int64_t rows)
{
    static const char *const in[] = {"input"};
    static const char *const out[] = {"output"};
    int64_t shape[2] = {rows, COLUMNS};
    OrtValue *x = NULL, *y = NULL;

    must(api->CreateTensorWithDataAsOrtValue(memory, data, (size_t)(rows * COLUMNS) * sizeof(float),
                                             shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
    must(api->Run(session, NULL, in, (const OrtValue *const *)&x, 1, out, 1, &y));
    api->ReleaseValue(x);
    api->ReleaseValue(y);
}

int main(int argc, char **argv)
{
    const OrtApiBase *(*base)(void);
    OrtSession *session;
    OrtMemoryInfo *memory;
    void *library;
    long runs = 0;
    double start, seconds;

    if (argc != 5 || (library = dlopen(argv[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "usage: bare LIBRARY MODEL ROWS SECONDS\n");
        return 2;
    }
    *(void **)&base = dlsym(library, "OrtGetApiBase");
    if (base == NULL || (api = base()->GetApi(11)) == NULL)
        return 1;
    session = open_session(argv[2]);
    must(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    int64_t rows = strtol(argv[3], NULL, 10);
    float *data = calloc((size_t)(rows * COLUMNS), sizeof(float));
    if (data == NULL)
        return 1;
    seconds = strtod(argv[4], NULL);
    start = now();
    while (runs % 256 != 0 || now() - start < seconds) {
        run_once(session, memory, data, rows);
        runs++;
    }
    printf("%.0f\n", (double)runs / (now() - start));
    free(data);
    return 0;
}
