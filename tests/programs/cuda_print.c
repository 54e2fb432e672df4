/*
 * cuda_print: what kernels print comes out at each kind of synchronisation, on this program's own
 * standard output, at its place among what the program prints itself.
 *
 *   cuda_print                every kind of synchronisation
 *   cuda_print others         what else brings text out, and no synchronisation
 *   cuda_print reset          the only synchronisation is the reset of the primary context
 *   cuda_print lost           no synchronisation: what a kernel printed is not seen
 *   cuda_print assert         a failed assert, whose text goes to standard error
 *   cuda_print many N         N lines in one kernel
 *   cuda_print threads N      four threads, each N times: a launch in a stream of its own, a
 *                             synchronisation
 */
/* links: -lcuda -lpthread */
#include "tests/programs/cuda_common.h"
#include <pthread.h>

static CUcontext ctx;
static CUmodule module;
static CUfunction say, claim;

static void say_in(CUstream s, int mark, int lines)
{
    void *params[] = {&mark, &lines};

    CHECK(cuLaunchKernel(say, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
}

static void load(void)
{
    CHECK(cuModuleLoad(&module, kernel_path("print.ptx")));
    CHECK(cuModuleGetFunction(&say, module, "say"));
    CHECK(cuModuleGetFunction(&claim, module, "claim"));
}

static void every_kind(void)
{
    CUstream s;
    CUevent e;
    CUdeviceptr p;
    int v = 0;
    void *pinned;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
    CHECK(cuMemAlloc(&p, sizeof(v)));
    CHECK(cuMemAllocHost(&pinned, 4096));
    for (int turn = 0; turn < 2; turn++) { /* the second time with two streams at work */
        printf("context:\n");
        say_in(turn ? s : NULL, 1, 2);
        say_in(NULL, 2, 1 - turn);
        CHECK(cuCtxSynchronize());
        printf("stream:\n");
        say_in(s, 3, 2);
        CHECK(cuStreamSynchronize(s));
        printf("null stream:\n");
        say_in(NULL, 4, 2);
        CHECK(cuStreamSynchronize(NULL));
        printf("event:\n");
        say_in(s, 5, 2);
        CHECK(cuEventRecord(e, s));
        CHECK(cuEventSynchronize(e));
        printf("event that was asked before:\n");
        say_in(s, 6, 2);
        CHECK(cuEventRecord(e, s));
        while (cuEventQuery(e) == CUDA_ERROR_NOT_READY)
            usleep(100);
        printf("(not yet)\n");
        CHECK(cuEventSynchronize(e));
        printf("copy to pageable memory:\n");
        say_in(NULL, 7, 2);
        CHECK(cuMemcpyDtoH(&v, p, sizeof(v)));
        printf("copy to pinned memory:\n");
        say_in(NULL, 8, 2);
        CHECK(cuMemcpyDtoH(pinned, p, sizeof(v)));
        printf("nothing in between:\n");
        CHECK(cuCtxSynchronize());
    }
    CHECK(cuMemFreeHost(pinned));
    printf("end of the context:\n");
    say_in(s, 9, 3);
    CHECK(cuCtxDestroy(ctx));
    printf("done\n");
}

/* Waits without a call that brings text out. */
static void until_over(CUstream s)
{
    while (cuStreamQuery(s) == CUDA_ERROR_NOT_READY)
        usleep(100);
    usleep(5000);
}

static void told(void *text)
{
    fputs(text, stdout);
}

static void others(void)
{
    static char data[3 << 20];
    CUstream s;
    CUmodule other;
    CUdeviceptr p;

    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuMemAlloc(&p, sizeof(data)));
    say_in(NULL, 1, 2);
    CHECK(cuMemcpyHtoD(p, data, 4));
    printf("a small copy to the device\n");
    say_in(NULL, 2, 2);
    CHECK(cuMemcpyHtoD(p, data, sizeof(data)));
    printf("a large one\n");
    say_in(NULL, 3, 2);
    CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = data,
                         .srcPitch = 64,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = p,
                         .dstPitch = 64,
                         .WidthInBytes = 32,
                         .Height = 8};
    CHECK(cuMemcpy2D(&box));
    printf("a box\n");
    say_in(s, 4, 2);
    until_over(s);
    say_in(s, 5, 0);
    if (on_softcuda()) /* CUDA's guide says so; the H100's driver (580) keeps the text, and a launch
                          in a guest brings it out all the same */
        printf("a launch\n");
    say_in(s, 6, 2);
    until_over(s);
    CHECK(cuModuleLoad(&other, kernel_path("vectoradd.ptx")));
    printf("a module that comes\n");
    say_in(s, 7, 2);
    until_over(s);
    CHECK(cuModuleUnload(other));
    printf("a module that goes\n");
    say_in(s, 8, 2);
    CHECK(cuLaunchHostFunc(s, told, "a host function\n"));
    until_over(s);
    say_in(NULL, 9, 2);
    CHECK(cuMemcpyHtoD(p, data, 4)); /* the last call of all */
}

static void asserts(void)
{
    int right = 1;
    void *params[] = {&right};

    CHECK(cuLaunchKernel(claim, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CHECK(cuCtxSynchronize());
    say_in(NULL, 1, 1);
    right = 0;
    CHECK(cuLaunchKernel(claim, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    usleep(50000);
    EXPECT(cuCtxSynchronize(), CUDA_ERROR_ASSERT);
    printf("failed as it should\n");
}

static void *thread_main(void *arg)
{
    int mark = 0, n;
    CUstream s;

    sscanf(arg, "%d %d", &mark, &n);
    CHECK(cuCtxSetCurrent(ctx));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < n; i++) {
        say_in(s, mark, 1);
        CHECK(cuStreamSynchronize(s));
        /* Whoever wrote it: it is out before this. */
        printf("thread %d: %d is out\n", mark, i);
    }
    return NULL;
}

static void threads(const char *n)
{
    pthread_t t[4];
    char arg[4][32];

    for (int i = 0; i < 4; i++) {
        snprintf(arg[i], sizeof(arg[i]), "%d %s", i + 1, n);
        MUST(!pthread_create(&t[i], NULL, thread_main, arg[i]));
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (!strcmp(what, "reset")) {
        CHECK(cuInit(0));
        CHECK(cuDevicePrimaryCtxRetain(&ctx, 0));
        CHECK(cuCtxSetCurrent(ctx));
        load();
        say_in(NULL, 1, 3);
        CHECK(cuDevicePrimaryCtxReset(0));
        printf("reset\n");
        return 0;
    }
    ctx = open_device();
    load();
    if (!strcmp(what, "others")) {
        others();
    } else if (!strcmp(what, "lost")) {
        printf("before\n");
        say_in(NULL, 1, 1);
        usleep(50000);
        printf("after\n");
    } else if (!strcmp(what, "assert")) {
        asserts();
    } else if (argc > 2 && !strcmp(what, "many")) {
        say_in(NULL, 1, atoi(argv[2]));
        CHECK(cuCtxSynchronize());
        printf("end\n");
    } else if (argc > 2 && !strcmp(what, "threads")) {
        threads(argv[2]);
    } else {
        every_kind();
    }
    return 0;
}
