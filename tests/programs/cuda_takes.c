/*
 * cuda_takes: what a context can take of the device's memory without an allocation; where it runs
 * decides how much of that it gets.
 */
/* links: -lcuda */
#include "tests/programs/cuda_common.h"

static const char ptx[] = ".version 6.4\n.target sm_70\n.address_size 64\n"
                          ".visible .entry deep(.param .u64 p)\n{\n.local .align 8 .b8 "
                          "room[65536];\n.reg .b64 %a<3>;\n.reg .b32 %v<2>;\n"
                          "ld.param.u64 %a0,[p];\nld.u32 %v0,[%a0];\nand.b32 "
                          "%v0,%v0,16383;\nmul.wide.u32 %a1,%v0,4;\nmov.u64 %a2,room;\n"
                          "add.u64 %a1,%a1,%a2;\nst.local.u32 [%a1],%v0;\nld.local.u32 "
                          "%v1,[%a1];\nst.u32 [%a0],%v1;\nret;\n}\n"
                          ".visible .entry flat(.param .u64 p)\n{\n.reg .b64 %a;\n.reg .b32 "
                          "%v;\nld.param.u64 %a,[p];\nmov.u32 %v,7;\nst.u32 [%a],%v;\nret;\n}\n";

static CUresult run(CUmodule m, const char *name, CUdeviceptr p)
{
    CUfunction f;
    void *params[] = {&p};

    CHECK(cuModuleGetFunction(&f, m, name));
    CUresult r = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL);
    return r ? r : cuCtxSynchronize();
}

static long free_mib(void)
{
    size_t free_now, total;
    CHECK(cuMemGetInfo(&free_now, &total));
    return (long)(free_now >> 20);
}

int main(void)
{
    CUcontext ctx = open_device();
    CUdeviceptr p = upload(NULL, 4096);
    long before = free_mib();
    CUmodule m;

    CHECK(cuModuleLoadData(&m, ptx));
    printf("a kernel without local memory: %s\n", error_name(run(m, "flat", p)));
    printf("a kernel with 64 KiB: %s\n", error_name(run(m, "deep", p)));
    printf("a stack of 64 KiB: %s\n", error_name(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 65536)));
    printf("a heap of 1 GiB: %s\n",
           error_name(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, (size_t)1 << 30)));
    printf("a heap of 64 MiB: %s\n",
           error_name(cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, (size_t)64 << 20)));
    printf("which is counted: %s\n", before - free_mib() >= 48 ? "yes" : "no");
    printf("the other kernel: %s\n", error_name(run(m, "flat", p)));
    CHECK(cuMemFree(p));
    CHECK(cuCtxDestroy(ctx));
    CHECK(cuCtxCreate_v2(&ctx, 0, 0));
    printf("which came back with the context: %s\n", before - free_mib() < 8 ? "yes" : "no");
    return 0;
}
