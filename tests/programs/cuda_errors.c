/*
 * cuda_errors: a kernel that strays is stopped and its context refuses everything afterwards;
 * another context, and a new one, work; wrong arguments are refused and harm nothing. With the
 * argument "timeout" also a kernel that never ends (the caller sets the limit).
 */
/* links: -lcuda */
#include <sys/wait.h>

#include "tests/programs/cuda_common.h"

static void in_bounds(void)
{
    CUfunction f = load_function("oob.ptx", "oob");
    int data[16] = {0};
    CUdeviceptr p = upload(data, sizeof(data));
    long at = 15;
    void *params[] = {&p, &at};

    CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
    CHECK(cuMemcpyDtoH(data, p, sizeof(data)));
    MUST(data[15] == 42);
    CHECK(cuMemFree(p));
}

static void stray(const char *kernel, long at)
{
    CUcontext ctx;
    CUdevice device;
    CUstream s;
    CUdeviceptr q;
    CUresult fault;
    size_t a, b;

    CHECK(cuCtxGetDevice(&device));
    CHECK(cuCtxCreate_v2(&ctx, 0, device));
    CUfunction f = load_function("oob.ptx", kernel);
    CUdeviceptr p = upload(NULL, 64);
    void *params[] = {&p, &at};
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
    fault = cuStreamSynchronize(s);
    /* A driver's shared and local memory lie somewhere in the address space. */
    if (on_softcuda() || fault != CUDA_ERROR_INVALID_ADDRESS_SPACE)
        EXPECT(fault, CUDA_ERROR_ILLEGAL_ADDRESS);
    EXPECT(cuCtxSynchronize(), fault);
    EXPECT(cuMemAlloc(&q, 4), fault);
    EXPECT(cuMemGetInfo(&a, &b), fault);
    EXPECT(cuMemcpyDtoH(&a, p, 4), fault);
    EXPECT(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL), fault);
    CHECK(cuCtxDestroy(ctx));
    if (on_softcuda()) {
        in_bounds(); /* the context below it on the stack never noticed */
    } else {         /* CUDA promises no more to this process, and a driver keeps to that */
        EXPECT(cuMemAlloc(&q, 4), fault);
        CUresult r = cuCtxCreate_v2(&ctx, 0, device);
        EXPECT(r ? r : cuMemAlloc(&q, 4), fault);
    }
    printf("%s at %ld: stopped\n", kernel, at);
}

/* In a process of its own, before this one has a device. */
static void stray_apart(const char *kernel, long at, bool softcuda_only)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        open_device();
        in_bounds();
        if (!softcuda_only || on_softcuda())
            stray(kernel, at);
        exit(0);
    }
    MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void refusals(CUcontext ctx)
{
    CUfunction f = load_function("vectoradd.ptx", "vectoradd"), none = NULL;
    CUmodule m = load_module("vectoradd.ptx");
    CUdeviceptr p = upload(NULL, 64);
    CUlaunchConfig config = {0};
    CUstream s;
    int n = 16, v;
    void *params[] = {&p, &p, &p, &n};

    EXPECT(cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(f, 1, 1, 1, 32, 32, 2, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 1 << 20, NULL, params, NULL),
           CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(none, 1, 1, 1, 32, 1, 1, 0, NULL, params, NULL),
           CUDA_ERROR_INVALID_HANDLE);
    EXPECT(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernelEx(NULL, f, params, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernelEx(&config, f, params, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 0));
    if (!v) {
        CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                     .value.clusterDim = {2, 1, 1}};
        CUlaunchConfig pair = {.gridDimX = 2,
                               .gridDimY = 1,
                               .gridDimZ = 1,
                               .blockDimX = 8,
                               .blockDimY = 1,
                               .blockDimZ = 1,
                               .attrs = &cluster,
                               .numAttrs = 1};
        EXPECT(cuLaunchKernelEx(&pair, f, params, NULL), CUDA_ERROR_INVALID_CLUSTER_SIZE);
    }
    EXPECT(cuModuleGetFunction(&none, m, "no_such_kernel"), CUDA_ERROR_NOT_FOUND);
    EXPECT(cuModuleGetFunction(NULL, m, "vectoradd"), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuModuleGetGlobal(&p, NULL, m, "no_such_variable"), CUDA_ERROR_NOT_FOUND);
    EXPECT(cuFuncGetAttribute(&v, (CUfunction_attribute)999, f), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuCtxSetLimit((CUlimit)12345, 1), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuCtxPushCurrent(NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuStreamDestroy(NULL), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    EXPECT(cuStreamBeginCapture(s, (CUstreamCaptureMode)3), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuStreamDestroy(s));
    EXPECT(cuPointerGetAttribute(&p, (CUpointer_attribute)99, p), CUDA_ERROR_INVALID_VALUE);
    CUpointer_attribute nonsense = (CUpointer_attribute)99;
    void *answer = &p;
    EXPECT(cuPointerGetAttributes(1, &nonsense, &answer, p), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuModuleUnload(m));
    if (on_softcuda())
        EXPECT(cuModuleUnload(m), CUDA_ERROR_INVALID_HANDLE);
    in_bounds();
    puts("refusals: ok");
}

static void never_ends(void)
{
    CUcontext ctx;
    CUdevice device;

    CHECK(cuCtxGetDevice(&device));
    CHECK(cuCtxCreate_v2(&ctx, 0, device));
    CUfunction f = load_function("spin.ptx", "spin");
    CUdeviceptr flag = upload(&(int){0}, 4);
    void *params[] = {&flag};
    CHECK(cuLaunchKernel(f, 4, 1, 1, 64, 1, 1, 0, NULL, params, NULL));
    EXPECT(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_TIMEOUT);
    EXPECT(cuMemFree(flag), CUDA_ERROR_LAUNCH_TIMEOUT);
    CHECK(cuCtxDestroy(ctx));
    in_bounds();
    puts("never ends: stopped");
}

int main(int argc, char **argv)
{
    stray_apart("oob", 1000, true);
    stray_apart("oob", -(1l << 40), false);
    stray_apart("oob", 1l << 45, false);
    stray_apart("oob_read", 1l << 30, false);
    CUcontext ctx = open_device();
    in_bounds();
    if (on_softcuda()) /* in this process too, which goes on */
        stray("oob", 1000);
    refusals(ctx);
    if (argc > 1 && !strcmp(argv[1], "timeout"))
        never_ends();
    CHECK(cuCtxDestroy(ctx));
    return 0;
}
