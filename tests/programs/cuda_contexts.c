/*
 * cuda_contexts: contexts of the program's own and the device's primary one, in every order; pinned
 * and managed memory and a kernel in those that are left when another ends.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static CUdevice device;

/* A kernel adds two arrays of pinned memory into a third. */
static void use(CUcontext ctx, const char *what)
{
    enum { N = 1000 };
    float *host[3];
    CUdeviceptr p[3];
    CUfunction f;
    unsigned n = N;
    void *params[] = {&p[0], &p[1], &p[2], &n};

    CHECK(cuCtxSetCurrent(ctx));
    f = load_function("vectoradd.ptx", "vectoradd");
    for (int i = 0; i < 3; i++) {
        CHECK(cuMemHostAlloc((void **)&host[i], N * sizeof(float), CU_MEMHOSTALLOC_DEVICEMAP));
        CHECK(cuMemHostGetDevicePointer(&p[i], host[i], 0));
        for (int k = 0; k < N; k++)
            host[i][k] = (float)(i * k);
    }
    CHECK(cuLaunchKernel(f, 8, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
    CHECK(cuCtxSynchronize());
    for (int k = 0; k < N; k++)
        MUST(host[2][k] == host[0][k] + host[1][k]);
    for (int i = 0; i < 3; i++)
        CHECK(cuMemFreeHost(host[i]));
    printf("%s: ok\n", what);
}

int main(void)
{
    CUcontext own, other, primary, again;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuCtxCreate_v2(&own, 0, device));
    use(own, "own");
    CHECK(cuDevicePrimaryCtxRetain(&primary, device));
    use(primary, "primary beside it");
    CHECK(cuCtxCreate_v2(&other, CU_CTX_SCHED_BLOCKING_SYNC, device));
    use(other, "another");
    CHECK(cuCtxDestroy(own));
    use(primary, "primary, the first one gone");
    use(other, "another, the first one gone");
    CHECK(cuDevicePrimaryCtxRelease(device));
    use(other, "another, the primary one gone");
    CHECK(cuDevicePrimaryCtxRetain(&again, device));
    use(again, "the primary one again");
    use(other, "another beside it");
    CHECK(cuCtxDestroy(other));
    use(again, "the primary one alone");
    CHECK(cuDevicePrimaryCtxReset(device));
    CHECK(cuCtxCreate_v2(&own, 0, device));
    use(own, "own, after all of them");
    CHECK(cuDevicePrimaryCtxRetain(&again, device));
    CHECK(cuDevicePrimaryCtxRelease(device));
    use(own, "own, after a primary one without work");
    return 0;
}
