/*
 * cuda_meanwhile: things are ended while a host function is under way that has not been waited for:
 * modules, streams, events, memory, arrays, a context.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static int ended;

static void slow(void *arg)
{
    (void)arg;
    usleep(100000);
    __atomic_fetch_add(&ended, 1, __ATOMIC_SEQ_CST);
}

int main(void)
{
    CUcontext ctx = open_device();
    CUDA_ARRAY_DESCRIPTOR d = {64, 64, CU_AD_FORMAT_FLOAT, 1};
    CUmodule m;
    CUstream s;
    CUevent e;
    CUarray a = NULL;
    CUdeviceptr p;
    void *host;

    for (int what = 0; what < 7; what++) {
        CHECK(cuCtxSetCurrent(ctx));
        m = load_module("vectoradd.ptx");
        CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
        CHECK(cuEventCreate(&e, 0));
        CHECK(cuMemAlloc(&p, 4096));
        CHECK(cuMemAllocHost(&host, 4096));
        CUresult r = cuArrayCreate(&a, &d);
        CHECK(cuLaunchHostFunc(s, slow, NULL));
        CHECK(cuEventRecord(e, s));
        switch (what) {
        case 0: CHECK(cuModuleUnload(m)); break;
        case 1: CHECK(cuStreamDestroy(s)); break;
        case 2: CHECK(cuEventDestroy(e)); break;
        case 3: CHECK(cuMemFree(p)); break;
        case 4: CHECK(cuMemFreeHost(host)); break;
        case 5: EXPECT(r == CUDA_SUCCESS ? cuArrayDestroy(a) : r, r); break;
        case 6: CHECK(cuCtxDestroy(ctx)); break;
        }
        printf("%d\n", what);
        fflush(stdout);
        if (what < 6)
            CHECK(cuCtxSynchronize());
    }
    for (int i = 0; i < 100 && __atomic_load_n(&ended, __ATOMIC_SEQ_CST) < 7; i++)
        usleep(20000);
    printf("host functions: %s\n",
           ended >= 6 ? "done" : "missing"); /* the last one's context went first */
    return 0;
}
