/*
 * cuda_quiet: long work that is waited for in each of CUDA's ways, and long work that nobody waits
 * for. Kernels and a host function of 0.3 s.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static const char ptx[] =
    ".version 6.4\n.target sm_70\n.address_size 64\n"
    ".visible .entry spin(.param .u64 ns)\n{\n.reg .b64 %t<4>;\n.reg .pred %p;\n"
    "ld.param.u64 %t0,[ns];\nmov.u64 %t1,%globaltimer;\nadd.u64 %t1,%t1,%t0;\n"
    "L: mov.u64 %t2,%globaltimer;\nsetp.lt.u64 %p,%t2,%t1;\n@%p bra L;\nret;\n}\n";

static void slow(void *arg)
{
    (void)arg;
    usleep(300000);
}

static void waited_for(CUfunction f, CUstream s)
{
    uint64_t ns = 300000000;
    void *params[] = {&ns};
    CUevent e;

    CHECK(cuEventCreate(&e, 0));
    for (int way = 0; way < 3; way++) {
        CHECK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, params, NULL));
        CHECK(cuEventRecord(e, s));
        CHECK(way == 0   ? cuStreamSynchronize(s)
              : way == 1 ? cuEventSynchronize(e)
                         : cuCtxSynchronize());
        CHECK(cuEventQuery(e));
        ns += 1000;
    }
    CHECK(cuEventDestroy(e));
}

static void left_alone(CUstream s)
{
    CUdeviceptr p;

    CHECK(cuMemAlloc(&p, 4096));
    CHECK(cuLaunchHostFunc(s, slow, NULL));
    CHECK(cuMemsetD8Async(p, 1, 4096, s));
    EXPECT(cuStreamQuery(s), CUDA_ERROR_NOT_READY);
    usleep(500000);
    CUresult r = cuStreamQuery(s);
    MUST(r == CUDA_SUCCESS || r == CUDA_ERROR_NOT_READY); /* on a busy machine */
    CHECK(cuStreamSynchronize(s));
}

int main(void)
{
    CUmodule m;
    CUfunction f;
    CUstream s;

    open_device();
    CHECK(cuModuleLoadData(&m, ptx));
    CHECK(cuModuleGetFunction(&f, m, "spin"));
    CHECK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    waited_for(f, s);
    printf("waited for\n");
    left_alone(s);
    printf("left alone\n");
    return 0;
}
