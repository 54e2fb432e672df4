/* cudarem_limits: all of the device's memory and none left, given back and taken again; handles,
 * pointers and images that are nothing. */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

enum { MOST = 4096, PIECE = 256 << 20 };

static void memory(void)
{
    static CUdeviceptr p[MOST];
    size_t free_now, total;
    CUresult r;
    int n = 0;

    while ((r = n < MOST ? cuMemAlloc(&p[n], PIECE) : CUDA_ERROR_OUT_OF_MEMORY) == CUDA_SUCCESS)
        n++;
    printf("after %d pieces: %s\n", n, error_name(r));
    for (int i = 0; i < n; i++)
        CHECK(cuMemFree(p[i]));
    CHECK(cuCtxSynchronize());
    CHECK(cuMemGetInfo(&free_now, &total));
    MUST(free_now <= total && free_now >= (size_t)n * PIECE);
    if (n > 2) {
        CHECK(cuMemAlloc(&p[0], 2 * (size_t)PIECE));
        CHECK(cuMemFree(p[0]));
    }
}

#define SAY(call) printf("%s: %s\n", #call, error_name(call))

int main(void)
{
    char h[16];
    CUmodule m;
    CUfunction f;
    CUdevice d;

    open_device();
    memory();
    SAY(cuMemAlloc(NULL, 4));
    SAY(cuMemAlloc((CUdeviceptr *)h, 0));
    SAY(cuMemFree(12345));
    SAY(cuMemcpyHtoD(0, NULL, 4));
    SAY(cuMemcpyDtoH(h, 0x7000, 16));
    SAY(cuMemsetD8(0x7000, 1, 16));
    SAY(cuStreamSynchronize((CUstream)0x1234567890));
    SAY(cuEventRecord((CUevent)0xdead0000, NULL));
    SAY(cuModuleGetFunction(&f, (CUmodule)0x99, "x"));
    SAY(cuEventCreate(NULL, 0));
    SAY(cuStreamCreate(NULL, 0));
    SAY(cuCtxSetCurrent((CUcontext)77));
    SAY(cuDeviceGet(&d, 5));
    SAY(cuModuleLoadData(&m, "garbage"));
    SAY(cuModuleLoadData(
        &m, ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() { frob; }"));
    return 0;
}
