/* SPDX-License-Identifier: Apache-2.0 */
/* The floor under every server: one thread that calls ONNX Runtime's C API in a loop, no network,
 * no text. For models of one input "input" [ROWS, COLUMNS] and one output "output".
 *
 * usage: bare LIBRARY MODEL COLUMNS ROWS THREADS SECONDS
 *
 * THREADS are inside one inference. Prints runs per second, and a run's median in microseconds. */
#include <onnxruntime_c_api.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS_MAX 4000000 /* timed; a longer loop starts over */

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

static OrtSession *open_session(const char *model, int threads)
{
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;

    must(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bare", &env));
    must(api->CreateSessionOptions(&options));
    must(api->SetIntraOpNumThreads(options, threads));
    must(api->SetInterOpNumThreads(options, 1));
    must(api->CreateSession(env, model, options, &session));
    return session;
}

struct input {
    OrtMemoryInfo *memory;
    int64_t shape[2];
    float *data;
};

/* Values that no engine can skip: none is zero, none is denormal. */
static struct input make_input(int64_t rows, int64_t columns)
{
    struct input in = {.shape = {rows, columns}};
    size_t count = (size_t)(rows * columns);
    unsigned random = 7;

    must(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &in.memory));
    in.data = calloc(count, sizeof(float));
    if (in.data == NULL)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        random = random * 1664525u + 1013904223u;
        in.data[i] = (float)(random >> 8) / 8388608.0f - 0.99f;
    }
    return in;
}

static void run_once(OrtSession *session, const struct input *in)
{
    static const char *const from[] = {"input"};
    static const char *const to[] = {"output"};
    size_t bytes = (size_t)(in->shape[0] * in->shape[1]) * sizeof(float);
    OrtValue *x = NULL, *y = NULL;

    must(api->CreateTensorWithDataAsOrtValue(in->memory, in->data, bytes, in->shape, 2,
                                             ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
    must(api->Run(session, NULL, from, (const OrtValue *const *)&x, 1, to, 1, &y));
    api->ReleaseValue(x);
    api->ReleaseValue(y);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void measure(OrtSession *session, const struct input *in, double seconds)
{
    float *us = calloc(RUNS_MAX, sizeof(float));
    size_t runs = 0;
    double start, last, next;

    if (us == NULL)
        exit(1);
    for (int i = 0; i < 20; i++)
        run_once(session, in);
    start = last = now();
    while (last - start < seconds) {
        run_once(session, in);
        next = now();
        us[runs++ % RUNS_MAX] = (float)((next - last) * 1e6);
        last = next;
    }
    size_t timed = runs < RUNS_MAX ? runs : RUNS_MAX;
    qsort(us, timed, sizeof(float), compare);
    printf("%.1f %.2f\n", (double)runs / (last - start), (double)us[timed / 2]);
    free(us);
}

int main(int argc, char **argv)
{
    const OrtApiBase *(*base)(void);
    struct input in;
    void *library;

    if (argc != 7 || (library = dlopen(argv[1], RTLD_NOW)) == NULL) {
        fprintf(stderr, "usage: bare LIBRARY MODEL COLUMNS ROWS THREADS SECONDS\n");
        return 2;
    }
    *(void **)&base = dlsym(library, "OrtGetApiBase");
    if (base == NULL || (api = base()->GetApi(11)) == NULL)
        return 1;
    OrtSession *session = open_session(argv[2], (int)strtol(argv[5], NULL, 10));
    in = make_input(strtol(argv[4], NULL, 10), strtol(argv[3], NULL, 10));
    measure(session, &in, strtod(argv[6], NULL));
    free(in.data);
    return 0;
}
