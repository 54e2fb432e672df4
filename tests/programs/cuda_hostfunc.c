/*
 * cuda_hostfunc: no function of the API may be called from a host function: each answers
 * CUDA_ERROR_NOT_PERMITTED there, and at once, in each of the three kinds; other threads may call
 * meanwhile, and so may the program afterwards.
 */
/* links: obj/libcuda_common.a -lcuda -lzstd -llz4 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "cuda/procs.h"
#include "tests/programs/cuda_common.h"

typedef CUresult (*any)(long, long, long, long, long, long, long, long, long, long, long, long);

/* These do no work for CUDA, and may succeed. */
static bool allowed(const char *name)
{
    static const char *const names[] = {
        "cuInit",           "cuDriverGetVersion",  "cuGetErrorName",  "cuGetErrorString",
        "cuGetProcAddress", "cuGetProcAddress_v2", "cuGetExportTable"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static unsigned ran;

/* With arguments that are there: what is missing is said before anything else. */
static void call_all(void *kind)
{
    static char room[4096] = "x";
    const long a = (long)(uintptr_t)room;
    const char *name, *text;
    unsigned refused = 0, others = 0;
    int version;

    for (unsigned i = 0; (name = xg_cuda_proc_at(i)); i++) {
        any f = (any)dlsym(RTLD_DEFAULT, name);
        if (!f || allowed(name))
            continue;
        CUresult r = f(a, a, a, a, a, a, a, a, a, a, a, a);
        refused += r == CUDA_ERROR_NOT_PERMITTED;
        if (r == CUDA_ERROR_NOT_PERMITTED)
            continue;
        others++;
        fprintf(stderr, "%s: %s: %s\n", (const char *)kind, name, error_name(r));
    }
    MUST(refused > 400);
    MUST(others == 0);
    CHECK(cuGetErrorName(CUDA_ERROR_NOT_PERMITTED, &text));
    CHECK(cuDriverGetVersion(&version));
    ran++;
    printf("%s: refused\n", (const char *)kind);
}

static CUstream waited_for;
static CUresult waits[3];

/* Each of these would wait for ever: the stream goes on only after this function. */
static void wait_for_itself(void *unused)
{
    (void)unused;
    waits[0] = cuStreamSynchronize(waited_for);
    waits[1] = cuCtxSynchronize();
    waits[2] = cuStreamQuery(waited_for);
}

static void legacy(CUstream s, CUresult status, void *kind)
{
    (void)s;
    CHECK(status);
    call_all(kind);
}

/* What waits for no other stream. */
static void use_device(void)
{
    CUdeviceptr p;
    CUstream s;

    CHECK(cuMemAlloc(&p, 64)); /* not freed here: that may wait for the whole device */
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemsetD32Async(p, 7, 16, s));
    CHECK(cuStreamSynchronize(s));
}

static void *other_thread(void *ctx)
{
    CHECK(cuCtxSetCurrent(ctx));
    use_device();
    return NULL;
}

struct pause {
    sem_t begun, go_on;
};

static void pause_run(void *arg)
{
    struct pause *p = arg;

    sem_post(&p->begun);
    sem_wait(&p->go_on);
}

/* While the host function waits, everybody else may call. */
static void others_go_on(CUcontext ctx, CUstream s)
{
    struct pause p;
    pthread_t t;

    sem_init(&p.begun, 0, 0);
    sem_init(&p.go_on, 0, 0);
    CHECK(cuLaunchHostFunc(s, pause_run, &p));
    sem_wait(&p.begun);
    EXPECT(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    use_device();
    MUST(pthread_create(&t, NULL, other_thread, ctx) == 0);
    pthread_join(t, NULL);
    sem_post(&p.go_on);
    CHECK(cuStreamSynchronize(s));
    puts("other threads: not refused");
}

int main(void)
{
    CUcontext ctx = open_device();
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec exec;
    CUDA_HOST_NODE_PARAMS host = {.fn = call_all, .userData = "graph node"};
    CUdeviceptr p;
    uint32_t v = 0;
    CUstream s;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    waited_for = s;
    CHECK(cuLaunchHostFunc(s, wait_for_itself, NULL));
    CHECK(cuStreamSynchronize(s));
    for (unsigned i = 0; i < 3; i++)
        EXPECT(waits[i], CUDA_ERROR_NOT_PERMITTED);
    CHECK(cuLaunchHostFunc(s, call_all, "host function"));
    CHECK(cuStreamSynchronize(s));
    CHECK(cuStreamAddCallback(s, legacy, "stream callback", 0));
    CHECK(cuStreamSynchronize(s));
    CHECK(cuGraphCreate(&graph, 0));
    CHECK(cuGraphAddHostNode(&node, graph, NULL, 0, &host));
    CHECK(cuGraphInstantiate(&exec, graph, 0));
    CHECK(cuGraphLaunch(exec, s));
    CHECK(cuCtxSynchronize());
    MUST(ran == 3);
    others_go_on(ctx, s);

    CHECK(cuMemAlloc(&p, 4));
    CHECK(cuMemsetD32(p, 5, 1));
    CHECK(cuMemcpyDtoH(&v, p, 4));
    MUST(v == 5);
    CHECK(cuCtxDestroy(ctx));
    puts("ok");
    return 0;
}
